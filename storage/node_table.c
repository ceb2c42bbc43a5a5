#include "storage/node_table.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "storage/db_internal.h"

#define KEY_FANOUT 257 /* children to expect */

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

static int get_with(
	struct db *db, const char *sql, uint64_t parent, uint64_t id, struct node_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, sql, "ii", (int64_t)parent, (int64_t)id);

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return read_row(q, ret_row);
}

int node_get(struct db *db, uint64_t parent, uint64_t id, struct node_row *ret_row)
{
	return get_with(db,
		"SELECT parent, id, epoch, sealed FROM node WHERE parent = ? AND id = ?", parent,
		id, ret_row);
}

int node_get_staged(struct db *db, uint64_t parent, uint64_t id, struct node_row *ret_row)
{
	return get_with(db,
		"SELECT parent, id, epoch, sealed FROM staged_node WHERE parent = ? AND id = ?",
		parent, id, ret_row);
}

int node_add(struct db *db, const struct node_row *row)
{
	return db_run(db, "INSERT INTO node(parent, id, epoch, sealed) VALUES (?, ?, ?, ?)", "iiib",
		(int64_t)row->parent, (int64_t)row->id, (int64_t)row->epoch, row->sealed,
		sizeof(row->sealed));
}

struct rows {
	struct node_row *row;
	size_t count, room;
};

static int append(struct rows *rows, sqlite3_stmt *q)
{
	if (rows->count == rows->room) {
		size_t room = rows->room ? 2 * rows->room : KEY_FANOUT;
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

static int read_all(sqlite3_stmt *q, struct db *db, struct rows *rows)
{
	int r;

	while ((r = db_next(db, q)) > 0) {
		r = append(rows, q);
		if (r < 0)
			return r;
	}
	return r;
}

/* All rows first: the visitor may come back here with a child, and use the same statement. */
static int children_with(
	struct db *db, const char *sql, uint64_t parent, node_visit visit, void *context)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	struct rows rows = {0};
	int r = db_start(db, &q, sql, "i", (int64_t)parent);

	if (r == 0)
		r = read_all(q, db, &rows);
	if (q)
		sqlite3_reset(q);
	for (size_t i = 0; i < rows.count && r == 0; i++) {
		r = visit(context, &rows.row[i]);
		if (r > 0)
			r = 0;
	}
	free(rows.row);
	return r;
}

int node_children(struct db *db, uint64_t parent, node_visit visit, void *context)
{
	return children_with(db,
		"SELECT parent, id, epoch, sealed FROM node WHERE parent = ? ORDER BY id", parent,
		visit, context);
}

int node_children_staged(struct db *db, uint64_t parent, node_visit visit, void *context)
{
	return children_with(db,
		"SELECT parent, id, epoch, sealed FROM staged_node WHERE parent = ? ORDER BY id",
		parent, visit, context);
}

int node_stage_parent(struct db *db, uint64_t parent)
{
	return db_run(db, "INSERT INTO staged_parent(id) VALUES (?)", "i", (int64_t)parent);
}

int node_stage(struct db *db, const struct node_row *row)
{
	return db_run(db, "INSERT INTO staged_node(parent, id, epoch, sealed) VALUES (?, ?, ?, ?)",
		"iiib", (int64_t)row->parent, (int64_t)row->id, (int64_t)row->epoch, row->sealed,
		sizeof(row->sealed));
}

int node_any_staged(struct db *db)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT 1 FROM staged_parent LIMIT 1", "");

	return r < 0 ? r : db_next(db, q);
}

int node_discard_staged(struct db *db)
{
	int r = db_run(db, "DELETE FROM staged_node", "");

	return r < 0 ? r : db_run(db, "DELETE FROM staged_parent", "");
}

int node_apply_staged(struct db *db)
{
	int r = db_run(db, "DELETE FROM node WHERE parent IN (SELECT id FROM staged_parent)", "");

	if (r == 0)
		r = db_run(db,
			"INSERT INTO node(parent, id, epoch, sealed)"
			" SELECT parent, id, epoch, sealed FROM staged_node ORDER BY parent, id",
			"");
	return r < 0 ? r : node_discard_staged(db);
}

int node_drop_children(struct db *db, uint64_t parent)
{
	return db_run(db, "DELETE FROM node WHERE parent = ?", "i", (int64_t)parent);
}
