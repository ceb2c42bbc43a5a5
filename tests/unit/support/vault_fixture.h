/* A real vault in a folder of its own, for tests of the keeper, with a clock that stands still
 * until it is moved. */
#pragma once

#include <uv.h>

#include "base/ulid.h"
#include "daemon/common/config/config.h"
#include "daemon/keeper/erasure/assign.h"
#include "daemon/keeper/erasure/retention.h"
#include "daemon/keeper/ingest/ingest.h"
#include "daemon/keeper/open/vault_open.h"
#include "storage/tables/erasure_table.h"

struct vault_fixture {
	char dir[64];
	int64_t now_us;   /* the true time, and what the boot clock says */
	int64_t wrong_us; /* by how much the machine's clock is ahead of it */
	bool unsynchronised;
	uint8_t boot; /* other numbers are other boots */
	struct config *config;
	struct vault *vault; /* NULL while it is shut */
};

typedef char vault_fixture_id[ULID_TEXT_CHARS + 1];

void vault_fixture_open(struct vault_fixture *fixture);
/* The machine that it runs on. */
struct clock_machine vault_fixture_machine(struct vault_fixture *fixture);
/* The same with the clock that is set already; all else is zero. */
void vault_fixture_open_as(struct vault_fixture *fixture);
void vault_fixture_close(struct vault_fixture *fixture); /* and removes the folder */

/* A test with a vault of its own for its state. */
int vault_fixture_setup(void **state);
int vault_fixture_teardown(void **state);
#define IN_VAULT(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, vault_fixture_setup, vault_fixture_teardown)

/* Closes the vault, and opens it once more. ret_text (may be NULL) receives what was said about a
 * failure, to be freed. */
void vault_fixture_shut(struct vault_fixture *fixture);
int vault_fixture_reopen(struct vault_fixture *fixture, uint64_t accept_restored, char **ret_text);

/* Compares objects with the catalog, as a keeper does after its start; to the end. */
void vault_fixture_sweep(struct vault_fixture *fixture);

/* A request as an intake makes it, of a source never seen before; account NULL: none was found. */
struct ingest_request vault_fixture_request(
		struct vault_fixture *fixture, const char *account, const char *path, size_t bytes);
/* Begins it, which must succeed, and writes the whole object. */
struct ingest_job *vault_fixture_begin(
		struct vault_fixture *fixture, const struct ingest_request *request);

/* Verifies, names and catalogues the jobs as the keeper does, but all in this thread, and ends them.
 */
void vault_fixture_commit(struct vault *vault, struct ingest_job **jobs, size_t n, int *results);

/* An observer that ignores everything. */
extern const struct ingest_observer vault_fixture_observer;

/* Header, nonce and `bytes` bytes of sealed plaintext into a started object. */
void vault_fixture_write(const struct ingest_start *start, size_t bytes);

/* Seals n recordings of `bytes` bytes each, as an intake would; account NULL: to quarantine. All of
 * one path. ret_ids may be NULL. */
void vault_fixture_seal(struct vault_fixture *fixture, const char *account, const char *path,
		size_t bytes, size_t n, vault_fixture_id *ret_ids);

/* The catalog's row, to be cleared; and only its state. */
void vault_fixture_row(
		struct vault_fixture *fixture, const char *id, struct recording_row *ret_row);
enum recording_state vault_fixture_state(struct vault_fixture *fixture, const char *id);

/* What to erase for this recording: itself, its group or its account. */
struct erasure_item vault_fixture_item(
		struct vault_fixture *fixture, enum erasure_kind kind, const char *id);
/* Erases it; erasure_run()'s result. */
int vault_fixture_erase(struct vault_fixture *fixture, enum erasure_kind kind, const char *id);

/* erasure_run() by order of this uid. */
int vault_fixture_run(struct vault *vault, const struct erasure_item *items, size_t n, uid_t uid,
		const char *reason, struct erasure_result *ret_result);

/* assign_recording() by order of uid 0. */
int vault_fixture_assign(struct vault *vault, const struct recording_row *row,
		const struct account_row *account, struct erasure_result *ret_result);

/* retention_start() on the vault. */
int vault_fixture_retention(struct vault *vault, uv_loop_t *loop, void (*stuck)(void *context),
		void *context, struct retention **ret_retention);

/* A mutant of erasure_change_epoch(): the change is stored, and no epoch binds it to the root. */
int vault_fixture_change_without_epoch(
		struct eraser *eraser, int (*prepare)(void *context), void *context);

/* vault_clock_look(), which must succeed. */
void vault_fixture_look(struct vault_fixture *fixture);

/* Runs a shell command with $D as the fixture's folder; it must succeed. */
void vault_fixture_shell(struct vault_fixture *fixture, const char *command);

/* The plaintext byte at an offset of every recording sealed so. */
uint8_t vault_fixture_byte(size_t offset);
