/* An account of thousands of recordings: noted, destroyed, and buried in many strides, with crashes
 * in between, while others are played. */
#include "tests/unit/support/erasure_fixture.h"
#include "tests/unit/support/faults.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/erasure/bury.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/erasure/erasure_room.h"
#include "daemon/keeper/erasure/retention.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/recordings.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/node_table.h"

#define MANY   5000
#define STRIDE 300
/* With what is kept for each, more than the test has room for. */
#define MANY_NOTES 40000

struct large {
	struct vault_fixture vault;
	vault_fixture_id bob;
	int64_t alice; /* the account of MANY */
	int64_t first; /* her oldest recording */
	int64_t group; /* which is in this group */
	int64_t last_group;
};

static int64_t count(struct large *large, const char *query)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;

	assert_int_equal(db_start(large->vault.vault->db, &q, query, ""), 0);
	assert_int_equal(db_next(large->vault.vault->db, q), 1);
	return sqlite3_column_int64(q, 0);
}

/* Catalog and keys, without an object. */
static void add_recording(struct large *large)
{
	struct vault *vault = large->vault.vault;
	struct recording_row row = {.account = large->alice,
			.state = RECORDING_SEALED,
			.class = "default",
			.recorded_us = large->vault.now_us,
			.expires_us = large->vault.now_us + US_PER_DAY,
			.plain_bytes = 5};
	uint8_t source[CATALOG_LOOKUP_BYTES];
	bool created;

	randombytes_buf(source, sizeof(source));
	ulid_new(large->vault.now_us, row.ulid);
	assert_int_equal(catalog_group_for(vault->db, row.account, 1, row.expires_us, &row.group,
					 &created),
			0);
	assert_int_equal(catalog_recording_add(vault->db, &row, source), 0);
	assert_int_equal(catalog_recording_set_private(vault->db, row.id, "a private name", 14), 0);
	struct key_path path = key_path_recording(row.account, row.group, row.id);
	assert_int_equal(keytree_add(vault->root.tree, &path, NULL, NULL), 0);
	large->last_group = row.group;
	if (!large->first) {
		large->first = row.id;
		large->group = row.group;
	}
}

static int open_large(void **state)
{
	struct large *large = calloc(1, sizeof(*large));
	struct account_row row;

	vault_fixture_open(&large->vault);
	vault_fixture_seal(&large->vault, "bob", "bob/call", 10, 1, &large->bob);
	uint8_t handle[CATALOG_HANDLE_BYTES];

	accounts_new_handle(handle);
	struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, large->vault.vault->db), 0);
	assert_int_equal(accounts_add(large->vault.vault->root.tree,
					 vault_clock_told_us(&large->vault.vault->clock), handle,
					 "alice", 5, &row),
			0);
	large->alice = row.id;
	catalog_account_clear(&row);
	for (int i = 0; i < MANY; i++)
		add_recording(large);
	assert_int_equal(db_transaction_commit(&transaction), 0);
	*state = large;
	return 0;
}

static int close_large(void **state)
{
	struct large *large = *state;

	vault_fixture_close(&large->vault);
	free(large);
	return 0;
}

static int erase(struct large *large, enum erasure_kind kind, enum erasure_cause cause,
		struct erasure_result *ret_result)
{
	struct erasure_item item = {.kind = kind,
			.cause = cause,
			.account = large->alice,
			.group = kind == ERASE_ACCOUNT ? 0 : large->group,
			.recording = kind == ERASE_RECORDING ? large->first : 0};

	return vault_fixture_run(large->vault.vault, &item, 1, 0, "a test", ret_result);
}

static int next_in_strides(
		struct db *db, struct recording_filter *filter, struct recording_row *ret_row)
{
	int r;

	do
		r = catalog_recording_next(db, filter, ret_row);
	while (r == -EAGAIN);
	return r;
}

/* As many as list --state finds, with and without --account; and the tally says the same. */
static int64_t in_state(struct large *large, enum recording_state state)
{
	struct db *db = large->vault.vault->db;
	struct recording_filter filter = {.account = large->alice, .state = state};
	struct recording_row row;
	struct tally tally;
	int64_t n = 0;

	while (next_in_strides(db, &filter, &row) == 0) {
		assert_int_equal(row.state, state);
		assert_int_equal(row.destroyed_us != 0, state >= RECORDING_DESTROYED);
		catalog_recording_clear(&row);
		n++;
	}
	assert_int_equal(catalog_tally_get(db, large->alice, &tally), 0);
	assert_int_equal(tally.count[state], n);
	assert_int_equal(tally.plain_bytes[state], 5 * n);
	filter = (struct recording_filter){.after_id = large->first - 1, .state = state};
	int r = next_in_strides(db, &filter, &row);
	assert_int_equal(r, n > 0 ? 0 : -ENOENT);
	if (r == 0)
		catalog_recording_clear(&row);
	return n;
}

