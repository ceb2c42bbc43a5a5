/* Retention: never early, all at once when due, and nothing twice. */
#include "tests/unit/support/faults.h"
#include "tests/unit/support/vault_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/erasure/retention.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/vault/expiry.h"
#include "daemon/keeper/vault/recordings.h"
#include "storage/tables/db_internal.h"

#define KEEP_US (30 * US_PER_DAY) /* of the default class */

static void test_buckets(void **state)
{
	const int64_t day = US_PER_DAY, hour = 3600 * US_PER_S;

	assert_int_equal(expiry_bucket(10 * day, 30 * day), 10);
	assert_int_equal(expiry_bucket(11 * day - 1, 30 * day), 10);
	assert_int_equal(expiry_bucket(11 * day, 365 * day), 11);
	assert_int_equal(expiry_bucket(11 * day - 1, 30 * day - 1), 11 * 24 - 1);
	assert_int_equal(expiry_bucket(5 * hour, day), 5);
	assert_int_equal(expiry_bucket(5 * hour, day - 1), 5 * 3600);
	assert_int_equal(expiry_bucket(5 * US_PER_S + 999999, US_PER_S), 5);
}

static size_t run(struct vault_fixture *vault, bool *ret_more)
{
	uint64_t before = vault_epoch(vault->vault);

	assert_int_equal(retention_run(&vault->vault->eraser, 100, ret_more, NULL), 0);
	return (size_t)(vault_epoch(vault->vault) - before);
}

static void test_never_early(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id first, last;
	struct recording_row row;
	bool more;

	vault->now_us = vault->now_us / US_PER_DAY * US_PER_DAY + 10;
	vault_fixture_seal(vault, "alice", "a", 1, 1, &first);
	vault->now_us += US_PER_DAY / 2; /* the same day: the same group */
	vault_fixture_seal(vault, "alice", "b", 1, 1, &last);
	vault->now_us += KEEP_US - 1;
	assert_int_equal(run(vault, &more), 0); /* the first is due, the last is not */
	assert_int_equal(vault_fixture_state(vault, first), RECORDING_SEALED);
	vault->now_us += 1;
	assert_int_equal(run(vault, &more), 1);
	assert_false(more);
	assert_int_equal(vault_fixture_state(vault, first), RECORDING_EXPIRED);
	vault_fixture_row(vault, last, &row);
	assert_int_equal(row.state, RECORDING_EXPIRED);
	assert_int_equal(row.destroyed_us, vault->now_us);
	assert_true(row.expires_us <= row.destroyed_us);
	catalog_recording_clear(&row);
	assert_int_equal(run(vault, &more), 0); /* once is enough */
}

static void test_many_groups_in_one_epoch(void **state)
{
	static const char *const names[] = {"ada", "bela", "cleo", NULL};
	struct vault_fixture *vault = *state;
	vault_fixture_id id[12], later;
	bool more;

	for (size_t i = 0; i < 12; i++) {
		vault_fixture_seal(vault, names[i % 4], "a", 1, 1, &id[i]);
		if (i % 4 == 3)
			vault->now_us += US_PER_DAY;
	}
	vault_fixture_seal(vault, "ada", "a", 1, 1, &later);
	vault->now_us += KEEP_US - 1;
	assert_int_equal(run(vault, &more), 1);
	assert_false(more);
	for (size_t i = 0; i < 12; i++)
		assert_int_equal(vault_fixture_state(vault, id[i]), RECORDING_EXPIRED);
	assert_int_equal(vault_fixture_state(vault, later), RECORDING_SEALED);
}

static void test_at_most_so_many_groups(void **state)
{
	struct vault_fixture *vault = *state;
	bool more = false;

	for (size_t i = 0; i < 5; i++) {
		vault_fixture_seal(vault, "ada", "a", 1, 1, NULL);
		vault->now_us += US_PER_DAY;
	}
	vault->now_us += KEEP_US;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(retention_run(&vault->vault->eraser, 2, &more, NULL), 0);
		assert_true(more);
	}
	assert_int_equal(retention_run(&vault->vault->eraser, 2, &more, NULL), 0);
	assert_false(more);
	assert_int_equal(vault_epoch(vault->vault), 1 + 3);
}

