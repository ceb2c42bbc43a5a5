/* Framing of the age plugin protocol. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "crypto/age_stanza.h"
#include "tests/unit/support/plugin_talk.h"

static void test_stanzas_are_read_one_after_another(void **state)
{
	struct age_stanza s;
	struct talk talk;

	talk_start(&talk, "-> done\n\n-> x 1 2\nAAEC\n");
	assert_int_equal(plugin_stanza_read(&talk.stream, &s), 0);
	assert_int_equal(s.n_args, 1);
	assert_string_equal(s.args[0], "done");
	assert_int_equal(s.body_len, 0);
	age_stanza_free(&s);
	assert_int_equal(plugin_stanza_read(&talk.stream, &s), 0);
	assert_int_equal(s.n_args, 3);
	assert_string_equal(s.args[2], "2");
	assert_int_equal(s.body_len, 3);
	assert_memory_equal(s.body, "\0\1\2", 3);
	age_stanza_free(&s);
	assert_int_equal(plugin_stanza_read(&talk.stream, &s), -ECONNRESET);
	free(talk_end(&talk));
}

static void test_malformed_stanzas(void **state)
{
#define CASE(text, expected)                                                                       \
	{                                                                                          \
		text, sizeof(text) - 1, expected                                                   \
	}
	static const struct {
		const char *text;
		size_t len;
		int expected;
	} cases[] = {
			CASE("", -ECONNRESET),
			CASE("-> a\n", -ECONNRESET),
			CASE("-> a\nAAEC", -ECONNRESET),
			CASE("-> a\n" COLUMNS_64 "\n", -ECONNRESET), /* the short line is missing */
			CASE("->\n\n", -RE_PROTOCOL),
			CASE("-> \n\n", -RE_PROTOCOL),
			CASE("a b\n\n", -RE_PROTOCOL),
			CASE("-> a  b\n\n", -RE_PROTOCOL),
			CASE("-> a \n\n", -RE_PROTOCOL),
			CASE("-> a\r\n\r\n", -RE_PROTOCOL),
			CASE("-> \xc3\xbc\n\n", -RE_PROTOCOL),
			CASE("-> a\0b\n\n", -RE_PROTOCOL),
			CASE("-> a\nAAE=\n", -RE_PROTOCOL), /* padded */
			CASE("-> a\nAAF\n", -RE_PROTOCOL),  /* not canonical */
			CASE("-> a\nA\n", -RE_PROTOCOL),
			CASE("-> a\nAA EC\n", -RE_PROTOCOL),
			CASE("-> a\nAA\0EC\n", -RE_PROTOCOL),
			CASE("-> a\n" COLUMNS_64 "A\n\n", -RE_PROTOCOL), /* 65 columns */
			CASE("-> a\n" COLUMNS_64 "\n\n", 0),
			CASE("-> a\n" COLUMNS_64 "\nAAEC\n", 0),
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct age_stanza s;
		struct talk talk;
		talk_start_bytes(&talk, cases[i].text, cases[i].len);
		int r = plugin_stanza_read(&talk.stream, &s);
		assert_int_equal(r, cases[i].expected);
		if (r == 0)
			age_stanza_free(&s);
		free(talk_end(&talk));
	}
}

static void test_endless_stanza(void **state)
{
	struct age_stanza s;
	struct talk talk;
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	talk_start(&talk, "");
	talk.stream.in_fd = zero;
	assert_int_equal(plugin_stanza_read(&talk.stream, &s), -RE_PROTOCOL);
	free(talk_end(&talk));
	close(zero);
}

static void test_written_stanzas_read_back(void **state)
{
	static const size_t lengths[] = {0, 1, 16, 47, 48, 49, 96, 1000};
	static const char *const args[] = {"type", "arg"};

	for (size_t i = 0; i < ELEMENTSOF(lengths); i++) {
		_cleanup_free_ uint8_t *body = malloc(lengths[i] + 1);
		struct age_stanza s;
		struct talk first, second;
		randombytes_buf(body, lengths[i]);
		talk_start(&first, "");
		assert_int_equal(plugin_stanza_write(&first.stream, args, 2, body, lengths[i]), 0);
		_cleanup_free_ char *text = talk_end(&first);
		talk_start(&second, text);
		assert_int_equal(plugin_stanza_read(&second.stream, &s), 0);
		assert_int_equal(s.body_len, lengths[i]);
		assert_memory_equal(s.body, body, lengths[i]);
		age_stanza_free(&s);
		assert_int_equal(plugin_stanza_read(&second.stream, &s), -ECONNRESET);
		free(talk_end(&second));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_stanzas_are_read_one_after_another),
			cmocka_unit_test(test_malformed_stanzas),
			cmocka_unit_test(test_endless_stanza),
			cmocka_unit_test(test_written_stanzas_read_back),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
