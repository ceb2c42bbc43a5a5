/* recseald, whole, against a keeper that misbehaves on demand. Whatever happens, a plaintext goes
 * only after its own `committed` or `already`; the harness checks that all the while. */
#include <sys/wait.h>

#include "tests/unit/support/intake_daemon.h"

static bool begun(struct fake_keeper *keeper, const void *path)
{
	return fake_keeper_begins(keeper, path) > 0;
}

struct begins {
	const char *path;
	size_t n;
};

static bool begun_more(struct fake_keeper *keeper, const void *argument)
{
	const struct begins *before = argument;

	return fake_keeper_begins(keeper, before->path) > before->n;
}

static bool begun_twice(struct fake_keeper *keeper, const void *path)
{
	return fake_keeper_begins(keeper, path) > 1;
}

static bool committing(struct fake_keeper *keeper, const void *path)
{
	const struct fake_recording *r = fake_keeper_find(keeper, path);

	return r && r->state == FAKE_COMMITTING;
}

/* The first of its path. */
static bool first_aborted(struct fake_keeper *keeper, const void *path)
{
	for (size_t i = 0; i < keeper->n; i++) {
		if (strcmp(keeper->recordings[i].path, path) == 0)
			return keeper->recordings[i].state == FAKE_ABORTED;
	}
	return false;
}

static bool connected_again(struct fake_keeper *keeper, const void *connections)
{
	return keeper->connections > *(const unsigned *)connections;
}

static bool reported_since(struct fake_keeper *keeper, const void *reports)
{
	return keeper->reports > *(const unsigned *)reports;
}

static const json_t *spool_report(const struct fake_keeper *keeper)
{
	return json_array_get(json_object_get(keeper->report, "spools"), 0);
}

static json_int_t reported(const struct fake_keeper *keeper, const char *key)
{
	return json_integer_value(json_object_get(spool_report(keeper), key));
}

static bool refused_five(struct fake_keeper *keeper, const void *nothing)
{
	return reported(keeper, "refused") == 5;
}

static bool error_reported(struct fake_keeper *keeper, const void *nothing)
{
	return json_object_get(spool_report(keeper), "last_error") != NULL;
}

static void await_reports(struct intake_daemon *d, unsigned n)
{
	for (; n > 0; n--) {
		unsigned reports = d->keeper.reports;
		intake_daemon_await(d, reported_since, &reports);
	}
}

static void recordings_are_sealed_then_removed(void **state)
{
	static char longest[262] = "acme/";
	static const char *const paths[] = {"acme/call.wav", "acme/2026/11/new\nline", "top-level",
			"acme/\xff\xfe", longest};
	struct intake_daemon *d = *state;

	memset(longest + 5, 'n', 255);
	put_directory(&d->spool, "acme");
	put_directory(&d->spool, "acme/2026");
	put_directory(&d->spool, "acme/2026/11");
	for (size_t i = 0; i < ELEMENTSOF(paths); i++)
		intake_daemon_put(d, paths[i], paths[i]);
	for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
		intake_daemon_await_sealed(d, paths[i]);
		const struct fake_recording *r = fake_keeper_find(&d->keeper, paths[i]);
		fake_keeper_assert_sealed(r, paths[i], strlen(paths[i]));
		const char *account = json_string_value(json_object_get(r->begin, "account"));
		if (i == 2)
			assert_null(account);
		else
			assert_string_equal(account, "YWNtZQ=="); /* acme */
		assert_int_equal(fake_keeper_begins(&d->keeper, paths[i]), 1);
	}
	assert_true(is_there(&d->spool, "acme/2026/11")); /* the bridge's folders stay */
}

static void a_large_recording_is_sealed(void **state)
{
	struct intake_daemon *d = *state;
	size_t len = 5 * 1024 * 1024 + 123;
	uint8_t *bytes = calloc(1, len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 2654435761U >> 24);
	put_bytes(&d->spool, ".large", bytes, len);
	assert_int_equal(renameat(d->spool.fd, ".large", d->spool.fd, "large"), 0);
	intake_daemon_await_sealed(d, "large");
	fake_keeper_assert_sealed(fake_keeper_find(&d->keeper, "large"), bytes, len);
	free(bytes);
}

