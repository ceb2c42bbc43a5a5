/* The keeper's tables. Times are microseconds since the epoch, states as in the enums of catalog.h.
 */
#pragma once

#define DB_APPLICATION_ID 0x52534c31 /* "RSL1" */
#define DB_FORMAT         2

static const char *const schema[] = {
	"CREATE TABLE vault(id INTEGER PRIMARY KEY CHECK (id = 1), vault_id BLOB NOT NULL,"
	" epoch INTEGER NOT NULL, anchor BLOB NOT NULL, created_us INTEGER NOT NULL)",

	/* Children of one parent lie together: re-keying a parent touches neighbouring pages only. */
	"CREATE TABLE node(parent INTEGER NOT NULL, id INTEGER NOT NULL, epoch INTEGER NOT NULL,"
	" sealed BLOB NOT NULL, PRIMARY KEY (parent, id)) WITHOUT ROWID",
	"CREATE TABLE staged_parent(id INTEGER PRIMARY KEY)",
	"CREATE TABLE staged_node(parent INTEGER NOT NULL, id INTEGER NOT NULL,"
	" epoch INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (parent, id)) WITHOUT ROWID",

	"CREATE TABLE account(id INTEGER PRIMARY KEY AUTOINCREMENT, handle BLOB NOT NULL UNIQUE,"
	" lookup BLOB NOT NULL UNIQUE, state INTEGER NOT NULL, created_us INTEGER NOT NULL,"
	" deleted_us INTEGER NOT NULL, deleted_epoch INTEGER NOT NULL, profile BLOB)",
	"CREATE TABLE account_count(state INTEGER PRIMARY KEY, count INTEGER NOT NULL)",

	"CREATE TABLE expiry_group(id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL,"
	" bucket INTEGER NOT NULL, due_us INTEGER NOT NULL, members INTEGER NOT NULL)",
	"CREATE INDEX group_by_account ON expiry_group(account, bucket)",
	"CREATE INDEX group_by_due ON expiry_group(due_us)",

	/* grp, not group: a word of SQL. */
	"CREATE TABLE recording(id INTEGER PRIMARY KEY AUTOINCREMENT, ulid BLOB NOT NULL UNIQUE,"
	" account INTEGER NOT NULL, grp INTEGER NOT NULL, state INTEGER NOT NULL,"
	" condition INTEGER NOT NULL, class TEXT NOT NULL, format TEXT NOT NULL,"
	" recorded_us INTEGER NOT NULL, sealed_us INTEGER NOT NULL, expires_us INTEGER NOT NULL,"
	" destroyed_us INTEGER NOT NULL, destroyed_epoch INTEGER NOT NULL,"
	" plain_bytes INTEGER NOT NULL, sealed_bytes INTEGER NOT NULL, frames INTEGER NOT NULL,"
	" channels INTEGER NOT NULL, sample_rate INTEGER NOT NULL, private BLOB)",
	"CREATE INDEX recording_by_account ON recording(account)",
	"CREATE INDEX recording_by_group ON recording(grp)",
	"CREATE TABLE source(hash BLOB PRIMARY KEY, recording INTEGER NOT NULL) WITHOUT ROWID",

	/* Additions are counted by the database itself; moves of recordings, which come by the thousand,
	 * in catalog_recordings.c. */
	"CREATE TABLE tally(account INTEGER NOT NULL, state INTEGER NOT NULL,"
	" count INTEGER NOT NULL, plain_bytes INTEGER NOT NULL,"
	" PRIMARY KEY (account, state)) WITHOUT ROWID",
	"CREATE TRIGGER account_added AFTER INSERT ON account BEGIN"
	" INSERT INTO account_count(state, count) VALUES (new.state, 1)"
	" ON CONFLICT (state) DO UPDATE SET count = count + 1; END",
	"CREATE TRIGGER account_moved AFTER UPDATE OF state ON account"
	" WHEN old.state <> new.state BEGIN"
	" UPDATE account_count SET count = count - 1 WHERE state = old.state;"
	" INSERT INTO account_count(state, count) VALUES (new.state, 1)"
	" ON CONFLICT (state) DO UPDATE SET count = count + 1; END",
	"CREATE TRIGGER recording_added AFTER INSERT ON recording BEGIN"
	" INSERT INTO tally(account, state, count, plain_bytes)"
	" VALUES (new.account, new.state, 1, new.plain_bytes), (0, new.state, 1, new.plain_bytes)"
	" ON CONFLICT (account, state)"
	" DO UPDATE SET count = count + 1, plain_bytes = plain_bytes + new.plain_bytes; END",

	"CREATE TABLE erasure(kind INTEGER NOT NULL, cause INTEGER NOT NULL,"
	" account INTEGER NOT NULL, grp INTEGER NOT NULL, recording INTEGER NOT NULL,"
	" PRIMARY KEY (kind, account, grp, recording)) WITHOUT ROWID",
	"CREATE TABLE removal(ulid BLOB PRIMARY KEY) WITHOUT ROWID",

	"CREATE TABLE former_place(account INTEGER NOT NULL, grp INTEGER NOT NULL,"
	" recording INTEGER NOT NULL, PRIMARY KEY (account, grp, recording)) WITHOUT ROWID",

	"CREATE TABLE audit(seq INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, uid INTEGER NOT NULL,"
	" action TEXT NOT NULL, subject TEXT NOT NULL, reason TEXT, epoch INTEGER NOT NULL,"
	" hash BLOB NOT NULL)",
	/* Where the chain ends, so that a cut at its end is found too. */
	"CREATE TABLE audit_end(id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL,"
	" hash BLOB NOT NULL)",
};
