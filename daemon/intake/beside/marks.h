/* What the bridge says about a recording by files that are there or not: the markers of its
 * profile. */
#pragma once

#include "daemon/intake/spool/spool.h"

enum marks {
	MARKS_FINISHED,   /* or the profile has no marker for it */
	MARKS_UNFINISHED, /* also when the markers' folder cannot be opened */
	MARKS_DISCARDED,  /* finished, and the bridge does not want it */
};

/* -ENOMEM. */
int marks_look(struct spool *spool, const char *path, const struct pattern_match *match);
