/* What readers see of recordings whose account or group is noted, destroyed, half buried, buried.
 */
#include "tests/unit/support/storage_fixture.h"

#include <errno.h>

#include "storage/tables/burial_table.h"
#include "storage/tables/erasure_table.h"

static int64_t add_account(struct store *s, uint8_t mark)
{
	struct account_row row = {.handle = {mark}, .lookup = {mark}, .state = ACCOUNT_OPEN};

	assert_int_equal(catalog_account_add(s->db, &row), 0);
	return row.id;
}

static int64_t add_group(struct store *s, int64_t account, int64_t bucket)
{
	int64_t group;
	bool made;

	assert_int_equal(catalog_group_for(s->db, account, bucket, 1000, &group, &made), 0);
	return group;
}

static int64_t add_recording(struct store *s, int64_t account, int64_t group, uint8_t mark)
{
	uint8_t source[CATALOG_LOOKUP_BYTES] = {mark};
	struct recording_row row = {.ulid = {mark},
			.account = account,
			.group = group,
			.state = mark == 'q' ? RECORDING_QUARANTINED : RECORDING_SEALED,
			.recorded_us = mark,
			.plain_bytes = 5};

	assert_int_equal(catalog_recording_add(s->db, &row, source), 0);
	assert_int_equal(catalog_recording_set_private(s->db, row.id, "private", 7), 0);
	return row.id;
}

static int span_of(struct store *s, int64_t account, int64_t *ret_oldest, int64_t *ret_newest)
{
	struct recording_span span = {.account = account};
	int r = catalog_recording_span(s->db, &span);

	*ret_oldest = span.oldest_us;
	*ret_newest = span.newest_us;
	return r;
}

/* A letter for each state, in the order of enum recording_state. */
static const char letters[] = "?sqhpdx";

/* The states of all recordings in id order, however they are asked for; '!' where that makes a
 * difference. */
static void look(struct store *s, char *ret_letters)
{
	struct recording_filter all = {0};
	struct recording_row row, other;
	struct tally counted = {0}, tally;
	size_t n = 0;

	while (catalog_recording_next(s->db, &all, &row) == 0) {
		struct recording_filter one = {.after_id = row.id - 1, .state = row.state};
		struct recording_filter own = {
				.after_id = row.id - 1, .state = row.state, .account = row.account};
		uint8_t source[CATALOG_LOOKUP_BYTES] = {row.ulid[0]};
		bool gone = row.state >= RECORDING_DESTROYED, same = true;

		assert_int_equal(catalog_recording_by_ulid(s->db, row.ulid, &other), 0);
		same &= other.state == row.state && other.destroyed_us == row.destroyed_us;
		catalog_recording_clear(&other);
		assert_int_equal(catalog_recording_by_source(s->db, source, &other), 0);
		same &= other.state == row.state && other.destroyed_epoch == row.destroyed_epoch;
		catalog_recording_clear(&other);
		assert_int_equal(catalog_recording_next(s->db, &one, &other), 0);
		same &= other.id == row.id;
		catalog_recording_clear(&other);
		assert_int_equal(catalog_recording_next(s->db, &own, &other), 0);
		same &= other.id == row.id;
		catalog_recording_clear(&other);
		same &= gone == (row.destroyed_us != 0) && gone == (row.destroyed_epoch != 0) &&
			gone == !row.private;
		ret_letters[n++] = same ? letters[row.state] : '!';
		counted.count[row.state]++;
		counted.plain_bytes[row.state] += row.plain_bytes;
		catalog_recording_clear(&row);
	}
	ret_letters[n] = '\0';
	assert_int_equal(catalog_tally_get(s->db, 0, &tally), 0);
	assert_memory_equal(&tally, &counted, sizeof(tally));
}

static void assert_states(struct store *s, const char *expected)
{
	char found[32];

	look(s, found);
	assert_string_equal(found, expected);
}

static int64_t finish(struct store *s, int64_t now_us, uint64_t epoch)
{
	int64_t recordings, bytes;

	assert_int_equal(erasure_table_finish(s->db, now_us, epoch, &recordings, &bytes), 0);
	assert_int_equal(bytes, 5 * recordings);
	return recordings;
}

static void note(struct store *s, struct erasure_item item)
{
	assert_int_equal(erasure_table_note(s->db, &item), 0);
}

/* One stride, and the end of the burial when it was the last. Whether there was one. */
static bool bury(struct store *s, int64_t max)
{
	struct burial burial;
	int64_t looked_at;
	int found = burial_table_next(s->db, &burial);

	assert_true(found >= 0);
	if (found == 0)
		return false;
	assert_int_equal(burial_table_stride(s->db, &burial, max, &looked_at), 0);
	assert_true(looked_at <= max);
	if (looked_at < max)
		assert_int_equal(burial_table_done(s->db, &burial), 0);
	return true;
}

static void reopen(struct store *s)
{
	s->db = db_close(s->db);
	assert_int_equal(db_open(s->folder->path, &s->db), 0);
}

#define UNBURIED "SELECT count(*) FROM recording WHERE destroyed_us = 0 OR private IS NOT NULL"

