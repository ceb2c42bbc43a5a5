/* Recordings that somebody keeps open, or that their bridge never calls finished; and, in a list of
 * their own, files that are ignored by their names. Each is reported
 * once when that has lasted for StaleAfter=, and counted for `recsealctl status`. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/intake/source/source.h"

#define STALE_MAX 64 /* of a spool; with more, the figure is a lower bound */

struct stale_files {
	struct {
		uint64_t inode;
		int64_t since_us;
		uint64_t round;
	} file[STALE_MAX];
	unsigned n;
};

/* When the file was born, wall clock; 0 where the filesystem does not record that. */
int64_t stale_birth_us(const struct source *source);

/* Since when, wall clock, the file has been in progress: its birth, where the filesystem records it
 * and the time is plausible; else its last change. */
int64_t stale_since_us(const struct source *source, int64_t now_us);

/* Notes a file in this round of the spool's scans. True when it is new, and there is room. */
bool stale_meet(struct stale_files *files, uint64_t inode, int64_t since_us, uint64_t round);

/* Forgets the files that were last met before this round. */
void stale_forget(struct stale_files *files, uint64_t round);

/* The earliest since_us; 0 for none. */
int64_t stale_oldest_us(const struct stale_files *files);
