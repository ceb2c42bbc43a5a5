#include "daemon/keeper/vault/vault_clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/error.h"
#include "daemon/keeper/vault/clock_retime.h"
#include "storage/tables/catalog_times.h"

/* Less than this is what clocks differ by anyway. */
#define SLACK_US US_PER_S
/* A machine that was off for longer is rarer than a wrong clock. */
#define OFF_MAX_US     (30 * US_PER_DAY)
#define STORE_US       (600 * US_PER_S)
#define SETTLE_US      (3600 * US_PER_S)
#define STRIDE_DEFAULT 2000 /* recordings: some tens of milliseconds */

static int64_t clock_wall_us(const struct vault_clock *clock)
{
	return clock_now_us(&clock->machine.wall);
}

static bool clock_is_sane(int64_t wall_us)
{
	return wall_us >= VAULT_CLOCK_EARLIEST_US && wall_us < VAULT_CLOCK_LATEST_US;
}

int64_t vault_clock_counted_us(const struct vault_clock *clock)
{
	int64_t since_us = clock_now_us(&clock->machine.boot) - clock->row.boot_us;

	return clock->row.counted_us + (since_us > 0 ? since_us : 0);
}

int64_t vault_clock_told_us(const struct vault_clock *clock)
{
	int64_t counted_us = vault_clock_counted_us(clock), wall_us = clock_wall_us(clock);

	if (clock->row.known || !clock_is_sane(wall_us))
		return counted_us;
	/* Nothing was ever known: the clock of today is as good as that of the first start. */
	if (!clock->row.ever_known)
		return wall_us;
	return wall_us >= counted_us && wall_us - counted_us <= OFF_MAX_US ? wall_us : counted_us;
}

static int64_t clock_told(void *context)
{
	return vault_clock_told_us(context);
}

static int64_t clock_counted(void *context)
{
	return vault_clock_counted_us(context);
}

/* The count as it is now, for the table. */
static struct clock_row clock_row_now(const struct vault_clock *clock)
{
	struct clock_row row = clock->row;

	row.counted_us = vault_clock_counted_us(clock);
	row.boot_us = clock_now_us(&clock->machine.boot);
	memcpy(row.boot_id, clock->machine.boot_id, sizeof(row.boot_id));
	return row;
}

void vault_clock_connect(struct vault_clock *clock, const struct clock_machine *machine)
{
	*clock = (struct vault_clock){
			.told = {clock_told, clock},
			.counted = {clock_counted, clock},
			.machine = *machine,
			.stride = STRIDE_DEFAULT,
	};
}

int vault_clock_create(struct vault_clock *clock, struct db *db)
{
	int64_t wall_us = clock_wall_us(clock);
	clock->row.counted_us = clock_is_sane(wall_us) ? wall_us : VAULT_CLOCK_EARLIEST_US;
	clock->row.boot_us = clock_now_us(&clock->machine.boot);
	return vault_clock_store(clock, db);
}

static int clock_find_leftover(struct vault_clock *clock, struct db *db)
{
	struct recording_row row = {0};
	int r = catalog_times_next_unknown(db, 0, 0, &row);

	catalog_recording_clear(&row);
	clock->leftover = r == 0;
	return r == -ENOENT ? 0 : r;
}

/* A count that this boot has begun goes on, for as long as the keeper was down too. After another
 * boot, or on a machine that was put back to an earlier moment of this one, it begins where it
 * ended. */
int vault_clock_open(struct vault_clock *clock, struct db *db)
{
	int64_t boot_us = clock_now_us(&clock->machine.boot);
	int r = clock_table_get(db, &clock->row);

	if (r == 0)
		r = catalog_times_newest(db, &clock->settled_id);
	if (r < 0)
		return r == -ENOENT ? -RE_CORRUPT : r;
	clock->settling_id = clock->settled_id;
	clock->settling_boot_us = boot_us;
	r = clock_find_leftover(clock, db);
	if (r < 0)
		return r;
	if (memcmp(clock->row.boot_id, clock->machine.boot_id, sizeof(clock->row.boot_id)) != 0 ||
			boot_us < clock->row.boot_us) {
		clock->row.known = false;
		clock->row.boot_us = boot_us;
		/* The next look stores it: from then on this boot's count is durable. */
		clock->stored_boot_us = boot_us - STORE_US;
	}
	return 0;
}

