#include "daemon/keeper/erasure/erasure_shut_out.h"

#include "storage/tables/mirror_table.h"

int erasure_shut_out(struct db *db, uint64_t epoch, bool all, struct victims *victims)
{
	int given_up = mirror_table_any_given_up(db, epoch);

	if (given_up <= 0)
		return given_up;
	if (!all)
		return mirror_table_postpone_given_up(db, epoch);
	int r = erasure_notes_collect_accounts(db, victims);
	return r < 0 ? r : mirror_table_close_groups(db);
}
