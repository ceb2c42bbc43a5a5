/* From when to when an account has recordings.
 *
 * They lie in the index recording_alive by time. The first in it is the oldest, and the last the
 * newest, except rows that an erasure of their group or account destroyed and that are not
 * buried yet: those are passed over, a bounded number at a time. */
#include <errno.h>

#include "base/error.h"
#include "storage/tables/catalog.h"
#include "storage/tables/db_internal.h"

/* Rows of one account, from a place in the index on: first those of the same time, then the
 * others. */
#define ROWS                                                                                       \
	"SELECT id, recorded_us, EXISTS (SELECT 1 FROM burial WHERE kind = 2 AND id = r.grp)"      \
	" OR EXISTS (SELECT 1 FROM burial WHERE kind = 1 AND id = r.account) FROM recording r"     \
	" INDEXED BY recording_alive WHERE account = ?1 AND destroyed_us = 0"

static const char *const same_time[] = {
		[SPAN_OLDEST] = ROWS " AND recorded_us = ?2 AND id > ?3 ORDER BY id LIMIT ?4",
		[SPAN_NEWEST] = ROWS " AND recorded_us = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4",
};
static const char *const other_time[] = {
		[SPAN_OLDEST] = ROWS " AND recorded_us > ?2 AND ?3 = ?3"
				     " ORDER BY recorded_us, id LIMIT ?4",
		[SPAN_NEWEST] = ROWS " AND recorded_us < ?2 AND ?3 = ?3"
				     " ORDER BY recorded_us DESC, id DESC LIMIT ?4",
};

/* 0 when the span's place is at a recording that is there; -EAGAIN after max rows that are not;
 * -ENOENT when these were fewer. *max goes down. */
static int span_look(
		struct db *db, const char *const *sql, struct recording_span *span, int64_t *max)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, sql[span->state], "iiii", span->account, span->at_us, span->at_id,
			*max);

	while (r == 0 && (r = db_next(db, q)) > 0) {
		(*max)--;
		span->at_id = sqlite3_column_int64(q, 0);
		span->at_us = sqlite3_column_int64(q, 1);
		if (sqlite3_column_int64(q, 2) == 0)
			return 0;
		r = 0;
	}
	return r < 0 ? r : *max > 0 ? -ENOENT : -EAGAIN;
}

static int span_stride(struct db *db, struct recording_span *span)
{
	int64_t max = RECORDING_STRIDE;
	int r = span_look(db, same_time, span, &max);

	return r == -ENOENT ? span_look(db, other_time, span, &max) : r;
}

static void span_enter(struct recording_span *span, enum span_state state, int64_t at)
{
	span->state = state;
	span->at_us = span->at_id = at;
}

/* Asks the tally first: those of a large account that was shredded need not be looked through. */
static int span_begin(struct db *db, struct recording_span *span)
{
	struct tally tally;
	int r = catalog_tally_get(db, span->account, &tally);

	if (r < 0)
		return r;
	if (catalog_tally_live(&tally).count == 0)
		return -ENOENT;
	span_enter(span, SPAN_OLDEST, INT64_MIN);
	return 0;
}

int catalog_recording_span(struct db *db, struct recording_span *span)
{
	int r = span->state == SPAN_BEGIN ? span_begin(db, span) : 0;

	if (r == 0 && span->state == SPAN_OLDEST) {
		r = span_stride(db, span);
		if (r < 0)
			return r;
		span->oldest_us = span->at_us;
		span_enter(span, SPAN_NEWEST, INT64_MAX);
	}
	if (r == 0 && span->state == SPAN_NEWEST) {
		r = span_stride(db, span);
		if (r < 0)
			return r;
		span->newest_us = span->at_us;
		span->state = SPAN_DONE;
	}
	return r;
}
