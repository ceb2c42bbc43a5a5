/* Ingest: what becomes of a request, and that nothing is named, catalogued or kept that was not
 * committed. */
#include "tests/unit/support/faults.h"
#include "tests/unit/support/vault_fixture.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "crypto/age_stream.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/recordings.h"
#include "storage/tables/db_internal.h"

static int objects;

static int count_object(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	objects += type == FTW_F &&
		   strcmp(strrchr(path, '.') ? strrchr(path, '.') : "", ".age") == 0;
	return 0;
}

/* Names of objects in the store. */
static int named(struct vault_fixture *vault)
{
	char path[128];

	objects = 0;
	snprintf(path, sizeof(path), "%s/objects", vault->dir);
	assert_int_equal(nftw(path, count_object, 8, FTW_PHYS), 0);
	return objects;
}

static int64_t catalogued(struct vault_fixture *vault)
{
	struct tally tally;
	int64_t n = 0;

	assert_int_equal(catalog_tally_get(vault->vault->db, 0, &tally), 0);
	for (int i = 0; i < RECORDING_STATES; i++)
		n += tally.count[i];
	return n;
}

static int commit_one(struct vault_fixture *vault, struct ingest_job *job)
{
	int result = 99;

	vault_fixture_commit(vault->vault, &job, 1, &result);
	return result;
}

static void test_nothing_shows_before_the_commit(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_request request = vault_fixture_request(vault, "alice", "a/b.wav", 100000);
	struct ingest_job *job = vault_fixture_begin(vault, &request);
	struct recording_row row;
	vault_fixture_id id;

	ulid_format(ingest_recording_id(job), id);
	assert_int_equal(named(vault), 0);
	assert_int_equal(catalogued(vault), 0);
	assert_int_equal(commit_one(vault, job), 0);
	assert_int_equal(named(vault), 1);
	assert_int_equal(catalogued(vault), 1);
	vault_fixture_row(vault, id, &row);
	assert_int_equal(row.state, RECORDING_SEALED);
	assert_int_equal(row.plain_bytes, 100000);
	assert_int_equal(row.frames, 12000);
	assert_string_equal(row.format, "wav/pcm_s16le");
	assert_string_equal(row.class, "default");
	assert_int_equal(row.sealed_us, vault->now_us);
	assert_int_equal(row.expires_us, vault->now_us + 30 * US_PER_DAY);
	catalog_recording_clear(&row);
}

static void test_an_abort_leaves_nothing(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", 10);

	assert_null(ingest_abort(vault_fixture_begin(vault, &request)));
	assert_null(ingest_abort(NULL));
	assert_int_equal(named(vault), 0);
	assert_int_equal(catalogued(vault), 0);
	vault_fixture_shell(vault, "! find $D/objects -name '.unnamed*' | grep -q .");
	/* It may come again. */
	assert_int_equal(commit_one(vault, vault_fixture_begin(vault, &request)), 0);
}

static void test_the_same_source_again(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", 10);
	struct ingest_job *job = vault_fixture_begin(vault, &request), *second = NULL;
	uint8_t id[ULID_BYTES], existing[ULID_BYTES] = {0};
	vault_fixture_id text;

	memcpy(id, ingest_recording_id(job), sizeof(id));
	assert_int_equal(commit_one(vault, job), 0);
	vault_fixture_shell(vault, "cd $D/objects/*/ && ls *.age >$D/name");
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &second, existing), 1);
	assert_memory_equal(existing, id, sizeof(id));
	assert_null(second);
	assert_int_equal(vault_fixture_reopen(vault, 0, NULL), 0);
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &second, existing), 1);
	/* With its object gone or damaged, the plaintext is the last copy there is. */
	vault_fixture_shell(vault, "cd $D/objects/*/ && mv *.age ../gone");
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &second, existing),
			-RE_PAYLOAD);
	vault_fixture_shell(vault, "cd $D/objects/*/ && head -c -1 ../gone >$(cat ../../name)");
	assert_true(ingest_begin(&vault->vault->ingest, &request, &second, existing) < 0);
	vault_fixture_shell(
			vault, "cd $D/objects/*/ && rm -f *.age && mv ../gone $(cat ../../name)");
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &second, existing), 1);
	/* Nor does its plaintext bring it back after a shred. */
	ulid_format(id, text);
	assert_int_equal(vault_fixture_erase(vault, ERASE_ACCOUNT, text), 0);
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &second, existing), 1);
	assert_memory_equal(existing, id, sizeof(id));
	assert_null(second);
}

