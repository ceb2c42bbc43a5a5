/* The markers of a profile: files by which a bridge says that a recording is finished, unfinished
 * or discarded. */
#pragma once

#include "daemon/intake/spool/spool.h"

enum marks {
	MARKS_FINISHED,   /* or the profile has no marker for it */
	MARKS_UNFINISHED, /* also when the markers' folder cannot be opened */
	MARKS_DISCARDED,  /* finished, and the bridge does not want it */
};

/* An enum marks, or -ENOMEM. A markers' folder that cannot be opened is reported. */
int marks_look(struct spool *spool, const char *path, const struct pattern_match *match);
