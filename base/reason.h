/* Why something failed, in words for a person.
 *
 * The call that fails knows what it was doing, to what, and what to do about it: it fills a reason
 * in. The layers above hand it up, and may put their own words before it; only the top layer of a
 * program prints or logs it, once. A reason without text means that the return value says all there
 * is (error_text()); reason_text() gives words for both.
 *
 * Every function takes NULL for a reason that nobody wants to know. Text that does not fit is cut
 * at a character's end and closed with "...". Never secrets. */
#pragma once

#define REASON_BYTES 2048

struct reason {
	char text[REASON_BYTES]; /* UTF-8, NUL-ended; "" for none */
};

/* Replaces the text. Returns r, so that a failure is one line: return reason_set(reason, -EIO,
 * ...). */
int reason_set(struct reason *reason, int r, const char *format, ...)
		__attribute__((format(printf, 3, 4)));

/* The same, and appends ": " and what error_text() says of r. */
int reason_set_error(struct reason *reason, int r, const char *format, ...)
		__attribute__((format(printf, 3, 4)));

/* Adds a line below what is there already: for checks that report every problem they find. When no
 * line fits any more, the last one says so. Returns r. */
int reason_add_line(struct reason *reason, int r, const char *format, ...)
		__attribute__((format(printf, 3, 4)));

/* Puts words before the text, and ": " between. Nothing when there is no text. */
void reason_prefix(struct reason *reason, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

/* Forgets the text. */
void reason_clear(struct reason *reason);

/* The text, or where there is none what error_text() says of r. Valid as long as the reason. */
const char *reason_text(const struct reason *reason, int r);
