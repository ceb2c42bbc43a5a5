#include "daemon/intake/spool/stale.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"

#define EARLIEST_SANE_US (INT64_C(946684800) * US_PER_S) /* 1 January 2000 */

int64_t stale_birth_us(const struct source *source)
{
	struct statx stx;

	if (statx(source->fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx) < 0 ||
			!(stx.stx_mask & STATX_BTIME))
		return 0;
	return stx.stx_btime.tv_sec * US_PER_S + stx.stx_btime.tv_nsec / 1000;
}

int64_t stale_since_us(const struct source *source, int64_t now_us)
{
	int64_t since_us = source_changed_us(&source->identity);
	int64_t born_us = stale_birth_us(source);

	if (born_us >= EARLIEST_SANE_US && born_us < since_us)
		since_us = born_us;
	/* A time in the future would make a negative age. */
	return since_us < now_us ? since_us : now_us;
}

bool stale_meet(struct stale_files *files, uint64_t inode, int64_t since_us, uint64_t round)
{
	for (unsigned i = 0; i < files->n; i++) {
		if (files->file[i].inode == inode && files->file[i].since_us == since_us) {
			files->file[i].round = round;
			return false;
		}
	}
	/* Full: the file is neither counted nor reported, so that it is not reported each time. */
	if (files->n == STALE_MAX)
		return false;
	files->file[files->n].inode = inode;
	files->file[files->n].since_us = since_us;
	files->file[files->n++].round = round;
	return true;
}

void stale_forget(struct stale_files *files, uint64_t round)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < files->n; i++) {
		if (files->file[i].round >= round)
			files->file[kept++] = files->file[i];
	}
	files->n = kept;
}

int64_t stale_oldest_us(const struct stale_files *files)
{
	int64_t oldest_us = 0;

	for (unsigned i = 0; i < files->n; i++) {
		if (oldest_us == 0 || files->file[i].since_us < oldest_us)
			oldest_us = files->file[i].since_us;
	}
	return oldest_us;
}
