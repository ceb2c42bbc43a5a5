/* recseald with profiles: markers and discards, whose a recording is, and what never comes to its
 * end. */
#include "tests/unit/intake/profile_daemon.h"

/* ---- Discards ---- */

#define ROOM "183f0bf3a0982a127bdb8161e0c44eb696b3e75c"
#define OPUS ROOM "-1554230749920-1554230750123.opus"

static void with_bbb(struct intake_daemon *d, const char *discarded)
{
	char keys[256];

	snprintf(keys, sizeof(keys), "Profile=bbb\nMarkers=%s/status-of\n%s", d->folder.path,
			discarded);
	put_directory(&d->folder, "status-of");
	put_directory(&d->folder, "status-of/status");
	put_directory(&d->folder, "status-of/status/archived");
	with(d, keys, "");
}

#define ARCHIVED "status-of/status/archived/" ROOM "-1554230749920"

static void bbb_waits_for_the_archive(void **state)
{
	struct intake_daemon *d = *state;

	with_bbb(d, "");
	intake_daemon_put(d, OPUS, "opus");
	intake_daemon_put(d, "echo.wav", "no marker is its own");
	intake_daemon_await_sealed(d, "echo.wav");
	assert_int_equal(fake_keeper_begins(&d->keeper, OPUS), 0);
	put_text(&d->folder, ARCHIVED ".done", "Archived"); /* found by the next scan */
	intake_daemon_await_sealed(d, OPUS);
	assert_account(d, OPUS, ROOM);
	assert_true(is_there(&d->folder, ARCHIVED ".done"));
}

static void a_discarded_recording_is_sealed_with_a_mark(void **state)
{
	struct intake_daemon *d = *state;

	with_bbb(d, "");
	put_text(&d->folder, ARCHIVED ".norecord", "");
	intake_daemon_put(d, OPUS, "opus");
	intake_daemon_await_sealed(d, OPUS);
	assert_true(json_is_true(json_object_get(begin_of(d, OPUS), "discarded")));
}

static void a_discarded_recording_is_left_when_told(void **state)
{
	struct intake_daemon *d = *state;

	with_bbb(d, "Discarded=leave");
	put_text(&d->folder, ARCHIVED ".norecord", "");
	intake_daemon_put(d, OPUS, "opus");
	intake_daemon_put(d, "echo.wav", "x");
	intake_daemon_await_sealed(d, "echo.wav");
	assert_true(is_there(&d->spool, OPUS));
	assert_int_equal(fake_keeper_begins(&d->keeper, OPUS), 0);
}

static void a_discarded_recording_is_deleted_when_told(void **state)
{
	static const char kept[] = ROOM "-1554230749999-1554230750123.opus";
	struct intake_daemon *d = *state;

	with_bbb(d, "Discarded=delete");
	put_text(&d->folder, ARCHIVED ".norecord", "");
	intake_daemon_put(d, kept, "no word on this one");
	put_text(&d->spool, OPUS, "opus");
	await_gone(d, OPUS);
	assert_int_equal(fake_keeper_begins(&d->keeper, OPUS), 0);
	assert_true(is_there(&d->spool, kept));
}

static void markers_that_cannot_be_seen_finish_nothing(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=bbb\nMarkers=/nonexistent/recording", "");
	intake_daemon_put(d, OPUS, "opus");
	intake_daemon_put(d, "echo.wav", "x");
	intake_daemon_await_sealed(d, "echo.wav");
	assert_true(is_there(&d->spool, OPUS));
	assert_int_equal(fake_keeper_begins(&d->keeper, OPUS), 0);
}

/* Nor is an "it is still written" that cannot be asked for a "no". */
static void unfinished_markers_that_cannot_be_seen_keep_a_recording(void **state)
{
	struct intake_daemon *d = *state;
	char keys[256];

	snprintf(keys, sizeof(keys), "Profile=locks\nMarkers=%s/locks", d->folder.path);
	with(d, keys, "[profile locks]\nFiles={call}-{n}.wav *.wav\nUnfinished=/{call}.lock\n");
	intake_daemon_put(d, "a-1.wav", "half of it");
	intake_daemon_put(d, "other.wav", "no marker is its own");
	intake_daemon_await_sealed(d, "other.wav");
	assert_int_equal(fake_keeper_begins(&d->keeper, "a-1.wav"), 0);
	put_directory(&d->folder, "locks");
	intake_daemon_await_sealed(d, "a-1.wav"); /* found by the next scan */
}

/* ---- Accounts ---- */

static void accounts_by_name_map_and_word(void **state)
{
	struct intake_daemon *d = *state;
	char keys[256];

	put_text(&d->folder, "map", "board = acme\n");
	snprintf(keys, sizeof(keys), "Profile=asterisk\nAccountMap=%s/map", d->folder.path);
	with(d, keys, "");
	put_text(&d->spool, "confbridge-board-1764000000.wav", "x");
	put_text(&d->spool, "confbridge-evil-1764000000.wav", "x");
	intake_daemon_await_sealed(d, "confbridge-board-1764000000.wav");
	intake_daemon_await_sealed(d, "confbridge-evil-1764000000.wav");
	assert_account(d, "confbridge-board-1764000000.wav", "acme");
	assert_account(d, "confbridge-evil-1764000000.wav", NULL);
}

