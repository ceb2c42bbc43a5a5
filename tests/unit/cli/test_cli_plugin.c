/* The age plugin's state machines: grease, refusals, and clients that break the rules. */
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/plugin_identity.h"
#include "crypto/age_stanza.h"
#include "tests/unit/support/cli_assert.h"
#include "tests/unit/support/plugin_talk.h"

#define RECORDING_ID   "01kaw5q7v3c2m9x0r8t4e6h1zn"
#define IDENTITY       "-> add-identity " PLUGIN_IDENTITY "\n\n"
#define REC            " recseal.org/v1/rec " RECORDING_ID " AAAAAAAAAAAAAAAAAAAAAA\n"
#define BODY_32        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define REC_OF(file)   "-> recipient-stanza " file REC BODY_32
#define TAG_OF(file)   "-> recipient-stanza " file " recseal.org/v1/tag\ne30\n"
#define OTHER_OF(file) "-> recipient-stanza " file " X25519 abc\n" BODY_32
#define DONE           "-> done\n\n"
#define OK             "-> ok\n\n"
#define FILE_KEY       "BwcHBwcHBwcHBwcHBwcHBw\n" /* sixteen sevens */

struct vault {
	int answer;
	const char *problem;
	unsigned asked;
};

static int unwrap(void *context, const struct age_stanza *rec,
		const uint8_t tag_hash[static TAG_HASH_BYTES],
		uint8_t ret_file_key[static AGE_FILE_KEY_BYTES], struct reason *reason)
{
	struct vault *vault = context;
	uint8_t expected[TAG_HASH_BYTES];

	vault->asked++;
	crypto_hash_sha256(expected, (const uint8_t *)"{}", 2);
	assert_memory_equal(tag_hash, expected, sizeof(expected));
	assert_int_equal(rec->n_args, 2);
	assert_string_equal(rec->args[0], RECORDING_ID);
	assert_int_equal(rec->body_len, REC_WRAPPED_BYTES);
	if (vault->problem)
		reason_set(reason, 0, "%s", vault->problem);
	else
		memset(ret_file_key, 7, AGE_FILE_KEY_BYTES);
	return vault->answer;
}

/* Runs identity-v1; what it said is compared. */
static int converse(struct vault *vault, const char *client, const char *expected)
{
	const struct plugin_unwrap via = {.unwrap = unwrap, .context = vault};
	struct talk talk;

	vault->asked = 0;
	talk_start(&talk, client);
	int r = plugin_identity_run(&talk.stream, &via);
	_cleanup_free_ char *said = talk_end(&talk);
	assert_string_equal(said, expected);
	return r;
}

/* The base64 lines of a message, cut off: "-> error stanza 0 1\n...". */
static int converse_error(
		struct vault *vault, const char *client, const char *head, char **ret_text)
{
	const struct plugin_unwrap via = {.unwrap = unwrap, .context = vault};
	struct age_stanza s;
	struct talk talk, reader;
	char line[256] = "";

	vault->asked = 0;
	talk_start(&talk, client);
	int r = plugin_identity_run(&talk.stream, &via);
	_cleanup_free_ char *said = talk_end(&talk);
	talk_start(&reader, said);
	assert_int_equal(plugin_stanza_read(&reader.stream, &s), 0);
	for (size_t i = 0; i < s.n_args; i++) {
		strcat(line, i ? " " : "");
		strcat(line, s.args[i]);
	}
	assert_string_equal(line, head);
	*ret_text = strndup((const char *)s.body, s.body_len);
	age_stanza_free(&s);
	free(talk_end(&reader));
	return r;
}

static void test_one_file(void **state)
{
	struct vault vault = {0};

	assert_int_equal(converse(&vault, IDENTITY REC_OF("0") TAG_OF("0") DONE OK,
					 "-> file-key 0\n" FILE_KEY DONE),
			0);
	assert_int_equal(vault.asked, 1);
}

static void test_grease_and_foreign_stanzas_are_ignored(void **state)
{
	struct vault vault = {0};

	assert_int_equal(converse(&vault,
					 "-> grease-1f2e 7 99\nAAEC\n" IDENTITY
					 "-> grease-0\n" COLUMNS_64 "\n\n" OTHER_OF("0") REC_OF(
							 "0") "-> add-recipient x\n\n" OTHER_OF("0")
							 TAG_OF("0") OTHER_OF("3") DONE OK,
					 "-> file-key 0\n" FILE_KEY DONE),
			0);
}

static void test_several_files(void **state)
{
	struct vault vault = {0};

	assert_int_equal(
			converse(&vault,
					REC_OF("0") TAG_OF("0") OTHER_OF("1") IDENTITY REC_OF("2")
							TAG_OF("2") DONE OK OK,
					"-> file-key 0\n" FILE_KEY "-> file-key 2\n" FILE_KEY DONE),
			0);
	assert_int_equal(vault.asked, 2);
}

static void test_nothing_to_do(void **state)
{
	struct vault vault = {0};

	assert_int_equal(converse(&vault, IDENTITY OTHER_OF("0") DONE, DONE), 0);
	assert_int_equal(converse(&vault, REC_OF("0") TAG_OF("0") DONE, DONE), 0); /* no identity */
	assert_int_equal(vault.asked, 0);
}

static void test_refused_file(void **state)
{
	struct vault vault = {.answer = PLUGIN_UNWRAP_DENIED, .problem = "refused: not yours"};
	_cleanup_free_ char *text = NULL;

	assert_int_equal(converse_error(&vault,
					 IDENTITY OTHER_OF("4") REC_OF("4") TAG_OF("4") DONE OK,
					 "error stanza 4 1", &text),
			0);
	assert_string_equal(text, "refused: not yours");
}

