/* Rows are believed only when a keeper that holds the root wrote them.
 *
 * Every row of the tables in row_tables.h has a column mac: a keyed hash (BLAKE2b) of the table's
 * name and of all its other columns. The key hangs right below the root of the key tree, so that
 * whoever has the database alone cannot make one. Triggers of this connection, which are not in the
 * file, write it with every change; a change to a row that was altered before fails with
 * -RE_ALTERED, so that nothing is authenticated by accident.
 *
 * A row's own mac does not show that rows were deleted, or put back as they once were. So each
 * table has a sum over its rows as well, changed in the transaction of the rows: MSet-Add-Hash of
 * Clarke, Devadas, van Dijk, Gassend and Suh, "Incremental Multiset Hash Functions and Their
 * Application to Memory Integrity Checking" (ASIACRYPT 2003), with 256 bits. All sums and counts
 * lie in one row (table row_set), encrypted, because a sum that can be read helps to find other
 * rows that have it.
 *
 * The tables with few rows are compared with their sums at every start; all are, some rows at a
 * time, while the keeper runs (row_mac_stride()). docs/catalog.md says what that finds, and what
 * not. */
#pragma once

#include "storage/tables/db.h"

#define ROW_MAC_KEY_BYTES 32

/* Believes and writes authenticated rows from now on; until then all rows are believed, and must
 * not be acted on. created: the database is new, and has no such row yet. Compares the tables of
 * few rows with their sums. What is wrong with rows is no error here: see row_mac_findings(). */
int row_mac_start(struct db *db, const uint8_t key[static ROW_MAC_KEY_BYTES], bool created);

/* Something that no keeper wrote. */
struct row_finding {
	char table[24];
	char row[80]; /* its key; "": rows were deleted, or put back as they once were */
};
#define ROW_FINDINGS_MAX 32

/* What was found since the start, at most ROW_FINDINGS_MAX; *ret_count may be more. Valid until the
 * next call that reads or writes. */
size_t row_mac_findings(
		const struct db *db, const struct row_finding **ret_findings, size_t *ret_count);
/* "recording 17 (01m8...) in keeper.db was altered outside the keeper". */
void row_mac_describe(const struct row_finding *finding, char *ret_text, size_t len);

/* Whether no row of the table was deleted outside the keeper, or put back as it once was, as far as
 * the rounds have come. False also when the sums themselves were altered: nobody can tell then. */
bool row_mac_is_complete(const struct db *db, const char *table);
/* On an administrator's word: the rows that there are become those that there should be. In the
 * caller's transaction; a rollback must end with closing the database. */
int row_mac_accept(struct db *db);

/* Looks at about max rows, outside of a transaction, from where it stopped before. 1 when that was
 * the end of a round through all tables, 0 when not. */
int row_mac_stride(struct db *db, int64_t max);
/* A whole round. */
int row_mac_check(struct db *db);

/* How many rounds have ended. One that begins after a call has ended when there are two more. */
uint64_t row_mac_rounds(const struct db *db);

/* How far the round is: rows looked at, of about how many. */
void row_mac_progress(const struct db *db, int64_t *ret_done, int64_t *ret_all);
