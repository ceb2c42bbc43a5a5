/* Large vaults without audio, and what erasures in them cost.
 *
 *     bench_keys make DIR ACCOUNTS RECORDINGS     a new vault below DIR (as --state takes it)
 *     bench_keys measure DIR SINGLES BATCH LARGE  erases in it, and prints what that cost: SINGLES
 * times a recording, a group, an account; then BATCH of both at once; then an account of LARGE
 * recordings; and what burying costs
 *
 * The vault is made with the keeper's own tree and tables, unsynced, and is an ordinary one
 * afterwards. */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/common/config/config_load.h"
#include "daemon/common/event.h"
#include "daemon/keeper/erasure/bury.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/erasure/retention.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/open/vault_open.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/expiry.h"
#include "daemon/keeper/vault/recordings.h"
#include "storage/tables/db_internal.h"

#define KEEP_US    (30 * US_PER_DAY)
#define PER_COMMIT 1000
#define PAGE_BYTES 4096
#define WAL_HEADER 24 /* of each page in the WAL */

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench_keys: %s: %s\n", what, error_text(r));
	exit(EXIT_FAILURE);
}

static struct vault *open_vault(const char *dir, struct config **ret_config)
{
	struct vault *vault;

	check(config_load_embedded(dir, NULL, NULL, ret_config), dir);
	const struct vault_setup setup = {.config = *ret_config,
			.machine = {.wall = clock_system, .boot = clock_system}};
	check(vault_open(&setup, &vault, NULL), dir);
	return vault;
}

static void close_vault(struct vault *vault, struct config *config)
{
	vault_close(vault);
	config_free(config);
}

/* --- Making one --- */

static void add_account(struct vault *vault, uint64_t number, struct account_row *row)
{
	uint8_t handle[CATALOG_HANDLE_BYTES];
	char name[32];

	snprintf(name, sizeof(name), "account %" PRIu64, number);
	accounts_new_handle(handle);
	check(accounts_add(vault->root.tree, vault_clock_told_us(&vault->clock), handle, name,
			      strlen(name), row),
			"account");
}

static void add_recording(struct vault *vault, int64_t account, uint64_t number, int64_t now_us)
{
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	struct recording_private private = {.path_len = 24};
	char spool[] = "bridge";
	uint8_t path[32], source[CATALOG_LOOKUP_BYTES];
	struct recording_row row = {.account = account,
			.state = RECORDING_SEALED,
			.class = "default",
			.format = "wav/pcm_s16le",
			.recorded_us = now_us,
			.sealed_us = now_us,
			.expires_us = now_us + KEEP_US,
			.plain_bytes = 160000,
			.sealed_bytes = 160700,
			.frames = 80000,
			.channels = 1,
			.sample_rate = 8000};
	bool created;

	check(key ? 0 : -RE_MLOCK, "secret memory");
	snprintf((char *)path, sizeof(path), "call-%015" PRIu64 ".wav", number);
	private.path = path;
	private.spool = spool;
	randombytes_buf(source, sizeof(source));
	randombytes_buf(key, NODE_KEY_BYTES);
	ulid_new(now_us, row.ulid);
	check(catalog_group_for(vault->db, account, expiry_bucket(row.expires_us, KEEP_US),
			      row.expires_us, &row.group, &created),
			"group");
	check(catalog_recording_add(vault->db, &row, source), "recording");
	struct key_path at = key_path_recording(account, row.group, row.id);
	check(keytree_add(vault->root.tree, &at, key, NULL), "key");
	check(recordings_seal_private(&private, key, row.id, &row.private, &row.private_bytes),
			"private data");
	check(catalog_recording_set_private(vault->db, row.id, row.private, row.private_bytes),
			"private data");
	catalog_recording_clear(&row);
}

/* Some days of recordings, so that there are several groups. */
static void add_recordings(struct vault *vault, int64_t account, uint64_t from, uint64_t until)
{
	int64_t now_us = vault_clock_told_us(&vault->clock);

	for (; from < until; from++)
		add_recording(vault, account, from, now_us - (int64_t)(from % 4) * US_PER_DAY);
}

