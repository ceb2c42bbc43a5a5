/* Sealing one recording: what goes in comes out of its object, and nothing else ever does. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/secret.h"
#include "daemon/intake/work/object_writer.h"
#include "daemon/intake/work/seal.h"
#include "daemon/intake/work/workspace.h"
#include "tests/unit/support/spool_fixture.h"

static struct spool_fixture spool;
static const uint8_t header[] = "header of the object\n";
static uint8_t key[AGE_PAYLOAD_KEY_BYTES];

struct sealing {
	struct seal seal;
	struct source_identity identity;
	int source_fd, object_fd, key_fd;
};

static int setup(void **state)
{
	spool_fixture_make(&spool);
	randombytes_buf(key, sizeof(key));
	return 0;
}

static int teardown(void **state)
{
	spool_fixture_remove(&spool);
	return 0;
}

static uint8_t *put_random(const char *name, size_t len)
{
	uint8_t *bytes = malloc(len ? len : 1);

	randombytes_buf(bytes, len);
	put_bytes(&spool, name, bytes, len);
	return bytes;
}

static void prepare(struct sealing *s, const char *name)
{
	struct stat st;

	*s = (struct sealing){.source_fd = openat(spool.fd, name, O_RDONLY | O_CLOEXEC),
			.object_fd = openat(spool.fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
			.key_fd = secret_to_fd(key, sizeof(key))};
	assert_true(s->source_fd >= 0 && s->object_fd >= 0 && s->key_fd >= 0);
	assert_int_equal(fstat(s->source_fd, &st), 0);
	source_identify(&st, &s->identity);
	s->seal.source_fd = s->source_fd;
	s->seal.identity = &s->identity;
	s->seal.object_fd = s->object_fd;
	s->seal.key_fd = s->key_fd;
	s->seal.header = header;
	s->seal.header_len = sizeof(header);
	randombytes_buf(s->seal.nonce, sizeof(s->seal.nonce));
}

static void finish(struct sealing *s)
{
	close(s->source_fd);
	close(s->object_fd);
	close(s->key_fd);
}

struct expected {
	const uint8_t *bytes;
	size_t at;
};

static int compare(void *context, const uint8_t *plain, size_t len)
{
	struct expected *expected = context;

	assert_memory_equal(plain, expected->bytes + expected->at, len);
	expected->at += len;
	return 0;
}

static void assert_opens(struct sealing *s, const uint8_t *bytes, size_t len)
{
	struct expected expected = {.bytes = bytes};
	uint8_t start[sizeof(header) + AGE_PAYLOAD_NONCE_BYTES];
	size_t got;

	assert_int_equal(io_pread_full(s->object_fd, start, sizeof(start), 0, &got), 0);
	assert_int_equal(got, sizeof(start));
	assert_memory_equal(start, header, sizeof(header));
	assert_memory_equal(start + sizeof(header), s->seal.nonce, AGE_PAYLOAD_NONCE_BYTES);
	assert_int_equal(lseek(s->object_fd, sizeof(start), SEEK_SET), sizeof(start));
	assert_int_equal(age_stream_open_payload(s->object_fd, key, compare, &expected), 0);
	assert_int_equal(expected.at, len);
}

/* Around every boundary: chunk, buffer, and their multiples. */
static void what_goes_in_comes_out(void **state)
{
	enum { BUFFER = SEAL_BUFFER_CHUNKS * AGE_CHUNK_BYTES, BLOCK = OBJECT_WRITER_BLOCK_BYTES };
	static const size_t sizes[] = {1, 44, AGE_CHUNK_BYTES - 1, AGE_CHUNK_BYTES,
			AGE_CHUNK_BYTES + 1, BUFFER - 1, BUFFER, BUFFER + 1, 2 * BUFFER,
			2 * BUFFER + AGE_CHUNK_BYTES + 7, BLOCK - AGE_CHUNK_BYTES, BLOCK,
			BLOCK + BUFFER, 2 * BLOCK, 3 * BLOCK + 12345};
	char name[16];

	for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
		struct sealing s;
		snprintf(name, sizeof(name), "%zu", i);
		uint8_t *bytes = put_random(name, sizes[i]);
		prepare(&s, name);
		assert_int_equal(seal_run(&s.seal), 0);
		assert_opens(&s, bytes, sizes[i]);
		finish(&s);
		free(bytes);
	}
}

