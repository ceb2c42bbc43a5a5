/* The time of a vault: the clock of the machine, but never earlier than what the vault has seen. A
 * recording sealed while the clock is behind would otherwise be due as soon as it is put right. */
#pragma once

#include "base/clock.h"

struct vault_clock {
	struct clock clock;
	int64_t latest_us; /* the latest time this vault has seen */
};

/* The time for what is sealed now. */
int64_t vault_clock_now_us(struct vault_clock *clock);

/* By how much the machine's clock is behind what the vault has seen; 0 when it is not. */
int64_t vault_clock_behind_us(const struct vault_clock *clock);