static void assert_alice(struct large *large, int64_t sealed, int64_t pending, int64_t destroyed)
{
	assert_int_equal(in_state(large, RECORDING_SEALED), sealed);
	assert_int_equal(in_state(large, RECORDING_PENDING), pending);
	assert_int_equal(in_state(large, RECORDING_DESTROYED), destroyed);
	assert_int_equal(in_state(large, RECORDING_EXPIRED), MANY - sealed - pending - destroyed);
}

static void assert_bob_plays(struct large *large)
{
	struct recording_opened opened;
	struct recording_row row;

	vault_fixture_row(&large->vault, large->bob, &row);
	assert_int_equal(row.state, RECORDING_SEALED);
	assert_int_equal(recordings_open(&large->vault.vault->ingest.recordings, &row, &opened), 0);
	close(opened.object_fd);
	close(opened.key_fd);
	catalog_recording_clear(&row);
}

static int64_t unburied(struct large *large)
{
	return count(large, "SELECT count(*) FROM recording WHERE private = x'"
			    "612070726976617465206e616d65'");
}

/* Keys of a node's children, each by itself or sealed together. */
static int64_t keys_below(struct db *db, enum node_kind kind, int64_t id)
{
	_cleanup_free_ struct node_row *rows = NULL;
	uint64_t first, parent = key_path_node_id(kind, (uint64_t)id);
	size_t n;

	assert_int_equal(node_table_list(db, parent, &rows, &n), 0);
	return (int64_t)n +
	       (node_table_pack_find(db, NODE_PRESENT, parent, INT64_MAX, &first) == 0);
}

/* Keys below alice. */
static int64_t keys_left(struct large *large)
{
	struct db *db = large->vault.vault->db;
	int64_t n = keys_below(db, NODE_KIND_ACCOUNT, large->alice);

	for (int64_t group = large->group; group <= large->last_group; group++)
		n += keys_below(db, NODE_KIND_GROUP, group);
	return n;
}

static void assert_nothing_left(struct large *large)
{
	assert_int_equal(keys_left(large), 0);
	assert_int_equal(unburied(large), 0);
	assert_int_equal(count(large, "SELECT count(*) FROM burial"), 0);
	assert_int_equal(count(large, "SELECT count(*) FROM expiry_group"), 1);
	assert_int_equal(count(large, "SELECT count(*) FROM recording WHERE destroyed_us <> 0"),
			MANY);
}

/* At every point between the note and the last stride, which are many and bounded. */
static void test_from_note_to_last_stride(void **state)
{
	struct large *large = *state;
	struct erasure_result result;
	bool more = true;
	int strides = 0;

	faults_on_root(large->vault.vault);
	faults_arm(FAULT_EIO, 0, 1);
	assert_int_equal(erase(large, ERASE_ACCOUNT, CAUSE_SHRED, &result), -EIO);
	faults_disarm();
	assert_alice(large, 0, MANY, 0);
	assert_int_equal(erasure_retry(&large->vault.vault->eraser, NULL), 0);
	assert_alice(large, 0, 0, MANY);
	assert_int_equal(unburied(large), MANY);
	assert_true(keys_left(large) > MANY);
	for (; more; strides++) {
		int64_t before = unburied(large);
		assert_int_equal(bury_rows(large->vault.vault->db, STRIDE, &more, NULL), 0);
		assert_in_range(before - unburied(large), 0, STRIDE);
		assert_alice(large, 0, 0, MANY);
		assert_bob_plays(large);
		if (strides % 5 == 2)
			assert_int_equal(vault_fixture_reopen(&large->vault, 0, NULL), 0);
	}
	assert_in_range(strides, MANY / STRIDE + 2, 1000);
	assert_nothing_left(large);
	assert_int_equal(count(large, "SELECT count(*) FROM removal"), MANY);
	assert_int_equal(vault_fixture_reopen(&large->vault, 0, NULL), 0);
	assert_alice(large, 0, 0, MANY);
}

/* What the note and step 5 write does not grow with the recordings. */
static void test_the_erasure_itself_is_small(void **state)
{
	struct large *large = *state;
	struct erasure_result result;
	int64_t before = sqlite3_total_changes64(db_handle(large->vault.vault->db));

	assert_int_equal(erase(large, ERASE_ACCOUNT, CAUSE_SHRED, &result), 0);
	int64_t changes = sqlite3_total_changes64(db_handle(large->vault.vault->db)) - before;
	assert_in_range(changes, 1, MANY / 2);
	assert_int_equal(result.recordings, MANY);
	assert_int_equal(result.plain_bytes, 5 * MANY);
}

