#include "daemon/common/notice.h"

#include <stdarg.h>
#include <stdio.h>

#define NOTICE_BYTES 2048

void notices_tell(const struct notices *notices, int priority, enum event event,
		const struct event_fields *fields, const char *format, ...)
{
	char text[NOTICE_BYTES];
	va_list ap;

	if (!notices->tell)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	notices->tell(notices->context, priority, event, fields, text);
}

void notices_keep_problem(struct notices *notices, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(notices->problem.text, sizeof(notices->problem.text), format, ap);
	va_end(ap);
}
