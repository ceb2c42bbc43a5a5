/* The journal entries of ingest: one or more for each recording, one for each connection that ended
 * badly. Texts name ids and handles only. */
#include "daemon/keeper/ingest_journal.h"

#include <inttypes.h>
#include <syslog.h>

#include "base/error.h"
#include "daemon/common/event.h"
#include "daemon/keeper/vault/accounts.h"

struct entry_texts {
	char id[ULID_TEXT_CHARS + 1], handle[ACCOUNT_HANDLE_CHARS + 1];
	struct event_fields fields;
};

static void texts_make(const struct ingest_summary *what, struct entry_texts *ret_texts)
{
	ulid_format(what->recording, ret_texts->id);
	account_handle_format(what->account_handle, ret_texts->handle);
	ret_texts->fields = (struct event_fields){.recording = ret_texts->id,
			.account = ret_texts->handle,
			.spool = what->spool};
}

static void journal_sealed(void *context, const struct ingest_summary *what)
{
	struct entry_texts t;

	texts_make(what, &t);
	if (what->quarantine)
		event_log(LOG_WARNING, EVENT_QUARANTINED, &t.fields, "recording %s quarantined: %s",
				t.id, what->quarantine);
	else
		event_log(LOG_INFO, EVENT_SEALED, &t.fields,
				"recording %s sealed, %" PRId64 " bytes", t.id, what->plain_bytes);
	if (what->discarded)
		event_log(LOG_NOTICE, EVENT_DISCARDED, &t.fields,
				"recording %s was discarded by its bridge: sealed all the same "
				"(Discarded=seal)",
				t.id);
	if (what->overdue)
		event_log(LOG_WARNING, EVENT_CLOCK, &t.fields,
				"recording %s was due when it came, by its recorded time "
				"(From=recorded): "
				"it is kept for a day from its sealing, or for Keep= if that "
				"is shorter",
				t.id);
	if (what->damage)
		event_log(LOG_WARNING, EVENT_DAMAGED, &t.fields, "recording %s is damaged: %s",
				t.id, what->damage);
}

/* The recording itself is well: it lies in its spool, and gets another id when it is sealed. */
static void journal_spoiled(void *context, const struct ingest_summary *what, int error)
{
	struct entry_texts t;

	texts_make(what, &t);
	event_log(LOG_ERR, EVENT_DAMAGED, &t.fields,
			"the sealed object of recording %s is not on the disk as it was sealed "
			"(%s): it is thrown away, and the recording stays in its spool to be "
			"sealed again; if this happens more than once, check the disk and the "
			"memory of this machine",
			t.id, error_text(error));
}

static void journal_turned_away(void *context, int error)
{
	event_log(LOG_WARNING, EVENT_REFUSED, NULL, "intake connection refused: %s",
			error == -RE_BUSY ? "another recseald is connected" : error_text(error));
}

static void journal_disconnected(void *context, int error)
{
	event_log(LOG_ERR, EVENT_PLAIN, NULL, "closing the connection to the intake: %s",
			error_text(error));
}

const struct ingest_observer ingest_journal = {
		.sealed = journal_sealed,
		.spoiled = journal_spoiled,
		.turned_away = journal_turned_away,
		.disconnected = journal_disconnected,
};
