/* Calls that take long, at accounts with thousands of recordings: what they answer, also when an erasure
 * comes in between two looks. */
#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/unit/support/control_fixture.h"

#define MANY (3 * RECORDING_STRIDE)

/* The next look for a span is not the last one, and this recording's account is shredded after it. */
static struct erase_in_look {
	struct fixture *fixture; /* NULL: done, or not asked for */
	const char *id;
} erase_in_look;

int __real_catalog_recording_span(struct db *db, struct recording_span *span);
int __wrap_catalog_recording_span(struct db *db, struct recording_span *span);
int __wrap_catalog_recording_span(struct db *db, struct recording_span *span)
{
	struct fixture *f = erase_in_look.fixture;

	if (!f)
		return __real_catalog_recording_span(db, span);
	assert_int_equal(__real_catalog_recording_span(db, span), 0);
	erase_in_look.fixture = NULL;
	assert_int_equal(vault_fixture_erase(&f->state, ERASE_ACCOUNT, erase_in_look.id), 0);
	span->state = SPAN_NEWEST; /* as if it had been for nothing */
	return -EAGAIN;
}

static int64_t account_of(struct fixture *f, const char *id)
{
	struct recording_row row;

	vault_fixture_row(&f->state, id, &row);
	int64_t account = row.account;
	catalog_recording_clear(&row);
	return account;
}

/* Thousands more in the account, in an expiry group that is destroyed and not buried yet, and so not in
 * the tally as sealed; they are of the year 2001 (and so come before all others). */
static void add_unburied(struct fixture *f, int64_t account)
{
	struct db *db = f->state.vault->db;

	struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, db), 0);
	for (int i = 0; i < MANY; i++)
		sql(f,
				"INSERT INTO recording(ulid, account, grp, state, condition, class,"
				" format, recorded_us, sealed_us, expires_us, destroyed_us,"
				" destroyed_epoch, plain_bytes, sealed_bytes, frames, channels,"
				" sample_rate, sealed_clock, counted_us, keep_months, keep_us,"
				" keep_from) VALUES (randomblob(16), ?, 9999, 1, 0, 'default',"
				" 'wav', 1000000000000000, 1, 1, 0, 0, 1, 1, -1, 1, 1, 0, 1, 0, 0,"
				" 0)",
				account);
	sql(f,
			"INSERT INTO burial(kind, id, state, destroyed_us, epoch, after_id)"
			" VALUES (2, ?, 6, 9, 9, 0)",
			9999);
	assert_int_equal(db_transaction_commit(&transaction), 0);
}

static void test_the_oldest_behind_thousands(void **state)
{
	struct fixture *f = *state;
	id_text ids[2];

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 2, ids);
	json_t *row = ask(f, "ShowRecording", json_pack("{s:s}", "id", ids[0]), "recording");
	add_unburied(f, account_of(f, ids[0]));
	json_t *account = ask(f, "ShowAccount", json_pack("{s:s}", "account", "alice"), "account");
	assert_string_equal(text_of(account, "oldest_at"), text_of(row, "recorded_at"));
	assert_int_equal(int_of(json_object_get(account, "recordings"), "sealed"), 2);
	json_t *plan = ask(f, "PlanShred", json_pack("{s:s}", "account", "alice"), "plan");
	assert_string_equal(text_of(plan, "oldest_at"), text_of(row, "recorded_at"));
	assert_string_equal(text_of(plan, "newest_at"), text_of(row, "recorded_at"));
	json_decref(row);
	json_decref(account);
	json_decref(plan);
	client_send(&f->client, "{\"method\":\"" INTERFACE "ListAccounts\",\"more\":true}");
	size_t accounts = 0;
	for (bool more = true; more;) {
		json_t *reply = client_receive(&f->client, NULL);
		json_t *page = json_object_get(json_object_get(reply, "parameters"), "accounts");
		more = json_is_true(json_object_get(reply, "continues"));
		accounts += json_array_size(page);
		json_decref(reply);
	}
	assert_int_equal(accounts, 2); /* and the quarantine */
}