/* Pending when it is noted, destroyed from the one transaction on, and nothing else after each
 * stride, also when the database was closed in between. */
static void test_an_account(void **state)
{
	struct store *s = *state;
	int64_t alice = add_account(s, 1), bob = add_account(s, 2);
	int64_t group = add_group(s, alice, 1), other = add_group(s, bob, 1), oldest, newest;
	uint8_t queued[8][ULID_BYTES];
	size_t n;

	add_recording(s, alice, group, 'a');
	add_recording(s, bob, other, 'b');
	add_recording(s, alice, group, 'q');
	add_recording(s, alice, group, 'c');
	assert_states(s, "ssqs");
	note(s, (struct erasure_item){ERASE_ACCOUNT, CAUSE_SHRED, alice, 0, 0, 0, NULL});
	assert_states(s, "pspp");
	assert_int_equal(ask(s, UNBURIED), 4);
	reopen(s);
	assert_states(s, "pspp");
	assert_int_equal(span_of(s, alice, &oldest, &newest), 0);
	assert_int_equal(oldest, 'a');
	assert_int_equal(finish(s, 70, 9), 3);
	assert_states(s, "dsdd");
	assert_int_equal(span_of(s, alice, &oldest, &newest), -ENOENT);
	assert_int_equal(ask(s, UNBURIED), 4);
	for (int64_t left = 3; bury(s, 1); left = left ? left - 1 : 0) {
		reopen(s);
		assert_states(s, "dsdd");
		assert_int_equal(ask(s, UNBURIED), left ? left : 1);
		assert_int_equal(erasure_table_list_removals(s->db, queued, 8, &n), 0);
		assert_int_equal(n, left ? 4 - left : 3);
	}
	assert_states(s, "dsdd");
	assert_int_equal(ask(s, "SELECT count(*) FROM recording WHERE destroyed_us = 70"
				" AND destroyed_epoch = 9 AND state = 5 AND private IS NULL"),
			3);
}

/* Each keeps the cause and the time of what destroyed it first, in whichever order the rows are
 * come to. */
static void test_one_after_the_other(void **state)
{
	struct store *s = *state;
	int64_t alice = add_account(s, 1), one = add_group(s, alice, 1),
		two = add_group(s, alice, 2);
	uint8_t ulid[ULID_BYTES] = {'b'};
	struct recording_row row;
	int64_t oldest, newest;

	add_recording(s, alice, one, 'a');
	add_recording(s, alice, one, 'b');
	int64_t single = add_recording(s, alice, two, 'c');
	add_recording(s, alice, two, 'd');
	note(s, (struct erasure_item){ERASE_RECORDING, CAUSE_SHRED, alice, two, single, 0, NULL});
	assert_states(s, "ssps");
	assert_int_equal(finish(s, 10, 2), 1);
	assert_states(s, "ssds");
	note(s, (struct erasure_item){ERASE_GROUP, CAUSE_EXPIRY, alice, one, 0, 0, NULL});
	assert_states(s, "ppds");
	assert_int_equal(finish(s, 20, 3), 2);
	assert_states(s, "xxds");
	assert_int_equal(span_of(s, alice, &oldest, &newest), 0);
	assert_int_equal(oldest, 'd');
	assert_int_equal(newest, 'd');
	note(s, (struct erasure_item){
				ERASE_GROUP, CAUSE_SHRED, alice, one, 0, 0, NULL}); /* once more */
	note(s, (struct erasure_item){ERASE_ACCOUNT, CAUSE_SHRED, alice, 0, 0, 0, NULL});
	assert_states(s, "xxdp");
	assert_int_equal(finish(s, 30, 4), 1);
	assert_states(s, "xxdd");
	note(s, (struct erasure_item){ERASE_ACCOUNT, CAUSE_SHRED, alice, 0, 0, 0, NULL});
	assert_int_equal(finish(s, 40, 5), 0);
	while (bury(s, 1)) /* the account's comes first */
		assert_states(s, "xxdd");
	assert_int_equal(ask(s, UNBURIED), 0);
	assert_int_equal(catalog_recording_by_ulid(s->db, ulid, &row), 0);
	assert_int_equal(row.destroyed_us, 20);
	assert_int_equal(row.destroyed_epoch, 3);
	catalog_recording_clear(&row);
	assert_int_equal(ask(s, "SELECT sum(destroyed_us) FROM recording"), 20 + 20 + 10 + 30);
}

