/* Rows that only repeat what others say are written again from those, when somebody altered them or
 * took some away. What cannot be told from other rows is never made up: it stays as it was found,
 * and is not believed. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "storage/tables/catalog.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/row_mac_internal.h"

_Static_assert(ERASE_ACCOUNT == 1 && ACCOUNT_DELETED == 4 && RECORDING_DESTROYED == 5,
		"as the statements say");

#define TALLY_OF(account, by)                                                                      \
	"INSERT INTO tally(account, state, count, plain_bytes) SELECT " account                    \
	", state, count(*), sum(plain_bytes) FROM recording_now WHERE genuine GROUP BY " by

/* A table, and what writes it again. */
static const struct mend {
	const char *table;
	const char *sql[2];
	bool keep; /* rows that are genuine */
} mends[] = {
		{.table = "tally",
				.sql = {TALLY_OF("account", "account, state"),
						TALLY_OF("0", "state")}},
		{.table = "account_count",
				.sql = {"INSERT INTO account_count(state, count)"
					" SELECT state, count(*)"
					" FROM account_read WHERE genuine GROUP BY state"}},
		{.table = "audit_end",
				.sql = {"INSERT INTO audit_end(id, seq, hash) SELECT 1, seq, hash"
					" FROM audit_read WHERE genuine"
					" ORDER BY seq DESC LIMIT 1"}},
		/* An account's is known from its tombstone, a group's from nothing else. */
		{.table = "burial",
				.sql = {"INSERT INTO burial(kind, id, state, destroyed_us, epoch,"
					" after_id) SELECT 1, id, 5, deleted_us, deleted_epoch, 0"
					" FROM account_read a WHERE state = 4 AND genuine"
					" AND EXISTS (SELECT 1 FROM recording r"
					" WHERE r.account = a.id AND r.destroyed_us = 0)"
					" AND NOT EXISTS (SELECT 1 FROM burial b"
					" WHERE b.kind = 1 AND b.id = a.id)"},
				.keep = true},
		/* As of a new vault, and of no boot: nothing is due before the time is known. */
		{.table = "clock",
				.sql = {"INSERT INTO clock(id, counted_us, known, ever_known,"
					" boot_id, boot_us) SELECT 1, created_us, 0, 0,"
					" randomblob(16), 0 FROM vault"}},
		/* Without its note, a copy of the root that comes back is suspected more. In doubt
		 * a copy was given up lately: an epoch is owed, and no group takes new members. */
		{.table = "mirror_note",
				.sql = {"INSERT INTO mirror_note(id, main_away_us, changed_epoch,"
					" group_floor) SELECT 1, 0, (SELECT epoch FROM vault),"
					" coalesce(max(seq), 0) FROM sqlite_sequence"
					" WHERE name = 'expiry_group'"}},
};

static bool is_found(struct db *db, const char *table)
{
	const struct row_finding *findings;
	size_t count, n = row_mac_findings(db, &findings, &count);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(findings[i].table, table) == 0)
			return true;
	}
	return false;
}

static int mend_table(struct db *db, const struct mend *mend)
{
	char empty[64];
	int r = row_mac_purge(db, mend->table);

	snprintf(empty, sizeof(empty), "DELETE FROM %s", mend->table);
	if (r == 0 && !mend->keep)
		r = db_error(sqlite3_exec(db_handle(db), empty, NULL, NULL, NULL));
	for (size_t i = 0; i < ELEMENTSOF(mend->sql) && mend->sql[i] && r == 0; i++)
		r = db_run(db, mend->sql[i], "");
	return r;
}

static int mend_apart(struct db *db, const struct mend *mend)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin(&transaction, db);

	if (r == 0)
		r = mend_table(db, mend);
	return r < 0 ? r : db_transaction_commit(&transaction);
}

int catalog_mend(struct db *db, char *ret_tables, size_t len)
{
	char tables[128] = "";
	size_t used = 0;
	int r = 0;

	for (size_t i = 0; i < ELEMENTSOF(mends) && r == 0; i++) {
		if (!is_found(db, mends[i].table))
			continue;
		r = mend_apart(db, &mends[i]);
		used += (size_t)snprintf(tables + used, sizeof(tables) - used, "%s%s",
				used > 0 ? ", " : "", mends[i].table);
	}
	if (r < 0)
		return r;
	if (ret_tables)
		snprintf(ret_tables, len, "%s", tables);
	return used > 0;
}
