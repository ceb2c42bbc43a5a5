/* Accounts, recordings, their tallies, and what erasures make of them. */
#include "tests/unit/support/storage_fixture.h"

#include <errno.h>

#include "storage/tables/erasure_table.h"

static int64_t add_account(struct store *s, uint8_t mark, enum account_state state)
{
	struct account_row row = {
			.handle = {mark}, .lookup = {mark}, .state = state, .created_us = 4};

	assert_int_equal(catalog_account_add(s->db, &row), 0);
	assert_true(row.id > 0);
	return row.id;
}

static int64_t add_recording(
		struct store *s, int64_t account, int64_t group, uint8_t mark, int64_t plain_bytes)
{
	uint8_t source[CATALOG_LOOKUP_BYTES] = {mark};
	struct recording_row row = {.ulid = {mark},
			.account = account,
			.group = group,
			.state = mark == 'q' ? RECORDING_QUARANTINED : RECORDING_SEALED,
			.class = "default",
			.format = "wav",
			.recorded_us = mark,
			.plain_bytes = plain_bytes,
			.frames = -1};

	assert_int_equal(catalog_recording_add(s->db, &row, source), 0);
	assert_int_equal(catalog_recording_set_private(s->db, row.id, "private", 7), 0);
	return row.id;
}

static void test_accounts_round_trip(void **state)
{
	struct store *s = *state;
	struct account_row in = {.handle = {1, 2},
			.lookup = {3, 4},
			.state = ACCOUNT_OPEN,
			.created_us = 77};
	uint8_t unknown[CATALOG_LOOKUP_BYTES] = {3, 5};
	struct account_row out;

	assert_int_equal(catalog_account_add(s->db, &in), 0);
	assert_int_equal(catalog_account_by_id(s->db, in.id, &out), 0);
	assert_null(out.profile);
	assert_int_equal(catalog_account_set_profile(s->db, in.id, "sealed", 6), 0);
	assert_int_equal(catalog_account_by_handle(s->db, in.handle, &out), 0);
	assert_int_equal(out.id, in.id);
	assert_int_equal(out.created_us, 77);
	assert_int_equal(out.profile_bytes, 6);
	assert_memory_equal(out.profile, "sealed", 6);
	catalog_account_clear(&out);
	assert_int_equal(catalog_account_by_lookup(s->db, in.lookup, &out), 0);
	assert_memory_equal(out.handle, in.handle, sizeof(in.handle));
	catalog_account_clear(&out);
	assert_int_equal(catalog_account_by_lookup(s->db, unknown, &out), -ENOENT);
	assert_int_equal(catalog_account_next(s->db, in.id, &out), -ENOENT);
	assert_int_equal(catalog_account_add(s->db, &in), -EEXIST);
}

