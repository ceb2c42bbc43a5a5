#include "daemon/keeper/vault/audit_log.h"

#include "storage/tables/db.h"

int audit_log_append(const struct audit_log *log, const struct audit_actor *actor,
		const char *action, const char *subject, uint64_t epoch)
{
	const struct audit_record record = {.at_us = clock_now_us(&log->clock),
			.uid = actor->uid,
			.action = action,
			.subject = subject,
			.reason = actor->reason,
			.epoch = epoch};

	return audit_append(log->db, &record);
}

int audit_log_append_alone(const struct audit_log *log, const struct audit_actor *actor,
		const char *action, const char *subject, uint64_t epoch)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin(&transaction, log->db);

	if (r == 0)
		r = audit_log_append(log, actor, action, subject, epoch);
	return r < 0 ? r : db_transaction_commit(&transaction);
}
