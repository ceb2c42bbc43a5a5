/* Expiry groups, and the notes of erasures under way. */
#include "tests/unit/support/storage_fixture.h"

#include <errno.h>

#include "storage/tables/erasure_table.h"

static int64_t join(
		struct store *s, int64_t account, int64_t bucket, int64_t expires_us, bool created)
{
	int64_t group = 0;
	bool made;

	assert_int_equal(catalog_group_for(s->db, account, bucket, expires_us, &group, &made), 0);
	assert_int_equal(made, created);
	return group;
}

static int64_t seal(struct store *s, int64_t account, int64_t group, uint8_t mark)
{
	uint8_t source[CATALOG_LOOKUP_BYTES] = {mark};
	struct recording_row row = {.ulid = {mark},
			.account = account,
			.group = group,
			.state = RECORDING_SEALED,
			.plain_bytes = 5};

	assert_int_equal(catalog_recording_add(s->db, &row, source), 0);
	return row.id;
}

static void test_members_share_a_group_until_it_is_full(void **state)
{
	struct store *s = *state;
	int64_t first, second;

	struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	first = join(s, 1, 10, 1000, true);
	for (int i = 1; i < GROUP_MEMBERS_MAX; i++)
		assert_int_equal(join(s, 1, 10, 1000 + i, false), first);
	second = join(s, 1, 10, 1000, true);
	assert_true(second > first);
	assert_int_equal(join(s, 1, 10, 1000, false), second);
	/* Room that becomes free is used. */
	assert_int_equal(catalog_group_drop(s->db, second), 0);
	assert_int_equal(catalog_group_leave(s->db, first), 0);
	assert_int_equal(join(s, 1, 10, 1000, false), first);
	/* Neither another account nor another bucket shares it, and ids are never used again. */
	assert_int_equal(catalog_group_leave(s->db, first), 0);
	assert_true(join(s, 2, 10, 1000, true) > second);
	assert_true(join(s, 1, 11, 1000, true) > second + 1);
	assert_int_equal(db_transaction_commit(&transaction), 0);
}

