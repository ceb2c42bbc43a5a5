#include "tests/unit/keeper/vault/clock_world.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/keeper/vault/expiry.h"
#include "daemon/keeper/vault/vault_clock.h"
#include "storage/tables/catalog_times.h"
#include "storage/tables/db_internal.h"

#define RECORDINGS_MAX 256
#define STEPS          40
#define HOUR_US        (3600 * US_PER_S)
#define STORE_LAG_US   (600 * US_PER_S) /* what a crash may cost the count */
#define SLACK_US       (2 * US_PER_S)
#define DUE_MAX        64

struct known_recording {
	int64_t id, group;
	struct recording_row truth; /* its times */
	int64_t late_us;            /* by how much later it may pass for sealed */
	int64_t lost_us; /* what the count had lost when the time was last known before it */
	unsigned boot;
	bool interrupted; /* late by all that passes until the time is known */
	bool timed;       /* the time was known in its boot, or is since */
	bool gone;
};

struct world {
	struct db *db;
	enum clock_mutant mutant;
	uint64_t random;
	int64_t true_us, wrong_us;
	int64_t boot_began_us; /* what the boot clock counts from */
	int64_t boot_fault_us; /* of MUTANT_STANDS_STILL */
	bool synchronised;
	unsigned boot;
	int64_t lost_us, lost_known_us;
	struct vault_clock clock;
	struct audit_log audit;
	struct known_recording recording[RECORDINGS_MAX];
	size_t n;
	struct clock_figures *figures;
	enum clock_verdict verdict;
};

