#include "storage/tables/node_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "storage/tables/db_internal.h"

#define ROWS_FIRST 32 /* to have room for, before it is doubled */

static int read_row(sqlite3_stmt *q, struct node_row *ret_row)
{
	struct node_row row = {
			.parent = (uint64_t)sqlite3_column_int64(q, 0),
			.id = (uint64_t)sqlite3_column_int64(q, 1),
			.epoch = (uint64_t)sqlite3_column_int64(q, 2),
	};
	int r = db_column_exact(q, 3, row.sealed, sizeof(row.sealed));

	if (r == 0)
		*ret_row = row;
	return r;
}

int node_table_get(struct db *db, uint64_t parent, uint64_t id, struct node_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT parent, id, epoch, sealed FROM node WHERE parent = ? AND id = ?",
			"ii", (int64_t)parent, (int64_t)id);

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return read_row(q, ret_row);
}

int node_table_add(struct db *db, const struct node_row *row)
{
	return db_run(db, "INSERT INTO node(parent, id, epoch, sealed) VALUES (?, ?, ?, ?)", "iiib",
			(int64_t)row->parent, (int64_t)row->id, (int64_t)row->epoch, row->sealed,
			sizeof(row->sealed));
}

struct rows {
	struct node_row *row;
	size_t count, room;
};

static int append_row(struct rows *rows, sqlite3_stmt *q)
{
	if (rows->count == rows->room) {
		size_t room = rows->room ? 2 * rows->room : ROWS_FIRST;
		struct node_row *row = reallocarray(rows->row, room, sizeof(*row));
		if (!row)
			return -ENOMEM;
		rows->row = row;
		rows->room = room;
	}
	int r = read_row(q, &rows->row[rows->count]);
	if (r == 0)
		rows->count++;
	return r;
}

int node_table_list(struct db *db, uint64_t parent, struct node_row **ret_rows, size_t *ret_count)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	struct rows rows = {0};
	int r = db_start(db, &q,
			"SELECT parent, id, epoch, sealed FROM node WHERE parent = ? ORDER BY id",
			"i", (int64_t)parent);

	while (r == 0 && (r = db_next(db, q)) > 0)
		r = append_row(&rows, q);
	if (r < 0) {
		free(rows.row);
		return r;
	}
	*ret_rows = rows.row;
	*ret_count = rows.count;
	return 0;
}

/* Packs. */

#define PRESENT " AND epoch < ifnull((SELECT epoch FROM staged_parent LIMIT 1), 0x7fffffffffffffff)"
#define STAGED  " AND epoch = (SELECT epoch FROM staged_parent LIMIT 1)"

static int read_pack(sqlite3_stmt *q, struct node_pack *ret_pack)
{
	if (sqlite3_column_type(q, 3) != SQLITE_BLOB)
		return -RE_CORRUPT;
	int len = sqlite3_column_bytes(q, 3), children = len - NODE_PACK_OVERHEAD;

	if (children <= 0 || children % NODE_PACK_CHILD_BYTES != 0 || len > NODE_PACK_BYTES_MAX)
		return -RE_CORRUPT;
	ret_pack->parent = (uint64_t)sqlite3_column_int64(q, 0);
	ret_pack->first = (uint64_t)sqlite3_column_int64(q, 1);
	ret_pack->epoch = (uint64_t)sqlite3_column_int64(q, 2);
	ret_pack->len = (size_t)len;
	memcpy(ret_pack->sealed, sqlite3_column_blob(q, 3), ret_pack->len);
	return 0;
}

/* Runs a query for one row, by parent and id. */
static int query_pack(struct db *db, const char *sql, uint64_t parent, uint64_t id,
		sqlite3_stmt **ret_query)
{
	int r = db_start(db, ret_query, sql, "ii", (int64_t)parent, (int64_t)id);

	if (r == 0)
		r = db_next(db, *ret_query);
	return r < 0 ? r : r == 0 ? -ENOENT : 0;
}

