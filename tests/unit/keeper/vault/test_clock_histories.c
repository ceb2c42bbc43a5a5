/* Thousands of histories of machines whose clocks lie (clock_world.h). CLOCK_SEED= repeats one,
 * CLOCK_HISTORIES= says how many. */
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "storage/tables/db_internal.h"
#include "storage/tables/db_open.h"
#include "tests/unit/keeper/vault/clock_world.h"
#include "tests/unit/support/folder_fixture.h"

#define HISTORIES        3000
#define MUTANT_HISTORIES 300

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static struct db *histories_db(struct folder *f)
{
	struct db *db;

	const struct vault_row vault = {.epoch = 1};

	assert_true(sodium_init() >= 0);
	assert_int_equal(db_open_new(f->path, &db), 0);
	assert_int_equal(db_vault_put(db, &vault), 0);
	/* What a power cut leaves is not the question here. */
	assert_int_equal(
			sqlite3_exec(db_handle(db), "PRAGMA synchronous=OFF", NULL, NULL, NULL), 0);
	return db;
}

static void test_nothing_early_and_nothing_late(void **state)
{
	uint64_t first = number_from("CLOCK_SEED", 1);
	uint64_t n = number_from("CLOCK_HISTORIES", getenv("CLOCK_SEED") ? 1 : HISTORIES);
	struct db *db = histories_db(*state);
	struct clock_figures figures = {0};

	for (uint64_t seed = first; seed < first + n; seed++) {
		enum clock_verdict verdict = clock_world_run(db, seed, MUTANT_NONE, &figures);
		if (verdict != VERDICT_GOOD)
			fail_msg("CLOCK_SEED=%llu: a recording was destroyed too %s",
					(unsigned long long)seed,
					verdict == VERDICT_EARLY ? "early" : "late");
	}
	printf("%llu histories, %ld boots, %ld recordings sealed, %ld destroyed, %ld put right by an officer\n",
			(unsigned long long)n, figures.boots, figures.sealed, figures.destroyed,
			figures.retimed);
	assert_int_equal(figures.sealed, figures.destroyed);
	db_close(db);
}

/* The harness catches each fault of the guard, and early where early is what it causes. */
static void test_mutants_are_caught(void **state)
{
	struct db *db = histories_db(*state);

	for (enum clock_mutant mutant = MUTANT_NONE + 1; mutant < MUTANTS; mutant++) {
		struct clock_figures figures = {0};
		unsigned early = 0, late = 0;
		for (uint64_t seed = 1; seed <= MUTANT_HISTORIES; seed++) {
			enum clock_verdict verdict = clock_world_run(db, seed, mutant, &figures);
			early += verdict == VERDICT_EARLY;
			late += verdict == VERDICT_LATE;
		}
		printf("mutant %d: %u early, %u late of %d\n", (int)mutant, early, late,
				MUTANT_HISTORIES);
		if (mutant == MUTANT_NEVER_LEARNS || mutant == MUTANT_STANDS_STILL)
			assert_true(late > 0);
		else
			assert_true(early > 0);
	}
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_folder(test_nothing_early_and_nothing_late),
			in_folder(test_mutants_are_caught),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
