#include "daemon/intake/spool/trouble.h"

unsigned trouble_hit(struct trouble *trouble, int64_t now_us)
{
	unsigned count = ++trouble->count;

	if (trouble->ever && now_us - trouble->told_us < TROUBLE_REPEAT_US)
		return 0;
	*trouble = (struct trouble){.told = true, .ever = true, .told_us = now_us};
	return count;
}

bool trouble_over(struct trouble *trouble)
{
	bool told = trouble->told;

	trouble->told = false;
	trouble->count = 0;
	return told;
}
