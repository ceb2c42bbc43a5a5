/* recsealctl play: sealed objects, whole and damaged, from a keeper that may lie. */
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "cli/exit.h"
#include "crypto/age_stream.h"
#include "tests/unit/support/cli_assert.h"
#include "tests/unit/support/cli_fixture.h"

#define PROGRAM "./recsealctl"

#define run(...)  harness_run(f->harness, &o, PROGRAM, __VA_ARGS__, NULL)
#define play(...) run("play", SAMPLE_ID, "--reason", "case 7", ##__VA_ARGS__)

static void test_play_to_stdout(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	harness_keeper(f->harness, &f->script, 1);
	play();
	assert_int_equal(o.status, CLI_DONE);
	assert_int_equal(o.out_len, f->sample.plain_len);
	assert_memory_equal(o.out, f->sample.plain, f->sample.plain_len);
	assert_string_equal(o.err, "");
	outcome_free(&o);
	_cleanup_free_ char *calls = harness_calls(f->harness);
	assert_string_equal(calls,
			"{\"method\":\"org.recseal.control.OpenRecording\",\"parameters\":{\"id\":"
			"\"" SAMPLE_ID "\",\"purpose\":\"play\",\"reason\":\"case 7\"}}\n");
}

static void test_play_an_empty_recording(void **state)
{
	struct fixture *f = *state;
	struct sample empty;
	char text[512];
	struct outcome o;

	sample_make(f->harness, "empty", 0, &empty);
	const struct scripted script = sample_script(&empty, text, sizeof(text));
	harness_keeper(f->harness, &script, 1);
	play();
	assert_int_equal(o.status, CLI_DONE);
	assert_int_equal(o.out_len, 0);
	outcome_free(&o);
	sample_free(&empty);
}

static void assert_file_is_sample(const char *path, const struct sample *sample)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ uint8_t *bytes = malloc(sample->plain_len + 1);
	struct stat st;
	size_t len;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(io_pread_full(fd, bytes, sample->plain_len + 1, 0, &len), 0);
	assert_int_equal(len, sample->plain_len);
	assert_memory_equal(bytes, sample->plain, len);
}

/* What is in a folder below the harness's. */
static size_t count_files(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	size_t n = 0;

	for (struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
	return n;
}

static void test_play_to_file(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *out = harness_path(f->harness, "out");
	struct outcome o;

	harness_keeper(f->harness, &f->script, 1);
	play("-o", out, "--json");
	assert_int_equal(o.status, CLI_DONE);
	assert_file_is_sample(out, &f->sample);
	json_t *result = json_loads(o.out, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(result, "bytes")), f->sample.plain_len);
	json_decref(result);
	outcome_free(&o);
}

static void test_play_never_replaces_a_file(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *out = harness_path(f->harness, "dangling");
	struct outcome o;

	assert_int_equal(symlink("nowhere", out), 0);
	harness_keeper(f->harness, &f->script, 1);
	play("-o", out);
	assert_int_equal(o.status, CLI_ERROR);
	assert_contains(o.err, "never replaced");
	outcome_free(&o);
	_cleanup_free_ char *calls = harness_calls(f->harness);
	assert_string_equal(calls, ""); /* and nothing was played */
	play("-o", f->harness->dir);
	assert_int_equal(o.status, CLI_ERROR);
	outcome_free(&o);
	play("-o", "/nowhere/at/all");
	assert_int_equal(o.status, CLI_ERROR);
	assert_contains(o.err, "cannot create /nowhere/at/all: No such file or directory");
	outcome_free(&o);
}

static void test_play_of_a_damaged_recording_keeps_what_is_authentic(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	fixture_damage_chunk(f, 5);
	harness_keeper(f->harness, &f->script, 1);
	play();
	assert_int_equal(o.status, CLI_ERROR);
	assert_int_equal(o.out_len, 5 * AGE_CHUNK_BYTES);
	assert_memory_equal(o.out, f->sample.plain, o.out_len);
	assert_contains(o.err, "the 327680 bytes written so far are authentic but incomplete");
	outcome_free(&o);
}

static void test_play_of_a_damaged_recording_leaves_no_file(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *dir = harness_path(f->harness, "d");
	_cleanup_free_ char *out = harness_path(f->harness, "d/out");
	struct outcome o;

	assert_int_equal(mkdir(dir, 0700), 0);
	fixture_damage_chunk(f, 2);
	harness_keeper(f->harness, &f->script, 1);
	play("-o", out);
	assert_int_equal(o.status, CLI_ERROR);
	assert_contains(o.err, "is damaged after 131072 bytes");
	assert_contains(o.err, "was not created");
	assert_int_equal(count_files(dir), 0);
	outcome_free(&o);
}

