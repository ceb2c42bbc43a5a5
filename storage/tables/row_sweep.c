/* Rounds through all authenticated rows. A round takes some rows of a table at a time, in the order
 * of its primary key, and adds them up; rows behind it that change meanwhile are added and taken
 * there too. At the end of a table the round's sum must be the table's: else rows are missing, or
 * are as they once were. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/row_mac_internal.h"

#define CHECK_ROWS 4096

void row_sweep_reset(struct row_mac *mac)
{
	for (int i = 0; i < ROW_KEY_MAX; i++) {
		sqlite3_value_free(mac->sweep.at[i]);
		mac->sweep.at[i] = NULL;
	}
	mac->sweep.table = 0;
	mac->sweep.done = 0;
	memset(&mac->now.swept, 0, sizeof(mac->now.swept));
	mac->committed.swept = mac->saved.swept = mac->now.swept;
}

/* As SQLite orders values. */
static int value_compare(sqlite3_value *a, sqlite3_value *b)
{
	int type_a = sqlite3_value_type(a), type_b = sqlite3_value_type(b);

	if (type_a == SQLITE_INTEGER && type_b == SQLITE_INTEGER) {
		int64_t x = sqlite3_value_int64(a), y = sqlite3_value_int64(b);
		return x < y ? -1 : x > y;
	}
	if (type_a != type_b)
		return type_a < type_b ? -1 : 1;
	int len_a = sqlite3_value_bytes(a), len_b = sqlite3_value_bytes(b);
	int least = len_a < len_b ? len_a : len_b;
	int order = least > 0 ? memcmp(sqlite3_value_blob(a), sqlite3_value_blob(b), (size_t)least)
			      : 0;
	return order != 0 ? order : len_a - len_b;
}

bool row_sweep_passed(const struct row_mac *mac, size_t table, sqlite3_value **columns)
{
	const struct row_layout *layout = &mac->layout[table];

	if (table != mac->sweep.table || !mac->sweep.at[0])
		return false;
	for (int i = 0; i < layout->keys; i++) {
		int order = value_compare(columns[layout->key[i]], mac->sweep.at[i]);
		if (order != 0)
			return order < 0;
	}
	return true;
}

static void write_keys(FILE *out, const struct row_layout *layout)
{
	for (int i = 0; i < layout->keys; i++)
		fprintf(out, "%s%s", i > 0 ? ", " : "", layout->column[layout->key[i]]);
}

/* Gives the keys, and counts each row in by the way. */
static int sweep_prepare(struct row_mac *mac, sqlite3 *handle, int64_t max, sqlite3_stmt **ret_q)
{
	const struct row_layout *layout = &mac->layout[mac->sweep.table];
	_cleanup_free_ char *sql = NULL;
	size_t len;
	FILE *out = open_memstream(&sql, &len);

	if (!out)
		return -ENOMEM;
	fputs("SELECT ", out);
	write_keys(out, layout);
	fprintf(out, ", row_passed(%zu, mac", mac->sweep.table);
	for (int i = 0; i < layout->columns; i++)
		fprintf(out, ", %s", layout->column[i]);
	fprintf(out, ") FROM main.%s", row_tables[mac->sweep.table].name);
	if (mac->sweep.at[0]) {
		fputs(" WHERE (", out);
		write_keys(out, layout);
		fputs(") > (?2", out);
		for (int i = 1; i < layout->keys; i++)
			fprintf(out, ", ?%d", i + 2);
		fputc(')', out);
	}
	fputs(" ORDER BY ", out);
	write_keys(out, layout);
	fputs(" LIMIT ?1", out);
	if (fclose(out) != 0)
		return -ENOMEM;
	int r = db_error(sqlite3_prepare_v2(handle, sql, -1, ret_q, NULL));
	if (r < 0)
		return r;
	sqlite3_bind_int64(*ret_q, 1, max);
	for (int i = 0; i < layout->keys && mac->sweep.at[0]; i++)
		sqlite3_bind_value(*ret_q, i + 2, mac->sweep.at[i]);
	return 0;
}

static int sweep_move(struct row_mac *mac, sqlite3_stmt *q)
{
	for (int i = 0; i < mac->layout[mac->sweep.table].keys; i++) {
		sqlite3_value_free(mac->sweep.at[i]);
		mac->sweep.at[i] = sqlite3_value_dup(sqlite3_column_value(q, i));
		if (!mac->sweep.at[i])
			return -ENOMEM;
	}
	return 0;
}

static void sweep_compare(struct row_mac *mac)
{
	size_t table = mac->sweep.table;

	if (mac->lost || row_set_equal(&mac->now.swept, &mac->now.of[table]))
		return;
	mac->incomplete[table] = true;
	row_mac_note_finding(mac, row_tables[table].name, "");
}

static void sweep_next_table(struct row_mac *mac)
{
	size_t table = mac->sweep.table;
	int64_t done = mac->sweep.done;

	row_sweep_reset(mac);
	mac->sweep.table = table + 1;
	mac->sweep.done = done;
}

