/* What becomes of one file of a spool. The intake acts on this answer, and `recsealctl spool plan`
 * prints it: so both come from here.
 *
 *     judge_find()     is there such a file, may it be taken, and is it a recording?
 *     judge_marks()    what does its bridge say of it?
 *     source_claim()   is somebody writing to it?           (source.h)
 *     judge_gather()   whose is it, and what goes with it?
 *
 * The intake has questions of its own between these: has the file settled, has the keeper refused
 * it before, is there room for a large one? */
#pragma once

#include <limits.h>

#include "daemon/intake/beside/bundle.h"
#include "daemon/intake/source/source.h"
#include "daemon/intake/spool/spool.h"

/* Besides those of enum source_outcome. */
enum {
	JUDGE_WAIT = SOURCE_OUTCOMES, /* for a sidecar, or for the map of accounts */
	JUDGE_UNFINISHED,             /* its bridge says so */
	JUDGE_LEFT,                   /* discarded by its bridge, and to be left to it */
	JUDGE_DELETE,                 /* discarded by its bridge, and to be removed unsealed */
	JUDGE_NO_MAP,                 /* the map of accounts cannot be read */
	JUDGE_OUTCOMES,
};

struct judge_file {
	struct source source; /* for source_close(), whatever comes out */
	struct pattern_match match;
	const char *path; /* by its own name: that of a file that a crash has left aside, too */
	char buf[PATH_MAX];
	bool discarded; /* by its bridge */
};

/* 0: a recording that may be claimed. SOURCE_GONE, also when the profile does not take it for a
 * recording; another source_outcome; -errno. path is borrowed. */
int judge_find(const struct spool *spool, const char *path, struct judge_file *file);

/* When the file was last changed, by its own times; 0 when these lie in the future or before any
 * bridge. */
int64_t judge_changed_us(const struct source_identity *identity, int64_t now_us);

/* 1 January 2000: a file that claims to be older comes from a machine whose clock was not set. */
#define JUDGE_EARLIEST_US (INT64_C(946684800) * US_PER_S)

/* 0: its bridge has nothing against it. JUDGE_UNFINISHED, JUDGE_LEFT, -ENOMEM. */
int judge_marks(struct spool *spool, struct judge_file *file);

/* For a file that was claimed: 0 with a bundle; JUDGE_DELETE; JUDGE_WAIT with *ret_wait_us;
 * JUDGE_NO_MAP; -errno. */
int judge_gather(struct spool *spool, const struct judge_file *file, int64_t finished_us,
		int64_t now_us, struct bundle **ret_bundle, int64_t *ret_wait_us);
