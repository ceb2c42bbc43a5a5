/* What a machine says of the time: its two clocks, and whether the first is known to be right.
 * Injected, so that tests own all of it. */
#pragma once

#include "base/clock.h"
#include "storage/tables/clock_table.h"

struct clock_machine {
	struct clock wall; /* CLOCK_REALTIME: anybody may have set it to anything */
	struct clock boot; /* CLOCK_BOOTTIME: since the boot, suspended or not; nobody can set it */
	uint8_t boot_id[CLOCK_BOOT_ID_BYTES];
	/* Whether the wall clock is synchronised with a source of time: 1, 0. NULL: never. */
	int (*synchronised)(void *context);
	void *context;
};

/* Of this machine. Synchronised means what the kernel says (adjtimex(2): STA_UNSYNC is clear, and
 * the state is not TIME_ERROR), as long as the kernel's clock is the one that this process reads.
 * The id of the boot is systemd's credential boot_id, or the kernel's file; where neither can be
 * read it is random, and every start of the keeper passes for a boot. */
void clock_machine_system(struct clock_machine *ret_machine);
