#include "storage/tables/mirror_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "storage/tables/db_internal.h"

#define COLUMNS                                                                                    \
	"id, name, kind, place, state, assurance, added_us, away_us, given_up_us,"                 \
	" given_up_epoch, genuine"

int mirror_table_add(struct db *db, struct mirror_row *row)
{
	int r = db_run(db,
			"INSERT INTO mirror(id, name, kind, place, state, assurance, added_us,"
			" away_us, given_up_us, given_up_epoch)"
			" VALUES (nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			"itititiiii", row->id, row->name, (int64_t)row->kind, row->location,
			(int64_t)row->state, row->assurance, row->added_us, row->away_us,
			row->given_up_us, (int64_t)row->given_up_epoch);

	if (r == 0)
		row->id = db_last_id(db);
	return r;
}

/* SQLite keeps the greatest id that was ever used (AUTOINCREMENT). */
int mirror_table_knows(struct db *db, int64_t id)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT 1 FROM sqlite_sequence WHERE name = 'mirror' AND seq >= ?",
			"i", id);

	return r < 0 ? r : db_next(db, q);
}

int mirror_table_put(struct db *db, const struct mirror_row *row)
{
	return db_run(db,
			"UPDATE mirror SET state = ?, assurance = ?, away_us = ?, given_up_us = ?,"
			" given_up_epoch = ? WHERE id = ?",
			"itiiii", (int64_t)row->state, row->assurance, row->away_us,
			row->given_up_us, (int64_t)row->given_up_epoch, row->id);
}

int mirror_table_remove(struct db *db, int64_t id)
{
	return db_run(db, "DELETE FROM mirror WHERE id = ?", "i", id);
}

static int read_mirror(sqlite3_stmt *q, struct mirror_row *ret_row)
{
	int64_t kind = sqlite3_column_int64(q, 2), state = sqlite3_column_int64(q, 4);
	struct mirror_row row = {
			.id = sqlite3_column_int64(q, 0),
			.kind = (enum mirror_kind)kind,
			.state = (enum mirror_state)state,
			.added_us = sqlite3_column_int64(q, 6),
			.away_us = sqlite3_column_int64(q, 7),
			.given_up_us = sqlite3_column_int64(q, 8),
			.given_up_epoch = (uint64_t)sqlite3_column_int64(q, 9),
			.altered = !sqlite3_column_int(q, 10),
	};
	bool known = kind >= MIRROR_FILE && kind <= MIRROR_TPM2 && state >= MIRROR_IN_USE &&
		     state <= MIRROR_EMPTY;
	int r = known ? db_column_text(q, 1, row.name, sizeof(row.name)) : -RE_CORRUPT;

	if (r == 0)
		r = db_column_text(q, 3, row.location, sizeof(row.location));
	if (r == 0)
		r = db_column_text(q, 5, row.assurance, sizeof(row.assurance));
	if (r == 0 && root_assurance_rank(row.assurance) < 0)
		r = -RE_CORRUPT;
	if (r == 0)
		*ret_row = row;
	return r;
}

static int step_mirror(struct db *db, sqlite3_stmt *q, struct mirror_row *ret_row)
{
	int r = db_next(db, q);

	if (r > 0 && !sqlite3_column_int(q, 10))
		return -RE_ALTERED;
	return r < 0 ? r : r == 0 ? -ENOENT : read_mirror(q, ret_row);
}

int mirror_table_by_id(struct db *db, int64_t id, struct mirror_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT " COLUMNS " FROM mirror_read WHERE id = ?", "i", id);

	return r < 0 ? r : step_mirror(db, q, ret_row);
}

int mirror_table_find(struct db *db, const char *name, enum mirror_state state,
		struct mirror_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT " COLUMNS
			" FROM mirror_read WHERE name = ? AND state = ? ORDER BY id DESC LIMIT 1",
			"ti", name, (int64_t)state);

	return r < 0 ? r : step_mirror(db, q, ret_row);
}

