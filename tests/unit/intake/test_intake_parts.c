/* The intake's bounded memories: queue, seen, outage, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/common/config/config.h"
#include "daemon/common/watermark.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/intake/descriptors.h"
#include "daemon/intake/spool/outage.h"
#include "daemon/intake/spool/queue.h"
#include "daemon/intake/spool/refusals.h"
#include "daemon/intake/spool/seen.h"
#include "daemon/intake/spool/spool.h"
#include "daemon/intake/work/share.h"

static int sight(struct queue *queue, const char *path, int64_t due_us, bool event)
{
	const struct sighting sighting = {
			.path = path, .due_us = due_us, .since_us = 1000 + due_us, .event = event};

	return queue_add(queue, &sighting);
}

static void assert_next(struct queue *queue, int64_t now_us, const char *path)
{
	struct candidate *c = queue_take(queue, now_us);

	assert_non_null(c);
	assert_string_equal(c->path, path);
	queue_drop(queue, c);
}

static void queue_hands_out_by_due_time_then_arrival(void **state)
{
	struct queue *queue = queue_new(8);

	assert_int_equal(sight(queue, "c", 30, false), 0);
	assert_int_equal(sight(queue, "a1", 10, false), 0);
	assert_int_equal(sight(queue, "b", 20, false), 0);
	assert_int_equal(sight(queue, "a2", 10, false), 0);
	assert_null(queue_take(queue, 9));
	assert_int_equal(queue_next_due_us(queue), 10);
	assert_next(queue, 25, "a1");
	assert_next(queue, 25, "a2");
	assert_next(queue, 25, "b");
	assert_null(queue_take(queue, 25));
	assert_next(queue, 30, "c");
	assert_int_equal(queue_next_due_us(queue), INT64_MAX);
	queue_free(queue);
}

static void queue_agrees_with_a_sorted_list(void **state)
{
	struct queue *queue = queue_new(1024);
	int64_t last_us = -1;
	char name[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(sight(queue, name, (int64_t)randombytes_uniform(500), false), 0);
	}
	for (int i = 0; i < 300; i++) { /* events move some of them */
		snprintf(name, sizeof(name), "%u", randombytes_uniform(1000));
		assert_int_equal(sight(queue, name, (int64_t)randombytes_uniform(500), true), 0);
	}
	for (int i = 0; i < 1000; i++) {
		struct candidate *c = queue_take(queue, INT64_MAX);
		assert_non_null(c);
		assert_true(c->due_us >= last_us);
		last_us = c->due_us;
		queue_drop(queue, c);
	}
	assert_int_equal(queue_room(queue), 1024);
	queue_free(queue);
}

/* Also of what comes while it is looked at. */
static void the_last_event_says_how_a_file_came(void **state)
{
	struct queue *queue = queue_new(8);
	struct sighting renamed = {.path = "a", .event = true, .arrived = true};

	assert_int_equal(queue_add(queue, &renamed), 0);
	assert_int_equal(sight(queue, "a", 0, false), 0); /* a scan knows nothing of it */
	struct candidate *c = queue_take(queue, 0);
	assert_true(c->arrived);
	assert_int_equal(sight(queue, "a", 0, true), 0); /* written to again */
	assert_false(c->arrived);
	queue_return(queue, c, 0);
	assert_int_equal(queue_add(queue, &renamed), 0);
	assert_true(c->arrived);
	assert_int_equal(sight(queue, "a", 0, true), 0);
	assert_false(c->arrived);
	queue_free(queue);
}

static void a_renamed_file_waits_less_unless_more_is_wanted(void **state)
{
	static const struct {
		int64_t settle_us, arrived_us;
	} cases[] = {{0, 0}, {50000, 50000}, {100000, 100000}, {500000, 100000},
			{CONFIG_SETTLE_US, 100000}, {CONFIG_SETTLE_US + 1, CONFIG_SETTLE_US + 1}};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		const struct config_spool config = {.settle_us = cases[i].settle_us};
		assert_int_equal(spool_settle_us(&config, false), cases[i].settle_us);
		assert_int_equal(spool_settle_us(&config, true), cases[i].arrived_us);
	}
}

