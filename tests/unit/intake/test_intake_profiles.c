/* recseald with profiles: recordings with what lies beside them as bridges leave it, and enemies
 * among that, against a keeper that does as it is told. */
#include "tests/unit/intake/profile_daemon.h"

#include <time.h>

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
			"link", "fifo", "folder", "twice", "large", "deep", "long", "good"};
	static char large[16385], deep[12001], large_name[16001];
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
	memset(large_name, 'x', sizeof(large_name) - 1); /* more than a message could hold */
	memcpy(large_name, "{\"tenant\":\"", 11);
	memcpy(large_name + sizeof(large_name) - 3, "\"}", 3);
	put_text(&d->spool, "long.json", large_name);
	put_text(&d->spool, "good.json", "{\"tenant\":\"acme\"}");
	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		snprintf(path, sizeof(path), "%s.wav", names[i]);
		put_text(&d->spool, path, "audio");
		intake_daemon_await_sealed(d, path);
		bool good = strcmp(names[i], "good") == 0,
		     bytes = good || strcmp(names[i], "deep") == 0 || strcmp(names[i], "long") == 0;
		assert_account(d, path, good ? "acme" : NULL);
		assert_int_equal(sidecars(d, path), bytes ? 1 : 0);
		snprintf(path, sizeof(path), "%s.json", names[i]);
		if (bytes)
			await_gone(d, path);
		else
			assert_true(is_there(&d->spool, path));
	}
}

/* All that a recording can have with it, at the end of the longest path, is one message. */
static void the_most_there_can_be_fits(void **state)
{
	static char path[4096], sidecar[4096], large[16384];
	struct intake_daemon *d = *state;
	size_t n = 0;

	with(d, "Profile=most",
			"[profile most]\nFiles=*.wav\nSidecar={stem}.a {stem}.b {stem}.c {stem}.d\n"
			"Account={meta.t}");
	memset(large, 'x', sizeof(large));
	memcpy(large, "t: ", 3);
	memset(large + 1027, '\n', 1); /* an account of 1024 bytes */
	while (n < 3900) {
		memset(path + n, 'd', 250);
		path[n += 250] = '\0';
		put_directory(&d->spool, path);
		path[n++] = '/';
	}
	for (const char *c = "abcd"; *c; c++) {
		snprintf(sidecar, sizeof(sidecar), "%.*scall.%c", (int)n, path, *c);
		put_bytes(&d->spool, sidecar, large, sizeof(large));
	}
	strcpy(path + n, "call.wav");
	intake_daemon_put(d, path, "audio");
	intake_daemon_await_sealed(d, path);
	assert_int_equal(sidecars(d, path), 4);
	assert_true(json_is_string(json_object_get(begin_of(d, path), "account")));
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

/* An hour of calls, while recseald was away: each with its own. */
static void a_manifest_is_found_among_many(void **state)
{
	enum { OTHERS = 300 };
	static const char manifest[] = "{\"files\":[{\"filename\":\"" EGRESS "\"}]}";
	struct intake_daemon *d = *state;
	const struct timespec later[2] = {
			{.tv_sec = time(NULL) + 900}, {.tv_sec = time(NULL) + 900}};
	char path[64];

	put_directory(&d->spool, "out");
	intake_daemon_put(d, EGRESS, "video");
	put_text(&d->spool, "out/EG_own.json", manifest);
	for (int i = 0; i < OTHERS; i++) {
		snprintf(path, sizeof(path), "out/EG_%d.json", i);
		put_text(&d->spool, path, "{\"files\":[{\"filename\":\"out/other.mp4\"}]}");
		assert_int_equal(utimensat(d->spool.fd, path, later, 0), 0);
	}
	with(d, "Profile=livekit", "");
	intake_daemon_await_sealed(d, EGRESS);
	assert_sidecar(d, EGRESS, "out/EG_own.json", manifest);
}

#define TENANT                                                                                     \
	"[profile tree]\nFiles=/{tenant}/{day}/{call}.wav\nSidecar=/{tenant}/owner.txt\n"          \
	"Account={meta.owner} {tenant}\n"

/* One sidecar for the recordings of several folders. */
static void a_sidecar_of_the_spool_stays_for_the_last(void **state)
{
	struct intake_daemon *d = *state;

	put_directory(&d->spool, "t1");
	put_directory(&d->spool, "t1/mon");
	put_directory(&d->spool, "t1/tue");
	put_text(&d->spool, "t1/owner.txt", "owner: acme\n");
	with(d, "Profile=tree", TENANT);
	d->keeper.hold_commit = true;
	intake_daemon_put(d, "t1/mon/a.wav", "x");
	intake_daemon_put(d, "t1/tue/a.wav", "xy");
	intake_daemon_await(d, committing, "t1/mon/a.wav");
	intake_daemon_await(d, committing, "t1/tue/a.wav");
	fake_keeper_answer_commit(&d->keeper, fake_keeper_find(&d->keeper, "t1/mon/a.wav"));
	await_gone(d, "t1/mon/a.wav");
	/* What is removed after a recording is so before the next is begun. */
	d->keeper.hold_commit = false;
	put_directory(&d->spool, "t2");
	put_directory(&d->spool, "t2/mon");
	intake_daemon_put(d, "t2/mon/barrier.wav", "xyz");
	intake_daemon_await_sealed(d, "t2/mon/barrier.wav");
	assert_true(is_there(&d->spool, "t1/owner.txt"));
	fake_keeper_answer_commit(&d->keeper, fake_keeper_find(&d->keeper, "t1/tue/a.wav"));
	await_gone(d, "t1/owner.txt");
	assert_account(d, "t1/mon/a.wav", "acme");
	assert_account(d, "t1/tue/a.wav", "acme");
	assert_account(d, "t2/mon/barrier.wav", "t2");
}

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
			DAEMON_TEST(the_most_there_can_be_fits),
			DAEMON_TEST(a_late_sidecar_is_awaited),
			DAEMON_TEST(a_sidecar_that_never_comes_is_not_awaited_for_ever),
			DAEMON_TEST(a_manifest_is_found_by_what_it_says),
			DAEMON_TEST(a_manifest_is_found_among_many),
			DAEMON_TEST(a_sidecar_of_the_spool_stays_for_the_last),
	};

	return cmocka_run_group_tests_name("intake_profiles", tests, NULL, NULL);
}
