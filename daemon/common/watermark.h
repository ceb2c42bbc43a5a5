/* A watermark on a filesystem's free space: low when less than so many per cent of its bytes, or of
 * its inodes, are free, and well again only with a quarter more than that, so that a disk that
 * hovers around the mark is reported once. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>

#define WATERMARK_PERCENT_DEFAULT 5
#define WATERMARK_PERCENT_MAX     90

struct watermark {
	bool low;
};

struct watermark_space {
	uint64_t free_bytes,
			free_inodes; /* for those without privilege; UINT64_MAX: without limit */
	double free_percent;         /* of the scarcer; 100 when the filesystem does not say */
};

void watermark_space(const struct statvfs *st, struct watermark_space *ret_space);

/* percent: the mark; 0 is never low. */
enum watermark_change { WATERMARK_AS_BEFORE, WATERMARK_LOW, WATERMARK_WELL };
enum watermark_change watermark_update(
		struct watermark *mark, unsigned percent, const struct watermark_space *space);
