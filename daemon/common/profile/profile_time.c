#include "daemon/common/profile/profile_time.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"

#define NUMBER_DIGITS_MAX 16

/* -EINVAL; 1 when the text is not all digits, or not as many as a time since 1970 has. */
static int time_parse_number(const char *text, int64_t *ret_us)
{
	size_t len = strspn(text, "0123456789");
	int64_t unit_us = len == 10                  ? US_PER_S
			  : len == 13                ? 1000
			  : len == NUMBER_DIGITS_MAX ? 1
						     : 0;

	if (text[len] != '\0' || unit_us == 0)
		return 1;
	*ret_us = strtoll(text, NULL, 10) * unit_us;
	return 0;
}

static int time_parse_digits(const char **at, int n, int *ret_value)
{
	int value = 0;

	for (int i = 0; i < n; i++, (*at)++) {
		if (!isdigit((unsigned char)**at))
			return -EINVAL;
		value = 10 * value + (**at - '0');
	}
	*ret_value = value;
	return 0;
}

static void time_skip_separator(const char **at)
{
	if (**at && strchr("-_.:T", **at))
		(*at)++;
}

static int time_parse_month(const char **at, int *ret_month)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int month = 0; month < 12; month++) {
		if (strncasecmp(*at, names + 3 * month, 3) == 0) {
			*at += 3;
			*ret_month = month;
			return 0;
		}
	}
	int r = time_parse_digits(at, 2, ret_month);
	(*ret_month)--;
	return r;
}

static int time_parse_date(const char **at, struct tm *tm)
{
	if (time_parse_digits(at, 4, &tm->tm_year) < 0)
		return -EINVAL;
	tm->tm_year -= 1900;
	time_skip_separator(at);
	if (time_parse_month(at, &tm->tm_mon) < 0)
		return -EINVAL;
	time_skip_separator(at);
	return time_parse_digits(at, 2, &tm->tm_mday);
}

static int time_parse_of_day(const char **at, struct tm *tm)
{
	int *const parts[] = {&tm->tm_hour, &tm->tm_min, &tm->tm_sec};

	for (size_t i = 0; i < 3; i++) {
		time_skip_separator(at);
		if (time_parse_digits(at, 2, parts[i]) < 0)
			return -EINVAL;
	}
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60 ? 0 : -EINVAL;
}

/* -EINVAL for a day that does not exist. */
static int time_from_tm(const struct tm *parsed, bool utc, bool whole_day, int64_t *ret_us)
{
	struct tm tm = *parsed, check = *parsed;

	check.tm_hour = check.tm_min = check.tm_sec = 0;
	if (timegm(&check) < 0 || check.tm_mon != tm.tm_mon || check.tm_mday != tm.tm_mday)
		return -EINVAL;
	tm.tm_mday += whole_day;
	tm.tm_isdst = -1;
	time_t t = utc ? timegm(&tm) : mktime(&tm);
	if (t == (time_t)-1)
		return -EINVAL;
	*ret_us = (int64_t)t * US_PER_S;
	return 0;
}

int profile_time_parse(const char *text, int64_t *ret_us)
{
	struct tm tm = {0};
	const char *at = text;
	int r = time_parse_number(text, ret_us);

	if (r <= 0)
		return r;
	if (time_parse_date(&at, &tm) < 0)
		return -EINVAL;
	bool whole_day = *at == '\0' || strcmp(at, "Z") == 0;
	if (!whole_day && time_parse_of_day(&at, &tm) < 0)
		return -EINVAL;
	bool utc = *at == 'Z';
	return at[utc] == '\0' ? time_from_tm(&tm, utc, whole_day, ret_us) : -EINVAL;
}
