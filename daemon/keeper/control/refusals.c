#include "daemon/keeper/control/refusals.h"

#include <stddef.h>

static bool window_is_over(const struct refusals_caller *caller, int64_t now_us)
{
	return caller->since_us == 0 || now_us < caller->since_us ||
	       now_us - caller->since_us >= REFUSALS_WINDOW_US;
}

static struct refusals_caller *callers_find(struct refusals *refusals, uid_t uid)
{
	for (size_t i = 0; i < REFUSALS_CALLERS; i++) {
		struct refusals_caller *caller = &refusals->caller[i];
		if (caller->since_us != 0 && caller->uid == uid)
			return caller;
	}
	return NULL;
}

/* How gladly a place is given to a newcomer; 0: not at all. */
static int caller_yields(const struct refusals_caller *caller, bool has_role, int64_t now_us)
{
	if (caller->since_us == 0)
		return 3;
	if (window_is_over(caller, now_us))
		return 2;
	return has_role && !caller->has_role;
}

/* Who gives way to a newcomer; NULL: nobody. */
static struct refusals_caller *callers_weakest(
		struct refusals *refusals, bool has_role, int64_t now_us)
{
	struct refusals_caller *weakest = NULL;
	int most = 0;

	for (size_t i = 0; i < REFUSALS_CALLERS; i++) {
		int yields = caller_yields(&refusals->caller[i], has_role, now_us);
		if (yields > most) {
			weakest = &refusals->caller[i];
			most = yields;
		}
	}
	return weakest;
}

static struct refusals_caller *callers_take(
		struct refusals *refusals, uid_t uid, bool has_role, int64_t now_us)
{
	struct refusals_caller *caller = callers_find(refusals, uid);

	if (caller)
		return caller;
	caller = callers_weakest(refusals, has_role, now_us);
	if (!caller)
		return &refusals->others;
	refusals->others.skipped += caller->skipped; /* not forgotten */
	*caller = (struct refusals_caller){.uid = uid, .has_role = has_role};
	return caller;
}

bool refusals_admit(struct refusals *refusals, uid_t uid, bool has_role, int64_t now_us,
		unsigned *ret_skipped)
{
	struct refusals_caller *caller = callers_take(refusals, uid, has_role, now_us);

	if (window_is_over(caller, now_us)) {
		caller->since_us = now_us;
		caller->recorded = 0;
	}
	if (caller->recorded >= REFUSALS_PER_WINDOW) {
		caller->skipped++;
		return false;
	}
	caller->recorded++;
	*ret_skipped = caller->skipped;
	caller->skipped = 0;
	return true;
}
