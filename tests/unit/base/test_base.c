/* base/: clock, ulid, text, bytes, error, secret. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/period.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/ulid.h"

/* --- clock --- */

static void assert_time(const char *text, int64_t t_us)
{
	int64_t parsed_us = -1;

	if (clock_parse_rfc3339(text, &parsed_us) != 0 || parsed_us != t_us)
		fail_msg("%s: %jd, not %jd", text, (intmax_t)parsed_us, (intmax_t)t_us);
}

static void test_rfc3339_parse(void **state)
{
	assert_time("1970-01-01", 0);
	assert_time("1970-01-01T00:00:00Z", 0);
	assert_time("2026-11-23T09:01:20Z", INT64_C(1795424480000000));
	assert_time("2026-11-23t09:01:20z", INT64_C(1795424480000000));
	assert_time("2026-11-23T10:01:20+01:00", INT64_C(1795424480000000));
	assert_time("2026-11-23T00:31:20-08:30", INT64_C(1795424480000000));
	assert_time("2026-11-23T09:01:20.5Z", INT64_C(1795424480500000));
	assert_time("2026-11-23T09:01:20.000001Z", INT64_C(1795424480000001));
	assert_time("2026-11-23T09:01:20.0000019999Z", INT64_C(1795424480000001));
	assert_time("2024-02-29", INT64_C(1709164800000000));
	assert_time("2000-02-29", INT64_C(951782400000000));
	assert_time("1969-12-31T23:59:59.25Z", -750000);
	assert_time("0001-01-01", INT64_C(-62135596800000000));
	assert_time("9999-12-31T23:59:59Z", INT64_C(253402300799000000));
}

static void test_rfc3339_parse_rejects(void **state)
{
	static const char *const bad[] = {"", "2026", "2026-11", "2026-11-2", "2026-11-233",
			"2026-13-01", "2026-00-01", "2026-01-00", "2026-02-29", "2100-02-29",
			"2026-02-30", "2026-04-31", "2026-11-23T", "2026-11-23T09:01",
			"2026-11-23T09:01:20", "2026-11-23T24:00:00Z", "2026-11-23T09:60:00Z",
			"2026-11-23T09:01:60Z", "2026-11-23T09:01:20.Z", "2026-11-23T09:01:20.5",
			"2026-11-23T09:01:20ZZ", "2026-11-23T09:01:20+1:00",
			"2026-11-23T09:01:20+24:00", "2026-11-23T09:01:20+0100",
			"2026-11-23T09:01:20+01:60", "2026-11-23T09:01:20+01:00Z", "2026-11-23Z",
			"2026-11-23 09:01:20Z", " 2026-11-23", "2026-11-23 ", "2026-11-23\n",
			/* what strptime and sscanf would let pass */
			"2026- 1- 1", "  26-01-01", "+026-01-01", "2026-11-23T 9: 1: 2Z",
			"2026-11-23T09:01:20+ 1:00", "2026-11-23T09:01:20+-0:00"};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		int64_t t_us = 42;
		if (clock_parse_rfc3339(bad[i], &t_us) != -EINVAL || t_us != 42)
			fail_msg("\"%s\" was taken, or the result touched", bad[i]);
	}
}

static void assert_formatted(int64_t t_us, const char *expected)
{
	char text[RFC3339_BYTES];

	clock_format_rfc3339(t_us, text);
	assert_string_equal(text, expected);
}

static void test_rfc3339_format(void **state)
{
	assert_formatted(0, "1970-01-01T00:00:00Z");
	assert_formatted(999999, "1970-01-01T00:00:00Z");
	assert_formatted(-1, "1969-12-31T23:59:59Z");
	assert_formatted(-US_PER_S, "1969-12-31T23:59:59Z");
	assert_formatted(INT64_C(1709164800000000), "2024-02-29T00:00:00Z");
	assert_formatted(INT64_C(253402300799999999), "9999-12-31T23:59:59Z");
}

