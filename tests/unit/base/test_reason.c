/* A reason: set, added to, put words before, cut where it does not fit. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/reason.h"

static void test_set(void **state)
{
	struct reason reason = {"old"};

	assert_int_equal(reason_set(&reason, -EIO, "cannot read %s", "x"), -EIO);
	assert_string_equal(reason.text, "cannot read x");
	assert_int_equal(reason_set_error(&reason, -RE_BUSY, "cannot lock %s", "y"), -RE_BUSY);
	assert_string_equal(reason.text, "cannot lock y: in use by another process");
	assert_int_equal(reason_set(NULL, -EIO, "nobody asks"), -EIO);
}

static void test_text_without_reason(void **state)
{
	struct reason reason = {""};

	assert_string_equal(reason_text(&reason, -RE_GONE), "key was destroyed");
	assert_string_equal(reason_text(NULL, -RE_GONE), "key was destroyed");
	reason_set(&reason, 0, "words");
	assert_string_equal(reason_text(&reason, -RE_GONE), "words");
	reason_clear(&reason);
	assert_string_equal(reason.text, "");
}

static void test_prefix(void **state)
{
	struct reason reason = {""};

	reason_prefix(&reason, "mirror %s", "usb");
	assert_string_equal(reason.text, "");
	reason_set(&reason, 0, "not mounted");
	reason_prefix(&reason, "mirror %s", "usb");
	assert_string_equal(reason.text, "mirror usb: not mounted");
}

static void test_lines(void **state)
{
	struct reason reason = {""};
	char long_line[300];

	reason_add_line(&reason, 0, "one");
	reason_add_line(&reason, 0, "two");
	assert_string_equal(reason.text, "one\ntwo");
	memset(long_line, 'x', sizeof(long_line) - 1);
	long_line[sizeof(long_line) - 1] = '\0';
	for (int i = 0; i < 20; i++)
		assert_int_equal(reason_add_line(&reason, -RE_CONFIG, "%s", long_line), -RE_CONFIG);
	assert_string_equal(strrchr(reason.text, '\n'), "\n(and more)");
	assert_null(strstr(strstr(reason.text, "(and more)") + 1, "(and more)"));
	/* what would still fit is not put behind it */
	reason_add_line(&reason, 0, "short");
	assert_string_equal(strrchr(reason.text, '\n'), "\n(and more)");
}

/* Cut text stays UTF-8 and says that it was cut. */
static void test_cut(void **state)
{
	struct reason reason;
	char euros[3 * REASON_BYTES + 1];

	for (size_t shift = 0; shift < 3; shift++) {
		memset(euros, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof(euros); i += 3)
			memcpy(euros + i, "\xe2\x82\xac", 4);
		reason_set(&reason, 0, "%s", euros);
		size_t len = strlen(reason.text);
		assert_in_range(len, REASON_BYTES - 6, REASON_BYTES - 1);
		assert_string_equal(reason.text + len - 3, "...");
		assert_int_equal((len - 3 - shift) % 3, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_set),
			cmocka_unit_test(test_text_without_reason),
			cmocka_unit_test(test_prefix),
			cmocka_unit_test(test_lines),
			cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
