/* The vault's clock in a whole vault: what tags and rows say under clocks that lie, and after. */
#include "tests/unit/support/vault_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/keeper/vault/expiry.h"
#include "storage/tables/audit.h"

#define AHEAD_US (400 * US_PER_DAY)
#define KEEP_US  (30 * US_PER_DAY) /* of the default class */

static const struct audit_actor officer = {4711, "compared with the tower clock"};

static struct recording_row row_of(struct vault_fixture *vault, const char *id)
{
	struct recording_row row;

	vault_fixture_row(vault, id, &row);
	free(row.private);
	row.private = NULL;
	return row;
}

static void assert_times(struct vault_fixture *vault, const char *id, int64_t sealed_us,
		enum sealed_clock sealed_clock)
{
	struct recording_row row = row_of(vault, id);

	assert_int_equal(row.sealed_us, sealed_us);
	assert_int_equal(row.expires_us, sealed_us + KEEP_US);
	assert_int_equal(row.sealed_clock, sealed_clock);
}

static void boot(struct vault_fixture *vault, int64_t off_us, int64_t wrong_us, bool synchronised)
{
	vault_fixture_shut(vault);
	vault->boot++;
	vault->now_us += off_us;
	vault->wrong_us = wrong_us;
	vault->unsynchronised = !synchronised;
	assert_int_equal(vault_fixture_reopen(vault, 0, NULL), 0);
}

static size_t expire(struct vault_fixture *vault)
{
	uint64_t before = vault_epoch(vault->vault);
	bool more;

	assert_int_equal(retention_run(&vault->vault->eraser, 100, &more, NULL), 0);
	return (size_t)(vault_epoch(vault->vault) - before);
}

/* A vault that was made under a clock that was ahead, as nobody could know. */
static void test_made_under_a_future_clock(void **state)
{
	struct vault_fixture *vault = calloc(1, sizeof(*vault));
	vault_fixture_id under, after;

	vault->unsynchronised = true;
	vault->wrong_us = AHEAD_US;
	vault_fixture_open_as(vault);
	int64_t sealed_us = vault->now_us;
	vault_fixture_seal(vault, "alice", "b", 1, 1, &under);
	assert_times(vault, under, sealed_us + AHEAD_US, SEALED_CLOCK_UNKNOWN);
	/* The clock is right again, which still nobody knows: what is sealed now has its time all the same. */
	vault->now_us += 3600 * US_PER_S;
	boot(vault, 60 * US_PER_S, 0, false);
	vault_fixture_seal(vault, "bob", "c", 1, 1, &after);
	assert_times(vault, after, vault->now_us, SEALED_CLOCK_UNKNOWN);
	int64_t after_us = vault->now_us;
	/* It is known: so is the first one's time, but for the minute that the machine was off. */
	vault->unsynchronised = false;
	vault_fixture_look(vault);
	assert_times(vault, after, after_us, SEALED_CLOCK_SET);
	assert_times(vault, under, sealed_us + 60 * US_PER_S, SEALED_CLOCK_SET);
	vault->now_us = sealed_us + KEEP_US + 60 * US_PER_S - 1;
	assert_int_equal(expire(vault), 0);
	vault->now_us += 1;
	assert_int_equal(expire(vault), 1);
	assert_int_equal(vault_fixture_state(vault, under), RECORDING_EXPIRED);
	vault_fixture_close(vault);
	free(vault);
}

static void test_restarts_under_a_future_clock(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id before, under;

	vault_fixture_seal(vault, "alice", "a", 1, 1, &before);
	int64_t first_us = vault->now_us;
	for (int i = 0; i < 5; i++) {
		boot(vault, 60 * US_PER_S, AHEAD_US, false);
		vault_fixture_look(vault);
		assert_int_equal(expire(vault), 0);
	}
	/* As long as it is known no better, what the vault has counted is nearer than a clock so far ahead. */
	vault_fixture_seal(vault, "alice", "b", 1, 1, &under);
	assert_times(vault, under, first_us, SEALED_CLOCK_UNKNOWN);
	int64_t under_us = vault->now_us;
	vault->now_us += 7 * US_PER_DAY;
	vault->wrong_us = 0;
	vault->unsynchronised = false;
	vault_fixture_look(vault);
	assert_times(vault, under, under_us, SEALED_CLOCK_SET);
	assert_times(vault, before, first_us, SEALED_CLOCK_KNOWN);
	vault->now_us = under_us + KEEP_US - 1;
	assert_int_equal(expire(vault), 1);
	assert_int_equal(vault_fixture_state(vault, before), RECORDING_EXPIRED);
	assert_int_equal(vault_fixture_state(vault, under), RECORDING_SEALED);
	vault->now_us += 1;
	assert_int_equal(expire(vault), 1);
	assert_int_equal(vault_fixture_state(vault, under), RECORDING_EXPIRED);
}