/* Whatever a corrupt record holds, formatting it stays within the buffer. */
static void test_rfc3339_format_extremes(void **state)
{
	char text[RFC3339_BYTES];

	clock_format_rfc3339(INT64_MIN, text);
	assert_true(strlen(text) < sizeof(text));
	clock_format_rfc3339(INT64_MAX, text);
	assert_true(strlen(text) < sizeof(text));
}

static void test_timespan(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
	} good[] = {{"0", 0}, {"90", 90 * US_PER_S}, {"90s", 90 * US_PER_S}, {"250ms", 250000},
			{"15min", 900 * US_PER_S}, {"2h", 7200 * US_PER_S},
			{"30d", 30 * US_PER_DAY}, {"5y", 5 * 365 * US_PER_DAY},
			{"292471y", 292471 * 365 * US_PER_DAY}};
	static const char *const bad[] = {"", "s", "-1", "-1d", "+1", " 1", "1 s", "1m", "1 ",
			"1.5h", "1D", "1dd", "0x10", "292472y", "9223372036855",
			"99999999999999999999", "9223372036854775807d"};

	for (size_t i = 0; i < ELEMENTSOF(good); i++) {
		int64_t us = -1;
		assert_int_equal(clock_parse_span(good[i].text, &us), 0);
		assert_true(us == good[i].us);
	}
	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		int64_t us = 42;
		if (clock_parse_span(bad[i], &us) != -EINVAL || us != 42)
			fail_msg("\"%s\" was taken, or the result touched", bad[i]);
	}
}

static int64_t fixed_now(void *context)
{
	return *(int64_t *)context;
}

static void test_clock_injected(void **state)
{
	int64_t now_us = 1234567;
	struct clock clock = {fixed_now, &now_us};

	assert_true(clock_now_us(&clock) == 1234567);
	assert_true(clock_now_us(&clock_system) > INT64_C(1600000000000000));
}

/* --- ulid --- */

static void test_ulid_known(void **state)
{
	uint8_t id[ULID_BYTES] = {0};
	char text[ULID_TEXT_CHARS + 1];

	ulid_format(id, text);
	assert_string_equal(text, "00000000000000000000000000");
	memset(id, 0xff, sizeof(id));
	ulid_format(id, text);
	assert_string_equal(text, "7zzzzzzzzzzzzzzzzzzzzzzzzz");
	/* the example of github.com/ulid/spec: its first ten characters are 1469918176385 ms */
	assert_int_equal(ulid_parse("01ARYZ6S41TSV4RRFFQ69G5FAV", id), 0);
	uint64_t ms = 0;
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id[i];
	assert_true(ms == UINT64_C(1469918176385));
	ulid_format(id, text);
	assert_string_equal(text, "01aryz6s41tsv4rrffq69g5fav");
}

static void test_ulid_round_trip(void **state)
{
	for (int i = 0; i < 200; i++) {
		uint8_t id[ULID_BYTES], back[ULID_BYTES];
		char text[ULID_TEXT_CHARS + 1];
		randombytes_buf(id, sizeof(id));
		ulid_format(id, text);
		assert_int_equal(strlen(text), ULID_TEXT_CHARS);
		assert_int_equal(ulid_parse(text, back), 0);
		assert_memory_equal(id, back, sizeof(id));
	}
}

static void test_ulid_order(void **state)
{
	static const int64_t times_us[] = {0, 1000, 255000, 256000, INT64_C(1700000000000000),
			INT64_C(1700000000001000), INT64_C(4000000000000000)};
	char before[ULID_TEXT_CHARS + 1] = "", text[ULID_TEXT_CHARS + 1];

	for (size_t i = 0; i < ELEMENTSOF(times_us); i++) {
		uint8_t id[ULID_BYTES], other[ULID_BYTES];
		ulid_new(times_us[i], id);
		ulid_new(times_us[i], other);
		assert_memory_not_equal(id, other, sizeof(id));
		assert_memory_equal(id, other, 6);
		ulid_format(id, text);
		assert_true(strcmp(before, text) < 0);
		memcpy(before, text, sizeof(text));
	}
}

