/* Objects as local files. */
#include "tests/unit/support/folder_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <sys/stat.h>

#include "base/error.h"
#include "storage/objects/object_store.h"

static struct object_store *opened(struct folder *f)
{
	struct object_store *store;

	assert_int_equal(object_store_dir_open(f->path, &store), 0);
	return store;
}

static void ulid_at(uint64_t ms, uint8_t mark, uint8_t ret_ulid[static ULID_BYTES])
{
	ulid_new((int64_t)ms * 1000, ret_ulid);
	ret_ulid[15] = mark;
}

static int files;

static int count_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	files += type == FTW_F;
	return 0;
}

/* Files with a name, anywhere below the folder. */
static int named(struct folder *f)
{
	files = 0;
	assert_int_equal(nftw(f->path, count_file, 8, FTW_PHYS), 0);
	return files;
}

static void put(struct object_store *store, const uint8_t ulid[static ULID_BYTES], const char *text)
{
	struct object_draft draft;

	assert_int_equal(store->ops->create(store, ulid, &draft), 0);
	assert_int_equal(io_write_all(draft.fd, text, strlen(text)), 0);
	assert_int_equal(store->ops->publish(store, &draft), 0);
	object_draft_close(&draft);
}

static void test_nothing_is_visible_before_publish(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	struct object_draft draft;
	uint8_t ulid[ULID_BYTES];
	char text[8];
	size_t n;

	ulid_at(1700000000000, 1, ulid);
	assert_int_equal(store->ops->create(store, ulid, &draft), 0);
	assert_int_equal(io_write_all(draft.fd, "sealed", 6), 0);
	assert_int_equal(named(f), 0);
	assert_int_equal(store->ops->open(store, ulid), -ENOENT);
	assert_int_equal(store->ops->publish(store, &draft), 0);
	assert_int_equal(store->ops->sync(store), 0);
	assert_int_equal(named(f), 1);
	object_draft_close(&draft);
	object_draft_close(&draft); /* harmless */
	_cleanup_close_ int fd = store->ops->open(store, ulid);
	assert_true(fd >= 0);
	assert_int_equal(io_pread_full(fd, text, sizeof(text), 0, &n), 0);
	assert_int_equal(n, 6);
	assert_memory_equal(text, "sealed", 6);
	assert_int_equal(write(fd, "x", 1), -1);
	store->ops->close(store);
}

static void test_a_closed_draft_leaves_nothing(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	struct object_draft draft;
	uint8_t ulid[ULID_BYTES];

	ulid_at(1700000000000, 1, ulid);
	assert_int_equal(store->ops->create(store, ulid, &draft), 0);
	assert_int_equal(io_write_all(draft.fd, "sealed", 6), 0);
	object_draft_close(&draft);
	assert_int_equal(draft.fd, -1);
	assert_int_equal(named(f), 0);
	store->ops->close(store);
}

static void test_publish_never_replaces(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	struct object_draft draft;
	uint8_t ulid[ULID_BYTES];
	char text[8];
	size_t n;

	ulid_at(1700000000000, 1, ulid);
	put(store, ulid, "first");
	assert_int_equal(store->ops->create(store, ulid, &draft), 0);
	assert_int_equal(io_write_all(draft.fd, "second", 6), 0);
	assert_int_equal(store->ops->publish(store, &draft), -EEXIST);
	object_draft_close(&draft);
	_cleanup_close_ int fd = store->ops->open(store, ulid);
	assert_int_equal(io_pread_full(fd, text, sizeof(text), 0, &n), 0);
	assert_memory_equal(text, "first", 5);
	store->ops->close(store);
}

static void test_removal(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	uint8_t ulid[ULID_BYTES], other[ULID_BYTES];

	ulid_at(1700000000000, 1, ulid);
	ulid_at(1500000000000, 2, other);
	put(store, ulid, "sealed");
	assert_int_equal(store->ops->remove(store, ulid), 0);
	assert_int_equal(store->ops->sync(store), 0);
	assert_int_equal(store->ops->open(store, ulid), -ENOENT);
	assert_int_equal(store->ops->remove(store, ulid), 0);  /* gone already */
	assert_int_equal(store->ops->remove(store, other), 0); /* and its directory never was */
	store->ops->close(store);
}

/* More directories than are remembered at once. */
static void test_objects_of_many_days(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	uint8_t ulid[ULID_BYTES];
	char place[128], expected[256];

	for (uint64_t day = 0; day < 40; day++) {
		ulid_at(1700000000000 + day * 86400000, 1, ulid);
		put(store, ulid, "sealed");
	}
	assert_int_equal(store->ops->sync(store), 0);
	assert_int_equal(named(f), 40);
	store->ops->describe(ulid, place, sizeof(place));
	snprintf(expected, sizeof(expected), "%s/%s", f->path, place);
	assert_int_equal(access(expected, R_OK), 0);
	assert_null(strstr(place, ".."));
	store->ops->close(store);
}

static int is_known(void *context, const uint8_t ulid[static ULID_BYTES])
{
	(*(int *)context)++;
	return ulid[15] == 'k';
}

static int fails(void *context, const uint8_t ulid[static ULID_BYTES])
{
	return -EIO;
}