/* While the clock is behind, what is sealed loses no time, and what is due is still due. */
static void test_a_clock_that_goes_back(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id before, after;
	struct recording_row row;
	bool more;

	vault_fixture_seal(vault, "alice", "a", 1, 1, &before);
	vault->now_us += US_PER_DAY;
	vault->unsynchronised = true;
	vault->wrong_us = -40 * US_PER_DAY;
	vault_fixture_look(vault);
	assert_int_equal(run(vault, &more), 0);
	vault_fixture_seal(vault, "alice", "b", 1, 1, &after);
	vault_fixture_row(vault, after, &row);
	assert_int_equal(row.sealed_us, vault->now_us); /* its tag says so, too */
	catalog_recording_clear(&row);
	vault->now_us += KEEP_US - US_PER_DAY - 1;
	assert_int_equal(run(vault, &more), 0);
	vault->now_us += 1;
	assert_int_equal(run(vault, &more), 1);
	assert_int_equal(vault_fixture_state(vault, before), RECORDING_EXPIRED);
	/* Put right, it finds nothing that has been due for long. */
	vault->wrong_us = 0;
	vault->unsynchronised = false;
	vault_fixture_look(vault);
	assert_int_equal(run(vault, &more), 0);
	vault->now_us += US_PER_DAY - 1;
	assert_int_equal(run(vault, &more), 0);
	assert_int_equal(vault_fixture_state(vault, after), RECORDING_SEALED);
	vault->now_us += 1;
	assert_int_equal(run(vault, &more), 1);
	assert_int_equal(vault_fixture_state(vault, after), RECORDING_EXPIRED);
}

static int64_t count(struct vault_fixture *vault, const char *query)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;

	assert_int_equal(db_start(vault->vault->db, &q, query, ""), 0);
	assert_int_equal(db_next(vault->vault->db, q), 1);
	return sqlite3_column_int64(q, 0);
}

/* While the slots cannot be written: noted once, not in every attempt; and what arrives meanwhile is not
 * drawn in. */
static void test_an_expiry_that_is_pending(void **state)
{
	static const char audited[] = "SELECT count(*) FROM audit WHERE action = 'expire group'";
	struct vault_fixture *vault = *state;
	vault_fixture_id due, young;
	bool more;

	vault->now_us = vault->now_us / US_PER_DAY * US_PER_DAY;
	vault_fixture_seal(vault, "alice", "a", 1, 1, &due);
	faults_on_root(vault->vault);
	vault->now_us += KEEP_US;
	faults_arm(FAULT_EIO, 0, 1);
	assert_int_equal(retention_run(&vault->vault->eraser, 100, &more, NULL), -EIO);
	assert_int_equal(vault_fixture_state(vault, due), RECORDING_PENDING);
	faults_disarm();
	vault_fixture_seal(vault, "alice", "b", 1, 1, &young);
	for (int i = 0; i < 3; i++) {
		faults_arm(FAULT_EIO, 0, 1);
		assert_int_equal(retention_run(&vault->vault->eraser, 100, &more, NULL), 0);
		assert_int_equal(faults_disarm(), 0); /* it is erasure_retry()'s now */
	}
	assert_int_equal(count(vault, audited), 1);
	assert_int_equal(erasure_retry(&vault->vault->eraser, NULL), 0);
	assert_int_equal(vault_fixture_state(vault, due), RECORDING_EXPIRED);
	assert_int_equal(vault_fixture_state(vault, young), RECORDING_SEALED);
	vault->now_us += KEEP_US;
	assert_int_equal(run(vault, &more), 1);
	assert_int_equal(vault_fixture_state(vault, young), RECORDING_EXPIRED);
}

static int stops;

static void stop(void *context)
{
	struct retention **retention = context;

	stops++;
	*retention = retention_stop(*retention);
}

static void give_up(uv_timer_t *timer)
{
	fail_msg("the timer was never heard of again");
}

/* Runs the loop until the retention's own timer has come so far. Timers fire in the order in which
 * they are due, however slow the machine, so that the limit means ticks. */
