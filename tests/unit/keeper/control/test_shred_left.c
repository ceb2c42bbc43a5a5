/* What plan and result of a shred name besides what they destroy: parts, spools; and what the intake
 * says of its spools, read as if by an enemy. */
#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "daemon/keeper/ingest/spool_looks.h"
#include "tests/unit/support/control_fixture.h"

static json_t *with_parts(const char *id, const char *reason)
{
	return json_pack("{s:s, s:s*, s:b}", "recording", id, "reason", reason, "with_parts", 1);
}

static bool has_part(const json_t *object, const char *id, bool taken)
{
	const json_t *parts = json_object_get(object, "parts");

	for (size_t i = 0; i < json_array_size(parts); i++) {
		const json_t *part = json_array_get(parts, i);
		if (strcmp(text_of(part, "id"), id) == 0)
			return json_is_true(json_object_get(part, "taken")) == taken;
	}
	return false;
}

static size_t count_parts(const json_t *object)
{
	return json_array_size(json_object_get(object, "parts"));
}

static void test_parts_are_named_and_stay(void **state)
{
	struct fixture *f = *state;
	id_text parts[3], others[1];

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 3, parts);
	vault_fixture_seal(&f->state, "alice", "alice/b.wav", 10, 1, others);
	vault_fixture_seal(&f->state, "bob", "alice/a.wav", 10, 1, NULL);
	json_t *plan = ask(f, "PlanShred", json_pack("{s:s}", "recording", parts[1]), "plan");
	assert_int_equal(count_parts(plan), 2);
	assert_true(has_part(plan, parts[0], false));
	assert_true(has_part(plan, parts[2], false));
	assert_true(json_is_true(json_object_get(plan, "parts_complete")));
	assert_int_equal(int_of(plan, "recordings"), 1);
	json_decref(plan);
	json_t *result = ask(f, "Shred",
			json_pack("{s:s, s:s}", "recording", parts[1], "reason", "why"), "result");
	assert_int_equal(count_parts(result), 2);
	json_decref(result);
	assert_int_equal(vault_fixture_state(&f->state, parts[0]), RECORDING_SEALED);
	/* What is destroyed is no part any more. */
	plan = ask(f, "PlanShred", json_pack("{s:s}", "recording", parts[0]), "plan");
	assert_int_equal(count_parts(plan), 1);
	json_decref(plan);
	plan = ask(f, "PlanShred", json_pack("{s:s}", "recording", others[0]), "plan");
	assert_int_equal(count_parts(plan), 0);
	json_decref(plan);
}

static void test_parts_are_taken(void **state)
{
	struct fixture *f = *state;
	id_text parts[3], others[1];

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 3, parts);
	vault_fixture_seal(&f->state, "alice", "alice/b.wav", 10, 1, others);
	json_t *plan = ask(f, "PlanShred", with_parts(parts[2], NULL), "plan");
	assert_int_equal(int_of(plan, "recordings"), 3);
	assert_int_equal(int_of(plan, "plaintext_bytes"), 30);
	assert_true(has_part(plan, parts[0], true));
	json_decref(plan);
	json_t *result = ask(f, "Shred", with_parts(parts[2], "why"), "result");
	assert_int_equal(int_of(result, "recordings"), 3);
	assert_int_equal(int_of(result, "epoch_after"), 2);
	assert_true(has_part(result, parts[0], true));
	json_decref(result);
	for (int i = 0; i < 3; i++)
		assert_int_equal(vault_fixture_state(&f->state, parts[i]), RECORDING_DESTROYED);
	assert_int_equal(vault_fixture_state(&f->state, others[0]), RECORDING_SEALED);
}

