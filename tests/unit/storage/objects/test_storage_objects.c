/* What every store promises, held against each kind; and what only a folder does. */
#include "tests/unit/support/objects_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <sys/stat.h>

#include "base/error.h"
#include "storage/objects/object_table.h"

/* How many files have a name, of a store in a folder. */
static void assert_named(struct folder *f, int expected)
{
	if (!in_memory)
		assert_int_equal(named_files(f), expected);
}

static void put(struct object_store *store, const uint8_t ulid[static ULID_BYTES], const char *text)
{
	struct object_draft *draft;

	assert_int_equal(object_store_create(store, ulid, &draft), 0);
	assert_int_equal(io_write_all(object_store_draft_fd(draft), text, strlen(text)), 0);
	assert_int_equal(object_store_publish(draft), 0);
	object_store_draft_free(draft);
}

static void test_nothing_is_visible_before_publish(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	struct object_draft *draft;
	uint8_t ulid[ULID_BYTES];
	char text[8];
	size_t n;

	ulid_at(1700000000000, 1, ulid);
	assert_int_equal(object_store_create(store, ulid, &draft), 0);
	assert_int_equal(io_write_all(object_store_draft_fd(draft), "sealed", 6), 0);
	assert_named(f, 0);
	assert_int_equal(object_store_open_object(store, ulid), -ENOENT);
	assert_int_equal(object_store_publish(draft), 0);
	assert_int_equal(object_store_sync_published(store), 0);
	assert_named(f, 1);
	assert_null(object_store_draft_free(draft));
	assert_null(object_store_draft_free(NULL));
	_cleanup_close_ int fd = object_store_open_object(store, ulid);
	assert_true(fd >= 0);
	assert_int_equal(io_pread_full(fd, text, sizeof(text), 0, &n), 0);
	assert_int_equal(n, 6);
	assert_memory_equal(text, "sealed", 6);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_null(object_store_close(store));
}

static void test_a_closed_draft_leaves_nothing(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	struct object_draft *draft;
	uint8_t ulid[ULID_BYTES];

	ulid_at(1700000000000, 1, ulid);
	assert_int_equal(object_store_create(store, ulid, &draft), 0);
	assert_int_equal(io_write_all(object_store_draft_fd(draft), "sealed", 6), 0);
	assert_null(object_store_draft_free(draft));
	assert_int_equal(object_store_open_object(store, ulid), -ENOENT);
	assert_named(f, 0);
	assert_null(object_store_close(store));
}

static void test_publish_never_replaces(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	struct object_draft *draft;
	uint8_t ulid[ULID_BYTES];
	char text[8];
	size_t n;

	ulid_at(1700000000000, 1, ulid);
	put(store, ulid, "first");
	assert_int_equal(object_store_create(store, ulid, &draft), 0);
	assert_int_equal(io_write_all(object_store_draft_fd(draft), "second", 6), 0);
	assert_int_equal(object_store_publish(draft), -EEXIST);
	object_store_draft_free(draft);
	_cleanup_close_ int fd = object_store_open_object(store, ulid);
	assert_int_equal(io_pread_full(fd, text, sizeof(text), 0, &n), 0);
	assert_memory_equal(text, "first", 5);
	assert_null(object_store_close(store));
}