static void queue_is_bounded_and_without_duplicates(void **state)
{
	struct queue *queue = queue_new(4);

	for (int round = 0; round < 3; round++) {
		assert_int_equal(sight(queue, "a", 1, false), 0);
		assert_int_equal(sight(queue, "b", 1, false), 0);
		assert_int_equal(sight(queue, "c", 1, false), 0);
	}
	assert_int_equal(queue_room(queue), 1);
	const struct sighting elsewhere = {.spool = 1, .path = "a"};
	assert_int_equal(queue_add(queue, &elsewhere), 0); /* another spool's file */
	assert_int_equal(sight(queue, "d", 1, false), QUEUE_FULL);
	assert_int_equal(sight(queue, "a", 1, false), 0); /* known: fits */
	struct candidate *c = queue_take(queue, 0);
	assert_int_equal(c->spool, 1);
	assert_int_equal(sight(queue, "d", 1, false), QUEUE_FULL); /* taken ones count */
	queue_drop(queue, c);
	assert_int_equal(sight(queue, "d", 1, false), 0);
	queue_free(queue);
}

static void only_events_move_what_waits(void **state)
{
	struct queue *queue = queue_new(4);

	sight(queue, "a", 100, false);
	struct candidate *c = queue_take(queue, 100);
	c->failures = 5;
	queue_return(queue, c, 500);
	sight(queue, "a", 200, false); /* a scan: its failures and its pause stay */
	assert_null(queue_take(queue, 499));
	sight(queue, "a", 200, true);
	c = queue_take(queue, 200);
	assert_non_null(c);
	assert_int_equal(c->failures, 0);
	assert_false(c->touched);
	sight(queue, "a", 0, false);
	assert_false(c->touched);
	sight(queue, "a", 0, true);
	assert_true(c->touched);
	assert_null(queue_take(queue, INT64_MAX)); /* still taken */
	queue_drop(queue, c);
	queue_free(queue);
}

static void queue_counts_a_spool(void **state)
{
	struct queue *queue = queue_new(4);
	int64_t oldest_us = 77;
	size_t count = 77;

	queue_count(queue, 0, &count, &oldest_us);
	assert_int_equal(count, 0);
	assert_int_equal(oldest_us, 0);
	sight(queue, "a", 30, false);
	sight(queue, "b", 20, false);
	struct candidate *c = queue_take(queue, 25);
	queue_count(queue, 0, &count, &oldest_us);
	assert_int_equal(count, 2);
	assert_int_equal(oldest_us, 1020);
	queue_count(queue, 1, &count, &oldest_us);
	assert_int_equal(count, 0);
	queue_drop(queue, c);
	queue_free(queue);
}

static void what_is_deferred_waits_for_room_or_an_event(void **state)
{
	struct queue *queue = queue_new(4);

	assert_null(queue_take_deferred(queue));
	sight(queue, "a", 1, false);
	sight(queue, "b", 2, false);
	sight(queue, "c", 3, false);
	for (int i = 0; i < 3; i++)
		queue_defer(queue, queue_take(queue, 10));
	assert_null(queue_take(queue, INT64_MAX));
	assert_int_equal(queue_next_due_us(queue), INT64_MAX);
	assert_true(queue_has_deferred(queue));
	sight(queue, "a", 20, false); /* a scan changes nothing */
	assert_null(queue_take(queue, INT64_MAX));
	sight(queue, "b", 30, true);
	assert_next(queue, 30, "b");
	struct candidate *c = queue_take_deferred(queue);
	assert_string_equal(c->path, "a");
	sight(queue, "a", 40, true);
	assert_true(c->touched);
	queue_return(queue, c, 50);
	assert_next(queue, 50, "a");
	assert_int_equal(queue_room(queue), 3);
	assert_false(queue_crowded(queue));
	queue_free(queue); /* with one still deferred */
}

static void seen_remembers_the_last_and_forgets_the_first(void **state)
{
	enum { CAPACITY = 64 };
	struct seen *seen = seen_new(CAPACITY);

	for (uint32_t i = 0; i < 10 * CAPACITY; i++) {
		assert_false(seen_add(seen, &i, sizeof(i)));
		assert_true(seen_add(seen, &i, sizeof(i)));
		uint32_t earlier = i < CAPACITY ? 0 : i - CAPACITY + 1;
		assert_true(seen_has(seen, &earlier, sizeof(earlier)));
	}
	uint32_t first = 0;
	assert_false(seen_has(seen, &first, sizeof(first)));
	seen_free(seen);
	assert_null(seen_free(NULL));
}