static void test_a_group_is_due_with_its_last_member(void **state)
{
	struct store *s = *state;
	struct due_group due[4];
	int64_t next = 0;
	size_t n = 99;

	assert_int_equal(catalog_group_next_due(s->db, &next), -ENOENT);
	assert_int_equal(catalog_group_due(s->db, INT64_MAX, due, 4, &n), 0);
	assert_int_equal(n, 0);
	join(s, 1, 10, 1000, true);
	join(s, 1, 10, 3000, false);
	join(s, 1, 10, 2000, false);
	join(s, 2, 10, 1500, true);
	join(s, 3, 10, 2500, true);
	assert_int_equal(catalog_group_next_due(s->db, &next), 0);
	assert_int_equal(next, 1500);
	assert_int_equal(catalog_group_due(s->db, 1499, due, 4, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(catalog_group_due(s->db, 2999, due, 4, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(due[0].account, 2);
	assert_int_equal(due[1].account, 3);
	assert_int_equal(catalog_group_due(s->db, 3000, due, 4, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(due[2].account, 1);
	assert_int_equal(catalog_group_due(s->db, 3000, due, 2, &n), 0);
	assert_int_equal(n, 2);
}

static void test_some_groups_of_an_account(void **state)
{
	struct store *s = *state;
	int64_t groups[2];
	size_t n, all = 0;

	for (int64_t bucket = 0; bucket < 5; bucket++)
		join(s, 1 + bucket % 2, bucket, 1, true);
	do {
		assert_int_equal(catalog_group_some(s->db, 1, groups, 2, &n), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(catalog_group_drop(s->db, groups[i]), 0);
		all += n;
	} while (n == 2);
	assert_int_equal(all, 3);
	assert_int_equal(catalog_group_drop(s->db, groups[0]), 1);
	assert_int_equal(ask(s, "SELECT count(*) FROM expiry_group WHERE account = 1"), 0);
	assert_int_equal(ask(s, "SELECT count(*) FROM expiry_group"), 2);
}

struct items {
	struct erasure_item item[8];
	size_t n;
};

static int collect(void *context, const struct erasure_item *item)
{
	struct items *items = context;

	items->item[items->n++] = *item;
	return 0;
}

static void test_notes_are_idempotent(void **state)
{
	struct store *s = *state;
	int64_t group = join(s, 1, 10, 1000, true), id = seal(s, 1, group, 'a');
	struct erasure_item item = {.kind = ERASE_RECORDING,
			.cause = CAUSE_SHRED,
			.account = 1,
			.group = group,
			.recording = id};
	struct tally tally;

	for (int i = 0; i < 3; i++) {
		struct items items = {.n = 0};
		assert_int_equal(erasure_table_note(s->db, &item), 0);
		assert_int_equal(erasure_table_each(s->db, collect, &items), 0);
		assert_int_equal(items.n, 1);
		assert_int_equal(items.item[0].recording, id);
		assert_int_equal(items.item[0].cause, CAUSE_SHRED);
		assert_int_equal(catalog_tally_get(s->db, 1, &tally), 0);
		assert_int_equal(tally.count[RECORDING_PENDING], 1);
		assert_int_equal(tally.count[RECORDING_SEALED], 0);
	}
}

/* What is noted is about to die: nothing new may join it. */
static void test_nothing_joins_a_noted_group(void **state)
{
	struct store *s = *state;
	int64_t group = join(s, 1, 10, 1000, true);
	struct erasure_item item = {
			.kind = ERASE_GROUP, .cause = CAUSE_EXPIRY, .account = 1, .group = group};

	assert_int_equal(erasure_table_note(s->db, &item), 0);
	assert_int_not_equal(join(s, 1, 10, 1000, true), group);
}

static void test_a_noted_account_is_known_as_such(void **state)
{
	struct store *s = *state;
	struct erasure_item group = {
			.kind = ERASE_GROUP, .cause = CAUSE_EXPIRY, .account = 1, .group = 1};
	struct erasure_item account = {.kind = ERASE_ACCOUNT, .cause = CAUSE_SHRED, .account = 1};

	assert_int_equal(erasure_table_account_is_noted(s->db, 1), 0);
	assert_int_equal(erasure_table_note(s->db, &group), 0);
	assert_int_equal(erasure_table_account_is_noted(s->db, 1), 0);
	assert_int_equal(erasure_table_note(s->db, &account), 0);
	assert_int_equal(erasure_table_account_is_noted(s->db, 1), 1);
	assert_int_equal(erasure_table_account_is_noted(s->db, 2), 0);
}

static enum recording_state state_of(struct store *s, uint8_t mark)
{
	uint8_t ulid[ULID_BYTES] = {mark};
	struct recording_row row;

	assert_int_equal(catalog_recording_by_ulid(s->db, ulid, &row), 0);
	enum recording_state found = row.state;
	catalog_recording_clear(&row);
	return found;
}

/* An account, a group and recordings at once, some covered twice: each is buried once, with the
 * cause of what was noted for it. */
static void test_finishing(void **state)
{
	struct store *s = *state;
	struct account_row account = {.handle = {1}, .lookup = {1}, .state = ACCOUNT_OPEN};
	int64_t g1, g2, g3, covered, single, recordings = -1, bytes = -1;

	assert_int_equal(catalog_account_add(s->db, &account), 0);
	g1 = join(s, account.id, 1, 1, true);
	covered = seal(s, account.id, g1, 'a');
	g2 = join(s, 77, 1, 1, true);
	seal(s, 77, g2, 'b');
	g3 = join(s, 78, 1, 1, true);
	join(s, 78, 1, 1, false);
	single = seal(s, 78, g3, 'c');
	seal(s, 78, g3, 'd');
	const struct erasure_item items[] = {
			{ERASE_RECORDING, CAUSE_SHRED, 78, g3, single, 0, NULL},
			{ERASE_RECORDING, CAUSE_EXPIRY, account.id, g1, covered, 0, NULL},
			{ERASE_GROUP, CAUSE_EXPIRY, 77, g2, 0, 0, NULL},
			{ERASE_ACCOUNT, CAUSE_SHRED, account.id, 0, 0, 0, NULL},
	};
	for (size_t i = 0; i < ELEMENTSOF(items); i++)
		assert_int_equal(erasure_table_note(s->db, &items[i]), 0);
	assert_int_equal(erasure_table_finish(s->db, 50, 9, &recordings, &bytes), 0);
	assert_int_equal(recordings, 3);
	assert_int_equal(bytes, 15);
	assert_int_equal(state_of(s, 'a'), RECORDING_DESTROYED);
	assert_int_equal(state_of(s, 'b'), RECORDING_EXPIRED);
	assert_int_equal(state_of(s, 'c'), RECORDING_DESTROYED);
	assert_int_equal(state_of(s, 'd'), RECORDING_SEALED);
	assert_int_equal(catalog_account_by_id(s->db, account.id, &account), 0);
	assert_int_equal(account.state, ACCOUNT_DELETED);
	assert_int_equal(account.deleted_epoch, 9);
	assert_int_equal(ask(s, "SELECT count(*) FROM erasure"), 0);
	assert_int_equal(ask(s, "SELECT count(*) FROM expiry_group WHERE account >= 77"), 1);
	assert_int_equal(ask(s, "SELECT members FROM expiry_group WHERE account >= 77"), 1);
	assert_int_equal(ask(s, "SELECT count(*) FROM removal"),
			1); /* the others with their burial */
	assert_int_equal(ask(s, "SELECT count(*) FROM burial"), 2);
	assert_int_equal(erasure_table_finish(s->db, 60, 10, &recordings, &bytes), 0);
	assert_int_equal(recordings, 0);
}

static void test_a_bad_note_is_corrupt(void **state)
{
	struct store *s = *state;
	struct items items = {.n = 0};

	sql(s, "INSERT INTO erasure VALUES (4, 1, 1, 1, 1, 0, NULL, 0, 0, NULL)");
	assert_int_equal(erasure_table_each(s->db, collect, &items), -RE_CORRUPT);
	sql(s, "UPDATE erasure SET kind = 1, cause = 3");
	assert_int_equal(erasure_table_each(s->db, collect, &items), -RE_CORRUPT);
	sql(s, "UPDATE erasure SET cause = 1, uid = -1");
	assert_int_equal(erasure_table_each(s->db, collect, &items), -RE_CORRUPT);
	assert_int_equal(items.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_store(test_members_share_a_group_until_it_is_full),
			in_store(test_a_group_is_due_with_its_last_member),
			in_store(test_some_groups_of_an_account),
			in_store(test_notes_are_idempotent),
			in_store(test_nothing_joins_a_noted_group),
			in_store(test_a_noted_account_is_known_as_such),
			in_store(test_finishing),
			in_store(test_a_bad_note_is_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