static void many_recordings_are_sealed(void **state)
{
	enum { MANY = 600 };
	struct intake_daemon *d = *state;
	char path[32];

	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "account-%d", i % 7);
		mkdirat(d->spool.fd, path, 0700);
		snprintf(path, sizeof(path), "account-%d/%d", i % 7, i);
		put_text(&d->spool, path, "audio");
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "account-%d/%d", i % 7, i);
		intake_daemon_await_sealed(d, path);
		assert_int_equal(fake_keeper_begins(&d->keeper, path), 1);
	}
}

static void what_is_no_recording_stays(void **state)
{
	static const char *const left[] = {".hidden", "copy.tmp", "copy.part", "empty", "symlink",
			"fifo", "one", "two", "directory-link", "directory/.x"};
	struct intake_daemon *d = *state;

	put_text(&d->spool, ".hidden", "x");
	put_text(&d->spool, "copy.tmp", "x");
	put_text(&d->spool, "copy.part", "x");
	put_text(&d->spool, "empty", "");
	put_directory(&d->spool, "directory");
	put_text(&d->spool, "directory/.x", "x");
	assert_int_equal(symlinkat("/etc/passwd", d->spool.fd, "symlink"), 0);
	assert_int_equal(symlinkat("/etc", d->spool.fd, "directory-link"), 0);
	assert_int_equal(mkfifoat(d->spool.fd, "fifo", 0600), 0);
	put_text(&d->folder, "one", "x"); /* two names before the spool sees either */
	assert_int_equal(linkat(d->folder.fd, "one", d->spool.fd, "one", 0), 0);
	assert_int_equal(linkat(d->folder.fd, "one", d->spool.fd, "two", 0), 0);
	intake_daemon_await(d, refused_five, NULL);
	intake_daemon_barrier(d);
	for (size_t i = 0; i < ELEMENTSOF(left); i++) {
		assert_true(is_there(&d->spool, left[i]));
		assert_int_equal(fake_keeper_begins(&d->keeper, left[i]), 0);
	}
	/* Once they are what they should be, they are sealed. */
	assert_int_equal(unlinkat(d->folder.fd, "one", 0), 0);
	assert_int_equal(unlinkat(d->spool.fd, "two", 0), 0);
	intake_daemon_await_sealed(d, "one");
	assert_int_equal(renameat(d->spool.fd, "copy.tmp", d->spool.fd, "copied"), 0);
	intake_daemon_await_sealed(d, "copied");
	put_text(&d->spool, "empty", "not any more");
	intake_daemon_await_sealed(d, "empty");
}