/* In one batch, what covers the others says how. */
static void test_all_at_once(void **state)
{
	struct store *s = *state;
	int64_t alice = add_account(s, 1), bob = add_account(s, 2);
	int64_t group = add_group(s, alice, 1), other = add_group(s, bob, 1);
	int64_t covered = add_recording(s, alice, group, 'a');
	add_recording(s, alice, group, 'b');
	int64_t first = add_recording(s, bob, other, 'c');

	int64_t second = add_recording(s, bob, other, 'd');

	note(s, (struct erasure_item){
				ERASE_RECORDING, CAUSE_EXPIRY, alice, group, covered, 0, NULL});
	note(s, (struct erasure_item){ERASE_GROUP, CAUSE_EXPIRY, alice, group, 0, 0, NULL});
	note(s, (struct erasure_item){ERASE_ACCOUNT, CAUSE_SHRED, alice, 0, 0, 0, NULL});
	note(s, (struct erasure_item){ERASE_RECORDING, CAUSE_SHRED, bob, other, first, 0, NULL});
	note(s, (struct erasure_item){ERASE_GROUP, CAUSE_EXPIRY, bob, other, 0, 0, NULL});
	note(s, (struct erasure_item){ERASE_RECORDING, CAUSE_SHRED, bob, other, second, 0, NULL});
	assert_states(s, "pppp");
	assert_int_equal(finish(s, 10, 2), 4);
	assert_states(s, "ddxx");
	while (bury(s, 100))
		assert_states(s, "ddxx");
	assert_int_equal(ask(s, UNBURIED), 0);
	assert_int_equal(ask(s, "SELECT count(*) FROM removal"), 4);
}

/* Nothing falls due, and nothing is let in, where an account is being buried. */
static void test_groups_of_a_buried_account(void **state)
{
	struct store *s = *state;
	int64_t alice = add_account(s, 1), group = add_group(s, alice, 1), due_us;
	struct due_group due[2];
	size_t n;

	add_recording(s, alice, group, 'a');
	assert_int_equal(catalog_group_due(s->db, 1000, due, 2, &n), 0);
	assert_int_equal(n, 1);
	note(s, (struct erasure_item){ERASE_ACCOUNT, CAUSE_SHRED, alice, 0, 0, 0, NULL});
	assert_int_equal(finish(s, 10, 2), 1);
	assert_int_equal(ask(s, "SELECT count(*) FROM expiry_group"), 1);
	assert_int_equal(catalog_group_due(s->db, 1000, due, 2, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(catalog_group_next_due(s->db, &due_us), -ENOENT);
	assert_int_not_equal(add_group(s, alice, 1), group);
}

/* A group that is gone takes nobody in either, before and after its burial. */
static void test_a_buried_group(void **state)
{
	struct store *s = *state;
	int64_t alice = add_account(s, 1), group = add_group(s, alice, 1);

	add_recording(s, alice, group, 'a');
	note(s, (struct erasure_item){ERASE_GROUP, CAUSE_EXPIRY, alice, group, 0, 0, NULL});
	assert_int_equal(finish(s, 10, 2), 1);
	int64_t next = add_group(s, alice, 1);
	assert_true(next > group);
	add_recording(s, alice, next, 'b');
	assert_states(s, "xs");
	while (bury(s, 1))
		assert_states(s, "xs");
	assert_int_equal(add_group(s, alice, 1), next);
}

/* These tests would see it: a burial that is forgotten before its rows are written brings what was
 * destroyed back to life, and so does one that never was. */
static void test_a_burial_that_is_lost_is_seen(void **state)
{
	struct store *s = *state;
	int64_t alice = add_account(s, 1), group = add_group(s, alice, 1);
	struct recording_row row;
	struct burial burial;
	int64_t looked_at;

	for (uint8_t mark = 'a'; mark < 'd'; mark++)
		add_recording(s, alice, group, mark);
	note(s, (struct erasure_item){ERASE_ACCOUNT, CAUSE_SHRED, alice, 0, 0, 0, NULL});
	assert_int_equal(finish(s, 10, 2), 3);
	assert_int_equal(burial_table_next(s->db, &burial), 1);
	assert_int_equal(burial_table_stride(s->db, &burial, 2, &looked_at), 0);
	assert_int_equal(burial_table_done(s->db, &burial), 0);
	struct recording_filter sealed = {.state = RECORDING_SEALED};
	assert_int_equal(catalog_recording_next(s->db, &sealed, &row), 0);
	assert_int_equal(row.ulid[0], 'c');
	catalog_recording_clear(&row);
}

static void test_bad_burials_are_corrupt(void **state)
{
	struct store *s = *state;
	int64_t alice = add_account(s, 1), group = add_group(s, alice, 1);
	uint8_t ulid[ULID_BYTES] = {'a'};
	enum recording_state found;
	struct recording_row row;
	struct burial burial;

	add_recording(s, alice, group, 'a');
	sql(s, "INSERT INTO burial VALUES (1, 1, 77, 10, 2, 0, NULL)");
	assert_int_equal(catalog_recording_by_ulid(s->db, ulid, &row), -RE_CORRUPT);
	assert_int_equal(burial_table_covers(s->db, alice, 0, &found), -RE_CORRUPT);
	sql(s, "UPDATE burial SET kind = 0");
	assert_int_equal(burial_table_next(s->db, &burial), -RE_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_store(test_an_account),
			in_store(test_one_after_the_other),
			in_store(test_all_at_once),
			in_store(test_groups_of_a_buried_account),
			in_store(test_a_buried_group),
			in_store(test_a_burial_that_is_lost_is_seen),
			in_store(test_bad_burials_are_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
