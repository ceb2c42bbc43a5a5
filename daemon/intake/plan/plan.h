/* What would become of every file of a spool, if its intake began now and nothing changed: for
 * `recsealctl spool plan`. It asks the very functions that the intake asks (scan.h, judge.h), and
 * changes nothing: files are opened for reading only, and each lease, by which a writer shows, is
 * given back at once.
 *
 * It answers for the time when everything has settled: what was written a moment ago counts as
 * finished, and a sidecar that is missing now as missing. What the keeper decides is not in it: a
 * recording of an account that was shredded or closed goes to the quarantine. */
#pragma once

#include "base/clock.h"
#include "base/reason.h"
#include "daemon/common/config/config.h"
#include "daemon/intake/plan/fate.h"

/* "taken". */
const char *plan_fate_name(enum plan_fate fate);

struct plan_setup {
	const struct config *config; /* with the profiles */
	const struct config_spool *spool;
	const struct clock *clock;
	struct plan_sink sink;
};

/* Hands every file to the sink, in no order; sidecars and markers come last. SIGIO must be ignored:
 * it comes when somebody opens a file for writing while its lease is held. -RE_CONFIG, -errno, with
 * a reason. */
int plan_make(const struct plan_setup *setup, struct reason *reason);