/* splitmix64, so that a seed says it all. */
static uint64_t world_random(struct world *w)
{
	uint64_t z = (w->random += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static int64_t world_below(struct world *w, int64_t bound)
{
	return (int64_t)(world_random(w) % (uint64_t)bound);
}

static int64_t world_wall(void *context)
{
	const struct world *w = context;

	return w->true_us + w->wrong_us;
}

static int64_t world_boot(void *context)
{
	struct world *w = context;

	if (w->mutant == MUTANT_COUNTS_WITH_WALL)
		return world_wall(context);
	return w->true_us - w->boot_began_us - w->boot_fault_us;
}

static int world_synchronised(void *context)
{
	const struct world *w = context;

	return w->mutant == MUTANT_NEVER_LEARNS    ? 0
	       : w->mutant == MUTANT_BELIEVES_WALL ? 1
						   : w->synchronised;
}

static void must(int r)
{
	if (r < 0) {
		fprintf(stderr, "the database fails: %d\n", r);
		abort();
	}
}

static void world_connect(struct world *w)
{
	struct clock_machine machine = {.wall = {world_wall, w},
			.boot = {world_boot, w},
			.synchronised = world_synchronised,
			.context = w};
	unsigned boot = w->mutant == MUTANT_COUNTS_WITH_WALL ? 0 : w->boot;

	memcpy(machine.boot_id, &boot, sizeof(boot));
	vault_clock_connect(&w->clock, &machine);
	w->clock.stride = 2;
	w->audit = (struct audit_log){w->db, w->clock.told};
}

/* A clock of 1970 to 2100, often near the true one. */
static int64_t world_wrong_us(struct world *w)
{
	switch (world_below(w, 4)) {
	case 0:
		return 0;
	case 1:
		return world_below(w, 4 * US_PER_DAY) - 2 * US_PER_DAY;
	default:
		return world_below(w, INT64_C(130) * 365 * US_PER_DAY) - w->true_us;
	}
}

/* The true time is known from now on, and what was sealed in this boot is exact. */
static void world_know(struct world *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct known_recording *k = &w->recording[i];
		if (k->timed)
			continue;
		k->timed = true;
		if (k->interrupted)
			k->late_us += w->true_us - k->truth.sealed_us;
		if (k->boot != w->boot)
			k->late_us += w->lost_us - k->lost_us;
	}
	w->lost_known_us = w->lost_us;
}

static void world_destroy(struct world *w, struct known_recording *k)
{
	k->gone = true;
	w->figures->destroyed++;
	if (w->true_us + SLACK_US < k->truth.expires_us)
		w->verdict = VERDICT_EARLY;
	must(catalog_recording_bury(w->db, k->id, RECORDING_EXPIRED, w->true_us, 1));
}

static void world_expire(struct world *w)
{
	struct due_group due[DUE_MAX];
	size_t n = DUE_MAX;

	while (n == DUE_MAX) {
		struct db_transaction transaction = {0};
		must(db_transaction_begin(&transaction, w->db));
		must(catalog_group_due(w->db, vault_clock_counted_us(&w->clock), due, DUE_MAX, &n));
		for (size_t i = 0; i < n; i++) {
			for (size_t k = 0; k < w->n; k++) {
				if (w->recording[k].group == due[i].group && !w->recording[k].gone)
					world_destroy(w, &w->recording[k]);
			}
			must(catalog_group_drop(w->db, due[i].group));
		}
		must(db_transaction_commit(&transaction));
	}
}

/* Some ticks of the keeper: one at least, and mostly enough for all that is to be put right. */
static void world_tick(struct world *w)
{
	struct notices nobody = {.tell = NULL};

	do {
		must(vault_clock_look(&w->clock, w->db, &nobody));
		world_expire(w);
	} while (w->clock.setting.active && world_below(w, 8));
	if (w->clock.row.known && !w->clock.setting.active && w->synchronised)
		world_know(w);
}

/* The keeper ends while recordings are put right whose time was ahead: the rest counts as sealed when the time
 * is known next. */
static void world_interrupt(struct world *w)
{
	for (size_t i = 0; i < w->n && w->clock.setting.active && w->clock.setting.set; i++) {
		if (!w->recording[i].timed)
			w->recording[i].interrupted = true;
	}
}

static void world_seal(struct world *w)
{
	static const struct period keeps[] = {{0, US_PER_DAY}, {0, 30 * US_PER_DAY}, {1, 0},
			{12, 0}, {60, 0}, {0, 3600 * US_PER_S}};
	if (w->n == RECORDINGS_MAX)
		return;
	struct known_recording *k = &w->recording[w->n++];
	struct recording_row row = {.account = 1 + world_below(w, 2),
			.state = RECORDING_SEALED,
			.class = "c",
			.format = "f",
			.keep = keeps[world_below(w, ELEMENTSOF(keeps))],
			.keep_from = world_below(w, 3) == 0 ? KEEP_FROM_RECORDED
							    : KEEP_FROM_SEALED};
	uint8_t source[CATALOG_LOOKUP_BYTES];
	int64_t bucket, due_us;
	bool created;

	for (size_t i = 0; i < sizeof(source); i++)
		source[i] = (uint8_t)world_random(w);
	memcpy(row.ulid, source, sizeof(row.ulid));
	/* A name tells the true time; so does nothing else. */
	row.recorded_us = w->true_us - world_below(w, 800 * US_PER_DAY);
	vault_clock_seal(&w->clock, &row);
	if (w->mutant == MUTANT_NEVER_PUTS_RIGHT)
		row.sealed_clock = SEALED_CLOCK_KNOWN;
	expiry_set(&row);
	expiry_place(&row, &bucket, &due_us);
	struct db_transaction transaction = {0};
	must(db_transaction_begin(&transaction, w->db));
	must(catalog_group_for(w->db, row.account, bucket, due_us, &row.group, &created));
	must(catalog_recording_add(w->db, &row, source));
	must(vault_clock_store(&w->clock, w->db));
	must(db_transaction_commit(&transaction));
	*k = (struct known_recording){.id = row.id,
			.group = row.group,
			.truth = row,
			.lost_us = w->lost_known_us,
			.boot = w->boot,
			.timed = row.sealed_clock == SEALED_CLOCK_KNOWN};
	k->truth.sealed_us = w->true_us;
	expiry_set(&k->truth);
	w->figures->sealed++;
}

/* Time passes, with ticks in it. */
static void world_pass(struct world *w, int64_t us)
{
	for (int i = 0; i < 4; i++) {
		w->true_us += us / 4;
		world_tick(w);
	}
}

static void world_pass_some(struct world *w)
{
	static const int64_t most_us[] = {
			60 * US_PER_S, 5 * HOUR_US, 3 * US_PER_DAY, 50 * US_PER_DAY};

	world_pass(w, world_below(w, most_us[world_below(w, ELEMENTSOF(most_us))]));
}

static void world_restart(struct world *w)
{
	int64_t down_us = world_below(w, 3 * US_PER_DAY);

	world_interrupt(w);
	if (world_below(w, 2))
		vault_clock_close(&w->clock, w->db);
	w->true_us += down_us;
	if (w->mutant == MUTANT_STANDS_STILL)
		w->boot_fault_us += down_us;
	world_connect(w);
	must(vault_clock_open(&w->clock, w->db));
	world_tick(w);
}

static void world_reboot(struct world *w)
{
	int64_t off_us = world_below(w, world_below(w, 2) ? HOUR_US : 500 * US_PER_DAY);

	world_interrupt(w);
	if (world_below(w, 2))
		vault_clock_close(&w->clock, w->db);
	w->lost_us += off_us + STORE_LAG_US;
	w->true_us += off_us;
	w->boot_began_us = w->true_us - 20 * US_PER_S;
	w->boot_fault_us = 0;
	w->boot++;
	w->synchronised = false;
	w->wrong_us = world_wrong_us(w);
	w->figures->boots++;
	world_connect(w);
	must(vault_clock_open(&w->clock, w->db));
	world_tick(w);
}

static void world_synchronise(struct world *w)
{
	w->wrong_us = 0;
	w->synchronised = true;
	world_tick(w);
}

static void world_confirm(struct world *w)
{
	const struct audit_actor officer = {1, "looked"};
	int64_t retimed = 0;

	if (w->synchronised || w->mutant == MUTANT_NEVER_LEARNS)
		return;
	w->wrong_us = 0;
	must(vault_clock_confirm(&w->clock, &w->audit, &officer, 1, &retimed));
	w->figures->retimed += retimed;
	while (w->clock.setting.active) /* nobody turns it off at once */
		world_tick(w);
	world_know(w);
	world_tick(w);
}

/* The host pauses the machine: both clocks stand still, and the kernel knows nothing of it. Where the time was
 * known it is known again soon; until then all that is sealed is timed wrongly. */
static void world_pause(struct world *w)
{
	int64_t paused_us = world_below(w, 40 * US_PER_DAY);
	bool was_synchronised = w->synchronised, known = was_synchronised || w->clock.row.known;

	if (was_synchronised)
		world_pass(w, HOUR_US); /* so that what is older is settled, or nearly */
	w->true_us += paused_us;
	w->boot_began_us += paused_us;
	w->wrong_us -= paused_us;
	w->lost_us += paused_us;
	for (size_t i = 0; i < w->n; i++) { /* they share groups with what comes after the pause */
		if (w->recording[i].boot == w->boot)
			w->recording[i].late_us += paused_us;
	}
	if (!known)
		return;
	world_expire(w);
	world_seal(w);
	w->recording[w->n - 1].late_us += HOUR_US;
	w->true_us += world_below(w, 600 * US_PER_S);
	w->wrong_us = 0;
	if (was_synchronised)
		world_tick(w);
	else
		world_confirm(w);
}

/* Somebody sets it by hand: the kernel then says that it is not synchronised. */
static void world_set_clock(struct world *w)
{
	w->synchronised = false;
	w->wrong_us = world_wrong_us(w);
	world_tick(w);
}

static void world_step(struct world *w)
{
	switch (world_below(w, 12)) {
	case 0:
	case 1:
		world_reboot(w);
		break;
	case 2:
		world_restart(w);
		break;
	case 3:
		world_synchronise(w);
		break;
	case 4:
		if (world_below(w, 3) == 0)
			world_confirm(w);
		break;
	case 5:
		world_set_clock(w);
		break;
	case 6:
		if (world_below(w, 3) == 0)
			world_pause(w);
		break;
	case 7:
	case 8:
		world_pass_some(w);
		break;
	default:
		world_seal(w);
	}
}

static int64_t world_late_expiry_us(const struct known_recording *k, int64_t late_us)
{
	struct recording_row row = k->truth;

	row.sealed_us += late_us;
	expiry_set(&row);
	return row.expires_us;
}

/* When it must be gone: a day after it is due; and where one of its group may be late, with the last of
 * them. */
static int64_t world_limit_us(struct world *w, const struct known_recording *of)
{
	int64_t late_us = 0, last_us = of->truth.expires_us;

	for (size_t i = 0; i < w->n; i++) {
		const struct known_recording *k = &w->recording[i];
		if (k->group == of->group && k->late_us > late_us)
			late_us = k->late_us;
	}
	for (size_t i = 0; i < w->n && late_us > 0; i++) {
		const struct known_recording *k = &w->recording[i];
		if (k->group == of->group && world_late_expiry_us(k, late_us) > last_us)
			last_us = world_late_expiry_us(k, late_us);
	}
	return last_us + US_PER_DAY + SLACK_US;
}

/* The clock is right and stays so: everything goes in time. */
static void world_end(struct world *w)
{
	do
		world_synchronise(w);
	while (w->clock.setting.active);
	for (size_t i = 0; i < w->n; i++) {
		struct known_recording *next = NULL;
		for (size_t k = 0; k < w->n; k++) {
			struct known_recording *one = &w->recording[k];
			if (!one->gone &&
					(!next || world_limit_us(w, one) < world_limit_us(w, next)))
				next = one;
		}
		if (!next)
			return;
		if (w->true_us < world_limit_us(w, next))
			w->true_us = world_limit_us(w, next);
		world_tick(w);
		if (!next->gone) {
			w->verdict = w->verdict == VERDICT_EARLY ? VERDICT_EARLY : VERDICT_LATE;
			return;
		}
	}
}

static void world_clear(struct db *db)
{
	struct db_transaction transaction = {0};
	must(db_transaction_begin(&transaction, db));
	must(db_run(db, "DELETE FROM recording", ""));
	must(db_run(db, "DELETE FROM expiry_group", ""));
	must(db_run(db, "DELETE FROM source", ""));
	must(db_run(db, "DELETE FROM removal", ""));
	must(db_run(db, "DELETE FROM clock", ""));
	must(db_transaction_commit(&transaction));
}

enum clock_verdict clock_world_run(struct db *db, uint64_t seed, enum clock_mutant mutant,
		struct clock_figures *figures)
{
	_cleanup_free_ struct world *w = calloc(1, sizeof(*w));

	assert(w);
	*w = (struct world){.db = db, .mutant = mutant, .random = seed, .figures = figures};
	world_clear(db);
	w->true_us = VAULT_CLOCK_EARLIEST_US + world_below(w, 5 * 365 * US_PER_DAY);
	w->boot_began_us = w->true_us - 30 * US_PER_S;
	w->wrong_us = world_wrong_us(w);
	world_connect(w);
	struct db_transaction transaction = {0};
	must(db_transaction_begin(&transaction, db));
	must(vault_clock_create(&w->clock, db));
	must(db_transaction_commit(&transaction));
	for (int i = 0; i < STEPS && w->verdict == VERDICT_GOOD; i++)
		world_step(w);
	if (w->verdict == VERDICT_GOOD)
		world_end(w);
	return w->verdict;
}
