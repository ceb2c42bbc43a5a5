#include "daemon/common/event.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

/* The caller's file and line would be ours, always: leave them out. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/cleanup.h"
#include "daemon/common/event_ids.h"

static const char *const ids[EVENT_MAX] = {
		[EVENT_STARTED] = EVENT_ID_STARTED,
		[EVENT_SEALED] = EVENT_ID_SEALED,
		[EVENT_QUARANTINED] = EVENT_ID_QUARANTINED,
		[EVENT_DAMAGED] = EVENT_ID_DAMAGED,
		[EVENT_SPOOL_TROUBLE] = EVENT_ID_SPOOL_TROUBLE,
		[EVENT_SPOOL_FULL] = EVENT_ID_SPOOL_FULL,
		[EVENT_SPOOL_HELD] = EVENT_ID_SPOOL_HELD,
		[EVENT_STALE] = EVENT_ID_STALE,
		[EVENT_DISCARDED] = EVENT_ID_DISCARDED,
		[EVENT_ALREADY] = EVENT_ID_ALREADY,
		[EVENT_KEY_TROUBLE] = EVENT_ID_KEY_TROUBLE,
		[EVENT_CLOCK] = EVENT_ID_CLOCK,
		[EVENT_SHRED_PENDING] = EVENT_ID_SHRED_PENDING,
		[EVENT_DESTROYED] = EVENT_ID_DESTROYED,
		[EVENT_REFUSED] = EVENT_ID_REFUSED,
		[EVENT_RESURRECTION_REFUSED] = EVENT_ID_RESURRECTION_REFUSED,
		[EVENT_AUDIT_BROKEN] = EVENT_ID_AUDIT_BROKEN,
		[EVENT_ALTERED] = EVENT_ID_ALTERED,
};

/* Where events go: like the log of any process, one per process. */
static const char *program = "recseal";
static bool to_journal;

#define FIELDS_MAX 10

/* The fields of one entry, each "NAME=value" and malloc'd. */
struct entry {
	struct iovec fields[FIELDS_MAX];
	int n;
};

static void free_entry(struct entry *entry)
{
	for (int i = 0; i < entry->n; i++)
		free(entry->fields[i].iov_base);
}

/* A field for which there is no memory is left out: the rest is still worth logging. */
__attribute__((format(printf, 2, 3))) static void add_field(
		struct entry *entry, const char *format, ...)
{
	char *text;
	va_list arguments;

	va_start(arguments, format);
	int n = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (n >= 0)
		entry->fields[entry->n++] = (struct iovec){text, (size_t)n};
}

/* JOURNAL_STREAM is "device:inode" of the stream that systemd connected to the journal; it is
 * inherited, so the descriptor is looked at too (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* sd_journal_sendv(3) reports success when nobody is there to receive. */
static bool journal_listens(void)
{
	return access("/run/systemd/journal/socket", F_OK) == 0;
}

void event_init(const char *name)
{
	program = name;
	to_journal = (stderr_is_journal() || getenv("NOTIFY_SOCKET")) && journal_listens();
}

static int send_to_journal(int priority, enum event event, const struct event_fields *fields,
		const char *message)
{
	_cleanup_(free_entry) struct entry entry = {.n = 0};

	add_field(&entry, "MESSAGE=%s", message);
	add_field(&entry, "PRIORITY=%d", priority);
	add_field(&entry, "SYSLOG_IDENTIFIER=%s", program);
	if (event > EVENT_PLAIN && event < EVENT_MAX)
		add_field(&entry, "MESSAGE_ID=%s", ids[event]);
	if (fields && fields->recording)
		add_field(&entry, "RECSEAL_RECORDING=%s", fields->recording);
	if (fields && fields->account)
		add_field(&entry, "RECSEAL_ACCOUNT=%s", fields->account);
	if (fields && fields->spool)
		add_field(&entry, "RECSEAL_SPOOL=%s", fields->spool);
	if (fields && fields->epoch)
		add_field(&entry, "RECSEAL_EPOCH=%" PRId64, fields->epoch);
	if (fields && fields->exposure_us)
		add_field(&entry, "RECSEAL_EXPOSURE_USEC=%" PRId64, fields->exposure_us);
	return sd_journal_sendv(entry.fields, entry.n);
}

/* An entry is one line, whatever was formatted into it. */
static void flatten_text(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = ' ';
	}
}

void event_log(int priority, enum event event, const struct event_fields *fields,
		const char *format, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list arguments;

	va_start(arguments, format);
	int n = vasprintf(&message, format, arguments);
	va_end(arguments);
	if (n < 0) {
		message = NULL;
		dprintf(STDERR_FILENO, "%s: out of memory for a message\n", program);
		return;
	}
	flatten_text(message);
	if (to_journal && send_to_journal(priority, event, fields, message) >= 0)
		return;
	dprintf(STDERR_FILENO, "%s: %s\n", program, message);
}
