/* Was this very file sealed before? Asked when it has been sealed once more: by then the keeper has
 * two objects, and compares what is in them.
 *
 * The source hash is a hint where to look, no more. It is made of numbers that a filesystem may
 * repeat, and a file that it points to may have been written to since. What says that two files are
 * one is their content: each chunk of both objects is checked under its own key, and then both must
 * hold the same bytes (age_stream_same_chunk(); the keeper decrypts neither). Besides, both must be
 * of one account, and where the filesystem keeps no firm identities of one path: two callers who
 * hear the same music on hold have a recording each.
 *
 * In any doubt the file is a new recording: the object that was just sealed and verified is
 * catalogued. So the plaintext goes only when its content was sealed and checked in this run, and
 * a doubt costs a second copy and no recording. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/secret.h"
#include "daemon/keeper/ingest/ingest_job.h"

void ingest_earlier_clear(struct ingest_earlier *earlier)
{
	earlier->loan = key_loan_free(earlier->loan);
	if (earlier->object_fd >= 0)
		close(earlier->object_fd);
	earlier->object_fd = -1;
}

/* ---- What there is to compare with ---- */

static int earlier_lend_key(struct ingest *ingest, struct ingest_job *job,
		const struct recording_row *row, int key_fd)
{
	struct key_path path = key_path_recording(row->account, row->group, row->id);
	_cleanup_secret_ uint8_t *key = secret_new(AGE_PAYLOAD_KEY_BYTES);
	int r = key ? secret_from_fd(key_fd, key, AGE_PAYLOAD_KEY_BYTES) : -RE_MLOCK;

	if (r < 0)
		return r;
	job->earlier.loan = key_loan_new(ingest->loans, &path, key);
	return job->earlier.loan ? 0 : -RE_MLOCK;
}

static int earlier_open(
		struct ingest *ingest, struct ingest_job *job, const struct recording_row *row)
{
	struct recording_opened opened;
	int r = recordings_open(&ingest->recordings, row, &opened);

	if (r < 0)
		return r;
	_cleanup_close_ int key_fd = opened.key_fd;
	_cleanup_close_ int object_fd = opened.object_fd;
	struct stat st;
	if (fstat(object_fd, &st) < 0)
		return -errno;
	if (st.st_size != row->sealed_bytes)
		return -RE_PAYLOAD;
	r = earlier_lend_key(ingest, job, row, key_fd);
	if (r < 0)
		return r;
	job->earlier.object_fd = TAKE_FD(object_fd);
	job->earlier.payload_offset = opened.payload_offset;
	return 0;
}

static bool earlier_has_path(struct ingest *ingest, const struct ingest_job *job,
		const struct recording_row *row)
{
	struct recording_private private = {0};

	if (recordings_private(ingest->root->tree, row, &private) < 0)
		return false;
	bool same = private.path_len == job->private.path_len &&
		    memcmp(private.path, job->private.path, private.path_len) == 0;
	recording_private_clear(&private);
	return same;
}

/* Whether only the content is left to tell the two apart. */
static bool earlier_may_be_same(struct ingest *ingest, const struct ingest_job *job,
		const struct recording_row *row)
{
	return recording_is_live(row->state) && row->account == job->row.account &&
	       row->plain_bytes == job->row.plain_bytes &&
	       (job->firm || earlier_has_path(ingest, job, row));
}

static void earlier_report(struct ingest *ingest, const uint8_t *ulid, int error)
{
	char id[ULID_TEXT_CHARS + 1];

	ulid_format(ulid, id);
	notices_keep_problem(ingest->root->notices,
			"recording %s cannot be compared with its file, which is still in the "
			"spool (%s): the file is sealed again; recsealctl verify %s",
			id, error_text(error), id);
}

void ingest_find_earlier(struct ingest *ingest, struct ingest_job *job)
{
	struct recording_row row;

	if (job->earlier.id != 0 ||
			catalog_recording_by_source(ingest->root->db, job->source, &row) < 0)
		return;
	/* Its account may have been made since it began. */
	if (job->row.account == 0)
		(void)ingest_account_admits(ingest, job);
	job->earlier.id = row.id;
	memcpy(job->earlier.ulid, row.ulid, ULID_BYTES);
	int r = earlier_may_be_same(ingest, job, &row) ? earlier_open(ingest, job, &row) : 0;
	if (r < 0)
		earlier_report(ingest, row.ulid, r);
	catalog_recording_clear(&row);
}

/* ---- The comparison ---- */

static int read_chunk(
		int fd, off_t payload_offset, uint64_t number, uint8_t *ret_sealed, size_t len)
{
	size_t n;
	int r = io_pread_full(fd, ret_sealed, len,
			payload_offset + (off_t)(number * AGE_SEALED_CHUNK_BYTES), &n);

	return r < 0 ? r : n == len ? 0 : -RE_PAYLOAD;
}

