#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

static int64_t system_now_us(void *context)
{
	struct timespec ts;

	(void)context;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

const struct clock clock_system = {.now_us = system_now_us};

void clock_format_rfc3339(int64_t t_us, char ret_text[static RFC3339_BYTES])
{
	int64_t whole_s = t_us / US_PER_S - (t_us % US_PER_S < 0);
	time_t t = (time_t)whole_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(ret_text, RFC3339_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm))
		strcpy(ret_text, "0000-00-00T00:00:00Z");
}

/* Reads exactly n digits and moves past them; strptime(3) and sscanf(3) would also take blanks and
 * signs. */
static int parse_digits(const char **p, int n, int *ret_value)
{
	int value = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return -EINVAL;
		value = 10 * value + (**p - '0');
	}
	*ret_value = value;
	return 0;
}

/* Three numbers with a separator between them: a date or a time of day. */
static int parse_triple(const char **p, int first_digits, char separator, int ret_values[static 3])
{
	for (int i = 0; i < 3; i++) {
		if (i > 0 && *(*p)++ != separator)
			return -EINVAL;
		if (parse_digits(p, i == 0 ? first_digits : 2, &ret_values[i]) < 0)
			return -EINVAL;
	}
	return 0;
}

/* Parses ".123" and the zone that ends the text; adds both to *t_us. */
static int parse_fraction_and_zone(const char *p, int64_t *t_us)
{
	int h, m;

	if (*p == '.') {
		int64_t scale = US_PER_S / 10;
		if (!isdigit((unsigned char)*++p))
			return -EINVAL;
		for (; isdigit((unsigned char)*p); p++, scale /= 10)
			*t_us += (*p - '0') * scale;
	}
	if ((*p == 'Z' || *p == 'z') && !p[1])
		return 0;
	if (*p != '+' && *p != '-')
		return -EINVAL;
	int64_t sign = *p++ == '+' ? -1 : 1;
	if (parse_digits(&p, 2, &h) < 0 || *p++ != ':' || parse_digits(&p, 2, &m) < 0 || *p ||
			h > 23 || m > 59)
		return -EINVAL;
	*t_us += sign * (h * 3600 + m * 60) * US_PER_S;
	return 0;
}

int clock_parse_rfc3339(const char *text, int64_t *ret_t_us)
{
	int date[3], hms[3] = {0};

	if (parse_triple(&text, 4, '-', date) < 0)
		return -EINVAL;
	bool with_time = *text == 'T' || *text == 't';
	text += with_time;
	if (with_time && parse_triple(&text, 2, ':', hms) < 0)
		return -EINVAL;
	if (hms[0] > 23 || hms[1] > 59 || hms[2] > 59)
		return -EINVAL;
	struct tm tm = {.tm_year = date[0] - 1900,
			.tm_mon = date[1] - 1,
			.tm_mday = date[2],
			.tm_hour = hms[0],
			.tm_min = hms[1],
			.tm_sec = hms[2]};
	int64_t t_us = (int64_t)timegm(&tm) * US_PER_S;
	if (tm.tm_mon != date[1] - 1 || tm.tm_mday != date[2]) /* 30 February was normalised away */
		return -EINVAL;
	if (with_time ? parse_fraction_and_zone(text, &t_us) < 0 : *text != '\0')
		return -EINVAL;
	*ret_t_us = t_us;
	return 0;
}

int clock_parse_span(const char *text, int64_t *ret_span_us)
{
	static const struct {
		const char *suffix;
		int64_t us;
	} units[] = {{"", US_PER_S}, {"ms", 1000}, {"s", US_PER_S}, {"min", 60 * US_PER_S},
			{"h", 3600 * US_PER_S}, {"d", US_PER_DAY}, {"y", 365 * US_PER_DAY}};
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	long long n = strtoll(text, &end, 10);
	if (errno)
		return -EINVAL;
	for (size_t i = 0; i < ELEMENTSOF(units); i++) {
		int64_t span_us;
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		if (__builtin_mul_overflow(n, units[i].us, &span_us))
			return -EINVAL;
		*ret_span_us = span_us;
		return 0;
	}
	return -EINVAL;
}
