/* The time in the name of a recording, as bridges write it. */
#pragma once

#include <stdint.h>

/* Accepts
 *
 *     digits only            seconds (10 of them), milliseconds (13) or microseconds (16) since
 *                            1970
 *     2026-11-23-09-40-17    a date and a time of day, with - _ . : T or nothing between the
 *                            parts
 *     2026-Nov-23            a date: the end of that day, since a recording of that day is no
 *                            older
 *
 * Months are numbers or English abbreviations. A date is one of the machine's time zone (TZ), as
 * bridges write it, or of UTC with a Z at the end. -EINVAL for anything else. */
int profile_time_parse(const char *text, int64_t *ret_us);
