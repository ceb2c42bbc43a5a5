/* What the lower floors of a daemon have to tell the operator.
 *
 * They do not log. What happened goes to a struct notices, and the top floor, which made it,
 * decides where that ends: in the journal, or in a test's hands. Beside that it keeps the last
 * problem, for `status`. Not thread-safe: for the loop's thread only. */
#pragma once

#include "base/reason.h"
#include "daemon/common/event.h"

struct notices {
	/* text is one line, valid during the call. NULL: nobody listens. */
	void (*tell)(void *context, int priority, enum event event,
			const struct event_fields *fields, const char *text);
	void *context;
	struct reason problem; /* the last thing that went wrong; "" for nothing */
};

/* priority is a syslog level; fields may be NULL. As for event_log(): no names, no keys. */
void notices_tell(const struct notices *notices, int priority, enum event event,
		const struct event_fields *fields, const char *format, ...)
		__attribute__((format(printf, 5, 6)));

/* Keeps a sentence for `status`, instead of the one before. */
void notices_keep_problem(struct notices *notices, const char *format, ...)
		__attribute__((format(printf, 2, 3)));
