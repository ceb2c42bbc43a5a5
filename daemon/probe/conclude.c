#include "daemon/probe/conclude.h"

#include <stdarg.h>
#include <stdio.h>

void conclude_verdict(struct probe_result *result, enum probe_condition condition,
		const char *format, ...)
{
	va_list arguments;

	result->condition = condition;
	va_start(arguments, format);
	vsnprintf(result->damage, sizeof(result->damage), format, arguments);
	va_end(arguments);
}

void conclude_damaged(
		struct probe_result *result, uint64_t recoverable_bytes, const char *format, ...)
{
	va_list arguments;

	result->condition = PROBE_DAMAGED;
	result->recoverable_bytes = recoverable_bytes;
	va_start(arguments, format);
	vsnprintf(result->damage, sizeof(result->damage), format, arguments);
	va_end(arguments);
}

void conclude_ok(struct probe_result *result)
{
	if (result->frames == 0)
		conclude_verdict(result, PROBE_EMPTY, "header only, no audio");
	else
		conclude_verdict(result, PROBE_OK, "%s", "");
}