/* 1 when the chunk is the same, 0 when it is not. The key is locked for the one chunk. */
static int compare_chunk(struct ingest_job *job, uint64_t number, uint8_t *sealed[2])
{
	struct ingest_earlier *earlier = &job->earlier;
	uint64_t all = age_stream_sealed_bytes((uint64_t)job->row.plain_bytes);
	uint64_t left = all - number * AGE_SEALED_CHUNK_BYTES;
	bool final = left <= AGE_SEALED_CHUNK_BYTES;
	size_t len = final ? (size_t)left : AGE_SEALED_CHUNK_BYTES;
	off_t own = (off_t)(job->header_bytes + AGE_PAYLOAD_NONCE_BYTES);
	int r = read_chunk(earlier->object_fd, earlier->payload_offset, number, sealed[0], len);

	if (r == 0)
		r = read_chunk(object_store_draft_fd(job->draft), own, number, sealed[1], len);
	if (r < 0)
		return r;
	const uint8_t *key = key_loan_lock(earlier->loan);
	if (!key)
		return -RE_GONE;
	r = age_stream_same_chunk(
			key, sealed[0], job->keys->payload, sealed[1], number, final, len);
	key_loan_unlock(earlier->loan);
	return r;
}

static void compare_end(struct ingest_earlier *earlier, int result)
{
	earlier->same = result > 0;
	earlier->error = result < 0 ? result : 0;
	close(earlier->object_fd);
	earlier->object_fd = -1; /* the key goes with the job: this may be any thread */
}

int ingest_earlier_compare(struct ingest_job *job)
{
	struct ingest_earlier *earlier = &job->earlier;
	uint64_t plain = (uint64_t)job->row.plain_bytes;
	uint64_t chunks = plain ? (plain - 1) / AGE_CHUNK_BYTES + 1 : 1;
	uint64_t end = earlier->compared_chunks + INGEST_STRIDE_CHUNKS;
	int r = 1;

	if (earlier->object_fd < 0)
		return 0;
	_cleanup_free_ uint8_t *memory = malloc(2 * (size_t)AGE_SEALED_CHUNK_BYTES);
	uint8_t *sealed[2] = {memory, memory ? memory + AGE_SEALED_CHUNK_BYTES : NULL};
	if (!memory)
		r = -ENOMEM;
	/* What is compared is what the disk has, and not a page that is still in memory. */
	(void)posix_fadvise(earlier->object_fd, 0, 0, POSIX_FADV_DONTNEED);
	while (r > 0 && earlier->compared_chunks < chunks) {
		if (earlier->compared_chunks == end)
			return 1;
		r = compare_chunk(job, earlier->compared_chunks++, sealed);
	}
	compare_end(earlier, r);
	return 0;
}

/* ---- What came of it ---- */

/* Whether what is sealed with the recording are these sidecars: then they may go. */
static int compare_sidecars(struct ingest *ingest, const struct recording_row *row,
		const struct ingest_job *job)
{
	struct recording_private private = {0};

	if (json_array_size(job->private.sidecars) == 0)
		return INGEST_EXISTS;
	int r = recordings_private(ingest->root->tree, row, &private);
	if (r < 0)
		return r;
	r = json_equal(private.sidecars, job->private.sidecars) ? INGEST_EXISTS
								: INGEST_OTHER_SIDECARS;
	recording_private_clear(&private);
	return r;
}

int ingest_earlier_recognise(struct ingest *ingest, const struct ingest_job *job)
{
	struct recording_row row;
	int r = catalog_recording_by_source(ingest->root->db, job->source, &row);

	if (r < 0)
		return r == -ENOENT ? -RE_REFUSED : r;
	r = row.id == job->earlier.id && recording_is_live(row.state)
			    ? compare_sidecars(ingest, &row, job)
			    : -RE_REFUSED;
	catalog_recording_clear(&row);
	return r;
}

int ingest_earlier_admits(struct ingest *ingest, const struct ingest_job *job)
{
	struct recording_row row;
	int r = catalog_recording_by_source(ingest->root->db, job->source, &row);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (row.id != job->earlier.id)
		r = -EEXIST;
	else if (!recording_is_live(row.state) && job->row.state != RECORDING_QUARANTINED)
		r = -RE_REFUSED;
	else
		r = 0;
	catalog_recording_clear(&row);
	if (r == 0 && job->earlier.error < 0)
		earlier_report(ingest, job->earlier.ulid, job->earlier.error);
	return r;
}

const uint8_t *ingest_earlier_id(const struct ingest_job *job)
{
	return job->earlier.ulid;
}