/* What is on the source's own disk is what the keeper will know it by: synced before the object is,
 * so that a power loss after the unlink cannot bring back a part of it under another state. */
int __real_durable_sync(int fd);
int __wrap_durable_sync(int fd);
static int synced[8];
static size_t n_synced;

int __wrap_durable_sync(int fd)
{
	if (n_synced < ELEMENTSOF(synced))
		synced[n_synced++] = fd;
	return __real_durable_sync(fd);
}

static void the_source_is_synced_too(void **state)
{
	struct sealing s;

	free(put_random("file", 100));
	prepare(&s, "file");
	n_synced = 0;
	assert_int_equal(seal_run(&s.seal), 0);
	assert_int_equal(n_synced, 2);
	assert_int_equal(synced[0], s.source_fd);
	assert_int_equal(synced[1], s.object_fd);
	finish(&s);
}

/* Large objects are written past the page cache; a filesystem may take the mode and then refuse the
 * writes, at once or in the middle. Whatever came of it, the keeper, who shares the open file, can
 * read it as it likes afterwards. */
int __real_io_pwrite_all(int fd, const void *data, size_t len, off_t offset);
int __wrap_io_pwrite_all(int fd, const void *data, size_t len, off_t offset);
static int direct_writes, direct_writes_max = INT_MAX;

int __wrap_io_pwrite_all(int fd, const void *data, size_t len, off_t offset)
{
	if (fcntl(fd, F_GETFL) & O_DIRECT && len > 0 && ++direct_writes > direct_writes_max)
		return -EINVAL;
	return __real_io_pwrite_all(fd, data, len, offset);
}

static void past_the_cache_where_that_is_to_be_had(void **state)
{
	static const size_t len = 3 * OBJECT_WRITER_BLOCK_BYTES + 12345;
	static const int refused_after[] = {INT_MAX, 0, 1, 2};
	char name[16];

	for (size_t i = 0; i < ELEMENTSOF(refused_after); i++) {
		struct sealing s;
		snprintf(name, sizeof(name), "%zu", i);
		uint8_t *bytes = put_random(name, len);
		prepare(&s, name);
		bool offered = durable_direct(s.object_fd, true) == 0;
		assert_int_equal(durable_direct(s.object_fd, false), 0);
		direct_writes = 0;
		direct_writes_max = refused_after[i];
		assert_int_equal(seal_run(&s.seal), 0);
		direct_writes_max = INT_MAX;
		if (offered)
			assert_int_equal(direct_writes,
					refused_after[i] == INT_MAX ? 4 : refused_after[i] + 1);
		assert_false(fcntl(s.object_fd, F_GETFL) & O_DIRECT);
		assert_opens(&s, bytes, len);
		finish(&s);
		free(bytes);
	}
}

/* Memory is kept from one small recording to the next, without its audio. */
static void kept_memory_is_shared_out_and_wiped(void **state)
{
	struct workspace w[WORKSPACES_KEPT + 1], again, large;

	for (size_t i = 0; i < ELEMENTSOF(w); i++) {
		assert_int_equal(workspace_take(1000, 2000, &w[i]), 0);
		assert_int_equal((uintptr_t)w[i].sealed % WORKSPACE_ALIGN_BYTES, 0);
		memset(w[i].plain, 'a', 1000);
		for (size_t j = 0; j < i; j++)
			assert_ptr_not_equal(w[i].plain, w[j].plain);
	}
	const uint8_t *plain = w[3].plain;
	workspace_give_back(&w[3]);
	assert_int_equal(workspace_take(WORKSPACE_PLAIN_BYTES + 1, 2000, &large), 0);
	assert_int_equal(large.kept, -1);
	assert_int_equal(workspace_take(WORKSPACE_PLAIN_BYTES, WORKSPACE_SEALED_BYTES, &again), 0);
	assert_ptr_equal(again.plain, plain);
	assert_true(sodium_is_zero(again.plain, 1000));
	workspace_give_back(&again);
	workspace_give_back(&again); /* nothing in it any more */
	workspace_give_back(&large);
	for (size_t i = 0; i < ELEMENTSOF(w); i++)
		workspace_give_back(&w[i]);
}

