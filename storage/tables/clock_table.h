/* The one row that keeps the time a vault has counted (daemon/keeper/vault/vault_clock.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/tables/db.h"

#define CLOCK_BOOT_ID_BYTES 16

struct clock_row {
	int64_t counted_us;
	int64_t boot_us;                      /* what the boot clock said at counted_us */
	uint8_t boot_id[CLOCK_BOOT_ID_BYTES]; /* of which boot */
	bool known;                           /* in this boot the time was known once */
	bool ever_known;                      /* in this boot or an earlier one */
};

/* 0, -ENOENT: there is none, or it was altered. */
int clock_table_get(struct db *db, struct clock_row *ret_row);
/* In the caller's transaction. */
int clock_table_put(struct db *db, const struct clock_row *row);
