#include "base/reason.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define CUT       "..."
#define MORE_LINE "(and more)"

/* Ends a text that was cut with "...", and never in the middle of a UTF-8 character. */
static void reason_close_cut(char *text, size_t size)
{
	size_t end = size - sizeof(CUT);

	while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	memcpy(text + end, CUT, sizeof(CUT));
}

/* Appends to the text; whether all of it fitted. */
static bool __attribute__((format(printf, 3, 0)))
reason_append(char *text, size_t size, const char *format, va_list ap)
{
	size_t len = strlen(text);
	int n = vsnprintf(text + len, size - len, format, ap);

	if (n >= 0 && (size_t)n < size - len)
		return true;
	reason_close_cut(text, size);
	return false;
}

static bool __attribute__((format(printf, 3, 4)))
reason_appendf(char *text, size_t size, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	bool fits = reason_append(text, size, format, ap);
	va_end(ap);
	return fits;
}

int reason_set(struct reason *reason, int r, const char *format, ...)
{
	va_list ap;

	if (!reason)
		return r;
	reason->text[0] = '\0';
	va_start(ap, format);
	(void)reason_append(reason->text, sizeof(reason->text), format, ap);
	va_end(ap);
	return r;
}

int reason_set_error(struct reason *reason, int r, const char *format, ...)
{
	va_list ap;

	if (!reason)
		return r;
	reason->text[0] = '\0';
	va_start(ap, format);
	if (reason_append(reason->text, sizeof(reason->text), format, ap))
		(void)reason_appendf(reason->text, sizeof(reason->text), ": %s", error_text(r));
	va_end(ap);
	return r;
}

/* Whether the last line says already that there is more. */
static bool reason_is_full(const char *text)
{
	const char *last = strrchr(text, '\n');

	return last && strcmp(last + 1, MORE_LINE) == 0;
}

int reason_add_line(struct reason *reason, int r, const char *format, ...)
{
	char line[REASON_BYTES] = "";
	va_list ap;

	if (!reason)
		return r;
	va_start(ap, format);
	(void)reason_append(line, sizeof(line), format, ap);
	va_end(ap);
	size_t len = strlen(reason->text);
	/* Room for the last line is kept back, so that a reader always learns that there is
	 * more. */
	size_t room = sizeof(reason->text) - sizeof("\n" MORE_LINE);
	if (reason_is_full(reason->text))
		return r;
	if (len > 0 && len + 1 + strlen(line) >= room)
		(void)reason_appendf(reason->text, sizeof(reason->text), "\n" MORE_LINE);
	else
		(void)reason_appendf(reason->text, room, "%s%s", len > 0 ? "\n" : "", line);
	return r;
}

void reason_prefix(struct reason *reason, const char *format, ...)
{
	char before[REASON_BYTES];
	va_list ap;

	if (!reason || reason->text[0] == '\0')
		return;
	memcpy(before, reason->text, sizeof(before));
	reason->text[0] = '\0';
	va_start(ap, format);
	if (reason_append(reason->text, sizeof(reason->text), format, ap))
		(void)reason_appendf(reason->text, sizeof(reason->text), ": %s", before);
	va_end(ap);
}

void reason_clear(struct reason *reason)
{
	if (reason)
		reason->text[0] = '\0';
}

const char *reason_text(const struct reason *reason, int r)
{
	return reason && reason->text[0] != '\0' ? reason->text : error_text(r);
}
