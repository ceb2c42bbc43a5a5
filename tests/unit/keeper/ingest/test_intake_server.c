/* The keeper's end of the intake wire: its order, its limits, and what it makes of nonsense. */
#include "tests/unit/keeper/ingest/intake_peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/keeper/ingest/exposure.h"

#define JOBS_MAX 256

static json_t *simple(const char *op, json_int_t job)
{
	return json_pack("{s:s, s:I}", "op", op, "job", job);
}

static void begin(struct intake_peer *peer, json_int_t job, bool complete)
{
	intake_peer_send(peer, intake_peer_begin(job));
	json_t *begun = intake_peer_expect(peer, "begun", job);
	if (complete)
		intake_peer_write(peer, begun, 10);
	json_decref(begun);
}

static void expect(struct intake_peer *peer, const char *op, json_int_t job)
{
	json_decref(intake_peer_expect(peer, op, job));
}

static int64_t sealed(struct intake_peer *peer)
{
	struct tally tally;

	assert_int_equal(catalog_tally_get(peer->vault.vault->db, 0, &tally), 0);
	return tally.count[RECORDING_SEALED];
}

static void test_hello_comes_first(void **state)
{
	struct intake_peer *peer = *state;

	assert_false(intake_server_connected(peer->server));
	intake_peer_send(peer, intake_peer_begin(1));
	intake_peer_expect_closed(peer);
	assert_true(intake_server_connected(peer->server));
	intake_peer_send(peer,
			json_pack("{s:s, s:i}", "op", "hello", "version", INTAKE_WIRE_VERSION));
	intake_peer_expect_closed(peer);
	intake_peer_connect(peer, false);
	intake_peer_send(peer,
			json_pack("{s:s, s:i}", "op", "hello", "version", INTAKE_WIRE_VERSION + 1));
	intake_peer_expect_closed(peer);
	intake_peer_connect(peer, false);
	intake_peer_send(peer, json_pack("{s:s, s:s}", "op", "hello", "version", "1"));
	intake_peer_expect_closed(peer);
	intake_peer_disconnect(peer);
	assert_false(intake_server_connected(peer->server));
}

static void test_a_recording_from_begin_to_unlinked(void **state)
{
	struct intake_peer *peer = *state;
	char recording[ULID_TEXT_CHARS + 1];

	intake_peer_connect(peer, true);
	json_t *request = intake_peer_begin(7), *again = json_deep_copy(request);
	intake_peer_send(peer, request);
	json_t *begun = intake_peer_expect(peer, "begun", 7);
	intake_peer_write(peer, begun, 10);
	snprintf(recording, sizeof(recording), "%s",
			json_string_value(json_object_get(begun, "recording")));
	json_decref(begun);
	intake_peer_send(peer, simple("commit", 7));
	json_t *committed = intake_peer_expect(peer, "committed", 7);
	assert_string_equal(json_string_value(json_object_get(committed, "recording")), recording);
	json_decref(committed);
	assert_int_equal(vault_fixture_state(&peer->vault, recording), RECORDING_SEALED);
	/* The same file again is sealed once more, and then known. */
	intake_peer_send(peer, again);
	begun = intake_peer_expect(peer, "begun", 7);
	intake_peer_write(peer, begun, 10);
	assert_string_not_equal(json_string_value(json_object_get(begun, "recording")), recording);
	json_decref(begun);
	intake_peer_send(peer, simple("commit", 7));
	json_t *already = intake_peer_expect(peer, "already", 7);
	assert_string_equal(json_string_value(json_object_get(already, "recording")), recording);
	json_decref(already);
	assert_int_equal(exposure_percentile_us(intake_server_exposure(peer->server), 50), -1);
	intake_peer_send(peer, json_pack("{s:s, s:i, s:i}", "op", "unlinked", "job", 7,
					       "exposure_us", 1234));
	begin(peer, 8, false); /* and its answer: the unlinked before it was read */
	assert_int_equal(exposure_percentile_us(intake_server_exposure(peer->server), 50), 1234);
}

/* An intake that was taken over keeps its descriptor, or a mapping, and writes once it has the
 * answer: what was committed is not what it writes to. The controls: it does write, and without a
 * descriptor kept nothing is copied. */
