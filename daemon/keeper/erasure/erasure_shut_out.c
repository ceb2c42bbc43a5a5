/* Shutting out a copy of the root that was given up. A file of its own, so that a test can take the
 * fresh keys away and show that the copy would then open later recordings. */
#include "daemon/keeper/erasure/erasure_notes.h"
#include "storage/tables/mirror_table.h"

int erasure_notes_shut_out(struct db *db, uint64_t epoch, bool all, struct victims *victims)
{
	int given_up = mirror_table_any_given_up(db, epoch);

	if (given_up <= 0)
		return given_up;
	if (!all)
		return mirror_table_postpone_given_up(db, epoch);
	int r = erasure_notes_collect_accounts(db, victims);
	return r < 0 ? r : mirror_table_close_groups(db);
}
