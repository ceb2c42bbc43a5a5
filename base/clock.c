#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
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

void rfc3339_format(int64_t t_us, char ret_text[static RFC3339_BYTES])
{
	int64_t whole_s = t_us / US_PER_S - (t_us % US_PER_S < 0);
	time_t t = (time_t)whole_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(ret_text, RFC3339_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm))
		strcpy(ret_text, "0000-00-00T00:00:00Z");
}

/* Parses ".123" and the zone that ends the text; adds both to *t_us. */
static int parse_fraction_and_zone(const char *p, int64_t *t_us)
{
	if (*p == '.') {
		int64_t scale = US_PER_S / 10;
		if (!isdigit((unsigned char)*++p))
			return -EINVAL;
		for (; isdigit((unsigned char)*p); p++, scale /= 10)
			*t_us += (*p - '0') * scale;
	}
	if ((*p == 'Z' || *p == 'z') && !p[1])
		return 0;
	unsigned h, m;
	int end = 0;
	if ((*p != '+' && *p != '-') || sscanf(p + 1, "%2u:%2u%n", &h, &m, &end) != 2 || end != 5 ||
	        p[6] || h > 23 || m > 59)
		return -EINVAL;
	int64_t offset_us = (int64_t)(h * 3600 + m * 60) * US_PER_S;
	*t_us += *p == '+' ? -offset_us : offset_us;
	return 0;
}

int rfc3339_parse(const char *text, int64_t *ret_t_us)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%d", &tm);
	struct tm date = tm;

	if (!rest || rest - text != 10)
		return -EINVAL;
	if (*rest == 'T' || *rest == 't') {
		rest = strptime(rest + 1, "%H:%M:%S", &tm);
		if (!rest || rest - text != 19 || tm.tm_sec > 59)
			return -EINVAL;
	} else if (*rest) {
		return -EINVAL;
	}
	int64_t t_us = (int64_t)timegm(&tm) * US_PER_S;
	if (tm.tm_mday != date.tm_mday) /* 30 February was normalised away */
		return -EINVAL;
	if (*rest && parse_fraction_and_zone(rest, &t_us) < 0)
		return -EINVAL;
	if (!*rest && rest - text != 10)
		return -EINVAL;
	*ret_t_us = t_us;
	return 0;
}

int timespan_parse(const char *text, int64_t *ret_span_us)
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
