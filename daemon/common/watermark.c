#include "daemon/common/watermark.h"

static double percent_of(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 100.0 : 100.0 * (double)part / (double)whole;
}

void watermark_space(const struct statvfs *st, struct watermark_space *ret_space)
{
	double bytes = percent_of(st->f_bavail, st->f_blocks);
	double inodes = percent_of(st->f_favail, st->f_files); /* btrfs counts none */

	*ret_space = (struct watermark_space){
			.free_bytes = st->f_blocks ? (uint64_t)st->f_bavail * st->f_frsize
						   : UINT64_MAX,
			.free_inodes = st->f_files ? st->f_favail : UINT64_MAX,
			.free_percent = bytes < inodes ? bytes : inodes,
	};
}

enum watermark_change watermark_update(
		struct watermark *mark, unsigned percent, const struct watermark_space *space)
{
	double well = percent + percent / 4.0;

	/* Near the top, half of what is left above the mark. */
	if (well > (100.0 + percent) / 2)
		well = (100.0 + percent) / 2;
	if (!mark->low && space->free_percent < percent) {
		mark->low = true;
		return WATERMARK_LOW;
	}
	if (mark->low && space->free_percent >= well) {
		mark->low = false;
		return WATERMARK_WELL;
	}
	return WATERMARK_AS_BEFORE;
}
