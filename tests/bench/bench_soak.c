/* What the keeper's memory does under load: recordings sealed, played, listed, shredded and
 * expired, one after the other and as fast as the machine goes, with the memory after every tenth
 * of them.
 *
 *     bench_soak RECORDINGS BEFORE [LEAK]
 *
 * BEFORE recordings are in the vault already, so that the cache of keeper.db comes to its bound
 * (DB_CACHE_KIB). What is not that cache must stay where it was after the first tenth. Exit
 * status 1 when it does not, or when the bound is passed or not reached. LEAK bytes are lost on
 * purpose for every 30 recordings. */
#include <inttypes.h>
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "daemon/keeper/erasure/bury.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/expiry.h"
#include "storage/tables/db_internal.h"
#include "tests/unit/support/control_fixture.h"

#define ACCOUNTS      20
#define BATCH         30
#define TENTHS        10
#define GROWTH_MAX    (512 * 1024) /* bytes, of what is no cache */
#define KEEP_US       (30 * US_PER_DAY)
#define OVERHEAD_PART 8 /* of the cache: what SQLite adds to each page */

struct sample {
	int64_t heap_bytes, cache_bytes, other_sqlite_bytes, resident_kib;
};

static int64_t db_bytes(sqlite3 *db, int what)
{
	int now = 0, most = 0;

	sqlite3_db_status(db, what, &now, &most, 0);
	return now;
}

static int64_t resident_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long pages = 0;

	if (file && fscanf(file, "%*d %ld", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return (int64_t)pages * sysconf(_SC_PAGESIZE) / 1024;
}

static struct sample sample_take(struct fixture *f, const char *when)
{
	sqlite3 *db = db_handle(f->state.vault->db);
	struct mallinfo2 info = mallinfo2();
	struct sample sample = {.heap_bytes = (int64_t)(info.uordblks + info.hblkhd),
			.cache_bytes = db_bytes(db, SQLITE_DBSTATUS_CACHE_USED),
			.other_sqlite_bytes = db_bytes(db, SQLITE_DBSTATUS_SCHEMA_USED) +
					      db_bytes(db, SQLITE_DBSTATUS_STMT_USED),
			.resident_kib = resident_kib()};

	printf("%-14s epoch %-6" PRIu64
	       " heap %7.2f MiB: keeper.db's cache %6.2f, statements %5.2f,"
	       " the rest %5.2f; resident %6.1f MiB\n",
			when, vault_epoch(f->state.vault), (double)sample.heap_bytes / 1048576,
			(double)sample.cache_bytes / 1048576,
			(double)sample.other_sqlite_bytes / 1048576,
			(double)(sample.heap_bytes - sample.cache_bytes -
					sample.other_sqlite_bytes) /
					1048576,
			(double)sample.resident_kib / 1024);
	fflush(stdout);
	return sample;
}

/* ---- Recordings that are there already, without objects ---- */

static void add_one(struct vault *vault, int64_t account, int64_t now_us, int64_t number)
{
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	char path[32];
	struct recording_private private = {.spool = (char[]){"bridge"}, .path = (uint8_t *)path};
	uint8_t source[CATALOG_LOOKUP_BYTES];
	struct recording_row row = {.account = account,
			.state = RECORDING_SEALED,
			.class = "default",
			.format = "wav/pcm_s16le",
			.recorded_us = now_us,
			.sealed_us = now_us,
			.expires_us = now_us + 400 * US_PER_DAY,
			.plain_bytes = 1000,
			.sealed_bytes = 1700,
			.frames = 80000,
			.channels = 1,
			.sample_rate = 8000};
	bool created;

	snprintf(path, sizeof(path), "call-%" PRId64 ".wav", number);
	private.path_len = strlen(path);
	randombytes_buf(source, sizeof(source));
	randombytes_buf(key, NODE_KEY_BYTES);
	ulid_new(now_us, row.ulid);
	assert_int_equal(catalog_group_for(vault->db, account,
					 expiry_bucket(row.expires_us, KEEP_US), row.expires_us,
					 &row.group, &created),
			0);
	assert_int_equal(catalog_recording_add(vault->db, &row, source), 0);
	struct key_path at = key_path_recording(account, row.group, row.id);
	assert_int_equal(keytree_add(vault->root.tree, &at, key, NULL), 0);
	assert_int_equal(recordings_seal_private(
					 &private, key, row.id, &row.private, &row.private_bytes),
			0);
	assert_int_equal(catalog_recording_set_private(
					 vault->db, row.id, row.private, row.private_bytes),
			0);
	catalog_recording_clear(&row);
}

static void add_before(struct vault_fixture *state, int64_t count)
{
	struct vault *vault = state->vault;
	uint8_t handle[CATALOG_HANDLE_BYTES];
	struct account_row account;

	accounts_new_handle(handle);
	struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, vault->db), 0);
	assert_int_equal(accounts_add(vault->root.tree, state->now_us, handle, "before", 6,
					 &account),
			0);
	assert_int_equal(db_transaction_commit(&transaction), 0);
	for (int64_t i = 0; i < count; i++) {
		if (i % 1000 == 0)
			assert_int_equal(db_transaction_begin(&transaction, vault->db), 0);
		add_one(vault, account.id, state->now_us, i);
		if (i % 1000 == 999 || i == count - 1)
			assert_int_equal(db_transaction_commit(&transaction), 0);
	}
	catalog_account_clear(&account);
}

