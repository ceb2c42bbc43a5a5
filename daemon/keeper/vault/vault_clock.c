#include "daemon/keeper/vault/vault_clock.h"

int64_t vault_clock_now_us(struct vault_clock *clock)
{
	int64_t now_us = clock_now_us(&clock->clock);

	if (now_us > clock->latest_us)
		clock->latest_us = now_us;
	return clock->latest_us;
}

int64_t vault_clock_behind_us(const struct vault_clock *clock)
{
	int64_t behind_us = clock->latest_us - clock_now_us(&clock->clock);

	return behind_us > 0 ? behind_us : 0;
}
