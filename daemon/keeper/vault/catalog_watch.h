/* Looks at the catalog while the keeper runs, some rows at a time: round after round through all of
 * them (storage/tables/row_mac.h). What somebody altered is told once, and what can be told from
 * other rows is put right. */
#pragma once

#include "daemon/common/notice.h"
#include "storage/tables/db.h"

struct catalog_watch {
	size_t told; /* of the findings */
};

/* How many rows a second. */
#define CATALOG_WATCH_ROWS 1000

/* One stride, outside of a transaction. -errno, -RE_*. */
int catalog_watch_turn(struct catalog_watch *watch, struct db *db, struct notices *notices);

/* Only tells, and puts right: at the start, before rows are counted on. */
int catalog_watch_report(struct catalog_watch *watch, struct db *db, struct notices *notices);