/* Up to max rows of the present table; fewer were its last. */
static int sweep_rows(struct db *db, int64_t max, int64_t *ret_rows)
{
	struct row_mac *mac = row_mac_of(db);
	sqlite3_stmt *q = NULL;
	int64_t n = 0;
	int result = SQLITE_DONE, r = sweep_prepare(mac, db_handle(db), max, &q);

	while (r == 0 && (result = sqlite3_step(q)) == SQLITE_ROW) {
		r = sweep_move(mac, q);
		n++;
	}
	if (r == 0)
		r = db_error(result);
	sqlite3_finalize(q);
	mac->committed.swept = mac->now.swept;
	mac->sweep.done += n;
	if (r == 0)
		*ret_rows = n;
	return r;
}

int row_mac_stride(struct db *db, int64_t max)
{
	struct row_mac *mac = row_mac_of(db);
	int64_t n;

	if (!sqlite3_get_autocommit(db_handle(db)))
		return -EINVAL;
	while (max > 0 && mac->on) {
		int r = sweep_rows(db, max, &n);
		if (r < 0) {
			row_sweep_reset(mac);
			return r;
		}
		if (n == max)
			return 0;
		max -= n + 1;
		sweep_compare(mac);
		sweep_next_table(mac);
		if (mac->sweep.table == ROW_TABLES) {
			row_sweep_reset(mac);
			mac->sweep.rounds++;
			return 1;
		}
	}
	return !mac->on;
}

uint64_t row_mac_rounds(const struct db *db)
{
	return row_mac_of(db)->sweep.rounds;
}

int row_mac_check(struct db *db)
{
	int r;

	row_sweep_reset(row_mac_of(db));
	while ((r = row_mac_stride(db, CHECK_ROWS)) == 0)
		;
	return r < 0 ? r : 0;
}

int row_sweep_table(struct db *db, size_t table)
{
	struct row_mac *mac = row_mac_of(db);
	int64_t n = CHECK_ROWS;
	int r = 0;

	row_sweep_reset(mac);
	mac->sweep.table = table;
	while (r == 0 && n == CHECK_ROWS)
		r = sweep_rows(db, CHECK_ROWS, &n);
	if (r == 0)
		sweep_compare(mac);
	row_sweep_reset(mac);
	return r;
}

void row_mac_progress(const struct db *db, int64_t *ret_done, int64_t *ret_all)
{
	const struct row_mac *mac = row_mac_of(db);
	int64_t all = 0;

	for (size_t i = 0; i < ROW_TABLES; i++)
		all += mac->now.of[i].count;
	*ret_done = mac->sweep.done;
	*ret_all = all;
}

/* What there is becomes what there should be. In the caller's transaction. */
static int sweep_take(struct db *db, size_t table)
{
	struct row_mac *mac = row_mac_of(db);
	int64_t n = CHECK_ROWS;
	int r = 0;

	row_sweep_reset(mac);
	mac->sweep.table = table;
	while (r == 0 && n == CHECK_ROWS)
		r = sweep_rows(db, CHECK_ROWS, &n);
	if (r == 0) {
		mac->now.of[table] = mac->now.swept;
		mac->now.dirty = true;
		mac->incomplete[table] = false;
	}
	row_sweep_reset(mac);
	return r;
}

int row_mac_purge(struct db *db, const char *table)
{
	struct row_mac *mac = row_mac_of(db);
	size_t i = row_mac_table(table);
	char sql[128];

	const struct row_layout *layout = &mac->layout[i];
	snprintf(sql, sizeof(sql),
			"DELETE FROM %s WHERE %s IN (SELECT %s FROM %s_read WHERE NOT genuine)",
			table, layout->column[layout->key[0]], layout->column[layout->key[0]],
			table);
	int r = db_error(sqlite3_exec(db_handle(db), sql, NULL, NULL, NULL));
	if (r == 0)
		r = sweep_take(db, i);
	if (r == 0)
		row_mac_forget_findings(mac, table);
	return r;
}

/* The highest id that a table gave, as far as the database says. */
static int sweep_take_last(struct db *db, size_t table)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?",
			"t", row_tables[table].name);

	if (r == 0)
		r = db_next(db, q);
	if (r < 0)
		return r;
	row_mac_of(db)->now.last[table] = sqlite3_column_int64(q, 0);
	return 0;
}

int row_mac_accept(struct db *db)
{
	struct row_mac *mac = row_mac_of(db);
	int r = 0;

	for (size_t i = 0; i < ROW_TABLES && r == 0; i++) {
		r = sweep_take(db, i);
		if (r == 0 && mac->lost && mac->layout[i].counted)
			r = sweep_take_last(db, i);
	}
	if (r == 0)
		mac->lost = false;
	return r;
}

bool row_mac_is_complete(const struct db *db, const char *table)
{
	const struct row_mac *mac = row_mac_of(db);

	return !mac->lost && !mac->incomplete[row_mac_table(table)];
}
