/* Reads an object back and checks it against what was to be sealed; ingest.h says what that shows.
 *
 * The medium is read in blocks that suit direct reads, wherever the chunks begin. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/ingest/ingest_job.h"

/* Room before the block for the begin of a piece whose end is in the next block. */
#define CARRY_BYTES ((size_t)17 * OBJECT_STORE_BLOCK_BYTES)

_Static_assert(CARRY_BYTES >= AGE_SEALED_CHUNK_BYTES, "a chunk fits");
_Static_assert(CARRY_BYTES >= AGE_HEADER_MAX_BYTES, "a header fits");
_Static_assert(INGEST_VERIFY_BYTES > CARRY_BYTES, "a block is read at a time");

struct medium {
	struct object_draft *draft;
	uint8_t *memory, *block;
	size_t block_bytes;
	const uint8_t *next; /* the `have` bytes that were read and not taken */
	size_t have;
	uint64_t offset; /* of the next block */
};

static void medium_free(struct medium *medium)
{
	free(medium->memory);
}

/* Only as large as the `bytes` that are going to be read. */
static int medium_new(struct object_draft *draft, uint64_t bytes, struct medium *ret_medium)
{
	size_t block = INGEST_VERIFY_BYTES - CARRY_BYTES;

	/* Many small recordings are verified at once, and each needs its own memory. */
	if (bytes < block)
		block = (size_t)bytes / OBJECT_STORE_BLOCK_BYTES * OBJECT_STORE_BLOCK_BYTES +
			2 * OBJECT_STORE_BLOCK_BYTES;
	uint8_t *memory = aligned_alloc(OBJECT_STORE_BLOCK_BYTES, CARRY_BYTES + block);
	if (!memory)
		return -ENOMEM;
	*ret_medium = (struct medium){.draft = draft,
			.memory = memory,
			.block = memory + CARRY_BYTES,
			.next = memory + CARRY_BYTES,
			.block_bytes = block};
	return 0;
}

/* Moves what is left before the block, and reads the next block behind it. */
static int medium_fill(struct medium *medium)
{
	uint8_t *carry = medium->block - medium->have;
	size_t n;

	memmove(carry, medium->next, medium->have);
	int r = object_store_read_back(
			medium->draft, medium->offset, medium->block, medium->block_bytes, &n);
	if (r < 0)
		return r;
	if (n == 0)
		return -RE_PAYLOAD; /* it became shorter meanwhile */
	medium->next = carry;
	medium->have += n;
	medium->offset += n;
	return 0;
}

/* The next len bytes, valid until the next call. */
static int medium_take(struct medium *medium, size_t len, const uint8_t **ret_bytes)
{
	int r = 0;

	while (medium->have < len && r == 0)
		r = medium_fill(medium);
	if (r < 0)
		return r;
	*ret_bytes = medium->next;
	medium->next += len;
	medium->have -= len;
	return 0;
}

static int medium_seek(struct medium *medium, uint64_t offset)
{
	const uint8_t *ignored;

	if (medium->offset - medium->have == offset)
		return 0; /* it is there already: a small object is read once */
	medium->have = 0;
	medium->next = medium->block;
	medium->offset = offset / OBJECT_STORE_BLOCK_BYTES * OBJECT_STORE_BLOCK_BYTES;
	return medium_take(medium, (size_t)(offset - medium->offset), &ignored);
}

static int medium_expect(struct medium *medium, const uint8_t *expected, size_t len)
{
	const uint8_t *found;
	int r = medium_take(medium, len, &found);

	return r < 0 ? r : memcmp(found, expected, len) == 0 ? 0 : -RE_PAYLOAD;
}

static uint64_t payload_offset(const struct ingest_job *job)
{
	return job->header_bytes + AGE_PAYLOAD_NONCE_BYTES;
}

static uint64_t payload_chunks(const struct ingest_job *job)
{
	uint64_t plain = (uint64_t)job->row.plain_bytes;

	return plain ? (plain - 1) / AGE_CHUNK_BYTES + 1 : 1;
}

static int verify_size(struct ingest_job *job)
{
	uint64_t expected = payload_offset(job) +
			    age_stream_sealed_bytes((uint64_t)job->row.plain_bytes);
	struct stat st;

	if (fstat(object_store_draft_fd(job->draft), &st) < 0)
		return -errno;
	/* Also longer is wrong: bytes behind the last chunk would be sealed by nobody. */
	if ((uint64_t)st.st_size != expected)
		return -RE_PAYLOAD;
	job->row.sealed_bytes = (int64_t)expected;
	return 0;
}

static int verify_preamble(const struct ingest_job *job, struct medium *medium)
{
	int r = medium_expect(medium, job->header, job->header_bytes);

	if (r == 0)
		r = medium_expect(medium, job->nonce, sizeof(job->nonce));
	return r;
}

/* The last one carries the final flag, so that an object which was cut off at a chunk is not taken
 * for a whole one. */
static int verify_chunk(const struct ingest_job *job, struct medium *medium, uint64_t number)
{
	bool final = number == payload_chunks(job) - 1;
	uint64_t rest = age_stream_sealed_bytes((uint64_t)job->row.plain_bytes) -
			number * AGE_SEALED_CHUNK_BYTES;
	size_t len = final ? (size_t)rest : AGE_SEALED_CHUNK_BYTES;
	const uint8_t *sealed;
	int r = medium_take(medium, len, &sealed);

	return r < 0 ? r : age_stream_check_chunk(job->keys->payload, number, final, sealed, len);
}

/* Goes on where the call before stopped. */
static int verify_chunks(struct ingest_job *job, struct medium *medium, uint64_t end)
{
	uint64_t first = job->verified_chunks;
	int r = medium_seek(medium, payload_offset(job) + first * AGE_SEALED_CHUNK_BYTES);

	for (uint64_t number = first; number < end && r == 0; number++)
		r = verify_chunk(job, medium, number);
	if (r == 0)
		job->verified_chunks = end;
	return r;
}

bool ingest_is_long(const struct ingest_job *job)
{
	return payload_chunks(job) > INGEST_STRIDE_CHUNKS;
}

int ingest_verify(struct ingest_job *job, bool ends_only)
{
	_cleanup_(medium_free) struct medium medium = {0};
	uint64_t chunks = payload_chunks(job), first = job->verified_chunks;
	int r = verify_size(job);

	if (r == 0 && first == chunks)
		return 0;
	if (r == 0)
		r = medium_new(job->draft, (uint64_t)job->row.sealed_bytes, &medium);
	if (r == 0 && first == 0)
		r = verify_preamble(job, &medium);
	if (r < 0)
		return r;
	/* As if all chunks before the last one had been checked. */
	if (ends_only)
		job->verified_chunks = first = chunks - 1;
	uint64_t end = chunks - first > INGEST_STRIDE_CHUNKS ? first + INGEST_STRIDE_CHUNKS
							     : chunks;
	r = verify_chunks(job, &medium, end);
	return r < 0 ? r : end < chunks;
}