int mirror_table_list(struct db *db, struct mirror_row **ret_rows, size_t *ret_count)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	_cleanup_free_ struct mirror_row *rows = NULL;
	size_t n = 0, room = 0;
	int r = db_start(db, &q, "SELECT " COLUMNS " FROM mirror_read ORDER BY id", "");

	while (r == 0 && (r = db_next(db, q)) > 0) {
		if (n == room) {
			room = room ? 2 * room : ROOT_MEMBERS_MAX;
			struct mirror_row *more = reallocarray(rows, room, sizeof(*rows));
			if (!more)
				return -ENOMEM;
			rows = more;
		}
		r = read_mirror(q, &rows[n++]);
	}
	if (r < 0)
		return r;
	*ret_rows = TAKE_PTR(rows);
	*ret_count = n;
	return 0;
}

int mirror_table_main_away(struct db *db, int64_t *ret_away_us)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT main_away_us FROM mirror_note_read WHERE genuine", "");

	if (r == 0)
		r = db_next(db, q);
	if (r < 0)
		return r;
	*ret_away_us = r > 0 ? sqlite3_column_int64(q, 0) : 0;
	return 0;
}

int mirror_table_set_main_away(struct db *db, int64_t away_us)
{
	return db_run(db,
			"INSERT INTO mirror_note(id, main_away_us) VALUES (1, ?1)"
			" ON CONFLICT (id) DO UPDATE SET main_away_us = ?1",
			"i", away_us);
}

int mirror_table_set_changed(struct db *db, uint64_t epoch)
{
	return db_run(db,
			"INSERT INTO mirror_note(id, main_away_us, changed_epoch) VALUES (1, 0, ?1)"
			" ON CONFLICT (id) DO UPDATE SET changed_epoch = ?1",
			"i", (int64_t)epoch);
}

int mirror_table_get_changed(struct db *db, uint64_t *ret_epoch)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT changed_epoch FROM mirror_note_read WHERE genuine", "");

	if (r == 0)
		r = db_next(db, q);
	if (r < 0)
		return r;
	*ret_epoch = r > 0 ? (uint64_t)sqlite3_column_int64(q, 0) : 0;
	return 0;
}

int mirror_table_any_given_up(struct db *db, uint64_t epoch)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT 1 FROM mirror_read WHERE state = ? AND given_up_epoch = ?"
			" AND genuine",
			"ii", (int64_t)MIRROR_GIVEN_UP, (int64_t)epoch);

	return r < 0 ? r : db_next(db, q);
}

int mirror_table_postpone_given_up(struct db *db, uint64_t epoch)
{
	return db_run(db,
			"UPDATE mirror SET given_up_epoch = ?"
			" WHERE state = ? AND given_up_epoch = ?"
			" AND id IN (SELECT id FROM mirror_read WHERE genuine)",
			"iii", (int64_t)epoch + 1, (int64_t)MIRROR_GIVEN_UP, (int64_t)epoch);
}

int mirror_table_close_groups(struct db *db)
{
	return db_run(db,
			"INSERT INTO mirror_note(id, main_away_us, group_floor)"
			" SELECT 1, 0, ifnull(max(seq), 0) FROM sqlite_sequence"
			" WHERE name = 'expiry_group'"
			" ON CONFLICT (id) DO UPDATE SET group_floor = excluded.group_floor",
			"");
}

int mirror_table_set_void(struct db *db, const uint8_t *digest)
{
	return db_run(db,
			"INSERT INTO mirror_note(id, main_away_us, void_top) VALUES (1, 0, ?1)"
			" ON CONFLICT (id) DO UPDATE SET void_top = ?1",
			"b", digest, (size_t)DB_DIGEST_BYTES);
}

int mirror_table_get_void(struct db *db, uint8_t ret_digest[static DB_DIGEST_BYTES])
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT void_top FROM mirror_note_read WHERE void_top IS NOT NULL"
			" AND genuine",
			"");

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r;
	r = db_column_exact(q, 0, ret_digest, DB_DIGEST_BYTES);
	return r < 0 ? r : 1;
}