/* age leaves as soon as it has read an error. */
static void test_client_that_leaves_after_an_error(void **state)
{
	struct vault vault = {.answer = PLUGIN_UNWRAP_DENIED, .problem = "x"};
	_cleanup_free_ char *text = NULL;

	assert_int_equal(converse_error(&vault, IDENTITY REC_OF("0") TAG_OF("0") DONE,
					 "error stanza 0 0", &text),
			0);
}

static void test_unreachable_keeper_is_asked_once(void **state)
{
	struct vault vault = {.answer = PLUGIN_UNWRAP_FAILED, .problem = "no keeper"};
	_cleanup_free_ char *text = NULL;

	assert_int_equal(converse_error(&vault,
					 IDENTITY REC_OF("0") TAG_OF("0") REC_OF("1") TAG_OF("1")
							 DONE OK OK,
					 "error internal", &text),
			0);
	assert_string_equal(text, "no keeper");
	assert_int_equal(vault.asked, 1);
}

/* age-plugin: invalid identities forbid to unwrap anything. */
static void test_unknown_identity(void **state)
{
	struct vault vault = {0};
	_cleanup_free_ char *text = NULL;

	assert_int_equal(converse_error(&vault,
					 IDENTITY
					 "-> add-identity AGE-PLUGIN-OTHER-1XYZ\n\n" REC_OF("0")
							 TAG_OF("0") DONE OK,
					 "error identity 1", &text),
			0);
	assert_int_equal(vault.asked, 0);
}

static void test_structurally_invalid_files(void **state)
{
	static const struct {
		const char *client, *head, *text;
	} cases[] = {
			{REC_OF("0"), "error stanza 0 0", "tag of recseal is missing"},
			{TAG_OF("0"), "error stanza 0 0", "no key stanza"},
			{REC_OF("0") REC_OF("0") TAG_OF("0"), "error stanza 0 1",
					"more than one key"},
			{REC_OF("0") TAG_OF("0") TAG_OF("0"), "error stanza 0 2",
					"more than one tag"},
			{"-> recipient-stanza 0 recseal.org/v1/rec\n" BODY_32 TAG_OF("0"),
					"error stanza 0 0", "malformed"},
			{"-> recipient-stanza 0" REC "AAEC\n" TAG_OF("0"), "error stanza 0 0",
					"malformed"},
			{REC_OF("0") "-> recipient-stanza 0 recseal.org/v1/tag x\ne30\n",
					"error stanza 0 1", "tag of recseal is malformed"},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct vault vault = {0};
		_cleanup_free_ char *client = NULL, *text = NULL;
		assert_true(asprintf(&client, IDENTITY "%s" DONE OK, cases[i].client) > 0);
		assert_int_equal(converse_error(&vault, client, cases[i].head, &text), 0);
		assert_contains(text, cases[i].text);
		assert_int_equal(vault.asked, 0);
	}
}

static void test_broken_clients(void **state)
{
	static const struct {
		const char *client;
		int expected;
	} cases[] = {
			{"", -ECONNRESET},
			{IDENTITY REC_OF("0"), -ECONNRESET}, /* no done */
			{"-> add-identity\n\n" DONE, -RE_PROTOCOL},
			{"-> recipient-stanza 0\n\n" DONE, -RE_PROTOCOL},
			{"-> recipient-stanza x y\n\n" DONE, -RE_PROTOCOL},
			{"-> recipient-stanza -1 y\n\n" DONE, -RE_PROTOCOL},
			{"-> recipient-stanza 99999999999999999999 y\n\n" DONE, -RE_PROTOCOL},
			{OTHER_OF("1") OTHER_OF("0") DONE, -RE_PROTOCOL}, /* goes back */
			{"GET / HTTP/1.0\n\n", -RE_PROTOCOL},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct vault vault = {0};
		assert_int_equal(converse(&vault, cases[i].client, ""), cases[i].expected);
	}
}

static void test_nonsense_as_a_response(void **state)
{
	struct vault vault = {0};

	assert_int_equal(converse(&vault, IDENTITY REC_OF("0") TAG_OF("0") DONE "-> what\n\n",
					 "-> file-key 0\n" FILE_KEY),
			-RE_PROTOCOL);
}

static void test_recipient_v1_says_why_not(void **state)
{
	struct age_stanza s;
	struct talk talk, reader;

	talk_start(&talk, IDENTITY "-> wrap-file-key\nAAEC\n" DONE OK);
	assert_int_equal(plugin_identity_refuse_recipient(&talk.stream), 0);
	_cleanup_free_ char *said = talk_end(&talk);
	talk_start(&reader, said);
	assert_int_equal(plugin_stanza_read(&reader.stream, &s), 0);
	assert_string_equal(s.args[0], "error");
	assert_string_equal(s.args[1], "internal");
	_cleanup_free_ char *text = strndup((const char *)s.body, s.body_len);
	assert_contains(text, "sealed by recseald");
	age_stanza_free(&s);
	assert_int_equal(plugin_stanza_read(&reader.stream, &s), 0);
	assert_string_equal(s.args[0], "done");
	age_stanza_free(&s);
	free(talk_end(&reader));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_one_file),
			cmocka_unit_test(test_grease_and_foreign_stanzas_are_ignored),
			cmocka_unit_test(test_several_files),
			cmocka_unit_test(test_nothing_to_do),
			cmocka_unit_test(test_refused_file),
			cmocka_unit_test(test_client_that_leaves_after_an_error),
			cmocka_unit_test(test_unreachable_keeper_is_asked_once),
			cmocka_unit_test(test_unknown_identity),
			cmocka_unit_test(test_structurally_invalid_files),
			cmocka_unit_test(test_broken_clients),
			cmocka_unit_test(test_nonsense_as_a_response),
			cmocka_unit_test(test_recipient_v1_says_why_not),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