/* A recording, a group that expires, and the account, each before the last was buried. */
static void test_one_erasure_after_the_other(void **state)
{
	struct large *large = *state;
	struct erasure_result result;
	bool more = true;

	assert_int_equal(erase(large, ERASE_RECORDING, CAUSE_SHRED, &result), 0);
	assert_int_equal(result.recordings, 1);
	assert_alice(large, MANY - 1, 0, 1);
	assert_int_equal(erase(large, ERASE_GROUP, CAUSE_EXPIRY, &result), 0);
	assert_int_equal(result.recordings, GROUP_MEMBERS_MAX - 1);
	assert_alice(large, MANY - GROUP_MEMBERS_MAX, 0, 1);
	assert_int_equal(bury_rows(large->vault.vault->db, 10, &more, NULL), 0);
	assert_true(more);
	assert_int_equal(erase(large, ERASE_ACCOUNT, CAUSE_SHRED, &result), 0);
	assert_int_equal(result.recordings, MANY - GROUP_MEMBERS_MAX);
	while (more) {
		assert_alice(large, 0, 0, MANY - GROUP_MEMBERS_MAX + 1);
		assert_int_equal(bury_rows(large->vault.vault->db, STRIDE, &more, NULL), 0);
	}
	assert_alice(large, 0, 0, MANY - GROUP_MEMBERS_MAX + 1);
	assert_nothing_left(large);
	assert_int_equal(count(large, "SELECT count(DISTINCT destroyed_epoch) FROM recording"
				      " WHERE destroyed_us <> 0"),
			3);
}

static void never(void *context)
{
	fail_msg("the vault is stuck");
}

static void give_up(uv_timer_t *timer)
{
	fail_msg("it was never buried");
}