/* An erasure between two looks: the answer is that of afterwards. */
static void test_an_erasure_between_two_looks(void **state)
{
	struct fixture *f = *state;
	id_text ids[2];

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 1, &ids[0]);
	vault_fixture_seal(&f->state, "bob", "bob/a.wav", 10, 1, &ids[1]);
	json_t *row = ask(f, "ShowRecording", json_pack("{s:s}", "id", ids[0]), "recording");
	erase_in_look = (struct erase_in_look){f, ids[0]};
	json_t *account = ask(f, "ShowAccount",
			json_pack("{s:s}", "account", text_of(row, "account_handle")), "account");
	assert_null(erase_in_look.fixture);
	assert_string_equal(text_of(account, "state"), "deleted");
	assert_null(json_object_get(account, "name"));
	assert_null(json_object_get(account, "oldest_at"));
	erase_in_look = (struct erase_in_look){f, ids[1]};
	refute(f, "PlanShred", json_pack("{s:s}", "account", "bob"), INTERFACE "Gone", NULL, NULL);
	assert_null(erase_in_look.fixture);
	json_decref(account);
	json_decref(row);
}

/* Reads a list to its end, and counts the rows that name an account, and those that do not. */
static void count_named(struct fixture *f, size_t *ret_named, size_t *ret_unnamed)
{
	*ret_named = *ret_unnamed = 0;
	for (bool more = true; more;) {
		json_t *reply = client_receive(&f->client, NULL);
		const json_t *page =
				json_object_get(json_object_get(reply, "parameters"), "recordings");
		more = json_is_true(json_object_get(reply, "continues"));
		for (size_t i = 0; i < json_array_size(page); i++) {
			const json_t *row = json_array_get(page, i);
			bool named = json_object_get(row, "account");
			assert_true(!named || *ret_unnamed == 0);
			assert_true(named || !json_object_get(row, "path"));
			*ret_named += named;
			*ret_unnamed += !named;
		}
		json_decref(reply);
	}
}

/* A listing is under way when its account is shredded: except what had left before, no row names it. */
static void test_a_listing_does_not_outlive_a_shred(void **state)
{
	struct fixture *f = *state;
	enum { N = 1000, LEFT_BEFORE = 300 };
	id_text *ids = calloc(N, sizeof(*ids));
	size_t named, unnamed;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 1, N, ids);
	client_send(&f->client, "{\"method\":\"" INTERFACE "ListRecordings\",\"more\":true}");
	count_named(f, &named, &unnamed);
	assert_int_equal(named, N);
	client_send(&f->client, "{\"method\":\"" INTERFACE "ListRecordings\",\"more\":true}");
	loop_settle(&f->loop); /* as much as the socket takes */
	assert_int_equal(vault_fixture_erase(&f->state, ERASE_ACCOUNT, ids[0]), 0);
	count_named(f, &named, &unnamed);
	assert_int_equal(named + unnamed, N);
	assert_true(named > 0);
	assert_in_range(named, 1, LEFT_BEFORE);
	free(ids);
}

static void test_a_reason_of_nothing(void **state)
{
	static const char *const blanks[] = {"", "   ", "\xc2\xa0", "\xe2\x80\x8b\xe2\x80\x8b",
			"\xe3\x80\x80", "\xe2\x80\xae", "\xe2\x81\xa6 \xe2\x81\xa9", "\xe3\x85\xa4",
			"\xe2\xa0\x80"};
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 1, 1, &id);
	for (size_t i = 0; i < ELEMENTSOF(blanks); i++) {
		json_t *reply = call(f, "OpenRecording", open_parameters(id, "play", blanks[i]));
		assert_string_equal(text_of(reply, "error"), INTERFACE "Invalid");
		const json_t *parameters = json_object_get(reply, "parameters");
		assert_string_equal(text_of(parameters, "parameter"), "reason");
		assert_non_null(strstr(text_of(parameters, "why"), "must say why"));
		json_decref(reply);
		refute(f, "Shred", json_pack("{s:s, s:s}", "account", "alice", "reason", blanks[i]),
				INTERFACE "Invalid", "parameter", "reason");
	}
	assert_int_equal(vault_fixture_state(&f->state, id), RECORDING_SEALED);
	json_t *reply = call(f, "OpenRecording", open_parameters(id, "play", "\xe2\x80\x8b."));
	assert_null(json_object_get(reply, "error"));
	json_decref(reply);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			WITH_VAULT(test_the_oldest_behind_thousands),
			WITH_VAULT(test_an_erasure_between_two_looks),
			WITH_VAULT(test_a_listing_does_not_outlive_a_shred),
			WITH_VAULT(test_a_reason_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