static void test_removal(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	uint8_t ulid[ULID_BYTES], other[ULID_BYTES];

	ulid_at(1700000000000, 1, ulid);
	ulid_at(1500000000000, 2, other);
	put(store, ulid, "sealed");
	assert_int_equal(object_store_remove(store, ulid), 0);
	assert_int_equal(object_store_sync_removed(store), 0);
	assert_int_equal(object_store_open_object(store, ulid), -ENOENT);
	assert_int_equal(object_store_remove(store, ulid), 0);  /* gone already */
	assert_int_equal(object_store_remove(store, other), 0); /* and its directory never was */
	assert_null(object_store_close(store));
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
	assert_int_equal(object_store_sync_published(store), 0);
	assert_named(f, 40);
	object_store_describe(store, ulid, place, sizeof(place));
	snprintf(expected, sizeof(expected), "%s/%s", f->path, place);
	assert_int_equal(access(expected, R_OK), in_memory ? -1 : 0);
	assert_null(strstr(place, ".."));
	assert_null(object_store_close(store));
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

/* A whole sweep, an entry at a time. */
static int sweep_all(struct object_store *store, uint64_t since_ms, object_known known,
		void *context, size_t *ret_set_aside)
{
	struct object_sweep *sweep;
	size_t set_aside = 0;
	int r = object_store_sweep_begin(store, since_ms, known, context, &sweep);

	assert_int_equal(r, 0);
	do
		r = object_store_sweep_stride(sweep, 1, &set_aside);
	while (r > 0);
	assert_null(object_store_sweep_end(sweep));
	if (r == 0)
		*ret_set_aside = set_aside;
	return r;
}

/* The store is in use while it is swept: what is being written, and what was published and is not in
 * the catalog yet, stays. Given up, it is swept like anything else. */
static void test_sweep_spares_what_is_under_way(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	struct object_draft *draft, *published;
	uint8_t one[ULID_BYTES], two[ULID_BYTES];
	size_t set_aside = 9;
	int asked = 0;

	ulid_at(1700000000000, 'u', one);
	ulid_at(1700000000001, 'u', two);
	assert_int_equal(object_store_create(store, one, &draft), 0);
	assert_int_equal(object_store_create(store, two, &published), 0);
	assert_int_equal(object_store_publish(published), 0);
	assert_int_equal(sweep_all(store, 0, is_known, &asked, &set_aside), 0);
	assert_int_equal(set_aside, 0);
	assert_int_equal(object_store_publish(draft), 0);
	assert_null(object_store_draft_free(draft));
	assert_int_equal(sweep_all(store, 0, is_known, &asked, &set_aside), 0);
	assert_int_equal(set_aside, 1);
	assert_null(object_store_draft_free(published));
	assert_int_equal(sweep_all(store, 0, is_known, &asked, &set_aside), 0);
	assert_int_equal(set_aside, 1);
	assert_null(object_store_close(store));
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
	assert_int_equal(object_store_witness_put(store, 3), 0);
	write_file(f, "stray", "not an object, and its name has five characters");
	assert_int_equal(sweep_all(store, since_ms, fails, NULL, &removed), -EIO);
	assert_int_equal(removed, 99);
	assert_int_equal(sweep_all(store, since_ms, is_known, &asked, &removed), 0);
	assert_int_equal(removed, 2);
	assert_int_equal(asked, 3);
	assert_named(f, 5 + 1 + 1); /* all five, the witness and the stray */
	/* Known after all, it is found again; removed, it is gone under both names. */
	int fd = object_store_open_object(store, unknown);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sweep_all(store, since_ms, is_known, &asked, &removed), 0);
	assert_int_equal(removed, 1);
	assert_int_equal(object_store_remove(store, unknown), 0);
	assert_int_equal(object_store_open_object(store, unknown), -ENOENT);
	assert_int_equal(sweep_all(store, since_ms, is_known, &asked, &removed), 0);
	assert_int_equal(removed, 0);
	assert_null(object_store_close(store));
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
	object_store_describe(store, ulid, path, sizeof(path));
	snprintf(shard, sizeof(shard), "%.5s", path);
	snprintf(path, sizeof(path), "%s/.unnamed-0123456789abcdef", shard);
	write_file(f, path, "half");
	snprintf(path, sizeof(path), "%s/README", shard);
	write_file(f, path, "not ours");
	assert_int_equal(sweep_all(store, 1600000000000, is_known, &asked, &removed), 0);
	assert_int_equal(removed, 0);
	assert_named(f, 2);
	assert_null(object_store_close(store));
}