static void test_a_writer_after_the_commit(void **state)
{
	struct intake_peer *peer = *state;
	char recording[ULID_TEXT_CHARS + 1];
	uint8_t ulid[ULID_BYTES], byte;
	struct stat given, committed;

	intake_peer_connect(peer, true);
	for (json_int_t job = 1; job <= 3; job++) {
		intake_peer_send(peer, intake_peer_begin(job));
		json_t *begun = intake_peer_expect(peer, "begun", job);
		intake_peer_write(peer, begun, 10);
		snprintf(recording, sizeof(recording), "%s",
				json_string_value(json_object_get(begun, "recording")));
		json_decref(begun);
		int kept = fcntl(peer->fds.fd[0], F_DUPFD_CLOEXEC, 3);
		assert_int_equal(fstat(kept, &given), 0);
		uint8_t *map = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, kept, 0);
		assert_true(map != MAP_FAILED);
		if (job != 2)
			munmap(map, 1);
		if (job != 1)
			close(kept);
		intake_peer_send(peer, simple("commit", job));
		expect(peer, "committed", job);
		assert_int_equal(ulid_parse(recording, ulid), 0);
		_cleanup_close_ int fd = object_store_open_object(peer->vault.vault->store, ulid);
		assert_int_equal(fstat(fd, &committed), 0);
		assert_int_equal(committed.st_ino == given.st_ino, job == 3);
		if (job == 1) {
			assert_int_equal(ftruncate(kept, 0), 0);
			assert_int_equal(pwrite(kept, "X", 1, 0), 1);
			close(kept);
		}
		if (job == 2) {
			*map = 'X';
			munmap(map, 1);
		}
		assert_int_equal(pread(fd, &byte, 1, 0), 1);
		assert_int_equal(byte, 'a'); /* of age-encryption.org */
		struct stat after;
		assert_int_equal(fstat(fd, &after), 0);
		assert_int_equal(after.st_size, given.st_size);
	}
}

/* It may hold a lease as long as it likes: nobody waits for it. */
static void test_a_writer_with_a_lease(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	intake_peer_send(peer, intake_peer_begin(1));
	json_t *begun = intake_peer_expect(peer, "begun", 1);
	intake_peer_write(peer, begun, 10);
	json_decref(begun);
	int kept = fcntl(peer->fds.fd[0], F_DUPFD_CLOEXEC, 3);
	(void)fcntl(kept, F_SETLEASE, F_WRLCK);
	intake_peer_send(peer, simple("commit", 1));
	expect(peer, "committed", 1);
	close(kept);
	assert_int_equal(sealed(peer), 1);
}

static void test_a_failed_commit(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	begin(peer, 1, false);
	intake_peer_send(peer, simple("commit", 1));
	json_t *failed = intake_peer_expect(peer, "failed", 1);
	assert_true(json_is_true(json_object_get(failed, "retry")));
	assert_true(json_string_length(json_object_get(failed, "error")) > 0);
	json_decref(failed);
	begin(peer, 1, true); /* its number is free again */
	intake_peer_send(peer, simple("commit", 1));
	expect(peer, "committed", 1);
}

static void test_a_file_too_large_for_ever(void **state)
{
	struct intake_peer *peer = *state;
	json_t *request = intake_peer_begin(1);

	intake_peer_connect(peer, true);
	json_object_set_new(request, "plain_bytes", json_integer(INT64_MAX));
	intake_peer_send(peer, request);
	json_t *failed = intake_peer_expect(peer, "failed", 1);
	assert_true(json_is_false(json_object_get(failed, "retry")));
	json_decref(failed);
}

/* A keeper that must stop takes nothing new. */
static void test_a_stuck_vault(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	begin(peer, 1, true);
	peer->vault.vault->root.stuck = true;
	intake_peer_send(peer, simple("commit", 1));
	expect(peer, "failed", 1);
	intake_peer_send(peer, intake_peer_begin(2));
	expect(peer, "failed", 2);
	assert_int_equal(sealed(peer), 0);
	peer->vault.vault->root.stuck = false;
}

static void test_commits_of_one_turn(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	for (json_int_t job = 0; job < 20; job++)
		begin(peer, job, job != 5);
	for (json_int_t job = 0; job < 20; job++)
		intake_peer_send(peer, simple("commit", job));
	for (json_int_t job = 0; job < 20; job++)
		expect(peer, job == 5 ? "failed" : "committed", job);
	assert_int_equal(sealed(peer), 19);
}

/* What was committed before the nonsense came is committed. */
static void test_nonsense_behind_a_commit(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	begin(peer, 1, true);
	begin(peer, 2, true);
	intake_peer_send(peer, simple("commit", 1));
	intake_peer_send(peer, simple("commit", 77));
	expect(peer, "committed", 1);
	intake_peer_expect_closed(peer);
	assert_int_equal(sealed(peer), 1);
}

static void test_job_numbers(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	begin(peer, 1, false);
	intake_peer_send(peer, simple("abort", 1));
	intake_peer_send(peer, simple("abort", 99)); /* of no job: may have crossed a "failed" */
	begin(peer, 1, false);
	begin(peer, UINT32_MAX, false);
	intake_peer_send(peer, intake_peer_begin(1));
	intake_peer_expect_closed(peer);
	intake_peer_send(peer, simple("commit", 1));
	intake_peer_expect_closed(peer);
}