static void test_play_of_a_truncated_recording_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	/* At a chunk's end: every chunk that is left is authentic. */
	assert_int_equal(
			ftruncate(f->sample.object_fd, (off_t)(f->sample.payload_offset +
								       3 * AGE_SEALED_CHUNK_BYTES)),
			0);
	harness_keeper(f->harness, &f->script, 1);
	play();
	assert_int_equal(o.status, CLI_ERROR);
	assert_int_equal(o.out_len, 0);
	assert_contains(o.err, "nothing was written");
	outcome_free(&o);
}

static void test_play_to_a_full_disk(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	harness_keeper(f->harness, &f->script, 1);
	harness_run(f->harness, &o, "sh", "-c",
			PROGRAM " play " SAMPLE_ID " --reason x > /dev/full", NULL);
	assert_int_equal(o.status, CLI_ERROR);
	assert_contains(o.err, "No space left on device");
	outcome_free(&o);
}

static void test_play_refuses_a_terminal(void **state)
{
	struct fixture *f = *state;
	const char *const argv[] = {PROGRAM, "play", SAMPLE_ID, "--reason", "x", NULL};
	struct outcome o;

	harness_keeper(f->harness, &f->script, 1);
	harness_terminal(&o, "", NULL, argv);
	assert_int_equal(o.status, CLI_USAGE);
	assert_contains(o.out, "does not belong on a terminal");
	outcome_free(&o);
}

/* Replies that the interface does not allow. */
static void test_play_from_a_lying_keeper(void **state)
{
	struct fixture *f = *state;
	const struct socket_fds good = f->script.fds;
	int pipe_fds[2];

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	const struct {
		const char *replies;
		struct socket_fds fds;
	} cases[] = {
			{f->script_text, {.count = 0}},
			{f->script_text, {.fd = {good.fd[0]}, .count = 1}},
			{f->script_text, {.fd = {good.fd[0], good.fd[0]},
							 .count = 2}}, /* no memfd */
			{f->script_text, {.fd = {pipe_fds[0], good.fd[1]}, .count = 2}},
			{f->script_text, {.fd = {good.fd[0], f->sample.file_key_fd},
							 .count = 2}}, /* size */
			{"{\"parameters\":{\"object_fd\":0,\"key_fd\":0,\"payload_offset\":200}}",
					good},
			{"{\"parameters\":{\"object_fd\":-1,\"key_fd\":1,\"payload_offset\":200}}",
					good},
			{"{\"parameters\":{\"object_fd\":\"0\",\"key_fd\":1,\"payload_offset\":200}}",
					good},
			{"{\"parameters\":{\"object_fd\":0,\"key_fd\":1,\"payload_offset\":-5}}",
					good},
			{"{\"parameters\":{\"object_fd\":0,\"key_fd\":1,\"payload_offset\":9999999}}",
					good},
			{"{\"parameters\":{}}", good},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		const struct scripted script = {"OpenRecording", cases[i].replies, cases[i].fds};
		struct outcome o;
		harness_keeper(f->harness, &script, 1);
		play();
		assert_int_equal(o.status, CLI_ERROR);
		assert_int_equal(o.out_len, 0);
		assert_contains(o.err, "recsealctl: ");
		outcome_free(&o);
	}
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void test_play_of_a_shredded_recording(void **state)
{
	struct fixture *f = *state;
	const struct scripted script = {.method = "OpenRecording",
			.replies = "{\"error\":\"org.recseal.control.Gone\",\"parameters\":{\"what\":\"x\"}}"};
	_cleanup_free_ char *out = harness_path(f->harness, "out");
	struct outcome o;

	harness_keeper(f->harness, &script, 1);
	play("-o", out);
	assert_int_equal(o.status, CLI_GONE);
	assert_int_equal(access(out, F_OK), -1);
	outcome_free(&o);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_play_to_stdout),
			TEST(test_play_an_empty_recording),
			TEST(test_play_to_file),
			TEST(test_play_never_replaces_a_file),
			TEST(test_play_of_a_damaged_recording_keeps_what_is_authentic),
			TEST(test_play_of_a_damaged_recording_leaves_no_file),
			TEST(test_play_of_a_truncated_recording_writes_nothing),
			TEST(test_play_to_a_full_disk),
			TEST(test_play_refuses_a_terminal),
			TEST(test_play_from_a_lying_keeper),
			TEST(test_play_of_a_shredded_recording),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
