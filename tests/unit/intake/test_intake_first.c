/* recseald and the first start on a folder: nothing is begun before the keeper has allowed it. */
#include "tests/unit/intake/profile_daemon.h"

static json_int_t asked(const struct fake_keeper *keeper, const char *key)
{
	const json_t *n = json_object_get(keeper->question, key);

	return json_is_integer(n) ? json_integer_value(n) : -1;
}

struct expected {
	json_int_t files;
	unsigned after; /* this many questions */
};

static bool has_counted(struct fake_keeper *keeper, const void *argument)
{
	const struct expected *e = argument;

	return keeper->questions > e->after && asked(keeper, "files") == e->files;
}

static void await_count(struct intake_daemon *d, json_int_t files)
{
	const struct expected e = {files, d->keeper.questions};

	intake_daemon_await(d, has_counted, &e);
}

static bool is_held(struct fake_keeper *keeper, const void *argument)
{
	return keeper->report &&
	       json_is_object(json_object_get(
			       json_array_get(json_object_get(keeper->report, "spools"), 0),
			       "held"));
}

static void files_wait_for_the_word(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.hold_spools = true;
	intake_daemon_put(d, "a.wav", "old");
	intake_daemon_put(d, "b.wav", "old too");
	intake_daemon_start(d);
	await_count(d, 2);
	assert_string_equal(
			json_string_value(json_object_get(d->keeper.question, "first")), "wait");
	assert_int_equal(asked(&d->keeper, "recordings"), 2);
	assert_int_equal(asked(&d->keeper, "bytes"), 10);
	assert_true(json_is_false(json_object_get(d->keeper.question, "empty")));
	intake_daemon_await(d, is_held, NULL);
	intake_daemon_put(d, "c.wav", "new"); /* what comes meanwhile waits, too */
	await_count(d, 3);
	await_count(d, 3);
	assert_int_equal(d->keeper.n, 0);
	d->keeper.hold_spools = false;
	fake_keeper_answer_spool(&d->keeper, true);
	intake_daemon_await_sealed(d, "a.wav");
	intake_daemon_await_sealed(d, "b.wav");
	intake_daemon_await_sealed(d, "c.wav");
}

/* Whatever comes into a folder that was found empty has come from its bridge. */
static void an_empty_folder_stays_empty(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.hold_spools = true;
	intake_daemon_start(d);
	await_count(d, 0);
	intake_daemon_put(d, "a.wav", "new");
	await_count(d, 1);
	assert_true(json_is_true(json_object_get(d->keeper.question, "empty")));
	assert_int_equal(d->keeper.n, 0);
	fake_keeper_answer_spool(&d->keeper, true);
	intake_daemon_await_sealed(d, "a.wav");
}

/* A file that a writer touches is not new for it: only births tell. */
static void an_old_file_stays_old(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.hold_spools = true;
	intake_daemon_put(d, "a.wav", "old");
	intake_daemon_start(d);
	await_count(d, 1);
	assert_int_equal(fchmodat(d->spool.fd, "a.wav", 0640, 0), 0);
	put_text(&d->spool, "a.wav", " and more");
	await_count(d, 1);
	await_count(d, 1);
	assert_true(json_is_false(json_object_get(d->keeper.question, "empty")));
	assert_int_equal(d->keeper.n, 0);
	fake_keeper_answer_spool(&d->keeper, true);
	intake_daemon_await_sealed(d, "a.wav");
}

static void an_answer_about_another_folder_counts_for_nothing(void **state)
{
	struct intake_daemon *d = *state;
	uint8_t other[INTAKE_SOURCE_BYTES] = {1};

	d->keeper.hold_spools = true;
	intake_daemon_put(d, "a.wav", "old");
	intake_daemon_start(d);
	await_count(d, 1);
	json_object_set_new(d->keeper.question, "folder", intake_wire_base64(other, sizeof(other)));
	fake_keeper_answer_spool(&d->keeper, true);
	await_count(d, 1);
	await_count(d, 1);
	assert_int_equal(d->keeper.n, 0);
	assert_true(is_there(&d->spool, "a.wav"));
}

/* Another keeper, or one whose database was put back, may know the folder no more. */
static void each_connection_asks_again(void **state)
{
	struct intake_daemon *d = *state;

	d->keeper.hold_spools = true;
	intake_daemon_start(d);
	await_count(d, 0);
	fake_keeper_answer_spool(&d->keeper, true);
	intake_daemon_barrier(d);
	unsigned before = d->keeper.questions;
	fake_keeper_vanish(&d->keeper);
	intake_daemon_put(d, "a.wav", "x");
	const struct expected e = {1, before};
	intake_daemon_await(d, has_counted, &e);
	assert_int_equal(fake_keeper_begins(&d->keeper, "a.wav"), 0);
	fake_keeper_answer_spool(&d->keeper, true);
	intake_daemon_await_sealed(d, "a.wav");
}

static void another_folder_waits_again(void **state)
{
	struct intake_daemon *d = *state;
	char away[80];

	intake_daemon_start(d);
	intake_daemon_barrier(d);
	d->keeper.hold_spools = true;
	snprintf(away, sizeof(away), "%s.away", d->spool.path);
	assert_int_equal(rename(d->spool.path, away), 0);
	assert_int_equal(mkdir(d->spool.path, 0700), 0);
	close(d->spool.fd);
	d->spool.fd = open(d->spool.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	intake_daemon_put(d, "a.wav", "of somebody else");
	await_count(d, 1);
	await_count(d, 1);
	assert_int_equal(fake_keeper_begins(&d->keeper, "a.wav"), 0);
	fake_keeper_answer_spool(&d->keeper, true);
	intake_daemon_await_sealed(d, "a.wav");
	assert_int_equal(rmdir(away), 0);
}

static void the_configuration_says_take(void **state)
{
	struct intake_daemon *d = *state;

	intake_daemon_put(d, "a.wav", "old");
	with(d, "FirstStart=take", "");
	intake_daemon_await_sealed(d, "a.wav");
	assert_string_equal(
			json_string_value(json_object_get(d->keeper.question, "first")), "take");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			DAEMON_TEST(files_wait_for_the_word),
			DAEMON_TEST(an_empty_folder_stays_empty),
			DAEMON_TEST(an_old_file_stays_old),
			DAEMON_TEST(an_answer_about_another_folder_counts_for_nothing),
			DAEMON_TEST(each_connection_asks_again),
			DAEMON_TEST(another_folder_waits_again),
			DAEMON_TEST(the_configuration_says_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
