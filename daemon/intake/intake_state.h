/* The parts of a running intake, as intake.c and look.c share them. */
#pragma once

#include "daemon/intake/intake.h"
#include "daemon/intake/spool/spool.h"
#include "daemon/intake/work/job.h"

struct intake {
	uv_loop_t *loop;
	const struct config *config;
	const struct clock *clock;
	void (*stopped)(void *context);
	void *context;

	struct seen *told;   /* refusals in the journal */
	struct seen *parked; /* states of files that the keeper does not want */
	struct watch *watch;
	struct probe_client *probe;
	struct keeper_link *link;
	struct jobs *jobs;
	struct spool_tools tools;
	struct spool *spools;
	size_t next_spool; /* whose turn it is */

	uv_idle_t turn;          /* runs while there is work at hand */
	uv_timer_t due;          /* the next candidate's time */
	uv_timer_t rescan;       /* of every spool */
	uv_timer_t housekeeping; /* roots, report */
	uv_timer_t grace;        /* of a stop */
	uv_signal_t lease_break;

	struct trouble keeper;
	bool connected, stopping, shut_down;
	unsigned ticks;
};

/* Has the next turn of the loop look at what can be scanned and taken. */
void intake_wake(struct intake *intake);