static void jobs_fit_the_descriptors(void **state)
{
	assert_int_equal(descriptors_jobs(1024, 16, 1), 16);
	assert_int_equal(descriptors_jobs(524288, 256, 64), 256);
	assert_int_equal(descriptors_jobs(0, 16, 1), 1);
	assert_int_equal(descriptors_jobs(64, 16, 1), 1);
	size_t last = 1;
	for (size_t limit = 0; limit < 400; limit++) {
		size_t jobs = descriptors_jobs(limit, 16, 2);
		assert_in_range(jobs, last, 16);
		assert_true(jobs == 1 || 4 * jobs + 32 < limit);
		last = jobs;
	}
	assert_int_equal(last, 16);
}

/* However many spools hang the probe, one that does not has a process of the probe's to itself. */
static void a_share_is_left_for_everybody(void **state)
{
	struct share shares[64];

	for (size_t n = 1; n <= ELEMENTSOF(shares); n++) {
		size_t with_the_probe = 0;
		memset(shares, 0, sizeof(shares));
		for (size_t i = 0; i + 1 < n; i++) {
			shares[i].slow = 1;
			while (share_has_room(shares, n, i)) {
				shares[i].before++;
				with_the_probe++;
			}
		}
		assert_in_range(with_the_probe, n > 1, PROBE_JOBS_MAX - (n > 1));
		assert_true(share_has_room(shares, n, n - 1));
	}
	for (size_t max = 1; max <= 256; max++) {
		assert_int_equal(share_active_max(max, 1), max);
		assert_in_range(share_active_max(max, 2), 1, max < 4 ? max : max - 1);
		assert_in_range(share_large_max(max), 1, max < 4 ? 1 : max - 1);
	}
	/* Without a label only while another one of its spool is being waited for. */
	assert_false(share_skips_probe(&(struct share){.probing = 3, .slow = 7}));
	assert_true(share_skips_probe(&(struct share){.probing = 1, .slow = 8}));
	assert_false(share_skips_probe(&(struct share){.probing = 0, .slow = 8}));
}

static struct statvfs filesystem(uint64_t free, uint64_t free_inodes)
{
	return (struct statvfs){.f_frsize = 4096,
			.f_blocks = 1000,
			.f_bfree = 1000, /* for root, which we are not */
			.f_bavail = free,
			.f_files = 1000,
			.f_ffree = 1000,
			.f_favail = free_inodes};
}

static enum watermark_change mark_at(struct watermark *mark, struct statvfs st)
{
	struct watermark_space space;

	watermark_space(&st, &space);
	return watermark_update(mark, 20, &space);
}

static void a_watermark_is_told_of_once_a_crossing(void **state)
{
	struct watermark mark = {0};

	assert_int_equal(mark_at(&mark, filesystem(200, 900)), WATERMARK_AS_BEFORE);
	assert_int_equal(mark_at(&mark, filesystem(199, 900)), WATERMARK_LOW);
	for (uint64_t free = 0; free < 250; free++) /* hovers below and above the mark */
		assert_int_equal(mark_at(&mark, filesystem(free, 900)), WATERMARK_AS_BEFORE);
	assert_int_equal(mark_at(&mark, filesystem(250, 900)), WATERMARK_WELL);
	assert_int_equal(mark_at(&mark, filesystem(200, 900)), WATERMARK_AS_BEFORE);
	assert_int_equal(mark_at(&mark, filesystem(900, 199)), WATERMARK_LOW); /* inodes */
	assert_int_equal(mark_at(&mark, filesystem(900, 250)), WATERMARK_WELL);
	/* What does not count inodes, or nothing at all, is not low. */
	struct statvfs st = filesystem(900, 0);
	st.f_files = 0;
	assert_int_equal(mark_at(&mark, st), WATERMARK_AS_BEFORE);
	assert_int_equal(mark_at(&mark, (struct statvfs){0}), WATERMARK_AS_BEFORE);
}

/* Any mark can be crossed both ways; 0 never is. */
static void every_watermark_can_end(void **state)
{
	for (unsigned percent = 0; percent <= WATERMARK_PERCENT_MAX; percent++) {
		struct watermark mark = {0};
		struct watermark_space none = {.free_percent = 0}, all = {.free_percent = 100};
		assert_int_equal(watermark_update(&mark, percent, &none),
				percent ? WATERMARK_LOW : WATERMARK_AS_BEFORE);
		assert_int_equal(watermark_update(&mark, percent, &all),
				percent ? WATERMARK_WELL : WATERMARK_AS_BEFORE);
	}
}