/* On the loop: others have their turn after every stride. */
static void test_the_loop_goes_on(void **state)
{
	struct large *large = *state;
	struct erasure_result result;
	struct retention *retention;
	uv_timer_t limit;
	uv_loop_t loop;
	int turns = 0;

	assert_int_equal(erase(large, ERASE_ACCOUNT, CAUSE_SHRED, &result), 0);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(
			vault_fixture_retention(large->vault.vault, &loop, never, NULL, &retention),
			0);
	uv_timer_init(&loop, &limit);
	uv_timer_start(&limit, give_up, 60000, 0);
	for (; count(large, "SELECT count(*) FROM burial") > 0 ||
			count(large, "SELECT count(*) FROM removal") > 0;
			turns++) {
		int64_t before = unburied(large);
		uv_run(&loop, UV_RUN_ONCE);
		assert_in_range(before - unburied(large), 0, 1024);
	}
	assert_in_range(turns, 6, 1000);
	assert_nothing_left(large);
	uv_close((uv_handle_t *)&limit, NULL);
	assert_null(retention_stop(retention));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* In a process of its own: buries row by row, until the fault. */
static void bury_in_child(struct erasure_fixture *scene, enum fault fault, unsigned at)
{
	bool more = true;

	faults_on_database(true);
	if (vault_fixture_reopen(&scene->vault, 0, NULL) < 0)
		_exit(1);
	faults_arm(fault, at, 1);
	while (more) {
		if (bury_rows(scene->vault.vault->db, 1, &more, NULL) < 0)
			_exit(2);
	}
	_exit(0);
}

static void test_a_crash_at_every_operation(void **state)
{
	static const enum fault crashes[] = {FAULT_EXIT_BEFORE, FAULT_EXIT_TORN, FAULT_EXIT_AFTER};
	int status = FAULT_EXIT_CODE;

	for (unsigned at = 0; status == FAULT_EXIT_CODE; at += 2) {
		struct erasure_fixture scene;
		bool more = true;
		erasure_fixture_open(&scene);
		assert_int_equal(erasure_fixture_erase(&scene), 0);
		vault_fixture_shut(&scene.vault);
		pid_t pid = fork();
		if (pid == 0)
			bury_in_child(&scene, crashes[at / 2 % ELEMENTSOF(crashes)], at);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		status = WEXITSTATUS(status);
		assert_true(status == 0 || status == FAULT_EXIT_CODE);
		assert_true(erasure_fixture_recovers(&scene));
		while (more)
			assert_int_equal(bury_rows(scene.vault.vault->db, 1, &more, NULL), 0);
		assert_true(erasure_fixture_holds(&scene));
		assert_true(status == 0 || at < 1000);
		assert_true(status == FAULT_EXIT_CODE || at > 10);
		erasure_fixture_close(&scene);
	}
}

#define IN_LARGE(test) cmocka_unit_test_setup_teardown(test, open_large, close_large)

/* How much room there is; by both names that the C library has for it. */
int __real_fstatvfs(int fd, struct statvfs *ret);
int __wrap_fstatvfs(int fd, struct statvfs *ret);
int __wrap_fstatvfs64(int fd, struct statvfs *ret);

int __real_posix_fallocate(int fd, off_t offset, off_t len);
int __wrap_posix_fallocate(int fd, off_t offset, off_t len);
int __wrap_posix_fallocate64(int fd, off_t offset, off_t len);

static uint64_t room;

/* The log's file may become longer by as much as there is room. */
int __wrap_posix_fallocate(int fd, off_t offset, off_t len)
{
	struct stat st;

	if (room > 0 && (fstat(fd, &st) < 0 || offset + len > st.st_size + (off_t)room))
		return ENOSPC;
	return __real_posix_fallocate(fd, offset, len);
}

int __wrap_posix_fallocate64(int fd, off_t offset, off_t len)
{
	return __wrap_posix_fallocate(fd, offset, len);
}

int __wrap_fstatvfs(int fd, struct statvfs *ret)
{
	int r = __real_fstatvfs(fd, ret);

	if (room > 0)
		ret->f_bavail = room / ret->f_frsize;
	return r;
}

int __wrap_fstatvfs64(int fd, struct statvfs *ret)
{
	return __wrap_fstatvfs(fd, ret);
}

/* Much was noted while nothing could be erased: that needs room, but no more than all keys do. */
static void test_room_for_many_notes(void **state)
{
	struct erasure_item *items = calloc(MANY_NOTES, sizeof(*items));
	struct erasure_result result;
	struct erasure_fixture scene;

	erasure_fixture_open(&scene);
	for (size_t i = 0; i < MANY_NOTES; i++) {
		items[i] = vault_fixture_item(&scene.vault, ERASE_GROUP, scene.id[0]);
		items[i].group += i > 0 ? 1000 + (int64_t)i : 0;
	}
	room = 10 << 20;
	assert_int_equal(vault_fixture_run(scene.vault.vault, items, MANY_NOTES, 0, NULL, &result),
			-ENOSPC);
	assert_int_equal(vault_fixture_state(&scene.vault, scene.id[0]), RECORDING_PENDING);
	room = 40 << 20;
	assert_int_equal(erasure_retry(&scene.vault.vault->eraser, NULL), 0);
	assert_int_equal(vault_fixture_state(&scene.vault, scene.id[0]), RECORDING_DESTROYED);
	assert_int_equal(
			vault_fixture_state(&scene.vault, scene.id[SCENE_ALICE]), RECORDING_SEALED);
	room = 0;
	free(items);
	erasure_fixture_close(&scene);
}

int __real_erasure_room_take_rest(const struct root *root, uint64_t staged, struct reason *reason);
int __wrap_erasure_room_take_rest(const struct root *root, uint64_t staged, struct reason *reason);

static bool no_rest;

int __wrap_erasure_room_take_rest(const struct root *root, uint64_t staged, struct reason *reason)
{
	assert_in_range(staged, 4096, 1 << 20);
	return no_rest ? -ENOSPC : __real_erasure_room_take_rest(root, staged, reason);
}

/* The stage shows that it will take more than was thought, and there is no room for that: no slot is
 * touched, the order is pending, and it is carried out when there is room. */
static void test_no_room_for_the_rest(void **state)
{
	uint8_t root[NODE_KEY_BYTES];
	struct erasure_fixture scene;
	uint64_t epoch = 0;

	erasure_fixture_open(&scene);
	no_rest = true;
	assert_int_equal(erasure_fixture_erase(&scene), -ENOSPC);
	no_rest = false;
	assert_int_equal(vault_fixture_state(&scene.vault, scene.id[0]), RECORDING_PENDING);
	assert_int_equal(erasure_fixture_slots(&scene, root, &epoch), 1);
	assert_memory_equal(root, scene.old_root, sizeof(root));
	assert_int_equal(node_table_any_staged(scene.vault.vault->db), 0);
	assert_int_equal(erasure_retry(&scene.vault.vault->eraser, NULL), 0);
	assert_true(erasure_fixture_recovers(&scene));
	erasure_fixture_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			IN_LARGE(test_from_note_to_last_stride),
			IN_LARGE(test_the_erasure_itself_is_small),
			IN_LARGE(test_one_erasure_after_the_other),
			IN_LARGE(test_the_loop_goes_on),
			cmocka_unit_test(test_room_for_many_notes),
			cmocka_unit_test(test_no_room_for_the_rest),
			cmocka_unit_test(test_a_crash_at_every_operation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