static void test_ulid_rejects(void **state)
{
	static const char *const bad[] = {"", "0000000000000000000000000",
			"000000000000000000000000000", "80000000000000000000000000",
			"0000000000000000000000000i", "0000000000000000000000000L",
			"0000000000000000000000000o", "0000000000000000000000000U",
			"0000000000000 000000000000", "0000000000000-000000000000",
			"000000000000000000000000\xc3\xa9"};
	uint8_t id[ULID_BYTES], untouched[ULID_BYTES];

	memset(id, 0x5a, sizeof(id));
	memset(untouched, 0x5a, sizeof(untouched));
	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		assert_int_equal(ulid_parse(bad[i], id), -EINVAL);
		assert_memory_equal(id, untouched, sizeof(id));
	}
}

/* --- text, bytes, error --- */

static void assert_printable(const char *bytes, size_t len, const char *expected)
{
	_cleanup_free_ char *text = text_printable(bytes, len);

	assert_non_null(text);
	assert_string_equal(text, expected);
}

#define assert_printed(literal, expected) assert_printable(literal, sizeof(literal) - 1, expected)

static void test_printable(void **state)
{
	assert_printed("", "");
	assert_printed("room 12, caf\xc3\xa9", "room 12, caf\xc3\xa9");
	assert_printed("\xe2\x82\xac \xf0\x9f\x8e\x99 \xf4\x8f\xbf\xbf",
			"\xe2\x82\xac \xf0\x9f\x8e\x99 \xf4\x8f\xbf\xbf");
	assert_printed("a\\b", "a\\\\b");
	assert_printed("\\x0a", "\\\\x0a"); /* cannot be mistaken for the next */
	assert_printed("\n", "\\x0a");
	assert_printed("a\0b", "a\\x00b");
	assert_printed("\x1b[2J\x7f", "\\x1b[2J\\x7f");
	assert_printed("\xc2\x9b"
		       "31m",
			"\\xc2\\x9b31m"); /* C1: CSI */
	assert_printed("\xc2\xa0", "\xc2\xa0");
}