/* Look-alikes are found among those that live; a tombstone gives its name away once. */
static void test_looks_and_names_given_away(void **state)
{
	struct store *s = *state;
	struct account_row a = {.handle = {1}, .lookup = {1}, .look = {9}, .state = ACCOUNT_OPEN};
	struct account_row b = {.handle = {2}, .lookup = {2}, .look = {9}, .state = ACCOUNT_OPEN};
	struct account_row none = {.handle = {3}, .lookup = {3}, .state = ACCOUNT_OPEN};
	struct account_row heir = {
			.handle = {4}, .lookup = {1}, .look = {9}, .state = ACCOUNT_OPEN};
	static const uint8_t zeros[CATALOG_LOOKUP_BYTES];
	struct account_row out;
	int64_t count;

	assert_int_equal(catalog_account_add(s->db, &a), 0);
	assert_int_equal(catalog_account_add(s->db, &b), 0);
	assert_int_equal(catalog_account_add(s->db, &none), 0);
	assert_int_equal(catalog_account_next_alike(s->db, a.look, 0, &out), 0);
	assert_int_equal(out.id, a.id);
	assert_memory_equal(out.look, a.look, sizeof(a.look));
	assert_int_equal(catalog_account_next_alike(s->db, a.look, a.id, &out), 0);
	assert_int_equal(out.id, b.id);
	assert_int_equal(catalog_account_next_alike(s->db, a.look, b.id, &out), -ENOENT);
	assert_int_equal(catalog_account_next_alike(s->db, zeros, 0, &out), -ENOENT);
	assert_int_equal(catalog_account_count_alike(s->db, a.look, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(catalog_account_give_name(s->db, a.id), -ENOENT);
	assert_int_equal(catalog_account_bury(s->db, a.id, 1000, 3), 0);
	assert_int_equal(catalog_account_next_alike(s->db, a.look, 0, &out), 0);
	assert_int_equal(out.id, b.id);
	assert_int_equal(catalog_account_count_alike(s->db, a.look, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(catalog_account_add(s->db, &heir), -EEXIST);
	assert_int_equal(catalog_account_give_name(s->db, a.id), 0);
	assert_int_equal(catalog_account_give_name(s->db, a.id), -ENOENT);
	assert_int_equal(catalog_account_add(s->db, &heir), 0);
	assert_int_equal(catalog_account_by_lookup(s->db, a.lookup, &out), 0);
	assert_int_equal(out.id, heir.id);
	assert_int_equal(catalog_account_by_id(s->db, a.id, &out), 0);
	assert_memory_equal(out.lookup, zeros, sizeof(zeros));
	assert_memory_equal(out.look, zeros, sizeof(zeros));
}

/* A tombstone keeps the time of its first burial, and nothing of the profile. */
static void test_burying_an_account_twice(void **state)
{
	struct store *s = *state;
	int64_t id = add_account(s, 1, ACCOUNT_OPEN), count[ACCOUNT_QUARANTINE + 1];
	struct account_row row;

	add_account(s, 2, ACCOUNT_OPEN);
	add_account(s, 3, ACCOUNT_QUARANTINE);
	assert_int_equal(catalog_account_set_profile(s->db, id, "sealed", 6), 0);
	assert_int_equal(catalog_account_bury(s->db, id, 1000, 3), 0);
	assert_int_equal(catalog_account_bury(s->db, id, 2000, 4), 1);
	assert_int_equal(catalog_account_by_id(s->db, id, &row), 0);
	assert_int_equal(row.state, ACCOUNT_DELETED);
	assert_int_equal(row.deleted_us, 1000);
	assert_int_equal(row.deleted_epoch, 3);
	assert_null(row.profile);
	assert_int_equal(catalog_account_tally(s->db, count), 0);
	assert_int_equal(count[ACCOUNT_OPEN], 1);
	assert_int_equal(count[ACCOUNT_DELETED], 1);
	assert_int_equal(count[ACCOUNT_QUARANTINE], 1);
	assert_int_equal(count[ACCOUNT_CLOSED], 0);
}

static void test_recordings_round_trip(void **state)
{
	struct store *s = *state;
	uint8_t source[CATALOG_LOOKUP_BYTES] = {5}, other[CATALOG_LOOKUP_BYTES] = {6},
		newest[ULID_BYTES];
	struct recording_row in = {.ulid = {1, 2},
			.account = 3,
			.group = 4,
			.state = RECORDING_QUARANTINED,
			.condition = 1,
			.class = "short",
			.format = "flac",
			.recorded_us = 10,
			.sealed_us = 20,
			.expires_us = 30,
			.plain_bytes = 40,
			.sealed_bytes = 50,
			.frames = 60,
			.channels = 2,
			.sample_rate = 48000};
	struct recording_row out;

	assert_int_equal(catalog_recording_newest(s->db, newest), -ENOENT);
	assert_int_equal(catalog_recording_add(s->db, &in, source), 0);
	assert_int_equal(catalog_recording_set_private(s->db, in.id, "sealed", 6), 0);
	assert_int_equal(catalog_recording_by_source(s->db, source, &out), 0);
	assert_memory_equal(out.ulid, in.ulid, sizeof(in.ulid));
	assert_int_equal(out.account, 3);
	assert_int_equal(out.group, 4);
	assert_int_equal(out.state, RECORDING_QUARANTINED);
	assert_int_equal(out.condition, 1);
	assert_string_equal(out.class, "short");
	assert_string_equal(out.format, "flac");
	assert_int_equal(out.recorded_us + out.sealed_us + out.expires_us, 60);
	assert_int_equal(out.plain_bytes + out.sealed_bytes + out.frames, 150);
	assert_int_equal(out.channels, 2);
	assert_int_equal(out.sample_rate, 48000);
	assert_int_equal(out.destroyed_us + (int64_t)out.destroyed_epoch, 0);
	assert_memory_equal(out.private, "sealed", 6);
	catalog_recording_clear(&out);
	assert_int_equal(catalog_recording_by_source(s->db, other, &out), -ENOENT);
	assert_int_equal(catalog_recording_newest(s->db, newest), 0);
	assert_memory_equal(newest, in.ulid, sizeof(newest));
	assert_int_equal(catalog_recording_add(s->db, &in, other), -EEXIST);
	in.ulid[0]++;
	assert_int_equal(catalog_recording_add(s->db, &in, source), -EEXIST);
}

static size_t page(struct store *s, struct recording_filter filter, char *ret_marks)
{
	struct recording_row row;
	size_t n = 0;
	int r;

	while ((r = catalog_recording_next(s->db, &filter, &row)) == 0) {
		ret_marks[n++] = (char)row.ulid[0];
		catalog_recording_clear(&row);
	}
	assert_int_equal(r, -ENOENT);
	ret_marks[n] = '\0';
	return n;
}

static void test_paging(void **state)
{
	struct store *s = *state;
	struct recording_span span = {.account = 1}, none = {.account = 9};
	char marks[8];

	add_recording(s, 1, 1, 'a', 1);
	add_recording(s, 2, 2, 'c', 1);
	add_recording(s, 1, 1, 'b', 1);
	add_recording(s, 1, 1, 'q', 1);
	page(s, (struct recording_filter){0}, marks);
	assert_string_equal(marks, "acbq");
	page(s, (struct recording_filter){.account = 1}, marks);
	assert_string_equal(marks, "abq");
	page(s, (struct recording_filter){.account = 1, .state = RECORDING_SEALED}, marks);
	assert_string_equal(marks, "ab");
	page(s, (struct recording_filter){.since_us = 'b', .until_us = 'q'}, marks);
	assert_string_equal(marks, "cb");
	assert_int_equal(catalog_recording_span(s->db, &span), 0);
	assert_int_equal(span.oldest_us, 'a');
	assert_int_equal(span.newest_us, 'q');
	assert_int_equal(catalog_recording_span(s->db, &none), -ENOENT);
}

/* A far recording is found by strides, each a bounded piece of work. */
static void test_sparse_matches(void **state)
{
	struct store *s = *state;
	struct recording_filter filter = {.state = RECORDING_QUARANTINED};
	struct recording_row row;

	add_recording(s, 1, 1, 'a', 1);
	add_recording(s, 1, 1, 'q', 1);
	sql(s, "UPDATE recording SET id = 5000 WHERE state = 2");
	assert_int_equal(catalog_recording_next(s->db, &filter, &row), -EAGAIN);
	assert_int_equal(filter.after_id, RECORDING_STRIDE);
	assert_int_equal(catalog_recording_next(s->db, &filter, &row), -EAGAIN);
	assert_int_equal(catalog_recording_next(s->db, &filter, &row), 0);
	assert_int_equal(row.id, 5000);
	catalog_recording_clear(&row);
	assert_int_equal(catalog_recording_next(s->db, &filter, &row), -ENOENT);
	filter = (struct recording_filter){.state = RECORDING_QUARANTINED, .account = 1};
	assert_int_equal(catalog_recording_next(s->db, &filter, &row), 0);
	catalog_recording_clear(&row);
}

#define MANY (3 * RECORDING_STRIDE + 7)

/* MANY recordings of one account, all of the same time; every other one is of another account. */
static void add_many(struct store *s, int64_t account, int64_t group)
{
	static const char insert[] =
			"INSERT INTO recording(ulid, account, grp, state, condition, class, format,"
			" recorded_us, sealed_us, expires_us, destroyed_us, destroyed_epoch,"
			" plain_bytes, sealed_bytes, frames, channels, sample_rate, sealed_clock,"
			" counted_us, keep_months, keep_us, keep_from)"
			" VALUES (randomblob(16), ?, ?, 1, 0, 'default', 'wav',"
			" 500, 1, 1, 0, 0, 1, 1, -1, 1, 1, 0, 1, 0, 0, 0)";

	struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(db_run(s->db, insert, "ii", account, group), 0);
		assert_int_equal(db_run(s->db, insert, "ii", account + 1, group + 1), 0);
	}
	for (int64_t i = account; i <= account + 1; i++) {
		assert_int_equal(catalog_tally_add(s->db, i, RECORDING_SEALED, MANY, MANY), 0);
		assert_int_equal(catalog_tally_add(s->db, 0, RECORDING_SEALED, MANY, MANY), 0);
	}
	assert_int_equal(db_transaction_commit(&transaction), 0);
}

/* Nothing matches in a large account: that is found out in strides too. */
static void test_a_large_account_is_paged_in_strides(void **state)
{
	struct store *s = *state;
	struct recording_filter filter = {.account = 1, .since_us = 900};
	struct recording_row row;
	int strides = 1, r;

	add_many(s, 1, 1);
	while ((r = catalog_recording_next(s->db, &filter, &row)) == -EAGAIN)
		strides++;
	assert_int_equal(r, -ENOENT);
	assert_int_equal(strides, MANY / RECORDING_STRIDE + 1);
	/* One that comes in the meantime is found. */
	filter = (struct recording_filter){.account = 1, .since_us = 900};
	assert_int_equal(catalog_recording_next(s->db, &filter, &row), -EAGAIN);
	sql(s, "UPDATE recording SET recorded_us = 901 WHERE account = 1"
	       " AND id = (SELECT max(id) - 1 FROM recording)");
	while ((r = catalog_recording_next(s->db, &filter, &row)) == -EAGAIN)
		;
	assert_int_equal(r, 0);
	assert_int_equal(row.recorded_us, 901);
	catalog_recording_clear(&row);
}

/* The oldest and the newest lie behind thousands of one time that are destroyed and not buried. */
static void test_a_span_is_found_in_strides(void **state)
{
	struct store *s = *state;
	struct recording_span span = {.account = 1}, other = {.account = 2}, none = {.account = 1};
	int strides = 1, r;

	add_many(s, 1, 1);
	add_recording(s, 1, 3, 'a', 1);
	add_recording(s, 1, 1, 'q', 1);
	assert_int_equal(catalog_recording_span(s->db, &span), 0);
	assert_int_equal(span.oldest_us, 'a');
	assert_int_equal(span.newest_us, 500);
	assert_int_equal(catalog_recording_span(s->db, &other), 0);
	assert_int_equal(other.oldest_us, 500);
	sql(s, "INSERT INTO burial(kind, id, state, destroyed_us, epoch, after_id)"
	       " VALUES (2, 1, 6, 9, 9, 0)");
	span = (struct recording_span){.account = 1};
	while ((r = catalog_recording_span(s->db, &span)) == -EAGAIN)
		strides++;
	assert_int_equal(r, 0);
	assert_int_equal(strides, MANY / RECORDING_STRIDE + 1);
	assert_int_equal(span.oldest_us, 'a');
	assert_int_equal(span.newest_us, 'a');
	/* Nothing is left, though the tally does not say so yet. */
	sql(s, "INSERT INTO burial(kind, id, state, destroyed_us, epoch, after_id)"
	       " VALUES (2, 3, 6, 9, 9, 0)");
	while ((r = catalog_recording_span(s->db, &none)) == -EAGAIN)
		;
	assert_int_equal(r, -ENOENT);
}

/* What a file in a spool follows is not looked for behind any number of tombstones. */
static void test_looking_back_is_bounded(void **state)
{
	struct store *s = *state;
	struct recording_row row;

	add_recording(s, 1, 1, 'a', 1);
	add_many(s, 1, 2);
	sql(s, "UPDATE recording SET destroyed_us = 9, state = 5 WHERE grp = 2");
	int64_t last = add_recording(s, 1, 1, 'z', 1);
	assert_int_equal(catalog_recording_before(s->db, 1, last, &row), -ENOENT);
	sql(s, "UPDATE recording SET destroyed_us = 0, state = 1 WHERE id ="
	       " (SELECT id FROM recording WHERE account = 1 ORDER BY id DESC LIMIT 1 OFFSET 256)");
	assert_int_equal(catalog_recording_before(s->db, 1, last, &row), 0);
	int64_t found = row.id;
	catalog_recording_clear(&row);
	assert_int_equal(catalog_recording_before(s->db, 1, found, &row), -ENOENT);
}

/* The tally must be what counting gives, at any time. */
static void assert_tallied(struct store *s)
{
	for (int64_t account = 0; account < 4; account++) {
		struct tally found, expected = {0};
		struct recording_filter filter = {.account = account};
		struct recording_row row;

		while (catalog_recording_next(s->db, &filter, &row) == 0) {
			expected.count[row.state]++;
			expected.plain_bytes[row.state] += row.plain_bytes;
			catalog_recording_clear(&row);
		}
		assert_int_equal(catalog_tally_get(s->db, account, &found), 0);
		assert_memory_equal(&found, &expected, sizeof(found));
	}
}

/* Erases it twice: the second time nothing is left to destroy. */
static void erase(struct store *s, struct erasure_item item, int64_t expected)
{
	int64_t count, bytes;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(erasure_table_note(s->db, &item), 0);
		assert_tallied(s);
		assert_int_equal(erasure_table_finish(s->db, 100, 2, &count, &bytes), 0);
		assert_int_equal(count, i == 0 ? expected : 0);
		assert_tallied(s);
		item.cause = CAUSE_EXPIRY;
	}
}

static void test_tallies_follow_every_change(void **state)
{
	struct store *s = *state;
	struct tally tally;
	int64_t one;

	for (uint8_t account = 1; account <= 3; account++)
		add_account(s, account, ACCOUNT_OPEN);
	add_recording(s, 1, 1, 'a', 10);
	add_recording(s, 1, 1, 'b', 20);
	add_recording(s, 1, 2, 'c', 30);
	add_recording(s, 2, 3, 'd', 40);
	one = add_recording(s, 2, 3, 'e', 50);
	add_recording(s, 3, 4, 'q', 60);
	assert_tallied(s);
	assert_int_equal(catalog_tally_get(s->db, 0, &tally), 0);
	assert_int_equal(tally.count[RECORDING_SEALED], 5);
	assert_int_equal(tally.plain_bytes[RECORDING_QUARANTINED], 60);
	erase(s, (struct erasure_item){ERASE_RECORDING, CAUSE_SHRED, 2, 3, one, 0, NULL}, 1);
	erase(s, (struct erasure_item){ERASE_GROUP, CAUSE_SHRED, 1, 1, 0, 0, NULL}, 2);
	erase(s, (struct erasure_item){ERASE_ACCOUNT, CAUSE_SHRED, 1, 0, 0, 0, NULL}, 1);
	erase(s, (struct erasure_item){ERASE_ACCOUNT, CAUSE_SHRED, 3, 0, 0, 0, NULL}, 1);
	assert_int_equal(catalog_tally_get(s->db, 0, &tally), 0);
	assert_int_equal(tally.count[RECORDING_SEALED], 1);
	assert_int_equal(tally.count[RECORDING_DESTROYED], 5);
	assert_int_equal(tally.count[RECORDING_PENDING], 0);
	assert_int_equal(tally.plain_bytes[RECORDING_DESTROYED], 170);
}

/* Nothing but the tag's own facts stays of a buried recording and its source. */
static void test_what_a_tombstone_forgets(void **state)
{
	struct store *s = *state;
	uint8_t source[CATALOG_LOOKUP_BYTES] = {'a'}, ulid[ULID_BYTES] = {'a'},
		queued[4][ULID_BYTES];
	int64_t id = add_recording(s, 1, 1, 'a', 10);
	struct recording_row row;
	size_t n;

	assert_int_equal(catalog_recording_bury(s->db, id, RECORDING_EXPIRED, 100, 2), 0);
	assert_int_equal(catalog_recording_bury(s->db, id, RECORDING_DESTROYED, 200, 3), 0);
	assert_int_equal(catalog_recording_by_ulid(s->db, ulid, &row), 0);
	assert_int_equal(row.state, RECORDING_EXPIRED);
	assert_int_equal(row.destroyed_us, 100);
	assert_int_equal(row.destroyed_epoch, 2);
	assert_null(row.private);
	catalog_recording_clear(&row);
	assert_int_equal(catalog_recording_by_source(s->db, source, &row), 0);
	catalog_recording_clear(&row);
	assert_int_equal(erasure_table_list_removals(s->db, queued, 4, &n), 0);
	assert_int_equal(n, 1);
	assert_memory_equal(queued[0], ulid, sizeof(ulid));
	assert_int_equal(erasure_table_removal_done(s->db, ulid), 0);
	assert_int_equal(erasure_table_list_removals(s->db, queued, 4, &n), 0);
	assert_int_equal(n, 0);
	add_recording(s, 1, 1, 'b', 10);
	row = (struct recording_row){
			.ulid = {'c'}, .account = 1, .group = 1, .state = RECORDING_SEALED};
	assert_int_equal(catalog_recording_add(s->db, &row, source), -EEXIST);
}

static void test_bad_rows_are_corrupt(void **state)
{
	struct store *s = *state;
	uint8_t ulid[ULID_BYTES] = {'a'}, handle[CATALOG_HANDLE_BYTES] = {1};
	struct recording_row recording;
	struct account_row account;
	static const char *const edits[] = {"UPDATE recording SET state = 0",
			"UPDATE recording SET state = 7",
			"UPDATE recording SET class = printf('%070d', 1)",
			"UPDATE recording SET format = printf('%033d', 1)"};

	add_account(s, 1, ACCOUNT_OPEN);
	add_recording(s, 1, 1, 'a', 10);
	for (size_t i = 0; i < ELEMENTSOF(edits); i++) {
		struct db_transaction transaction = {0};
		assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
		sql(s, edits[i]);
		assert_int_equal(catalog_recording_by_ulid(s->db, ulid, &recording), -RE_CORRUPT);
		db_transaction_rollback(&transaction);
	}
	sql(s, "UPDATE account SET state = 6");
	assert_int_equal(catalog_account_by_handle(s->db, handle, &account), -RE_CORRUPT);
	sql(s, "UPDATE account SET state = 1, lookup = x'00'");
	assert_int_equal(catalog_account_by_handle(s->db, handle, &account), -RE_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_store(test_accounts_round_trip),
			in_store(test_looks_and_names_given_away),
			in_store(test_burying_an_account_twice),
			in_store(test_recordings_round_trip),
			in_store(test_paging),
			in_store(test_sparse_matches),
			in_store(test_a_large_account_is_paged_in_strides),
			in_store(test_a_span_is_found_in_strides),
			in_store(test_looking_back_is_bounded),
			in_store(test_tallies_follow_every_change),
			in_store(test_what_a_tombstone_forgets),
			in_store(test_bad_rows_are_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
