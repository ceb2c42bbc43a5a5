/* What callers do and are refused, in the audit log. */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/error.h"
#include "daemon/common/event.h"
#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/vault/accounts.h"
#include "storage/tables/audit.h"

#define SUBJECT_UNKNOWN "-"

_Static_assert((int)ULID_TEXT_CHARS == (int)ACCOUNT_HANDLE_CHARS, "subjects are of one length");

int control_audit_append(struct control_call *call, const char *action, const char *subject,
		const char *reason)
{
	struct db *db = call->vault->db;
	struct audit_record record = {
			.at_us = vault_clock_told_us(&call->vault->clock),
			.uid = call->uid,
			.action = action,
			.subject = subject,
			.reason = reason,
			.epoch = vault_epoch(call->vault),
	};
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin(&transaction, db);

	if (r == 0)
		r = audit_append(db, &record);
	if (r == 0)
		r = db_transaction_commit(&transaction);
	if (r == 0)
		/* Only what is durably recorded is reported. */
		notices_tell(&call->vault->notices, LOG_INFO, EVENT_PLAIN, NULL, "%s %s by uid %u",
				action, subject, (unsigned)call->uid);
	return r;
}

/* A refused caller's parameters are not checked yet. */
static const char *parameter_raw_text(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) <= CONTROL_TEXT_MAX ? text : NULL;
}

struct subject {
	char text[ULID_TEXT_CHARS + 1]; /* recording id or account handle */
	struct event_fields fields;
};

static bool subject_of_recording(const char *text, struct subject *subject)
{
	uint8_t ulid[ULID_BYTES];

	if (!text || ulid_parse(text, ulid) < 0)
		return false;
	ulid_format(ulid, subject->text);
	subject->fields.recording = subject->text;
	return true;
}

static bool subject_of_account(struct vault *vault, const char *text, struct subject *subject)
{
	struct account_row row;

	if (!text || accounts_find_typed(vault->root.tree, text, &row) < 0)
		return false;
	account_handle_format(row.handle, subject->text);
	subject->fields.account = subject->text;
	catalog_account_clear(&row);
	return true;
}

/* What the call was about: never what the caller wrote, but an id that stands for it. */
static void subject_find(const struct control_call *call, struct subject *subject)
{
	const json_t *p = call->parameters;

	*subject = (struct subject){.text = SUBJECT_UNKNOWN};
	if (subject_of_recording(parameter_raw_text(json_object_get(p, "id")), subject) ||
			subject_of_recording(parameter_raw_text(json_object_get(p, "recording")),
					subject) ||
			subject_of_recording(parameter_raw_text(json_array_get(
							     json_object_get(p, "args"), 0)),
					subject))
		return;
	subject_of_account(call->vault, parameter_raw_text(json_object_get(p, "account")), subject);
}

void control_audit_refusal(struct control_call *call, const char *why)
{
	int64_t now_us = clock_now_us(&call->vault->clock.machine.boot);
	struct refusals *refusals = &call->control->refusals;
	struct subject subject;
	unsigned skipped;
	char reason[768];

	if (!call->method->sensitive ||
			!refusals_admit(refusals, call->uid, call->roles, now_us, &skipped))
		return;
	subject_find(call, &subject);
	int len = snprintf(reason, sizeof(reason), "%s: %s", call->method->name, why);
	if (skipped > 0)
		snprintf(reason + len, sizeof(reason) - (size_t)len,
				"; %u refusals before it were too many to record", skipped);
	notices_tell(&call->vault->notices, LOG_WARNING, EVENT_REFUSED, &subject.fields,
			"Refused uid %u: %s", (unsigned)call->uid, reason);
	/* A failure here must not turn a refusal into an answer. */
	int r = control_audit_append(call, "refused", subject.text, reason);
	if (r < 0) {
		notices_keep_problem(&call->vault->notices, "a refusal could not be recorded: %s",
				error_text(r));
		notices_tell(&call->vault->notices, LOG_ERR, EVENT_PLAIN, &subject.fields,
				"A refusal could not be recorded: %s", error_text(r));
	}
}
