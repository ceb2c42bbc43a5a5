/* A [spool NAME] of the configuration: for those who need one spool, and not all of it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/common/names/name_fold.h"

#define CONFIG_SETTLE_US INT64_C(1000000) /* of a spool that says nothing */

struct config_spool {
	char *name;
	char *path;    /* absolute */
	char *profile; /* "directory", another of profile_table.c, or a config_profile */
	char *class;
	char *account, *markers; /* instead of the profile's; NULL: the profile's */
	char *ignore;            /* patterns besides the profile's; NULL: none */
	char *account_map;       /* a file, absolute; NULL: none */
	enum name_folding names; /* which spellings are one account */
	char *discarded;         /* "seal", "leave" or "delete" */
	bool first_take;         /* FirstStart=take: a folder with files in it needs no word */
	bool wipe;               /* overwrite a sealed file before it is removed */
	bool remove_empty;       /* folders that have been empty for long enough */
	int64_t settle_us;
	int64_t stale_after_us;
	int64_t sidecar_wait_us; /* instead of the profile's; -1: the profile's */
	unsigned low_percent;    /* the watermark of its filesystem; 0: none */
	char *origin;            /* "FILE:LINE" or "--spool", for messages */
};
