/* Whose a draft is once its writer says that it is done: what is checked afterwards stays as it is,
 * in each kind of store. */
#include "tests/unit/support/objects_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "storage/objects/object_own.h"

#define BLOCK OBJECT_STORE_BLOCK_BYTES
#define SIZE  (5 * BLOCK + 100)

/* What a writer may have kept when it says that it is done. */
enum kept { KEPT_NOTHING, KEPT_DESCRIPTOR, KEPT_MAPPING, KEPTS };

struct writer {
	int fd;
	uint8_t *map;
};

static void writer_keep(struct object_draft *draft, enum kept kept, struct writer *ret_writer)
{
	struct writer w = {.fd = fcntl(object_store_draft_fd(draft), F_DUPFD_CLOEXEC, 3)};

	assert_true(w.fd >= 0);
	w.map = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, w.fd, 0);
	assert_true(w.map != MAP_FAILED);
	if (kept != KEPT_MAPPING) {
		munmap(w.map, BLOCK);
		w.map = NULL;
	}
	if (kept != KEPT_DESCRIPTOR) {
		close(w.fd);
		w.fd = -1;
	}
	*ret_writer = w;
}

/* As far as it can: a memfd is sealed against it. */
static void writer_damage(struct writer *writer)
{
	if (writer->fd >= 0) {
		if (io_pwrite_all(writer->fd, "damaged", 7, 0) == 0)
			assert_int_equal(ftruncate(writer->fd, BLOCK), 0);
		close(writer->fd);
	}
	if (writer->map) {
		memcpy(writer->map, "damaged", 7);
		munmap(writer->map, BLOCK);
	}
}

/* What was checked stays what it is, whatever the writer has kept; the control: without owning it
 * does not. */
static void test_an_owned_draft_has_no_writer(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	uint8_t ulid[ULID_BYTES], written[SIZE], found[SIZE + 1];
	struct object_draft *draft;
	struct writer writer;
	size_t n;

	for (int i = 0; i < 2 * KEPTS; i++) {
		enum kept kept = (enum kept)(i % KEPTS);
		bool owned = i < KEPTS;
		ulid_at(1700000000000, (uint8_t)i, ulid);
		randombytes_buf(written, sizeof(written));
		assert_int_equal(object_store_create(store, ulid, &draft), 0);
		assert_int_equal(io_write_all(object_store_draft_fd(draft), written, SIZE), 0);
		writer_keep(draft, kept, &writer);
		object_store_draft_given(draft);
		if (owned) {
			assert_int_equal(object_store_own(draft), 0);
			assert_int_equal(object_store_own(draft), 0);
		}
		assert_int_equal(write(object_store_draft_fd(draft), "x", 1), -1);
		writer_damage(&writer);
		assert_int_equal(object_store_publish(draft), 0);
		object_store_draft_free(draft);
		_cleanup_close_ int fd = object_store_open_object(store, ulid);
		assert_int_equal(io_pread_full(fd, found, sizeof(found), 0, &n), 0);
		bool whole = n == SIZE && memcmp(found, written, SIZE) == 0;
		assert_int_equal(whole, owned || kept == KEPT_NOTHING);
	}
	assert_null(object_store_close(store));
	assert_int_equal(named_files(f), in_memory ? 0 : 2 * KEPTS);
}

/* A writer with a write lease cannot make the keeper wait: there is none to be had. */
static void test_a_writer_gets_no_lease(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	struct object_draft *draft;
	uint8_t ulid[ULID_BYTES];

	ulid_at(1700000000000, 1, ulid);
	assert_int_equal(object_store_create(store, ulid, &draft), 0);
	int fd = fcntl(object_store_draft_fd(draft), F_DUPFD_CLOEXEC, 3);
	object_store_draft_given(draft);
	assert_int_equal(fcntl(fd, F_SETLEASE, F_WRLCK), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fcntl(fd, F_SETLEASE, F_RDLCK), -1);
	close(fd);
	assert_int_equal(object_store_own(draft), 0);
	object_store_draft_free(draft);
	assert_null(object_store_close(store));
}

/* A large draft is copied in strides; one that is given up meanwhile leaves nothing. */
static void test_a_draft_is_copied_in_strides(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	off_t size = 2 * (off_t)OBJECT_OWN_STRIDE_BYTES + 1;
	struct object_draft *draft;
	uint8_t ulid[ULID_BYTES];
	struct stat st;

	for (int strides = 0; strides < 3; strides++) {
		ulid_at(1700000000000, (uint8_t)strides, ulid);
		assert_int_equal(object_store_create(store, ulid, &draft), 0);
		int fd = fcntl(object_store_draft_fd(draft), F_DUPFD_CLOEXEC, 3);
		assert_int_equal(ftruncate(fd, size), 0);
		for (int i = 0; i < strides; i++)
			assert_int_equal(object_store_own(draft), 1);
		if (strides == 2) {
			assert_int_equal(object_store_own(draft), 0);
			assert_int_equal(ftruncate(fd, 0), 0);
			assert_int_equal(fstat(object_store_draft_fd(draft), &st), 0);
			assert_int_equal(st.st_size, size);
		}
		close(fd);
		object_store_draft_free(draft);
	}
	assert_int_equal(named_files(f), 0);
	assert_null(object_store_close(store));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			of_folder(test_an_owned_draft_has_no_writer),
			of_memory(test_an_owned_draft_has_no_writer),
			of_folder(test_a_writer_gets_no_lease),
			of_folder(test_a_draft_is_copied_in_strides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