static void test_a_clock_of_the_past(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id id;

	boot(vault, 3600 * US_PER_S, -vault->now_us, false); /* 1970 */
	vault_fixture_seal(vault, "alice", "a", 1, 1, &id);
	int64_t sealed_us = vault->now_us;
	assert_times(vault, id, sealed_us - 3600 * US_PER_S, SEALED_CLOCK_UNKNOWN);
	vault->now_us += 60 * US_PER_S;
	vault->wrong_us = 0;
	vault->unsynchronised = false;
	vault_fixture_look(vault);
	assert_times(vault, id, sealed_us, SEALED_CLOCK_SET);
	assert_false(vault->vault->clock.doubted);
}

/* The time becomes known between the begin and the commit of a recording. */
static void test_known_while_it_is_sealed(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id id;
	int result;

	boot(vault, 5 * US_PER_DAY, -100 * US_PER_DAY, false);
	struct ingest_request request = vault_fixture_request(vault, "alice", "a.wav", 10);
	struct ingest_job *job = vault_fixture_begin(vault, &request);
	int64_t sealed_us = vault->now_us;
	ulid_format(ingest_recording_id(job), id);
	vault->now_us += 600 * US_PER_S;
	vault->wrong_us = 0;
	vault->unsynchronised = false;
	vault_fixture_look(vault);
	vault_fixture_commit(vault->vault, &job, 1, &result);
	assert_int_equal(result, 0);
	assert_times(vault, id, sealed_us, SEALED_CLOCK_SET);
	vault->now_us = sealed_us + KEEP_US - 1;
	assert_int_equal(expire(vault), 0);
	vault->now_us += 1;
	assert_int_equal(expire(vault), 1);
}

/* A source of time that lied, or an officer who erred: what was sealed meanwhile does not live for ever. */
static void test_a_lie_that_was_believed(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id id;

	vault->wrong_us = AHEAD_US; /* and synchronised */
	vault_fixture_look(vault);
	vault_fixture_seal(vault, "alice", "a", 1, 1, &id);
	assert_times(vault, id, vault->now_us + AHEAD_US, SEALED_CLOCK_KNOWN);
	vault->now_us += 5 * US_PER_DAY;
	vault->wrong_us = 0;
	vault_fixture_look(vault);
	assert_times(vault, id, vault->now_us, SEALED_CLOCK_SET);
	vault->now_us += KEEP_US;
	assert_int_equal(expire(vault), 1);
}

static void test_an_officer_confirms(void **state)
{
	struct vault_fixture *vault = *state;
	struct vault *v = vault->vault;
	uint8_t head[AUDIT_HASH_BYTES], after[AUDIT_HASH_BYTES];
	vault_fixture_id id;
	int64_t retimed = 0;

	vault_fixture_seal(vault, "alice", "a", 1, 1, &id);
	boot(vault, KEEP_US, 0, false); /* it is right, and nobody knows */
	v = vault->vault;
	vault_fixture_look(vault);
	assert_true(v->clock.doubted);
	assert_int_equal(expire(vault), 0);
	assert_int_equal(audit_head(v->db, head), 0);
	assert_int_equal(vault_clock_confirm(&v->clock, &v->root.audit, &officer, 1, &retimed), 0);
	assert_int_equal(audit_head(v->db, after), 0);
	assert_memory_not_equal(head, after, sizeof(head));
	vault_fixture_look(vault);
	assert_false(v->clock.doubted);
	assert_int_equal(expire(vault), 1);
	/* It holds for this boot, and over restarts of the keeper in it. */
	assert_int_equal(vault_fixture_reopen(vault, 0, NULL), 0);
	assert_true(vault->vault->clock.row.known);
	vault->wrong_us = -vault->now_us;
	v = vault->vault;
	assert_int_equal(vault_clock_confirm(&v->clock, &v->root.audit, &officer, 1, &retimed),
			-ERANGE);
}