int vault_clock_store(struct vault_clock *clock, struct db *db)
{
	struct clock_row row = clock_row_now(clock);
	int r = clock_table_put(db, &row);

	if (r == 0)
		clock->stored_boot_us = row.boot_us;
	return r;
}

void vault_clock_seal(const struct vault_clock *clock, struct recording_row *row)
{
	bool to_be_set = clock->setting.active && !clock->setting.set;

	row->counted_us = vault_clock_counted_us(clock);
	row->sealed_us = vault_clock_told_us(clock);
	row->sealed_clock =
			clock->row.known && !to_be_set ? SEALED_CLOCK_KNOWN : SEALED_CLOCK_UNKNOWN;
}

bool vault_clock_reseal(
		const struct vault_clock *clock, struct recording_row *row, int64_t jumped_us)
{
	int64_t shift_us = clock->jumped_us - jumped_us, now_us = vault_clock_counted_us(clock);

	if (shift_us == 0)
		return false;
	/* Both rest on the count of then, or say no more than it does. */
	row->counted_us += shift_us;
	row->sealed_us = row->counted_us < now_us ? row->counted_us : now_us;
	row->sealed_clock = clock->row.known ? SEALED_CLOCK_SET : SEALED_CLOCK_UNKNOWN;
	return true;
}

/* The true time is known. */
static void setting_begin(struct vault_clock *clock, int64_t truth_us)
{
	struct clock_retiming retiming = {
			.shift_us = truth_us - vault_clock_counted_us(clock),
			.settled_id = INT64_MAX,
			.before_id = INT64_MAX,
	};

	/* 4. of the header. */
	if (clock->row.known && retiming.shift_us > SLACK_US)
		retiming.settled_id = clock->settled_id;
	clock->setting = (struct vault_clock_setting){.active = true,
			.truth_us = truth_us,
			.boot_us = clock_now_us(&clock->machine.boot),
			.retiming = retiming};
}

/* The next stride, in the caller's transaction; once that is durable, setting_go_on() is told. 1:
 * there is more. *ret_row is the clock's new row, when the count is to be set now. */
static int setting_stride(struct vault_clock *clock, struct db *db, struct clock_row *ret_row,
		int64_t *retimed)
{
	struct vault_clock_setting *setting = &clock->setting;
	struct clock_row row = clock_row_now(clock);

	setting->retiming.truth_us = setting->truth_us + row.boot_us - setting->boot_us;
	int more = clock_retime_stride(db, &setting->retiming, clock->stride, retimed);
	if (more < 0 || setting->set || (more > 0 && setting->retiming.shift_us >= 0))
		return more;
	row.counted_us = setting->retiming.truth_us;
	row.known = row.ever_known = true;
	int r = clock_table_put(db, &row);
	if (r == 0)
		*ret_row = row;
	return r < 0 ? r : more;
}

/* What is sealed by now has the right time. */
static int clock_take(struct vault_clock *clock, struct db *db, const struct clock_row *row)
{
	/* Before the count is the new one. */
	clock->jumped_us += row->counted_us - vault_clock_counted_us(clock);
	clock->row = *row;
	clock->stored_boot_us = clock->settling_boot_us = row->boot_us;
	int r = catalog_times_newest(db, &clock->settling_id);
	clock->settled_id = clock->settling_id;
	return r;
}

/* After the commit of a stride, or its failure. */
static int setting_go_on(
		struct vault_clock *clock, struct db *db, int result, const struct clock_row *row)
{
	struct vault_clock_setting *setting = &clock->setting;

	if (result < 0) { /* from the beginning once more: what is right stays so */
		setting->retiming.before_id = INT64_MAX;
		setting->retiming.known_done = false;
		return result;
	}
	bool set_now = !setting->set && (result == 0 || setting->retiming.shift_us < 0);
	setting->set |= set_now;
	setting->active = result > 0;
	clock->leftover &= result > 0;
	return set_now ? clock_take(clock, db, row) : 0;
}

static int clock_set_on(struct vault_clock *clock, struct db *db, int64_t *retimed)
{
	struct clock_row row = clock->row;
	_cleanup_transaction_ struct db_transaction transaction = {0};
	/* What is due waits for the right time, and erasing makes room. */
	int more = 0, r = db_transaction_begin_for(&transaction, db, DB_ROOM_ERASING);

	if (r == 0)
		more = r = setting_stride(clock, db, &row, retimed);
	if (r >= 0)
		r = db_transaction_commit(&transaction);
	db_transaction_rollback(&transaction);
	return setting_go_on(clock, db, r < 0 ? r : more, &row);
}