static void a_file_with_a_writer_waits(void **state)
{
	struct intake_daemon *d = *state;

	if (!leases_work(&d->spool))
		skip();
	int fd = openat(d->spool.fd, "live", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(io_write_all(fd, "first ", 6), 0);
	intake_daemon_barrier(d);
	await_reports(d, 2); /* and a rescan or two */
	assert_int_equal(fake_keeper_begins(&d->keeper, "live"), 0);
	assert_int_equal(io_write_all(fd, "last", 4), 0);
	close(fd);
	intake_daemon_await_sealed(d, "live");
	fake_keeper_assert_sealed(fake_keeper_find(&d->keeper, "live"), "first last", 10);
}

/* Opens for writing, which waits until recseald has let go, and appends. */
static void append(struct intake_daemon *d, const char *path, const char *text)
{
	put_text(&d->spool, path, text);
}

static void a_writer_during_sealing_is_let_in(void **state)
{
	struct intake_daemon *d = *state;

	if (!leases_work(&d->spool))
		skip();
	d->keeper.hold_begin = true;
	intake_daemon_put(d, "file", "first ");
	intake_daemon_await(d, begun, "file");
	append(d, "file", "last");
	intake_daemon_await(d, first_aborted, "file");
	d->keeper.hold_begin = false;
	intake_daemon_await(d, begun_twice, "file");
	intake_daemon_await_sealed(d, "file");
	fake_keeper_assert_sealed(fake_keeper_find(&d->keeper, "file"), "first last", 10);
}

static void a_writer_during_commit_keeps_the_plaintext(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.hold_commit = true;
	intake_daemon_put(d, "file", "first ");
	intake_daemon_await(d, committing, "file");
	append(d, "file", "last");
	d->keeper.hold_commit = false;
	fake_keeper_answer_commit(&d->keeper, fake_keeper_find(&d->keeper, "file"));
	/* What was sealed is not what is there: a second recording. */
	intake_daemon_await(d, begun_twice, "file");
	intake_daemon_await_sealed(d, "file");
	fake_keeper_assert_sealed(fake_keeper_find(&d->keeper, "file"), "first last", 10);
}

static void another_file_under_the_name_is_not_removed(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.hold_commit = true;
	intake_daemon_put(d, "file", "the one");
	intake_daemon_await(d, committing, "file");
	put_text(&d->spool, ".other", "the other");
	assert_int_equal(renameat(d->spool.fd, ".other", d->spool.fd, "file"), 0);
	struct fake_recording *r = fake_keeper_find(&d->keeper, "file");
	fake_keeper_answer_commit(&d->keeper, r);
	intake_daemon_await(d, begun_twice, "file");
	assert_true(is_there(&d->spool, "file"));
	intake_daemon_await(d, committing, "file");
	d->keeper.hold_commit = false;
	fake_keeper_answer_commit(&d->keeper, fake_keeper_find(&d->keeper, "file"));
	intake_daemon_await_sealed(d, "file");
	fake_keeper_assert_sealed(fake_keeper_find(&d->keeper, "file"), "the other", 9);
}

static void a_keeper_that_vanishes_is_awaited(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.hold_commit = true;
	intake_daemon_put(d, "file", "audio");
	intake_daemon_await(d, committing, "file");
	fake_keeper_vanish(&d->keeper);
	d->keeper.hold_commit = false;
	intake_daemon_await(d, begun_twice, "file");
	intake_daemon_await_sealed(d, "file");
	assert_int_equal(fake_keeper_begins(&d->keeper, "file"), 2);
}

static void a_lost_commit_reply_is_made_up_for(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.hold_commit = true;
	intake_daemon_put(d, "file", "audio");
	intake_daemon_await(d, committing, "file");
	/* Durable, but the answer never arrives. */
	fake_keeper_find(&d->keeper, "file")->state = FAKE_COMMITTED;
	fake_keeper_vanish(&d->keeper);
	intake_daemon_await_sealed(d, "file");
	assert_int_equal(fake_keeper_begins(&d->keeper, "file"), 2);
	assert_int_equal(fake_keeper_find(&d->keeper, "file")->object_fd, -1); /* `already` */
}

static void a_killed_recseald_goes_on_where_it_was(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.hold_commit = true;
	intake_daemon_put(d, "committed", "audio");
	intake_daemon_put(d, "not", "audio");
	intake_daemon_await(d, committing, "committed");
	intake_daemon_await(d, committing, "not");
	assert_true(WIFSIGNALED(intake_daemon_end(d, SIGKILL)));
	assert_true(is_there(&d->spool, "committed") && is_there(&d->spool, "not"));
	fake_keeper_find(&d->keeper, "committed")->state = FAKE_COMMITTED;
	fake_keeper_find(&d->keeper, "not")->state = FAKE_ABORTED;
	fake_keeper_vanish(&d->keeper);
	d->keeper.hold_commit = false;
	intake_daemon_start(d);
	intake_daemon_await_sealed(d, "committed");
	intake_daemon_await_sealed(d, "not");
	fake_keeper_assert_sealed(fake_keeper_find(&d->keeper, "not"), "audio", 5);
}

static void a_failure_is_tried_again(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.fail_with = "object directory: No space left on device";
	d->keeper.fail_retry = true;
	intake_daemon_put(d, "file", "audio");
	intake_daemon_await(d, error_reported, NULL);
	assert_string_equal(
			json_string_value(json_object_get(spool_report(&d->keeper), "last_error")),
			"keeper: object directory: No space left on device");
	assert_int_equal(reported(&d->keeper, "waiting"), 1);
	assert_true(reported(&d->keeper, "oldest_finished_us") > 0);
	intake_daemon_await(d, begun_twice, "file");
	assert_true(is_there(&d->spool, "file"));
	d->keeper.fail_with = NULL;
	intake_daemon_await_sealed(d, "file");
	await_reports(d, 2);
	assert_false(error_reported(&d->keeper, NULL));
	assert_int_equal(reported(&d->keeper, "waiting"), 0);
}

static void a_refusal_holds_until_the_file_changes(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.fail_with = "not this one";
	d->keeper.fail_retry = false;
	intake_daemon_put(d, "file", "audio");
	intake_daemon_await(d, begun, "file");
	d->keeper.fail_with = NULL;
	await_reports(d, 3); /* rescans go by */
	intake_daemon_barrier(d);
	assert_int_equal(fake_keeper_begins(&d->keeper, "file"), 1);
	assert_true(is_there(&d->spool, "file"));
	append(d, "file", " and more");
	intake_daemon_await_sealed(d, "file");
	fake_keeper_assert_sealed(fake_keeper_find(&d->keeper, "file"), "audio and more", 14);
}

/* Says the text with the number of the job in progress for JOB. */
static void say_about_the_latest(struct intake_daemon *d, const char *text)
{
	const char *at = strstr(text, "JOB");
	char said[256];

	snprintf(said, sizeof(said), "%s", text);
	if (at)
		snprintf(said, sizeof(said), "%.*s%lld%s", (int)(at - text), text,
				(long long)fake_keeper_find(&d->keeper, "file")->job, at + 3);
	fake_keeper_say(&d->keeper, said);
}

static void a_keeper_that_talks_nonsense_gets_nothing(void **state)
{
	static const char *const nonsense[] = {"{\"op\":\"committed\",\"job\":JOB}",
			"{\"op\":\"committed\",\"job\":JOB,\"recording\":\"01arz3ndektsv4rrffq69g5fav\"}",
			"{\"op\":\"already\",\"job\":JOB,\"recording\":\"../../etc\"}",
			/* Of what this job has not sealed yet. */
			("{\"op\":\"already\",\"job\":JOB,\"recording\":"
			 "\"01arz3ndektsv4rrffq69g5fav\",\"sidecars\":true}"),
			"{\"op\":\"begun\",\"job\":JOB}", "{\"op\":\"begun\",\"job\":\"JOB\"}",
			"{\"op\":\"committed\",\"job\":-1}",
			"{\"op\":\"committed\",\"job\":999999}", "{\"op\":\"what\",\"job\":JOB}",
			"{\"op\":\"failed\",\"job\":JOB}", "nonsense", "{}"};
	struct intake_daemon *d = *state;

	d->keeper.hold_begin = true;
	intake_daemon_put(d, "file", "audio");
	for (size_t i = 0; i < ELEMENTSOF(nonsense); i++) {
		const struct begins before = {"file", fake_keeper_begins(&d->keeper, "file")};
		unsigned connections = d->keeper.connections;
		if (before.n == i) /* of this connection; the first may have come already */
			intake_daemon_await(d, begun_more, &before);
		say_about_the_latest(d, nonsense[i]);
		intake_daemon_await(d, connected_again, &connections);
		assert_true(is_there(&d->spool, "file"));
	}
	d->keeper.hold_begin = false;
	fake_keeper_vanish(&d->keeper);
	intake_daemon_await_sealed(d, "file");
}

static void a_spool_that_vanishes_is_awaited(void **state)
{
	struct intake_daemon *d = *state;
	char elsewhere[80];

	snprintf(elsewhere, sizeof(elsewhere), "%s.away", d->spool.path);
	intake_daemon_barrier(d);
	assert_int_equal(rename(d->spool.path, elsewhere), 0);
	intake_daemon_await(d, error_reported, NULL);
	put_text(&d->spool, "file", "written while it was away");
	assert_int_equal(rename(elsewhere, d->spool.path), 0);
	intake_daemon_await_sealed(d, "file");
	intake_daemon_barrier(d); /* and it is watched again */
}

static void renamed_directories_are_followed(void **state)
{
	struct intake_daemon *d = *state;

	put_directory(&d->folder, "moved");
	put_text(&d->folder, "moved/inside", "audio");
	assert_int_equal(renameat(d->folder.fd, "moved", d->spool.fd, "acme"), 0);
	intake_daemon_await_sealed(d, "acme/inside");
	assert_int_equal(renameat(d->spool.fd, "acme", d->spool.fd, "other"), 0);
	put_text(&d->spool, "other/file", "audio");
	intake_daemon_await_sealed(d, "other/file");
}

static void stopping_leaves_what_is_not_committed(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.hold_begin = true;
	intake_daemon_put(d, "begun", "audio");
	intake_daemon_await(d, begun, "begun");
	assert_int_equal(intake_daemon_end(d, SIGTERM), 0);
	assert_true(is_there(&d->spool, "begun"));
}

/* The negative control: were a plaintext to go too early, the harness would see it. */
static void the_harness_sees_a_lost_recording(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.hold_commit = true;
	intake_daemon_put(d, "file", "audio");
	intake_daemon_await(d, committing, "file");
	assert_null(intake_daemon_vanished(d));
	assert_int_equal(unlinkat(d->spool.fd, "file", 0), 0);
	assert_string_equal(intake_daemon_vanished(d), "file");
}

static int exit_code(const char *option, const char *value)
{
	const char *program = getenv("RECSEALD");
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int quiet = open("/dev/null", O_WRONLY);
		dup2(quiet, 1);
		dup2(quiet, 2);
		execl(program ? program : "./recseald", "recseald", option, value, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void exit_codes_are_as_documented(void **state)
{
	assert_int_equal(exit_code("--help", NULL), 0);
	assert_int_equal(exit_code("--version", NULL), 0);
	assert_int_equal(exit_code("--nonsense", NULL), 2);
	assert_int_equal(exit_code("argument", NULL), 2);
	assert_int_equal(exit_code("--config", "/nonexistent/recseal.conf"), 1);
}

#define with_daemon(test)                                                                          \
	cmocka_unit_test_setup_teardown(test, intake_daemon_setup, intake_daemon_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			with_daemon(recordings_are_sealed_then_removed),
			with_daemon(a_large_recording_is_sealed),
			with_daemon(many_recordings_are_sealed),
			with_daemon(what_is_no_recording_stays),
			with_daemon(a_file_with_a_writer_waits),
			with_daemon(a_writer_during_sealing_is_let_in),
			with_daemon(a_writer_during_commit_keeps_the_plaintext),
			with_daemon(another_file_under_the_name_is_not_removed),
			with_daemon(a_keeper_that_vanishes_is_awaited),
			with_daemon(a_lost_commit_reply_is_made_up_for),
			with_daemon(a_killed_recseald_goes_on_where_it_was),
			with_daemon(a_failure_is_tried_again),
			with_daemon(a_refusal_holds_until_the_file_changes),
			with_daemon(a_keeper_that_talks_nonsense_gets_nothing),
			with_daemon(a_spool_that_vanishes_is_awaited),
			with_daemon(renamed_directories_are_followed),
			with_daemon(stopping_leaves_what_is_not_committed),
			with_daemon(the_harness_sees_a_lost_recording),
			cmocka_unit_test(exit_codes_are_as_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
