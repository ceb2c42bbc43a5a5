#include "daemon/keeper/vault/clock_retime.h"

#include <errno.h>
#include <stdbool.h>

#include "daemon/keeper/vault/expiry.h"
#include "storage/tables/catalog_times.h"

/* Nothing is sealed in the future, and nothing is sealed before it is recorded. */
static int retime_set(struct db *db, struct recording_row *row, int64_t sealed_us, int64_t truth_us)
{
	row->sealed_us = sealed_us < truth_us ? sealed_us : truth_us;
	if (row->recorded_us > row->sealed_us)
		row->recorded_us = row->sealed_us;
	row->sealed_clock = SEALED_CLOCK_SET;
	expiry_set(row);
	return catalog_times_set(db, row);
}

/* All of a group whose time was not known: the count tells how long ago they were sealed. */
static int retime_group(struct db *db, const struct clock_retiming *retiming, int64_t group,
		int64_t *retimed)
{
	int64_t id = 0;
	int r = 0;

	while (r == 0) {
		struct recording_row row = {0};
		r = catalog_times_next_unknown(db, group, id, &row);
		if (r == 0) {
			id = row.id;
			(*retimed)++;
			r = retime_set(db, &row, row.counted_us + retiming->shift_us,
					retiming->truth_us);
		}
		catalog_recording_clear(&row);
	}
	return r == -ENOENT ? 0 : r;
}

/* 1: there are more. */
static int retime_unknown(struct db *db, const struct clock_retiming *retiming, int64_t limit,
		int64_t *retimed)
{
	while (*retimed < limit) {
		struct recording_row row = {0};
		int r = catalog_times_next_unknown(db, 0, 0, &row);
		int64_t group = row.group;
		catalog_recording_clear(&row);
		if (r == 0)
			r = retime_group(db, retiming, group, retimed);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
	}
	return 1;
}

/* Puts one right whose time was thought known. 1: it is right, and so are all before it. */
static int retime_one_known(struct db *db, const struct clock_retiming *retiming,
		struct recording_row *row, int64_t *retimed)
{
	bool newer = row->id > retiming->settled_id;

	if (row->sealed_clock == SEALED_CLOCK_UNKNOWN)
		return 0; /* retime_unknown() knows better */
	if (!newer && row->sealed_us <= retiming->truth_us)
		return 1;
	(*retimed)++;
	return retime_set(db, row, newer ? row->sealed_us + retiming->shift_us : retiming->truth_us,
			retiming->truth_us);
}

/* Newest first, down to the first that is right. 1: there are more. */
static int retime_known(
		struct db *db, struct clock_retiming *retiming, int64_t limit, int64_t *retimed)
{
	int r = 0;

	while (r == 0 && *retimed < limit) {
		struct recording_row row = {0};
		r = catalog_times_before(db, retiming->before_id, &row);
		if (r == 0) {
			retiming->before_id = row.id;
			r = retime_one_known(db, retiming, &row, retimed);
		}
		catalog_recording_clear(&row);
	}
	retiming->known_done = r > 0 || r == -ENOENT;
	return r == 0 ? 1 : retiming->known_done ? 0 : r;
}

int clock_retime_stride(
		struct db *db, struct clock_retiming *retiming, size_t max, int64_t *retimed)
{
	int64_t before = *retimed, limit = before + (int64_t)max;
	int r = retiming->known_done ? 0 : retime_known(db, retiming, limit, retimed);

	if (r == 0)
		r = retime_unknown(db, retiming, limit, retimed);
	int settled = r >= 0 && *retimed > before ? catalog_times_settle_groups(db) : 0;
	return settled < 0 ? settled : r;
}