static void test_printable_invalid(void **state)
{
	assert_printed("\xff\xfe", "\\xff\\xfe");
	assert_printed("\x80", "\\x80");
	assert_printed("\xc3", "\\xc3");
	assert_printed("\xc3(", "\\xc3(");
	assert_printed("\xe2\x82", "\\xe2\\x82");
	assert_printed("\xe2\x82z", "\\xe2\\x82z");
	assert_printed("\xf0\x9f\x8e", "\\xf0\\x9f\\x8e");
	/* overlong "/", NUL and U+20AC */
	assert_printed("\xc0\xaf", "\\xc0\\xaf");
	assert_printed("\xc0\x80", "\\xc0\\x80");
	assert_printed("\xe0\x80\xaf", "\\xe0\\x80\\xaf");
	assert_printed("\xf0\x82\x82\xac", "\\xf0\\x82\\x82\\xac");
	/* surrogates, past U+10FFFF, five bytes */
	assert_printed("\xed\xa0\x80", "\\xed\\xa0\\x80");
	assert_printed("\xed\xbf\xbf", "\\xed\\xbf\\xbf");
	assert_printed("\xed\x9f\xbf", "\xed\x9f\xbf");
	assert_printed("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	assert_printed("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80");
}

/* "Trojan Source": marks that make text read in another order than it is. */
static void test_printable_bidi(void **state)
{
	static const uint32_t marks[] = {0x61c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b,
			0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069};

	for (size_t i = 0; i < ELEMENTSOF(marks); i++) {
		uint32_t c = marks[i];
		char bytes[4] = {0}, expected[16];
		if (c < 0x800) {
			bytes[0] = (char)(0xc0 | c >> 6);
			bytes[1] = (char)(0x80 | (c & 0x3f));
		} else {
			bytes[0] = (char)(0xe0 | c >> 12);
			bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
			bytes[2] = (char)(0x80 | (c & 0x3f));
		}
		for (size_t k = 0, n = strlen(bytes); k < n; k++)
			snprintf(expected + 4 * k, 5, "\\x%02x", (unsigned char)bytes[k]);
		assert_printable(bytes, strlen(bytes), expected);
	}
	assert_printed("\xe2\x80\x90\xe2\x81\xaa",
			"\xe2\x80\x90\xe2\x81\xaa");            /* neighbours pass */
	assert_printed("\xd7\x90\xd7\x91", "\xd7\x90\xd7\x91"); /* Hebrew itself too */
}

/* Whatever goes in, what comes out is valid UTF-8 without controls. */
static void test_printable_random(void **state)
{
	for (int round = 0; round < 500; round++) {
		uint8_t bytes[64];
		randombytes_buf(bytes, sizeof(bytes));
		_cleanup_free_ char *text = text_printable(bytes, sizeof(bytes));
		assert_non_null(text);
		size_t len = strlen(text);
		for (size_t i = 0, n; i < len; i += n) {
			n = text_utf8_sequence((const uint8_t *)text + i, len - i);
			assert_true(n > 0);
			assert_true(n > 1 || ((unsigned char)text[i] >= 0x20 && text[i] != 0x7f));
		}
	}
}

static void test_text_that_nobody_sees(void **state)
{
	static const char *const invisible[] = {"", " ", "\t\r\n", "\xc2\xa0", "\xe2\x80\x8b",
			"\xe2\x80\x8d \xe2\x81\xa0", "\xe3\x80\x80", "\xc2\xad", "\xe2\x80\xae",
			"\xe2\x81\xa6\xe2\x81\xa9", "\xef\xbb\xbf", "\xe3\x85\xa4", "\xe1\x85\x9f",
			"\xef\xbe\xa0", "\xe2\xa0\x80", "\xef\xb8\x8f", "\xcd\x8f",
			"\xf3\xa0\x81\x81", "\xe1\xa0\x8e", "\xe2\x80\xa8", "\xef\xbf\xbf",
			"\xd8\x9c", "\xe1\x9a\x80"};
	static const char *const visible[] = {"a", " a", "\xe2\x80\x8b.", "\xc3\xa9",
			"\xe2\x82\xac", "\xf0\x9f\x8e\x99", "\xe6\xb3\x95", "\xd8\xa8", "-", "\xff",
			"\xe2\xa0\x81", "\xe2\x80\x94", "\xe2\x80\xb0"};

	for (size_t i = 0; i < ELEMENTSOF(invisible); i++)
		assert_false(text_is_visible(invisible[i]));
	for (size_t i = 0; i < ELEMENTSOF(visible); i++)
		assert_true(text_is_visible(visible[i]));
}

static void test_text_columns(void **state)
{
	assert_int_equal(text_columns(""), 0);
	assert_int_equal(text_columns("abc"), 3);
	assert_int_equal(text_columns("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\x99"), 8);
	assert_int_equal(text_utf8_sequence((const uint8_t *)"", 0), 0);
}

static void test_bytes(void **state)
{
	uint8_t p[8];

	put_le32(p, 0x80fe0201);
	assert_memory_equal(p, "\x01\x02\xfe\x80", 4);
	assert_true(get_le32(p) == 0x80fe0201);
	put_le64(p, UINT64_C(0xff00000080fe0201));
	assert_memory_equal(p, "\x01\x02\xfe\x80\x00\x00\x00\xff", 8);
	assert_true(get_le64(p) == UINT64_C(0xff00000080fe0201));
}

static void test_every_error_has_a_phrase(void **state)
{
	for (int code = RE_FIRST; code < RE_LAST; code++) {
		assert_non_null(error_text(-code));
		assert_true(error_text(-code) == error_text(code));
	}
	assert_string_equal(error_text(-ENOENT), strerror(ENOENT));
	assert_string_equal(error_text(-RE_GONE), "key was destroyed");
}

/* --- secret --- */

static void test_secret_memory(void **state)
{
	uint8_t *secret = secret_new(33);

	assert_non_null(secret);
	for (int i = 0; i < 33; i++)
		assert_int_equal(secret[i], 0);
	assert_null(secret_free(secret));
	assert_null(secret_free(NULL));
}

/* More than share one region: each is its own, zeroed, and usable to its end. */
static void test_secrets_do_not_overlap(void **state)
{
	uint8_t *secret[600];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ELEMENTSOF(secret); i++) {
			size_t size = 1 + i % 200;
			secret[i] = secret_new(size);
			assert_non_null(secret[i]);
			assert_true(sodium_is_zero(secret[i], size));
			memset(secret[i], (int)(i % 251) + 1, size);
		}
		for (size_t i = 0; i < ELEMENTSOF(secret); i++) {
			for (size_t at = 0; at < 1 + i % 200; at++)
				assert_int_equal(secret[i][at], (int)(i % 251) + 1);
			secret_free(secret[i]);
		}
	}
}