static void test_the_witness_only_grows(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	static const uint64_t puts[] = {1, 2, 10, 9, 10, UINT64_MAX};
	static const uint64_t greatest[] = {1, 2, 10, 10, 10, UINT64_MAX};
	uint64_t epoch = 99;

	assert_int_equal(object_store_witness_get(store, &epoch), 0);
	assert_int_equal(epoch, 0);
	for (size_t i = 0; i < ELEMENTSOF(puts); i++) {
		assert_int_equal(object_store_witness_put(store, puts[i]), 0);
		assert_int_equal(object_store_witness_get(store, &epoch), 0);
		assert_true(epoch == greatest[i]);
	}
	assert_null(object_store_close(store));
	store = opened(f);
	assert_int_equal(object_store_witness_get(store, &epoch), 0);
	assert_true(epoch == (in_memory ? 0 : UINT64_MAX));
	assert_null(object_store_close(store));
}

static int count_reminders(void *context, const uint8_t *data, size_t len)
{
	unsigned *sum = context;

	*sum += len == 3 ? data[0] : 1000;
	return 0;
}

static unsigned reminders_of(struct object_store *store, uint64_t epoch)
{
	unsigned sum = 0;

	assert_int_equal(object_store_reminder_each(store, epoch, count_reminders, &sum), 0);
	return sum;
}

static void test_reminders(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	uint8_t tag[2][OBJECT_STORE_TAG_BYTES] = {{1}, {2}};
	static uint8_t much[OBJECT_STORE_REMINDER_MAX + 1];

	assert_int_equal(reminders_of(store, 7), 0);
	assert_int_equal(object_store_reminder_put(store, 7, tag[0], "\1ab", 3), 0);
	assert_int_equal(object_store_reminder_put(store, 7, tag[1], "\2ab", 3), 0);
	assert_int_equal(object_store_reminder_put(store, 8, tag[0], "\4ab", 3), 0);
	/* One that is there stays as it is. */
	assert_int_equal(object_store_reminder_put(store, 7, tag[0], "\10ab", 3), 0);
	assert_int_equal(object_store_reminder_put(store, 7, tag[0], much, sizeof(much)), -EINVAL);
	assert_int_equal(object_store_reminder_put(store, 7, tag[0], "", 0), -EINVAL);
	assert_int_equal(reminders_of(store, 7), 3);
	assert_int_equal(reminders_of(store, 8), 4);
	assert_null(object_store_close(store));
	if (in_memory)
		return;
	store = opened(f);
	assert_int_equal(reminders_of(store, 7), 3);
	assert_int_equal(object_store_reminder_expire(store, 8), 0);
	assert_int_equal(reminders_of(store, 7), 0);
	assert_int_equal(reminders_of(store, 8), 4);
	assert_named(f, 1);
	assert_null(object_store_close(store));
}

static void test_old_witnesses_go(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);

	for (uint64_t epoch = 1; epoch < 20; epoch++) {
		assert_int_equal(object_store_witness_put(store, epoch), 0);
		assert_named(f, 1);
	}
	assert_null(object_store_close(store));
}

/* Only exact names count. */
static void test_names_that_are_no_witness(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	static const char *const names[] = {"epoch-", "epoch-12x", "epoch-x", "xepoch-12",
			"epoch--5", "epoch-99999999999999999999999"};
	uint64_t epoch;

	assert_int_equal(object_store_witness_put(store, 3), 0);
	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		write_file(f, names[i], "");
	assert_int_equal(object_store_witness_get(store, &epoch), 0);
	assert_int_equal(epoch, 3);
	assert_null(object_store_close(store));
}

static void test_free_space(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	uint64_t bytes = 0;

	assert_int_equal(object_store_free_bytes(store, &bytes), 0);
	assert_true(bytes > 0);
	assert_null(object_store_close(store));
}