/* As many jobs as there may be, all asked for before a single answer is read. */
static void test_all_jobs_at_once(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	for (json_int_t job = 0; job < JOBS_MAX; job++)
		intake_peer_send(peer, intake_peer_begin(job));
	for (json_int_t job = 0; job < JOBS_MAX; job++) {
		json_t *begun = intake_peer_expect(peer, "begun", job);
		intake_peer_write(peer, begun, 10);
		json_decref(begun);
	}
	for (json_int_t job = 0; job < JOBS_MAX; job++)
		intake_peer_send(peer, simple("commit", job));
	for (json_int_t job = 0; job < JOBS_MAX; job++)
		expect(peer, "committed", job);
	assert_int_equal(sealed(peer), JOBS_MAX);
}

static void test_one_job_too_many(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	for (json_int_t job = 0; job < JOBS_MAX; job++)
		begin(peer, job, false);
	intake_peer_send(peer, intake_peer_begin(JOBS_MAX));
	intake_peer_expect_closed(peer);
	begin(peer, 1, false);
}

static void test_a_second_intake_is_turned_away(void **state)
{
	struct intake_peer *peer = *state;
	char byte;

	intake_peer_connect(peer, true);
	int second = intake_peer_second(peer);
	begin(peer, 1, false); /* runs the loop */
	assert_int_equal(recv(second, &byte, 1, 0), 0);
	close(second);
	begin(peer, 2, false); /* the first is not disturbed */
	intake_peer_connect(peer, true);
	begin(peer, 1, false);
}

static int open_descriptors(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	return n;
}

static void test_a_lost_connection_aborts(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	int before = open_descriptors();
	for (json_int_t job = 0; job < 30; job++)
		begin(peer, job, true);
	intake_peer_connect(peer, true);
	socket_fds_close(&peer->fds);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(sealed(peer), 0);
	vault_fixture_shell(&peer->vault,
			"! find $D/objects -name '*.age' -o -name '.unn*' | grep -q .");
}

static void test_uninvited_descriptors_are_closed(void **state)
{
	struct intake_peer *peer = *state;
	static const char abort_[] = "{\"op\":\"abort\",\"job\":1}";
	struct socket_fds fds = {.fd = {0, 1, 2}, .count = 3};

	intake_peer_connect(peer, true);
	int before = open_descriptors();
	for (int i = 0; i < 10; i++)
		assert_true(socket_send(peer->fd, abort_, strlen(abort_), &fds) > 0);
	begin(peer, 1, false);
	intake_peer_send(peer, simple("abort", 1));
	begin(peer, 2, false);
	socket_fds_close(&peer->fds);
	assert_int_equal(open_descriptors(), before + 2); /* job 2: its object and folder */
}

static void test_reports(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	assert_null(intake_server_spools(peer->server));
	for (int waiting = 1; waiting < 4; waiting++) {
		intake_peer_send(peer, json_pack("{s:s, s:[{s:s, s:i}]}", "op", "report", "spools",
						       "name", "bridge", "waiting", waiting));
		begin(peer, waiting, false);
		const json_t *spool = json_array_get(intake_server_spools(peer->server), 0);
		assert_int_equal(json_integer_value(json_object_get(spool, "waiting")), waiting);
	}
	intake_peer_send(peer, json_pack("{s:s, s:{}}", "op", "report", "spools"));
	intake_peer_expect_closed(peer);
}

/* Only the intake's user and root are served. */
static void test_another_user(void **state)
{
	struct intake_peer *peer = *state;
	struct intake_server *server;
	char path[160], byte;

	snprintf(path, sizeof(path), "%s.other", peer->path);
	int fd = socket_listen(path, SOCK_SEQPACKET, 0666);
	assert_int_equal(intake_server_start(&peer->loop, &peer->vault.vault->ingest, fd,
					 geteuid() + 1, &vault_fixture_observer, &server),
			0);
	int client = socket_connect(path, SOCK_SEQPACKET);
	for (int i = 0; i < 20; i++)
		uv_run(&peer->loop, UV_RUN_NOWAIT);
	ssize_t n = recv(client, &byte, 1, MSG_DONTWAIT);
	assert_int_equal(n, geteuid() == 0 ? -1 : 0);
	close(client);
	intake_server_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			with_peer(test_hello_comes_first),
			with_peer(test_a_recording_from_begin_to_unlinked),
			with_peer(test_a_writer_after_the_commit),
			with_peer(test_a_writer_with_a_lease),
			with_peer(test_a_failed_commit),
			with_peer(test_a_file_too_large_for_ever),
			with_peer(test_a_stuck_vault),
			with_peer(test_commits_of_one_turn),
			with_peer(test_nonsense_behind_a_commit),
			with_peer(test_job_numbers),
			with_peer(test_all_jobs_at_once),
			with_peer(test_one_job_too_many),
			with_peer(test_a_second_intake_is_turned_away),
			with_peer(test_a_lost_connection_aborts),
			with_peer(test_uninvited_descriptors_are_closed),
			with_peer(test_reports),
			with_peer(test_another_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