static void a_source_that_changed_is_not_sealed(void **state)
{
	struct sealing s;

	free(put_random("longer", 1000));
	prepare(&s, "longer");
	put_text(&spool, "longer", "more");
	assert_int_equal(seal_run(&s.seal), SEAL_CHANGED);
	finish(&s);

	free(put_random("linked", 1000));
	prepare(&s, "linked");
	assert_int_equal(linkat(spool.fd, "linked", spool.fd, "twice", 0), 0);
	assert_int_equal(seal_run(&s.seal), SEAL_CHANGED);
	finish(&s);
}

/* Changes while the worker reads: a thread appends after each buffer the object has grown by. */
struct meddler {
	const struct sealing *sealing;
	int fd; /* of the source, writable */
	bool truncate, cancel;
	atomic_bool *cancelled;
};

static void *meddle(void *argument)
{
	struct meddler *m = argument;
	struct stat st;

	do
		fstat(m->sealing->object_fd, &st);
	while (st.st_size == 0);
	if (m->cancel)
		atomic_store(m->cancelled, true);
	else if (m->truncate)
		assert_int_equal(ftruncate(m->fd, 100), 0);
	else
		io_write_all(m->fd, "appended", 8);
	return NULL;
}

static int seal_with_meddler(const char *name, bool truncate, bool cancel)
{
	struct sealing s;
	pthread_t thread;
	struct meddler m = {.sealing = &s,
			.fd = openat(spool.fd, name, O_WRONLY | O_APPEND | O_CLOEXEC),
			.truncate = truncate,
			.cancel = cancel};

	prepare(&s, name);
	m.cancelled = &s.seal.cancelled;
	assert_int_equal(pthread_create(&thread, NULL, meddle, &m), 0);
	int r = seal_run(&s.seal);
	pthread_join(thread, NULL);
	close(m.fd);
	finish(&s);
	return r;
}

static void a_source_that_changes_meanwhile_is_not_sealed(void **state)
{
	/* Large enough that the meddler is done long before the end. */
	size_t len = 64 << 20;
	char name[16];

	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%d", i);
		_cleanup_close_ int fd =
				openat(spool.fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_int_equal(ftruncate(fd, (off_t)len), 0);
	}
	assert_int_equal(seal_with_meddler("0", false, false), SEAL_CHANGED);
	assert_int_equal(seal_with_meddler("1", true, false), SEAL_CHANGED);
	assert_int_equal(seal_with_meddler("2", false, true), SEAL_CANCELLED);
}

static void cancelled_before_it_began(void **state)
{
	struct sealing s;

	free(put_random("file", 1000));
	prepare(&s, "file");
	atomic_store(&s.seal.cancelled, true);
	assert_int_equal(seal_run(&s.seal), SEAL_CANCELLED);
	finish(&s);
}

static void a_key_that_is_none_is_refused(void **state)
{
	struct sealing s;

	free(put_random("file", 1000));
	prepare(&s, "file");
	_cleanup_close_ int unsealed = memfd_create("key", MFD_CLOEXEC);
	assert_int_equal(io_write_all(unsealed, key, sizeof(key)), 0);
	s.seal.key_fd = unsealed;
	assert_int_equal(seal_run(&s.seal), -RE_PROTOCOL);
	_cleanup_close_ int shorter = secret_to_fd(key, 16);
	s.seal.key_fd = shorter;
	assert_int_equal(seal_run(&s.seal), -RE_PROTOCOL);
	assert_string_equal(s.seal.doing, "taking the key");
	finish(&s);
}

static void a_full_disk_is_told(void **state)
{
	const struct rlimit small = {AGE_CHUNK_BYTES, RLIM_INFINITY};
	struct rlimit before;
	struct sealing s;

	free(put_random("file", 3 * AGE_CHUNK_BYTES));
	prepare(&s, "file");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int r = seal_run(&s.seal);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(r, -EFBIG);
	assert_string_equal(s.seal.doing, "writing the sealed object");
	finish(&s);
}

#define in_spool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_spool(what_goes_in_comes_out),
			in_spool(a_source_that_changed_is_not_sealed),
			in_spool(a_source_that_changes_meanwhile_is_not_sealed),
			in_spool(the_source_is_synced_too),
			cmocka_unit_test(kept_memory_is_shared_out_and_wiped),
			in_spool(past_the_cache_where_that_is_to_be_had),
			in_spool(cancelled_before_it_began),
			in_spool(a_key_that_is_none_is_refused),
			in_spool(a_full_disk_is_told),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