static void test_a_range_of_an_object(void **state)
{
	struct object_store *store = opened(*state);
	uint8_t ulid[ULID_BYTES];
	char text[8] = "";
	size_t n = 99;

	ulid_at(1700000000000, 1, ulid);
	assert_int_equal(object_store_read(store, ulid, 0, text, 1, &n), -ENOENT);
	put(store, ulid, "0123456789");
	assert_int_equal(object_store_read(store, ulid, 3, text, 4, &n), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(text, "3456", 4);
	assert_int_equal(object_store_read(store, ulid, 8, text, 8, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(object_store_read(store, ulid, 10, text, 8, &n), 0);
	assert_int_equal(n, 0);
	assert_null(object_store_close(store));
}

/* Across blocks, and to an end that is at no block's; without a change to what the writer holds. */
static void test_a_draft_is_read_back(void **state)
{
	enum { BLOCK = OBJECT_STORE_BLOCK_BYTES, SIZE = 5 * BLOCK + 17 };
	struct object_store *store = opened(*state);
	uint8_t ulid[ULID_BYTES], written[SIZE];
	struct object_draft *draft;
	size_t n;
	uint8_t *found = aligned_alloc(BLOCK, 8 * BLOCK);

	ulid_at(1700000000000, 1, ulid);
	randombytes_buf(written, sizeof(written));
	assert_int_equal(object_store_create(store, ulid, &draft), 0);
	int fd = object_store_draft_fd(draft), flags = fcntl(fd, F_GETFL);
	assert_int_equal(io_write_all(fd, written, SIZE), 0);
	assert_int_equal(durable_sync(fd), 0);
	assert_int_equal(object_store_read_back(draft, 0, found, 2 * BLOCK, &n), 0);
	assert_int_equal(n, 2 * BLOCK);
	assert_memory_equal(found, written, n);
	assert_int_equal(object_store_read_back(draft, 2 * BLOCK, found, 8 * BLOCK, &n), 0);
	assert_int_equal(n, SIZE - 2 * BLOCK);
	assert_memory_equal(found, written + 2 * BLOCK, n);
	assert_int_equal(object_store_read_back(draft, 6 * BLOCK, found, BLOCK, &n), 0);
	assert_int_equal(n, 0);
	/* What is written later is seen too: nothing was kept. */
	assert_int_equal(io_pwrite_all(fd, "x", 1, BLOCK), 0);
	assert_int_equal(durable_sync(fd), 0);
	assert_int_equal(object_store_read_back(draft, BLOCK, found, BLOCK, &n), 0);
	assert_int_equal(found[0], 'x');
	assert_int_equal(fcntl(fd, F_GETFL), flags);
	object_store_draft_free(draft);
	free(found);
	assert_null(object_store_close(store));
}

#define MANY 300

/* Spread over so many folders that the lists of what is to be synced overflow. */
static void ulid_of_many(uint64_t i, uint8_t mark, uint8_t ret_ulid[static ULID_BYTES])
{
	ulid_at(1700000000000 + i * 40000000, mark, ret_ulid);
	memset(ret_ulid + 6, 0, 9);
}

/* In other threads nothing may be asserted: they count what fails. */
static size_t publish_one(struct object_store *store, const uint8_t ulid[static ULID_BYTES])
{
	struct object_draft *draft;

	if (object_store_create(store, ulid, &draft) < 0)
		return 1;
	int r = object_store_publish(draft);
	object_store_draft_free(draft);
	return r < 0 || object_store_sync_published(store) < 0;
}

struct worker {
	struct object_store *store;
	size_t failures;
};

static void *publish_many(void *context)
{
	struct worker *worker = context;
	uint8_t ulid[ULID_BYTES];

	for (uint64_t i = 0; i < MANY; i++) {
		ulid_of_many(i, 'p', ulid);
		worker->failures += publish_one(worker->store, ulid);
	}
	return NULL;
}

static void *remove_many(void *context)
{
	struct worker *worker = context;
	uint8_t ulid[ULID_BYTES];

	for (uint64_t i = 0; i < MANY; i++) {
		ulid_of_many(i, 'r', ulid);
		worker->failures += object_store_remove(worker->store, ulid) < 0;
		worker->failures += object_store_sync_removed(worker->store) < 0;
	}
	return NULL;
}

static void test_a_burial_beside_commits(void **state)
{
	struct object_store *store = opened(*state);
	struct worker publisher = {.store = store}, remover = {.store = store};
	pthread_t publishing, removing;
	uint8_t ulid[ULID_BYTES];

	for (uint64_t i = 0; i < MANY; i++) {
		ulid_of_many(i, 'r', ulid);
		put(store, ulid, "old");
	}
	assert_int_equal(pthread_create(&publishing, NULL, publish_many, &publisher), 0);
	assert_int_equal(pthread_create(&removing, NULL, remove_many, &remover), 0);
	for (uint64_t epoch = 1; epoch < 50; epoch++)
		assert_int_equal(object_store_witness_put(store, epoch), 0);
	pthread_join(publishing, NULL);
	pthread_join(removing, NULL);
	assert_int_equal(publisher.failures + remover.failures, 0);
	assert_named(*state, MANY + 1);
	for (uint64_t i = 0; i < MANY; i++) {
		ulid_of_many(i, 'p', ulid);
		_cleanup_close_ int fd = object_store_open_object(store, ulid);
		assert_true(fd >= 0);
		ulid_of_many(i, 'r', ulid);
		assert_int_equal(object_store_open_object(store, ulid), -ENOENT);
	}
	assert_null(object_store_close(store));
}

/* A failed sync reaches the one whose objects it is about, and only once. */
static int broken_fd = -1;

int __real_durable_sync(int fd);
int __wrap_durable_sync(int fd);
int __wrap_durable_sync(int fd)
{
	struct stat broken, st;

	if (broken_fd >= 0 && fstat(broken_fd, &broken) == 0 && fstat(fd, &st) == 0 &&
			broken.st_ino == st.st_ino)
		return -EIO;
	return __real_durable_sync(fd);
}

static void test_a_failed_sync_is_told_once_to_each(void **state)
{
	struct folder *f = *state;
	struct object_store *store = opened(f);
	uint8_t ulid[ULID_BYTES];
	char path[256], place[64];

	ulid_at(1700000000000, 1, ulid);
	put(store, ulid, "");
	assert_int_equal(object_store_sync_published(store), 0);
	ulid_at(1700000000000, 2, ulid);
	put(store, ulid, "");
	assert_int_equal(object_store_remove(store, ulid), 0);
	object_store_describe(store, ulid, place, sizeof(place));
	snprintf(path, sizeof(path), "%s/%.5s", f->path, place);
	broken_fd = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(broken_fd >= 0);
	assert_int_equal(object_store_sync_removed(store), -EIO);
	assert_int_equal(object_store_sync_removed(store), 0);
	assert_int_equal(object_store_sync_published(store), -EIO);
	assert_int_equal(object_store_sync_published(store), 0);
	/* Also when it is the want of room in the list that made it sync. */
	put(store, ulid, "");
	for (uint64_t day = 1; day < 40; day++) {
		ulid_at(1700000000000 + day * 86400000, 1, ulid);
		put(store, ulid, "");
	}
	assert_int_equal(object_store_sync_published(store), -EIO);
	close(broken_fd);
	broken_fd = -1;
	assert_int_equal(object_store_sync_published(store), 0);
	assert_null(object_store_close(store));
}

static void test_a_location_of_no_kind(void **state)
{
	struct object_store *store = NULL;

	assert_int_equal(object_store_open("s3://bucket", &store), -EPROTONOSUPPORT);
	assert_int_equal(object_store_open("relative", &store), -EPROTONOSUPPORT);
	assert_int_equal(object_store_open("/nonexistent/folder", &store), -ENOENT);
	assert_null(store);
	assert_null(object_store_close(NULL));
}

static int start(void **state)
{
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			of_each(test_nothing_is_visible_before_publish),
			of_each(test_a_closed_draft_leaves_nothing),
			of_each(test_publish_never_replaces),
			of_each(test_removal),
			of_each(test_objects_of_many_days),
			of_each(test_sweep_sets_aside_only_the_unknown_and_young),
			of_each(test_sweep_spares_what_is_under_way),
			of_folder(test_sweep_removes_unnamed_leftovers),
			of_each(test_the_witness_only_grows),
			of_each(test_reminders),
			of_folder(test_old_witnesses_go),
			of_folder(test_names_that_are_no_witness),
			of_each(test_free_space),
			of_each(test_a_range_of_an_object),
			of_each(test_a_draft_is_read_back),
			of_each(test_a_burial_beside_commits),
			of_folder(test_a_failed_sync_is_told_once_to_each),
			cmocka_unit_test(test_a_location_of_no_kind),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