static void assert_quarantined(
		struct vault_fixture *vault, struct ingest_request request, const char *why)
{
	struct ingest_job *job = vault_fixture_begin(vault, &request);
	struct recording_private private;
	struct recording_row row;
	vault_fixture_id id;

	ulid_format(ingest_recording_id(job), id);
	assert_int_equal(commit_one(vault, job), 0);
	vault_fixture_row(vault, id, &row);
	assert_int_equal(row.state, RECORDING_QUARANTINED);
	assert_int_equal(row.account, vault->vault->quarantine_account);
	assert_int_equal(recordings_private(vault->vault->root.tree, &row, &private), 0);
	assert_non_null(strstr(private.quarantine_reason, why));
	recording_private_clear(&private);
	catalog_recording_clear(&row);
}

static void test_quarantine(void **state)
{
	struct vault_fixture *vault = *state;
	char name[ACCOUNT_NAME_MAX + 2];
	vault_fixture_id id;

	memset(name, 'n', sizeof(name));
	name[ACCOUNT_NAME_MAX + 1] = '\0';
	assert_quarantined(vault, vault_fixture_request(vault, NULL, "a", 1), "names no account");
	assert_quarantined(vault, vault_fixture_request(vault, "", "a", 1), "empty or too long");
	assert_quarantined(vault, vault_fixture_request(vault, name, "a", 1), "empty or too long");
	name[ACCOUNT_NAME_MAX] = '\0';
	vault_fixture_seal(vault, name, "a", 1, 1, &id);
	assert_int_equal(vault_fixture_state(vault, id), RECORDING_SEALED);
	assert_int_equal(vault_fixture_erase(vault, ERASE_ACCOUNT, id), 0);
	assert_quarantined(vault, vault_fixture_request(vault, name, "a", 1), "shredded");
}

/* Whatever bytes a name and a path are of. */
static void test_names_are_bytes(void **state)
{
	struct vault_fixture *vault = *state;
	struct recording_private private;
	struct recording_row row;
	vault_fixture_id id[2];

	vault_fixture_seal(vault, "\xff\xfe\"\\\n", "\xff/\x01\"", 1, 1, &id[0]);
	vault_fixture_seal(vault, "(quarantine)", "a", 1, 1, &id[1]);
	vault_fixture_row(vault, id[0], &row);
	assert_int_equal(recordings_private(vault->vault->root.tree, &row, &private), 0);
	assert_int_equal(private.path_len, 4);
	assert_memory_equal(private.path, "\xff/\x01\"", 4);
	recording_private_clear(&private);
	catalog_recording_clear(&row);
	assert_int_equal(vault_fixture_state(vault, id[1]), RECORDING_SEALED);
}

static void test_absurd_sizes_and_times(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", 1);
	struct ingest_job *job;
	uint8_t existing[ULID_BYTES];

	request.plain_bytes = INT64_MAX;
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &job, existing), -EFBIG);
	request.plain_bytes = 1;
	request.recorded_us = INT64_MAX;
	request.class = "no such class"; /* "default" in its place could be too short */
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &job, existing), -RE_CONFIG);
	request.class = "default";
	assert_int_equal(commit_one(vault, vault_fixture_begin(vault, &request)), 0);
}

/* A sparse file claims what no disk has: it is turned down before a byte of it is written. */
static void test_no_room_for_it(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", 1);
	struct ingest_job *job = NULL;
	uint8_t existing[ULID_BYTES];

	request.plain_bytes = INT64_MAX / 2;
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &job, existing), -ENOSPC);
	request.plain_bytes = 1000;
	request.promised_bytes = INT64_MAX / 2; /* to those that have begun before it */
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &job, existing), -ENOSPC);
	request.promised_bytes = 0;
	struct ingest_start start;
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &job, existing), 0);
	assert_in_range(ingest_unwritten_bytes(job), 1000, 1100);
	ingest_start(job, &start);
	vault_fixture_write(&start, 1000);
	assert_int_equal(ingest_unwritten_bytes(job), 0);
	assert_int_equal(commit_one(vault, job), 0);
	/* What is sealed already needs no room. */
	request.promised_bytes = INT64_MAX / 2;
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &job, existing), 1);
}

/* What an intake may get wrong in an object of 70000 bytes, two chunks. */
enum wrong {
	NOTHING_WRITTEN,
	ONE_BYTE_SHORT,
	ONE_BYTE_MORE,
	HEADER_CHANGED,
	NONCE_CHANGED,
	FINAL_CHUNK_CHANGED,
	FINAL_CHUNK_MISSING,
	FINAL_FLAG_MISSING,
	OTHER_KEY,
	WRONGS,
};

