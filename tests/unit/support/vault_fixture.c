#include "tests/unit/support/vault_fixture.h"

#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "crypto/age_stream.h"
#include "daemon/common/config/config_load.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/ingest/ingest.h"
#include "daemon/keeper/open/vault_sweep.h"

#define START_US (INT64_C(20717) * US_PER_DAY) /* a midnight in 2026 */
#define BATCH    64

static int64_t fixture_wall(void *context)
{
	const struct vault_fixture *fixture = context;

	return fixture->now_us + fixture->wrong_us;
}

static int64_t fixture_boot(void *context)
{
	return ((struct vault_fixture *)context)->now_us;
}

static int fixture_synchronised(void *context)
{
	return !((struct vault_fixture *)context)->unsynchronised;
}

struct clock_machine vault_fixture_machine(struct vault_fixture *fixture)
{
	return (struct clock_machine){.wall = {fixture_wall, fixture},
			.boot = {fixture_boot, fixture},
			.boot_id = {fixture->boot},
			.synchronised = fixture_synchronised,
			.context = fixture};
}

void vault_fixture_open_as(struct vault_fixture *fixture)
{
	assert_true(sodium_init() >= 0);
	strcpy(fixture->dir, "/tmp/recseal-vault.XXXXXX");
	fixture->now_us = START_US;
	assert_non_null(mkdtemp(fixture->dir));
	assert_int_equal(chmod(fixture->dir, 0755), 0);
	assert_int_equal(config_load_embedded(fixture->dir, NULL, NULL, &fixture->config), 0);
	const struct vault_setup setup = {
			.config = fixture->config, .machine = vault_fixture_machine(fixture)};
	assert_int_equal(vault_open(&setup, &fixture->vault, NULL), 0);
}

void vault_fixture_open(struct vault_fixture *fixture)
{
	*fixture = (struct vault_fixture){.now_us = 0};
	vault_fixture_open_as(fixture);
}

void vault_fixture_shut(struct vault_fixture *fixture)
{
	fixture->vault = vault_close(fixture->vault);
}

int vault_fixture_reopen(struct vault_fixture *fixture, uint64_t accept_restored, char **ret_text)
{
	const struct vault_setup setup = {.config = fixture->config,
			.machine = vault_fixture_machine(fixture),
			.accept_restored = accept_restored};
	struct reason reason = {""};

	vault_fixture_shut(fixture);
	int r = vault_open(&setup, &fixture->vault, &reason);
	if (ret_text) {
		*ret_text = strdup(reason.text);
		assert_non_null(*ret_text);
	}
	return r;
}