static void test_sweep_sets_aside_only_the_unknown_and_young(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	const uint64_t day_ms = 86400000, since_ms = 1700000000000;
	uint8_t old[ULID_BYTES], edge[ULID_BYTES], known[ULID_BYTES], unknown[ULID_BYTES];
	size_t removed = 99;
	int asked = 0;

	ulid_at(since_ms - day_ms, 'o', old);
	ulid_at(since_ms - 1, 'e', edge); /* old, but in the same directory as young ones */
	ulid_at(since_ms + 1, 'k', known);
	ulid_at(since_ms, 'u', unknown);
	put(store, old, "");
	put(store, edge, "");
	put(store, known, "");
	put(store, unknown, "");
	ulid_at(since_ms + day_ms, 'u', unknown);
	put(store, unknown, "");
	assert_int_equal(store->ops->witness_put(store, 3), 0);
	write_file(f, "stray", "not an object, and its name has five characters");
	assert_int_equal(store->ops->sweep(store, since_ms, fails, NULL, &removed), -EIO);
	assert_int_equal(removed, 99);
	assert_int_equal(store->ops->sweep(store, since_ms, is_known, &asked, &removed), 0);
	assert_int_equal(removed, 2);
	assert_int_equal(asked, 3);
	assert_int_equal(named(f), 5 + 1 + 1); /* all five, the witness and the stray */
	/* Known after all, it is found again; removed, it is gone under both names. */
	int fd = store->ops->open(store, unknown);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(store->ops->sweep(store, since_ms, is_known, &asked, &removed), 0);
	assert_int_equal(removed, 1);
	assert_int_equal(store->ops->remove(store, unknown), 0);
	assert_int_equal(store->ops->open(store, unknown), -ENOENT);
	assert_int_equal(store->ops->sweep(store, since_ms, is_known, &asked, &removed), 0);
	assert_int_equal(removed, 0);
	store->ops->close(store);
}

/* What a filesystem without unnamed files leaves after a crash. */
static void test_sweep_removes_unnamed_leftovers(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	uint8_t ulid[ULID_BYTES];
	char shard[8], path[128];
	size_t removed;
	int asked = 0;

	ulid_at(1700000000000, 'k', ulid);
	put(store, ulid, "");
	store->ops->describe(ulid, path, sizeof(path));
	snprintf(shard, sizeof(shard), "%.5s", path);
	snprintf(path, sizeof(path), "%s/.unnamed-0123456789abcdef", shard);
	write_file(f, path, "half");
	snprintf(path, sizeof(path), "%s/README", shard);
	write_file(f, path, "not ours");
	assert_int_equal(store->ops->sweep(store, 1600000000000, is_known, &asked, &removed), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(named(f), 2);
	store->ops->close(store);
}

static void test_the_witness_only_grows(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	static const uint64_t puts[] = {1, 2, 10, 9, 10, UINT64_MAX};
	static const uint64_t greatest[] = {1, 2, 10, 10, 10, UINT64_MAX};
	uint64_t epoch = 99;

	assert_int_equal(store->ops->witness_get(store, &epoch), 0);
	assert_int_equal(epoch, 0);
	for (size_t i = 0; i < ELEMENTSOF(puts); i++) {
		assert_int_equal(store->ops->witness_put(store, puts[i]), 0);
		assert_int_equal(store->ops->witness_get(store, &epoch), 0);
		assert_true(epoch == greatest[i]);
	}
	store->ops->close(store);
	store = opened(f);
	assert_int_equal(store->ops->witness_get(store, &epoch), 0);
	assert_true(epoch == UINT64_MAX);
	store->ops->close(store);
}

static void test_old_witnesses_go(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);

	for (uint64_t epoch = 1; epoch < 20; epoch++) {
		assert_int_equal(store->ops->witness_put(store, epoch), 0);
		assert_int_equal(named(f), 1);
	}
	store->ops->close(store);
}

/* Only exact names count. */
static void test_names_that_are_no_witness(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	static const char *const names[] = {"epoch-", "epoch-12x", "epoch-x", "xepoch-12",
			"epoch--5", "epoch-99999999999999999999999"};
	uint64_t epoch;

	assert_int_equal(store->ops->witness_put(store, 3), 0);
	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		write_file(f, names[i], "");
	assert_int_equal(store->ops->witness_get(store, &epoch), 0);
	assert_int_equal(epoch, 3);
	store->ops->close(store);
}

static void test_free_space(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	uint64_t bytes = 0;

	assert_int_equal(store->ops->free_bytes(store, &bytes), 0);
	assert_true(bytes > 0);
	store->ops->close(store);
}

static int start(void **state)
{
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_folder(test_nothing_is_visible_before_publish),
			in_folder(test_a_closed_draft_leaves_nothing),
			in_folder(test_publish_never_replaces),
			in_folder(test_removal),
			in_folder(test_objects_of_many_days),
			in_folder(test_sweep_sets_aside_only_the_unknown_and_young),
			in_folder(test_sweep_removes_unnamed_leftovers),
			in_folder(test_the_witness_only_grows),
			in_folder(test_old_witnesses_go),
			in_folder(test_names_that_are_no_witness),
			in_folder(test_free_space),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
