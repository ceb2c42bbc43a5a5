/* What the daemons tell the operator: structured journal entries under systemd (stable MESSAGE_IDs,
 * see systemd/recseal.catalog), readable lines on stderr otherwise.
 *
 * Never account names, file names or keys: fields carry ids and handles, text names inodes. */
#pragma once

#include <stdint.h>

enum event {
	EVENT_PLAIN, /* no MESSAGE_ID: diagnostics */
	EVENT_STARTED,
	EVENT_SEALED,
	EVENT_QUARANTINED,
	EVENT_DAMAGED,
	EVENT_SPOOL_TROUBLE,
	EVENT_SPOOL_FULL,
	EVENT_SPOOL_HELD,
	EVENT_STALE,
	EVENT_DISCARDED,
	EVENT_ALREADY,
	EVENT_KEY_TROUBLE,
	EVENT_CLOCK,
	EVENT_SHRED_PENDING,
	EVENT_DESTROYED,
	EVENT_REFUSED,
	EVENT_RESURRECTION_REFUSED,
	EVENT_AUDIT_BROKEN,
	EVENT_ALTERED,
	EVENT_MAX,
};

/* Optional fields; zero values are left out. */
struct event_fields {
	const char *recording; /* RECSEAL_RECORDING */
	const char *account;   /* RECSEAL_ACCOUNT: the handle */
	const char *spool;     /* RECSEAL_SPOOL */
	int64_t epoch;         /* RECSEAL_EPOCH */
	int64_t exposure_us;   /* RECSEAL_EXPOSURE_USEC */
};

/* Decides once where events go: the journal when stderr is connected to it (JOURNAL_STREAM) or the
 * service was started by systemd (NOTIFY_SOCKET), else stderr with this program name. */
void event_init(const char *program);

/* priority is a syslog level (LOG_ERR ...). The format makes one line. fields may be NULL. */
void event_log(int priority, enum event event, const struct event_fields *fields,
		const char *format, ...) __attribute__((format(printf, 4, 5)));
