/* The keeper's tables. Times are microseconds since the epoch, states as in the enums of
 * catalog.h. mac: of the row (row_mac.h); row_tables.h says which tables have one. There are no
 * triggers and no views here: the keeper makes its own with each connection, so that the file can
 * have none that act or answer for it. */
#pragma once

#define DB_APPLICATION_ID 0x52534c31 /* "RSL1" */
#define DB_FORMAT         5

static const char *const schema[] = {
		"CREATE TABLE vault(id INTEGER PRIMARY KEY CHECK (id = 1), vault_id BLOB NOT NULL,"
		" epoch INTEGER NOT NULL, anchor BLOB NOT NULL, created_us INTEGER NOT NULL, mac"
		" BLOB)",

		/* Children of one parent lie together: re-keying a parent touches neighbouring
		   pages only. */
		"CREATE TABLE node(parent INTEGER NOT NULL, id INTEGER NOT NULL, epoch INTEGER NOT"
		" NULL, sealed BLOB NOT NULL, PRIMARY KEY (parent, id)) WITHOUT ROWID",
		"CREATE TABLE node_pack(parent INTEGER NOT NULL, first INTEGER NOT NULL,"
		" epoch INTEGER NOT NULL, sealed BLOB NOT NULL,"
		" PRIMARY KEY (parent, first, epoch)) WITHOUT ROWID",
		"CREATE TABLE staged_parent(id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, mac"
		" BLOB)",

		"CREATE TABLE account(id INTEGER PRIMARY KEY AUTOINCREMENT, handle BLOB NOT NULL"
		" UNIQUE, lookup BLOB UNIQUE, look BLOB, state INTEGER NOT NULL, created_us INTEGER"
		" NOT NULL, deleted_us INTEGER NOT NULL, deleted_epoch INTEGER NOT NULL, profile"
		" BLOB, mac BLOB)",
		/* Of those that live. */
		"CREATE INDEX account_by_look ON account(look) WHERE look IS NOT NULL",
		"CREATE TABLE account_count(state INTEGER PRIMARY KEY, count INTEGER NOT NULL,"
		" mac BLOB)",

		"CREATE TABLE expiry_group(id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER"
		" NOT NULL, bucket INTEGER NOT NULL, due_us INTEGER NOT NULL, members INTEGER NOT"
		" NULL, mac BLOB)",
		"CREATE INDEX group_by_account ON expiry_group(account, bucket)",
		"CREATE INDEX group_by_due ON expiry_group(due_us)",

		/* grp, not group: a word of SQL. */
		"CREATE TABLE recording(id INTEGER PRIMARY KEY AUTOINCREMENT, ulid BLOB NOT NULL"
		" UNIQUE, account INTEGER NOT NULL, grp INTEGER NOT NULL, state INTEGER NOT NULL,"
		" condition INTEGER NOT NULL, class TEXT NOT NULL, format TEXT NOT NULL,"
		" recorded_us INTEGER NOT NULL, sealed_us INTEGER NOT NULL, expires_us INTEGER NOT"
		" NULL, destroyed_us INTEGER NOT NULL, destroyed_epoch INTEGER NOT NULL,"
		" plain_bytes INTEGER NOT NULL, sealed_bytes INTEGER NOT NULL, frames INTEGER NOT"
		" NULL, channels INTEGER NOT NULL, sample_rate INTEGER NOT NULL, private BLOB,"
		/* What its times rest on (catalog_times.h). */
		" sealed_clock INTEGER NOT NULL, counted_us INTEGER NOT NULL, keep_months INTEGER"
		" NOT NULL, keep_us INTEGER NOT NULL, keep_from INTEGER NOT NULL, mac BLOB)",
		"CREATE INDEX recording_by_account ON recording(account)",
		"CREATE INDEX recording_by_group ON recording(grp)",
		/* From when to when an account has recordings must be cheap to ask, too. */
		"CREATE INDEX recording_alive ON recording(account, recorded_us)"
		" WHERE destroyed_us = 0",
		/* Few recordings are held, and whether any is must be cheap to ask. */
		"CREATE INDEX recording_held ON recording(account, grp) WHERE state = 3",
		/* What was sealed while nobody knew the time; and groups whose due time is being
		 * put right (catalog_times.c). */
		"CREATE INDEX recording_untimed ON recording(id) WHERE sealed_clock = 1 AND"
		" destroyed_us = 0",
		"CREATE INDEX group_marked ON expiry_group(id)"
		" WHERE bucket = -4611686018427387904",
		"CREATE TABLE source(hash BLOB PRIMARY KEY, recording INTEGER NOT NULL, mac BLOB)"
		" WITHOUT"
		" ROWID",

		"CREATE TABLE tally(account INTEGER NOT NULL, state INTEGER NOT NULL,"
		" count INTEGER NOT NULL, plain_bytes INTEGER NOT NULL,"
		" mac BLOB, PRIMARY KEY (account, state)) WITHOUT ROWID",

		/* Orders to erase: who gave them and why, and what the note itself made pending of
		 * the tally. */
		"CREATE TABLE erasure(kind INTEGER NOT NULL, cause INTEGER NOT NULL,"
		" account INTEGER NOT NULL, grp INTEGER NOT NULL, recording INTEGER NOT NULL,"
		" uid INTEGER NOT NULL, reason TEXT,"
		" count INTEGER NOT NULL, plain_bytes INTEGER NOT NULL,"
		" mac BLOB, PRIMARY KEY (kind, account, grp, recording)) WITHOUT ROWID",
		"CREATE TABLE burial(kind INTEGER NOT NULL, id INTEGER NOT NULL, state INTEGER NOT"
		" NULL, destroyed_us INTEGER NOT NULL, epoch INTEGER NOT NULL, after_id INTEGER NOT"
		" NULL, mac BLOB, PRIMARY KEY (kind, id)) WITHOUT ROWID",
		"CREATE TABLE removal(ulid BLOB PRIMARY KEY, mac BLOB) WITHOUT ROWID",

		"CREATE TABLE mirror(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
		" kind INTEGER NOT NULL, place TEXT NOT NULL, state INTEGER NOT NULL,"
		" assurance TEXT NOT NULL, added_us INTEGER NOT NULL, away_us INTEGER NOT NULL,"
		" given_up_us INTEGER NOT NULL, given_up_epoch INTEGER NOT NULL, mac BLOB)",
		"CREATE TABLE mirror_note(id INTEGER PRIMARY KEY CHECK (id = 1),"
		" main_away_us INTEGER NOT NULL, void_top BLOB,"
		/* The epoch in which places of the root changed last: the next one is owed. */
		" changed_epoch INTEGER NOT NULL DEFAULT 0,"
		/* Groups up to this id take no new members: a copy of the root that was given up
		 * opens their keys. */
		" group_floor INTEGER NOT NULL DEFAULT 0, mac BLOB)",

		"CREATE TABLE former_place(account INTEGER NOT NULL, grp INTEGER NOT NULL,"
		" recording INTEGER NOT NULL, mac BLOB, PRIMARY KEY (account, grp, recording))"
		" WITHOUT ROWID",

		"CREATE TABLE audit(seq INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, uid INTEGER"
		" NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, reason TEXT, epoch INTEGER"
		" NOT NULL, hash BLOB NOT NULL, mac BLOB)",
		/* Where the chain ends, so that a cut at its end is found too. */
		"CREATE TABLE audit_end(id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT"
		" NULL, hash BLOB NOT NULL, mac BLOB)",

		/* The time that this vault has counted (vault_clock.h). */
		"CREATE TABLE clock(id INTEGER PRIMARY KEY CHECK (id = 1), counted_us INTEGER NOT"
		" NULL, known INTEGER NOT NULL, ever_known INTEGER NOT NULL, boot_id BLOB NOT NULL,"
		" boot_us INTEGER NOT NULL, mac BLOB)",

		/* Folders that may be taken from, or not yet (spool_table.h). */
		"CREATE TABLE spool(name TEXT NOT NULL, folder BLOB NOT NULL, state INTEGER NOT"
		" NULL, since_us INTEGER NOT NULL, uid INTEGER NOT NULL, files INTEGER NOT NULL,"
		" mac BLOB, PRIMARY KEY (name, folder)) WITHOUT ROWID",

		/* Sums over the rows of all tables above (row_mac.h). */
		"CREATE TABLE row_set(id INTEGER PRIMARY KEY CHECK (id = 1), box BLOB NOT NULL)",
};