static void flip(int fd, off_t at)
{
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* Seals the last chunk again, under this key and flag. */
static void reseal_end(const struct ingest_start *start, const uint8_t *key, bool final)
{
	uint8_t plain[70000 - AGE_CHUNK_BYTES], sealed[sizeof(plain) + AGE_TAG_BYTES];
	off_t end = (off_t)(start->header_bytes + AGE_PAYLOAD_NONCE_BYTES + AGE_SEALED_CHUNK_BYTES);

	memset(plain, 0, sizeof(plain));
	age_stream_seal_chunk(key, 1, final, plain, sizeof(plain), sealed);
	assert_int_equal(io_pwrite_all(start->object_fd, sealed, sizeof(sealed), end), 0);
}

static void spoil(struct ingest_job *job, enum wrong wrong)
{
	uint8_t other[AGE_PAYLOAD_KEY_BYTES] = {0};
	struct ingest_start start;

	ingest_start(job, &start);
	off_t size = lseek(start.object_fd, 0, SEEK_END), header = (off_t)start.header_bytes;
	if (wrong == NOTHING_WRITTEN)
		assert_int_equal(ftruncate(start.object_fd, 0), 0);
	if (wrong == ONE_BYTE_SHORT || wrong == ONE_BYTE_MORE)
		assert_int_equal(ftruncate(start.object_fd,
						 size + (wrong == ONE_BYTE_MORE ? 1 : -1)),
				0);
	if (wrong == FINAL_CHUNK_MISSING)
		assert_int_equal(ftruncate(start.object_fd, header + AGE_PAYLOAD_NONCE_BYTES +
									    AGE_SEALED_CHUNK_BYTES),
				0);
	if (wrong == HEADER_CHANGED)
		flip(start.object_fd, header / 2);
	if (wrong == NONCE_CHANGED)
		flip(start.object_fd, header + 3);
	if (wrong == FINAL_CHUNK_CHANGED)
		flip(start.object_fd, size - 20);
	if (wrong == OTHER_KEY)
		reseal_end(&start, other, true);
	if (wrong == FINAL_FLAG_MISSING)
		reseal_end(&start, start.payload_key, false);
	if (wrong == WRONGS) /* control: resealing as such is no fault */
		reseal_end(&start, start.payload_key, true);
}

static void test_a_wrong_object_is_refused(void **state)
{
	struct vault_fixture *vault = *state;

	for (enum wrong wrong = 0; wrong <= WRONGS; wrong++) {
		struct ingest_request request = vault_fixture_request(vault, "alice", "a", 70000);
		struct ingest_job *job = vault_fixture_begin(vault, &request);
		spoil(job, wrong);
		assert_int_equal(commit_one(vault, job), wrong == WRONGS ? 0 : -RE_PAYLOAD);
		assert_int_equal(named(vault), wrong == WRONGS);
		assert_int_equal(catalogued(vault), wrong == WRONGS);
	}
}

/* Each byte of an object of three chunks belongs to what is verified, on whatever side of a block or
 * chunk it lies. With Verify=ends the middle is taken on trust, which also shows that the flips are
 * where they should be. */
static void test_a_flipped_bit_anywhere(void **state)
{
	struct vault_fixture *vault = *state;
	const size_t bytes = 2 * AGE_CHUNK_BYTES + 5000;
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", bytes);
	struct ingest_job *job = vault_fixture_begin(vault, &request);
	struct ingest_start start;

	ingest_start(job, &start);
	off_t size = lseek(start.object_fd, 0, SEEK_END), payload = (off_t)start.header_bytes + 16;
	off_t middle_end = payload + 2 * AGE_SEALED_CHUNK_BYTES;
	ingest_abort(job);
	for (off_t at = 0; at < size; at += at < payload + 20 ? 7 : 4093) {
		bool in_middle = at >= payload && at < middle_end;
		for (int ends = 0; ends < 2; ends++) {
			job = vault_fixture_begin(vault, &request);
			ingest_start(job, &start);
			flip(start.object_fd, at);
			assert_int_equal(durable_sync(start.object_fd), 0);
			assert_int_equal(ingest_verify(job, ends),
					ends && in_middle ? 0 : -RE_PAYLOAD);
			ingest_abort(job);
		}
	}
	job = vault_fixture_begin(vault, &request);
	assert_int_equal(ingest_verify(job, false), 0);
	ingest_abort(job);
}

/* In strides; and each of them looks at what is its own. */
static void test_a_long_object_is_verified_in_strides(void **state)
{
	struct vault_fixture *vault = *state;
	const size_t bytes = 2 * INGEST_STRIDE_CHUNKS * (size_t)AGE_CHUNK_BYTES + 1;
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", bytes);
	struct ingest_job *job = vault_fixture_begin(vault, &request);
	struct ingest_start start;

	assert_true(ingest_is_long(job));
	assert_int_equal(ingest_verify(job, false), 1);
	assert_int_equal(ingest_verify(job, false), 1);
	ingest_start(job, &start);
	off_t end = lseek(start.object_fd, 0, SEEK_END);
	flip(start.object_fd, end - 17);
	assert_int_equal(ingest_verify(job, false), -RE_PAYLOAD);
	flip(start.object_fd, end - 17);
	assert_int_equal(ingest_verify(job, false), 0);
	assert_int_equal(commit_one(vault, job), 0);
	assert_int_equal(named(vault), 1);
}

/* One bad job among good ones, in every place. */
static void test_a_bad_job_does_not_hurt_the_others(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_job *jobs[3];
	int results[3];

	for (int bad = 0; bad < 3; bad++) {
		for (int i = 0; i < 3; i++) {
			struct ingest_request request =
					vault_fixture_request(vault, "alice", "a", 70000);
			jobs[i] = vault_fixture_begin(vault, &request);
		}
		spoil(jobs[bad], FINAL_CHUNK_CHANGED);
		vault_fixture_commit(vault->vault, jobs, 3, results);
		for (int i = 0; i < 3; i++)
			assert_int_equal(results[i], i == bad ? -RE_PAYLOAD : 0);
		assert_int_equal(named(vault), 2 * (bad + 1));
		assert_int_equal(catalogued(vault), 2 * (bad + 1));
	}
}

/* Whose keys are damaged waits; nobody else does. */
static void test_one_account_with_damaged_keys(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_job *jobs[3];
	int results[3];

	vault_fixture_seal(vault, "alice", "a", 1, 1, NULL);
	assert_int_equal(db_run(vault->vault->db,
					 "UPDATE node SET sealed = zeroblob(72) WHERE id >> 56 = 3"
					 " AND id = (SELECT max(id) FROM node WHERE id >> 56 = 3)",
					 ""),
			0);
	struct ingest_request bob = vault_fixture_request(vault, "bob", "b", 10);
	struct ingest_request alice = vault_fixture_request(vault, "alice", "a", 10);
	jobs[0] = vault_fixture_begin(vault, &bob);
	jobs[1] = vault_fixture_begin(vault, &alice);
	bob = vault_fixture_request(vault, "bob", "b", 10);
	jobs[2] = vault_fixture_begin(vault, &bob);
	vault_fixture_commit(vault->vault, jobs, 3, results);
	assert_int_equal(results[0], 0);
	assert_int_equal(results[1], -RE_CORRUPT);
	assert_int_equal(results[2], 0);
	assert_int_equal(named(vault), 3);
	assert_int_equal(catalogued(vault), 3);
	assert_false(vault->vault->root.stuck);
}

/* The same file begun twice: the first commit wins, in one batch or in two. */
static void test_one_source_in_two_jobs(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", 10);
	struct ingest_request other = vault_fixture_request(vault, "bob", "b", 10);
	struct ingest_job *jobs[3] = {vault_fixture_begin(vault, &request),
			vault_fixture_begin(vault, &other), vault_fixture_begin(vault, &request)};
	struct ingest_job *late = vault_fixture_begin(vault, &request);
	int results[3];

	vault_fixture_commit(vault->vault, jobs, 3, results);
	assert_int_equal(results[0], 0);
	assert_int_equal(results[1], 0);
	assert_int_equal(results[2], -EEXIST);
	jobs[0] = late;
	other = vault_fixture_request(vault, "bob", "b", 10);
	jobs[1] = vault_fixture_begin(vault, &other);
	vault_fixture_commit(vault->vault, jobs, 2, results);
	assert_int_equal(results[0], -EEXIST);
	assert_int_equal(results[1], 0);
	assert_int_equal(named(vault), 3);
	assert_int_equal(catalogued(vault), 3);
}

static void erase_account_of(struct vault_fixture *vault, const char *id, bool pending)
{
	if (pending) {
		faults_on_root(vault->vault);
		faults_arm(FAULT_EIO, 0, 1);
	}
	assert_int_equal(vault_fixture_erase(vault, ERASE_ACCOUNT, id), pending ? -EIO : 0);
	faults_disarm();
}

/* The account goes while the intake seals: refused; begun again it is quarantined, also while the
 * shred itself is still pending, and so survives it. */
static void shred_between_begin_and_commit(struct vault_fixture *vault, bool pending)
{
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", 10);
	vault_fixture_id id;
	struct tally tally;

	vault_fixture_seal(vault, "alice", "a", 1, 1, &id);
	struct ingest_job *job = vault_fixture_begin(vault, &request);
	erase_account_of(vault, id, pending);
	assert_int_equal(commit_one(vault, job), -RE_REFUSED);
	assert_int_equal(catalogued(vault), 1);
	assert_quarantined(vault, request, "shred");
	if (pending)
		assert_int_equal(erasure_retry(&vault->vault->eraser, NULL), 0);
	assert_int_equal(catalog_tally_get(vault->vault->db, 0, &tally), 0);
	assert_int_equal(tally.count[RECORDING_DESTROYED], 1);
	assert_int_equal(tally.count[RECORDING_QUARANTINED], 1);
}

static void test_a_shred_between_begin_and_commit(void **state)
{
	shred_between_begin_and_commit(*state, false);
}

static void test_a_pending_shred_between_begin_and_commit(void **state)
{
	shred_between_begin_and_commit(*state, true);
}

/* The database fails at any point of a commit: the recording is catalogued with its object, or the
 * plaintext is kept; after a restart as before it. */
static void commit_with_fault(enum fault fault, unsigned at, bool *ret_reached)
{
	struct vault_fixture vault;
	struct ingest_job *job;
	struct recording_row row;
	uint8_t existing[ULID_BYTES];

	vault_fixture_open(&vault);
	vault_fixture_seal(&vault, "alice", "a", 1, 1, NULL);
	vault_fixture_shut(&vault);
	faults_on_database(true);
	assert_int_equal(vault_fixture_reopen(&vault, 0, NULL), 0);
	struct ingest_request request = vault_fixture_request(&vault, "alice", "a", 10);
	job = vault_fixture_begin(&vault, &request);
	faults_arm(fault, at, 1);
	int result = commit_one(&vault, job);
	*ret_reached = faults_disarm() > at;
	faults_on_database(false);
	/* As if the process ended here: what SQLite would still do at a close is not done. */
	vault_fixture_shell(&vault, "cp -a $D/keeper $D/then");
	vault_fixture_shut(&vault);
	vault_fixture_shell(&vault, "rm -r $D/keeper && mv $D/then $D/keeper");
	assert_int_equal(vault_fixture_reopen(&vault, 1, NULL), 0);
	int r = ingest_begin(&vault.vault->ingest, &request, &job, existing);
	if (result == 0)
		assert_int_equal(r, 1);
	if (r == 1) {
		int fd = object_store_open_object(vault.vault->store, existing);
		if (fd < 0)
			fail_msg("fault %d at %u: catalogued, but its object is gone", fault, at);
		close(fd);
		assert_int_equal(catalog_recording_by_ulid(vault.vault->db, existing, &row), 0);
		catalog_recording_clear(&row);
	} else {
		ingest_abort(job);
	}
	assert_int_equal(named(&vault), 1 + r);
	vault_fixture_close(&vault);
}

static void test_every_fault_of_the_database(void **state)
{
	static const enum fault faults[] = {FAULT_EIO, FAULT_EIO_TORN, FAULT_EIO_AFTER};

	for (size_t i = 0; i < ELEMENTSOF(faults); i++) {
		bool reached = true;
		for (unsigned at = 0; reached; at++)
			commit_with_fault(faults[i], at, &reached);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			IN_VAULT(test_nothing_shows_before_the_commit),
			IN_VAULT(test_an_abort_leaves_nothing),
			IN_VAULT(test_the_same_source_again),
			IN_VAULT(test_quarantine),
			IN_VAULT(test_names_are_bytes),
			IN_VAULT(test_absurd_sizes_and_times),
			IN_VAULT(test_no_room_for_it),
			IN_VAULT(test_a_wrong_object_is_refused),
			IN_VAULT(test_a_flipped_bit_anywhere),
			IN_VAULT(test_a_long_object_is_verified_in_strides),
			IN_VAULT(test_a_bad_job_does_not_hurt_the_others),
			IN_VAULT(test_one_account_with_damaged_keys),
			IN_VAULT(test_one_source_in_two_jobs),
			IN_VAULT(test_a_shred_between_begin_and_commit),
			IN_VAULT(test_a_pending_shred_between_begin_and_commit),
			cmocka_unit_test(test_every_fault_of_the_database),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