int node_table_pack_get(struct db *db, enum node_set set, uint64_t parent, uint64_t id,
		struct node_pack *ret_pack)
{
	static const char *const sql[] = {
			[NODE_PRESENT] = "SELECT parent, first, epoch, sealed FROM node_pack"
					 " WHERE parent = ? AND first <= ?" PRESENT
					 " ORDER BY first DESC LIMIT 1",
			[NODE_STAGED] = "SELECT parent, first, epoch, sealed FROM node_pack"
					" WHERE parent = ? AND first <= ?" STAGED
					" ORDER BY first DESC LIMIT 1"};
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = query_pack(db, sql[set], parent, id, &q);

	return r < 0 ? r : read_pack(q, ret_pack);
}

int node_table_pack_find(
		struct db *db, enum node_set set, uint64_t parent, uint64_t id, uint64_t *ret_first)
{
	static const char *const sql[] = {
			[NODE_PRESENT] = "SELECT first FROM node_pack WHERE parent = ?"
					 " AND first <= ?" PRESENT " ORDER BY first DESC LIMIT 1",
			[NODE_STAGED] = "SELECT first FROM node_pack WHERE parent = ?"
					" AND first <= ?" STAGED " ORDER BY first DESC LIMIT 1"};
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = query_pack(db, sql[set], parent, id, &q);

	if (r == 0)
		*ret_first = (uint64_t)sqlite3_column_int64(q, 0);
	return r;
}

int node_table_pack_next(struct db *db, enum node_set set, uint64_t parent, uint64_t from,
		struct node_pack *ret_pack)
{
	static const char *const sql[] = {
			[NODE_PRESENT] = "SELECT parent, first, epoch, sealed FROM node_pack"
					 " WHERE parent = ? AND first >= ?" PRESENT
					 " ORDER BY first LIMIT 1",
			[NODE_STAGED] = "SELECT parent, first, epoch, sealed FROM node_pack"
					" WHERE parent = ? AND first >= ?" STAGED
					" ORDER BY first LIMIT 1"};
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = query_pack(db, sql[set], parent, from, &q);

	return r < 0 ? r : read_pack(q, ret_pack);
}

/* The stage. */

int node_table_stage_parent(struct db *db, uint64_t parent, uint64_t epoch)
{
	return db_run(db, "INSERT INTO staged_parent(id, epoch) VALUES (?, ?)", "ii",
			(int64_t)parent, (int64_t)epoch);
}

int node_table_stage_pack(struct db *db, const struct node_pack *pack)
{
	return db_run(db, "INSERT INTO node_pack(parent, first, epoch, sealed) VALUES (?, ?, ?, ?)",
			"iiib", (int64_t)pack->parent, (int64_t)pack->first, (int64_t)pack->epoch,
			pack->sealed, pack->len);
}

int node_table_any_staged(struct db *db)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT 1 FROM staged_parent LIMIT 1", "");

	return r < 0 ? r : db_next(db, q);
}

#define DROP_PACKS "DELETE FROM node_pack WHERE parent IN (SELECT id FROM staged_parent)"

static int run_each(struct db *db, const char *const *sql, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = db_run(db, sql[i], "");
	return r;
}

int node_table_discard_staged(struct db *db)
{
	static const char *const sql[] = {DROP_PACKS STAGED, "DELETE FROM staged_parent"};

	return run_each(db, sql, ELEMENTSOF(sql));
}

/* The list of parents decides which keys go. */
static int stage_is_genuine(struct db *db)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT 1 FROM staged_parent_read WHERE NOT genuine LIMIT 1", "");

	if (r == 0)
		r = db_next(db, q);
	return r > 0 ? -RE_ALTERED : r;
}

int node_table_apply_staged(struct db *db)
{
	static const char *const sql[] = {
			"DELETE FROM node WHERE parent IN (SELECT id FROM staged_parent)",
			DROP_PACKS PRESENT, "DELETE FROM staged_parent"};
	int r = stage_is_genuine(db);

	return r < 0 ? r : run_each(db, sql, ELEMENTSOF(sql));
}

int node_table_drop_children(struct db *db, uint64_t parent)
{
	int r = db_run(db, "DELETE FROM node WHERE parent = ?", "i", (int64_t)parent);

	return r < 0 ? r
		     : db_run(db, "DELETE FROM node_pack WHERE parent = ?", "i", (int64_t)parent);
}