/* What is true of a recording. Its own row is right once it is a tombstone itself; until then a
 * burial of its group or account (burial_table.h), or else a note, is. Readers read this. Notes and
 * burials that are not genuine say nothing; of the recording's own row the reader asks. */
static const char schema_recording_now[] =
		"CREATE TEMP VIEW recording_now AS SELECT r.id, r.ulid, r.account, r.grp,"
		" CASE WHEN r.destroyed_us <> 0 THEN r.state"
		" WHEN g.id IS NOT NULL THEN g.state WHEN a.id IS NOT NULL THEN a.state"
		" WHEN EXISTS (SELECT 1 FROM erasure) AND ("
		"EXISTS (SELECT 1 FROM erasure_read e WHERE e.genuine AND e.kind = 1 AND"
		" e.account = r.account) OR "
		"EXISTS (SELECT 1 FROM erasure_read e WHERE e.genuine AND e.kind = 2 AND"
		" e.account = r.account"
		" AND e.grp = r.grp) OR "
		"EXISTS (SELECT 1 FROM erasure_read e WHERE e.genuine AND e.kind = 3 AND"
		" e.account = r.account"
		" AND e.grp = r.grp AND e.recording = r.id)) THEN 4"
		" ELSE r.state END AS state,"
		" r.condition, r.class, r.format, r.recorded_us, r.sealed_us, r.expires_us,"
		" CASE WHEN r.destroyed_us <> 0 THEN r.destroyed_us"
		" ELSE coalesce(g.destroyed_us, a.destroyed_us, 0) END AS destroyed_us,"
		" CASE WHEN r.destroyed_us <> 0 THEN r.destroyed_epoch"
		" ELSE coalesce(g.epoch, a.epoch, 0) END AS destroyed_epoch,"
		" r.plain_bytes, r.sealed_bytes, r.frames, r.channels, r.sample_rate,"
		" CASE WHEN g.id IS NULL AND a.id IS NULL THEN r.private END AS private,"
		" r.state AS row_state, r.sealed_clock, r.counted_us, r.keep_months, r.keep_us,"
		" r.keep_from, r.genuine"
		" FROM recording_read r"
		" LEFT JOIN burial_read g ON g.kind = 2 AND g.id = r.grp AND g.genuine"
		" LEFT JOIN burial_read a ON a.kind = 1 AND a.id = r.account AND a.genuine";