static bool told_of_the_map(struct fake_keeper *keeper, const void *nothing)
{
	const char *error = json_string_value(json_object_get(
			json_array_get(json_object_get(keeper->report, "spools"), 0),
			"last_error"));

	return reported(keeper, "waiting") > 0 && error && strstr(error, "AccountMap=");
}

static void without_its_map_a_recording_waits(void **state)
{
	struct intake_daemon *d = *state;
	char keys[256];

	snprintf(keys, sizeof(keys), "Profile=asterisk\nAccountMap=%s/map", d->folder.path);
	with(d, keys, "");
	intake_daemon_put(d, "confbridge-board-1764000000.wav", "x");
	intake_daemon_await(d, told_of_the_map, NULL);
	assert_int_equal(fake_keeper_begins(&d->keeper, "confbridge-board-1764000000.wav"), 0);
	put_text(&d->folder, "map", "board = acme\n");
	intake_daemon_await_sealed(d, "confbridge-board-1764000000.wav");
	assert_account(d, "confbridge-board-1764000000.wav", "acme");
}

static void one_account_for_a_spool(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=freeswitch\nAccount=acme", "");
	put_directory(&d->spool, "other.org");
	put_directory(&d->spool, "other.org/archive");
	put_text(&d->spool, "other.org/archive/x.wav", "x");
	intake_daemon_await_sealed(d, "other.org/archive/x.wav");
	assert_account(d, "other.org/archive/x.wav", "acme");
}

static bool one_refused(struct fake_keeper *keeper, const void *nothing)
{
	return reported(keeper, "refused") == 1;
}

static bool none_refused(struct fake_keeper *keeper, const void *nothing)
{
	return reported(keeper, "refused") == 0;
}

static void what_no_pattern_matches_is_told(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=asterisk", "");
	put_text(&d->spool, "call.wma", "x");
	intake_daemon_await(d, one_refused, NULL);
	assert_true(is_there(&d->spool, "call.wma"));
}

/* ---- What does not come to its end ---- */

static bool one_stale(struct fake_keeper *keeper, const void *nothing)
{
	return reported(keeper, "stale") == 1;
}

static bool none_stale(struct fake_keeper *keeper, const void *reports)
{
	return keeper->reports > *(const unsigned *)reports && reported(keeper, "stale") == 0;
}

static void a_recording_that_stays_open_is_told(void **state)
{
	struct intake_daemon *d = *state;

	if (!leases_work(&d->spool))
		skip();
	with(d, "StaleAfter=1s", "");
	int fd = openat(d->spool.fd, "live", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(io_write_all(fd, "x", 1), 0);
	intake_daemon_await(d, one_stale, NULL);
	assert_true(reported(&d->keeper, "stale_since_us") > 0);
	assert_int_equal(fake_keeper_begins(&d->keeper, "live"), 0);
	close(fd);
	intake_daemon_await_sealed(d, "live");
	unsigned reports = d->keeper.reports;
	intake_daemon_await(d, none_stale, &reports);
}

static void a_recording_without_its_marker_is_told(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=jibri\nStaleAfter=1s", "");
	put_directory(&d->spool, "s1");
	intake_daemon_put(d, MP4, "video");
	intake_daemon_await(d, one_stale, NULL);
	assert_true(is_there(&d->spool, MP4));
	put_text(&d->spool, META, "{}");
	intake_daemon_await_sealed(d, MP4);
}

/* It holds names, in plaintext. */
static void a_sidecar_that_no_recording_took_is_told(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=jibri\nStaleAfter=1s", "");
	put_directory(&d->spool, "s1");
	put_text(&d->spool, META, "{}");
	intake_daemon_await(d, one_refused, NULL);
	assert_true(is_there(&d->spool, META));
	put_text(&d->spool, MP4, "video"); /* that was only late */
	intake_daemon_await_sealed(d, MP4);
	await_gone(d, META);
	intake_daemon_await(d, none_refused, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			DAEMON_TEST(bbb_waits_for_the_archive),
			DAEMON_TEST(a_discarded_recording_is_sealed_with_a_mark),
			DAEMON_TEST(a_discarded_recording_is_left_when_told),
			DAEMON_TEST(a_discarded_recording_is_deleted_when_told),
			DAEMON_TEST(markers_that_cannot_be_seen_finish_nothing),
			DAEMON_TEST(unfinished_markers_that_cannot_be_seen_keep_a_recording),
			DAEMON_TEST(accounts_by_name_map_and_word),
			DAEMON_TEST(without_its_map_a_recording_waits),
			DAEMON_TEST(one_account_for_a_spool),
			DAEMON_TEST(what_no_pattern_matches_is_told),
			DAEMON_TEST(a_recording_that_stays_open_is_told),
			DAEMON_TEST(a_recording_without_its_marker_is_told),
			DAEMON_TEST(a_sidecar_that_no_recording_took_is_told),
	};

	return cmocka_run_group_tests_name("intake_marks", tests, NULL, NULL);
}
