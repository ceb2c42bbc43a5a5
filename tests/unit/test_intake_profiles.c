/* recseald with profiles: files laid out as bridges do, their markers, sidecars and discards, and
 * enemies among them, against a keeper that does as it is told. */
#include "tests/unit/intake_daemon.h"

#define MP4  "s1/standup_2026-11-23-10-00-00.mp4"
#define MP4B "s1/standup_2026-11-23-11-00-00.mp4"
#define META "s1/metadata.json"

/* The daemon starts with more keys for its spool, and more sections. */
static void with(struct intake_daemon *d, const char *spool_keys, const char *sections)
{
	char text[1024];

	put_directory(&d->folder, "recseal.conf.d");
	snprintf(text, sizeof(text), "[spool inbox]\n%s\n%s\n", spool_keys, sections);
	put_text(&d->folder, "recseal.conf.d/more.conf", text);
	intake_daemon_start(d);
}

static const json_t *begin_of(struct intake_daemon *d, const char *path)
{
	return fake_keeper_find(&d->keeper, path)->begin;
}

static void assert_account(struct intake_daemon *d, const char *path, const char *expected)
{
	const json_t *begin = begin_of(d, path);
	uint8_t *account;
	size_t len;

	if (!expected) {
		assert_true(json_is_null(json_object_get(begin, "account")));
		return;
	}
	assert_int_equal(intake_wire_bytes(begin, "account", 4096, &account, &len), 0);
	assert_string_equal((char *)account, expected);
	free(account);
}

static size_t sidecars(struct intake_daemon *d, const char *path)
{
	return json_array_size(json_object_get(begin_of(d, path), "sidecars"));
}

static void assert_sidecar(
	struct intake_daemon *d, const char *path, const char *sidecar, const char *text)
{
	const json_t *list = json_object_get(begin_of(d, path), "sidecars");
	uint8_t *bytes;
	size_t len;

	assert_int_equal(json_array_size(list), 1);
	assert_int_equal(intake_wire_bytes(json_array_get(list, 0), "path", 4096, &bytes, &len), 0);
	assert_string_equal((char *)bytes, sidecar);
	free(bytes);
	assert_int_equal(
		intake_wire_bytes(json_array_get(list, 0), "bytes", 16384, &bytes, &len), 0);
	assert_string_equal((char *)bytes, text);
	free(bytes);
}

static bool is_gone(struct fake_keeper *keeper, const void *argument)
{
	const struct {
		const struct intake_daemon *d;
		const char *path;
	} *what = argument;

	return !is_there(&what->d->spool, what->path);
}

static void await_gone(struct intake_daemon *d, const char *path)
{
	const struct {
		const struct intake_daemon *d;
		const char *path;
	} what = {d, path};

	intake_daemon_await(d, is_gone, &what);
}

static bool committing(struct fake_keeper *keeper, const void *path)
{
	const struct fake_recording *r = fake_keeper_find(keeper, path);

	return r && r->state == FAKE_COMMITTING;
}

static json_int_t reported(const struct fake_keeper *keeper, const char *key)
{
	return json_integer_value(
		json_object_get(json_array_get(json_object_get(keeper->report, "spools"), 0), key));
}

/* A Jibri recording with all that belongs to it: when it is gone, what came before was seen. */
static void jibri_barrier(struct intake_daemon *d)
{
	put_directory(&d->spool, "s0");
	put_text(&d->spool, "s0/metadata.json", "{}");
	put_text(&d->spool, "s0/barrier_1.mp4", "x");
	intake_daemon_await_sealed(d, "s0/barrier_1.mp4");
}

/* ---- Markers and sidecars ---- */

static void jibri_is_finished_by_its_metadata(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=jibri", "");
	put_directory(&d->spool, "s1");
	intake_daemon_put(d, MP4, "video");
	jibri_barrier(d);
	assert_int_equal(fake_keeper_begins(&d->keeper, MP4), 0);
	put_text(&d->spool, META, "{\"meeting_url\":\"https://x/standup\"}");
	intake_daemon_await_sealed(d, MP4);
	await_gone(d, META);
	assert_account(d, MP4, "standup");
	assert_sidecar(d, MP4, META, "{\"meeting_url\":\"https://x/standup\"}");
	assert_false(json_is_true(json_object_get(begin_of(d, MP4), "discarded")));
}

/* The marker is there from the moment it is created; what it says is not. */
static void a_marker_that_is_still_written_is_awaited(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=jibri", "");
	put_directory(&d->spool, "s1");
	intake_daemon_put(d, MP4, "video");
	put_text(&d->spool, META, "");
	jibri_barrier(d);
	assert_int_equal(fake_keeper_begins(&d->keeper, MP4), 0);
	put_text(&d->spool, META, "{}");
	intake_daemon_await_sealed(d, MP4);
	assert_sidecar(d, MP4, META, "{}");
}

