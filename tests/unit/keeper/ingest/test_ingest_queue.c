/* The commit queue, through the server: a verification that takes its time holds up nobody, and
 * whoever goes away while threads are at work leaves nothing behind. */
#include "tests/unit/keeper/ingest/intake_peer.h"

#include <dirent.h>
#include <semaphore.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/keeper/ingest/ingest_queue.h"

#define LONG_BYTES ((size_t)INGEST_STRIDE_CHUNKS * AGE_CHUNK_BYTES + 1)

/* While the gate is shut, each stride of a long object waits for one post. */
static bool gate_shut;
static sem_t gate;
static int batches; /* that were named */

int __real_ingest_verify(struct ingest_job *job, bool ends_only);
int __wrap_ingest_verify(struct ingest_job *job, bool ends_only);
int __wrap_ingest_verify(struct ingest_job *job, bool ends_only)
{
	if (gate_shut && ingest_is_long(job, false))
		while (sem_wait(&gate) < 0)
			;
	return __real_ingest_verify(job, ends_only);
}

void __real_ingest_name(struct ingest_job *const *jobs, size_t n, int *results);
void __wrap_ingest_name(struct ingest_job *const *jobs, size_t n, int *results);
void __wrap_ingest_name(struct ingest_job *const *jobs, size_t n, int *results)
{
	batches++;
	__real_ingest_name(jobs, n, results);
}

static int setup(void **state)
{
	sem_init(&gate, 0, 0);
	gate_shut = false;
	batches = 0;
	return intake_peer_setup(state);
}

#define with_queue(test) cmocka_unit_test_setup_teardown(test, setup, intake_peer_teardown)

static void begin(struct intake_peer *peer, json_int_t job, size_t bytes)
{
	json_t *request = intake_peer_begin(job);

	json_object_set_new(request, "plain_bytes", json_integer((json_int_t)bytes));
	intake_peer_send(peer, request);
	json_t *begun = intake_peer_expect(peer, "begun", job);
	intake_peer_write(peer, begun, bytes);
	json_decref(begun);
}

static void commit(struct intake_peer *peer, json_int_t job)
{
	intake_peer_send(peer, json_pack("{s:s, s:I}", "op", "commit", "job", job));
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

static int open_descriptors(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	return n;
}

static void test_a_long_verification_holds_up_nobody(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	gate_shut = true;
	begin(peer, 1, LONG_BYTES);
	commit(peer, 1);
	for (json_int_t job = 2; job < 30; job++) {
		begin(peer, job, 10);
		commit(peer, job);
		expect(peer, "committed", job);
	}
	assert_int_equal(sealed(peer), 28);
	/* Its number is taken until it is answered, and it is too late to abort. */
	intake_peer_send(peer, json_pack("{s:s, s:i}", "op", "abort", "job", 1));
	sem_post(&gate);
	sem_post(&gate);
	expect(peer, "committed", 1);
	assert_int_equal(sealed(peer), 29);
}

static void test_a_commit_asked_for_twice(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	gate_shut = true;
	begin(peer, 1, LONG_BYTES);
	commit(peer, 1);
	commit(peer, 1);
	sem_post(&gate);
	sem_post(&gate);
	expect(peer, "committed", 1); /* what was asked for before the nonsense */
	intake_peer_expect_closed(peer);
	assert_int_equal(sealed(peer), 1);
}

static void test_an_intake_that_goes_away_meanwhile(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	begin(peer, 1, 10); /* the pool's threads are there from now on */
	commit(peer, 1);
	expect(peer, "committed", 1);
	socket_fds_close(&peer->fds);
	int before = open_descriptors();
	gate_shut = true;
	begin(peer, 2, LONG_BYTES);
	commit(peer, 2);
	begin(peer, 3, 10); /* its answer shows that the commit was read */
	intake_peer_connect(peer, true);
	begin(peer, 4, 10);
	commit(peer, 4);
	expect(peer, "committed", 4);
	sem_post(&gate);
	socket_fds_close(&peer->fds);
	for (int i = 0; i < 1000 && open_descriptors() > before; i++) {
		uv_run(&peer->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(sealed(peer), 2);
	vault_fixture_shell(&peer->vault, "[ $(find $D/objects -name '*.age' | wc -l) = 2 ]");
}

/* The teardown stops the server at once: nobody waits for the answers. */
static void test_a_server_that_stops_meanwhile(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	begin(peer, 100, LONG_BYTES);
	for (json_int_t job = 0; job < 20; job++)
		begin(peer, job, 10);
	commit(peer, 100);
	for (json_int_t job = 0; job < 20; job++)
		commit(peer, job);
	begin(peer, 101, 10); /* its answer shows that the commits were read */
}

/* Answers come in the order of the commits, and many share a transaction. */
static void test_commits_share_their_syncs(void **state)
{
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	for (json_int_t job = 0; job < 64; job++)
		begin(peer, job, 10);
	for (json_int_t job = 63; job >= 0; job--)
		commit(peer, job);
	for (json_int_t job = 63; job >= 0; job--)
		expect(peer, "committed", job);
	assert_int_equal(sealed(peer), 64);
	assert_in_range(batches, 1, 16); /* and not 64 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			with_queue(test_a_long_verification_holds_up_nobody),
			with_queue(test_a_commit_asked_for_twice),
			with_queue(test_an_intake_that_goes_away_meanwhile),
			with_queue(test_a_server_that_stops_meanwhile),
			with_queue(test_commits_share_their_syncs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