static void test_without_an_intake_no_spool_was_looked_at(void **state)
{
	struct fixture *f = *state;
	id_text ids[1];

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 1, ids);
	json_t *plan = ask(f, "PlanShred", json_pack("{s:s}", "account", "alice"), "plan");
	const json_t *spools = json_object_get(plan, "spools");
	assert_true(json_array_size(spools) > 0);
	for (size_t i = 0; i < json_array_size(spools); i++) {
		const json_t *spool = json_array_get(spools, i);
		assert_true(json_is_false(json_object_get(spool, "looked")));
		assert_non_null(strstr(text_of(spool, "why"), "not connected"));
	}
	json_decref(plan);
}

/* ---- What the intake says ---- */

#define FOUND                                                                                      \
	"{\"op\":\"found\",\"look\":1,\"spool\":\"s\",\"path\":\"/p\",\"left\":0,"                 \
	"\"complete\":true,\"files\":1,\"unknown\":0,"                                             \
	"\"entries\":[{\"path\":\"YS53YXY=\",\"why\":\"it waits\"}]}"

static void looks_ask(struct spool_looks *looks)
{
	const struct spool_look_question question = {
			.account = (const uint8_t *)"acme", .account_len = 4};
	json_t *message;

	assert_int_equal(spool_looks_ask(looks, &question, &message), 0);
	assert_string_equal(text_of(message, "account"), "YWNtZQ==");
	json_decref(message);
	assert_int_equal(spool_looks_ask(looks, &question, &message), -EBUSY);
}

static int looks_hear(struct spool_looks *looks, const char *text)
{
	json_t *message = json_loads(text, 0, NULL);
	assert_non_null(message);
	int r = spool_looks_found(looks, message);

	json_decref(message);
	return r;
}

static void test_an_answer_is_taken(void **state)
{
	struct spool_looks looks = {0};

	assert_int_equal(looks_hear(&looks, FOUND), 0); /* nobody has asked */
	assert_false(looks.complete);
	looks_ask(&looks);
	assert_int_equal(looks_hear(&looks, FOUND), 0);
	assert_true(looks.complete);
	const json_t *spool = json_array_get(looks.found, 0);
	assert_string_equal(text_of(spool, "name"), "s");
	const json_t *entry = json_array_get(json_object_get(spool, "entries"), 0);
	assert_string_equal(text_of(entry, "path"), "a.wav");
	spool_looks_forget(&looks);
	/* An answer to an earlier look. */
	looks_ask(&looks);
	assert_int_equal(looks_hear(&looks, FOUND), 0);
	assert_false(looks.complete);
	spool_looks_forget(&looks);
}

static void test_a_wrong_answer_ends_the_connection(void **state)
{
	static const char *const changes[][2] = {
			{"\"files\":1", "\"files\":0"},
			{"\"files\":1", "\"files\":-1"},
			{"\"files\":1", "\"files\":\"1\""},
			{"\"unknown\":0,", ""},
			{"\"look\":1", "\"look\":true"},
			{"\"left\":0", "\"left\":100000"},
			{"\"spool\":\"s\"", "\"spool\":\"\\u001b[2J\""},
			{"\"complete\":true", "\"complete\":1"},
			{"\"complete\":true", "\"complete\":false"},
			{"YS53YXY=", "%%%%"},
			{"it waits", "it\\nwaits"},
			{"\"path\":\"/p\",", ""},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct spool_looks looks = {0};
		const char *at = strstr(FOUND, changes[i][0]);
		char text[1024];
		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - FOUND), FOUND, changes[i][1],
				at + strlen(changes[i][0]));
		looks_ask(&looks);
		assert_int_equal(looks_hear(&looks, text), -RE_PROTOCOL);
		assert_false(looks.complete);
		spool_looks_forget(&looks);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			WITH_VAULT(test_parts_are_named_and_stay),
			WITH_VAULT(test_parts_are_taken),
			WITH_VAULT(test_without_an_intake_no_spool_was_looked_at),
			cmocka_unit_test(test_an_answer_is_taken),
			cmocka_unit_test(test_a_wrong_answer_ends_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
