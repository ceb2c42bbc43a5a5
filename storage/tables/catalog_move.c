/* Moving a recording to another account and group: its row and the tallies of both accounts and of
 * the vault, in the caller's transaction. What is already destroyed cannot be moved. */
#include <errno.h>

#include "storage/tables/catalog.h"
#include "storage/tables/db_internal.h"

/* Where it is counted so far; account 0 is the whole vault. */
static int read_tallied_as(struct db *db, int64_t id, int64_t *ret_account, int64_t *ret_state,
		int64_t *ret_bytes)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT account, state, plain_bytes FROM recording_now WHERE id = ?"
			" AND destroyed_us = 0 AND genuine",
			"i", id);

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_account = sqlite3_column_int64(q, 0);
	*ret_state = sqlite3_column_int64(q, 1);
	*ret_bytes = sqlite3_column_int64(q, 2);
	return 0;
}

int catalog_recording_move(struct db *db, int64_t id, int64_t account, int64_t group,
		enum recording_state state)
{
	int64_t from = 0, old_state = 0, bytes = 0;
	int r = read_tallied_as(db, id, &from, &old_state, &bytes);

	if (r == 0)
		r = catalog_tally_add(db, from, (enum recording_state)old_state, -1, -bytes);
	if (r == 0)
		r = catalog_tally_add(db, 0, (enum recording_state)old_state, -1, -bytes);
	if (r == 0)
		r = catalog_tally_add(db, account, state, 1, bytes);
	if (r == 0)
		r = catalog_tally_add(db, 0, state, 1, bytes);
	if (r < 0)
		return r;
	return db_run(db, "UPDATE recording SET account = ?, grp = ?, state = ? WHERE id = ?",
			"iiii", account, group, (int64_t)state, id);
}
