/* The files of a spool that will not be sealed: how many there are, and which of them the operator
 * knows of already.
 *
 * A file is known by its inode and the kind of refusal, never by its name. It is reported once, and
 * at most REFUSALS_PER_HOUR files of a spool are. The memory of earlier reports is shared by all
 * spools and bounded (seen.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/intake/source/source.h"
#include "daemon/intake/spool/seen.h"

#define REFUSALS_PER_HOUR 100

/* Kinds of refusal: those of source.h, these, and those of sidecar.h. */
enum {
	REFUSAL_BY_KEEPER = SOURCE_OUTCOMES,
	REFUSAL_FOREIGN,   /* matches no pattern of the profile */
	REFUSAL_DISCARDED, /* by the bridge, and Discarded=leave */
	REFUSAL_ALONE,     /* a sidecar that went with no recording */
	REFUSAL_STALE,     /* not refused: in progress for longer than StaleAfter= */
	REFUSAL_IGNORED,   /* not refused: ignored by its name, for longer than StaleAfter= */
	REFUSAL_CHANGING,  /* not refused: changed again and again while it was being sealed */
	REFUSAL_KINDS,
};

struct refusals {
	unsigned count; /* files there are, as far as known: for the report */
	/* Met since the scan began. A scan does not open files: that one may not be read shows
	 * in the look at it. */
	unsigned scanned, unreadable;
	unsigned reported; /* in this hour */
	int64_t hour_since_us;
};

/* Which file, and what kind of refusal it met. */
struct refusal {
	uint64_t spool, inode;
	unsigned kind;
	uint64_t birth; /* tells one file in an inode from the next; 0: not known */
};

enum refusals_verdict {
	REFUSALS_KNOWN,       /* not news */
	REFUSALS_REPORT,      /* news, to be reported */
	REFUSALS_REPORT_LAST, /* the same, and the last of this hour */
	REFUSALS_TOO_MANY,    /* news, but enough was reported in this hour */
};

/* Notes a refusal in the shared memory and says whether to report it; now_us is monotonic. An
 * inode of 0 is not known, and never news. */
enum refusals_verdict refusals_note(struct refusals *refusals, struct seen *reported,
		const struct refusal *refusal, int64_t now_us);

/* A scan counts the spool's refused files; until it ends, the count of the last one stands. */
void refusals_begin_scan(struct refusals *refusals);
void refusals_end_scan(struct refusals *refusals);
