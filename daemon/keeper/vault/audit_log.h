/* The one way in which the keeper writes its audit log (storage/tables/audit.h). */
#pragma once

#include <sys/types.h>

#include "base/clock.h"
#include "storage/tables/audit.h"

struct audit_log {
	struct db *db;
	struct clock clock;
};

/* Who did something, and why: on a caller's order the caller's uid and words; uid 0 and NULL for
 * what the keeper does by itself. */
struct audit_actor {
	uid_t uid;
	const char *reason;
};

/* Appends a record, in the caller's transaction. subject is a recording's id, an account's handle
 * or a mirror's name; never a name of a person. epoch is the one that is true once the transaction
 * is. -errno, -RE_*. */
int audit_log_append(const struct audit_log *log, const struct audit_actor *actor,
		const char *action, const char *subject, uint64_t epoch);

/* The same in a transaction of its own, durable on return. */
int audit_log_append_alone(const struct audit_log *log, const struct audit_actor *actor,
		const char *action, const char *subject, uint64_t epoch);
