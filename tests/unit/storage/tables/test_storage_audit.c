/* The audit chain: whatever is done to the records with raw SQL is found. */
#include "tests/unit/support/storage_fixture.h"

#include "storage/tables/audit.h"

#define RECORDS 6

static void append(struct store *s, int64_t at_us, const char *action, const char *reason)
{
	struct audit_record record = {.at_us = at_us,
			.uid = 1000,
			.action = action,
			.subject = "subject",
			.reason = reason,
			.epoch = 7};

	assert_int_equal(audit_append(s->db, &record), 0);
}

static int fill(void **state)
{
	if (open_store(state) != 0)
		return -1;
	append(*state, 10, "ingest", NULL);
	append(*state, 20, "ingest", NULL);
	append(*state, 30, "play", "asked by the client");
	append(*state, 30, "play", "");
	append(*state, 30, "shred account", "left us");
	append(*state, 40, "destroyed", NULL);
	return 0;
}

static void test_an_untouched_chain_verifies(void **state)
{
	struct store *s = *state;
	int64_t records = -1, bad = -1;

	assert_int_equal(audit_verify(s->db, &records, &bad), 0);
	assert_int_equal(records, RECORDS);
	assert_int_equal(bad, -1);
	sql(s, "UPDATE audit SET reason = reason"); /* touches, but changes nothing */
	assert_int_equal(audit_verify(s->db, &records, &bad), 0);
}

static void test_an_empty_chain_verifies(void **state)
{
	struct store *s = *state;
	uint8_t head[AUDIT_HASH_BYTES], expected[AUDIT_HASH_BYTES] = {1, 2, 3};
	int64_t records = -1, bad = -1;

	assert_int_equal(audit_verify(s->db, &records, &bad), 0);
	assert_int_equal(records, 0);
	assert_int_equal(audit_head(s->db, head), 0);
	assert_memory_equal(head, expected, sizeof(head));
}

static void test_the_head_moves_with_every_record(void **state)
{
	struct store *s = *state;
	uint8_t before[AUDIT_HASH_BYTES], after[AUDIT_HASH_BYTES];

	assert_int_equal(audit_head(s->db, before), 0);
	append(s, 40, "destroyed", NULL);
	assert_int_equal(audit_head(s->db, after), 0);
	assert_memory_not_equal(before, after, sizeof(before));
}

/* Statements, and the record at which the chain breaks; 0: at any. */
static const struct {
	const char *sql;
	int64_t bad;
} tampering[] = {
		{"UPDATE audit SET at_us = at_us + 1 WHERE seq = 2", 2},
		{"UPDATE audit SET at_us = at_us + 0.5 WHERE seq = 2", 2},
		{"UPDATE audit SET uid = 0 WHERE seq = 1", 1},
		{"UPDATE audit SET uid = uid + 4294967296 WHERE seq = 1", 1},
		{"UPDATE audit SET action = 'verify' WHERE seq = 3", 3},
		{"UPDATE audit SET subject = 'another' WHERE seq = 3", 3},
		{"UPDATE audit SET action = 'shred', subject = 'accountsubject' WHERE seq = 5", 5},
		{"UPDATE audit SET reason = 'asked by nobody' WHERE seq = 3", 3},
		{"UPDATE audit SET reason = reason || char(0) || 'and more' WHERE seq = 3", 3},
		{"UPDATE audit SET reason = CAST(reason AS BLOB) WHERE seq = 3", 3},
		{"UPDATE audit SET reason = '' WHERE seq = 1", 1},
		{"UPDATE audit SET reason = NULL WHERE seq = 4", 4},
		{"UPDATE audit SET epoch = 8 WHERE seq = 6", 6},
		{"UPDATE audit SET hash = zeroblob(32) WHERE seq = 6", 6},
		{"UPDATE audit SET hash = zeroblob(31) WHERE seq = 6", 6},
		{"UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 2", 2},
		/* cuts: the first, one between, the last, the last two, all */
		{"DELETE FROM audit WHERE seq = 1", 0},
		{"DELETE FROM audit WHERE seq = 3", 0},
		{"DELETE FROM audit WHERE seq = 6", 0},
		{"DELETE FROM audit WHERE seq > 4", 0},
		{"DELETE FROM audit", 0},
		/* reorders: two that differ only in their reasons change places, and with them their
		   numbers */
		{"UPDATE audit SET seq = CASE seq WHEN 3 THEN -4 ELSE -3 END WHERE seq IN (3, 4)",
				0},
		{"UPDATE audit SET (action, reason) = (SELECT action, reason FROM audit b WHERE b.seq ="
		 " 7 - audit.seq) WHERE seq IN (3, 4)",
				3},
		/* inserts: at the end, and at the front */
		{"INSERT INTO audit SELECT 7, at_us, uid, action, subject, reason, epoch, hash FROM audit"
		 " WHERE seq = 6",
				7},
		{"INSERT INTO audit SELECT 0, at_us, uid, action, subject, reason, epoch, hash FROM audit"
		 " WHERE seq = 6",
				0},
		/* its end */
		{"UPDATE audit_end SET seq = 5", 6},
		{"UPDATE audit_end SET hash = zeroblob(32)", 0},
		{"DELETE FROM audit_end", 1},
		/* the chain is the vault's */
		{"UPDATE vault SET vault_id = zeroblob(16)", 1},
};

static void assert_broken(struct store *s, const char *how, int64_t expected)
{
	int64_t records = -1, bad = -1;
	int r = audit_verify(s->db, &records, &bad);

	if (r != -RE_CORRUPT)
		fail_msg("not found: %s", how);
	assert_int_equal(records, -1);
	if (expected)
		assert_int_equal(bad, expected);
	assert_true(bad > 0);
}

static void test_tampering_is_found(void **state)
{
	struct store *s = *state;
	int64_t records, bad;

	for (size_t i = 0; i < ELEMENTSOF(tampering); i++) {
		assert_int_equal(db_begin(s->db), 0);
		sql(s, tampering[i].sql);
		assert_broken(s, tampering[i].sql, tampering[i].bad);
		db_rollback(s->db);
		assert_int_equal(audit_verify(s->db, &records, &bad), 0);
	}
}

/* A cut does not heal when the log goes on after it. */
static void test_a_cut_stays_found(void **state)
{
	struct store *s = *state;

	sql(s, "DELETE FROM audit WHERE seq > 4");
	for (int i = 0; i < 4; i++) {
		append(s, 50 + i, "ingest", NULL);
		assert_broken(s, "cut and continued", 5);
	}
}

#define filled(test) cmocka_unit_test_setup_teardown(test, fill, close_store)

int main(void)
{
	const struct CMUnitTest tests[] = {
			filled(test_an_untouched_chain_verifies),
			in_store(test_an_empty_chain_verifies),
			filled(test_the_head_moves_with_every_record),
			filled(test_tampering_is_found),
			filled(test_a_cut_stays_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
