/* How long something is kept, as people and laws count: a length of time, or calendar months.
 *
 * A year is twelve months. Months are added to a date in UTC: the same day of a later month, at
 * the same time of day. A day that the later month lacks becomes the first day of the month after
 * it, never the last day before: one month after 31 January is 1 March, one year after 29
 * February is 1 March. So no period ends before a reader of a calendar would end it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct period {
	int64_t months; /* calendar months; then us is 0 */
	int64_t us;     /* a fixed length; then months is 0 */
};

/* "5y" and "18mo" are calendar months; "30d" and whatever else clock_parse_span() takes are fixed.
 * -EINVAL for anything else, including a negative or overflowing one. */
int period_parse(const char *text, struct period *ret_period);

/* When a period that begins at from_us is over. INT64_MAX instead of what cannot be counted. */
int64_t period_end_us(int64_t from_us, const struct period *period);

/* The longest that a period can be, over all dates that it might begin at. */
int64_t period_longest_us(const struct period *period);

/* "5 years", "18 months", "30 days", "90 s". */
#define PERIOD_TEXT_BYTES 40
void period_format(const struct period *period, char ret_text[static PERIOD_TEXT_BYTES]);