/* Freed twice, a key that is somebody else's by now would be wiped: the process ends instead. */
static void test_secret_freed_twice(void **state)
{
	pid_t child = fork();

	if (child == 0) {
		const struct rlimit none = {0, 0};
		void *secret = secret_new(32);
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL); /* cmocka's would report it as this test's own */
		secret_free(secret);
		secret_free(secret);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_secret_travels(void **state)
{
	_cleanup_close_ int fd = secret_to_fd("0123456789abcdef", 16);
	char back[16];

	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(secret_from_fd(fd, back, 16), 0);
	assert_memory_equal(back, "0123456789abcdef", 16);
	assert_int_equal(secret_from_fd(fd, back, 16), 0); /* and can be read again */
	/* nobody can change it any more */
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
}

static void test_secret_refuses_wrong_sizes(void **state)
{
	_cleanup_close_ int fd = secret_to_fd("0123456789abcdef", 16);
	char back[SECRET_FD_MAX_BYTES + 1] = "untouched";

	assert_int_equal(secret_from_fd(fd, back, 15), -RE_PROTOCOL);
	assert_int_equal(secret_from_fd(fd, back, 17), -RE_PROTOCOL);
	assert_int_equal(secret_from_fd(fd, back, sizeof(back)), -RE_PROTOCOL);
	assert_string_equal(back, "untouched");
	assert_int_equal(secret_to_fd("", 0), -EINVAL);
	assert_int_equal(secret_to_fd(back, sizeof(back)), -EINVAL);
}

static void test_secret_refuses_unsealed(void **state)
{
	static const int partial[] = {0, F_SEAL_WRITE, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
			F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW,
			F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_WRITE,
			F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_WRITE};
	char back[16];

	for (size_t i = 0; i < ELEMENTSOF(partial); i++) {
		_cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		assert_int_equal(write(fd, "0123456789abcdef", 16), 16);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, partial[i]), 0);
		assert_int_equal(secret_from_fd(fd, back, 16), -RE_PROTOCOL);
	}
	int pipe_fds[2];
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(secret_from_fd(pipe_fds[0], back, 16), -RE_PROTOCOL);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	assert_int_equal(secret_from_fd(-1, back, 16), -RE_PROTOCOL);
}

static void assert_period(const char *text, const char *from, const char *end)
{
	struct period period;
	int64_t from_us, end_us;

	assert_int_equal(period_parse(text, &period), 0);
	assert_int_equal(clock_parse_rfc3339(from, &from_us), 0);
	assert_int_equal(clock_parse_rfc3339(end, &end_us), 0);
	if (period_end_us(from_us, &period) != end_us)
		fail_msg("%s after %s is not %s", text, from, end);
	assert_true(period_longest_us(&period) >= end_us - from_us);
}

