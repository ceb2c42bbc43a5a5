#include "daemon/intake/spool/brake.h"

void brake_failed(struct brake *brake, int64_t now_us)
{
	/* Recordings that were under way when the brake was put on say nothing new. */
	if (++brake->failures < BRAKE_AFTER || (brake->pause_us > 0 && now_us < brake->until_us))
		return;
	brake->pause_us = brake->pause_us == 0 ? BRAKE_FIRST_US : 2 * brake->pause_us;
	if (brake->pause_us > BRAKE_MAX_US)
		brake->pause_us = BRAKE_MAX_US;
	brake->until_us = now_us + brake->pause_us;
}

void brake_succeeded(struct brake *brake)
{
	*brake = (struct brake){0};
}

bool brake_allows(const struct brake *brake, size_t under_way, int64_t now_us)
{
	return brake->pause_us == 0 || (now_us >= brake->until_us && under_way == 0);
}