static void make(const char *dir, uint64_t accounts, uint64_t recordings)
{
	struct config *config;
	struct vault *vault = open_vault(dir, &config);
	struct db_transaction transaction = {0};
	uint64_t recording = 0;

	check(db_run(vault->db, "PRAGMA synchronous=OFF", ""), "pragma");
	check(db_run(vault->db, "PRAGMA cache_size=-1500000", ""), "pragma");
	for (uint64_t i = 0; i < accounts; i++) {
		struct account_row row;
		if (i % PER_COMMIT == 0)
			check(db_transaction_begin(&transaction, vault->db), "begin");
		add_account(vault, i, &row);
		int64_t account = row.id;
		catalog_account_clear(&row);
		uint64_t until = (i + 1) * recordings / accounts;
		add_recordings(vault, account, recording, until);
		recording = until;
		if (i % PER_COMMIT == PER_COMMIT - 1 || i == accounts - 1)
			check(db_transaction_commit(&transaction), "commit");
	}
	close_vault(vault, config);
}

/* --- Measuring --- */

struct cost {
	double cpu_ms;
	uint64_t written; /* by all write calls of this process */
	uint64_t journal; /* of these, to SQLite's */
};

static uint64_t wal_bytes;

static int count_wal(void *context, sqlite3 *db, const char *name, int pages)
{
	/* pages is what the WAL holds; it starts again after a checkpoint. */
	static int before;
	int added = pages >= before ? pages - before : pages;

	before = pages;
	wal_bytes += (uint64_t)added * (PAGE_BYTES + WAL_HEADER);
	if (pages >= 4000) { /* as db.c sets it: a hook takes its place */
		sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	}
	return SQLITE_OK;
}

static uint64_t bytes_written(void)
{
	FILE *io = fopen("/proc/self/io", "re");
	unsigned long long n = 0;
	char line[128];

	while (io && fgets(line, sizeof(line), io) && sscanf(line, "wchar: %llu", &n) != 1)
		;
	if (io)
		fclose(io);
	return n;
}

static struct cost cost_now(void)
{
	struct timespec cpu;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	return (struct cost){(double)cpu.tv_sec * 1e3 + (double)cpu.tv_nsec / 1e6, bytes_written(),
			wal_bytes};
}

static void print_cost(const char *what, struct cost before, unsigned n)
{
	struct cost after = cost_now();
	double written = (double)(after.written - before.written);
	double journal = (double)(after.journal - before.journal);

	printf("%-34s %8.2f ms CPU %9.1f KiB written %9.1f KiB journal\n", what,
			(after.cpu_ms - before.cpu_ms) / n, (written - journal) / 1024 / n,
			journal / 1024 / n);
	fflush(stdout);
}

/* A live recording, somewhere in the vault. */
static struct recording_row any_recording(struct vault *vault, int64_t newest)
{
	struct recording_row row;

	for (int tries = 0;; tries++) {
		struct recording_filter filter = {
				.after_id = (int64_t)(randombytes_random() % (uint64_t)newest),
				.state = RECORDING_SEALED};
		int r = catalog_recording_next(vault->db, &filter, &row);
		if (r == 0)
			return row;
		if ((r != -ENOENT && r != -EAGAIN) || tries == 1000)
			check(r, "looking for a recording");
	}
}

static void erase(struct vault *vault, const struct erasure_item *items, size_t n)
{
	struct erasure_result result;

	check(erasure_run(&vault->eraser, items, n, &result, NULL), "erasure");
}

static struct erasure_item any_item(struct vault *vault, int64_t newest, enum erasure_kind kind)
{
	struct recording_row row = any_recording(vault, newest);
	struct erasure_item item = {.kind = kind,
			.cause = CAUSE_SHRED,
			.reason = "bench",
			.account = row.account,
			.group = kind == ERASE_ACCOUNT ? 0 : row.group,
			.recording = kind == ERASE_RECORDING ? row.id : 0};

	catalog_recording_clear(&row);
	return item;
}

static void erase_some(struct vault *vault, int64_t newest, enum erasure_kind kind, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct erasure_item item = any_item(vault, newest, kind);
		erase(vault, &item, 1);
	}
}