static void test_periods(void **state)
{
	static const char *const wrong[] = {"", "y", "-1y", "1.5y", "1yy", "1m",
			"99999999999999999999y", "9223372036854775807mo", "99999999999y"};
	struct period period = {0};
	char text[PERIOD_TEXT_BYTES];

	assert_period("5y", "2021-11-28T10:00:00Z", "2026-11-28T10:00:00Z");
	assert_period("5y", "2024-11-28T10:00:00.5Z", "2029-11-28T10:00:00.5Z");
	assert_period("1y", "2024-02-29T12:00:00Z", "2025-03-01T12:00:00Z");
	assert_period("4y", "2024-02-29T12:00:00Z", "2028-02-29T12:00:00Z");
	assert_period("1mo", "2027-01-31T23:59:59Z", "2027-03-01T23:59:59Z");
	assert_period("1mo", "2028-01-30T00:00:00Z", "2028-03-01T00:00:00Z");
	assert_period("1mo", "2027-01-28T00:00:00Z", "2027-02-28T00:00:00Z");
	assert_period("18mo", "2026-08-30T01:02:03Z", "2028-03-01T01:02:03Z");
	assert_period("100y", "2024-02-29T00:00:00Z", "2124-02-29T00:00:00Z");
	assert_period("1mo", "1969-12-31T23:59:59.25Z", "1970-01-31T23:59:59.25Z");
	assert_period("30d", "2028-02-15T00:00:00Z", "2028-03-16T00:00:00Z");
	assert_period("90s", "2028-02-15T00:00:00Z", "2028-02-15T00:01:30Z");
	for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
		assert_int_equal(period_parse(wrong[i], &period), -EINVAL);
	assert_int_equal(period_parse("5y", &period), 0);
	assert_true(period_longest_us(&period) == (5 * 365 + 2) * US_PER_DAY);
	assert_true(period_end_us(INT64_MAX - 5, &period) == INT64_MAX);
	period_format(&period, text);
	assert_string_equal(text, "5 years");
	assert_int_equal(period_parse("1mo", &period), 0);
	assert_true(period_longest_us(&period) == 31 * US_PER_DAY);
	period_format(&period, text);
	assert_string_equal(text, "1 month");
	assert_int_equal(period_parse("30d", &period), 0);
	period_format(&period, text);
	assert_string_equal(text, "30 days");
	assert_int_equal(period_parse("90s", &period), 0);
	period_format(&period, text);
	assert_string_equal(text, "90 s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_periods),
			cmocka_unit_test(test_rfc3339_parse),
			cmocka_unit_test(test_rfc3339_parse_rejects),
			cmocka_unit_test(test_rfc3339_format),
			cmocka_unit_test(test_rfc3339_format_extremes),
			cmocka_unit_test(test_timespan),
			cmocka_unit_test(test_clock_injected),
			cmocka_unit_test(test_ulid_known),
			cmocka_unit_test(test_ulid_round_trip),
			cmocka_unit_test(test_ulid_order),
			cmocka_unit_test(test_ulid_rejects),
			cmocka_unit_test(test_printable),
			cmocka_unit_test(test_printable_invalid),
			cmocka_unit_test(test_printable_bidi),
			cmocka_unit_test(test_printable_random),
			cmocka_unit_test(test_text_that_nobody_sees),
			cmocka_unit_test(test_text_columns),
			cmocka_unit_test(test_bytes),
			cmocka_unit_test(test_every_error_has_a_phrase),
			cmocka_unit_test(test_secret_memory),
			cmocka_unit_test(test_secrets_do_not_overlap),
			cmocka_unit_test(test_secret_freed_twice),
			cmocka_unit_test(test_secret_travels),
			cmocka_unit_test(test_secret_refuses_wrong_sizes),
			cmocka_unit_test(test_secret_refuses_unsealed),
	};

	if (secret_process_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