/* What an earlier count has stored is not lost by a crash, but for a little. */
static void test_the_count_is_durable(void **state)
{
	struct vault_fixture *vault = *state;

	boot(vault, 60 * US_PER_S, AHEAD_US, false);
	int64_t counted_us = vault_clock_counted_us(&vault->vault->clock);
	for (int i = 0; i < 100; i++) {
		vault->now_us += 60 * US_PER_S;
		vault_fixture_look(vault);
	}
	vault->vault->root.stuck = true; /* a crash: nothing is stored at the end */
	boot(vault, 0, AHEAD_US, false);
	int64_t lost_us =
			counted_us + 6000 * US_PER_S - vault_clock_counted_us(&vault->vault->clock);
	assert_in_range(lost_us, 0, 600 * US_PER_S);
}

static void assert_expires(int64_t recorded_us, int64_t keep_us, int64_t expires_us, bool overdue)
{
	struct recording_row row = {.sealed_us = 1000 * US_PER_DAY,
			.recorded_us = recorded_us,
			.keep = {.us = keep_us},
			.keep_from = KEEP_FROM_RECORDED};

	assert_int_equal(expiry_set(&row), overdue);
	assert_int_equal(row.expires_us, expires_us);
}

/* The recorded time is a claim. It shortens what is kept, but makes nothing due at once. */
static void test_kept_from_the_recording(void **state)
{
	const int64_t day = US_PER_DAY;

	assert_expires(990 * day, 30 * day, 1020 * day, false);
	assert_expires(1000 * day, 30 * day, 1030 * day, false);
	assert_expires(1001 * day, 30 * day, 1030 * day, false);
	assert_expires(INT64_MAX, 30 * day, 1030 * day, false);
	assert_expires(970 * day, 30 * day, 1001 * day, true);
	assert_expires(0, 30 * day, 1001 * day, true);
	assert_expires(INT64_MIN, 30 * day, 1001 * day, true);
	assert_expires(0, 10, 1000 * day + 10, true);
}

/* The id of the boot, as systemd passes it, else as the kernel says it. */
static void test_the_machine(void **state)
{
	struct vault_fixture *vault = *state;
	struct clock_machine passed, kernel, again;

	unsetenv("CREDENTIALS_DIRECTORY");
	clock_machine_system(&kernel);
	clock_machine_system(&again);
	assert_memory_equal(kernel.boot_id, again.boot_id, sizeof(kernel.boot_id));
	vault_fixture_shell(vault, "echo f9adee03-e634-4db6-8668-830c5ca9d46a >$D/boot_id");
	setenv("CREDENTIALS_DIRECTORY", vault->dir, 1);
	clock_machine_system(&passed);
	assert_int_equal(passed.boot_id[0], 0xf9);
	assert_int_equal(passed.boot_id[15], 0x6a);
	vault_fixture_shell(vault, "echo nonsense >$D/boot_id");
	clock_machine_system(&again);
	assert_memory_equal(kernel.boot_id, again.boot_id, sizeof(kernel.boot_id));
	unsetenv("CREDENTIALS_DIRECTORY");
	/* In two statements: C does not say which argument it evaluates first. */
	int64_t earlier_us = clock_now_us(&kernel.boot);
	assert_true(earlier_us > 0);
	assert_true(clock_now_us(&kernel.boot) >= earlier_us);
	assert_in_range(kernel.synchronised(NULL), 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_made_under_a_future_clock),
			IN_VAULT(test_restarts_under_a_future_clock),
			IN_VAULT(test_a_clock_of_the_past),
			IN_VAULT(test_known_while_it_is_sealed),
			IN_VAULT(test_a_lie_that_was_believed),
			IN_VAULT(test_an_officer_confirms),
			IN_VAULT(test_the_count_is_durable),
			cmocka_unit_test(test_kept_from_the_recording),
			IN_VAULT(test_the_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