static void run_until(uv_loop_t *loop, struct vault_fixture *vault, const char *id, bool *stopped)
{
	uv_timer_t limit;

	uv_timer_init(loop, &limit);
	uv_timer_start(&limit, give_up, 20000, 0);
	while (stopped ? !*stopped
		       : count(vault, "SELECT count(*) FROM removal") > 0 ||
							count(vault, "SELECT count(*) FROM burial") >
									0 ||
							vault_fixture_state(vault, id) !=
									RECORDING_EXPIRED) {
		uv_run(loop, UV_RUN_ONCE);
		if (stopped)
			*stopped = stops > 0;
	}
	uv_close((uv_handle_t *)&limit, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
}

static void test_the_timer_expires_and_removes(void **state)
{
	struct vault_fixture *vault = *state;
	struct retention *retention;
	vault_fixture_id id;
	uv_loop_t loop;

	vault_fixture_seal(vault, "alice", "a", 1, 1, &id);
	vault->now_us += KEEP_US;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(vault_fixture_retention(vault->vault, &loop, stop, &retention, &retention),
			0);
	run_until(&loop, vault, id, NULL);
	vault_fixture_shell(vault, "! find $D/objects -name '*.age' | grep -q .");
	assert_null(retention_stop(retention));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void count_tick(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static char *told;

static void keep_told(void *context, int priority, enum event event,
		const struct event_fields *fields, const char *text)
{
	if (event == EVENT_CLOCK) {
		free(*(char **)context);
		*(char **)context = strdup(text);
	}
}

/* Ticks for a while, however slow the machine. */
static void tick(uv_loop_t *loop)
{
	uv_timer_t limit;

	uv_timer_init(loop, &limit);
	uv_timer_start(&limit, count_tick, 2500, 0);
	uv_run(loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&limit, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
}

/* Nobody's recordings go because a clock is wrong, also after a restart or two. The doubt is told, and goes
 * by itself. */
static void test_a_clock_that_jumps_ahead(void **state)
{
	struct vault_fixture *vault = *state;
	struct retention *retention;
	vault_fixture_id id;
	uv_loop_t loop;

	vault_fixture_seal(vault, "alice", "a", 1, 1, &id);
	vault->unsynchronised = true;
	vault->wrong_us = KEEP_US + 400 * US_PER_DAY;
	assert_int_equal(uv_loop_init(&loop), 0);
	for (int i = 0; i < 3; i++) {
		vault->boot = i == 2; /* as well as within one boot */
		assert_int_equal(vault_fixture_reopen(vault, 0, NULL), 0);
		vault->vault->notices.tell = keep_told;
		vault->vault->notices.context = &told;
		assert_int_equal(vault_fixture_retention(
						 vault->vault, &loop, stop, &retention, &retention),
				0);
		tick(&loop);
		assert_int_equal(vault_fixture_state(vault, id), RECORDING_SEALED);
		assert_true(vault->vault->clock.doubted);
		if (i < 2) {
			assert_null(retention_stop(retention));
			uv_run(&loop, UV_RUN_DEFAULT);
		}
	}
	vault->wrong_us = 0;
	vault->unsynchronised = false;
	tick(&loop);
	assert_non_null(told);
	assert_non_null(strstr(told, "fine again"));
	assert_int_equal(vault_fixture_state(vault, id), RECORDING_SEALED);
	vault->now_us += KEEP_US;
	run_until(&loop, vault, id, NULL);
	assert_int_equal(vault_fixture_state(vault, id), RECORDING_EXPIRED);
	assert_null(retention_stop(retention));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	free(told);
}

/* With an interval, what falls due after an expiry waits for the next one. */
static void test_expiries_are_gathered(void **state)
{
	struct vault_fixture *vault = *state;
	struct retention *retention;
	vault_fixture_id first, second;
	uv_timer_t limit;
	uv_loop_t loop;

	vault->config->epoch_interval_us = US_PER_DAY;
	vault_fixture_seal(vault, "alice", "a", 1, 1, &first);
	vault->now_us += US_PER_DAY / 2;
	vault_fixture_seal(vault, "bob", "b", 1, 1, &second);
	vault->now_us += KEEP_US - US_PER_DAY / 2;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(vault_fixture_retention(vault->vault, &loop, stop, &retention, &retention),
			0);
	run_until(&loop, vault, first, NULL);
	vault->now_us += US_PER_DAY / 2; /* the second is due, the interval is not over */
	uv_timer_init(&loop, &limit);
	uv_timer_start(&limit, count_tick, 2500, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&limit, NULL);
	assert_int_equal(vault_fixture_state(vault, first), RECORDING_EXPIRED);
	assert_int_equal(vault_fixture_state(vault, second), RECORDING_SEALED);
	retention_set_epoch_interval(retention, 0);
	run_until(&loop, vault, second, NULL);
	assert_int_equal(vault_fixture_state(vault, second), RECORDING_EXPIRED);
	assert_null(retention_stop(retention));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* A vault that is stuck stops the keeper at the next tick, also while something fails, in which
 * only every thirtieth tick does anything. */
static void test_the_timer_reports_a_stuck_vault(void **state)
{
	struct vault_fixture *vault = *state;
	struct retention *retention;
	bool stopped = false;
	uv_loop_t loop;

	stops = 0;
	faults_on_root(vault->vault);
	vault_fixture_seal(vault, "alice", "a", 1, 1, NULL);
	vault->now_us += KEEP_US;
	faults_arm(FAULT_EIO, 0, 1); /* the first tick fails, and leaves it pending */
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(vault_fixture_retention(vault->vault, &loop, stop, &retention, &retention),
			0);
	while (count(vault, "SELECT count(*) FROM erasure") == 0)
		uv_run(&loop, UV_RUN_ONCE);
	faults_disarm();
	vault->vault->root.stuck = true;
	run_until(&loop, vault, NULL, &stopped);
	assert_int_equal(stops, 1);
	assert_null(retention);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_buckets),
			IN_VAULT(test_never_early),
			IN_VAULT(test_many_groups_in_one_epoch),
			IN_VAULT(test_at_most_so_many_groups),
			IN_VAULT(test_a_clock_that_goes_back),
			IN_VAULT(test_a_clock_that_jumps_ahead),
			IN_VAULT(test_expiries_are_gathered),
			IN_VAULT(test_an_expiry_that_is_pending),
			IN_VAULT(test_the_timer_expires_and_removes),
			IN_VAULT(test_the_timer_reports_a_stuck_vault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