static void an_outage_is_reported_at_once_then_once_a_minute(void **state)
{
	struct outage outage = {0};
	int64_t t = 5;

	assert_false(outage_over(&outage));
	assert_int_equal(outage_failed(&outage, t), 1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(outage_failed(&outage, t + 1), 0);
	assert_int_equal(outage_failed(&outage, t + OUTAGE_REPEAT_US), 11);
	assert_true(outage_over(&outage));
	assert_false(outage_over(&outage));
	/* Fails and works by turns: neither is reported again within the minute. */
	t += OUTAGE_REPEAT_US;
	assert_int_equal(outage_failed(&outage, t + 1), 0);
	assert_false(outage_over(&outage));
	assert_int_equal(outage_failed(&outage, t + OUTAGE_REPEAT_US), 1);
	assert_true(outage_over(&outage));
}

static void a_refusal_is_reported_once_and_so_many_an_hour(void **state)
{
	const int64_t hour_us = 3600 * US_PER_S;
	struct seen *reported = seen_new(1024);
	struct refusals refusals = {0};
	struct refusal refusal = {.spool = 1, .inode = 1, .kind = REFUSAL_FOREIGN};
	int64_t t = 2 * hour_us;

	assert_int_equal(refusals_note(&refusals, reported, &refusal, t), REFUSALS_REPORT);
	assert_int_equal(refusals_note(&refusals, reported, &refusal, t), REFUSALS_KNOWN);
	/* Another spool's file, and another kind, are news. */
	refusal.spool = 2;
	assert_int_equal(refusals_note(&refusals, reported, &refusal, t), REFUSALS_REPORT);
	refusal.kind = REFUSAL_BY_KEEPER;
	assert_int_equal(refusals_note(&refusals, reported, &refusal, t), REFUSALS_REPORT);
	for (int i = 4; i < REFUSALS_PER_HOUR; i++) {
		refusal.inode++;
		assert_int_equal(refusals_note(&refusals, reported, &refusal, t), REFUSALS_REPORT);
	}
	refusal.inode++;
	assert_int_equal(refusals_note(&refusals, reported, &refusal, t), REFUSALS_REPORT_LAST);
	refusal.inode++;
	assert_int_equal(refusals_note(&refusals, reported, &refusal, t + hour_us - 1),
			REFUSALS_TOO_MANY);
	refusal.inode++;
	assert_int_equal(
			refusals_note(&refusals, reported, &refusal, t + hour_us), REFUSALS_REPORT);
	refusal.inode = 0; /* not known */
	assert_int_equal(refusals_note(&refusals, reported, &refusal, t), REFUSALS_KNOWN);
	seen_free(reported);
}

static void refusals_are_counted_by_whole_scans(void **state)
{
	struct refusals refusals = {.count = 7};

	refusals_begin_scan(&refusals);
	refusals.scanned = 2;
	refusals.unreadable = 1;
	assert_int_equal(refusals.count, 7);
	refusals_end_scan(&refusals);
	assert_int_equal(refusals.count, 3);
	refusals_begin_scan(&refusals);
	refusals_end_scan(&refusals);
	assert_int_equal(refusals.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(queue_hands_out_by_due_time_then_arrival),
			cmocka_unit_test(queue_agrees_with_a_sorted_list),
			cmocka_unit_test(the_last_event_says_how_a_file_came),
			cmocka_unit_test(a_renamed_file_waits_less_unless_more_is_wanted),
			cmocka_unit_test(queue_is_bounded_and_without_duplicates),
			cmocka_unit_test(only_events_move_what_waits),
			cmocka_unit_test(queue_counts_a_spool),
			cmocka_unit_test(what_is_deferred_waits_for_room_or_an_event),
			cmocka_unit_test(jobs_fit_the_descriptors),
			cmocka_unit_test(a_share_is_left_for_everybody),
			cmocka_unit_test(a_watermark_is_told_of_once_a_crossing),
			cmocka_unit_test(every_watermark_can_end),
			cmocka_unit_test(seen_remembers_the_last_and_forgets_the_first),
			cmocka_unit_test(an_outage_is_reported_at_once_then_once_a_minute),
			cmocka_unit_test(a_refusal_is_reported_once_and_so_many_an_hour),
			cmocka_unit_test(refusals_are_counted_by_whole_scans),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