static void a_shared_sidecar_stays_for_the_last(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=jibri", "");
	d->keeper.hold_commit = true;
	put_directory(&d->spool, "s1");
	intake_daemon_put(d, MP4, "video");
	intake_daemon_put(d, MP4B, "video, too");
	put_text(&d->spool, META, "{}");
	intake_daemon_await(d, committing, MP4);
	intake_daemon_await(d, committing, MP4B);
	fake_keeper_answer_commit(&d->keeper, fake_keeper_find(&d->keeper, MP4));
	await_gone(d, MP4);
	assert_true(is_there(&d->spool, META));
	fake_keeper_answer_commit(&d->keeper, fake_keeper_find(&d->keeper, MP4B));
	await_gone(d, META);
	assert_sidecar(d, MP4, META, "{}");
	assert_sidecar(d, MP4B, META, "{}");
}

static void a_sidecar_that_changed_since_stays(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=jibri", "");
	d->keeper.hold_commit = true;
	put_directory(&d->spool, "s1");
	intake_daemon_put(d, MP4, "video");
	put_text(&d->spool, META, "{}");
	intake_daemon_await(d, committing, MP4);
	put_text(&d->spool, META, " "); /* what is sealed is not this any more */
	fake_keeper_answer_commit(&d->keeper, fake_keeper_find(&d->keeper, MP4));
	await_gone(d, MP4);
	d->keeper.hold_commit = false;
	jibri_barrier(d);
	assert_true(is_there(&d->spool, META));
}

static void lose_commit_reply(struct intake_daemon *d)
{
	d->keeper.hold_commit = true;
	put_directory(&d->spool, "s1");
	intake_daemon_put(d, MP4, "video");
	put_text(&d->spool, META, "{}");
	intake_daemon_await(d, committing, MP4);
	fake_keeper_find(&d->keeper, MP4)->state = FAKE_COMMITTED;
	fake_keeper_vanish(&d->keeper);
	d->keeper.hold_commit = false;
	d->keeper.know_committed = true;
}

static void known_sidecars_go(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=jibri", "");
	d->keeper.know_sidecars = true;
	lose_commit_reply(d);
	await_gone(d, MP4);
	await_gone(d, META);
}

static void unknown_sidecars_stay(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=jibri", "");
	d->keeper.know_sidecars = false;
	lose_commit_reply(d);
	await_gone(d, MP4);
	jibri_barrier(d);
	assert_true(is_there(&d->spool, META));
}

#define CUSTOM                                                                                     \
	"[profile custom]\nFiles=*.wav barrier-*\nSidecar={stem}.json\n"                           \
	"Account={meta.tenant} {stem}\n"

static void hostile_sidecars_do_not_stop_a_recording(void **state)
{
	static const char *const names[] = {
		"link", "fifo", "folder", "twice", "large", "deep", "good"};
	static char large[16385], deep[12001];
	struct intake_daemon *d = *state;
	char path[32];

	with(d, "Profile=custom",
		"[profile custom]\nFiles=*.wav barrier-*\nSidecar={stem}.json\n"
		"Account={meta.tenant}\n");
	assert_int_equal(symlinkat("/etc/passwd", d->spool.fd, "link.json"), 0);
	assert_int_equal(mkfifoat(d->spool.fd, "fifo.json", 0600), 0);
	put_directory(&d->spool, "folder.json");
	put_text(&d->folder, "other", "{\"tenant\":\"evil\"}");
	assert_int_equal(linkat(d->folder.fd, "other", d->spool.fd, "twice.json", 0), 0);
	memset(large, ' ', sizeof(large));
	put_bytes(&d->spool, "large.json", large, sizeof(large));
	for (size_t i = 0; i < sizeof(deep) - 1; i += 5)
		memcpy(deep + i, "{\"a\":", 5);
	put_text(&d->spool, "deep.json", deep);
	put_text(&d->spool, "good.json", "{\"tenant\":\"acme\"}");
	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		snprintf(path, sizeof(path), "%s.wav", names[i]);
		put_text(&d->spool, path, "audio");
		intake_daemon_await_sealed(d, path);
		bool good = strcmp(names[i], "good") == 0,
		     bytes = good || strcmp(names[i], "deep") == 0;
		assert_account(d, path, good ? "acme" : NULL);
		assert_int_equal(sidecars(d, path), bytes ? 1 : 0);
		snprintf(path, sizeof(path), "%s.json", names[i]);
		if (bytes)
			await_gone(d, path);
		else
			assert_true(is_there(&d->spool, path));
	}
}

