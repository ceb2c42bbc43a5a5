/* Which refusals are recorded: so many of each caller, whatever the others do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/keeper/control/refusals.h"

#define NOW_US (1000 * US_PER_S)

/* How many of n refusals of a caller are recorded at this time. */
static unsigned count_admitted(
		struct refusals *refusals, uid_t uid, bool has_role, unsigned n, int64_t now_us)
{
	unsigned admitted = 0, skipped;

	while (n-- > 0)
		admitted += refusals_admit(refusals, uid, has_role, now_us, &skipped);
	return admitted;
}

static void test_one_caller_hides_no_other(void **state)
{
	struct refusals refusals = {0};

	assert_int_equal(count_admitted(&refusals, 1000, false, 5000, NOW_US), REFUSALS_PER_WINDOW);
	assert_int_equal(count_admitted(&refusals, 1001, false, 5, NOW_US), 5);
	assert_int_equal(count_admitted(&refusals, 1000, false, 5, NOW_US), 0);
	assert_int_equal(count_admitted(&refusals, 1001, false, 50, NOW_US),
			REFUSALS_PER_WINDOW - 5);
}

static void test_what_is_left_out_is_counted_once(void **state)
{
	struct refusals refusals = {0};
	int64_t later_us = NOW_US + REFUSALS_WINDOW_US;
	unsigned skipped = 9;

	count_admitted(&refusals, 1000, false, REFUSALS_PER_WINDOW + 12, NOW_US);
	assert_true(refusals_admit(&refusals, 1001, false, later_us, &skipped));
	assert_int_equal(skipped, 0);
	assert_true(refusals_admit(&refusals, 1000, false, later_us, &skipped));
	assert_int_equal(skipped, 12);
	assert_true(refusals_admit(&refusals, 1000, false, later_us, &skipped));
	assert_int_equal(skipped, 0);
}

static void test_a_clock_that_goes_back(void **state)
{
	struct refusals refusals = {0};

	count_admitted(&refusals, 1000, false, 100, NOW_US);
	assert_int_equal(count_admitted(&refusals, 1000, false, 100, NOW_US / 2),
			REFUSALS_PER_WINDOW);
}

/* Whoever has a thousand uids fills neither the disk nor the place of those who have a role. */
static void test_a_crowd_of_callers_is_bounded(void **state)
{
	struct refusals refusals = {0};
	unsigned admitted = 0, skipped;

	for (uid_t uid = 100000; uid < 101000; uid++)
		admitted += count_admitted(&refusals, uid, false, 100, NOW_US);
	assert_int_equal(admitted, (REFUSALS_CALLERS + 1) * REFUSALS_PER_WINDOW);
	for (uid_t uid = 1; uid <= 3; uid++)
		assert_int_equal(count_admitted(&refusals, uid, true, 100, NOW_US),
				REFUSALS_PER_WINDOW);
	assert_int_equal(count_admitted(&refusals, 99, false, 100, NOW_US), 0);
	/* Those that gave way are not forgotten, nor are those that found no place. */
	assert_true(refusals_admit(&refusals, 99, false, NOW_US + REFUSALS_WINDOW_US, &skipped));
	assert_true(refusals.others.skipped > 0);
	assert_int_equal(skipped, 0);
}

static void test_callers_with_a_role_give_way_to_nobody(void **state)
{
	struct refusals refusals = {0};

	for (uid_t uid = 1; uid <= REFUSALS_CALLERS; uid++)
		count_admitted(&refusals, uid, true, 1, NOW_US);
	assert_int_equal(count_admitted(&refusals, 1000, false, 100, NOW_US), REFUSALS_PER_WINDOW);
	assert_int_equal(count_admitted(&refusals, 1001, true, 100, NOW_US), 0);
	assert_int_equal(count_admitted(&refusals, 1, true, 100, NOW_US), REFUSALS_PER_WINDOW - 1);
	/* Once a minute is over, its place is free. */
	assert_int_equal(count_admitted(&refusals, 1001, true, 100, NOW_US + REFUSALS_WINDOW_US),
			REFUSALS_PER_WINDOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_one_caller_hides_no_other),
			cmocka_unit_test(test_what_is_left_out_is_counted_once),
			cmocka_unit_test(test_a_clock_that_goes_back),
			cmocka_unit_test(test_a_crowd_of_callers_is_bounded),
			cmocka_unit_test(test_callers_with_a_role_give_way_to_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
