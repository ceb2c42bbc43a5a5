/* The time of a vault. A machine's clock is not to be believed: it may boot in 1970 or in 2100,
 * and what is destroyed on its word is gone. So a vault counts the time itself.
 *
 *     counted time   A lower bound of the true time. It is durable. It goes on with the boot
 *                    clock, while the keeper runs and, within one boot, while the keeper is down.
 *                    Across a boot it stands still: nobody knows for how long the machine was
 *                    off.
 *     known          The machine's clock is synchronised (clock_machine.h), or an officer has
 *                    confirmed it. Only this sets the counted time to the machine's clock,
 *                    forwards or back.
 *     told time      The best guess, for what people read: the tag of an object, the audit log.
 *                    The counted time, once the time was known in this boot; before that the
 *                    machine's clock, as long as it can be right.
 *
 *   1. Whatever destroys, or has a deadline, goes by the counted time. So nothing is destroyed
 *      early by any clock that is not known to be right, however often the machine is booted.
 *   2. A recording that is sealed while the time is not known carries the told time as a guess,
 *      and its expiry group the counted time (expiry_place()). When the time becomes known, both
 *      are put right, in strides (setting, below), by as much as the counted time was wrong. This
 *      is exact for what was sealed since the last boot. For earlier boots it is the latest that
 *      can be true: such a recording may live longer, by the time that the machine was off since,
 *      and never shorter. If the keeper ends in the middle of it while the count goes back, the
 *      rest counts as sealed when the time is known next.
 *   3. What claims to have been sealed later than a known time was sealed under a false one: it
 *      counts as sealed now. So a lying source of time does its damage once, until the time is
 *      right.
 *   4. A clock that is known and then turns out to be behind, within one boot, was behind before:
 *      its host paused the machine. What was sealed since the last hour that was certainly right
 *      counts as sealed after the pause. (If the machine is booted before anybody knows, this
 *      cannot be told, and what was sealed after the pause loses it.) */
#pragma once

#include <stdbool.h>

#include "daemon/common/notice.h"
#include "daemon/keeper/vault/audit_log.h"
#include "daemon/keeper/vault/clock_machine.h"
#include "daemon/keeper/vault/clock_retime.h"
#include "storage/tables/catalog.h"

/* Nobody ran this program before it was written, nor will in 2200. */
#define VAULT_CLOCK_EARLIEST_US (INT64_C(1767225600) * US_PER_S) /* 1 January 2026 */
#define VAULT_CLOCK_LATEST_US   (INT64_C(7258118400) * US_PER_S) /* 1 January 2200 */

struct vault_clock {
	struct clock told;    /* the told time */
	struct clock counted; /* the counted time */
	struct clock_machine machine;
	struct clock_row row;   /* the count: row.counted_us when the boot clock said row.boot_us */
	int64_t stored_boot_us; /* when the row was last stored */
	int64_t jumped_us;      /* by how much the count was set in all, since the start */
	bool synchronised;      /* at the last look */
	bool doubted;           /* told so */
	/* The newest recordings an hour or two of synchronised time ago, and at the last full
	 * hour (4.). */
	int64_t settled_id, settling_id, settling_boot_us;
	/* While recordings are put right, in strides. A count that goes ahead is set after the
	 * last of them, one that goes back before the first: so that none is due too early in
	 * between. */
	struct vault_clock_setting {
		bool active;
		bool set; /* the count is, already */
		int64_t truth_us, boot_us;
		struct clock_retiming retiming;
	} setting;
	size_t stride; /* recordings in one transaction */
	bool leftover; /* a crash has left some that were not put right yet */
};

/* First of all. told and counted point to the clock itself, which must not move in memory. */
void vault_clock_connect(struct vault_clock *clock, const struct clock_machine *machine);

/* Of a new vault: begins to count at what the machine's clock says, as a guess. In the caller's
 * transaction. */
int vault_clock_create(struct vault_clock *clock, struct db *db);

/* Of a vault that exists. */
int vault_clock_open(struct vault_clock *clock, struct db *db);

/* Stores the count, as far as that goes. */
void vault_clock_close(struct vault_clock *clock, struct db *db);

int64_t vault_clock_counted_us(const struct vault_clock *clock);
int64_t vault_clock_told_us(const struct vault_clock *clock);

/* Sets sealed_us, sealed_clock and counted_us of a recording that is sealed now. */
void vault_clock_seal(const struct vault_clock *clock, struct recording_row *row);
/* Puts them right when the count was set since; jumped_us is the clock's of then. True: they
 * changed. */
bool vault_clock_reseal(
		const struct vault_clock *clock, struct recording_row *row, int64_t jumped_us);

/* To be called every second or so: takes the machine's clock if it is synchronised, and stores
 * the count from time to time, in transactions of its own. Tells when the machine's clock begins
 * to be doubtful, when that is over, and how many recordings were put right. */
int vault_clock_look(struct vault_clock *clock, struct db *db, const struct notices *notices);

/* An officer says that the machine's clock is right now. Audited; durable on return. -ERANGE when
 * no clock can be right that says so. */
int vault_clock_confirm(struct vault_clock *clock, const struct audit_log *audit,
		const struct audit_actor *actor, uint64_t epoch, int64_t *ret_retimed);

/* Stores the count, in the caller's transaction. */
int vault_clock_store(struct vault_clock *clock, struct db *db);

enum vault_clock_state {
	VAULT_CLOCK_SYNCHRONISED,
	VAULT_CLOCK_COUNTING, /* it was known in this boot, and the machine's clock still agrees */
	VAULT_CLOCK_CLOSE,    /* not known; less than half a day from the counted time */
	VAULT_CLOCK_AHEAD,    /* not known, or it was set since */
	VAULT_CLOCK_BEHIND,
};

/* What the clock guard makes of the machine's clock, and by how much that is ahead of the counted
 * time. */
enum vault_clock_state vault_clock_state(const struct vault_clock *clock, int64_t *ret_ahead_us);

/* The same in a sentence, and what to do; NULL when nothing is to be done. False when all is
 * well. */
#define VAULT_CLOCK_TEXT_BYTES 384
bool vault_clock_describe(const struct vault_clock *clock,
		char ret_text[static VAULT_CLOCK_TEXT_BYTES], const char **ret_advice);