static int clock_store_alone(struct vault_clock *clock, struct db *db)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	/* On a full disk expiry goes on, and so does the count that it goes by. */
	int r = db_transaction_begin_for(&transaction, db, DB_ROOM_ERASING);

	if (r == 0)
		r = vault_clock_store(clock, db);
	return r < 0 ? r : db_transaction_commit(&transaction);
}

void vault_clock_close(struct vault_clock *clock, struct db *db)
{
	(void)clock_store_alone(clock, db); /* else the count begins a little earlier next time */
}

static int clock_settle(struct vault_clock *clock, struct db *db)
{
	int64_t boot_us = clock_now_us(&clock->machine.boot);

	if (!clock->synchronised || boot_us - clock->settling_boot_us < SETTLE_US)
		return 0;
	clock->settled_id = clock->settling_id;
	clock->settling_boot_us = boot_us;
	return catalog_times_newest(db, &clock->settling_id);
}

/* A second or less apart: the count follows, and nothing is written for it. */
static bool clock_follows(struct vault_clock *clock, int64_t wall_us)
{
	if (!clock->row.known || !clock->synchronised ||
			llabs(wall_us - vault_clock_counted_us(clock)) > SLACK_US)
		return false;
	clock->row.boot_us = clock_now_us(&clock->machine.boot);
	clock->row.counted_us = wall_us;
	return true;
}

static int clock_look(struct vault_clock *clock, struct db *db, int64_t *ret_retimed)
{
	int64_t wall_us = clock_wall_us(clock);
	bool synchronised = clock->machine.synchronised && clock_is_sane(wall_us) &&
			    clock->machine.synchronised(clock->machine.context) > 0;
	int r = clock_settle(clock, db);

	if (synchronised && !clock->setting.active &&
			(!clock_follows(clock, wall_us) || clock->leftover))
		setting_begin(clock, wall_us);
	if (r == 0 && clock->setting.active)
		r = clock_set_on(clock, db, ret_retimed);
	if (r == 0)
		clock->synchronised = synchronised;
	if (r == 0 && clock_now_us(&clock->machine.boot) - clock->stored_boot_us >= STORE_US)
		r = clock_store_alone(clock, db);
	return r;
}

static void clock_tell(struct vault_clock *clock, const struct notices *notices, int64_t retimed)
{
	char text[VAULT_CLOCK_TEXT_BYTES];
	const char *advice;
	bool fine = vault_clock_describe(clock, text, &advice);

	if (retimed > 0)
		notices_tell(notices, LOG_NOTICE, EVENT_CLOCK, NULL,
				"the time is known: the times of %" PRId64
				" recording(s) that were sealed under a doubtful clock are "
				"put right",
				retimed);
	if (!fine && !clock->doubted)
		notices_tell(notices, LOG_ERR, EVENT_CLOCK, NULL, "%s. To do: %s", text, advice);
	if (fine && clock->doubted)
		notices_tell(notices, LOG_NOTICE, EVENT_CLOCK, NULL, "the clock is fine again: %s",
				text);
	clock->doubted = !fine;
}

int vault_clock_look(struct vault_clock *clock, struct db *db, const struct notices *notices)
{
	int64_t retimed = 0;
	int r = clock_look(clock, db, &retimed);

	clock_tell(clock, notices, retimed);
	return r;
}

int vault_clock_confirm(struct vault_clock *clock, const struct audit_log *audit,
		const struct audit_actor *actor, uint64_t epoch, int64_t *ret_retimed)
{
	struct clock_row row = clock->row;
	char told[RFC3339_BYTES];
	int64_t wall_us = clock_wall_us(clock);

	if (!clock_is_sane(wall_us))
		return -ERANGE;
	clock_format_rfc3339(wall_us, told);
	setting_begin(clock, wall_us);
	*ret_retimed = 0;
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int more = 0, r = db_transaction_begin(&transaction, audit->db);
	if (r == 0)
		more = r = setting_stride(clock, audit->db, &row, ret_retimed);
	if (r >= 0)
		r = audit_log_append(audit, actor, "confirm clock", told, epoch);
	if (r == 0)
		r = db_transaction_commit(&transaction);
	if (r < 0) {
		clock->setting.active = false; /* not confirmed */
		return r;
	}
	return setting_go_on(clock, audit->db, more, &row);
}