void vault_fixture_sweep(struct vault_fixture *fixture)
{
	struct vault_sweep *sweep;
	uv_loop_t loop;

	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(vault_sweep_start(&loop, fixture->vault, &sweep), 0);
	uv_run(&loop, UV_RUN_DEFAULT); /* until its timer has stopped */
	assert_null(vault_sweep_stop(sweep));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void vault_fixture_close(struct vault_fixture *fixture)
{
	vault_close(fixture->vault);
	config_free(fixture->config);
	nftw(fixture->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int vault_fixture_setup(void **state)
{
	struct vault_fixture *vault = calloc(1, sizeof(*vault));

	vault_fixture_open(vault);
	*state = vault;
	return 0;
}

int vault_fixture_teardown(void **state)
{
	vault_fixture_close(*state);
	free(*state);
	return 0;
}

uint8_t vault_fixture_byte(size_t offset)
{
	return (uint8_t)(offset * 31 + offset / 251);
}

static void write_payload(const struct ingest_start *start, size_t bytes)
{
	_cleanup_free_ uint8_t *plain = malloc(AGE_CHUNK_BYTES);
	_cleanup_free_ uint8_t *sealed = malloc(AGE_SEALED_CHUNK_BYTES);
	size_t at = 0;

	for (uint64_t counter = 0; counter == 0 || at < bytes; counter++) {
		size_t len = bytes - at < AGE_CHUNK_BYTES ? bytes - at : AGE_CHUNK_BYTES;
		for (size_t i = 0; i < len; i++)
			plain[i] = vault_fixture_byte(at + i);
		at += len;
		age_stream_seal_chunk(start->payload_key, counter, at == bytes, plain, len, sealed);
		assert_int_equal(io_write_all(start->object_fd, sealed, len + AGE_TAG_BYTES), 0);
	}
}

void vault_fixture_write(const struct ingest_start *start, size_t bytes)
{
	assert_int_equal(io_write_all(start->object_fd, start->header, start->header_bytes), 0);
	assert_int_equal(io_write_all(start->object_fd, start->nonce, AGE_PAYLOAD_NONCE_BYTES), 0);
	write_payload(start, bytes);
	assert_int_equal(durable_sync(start->object_fd), 0);
}

struct ingest_request vault_fixture_request(
		struct vault_fixture *fixture, const char *account, const char *path, size_t bytes)
{
	struct ingest_request request = {
			.account = (const uint8_t *)account,
			.account_len = account ? strlen(account) : 0,
			.spool = "bridge",
			.class = "default",
			.path = (const uint8_t *)path,
			.path_len = strlen(path),
			.firm = true,
			.recorded_us = fixture->now_us,
			.plain_bytes = bytes,
			.probe = {.condition = PROBE_OK,
					.channels = 1,
					.sample_rate = 8000,
					.frames = 12000,
					.format = "wav/pcm_s16le"},
	};

	randombytes_buf(request.source, sizeof(request.source));
	return request;
}

struct ingest_job *vault_fixture_begin(
		struct vault_fixture *fixture, const struct ingest_request *request)
{
	struct ingest_job *job;
	struct ingest_start start;

	assert_int_equal(ingest_begin(&fixture->vault->ingest, request, &job), 0);
	ingest_start(job, &start);
	vault_fixture_write(&start, request->plain_bytes);
	return job;
}

void vault_fixture_commit(struct vault *vault, struct ingest_job **jobs, size_t n, int *results)
{
	for (size_t i = 0; i < n; i++) {
		ingest_find_earlier(&vault->ingest, jobs[i]);
		do
			results[i] = ingest_verify(jobs[i], vault->config->verify_ends);
		while (results[i] > 0);
	}
	ingest_name(jobs, n, results);
	if (ingest_catalogue(&vault->ingest, jobs, n, results))
		ingest_unname(jobs, n, results);
	for (size_t i = 0; i < n; i++)
		ingest_abort(jobs[i]);
}

static void ignore_recording(void *context, const struct ingest_summary *what)
{
}

static void ignore_failure(void *context, const struct ingest_summary *what, int error)
{
}

static void ignore_error(void *context, int error)
{
}

const struct ingest_observer vault_fixture_observer = {
		.sealed = ignore_recording,
		.spoiled = ignore_failure,
		.turned_away = ignore_error,
		.disconnected = ignore_error,
};

void vault_fixture_seal(struct vault_fixture *fixture, const char *account, const char *path,
		size_t bytes, size_t n, vault_fixture_id *ret_ids)
{
	struct ingest_job *jobs[BATCH];
	int results[BATCH];

	for (size_t done = 0; done < n;) {
		size_t batch = n - done < BATCH ? n - done : BATCH;
		for (size_t i = 0; i < batch; i++) {
			struct ingest_request request =
					vault_fixture_request(fixture, account, path, bytes);
			jobs[i] = vault_fixture_begin(fixture, &request);
			if (ret_ids)
				ulid_format(ingest_recording_id(jobs[i]), ret_ids[done + i]);
		}
		vault_fixture_commit(fixture->vault, jobs, batch, results);
		for (size_t i = 0; i < batch; i++)
			assert_int_equal(results[i], 0);
		done += batch;
	}
}

void vault_fixture_row(struct vault_fixture *fixture, const char *id, struct recording_row *ret_row)
{
	uint8_t ulid[ULID_BYTES];

	assert_int_equal(ulid_parse(id, ulid), 0);
	assert_int_equal(catalog_recording_by_ulid(fixture->vault->db, ulid, ret_row), 0);
}

enum recording_state vault_fixture_state(struct vault_fixture *fixture, const char *id)
{
	struct recording_row row;

	vault_fixture_row(fixture, id, &row);
	enum recording_state state = row.state;
	catalog_recording_clear(&row);
	return state;
}

struct erasure_item vault_fixture_item(
		struct vault_fixture *fixture, enum erasure_kind kind, const char *id)
{
	struct recording_row row;

	vault_fixture_row(fixture, id, &row);
	struct erasure_item item = {.kind = kind,
			.cause = CAUSE_SHRED,
			.account = row.account,
			.group = kind == ERASE_ACCOUNT ? 0 : row.group,
			.recording = kind == ERASE_RECORDING ? row.id : 0};
	catalog_recording_clear(&row);
	return item;
}

int vault_fixture_erase(struct vault_fixture *fixture, enum erasure_kind kind, const char *id)
{
	struct erasure_item item = vault_fixture_item(fixture, kind, id);
	struct erasure_result result;

	return vault_fixture_run(fixture->vault, &item, 1, 0, "a test", &result);
}

int vault_fixture_run(struct vault *vault, const struct erasure_item *items, size_t n, uid_t uid,
		const char *reason, struct erasure_result *ret_result)
{
	_cleanup_free_ struct erasure_item *ordered = calloc(n + 1, sizeof(*ordered));

	assert_non_null(ordered);
	for (size_t i = 0; i < n; i++) {
		ordered[i] = items[i];
		ordered[i].uid = uid;
		ordered[i].reason = reason;
	}
	return erasure_run(&vault->eraser, ordered, n, ret_result, NULL);
}

int vault_fixture_assign(struct vault *vault, const struct recording_row *row,
		const struct account_row *account, struct erasure_result *ret_result)
{
	const struct assign_order order = {row, account, {0, "a test"}};

	return assign_recording(&vault->eraser, &order, ret_result, NULL);
}

int vault_fixture_retention(struct vault *vault, uv_loop_t *loop, void (*stuck)(void *context),
		void *context, struct retention **ret_retention)
{
	const struct retention_setup setup = {.eraser = &vault->eraser,
			.clock = &vault->clock,
			.epoch_interval_us = vault->config->epoch_interval_us,
			.stuck = stuck,
			.context = context};

	return retention_start(loop, &setup, ret_retention);
}

int vault_fixture_change_without_epoch(
		struct eraser *eraser, int (*prepare)(void *context), void *context)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, eraser->root->db), 0);
	assert_int_equal(prepare(context), 0);
	return db_transaction_commit(&transaction);
}

void vault_fixture_look(struct vault_fixture *fixture)
{
	struct vault *vault = fixture->vault;

	assert_int_equal(vault_clock_look(&vault->clock, vault->db, &vault->notices), 0);
}

void vault_fixture_shell(struct vault_fixture *fixture, const char *command)
{
	assert_int_equal(setenv("D", fixture->dir, 1), 0);
	assert_int_equal(system(command), 0);
}
