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

/* What was sealed while the time was not known: the count tells how long ago. */
static int retime_unknown(struct db *db, const struct clock_retiming *retiming, int64_t *retimed)
{
	int64_t id = 0;
	int r = 0;

	while (r == 0) {
		struct recording_row row = {0};
		r = catalog_times_next_unknown(db, id, &row);
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

/* Newest first, down to the first that is right. */
static int retime_known(struct db *db, const struct clock_retiming *retiming, int64_t *retimed)
{
	int64_t id = INT64_MAX;
	int r = 0;

	while (r == 0) {
		struct recording_row row = {0};
		r = catalog_times_before(db, id, &row);
		if (r == 0) {
			id = row.id;
			r = retime_one_known(db, retiming, &row, retimed);
		}
		catalog_recording_clear(&row);
	}
	return r == -ENOENT || r > 0 ? 0 : r;
}

int clock_retime(struct db *db, const struct clock_retiming *retiming, int64_t *ret_retimed)
{
	int64_t retimed = 0;
	/* The known ones first: the others become known. */
	int r = retime_known(db, retiming, &retimed);

	if (r == 0)
		r = retime_unknown(db, retiming, &retimed);
	if (r == 0 && retimed > 0)
		r = catalog_times_settle_groups(db);
	if (r == 0)
		*ret_retimed = retimed;
	return r;
}
