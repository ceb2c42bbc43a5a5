/* Between the files of storage/tables/ only: authenticated rows. */
#pragma once

#include <sqlite3.h>

#include "base/cleanup.h"
#include "storage/tables/row_mac.h"
#include "storage/tables/row_tables.h"

#define ROW_TABLES      ELEMENTSOF(row_tables)
#define ROW_COLUMNS_MAX 48
#define ROW_KEY_MAX     4
#define ROW_MAC_BYTES   16
#define ROW_SUM_BYTES   32

/* A sum over rows, modulo 2^256. */
struct row_sum {
	uint64_t limb[ROW_SUM_BYTES / 8]; /* the least first */
	int64_t count;
};

/* The table is one of row_tables. */
size_t row_mac_table(const char *name);

struct row_layout {
	char column[ROW_COLUMNS_MAX][32]; /* but for mac */
	int columns;
	int key[ROW_KEY_MAX]; /* columns of the primary key, in its order */
	int keys;
	int label;    /* column with an id that people know; -1: none */
	bool counted; /* AUTOINCREMENT */
};

/* What a rollback takes back. */
struct row_sums {
	struct row_sum of[ROW_TABLES];
	int64_t last[ROW_TABLES]; /* the highest id given, where the table counts them */
	struct row_sum swept;     /* of the rows that the round has passed, of its table */
	bool dirty;               /* not stored yet */
	bool broken;              /* a statement failed half-way: only rolling back is left */
};

/* A round through all tables. */
struct row_sweep {
	size_t table;
	sqlite3_value *at[ROW_KEY_MAX]; /* the last key passed; NULL: at the beginning */
	int64_t done;
	uint64_t rounds; /* that have ended */
};

/* In secret memory. */
struct row_mac {
	bool on;
	bool lost; /* the stored sums could not be read once: rows may be missing for ever after */
	bool incomplete[ROW_TABLES]; /* the sum of what was read is another */
	uint8_t row_key[ROW_MAC_KEY_BYTES], box_key[ROW_MAC_KEY_BYTES];
	struct row_sums now, committed, saved;
	uint64_t changes, settled; /* of sums, and when the last statement ended */
	struct row_layout *layout; /* of ROW_TABLES */
	struct row_sweep sweep;
	struct row_finding finding[ROW_FINDINGS_MAX];
	size_t findings;
};

/* For a database that was just opened: from now on SQL can ask whether a row is genuine. */
int row_mac_attach(struct db *db);
struct row_mac *row_mac_of(const struct db *db);

/* Functions for SQL, and what of this connection uses them: views T_read of every table T, with the
 * column genuine, and recording_now. */
int row_sql_open(struct row_mac *mac, sqlite3 *handle);
/* Triggers that keep macs and sums. */
int row_sql_start(const struct row_mac *mac, sqlite3 *handle);

/* Its part in transactions (db_internal.h): before a commit the sums are stored. */
int row_set_store(struct db *db);
void row_set_committed(void *state);
void row_set_rolled_back(void *state);
void row_set_save(void *state);
void row_set_restore(void *state);
void row_set_stepped(void *state, bool done);
/* Reads the stored sums. */
int row_set_load(struct db *db);

void row_set_add(struct row_sum *sum, const uint8_t element[static ROW_SUM_BYTES]);
void row_set_take(struct row_sum *sum, const uint8_t element[static ROW_SUM_BYTES]);
bool row_set_equal(const struct row_sum *a, const struct row_sum *b);

void row_mac_note_finding(struct row_mac *mac, const char *table, const char *row);
void row_mac_forget_findings(struct row_mac *mac, const char *table);

/* Whether the round has passed this key of its table already. */
bool row_sweep_passed(const struct row_mac *mac, size_t table, sqlite3_value **columns);
int row_sweep_table(struct db *db, size_t table);
void row_sweep_reset(struct row_mac *mac);

/* For tables that only repeat what others say: deletes what is not genuine, and sums up what is
 * left; the caller writes what is missing. In the caller's transaction. */
int row_mac_purge(struct db *db, const char *table);

/* The schema in the file is the built-in one, to the letter: 0, -RE_ALTERED. */
int schema_check(sqlite3 *handle, const char *const *sql, size_t n);