static void erase_batch(struct vault *vault, size_t batch, int64_t newest, enum erasure_kind kind,
		const char *what)
{
	_cleanup_free_ struct erasure_item *items = calloc(batch, sizeof(*items));

	check(items ? 0 : -ENOMEM, "memory");
	for (size_t i = 0; i < batch; i++)
		items[i] = any_item(vault, newest, kind);
	struct cost before = cost_now();
	erase(vault, items, batch);
	print_cost(what, before, 1);
}

static double wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* What the loop is held up by, a stride at a time; without objects, which are not there. */
static void measure_burial(struct vault *vault)
{
	struct cost before = cost_now();
	double longest_ms = 0;
	unsigned strides = 0;

	for (bool more = true; more; strides++) {
		double start = wall_ms();
		check(bury_rows(vault->db, RETENTION_STRIDE_ROWS, &more, NULL), "burial");
		double ms = wall_ms() - start;
		longest_ms = ms > longest_ms ? ms : longest_ms;
	}
	print_cost("  a stride of their burial", before, strides);
	printf("  %u strides, the longest %.1f ms\n", strides, longest_ms);
}

static void measure_large(struct vault *vault, uint64_t recordings)
{
	struct account_row row;
	char what[64];

	struct db_transaction transaction = {0};
	check(db_transaction_begin(&transaction, vault->db), "begin");
	add_account(vault, UINT64_MAX, &row);
	add_recordings(vault, row.id, 0, recordings);
	check(db_transaction_commit(&transaction), "commit");
	struct erasure_item item = {.kind = ERASE_ACCOUNT,
			.cause = CAUSE_SHRED,
			.reason = "bench",
			.account = row.id};
	catalog_account_clear(&row);
	snprintf(what, sizeof(what), "an account of %" PRIu64 " recordings", recordings);
	struct cost before = cost_now();
	erase(vault, &item, 1);
	print_cost(what, before, 1);
	measure_burial(vault);
}

static int64_t newest_recording(struct vault *vault)
{
	uint8_t ulid[ULID_BYTES];
	struct recording_row row;

	check(catalog_recording_newest(vault->db, ulid), "newest recording");
	check(catalog_recording_by_ulid(vault->db, ulid, &row), "newest recording");
	int64_t id = row.id;
	catalog_recording_clear(&row);
	return id;
}

static void measure_singles(struct vault *vault, int64_t newest, unsigned n)
{
	static const struct {
		enum erasure_kind kind;
		const char *what;
	} kinds[] = {{ERASE_RECORDING, "one recording"}, {ERASE_GROUP, "one expiry group"},
			{ERASE_ACCOUNT, "one account"}};

	for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
		struct cost before = cost_now();
		erase_some(vault, newest, kinds[i].kind, n);
		print_cost(kinds[i].what, before, n);
	}
}

static void measure(const char *dir, unsigned singles, size_t batch, uint64_t large)
{
	struct config *config;
	struct vault *vault = open_vault(dir, &config);
	int64_t newest = newest_recording(vault);

	sqlite3_wal_hook(db_handle(vault->db), count_wal, NULL);
	if (singles > 0)
		measure_singles(vault, newest, singles);
	if (batch > 0) {
		erase_batch(vault, batch, newest, ERASE_GROUP, "a batch of expiry groups");
		erase_batch(vault, batch, newest, ERASE_ACCOUNT, "a batch of accounts");
		measure_burial(vault);
	}
	if (large > 0)
		measure_large(vault, large);
	close_vault(vault, config);
}

int main(int argc, char **argv)
{
	event_init("bench_keys");
	check(secret_process_init(), "secret memory");
	if (argc == 5 && strcmp(argv[1], "make") == 0) {
		make(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	} else if (argc == 6 && strcmp(argv[1], "measure") == 0) {
		measure(argv[2], (unsigned)strtoul(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
				strtoull(argv[5], NULL, 10));
	} else {
		fputs("usage: bench_keys make DIR ACCOUNTS RECORDINGS | measure DIR SINGLES BATCH "
		      "LARGE\n",
				stderr);
		return 2;
	}
	return 0;
}