static void a_late_sidecar_is_awaited(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=custom", CUSTOM "SidecarWait=1h");
	intake_daemon_put(d, "call.wav", "audio");
	put_text(&d->spool, "b.json", "{}");
	intake_daemon_put(d, "b.wav", "audio");
	intake_daemon_await_sealed(d, "b.wav");
	assert_int_equal(fake_keeper_begins(&d->keeper, "call.wav"), 0);
	put_text(&d->spool, "call.json", "{\"tenant\":\"acme\"}");
	intake_daemon_await_sealed(d, "call.wav");
	assert_account(d, "call.wav", "acme");
	await_gone(d, "call.json");
}

static void a_sidecar_that_never_comes_is_not_awaited_for_ever(void **state)
{
	struct intake_daemon *d = *state;

	with(d, "Profile=custom", CUSTOM "SidecarWait=1s");
	intake_daemon_put(d, "call.wav", "audio");
	intake_daemon_await_sealed(d, "call.wav");
	assert_account(d, "call.wav", "call");
	assert_int_equal(sidecars(d, "call.wav"), 0);
}

#define EGRESS "out/board-2026-11-23T100000.mp4"

static void a_manifest_is_found_by_what_it_says(void **state)
{
	static const char manifest[] =
		"{\"egress_id\":\"EG_b\",\"files\":[{\"filename\":\"" EGRESS "\"}]}";
	struct intake_daemon *d = *state;

	with(d, "Profile=livekit", "");
	put_directory(&d->spool, "out");
	put_text(&d->spool, "out/EG_a.json", "{\"files\":[{\"filename\":\"out/other.mp4\"}]}");
	put_text(&d->spool, "out/EG_c.json",
		"\"xboard-2026-11-23T100000.mp4\" \"out/board-2026-11-23T100000.mp4.x\"");
	assert_int_equal(mkfifoat(d->spool.fd, "out/EG_d.json", 0600), 0);
	intake_daemon_put(d, EGRESS, "video");
	put_text(&d->spool, "out/EG_b.json", manifest); /* last, as LiveKit does */
	intake_daemon_await_sealed(d, EGRESS);
	assert_account(d, EGRESS, "board");
	assert_sidecar(d, EGRESS, "out/EG_b.json", manifest);
	await_gone(d, "out/EG_b.json");
	assert_true(is_there(&d->spool, "out/EG_a.json"));
	assert_true(is_there(&d->spool, "out/EG_c.json"));
}

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

static bool mapped(struct fake_keeper *keeper, const void *nothing)
{
	return reported(keeper, "waiting") > 0;
}

static void without_its_map_a_recording_waits(void **state)
{
	struct intake_daemon *d = *state;
	char keys[256];

	snprintf(keys, sizeof(keys), "Profile=asterisk\nAccountMap=%s/map", d->folder.path);
	with(d, keys, "");
	intake_daemon_put(d, "confbridge-board-1764000000.wav", "x");
	intake_daemon_await(d, mapped, NULL);
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
	assert_int_equal(write_all(fd, "x", 1), 0);
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

#define DAEMON_TEST(f)                                                                             \
	cmocka_unit_test_setup_teardown(f, intake_daemon_setup_only, intake_daemon_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DAEMON_TEST(jibri_is_finished_by_its_metadata),
		DAEMON_TEST(a_marker_that_is_still_written_is_awaited),
		DAEMON_TEST(a_shared_sidecar_stays_for_the_last),
		DAEMON_TEST(a_sidecar_that_changed_since_stays),
		DAEMON_TEST(known_sidecars_go),
		DAEMON_TEST(unknown_sidecars_stay),
		DAEMON_TEST(hostile_sidecars_do_not_stop_a_recording),
		DAEMON_TEST(a_late_sidecar_is_awaited),
		DAEMON_TEST(a_sidecar_that_never_comes_is_not_awaited_for_ever),
		DAEMON_TEST(a_manifest_is_found_by_what_it_says),
		DAEMON_TEST(bbb_waits_for_the_archive),
		DAEMON_TEST(a_discarded_recording_is_sealed_with_a_mark),
		DAEMON_TEST(a_discarded_recording_is_left_when_told),
		DAEMON_TEST(a_discarded_recording_is_deleted_when_told),
		DAEMON_TEST(markers_that_cannot_be_seen_finish_nothing),
		DAEMON_TEST(accounts_by_name_map_and_word),
		DAEMON_TEST(without_its_map_a_recording_waits),
		DAEMON_TEST(one_account_for_a_spool),
		DAEMON_TEST(what_no_pattern_matches_is_told),
		DAEMON_TEST(a_recording_that_stays_open_is_told),
		DAEMON_TEST(a_recording_without_its_marker_is_told),
	};

	return cmocka_run_group_tests_name("intake_profiles", tests, NULL, NULL);
}
