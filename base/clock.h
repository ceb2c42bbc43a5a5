/* Wall-clock time in microseconds since the Unix epoch, and RFC 3339 text.
 *
 * Code that decides by time takes a `struct clock`, so that tests own time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define US_PER_S   INT64_C(1000000)
#define US_PER_DAY (86400 * US_PER_S)

struct clock {
	int64_t (*now_us)(void *context);
	void *context;
};

/* CLOCK_REALTIME. */
extern const struct clock clock_system;

static inline int64_t clock_now_us(const struct clock *c)
{
	return c->now_us(c->context);
}

/* "2026-11-23T09:01:20Z": UTC, whole seconds (rounded down). */
#define RFC3339_BYTES 32
void clock_format_rfc3339(int64_t t_us, char ret_text[static RFC3339_BYTES]);

/* Accepts "2026-11-23" (midnight UTC), "2026-11-23T09:01:20Z", with fraction, with "+01:00" (RFC
 * 3339 section 5.6). Returns -EINVAL otherwise. */
int clock_parse_rfc3339(const char *text, int64_t *ret_t_us);

/* A span as configuration writes it: "90", "90s", "15min", "2h", "30d", "5y" (365 days). -EINVAL
 * for anything else, including a negative or overflowing one. */
int clock_parse_span(const char *text, int64_t *ret_span_us);
