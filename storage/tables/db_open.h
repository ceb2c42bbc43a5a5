/* Opening and making the keeper's database: its settings, its schema, and what tells whether its
 * rows are genuine (row_mac.h). */
#pragma once

#include "storage/tables/db.h"

/* Opens DIR/keeper.db, which must exist and have the built-in schema, to the letter (-RE_ALTERED).
 * Or creates it with its schema (-EEXIST when it is there). */
int db_open(const char *dir, struct db **ret_db);
int db_open_new(const char *dir, struct db **ret_db);