/* ---- The load ---- */

static void list_everything(struct fixture *f)
{
	bool more = true;

	client_send(&f->client, "{\"method\":\"" INTERFACE "ListRecordings\",\"more\":true}");
	while (more) {
		json_t *reply = client_receive(&f->client, NULL);
		more = json_is_true(json_object_get(reply, "continues"));
		json_decref(reply);
	}
}

static void play(struct fixture *f, const char *id)
{
	json_decref(call(f, "OpenRecording", open_parameters(id, "play", "a soak")));
	socket_fds_close(&f->client.fds);
}

static void expire_and_bury(struct fixture *f)
{
	struct vault *vault = f->state.vault;
	bool more = true;

	while (more)
		assert_int_equal(retention_run(&vault->eraser, 100, &more, NULL), 0);
	for (more = true; more;)
		assert_int_equal(bury_rows(vault->db, RETENTION_STRIDE_ROWS, &more, NULL), 0);
	for (more = true; more;)
		assert_int_equal(bury_objects(vault->db, vault->store, RETENTION_STRIDE_OBJECTS,
						 &more, NULL),
				0);
}

/* A batch of one account; two of it are played, one is shredded, and of some batches all. A day
 * goes by with every fourth, so that what was sealed a hundred and twenty batches ago expires. */
static void soak_batch(struct fixture *f, int number, size_t leak)
{
	static void *lost;
	vault_fixture_id ids[BATCH];
	char account[32], path[64];

	snprintf(account, sizeof(account), "account %d", number % ACCOUNTS);
	snprintf(path, sizeof(path), "%s/%d.wav", account, number);
	vault_fixture_seal(&f->state, account, path, 1000, BATCH, ids);
	play(f, ids[0]);
	play(f, ids[1]);
	json_decref(call(f, "ShowAccount", json_pack("{s:s}", "account", account)));
	json_decref(call(f, "Status", NULL));
	assert_int_equal(vault_fixture_erase(&f->state, ERASE_RECORDING, ids[2]), 0);
	if (number % 10 == 9)
		assert_int_equal(vault_fixture_erase(&f->state, ERASE_GROUP, ids[3]), 0);
	if (number % 4 == 3)
		f->state.now_us += US_PER_DAY;
	expire_and_bury(f);
	if (leak > 0) {
		lost = malloc(leak);
		assert_non_null(lost);
	}
}

/* 0, or 1 when something grows that is no cache, or the cache is beyond its bound. */
static int soak_judge(const struct sample *first, const struct sample *last)
{
	int64_t cache_max = INT64_C(1024) * DB_CACHE_KIB * (OVERHEAD_PART + 1) / OVERHEAD_PART;
	int64_t grown = last->heap_bytes - last->cache_bytes - last->other_sqlite_bytes -
			(first->heap_bytes - first->cache_bytes - first->other_sqlite_bytes);
	bool flat = grown < GROWTH_MAX;
	bool bounded = last->cache_bytes <= cache_max &&
		       last->cache_bytes >= INT64_C(1000) * DB_CACHE_KIB;

	printf("keeper.db's cache: %.1f MiB, bound %d MiB and what SQLite adds to each page, and reached: "
	       "%s\n",
			(double)last->cache_bytes / 1048576, DB_CACHE_KIB / 1024,
			bounded ? "met" : "MISSED");
	printf("growth of the rest: %.1f KiB, at most %d: %s\n", (double)grown / 1024,
			GROWTH_MAX / 1024, flat ? "met" : "MISSED");
	return flat && bounded ? 0 : 1;
}

int main(int argc, char **argv)
{
	int batches = argc >= 3 ? atoi(argv[1]) / BATCH : 0;
	size_t leak = argc == 4 ? (size_t)atol(argv[3]) : 0;
	struct fixture *f;
	struct sample first = {0}, last = {0};

	if (batches < TENTHS) {
		fputs("bench_soak: see the head of tests/bench/bench_soak.c\n", stderr);
		return 2;
	}
	control_fixture_setup((void **)&f);
	add_before(&f->state, atol(argv[2]));
	sample_take(f, "to begin with");
	list_everything(f);
	sample_take(f, "all listed");
	for (int tenth = 1; tenth <= TENTHS; tenth++) {
		char when[32];
		for (int i = batches * (tenth - 1) / TENTHS; i < batches * tenth / TENTHS; i++)
			soak_batch(f, i, leak);
		snprintf(when, sizeof(when), "%d", batches * tenth / TENTHS * BATCH);
		last = sample_take(f, when);
		if (tenth == 1)
			first = last;
	}
	list_everything(f);
	last = sample_take(f, "all listed");
	int result = soak_judge(&first, &last);
	control_fixture_teardown((void **)&f);
	return result;
}
