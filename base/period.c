#include "base/period.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define MONTHS_PER_YEAR 12

/* 0; 1: it is no number of years or months; -EINVAL. */
static int period_parse_months(const char *text, int64_t *ret_months)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return 1;
	errno = 0;
	long long n = strtoll(text, &end, 10);
	bool years = strcmp(end, "y") == 0;
	if (!years && strcmp(end, "mo") != 0)
		return 1;
	int64_t months, us;
	if (errno || __builtin_mul_overflow(n, years ? MONTHS_PER_YEAR : 1, &months) ||
			__builtin_mul_overflow(months, 31 * US_PER_DAY, &us))
		return -EINVAL;
	*ret_months = months;
	return 0;
}

int period_parse(const char *text, struct period *ret_period)
{
	struct period period = {0};
	int r = period_parse_months(text, &period.months);

	if (r > 0)
		r = clock_parse_span(text, &period.us);
	if (r == 0)
		*ret_period = period;
	return r;
}

/* Times outside the years that struct tm can hold; microseconds in an int64_t never leave them. */
static int64_t period_add_months(int64_t from_us, int64_t months)
{
	int64_t whole_s = from_us / US_PER_S - (from_us % US_PER_S < 0);
	time_t from = (time_t)whole_s;
	struct tm tm;

	if (months > INT32_MAX / 2 || !gmtime_r(&from, &tm))
		return INT64_MAX;
	int day = tm.tm_mday;
	tm.tm_mon += (int)months;
	int64_t end_s = (int64_t)timegm(&tm), end_us;
	if (tm.tm_mday != day) {
		/* timegm() counts the days that the month lacks into the next one. */
		tm.tm_mday = 1;
		end_s = (int64_t)timegm(&tm);
	}
	if (__builtin_mul_overflow(end_s, US_PER_S, &end_us) ||
			__builtin_add_overflow(end_us, from_us - whole_s * US_PER_S, &end_us))
		return INT64_MAX;
	return end_us;
}

int64_t period_end_us(int64_t from_us, const struct period *period)
{
	int64_t end_us;

	if (period->months > 0)
		return period_add_months(from_us, period->months);
	return __builtin_add_overflow(from_us, period->us, &end_us) ? INT64_MAX : end_us;
}

/* Four years have every kind of month beside every other; those before 2100 and before 2400 hold
 * one leap day fewer or as many. The last days of months are those that move on to the next. */
int64_t period_longest_us(const struct period *period)
{
	int64_t longest_us = period->us;

	for (int64_t day = 0; period->months > 0 && day < 4 * 366; day++) {
		int64_t from_us = (INT64_C(10957) + day) * US_PER_DAY; /* from 1 January 2000 */
		int64_t end_us = period_end_us(from_us, period);
		if (end_us - from_us > longest_us)
			longest_us = end_us - from_us;
	}
	return longest_us;
}

void period_format(const struct period *period, char ret_text[static PERIOD_TEXT_BYTES])
{
	int64_t n = period->months;
	const char *unit = "month";

	if (n > 0 && n % MONTHS_PER_YEAR == 0) {
		n /= MONTHS_PER_YEAR;
		unit = "year";
	} else if (n == 0) {
		n = period->us / US_PER_DAY;
		unit = "day";
	}
	if (period->months == 0 && period->us % US_PER_DAY != 0)
		snprintf(ret_text, PERIOD_TEXT_BYTES, "%.4g s", (double)period->us / US_PER_S);
	else
		snprintf(ret_text, PERIOD_TEXT_BYTES, "%" PRId64 " %s%s", n, unit,
				n == 1 ? "" : "s");
}
