/* Two files are never one: what the keeper makes of a file whose identity it has met before. By
 * then the file has been sealed once more; only equal content, of one account, is `already`. */
#include "tests/unit/support/vault_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
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
#include "daemon/keeper/vault/key_loans.h"

#define BYTES ((size_t)2 * AGE_CHUNK_BYTES + 5000)

/* One byte that differs from the fixture's content; at BYTES or behind: none. */
static void write_with_change(struct ingest_job *job, size_t bytes, size_t change_at)
{
	_cleanup_free_ uint8_t *plain = malloc(bytes), *sealed = malloc(AGE_SEALED_CHUNK_BYTES);
	struct ingest_start start;

	ingest_start(job, &start);
	for (size_t i = 0; i < bytes; i++)
		plain[i] = (uint8_t)(vault_fixture_byte(i) ^ (i == change_at));
	assert_int_equal(io_write_all(start.object_fd, start.header, start.header_bytes), 0);
	assert_int_equal(io_write_all(start.object_fd, start.nonce, AGE_PAYLOAD_NONCE_BYTES), 0);
	for (size_t at = 0, n; at < bytes; at += n) {
		n = bytes - at < AGE_CHUNK_BYTES ? bytes - at : AGE_CHUNK_BYTES;
		age_stream_seal_chunk(start.payload_key, at / AGE_CHUNK_BYTES, at + n == bytes,
				plain + at, n, sealed);
		assert_int_equal(io_write_all(start.object_fd, sealed, n + AGE_TAG_BYTES), 0);
	}
	assert_int_equal(durable_sync(start.object_fd), 0);
}

static struct ingest_job *begin_with_change(
		struct vault_fixture *vault, const struct ingest_request *request, size_t change_at)
{
	struct ingest_job *job;

	assert_int_equal(ingest_begin(&vault->vault->ingest, request, &job), 0);
	write_with_change(job, request->plain_bytes, change_at);
	return job;
}

static struct ingest_job *begin_same(
		struct vault_fixture *vault, const struct ingest_request *request)
{
	return begin_with_change(vault, request, SIZE_MAX);
}

/* The result, and the id of the recording that has the content. */
static int finish(struct vault_fixture *vault, struct ingest_job *job, vault_fixture_id *ret_id)
{
	int r = 1, result;

	ingest_find_earlier(&vault->vault->ingest, job);
	while (r > 0)
		r = ingest_verify(job, false);
	result = r;
	ingest_name(&job, 1, &result);
	if (ingest_catalogue(&vault->vault->ingest, &job, 1, &result))
		ingest_unname(&job, 1, &result);
	ulid_format(result > 0 ? ingest_earlier_id(job) : ingest_recording_id(job), *ret_id);
	ingest_abort(job);
	return result;
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

static void test_the_same_bytes_are_recognised(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", BYTES);
	vault_fixture_id first, again;

	assert_int_equal(finish(vault, begin_same(vault, &request), &first), 0);
	assert_int_equal(finish(vault, begin_same(vault, &request), &again), INGEST_EXISTS);
	assert_string_equal(again, first);
	assert_int_equal(vault_fixture_reopen(vault, 0, NULL), 0);
	/* It was renamed meanwhile. */
	request.path = (const uint8_t *)"b";
	assert_int_equal(finish(vault, begin_same(vault, &request), &again), INGEST_EXISTS);
	assert_string_equal(again, first);
	assert_int_equal(catalogued(vault), 1);
	vault_fixture_shell(vault, "test $(find $D/objects -name '*.age*' | wc -l) = 1");
	vault_fixture_shell(vault, "! find $D/objects -name '.unnamed*' | grep -q .");
}

/* One byte, wherever it is, makes it another recording. */
static void test_other_bytes_are_sealed(void **state)
{
	static const size_t changes[] = {0, 1, 63, 64, 4095, 4096, AGE_CHUNK_BYTES - 1,
			AGE_CHUNK_BYTES, 2 * AGE_CHUNK_BYTES + 17, BYTES - 1};
	struct vault_fixture *vault = *state;
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", BYTES);
	vault_fixture_id id, before = "";

	assert_int_equal(finish(vault, begin_same(vault, &request), &id), 0);
	for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
		memcpy(before, id, sizeof(before));
		struct ingest_job *job = begin_with_change(vault, &request, changes[i]);
		assert_int_equal(finish(vault, job, &id), 0);
		assert_string_not_equal(id, before);
		assert_int_equal(vault_fixture_state(vault, before), RECORDING_SEALED);
		/* The latest is known. */
		job = begin_with_change(vault, &request, changes[i]);
		assert_int_equal(finish(vault, job, &before), INGEST_EXISTS);
		assert_string_equal(before, id);
	}
	assert_int_equal(catalogued(vault), 1 + (int64_t)ELEMENTSOF(changes));
}

/* Equal bytes and numbers are not enough across accounts, or where a filesystem repeats itself. */
static void test_equal_twins_are_two_recordings(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_request request = vault_fixture_request(vault, "alice", "music", BYTES);
	struct ingest_request bobs = request;
	vault_fixture_id id;

	bobs.account = (const uint8_t *)"bob";
	bobs.account_len = 3;
	assert_int_equal(finish(vault, begin_same(vault, &request), &id), 0);
	assert_int_equal(finish(vault, begin_same(vault, &bobs), &id), 0);
	bobs.account = NULL;
	assert_int_equal(finish(vault, begin_same(vault, &bobs), &id), 0);
	assert_int_equal(vault_fixture_state(vault, id), RECORDING_QUARANTINED);
	request = vault_fixture_request(vault, "alice", "music", BYTES);
	request.firm = false;
	assert_int_equal(finish(vault, begin_same(vault, &request), &id), 0);
	assert_int_equal(finish(vault, begin_same(vault, &request), &id), INGEST_EXISTS);
	request.path = (const uint8_t *)"musik";
	assert_int_equal(finish(vault, begin_same(vault, &request), &id), 0);
	assert_int_equal(catalogued(vault), 5);
}

/* What was sealed before may be the worse copy: then the new one is kept. */
static void test_a_damaged_object_proves_nothing(void **state)
{
	static const char *const damages[] = {
			"mv $O $D/gone",
			"head -c -1 $D/whole >$O",
			"printf x >>$O",
			"printf '\\377' | dd of=$O bs=1 seek=50 conv=notrunc status=none",
			"printf '\\377\\376' | dd of=$O bs=1 seek=3000 conv=notrunc status=none",
			"printf '\\377\\376' | dd of=$O bs=1 seek=100000 conv=notrunc status=none",
			"head -c 100 /dev/zero >$O",
	};
	struct vault_fixture *vault = *state;
	vault_fixture_id id, again;
	char command[512];

	for (size_t i = 0; i < ELEMENTSOF(damages); i++) {
		struct ingest_request request = vault_fixture_request(vault, "alice", "a", BYTES);
		assert_int_equal(finish(vault, begin_same(vault, &request), &id), 0);
		snprintf(command, sizeof(command),
				"O=$(ls $D/objects/*/%s.age) && cp $O $D/whole && chmod u+w $O && %s",
				id, damages[i]);
		vault_fixture_shell(vault, command);
		assert_int_equal(finish(vault, begin_same(vault, &request), &again), 0);
		assert_string_not_equal(again, id);
		/* The control: whole again, it is the new one that is known. */
		assert_int_equal(finish(vault, begin_same(vault, &request), &id), INGEST_EXISTS);
		assert_string_equal(again, id);
	}
}

static void assert_quarantined_as(
		struct vault_fixture *vault, const char *id, const char *of, const char *why)
{
	struct recording_private private;
	struct recording_row row;

	vault_fixture_row(vault, id, &row);
	assert_int_equal(row.state, RECORDING_QUARANTINED);
	assert_int_equal(row.account, vault->vault->quarantine_account);
	assert_int_equal(recordings_private(vault->vault->root.tree, &row, &private), 0);
	assert_non_null(strstr(private.quarantine_reason, of));
	assert_non_null(strstr(private.quarantine_reason, why));
	recording_private_clear(&private);
	catalog_recording_clear(&row);
}

/* Nothing is left to compare with: it does not come back to its account, and it is not removed
 * unsealed. It stays in quarantine, however often its plaintext is met. */
static void test_what_was_destroyed_is_quarantined(void **state)
{
	static const enum erasure_kind kinds[] = {ERASE_RECORDING, ERASE_GROUP, ERASE_ACCOUNT};
	struct vault_fixture *vault = *state;
	vault_fixture_id id, left, again;

	for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
		struct ingest_request request = vault_fixture_request(vault, "carol", "c", BYTES);
		assert_int_equal(finish(vault, begin_same(vault, &request), &id), 0);
		assert_int_equal(vault_fixture_erase(vault, kinds[i], id), 0);
		assert_int_equal(finish(vault, begin_same(vault, &request), &left), 0);
		assert_quarantined_as(vault, left, id, "destroyed");
		assert_int_equal(finish(vault, begin_same(vault, &request), &again), INGEST_EXISTS);
		assert_string_equal(again, left);
		/* Another file of the same bytes is another recording. */
		if (kinds[i] != ERASE_ACCOUNT) {
			struct ingest_request other =
					vault_fixture_request(vault, "carol", "c", BYTES);
			assert_int_equal(finish(vault, begin_same(vault, &other), &again), 0);
			assert_int_equal(vault_fixture_state(vault, again), RECORDING_SEALED);
		}
		/* Destroyed there as well, it goes there again. */
		assert_int_equal(vault_fixture_erase(vault, ERASE_RECORDING, left), 0);
		assert_int_equal(finish(vault, begin_same(vault, &request), &again), 0);
		assert_quarantined_as(vault, again, left, "destroyed");
	}
}

/* At every moment of a job: it is begun once more, and goes to quarantine then. */
static void test_a_shred_meanwhile(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id id, left;

	for (int moment = 0; moment < 3; moment++) {
		struct ingest_request request = vault_fixture_request(vault, "dora", "d", BYTES);
		assert_int_equal(finish(vault, begin_same(vault, &request), &id), 0);
		struct ingest_job *job = begin_same(vault, &request);
		int result = 1;
		if (moment > 0)
			ingest_find_earlier(&vault->vault->ingest, job);
		while (moment > 1 && result > 0)
			result = ingest_verify(job, false);
		assert_int_equal(vault_fixture_erase(vault, ERASE_RECORDING, id), 0);
		assert_int_equal(finish(vault, job, &left), -RE_REFUSED);
		assert_int_equal(finish(vault, begin_same(vault, &request), &left), 0);
		assert_quarantined_as(vault, left, id, "destroyed");
	}
}

/* A large file is compared in strides, to its last byte. */
static void test_a_long_comparison(void **state)
{
	struct vault_fixture *vault = *state;
	const size_t bytes = INGEST_STRIDE_CHUNKS * (size_t)AGE_CHUNK_BYTES + 1;
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", bytes);
	vault_fixture_id id, again;

	assert_int_equal(finish(vault, begin_same(vault, &request), &id), 0);
	struct ingest_job *job = begin_same(vault, &request);
	ingest_find_earlier(&vault->vault->ingest, job);
	assert_true(ingest_is_long(job, true)); /* the comparison is never of the ends only */
	assert_int_equal(ingest_verify(job, false), 1);
	assert_int_equal(ingest_verify(job, false), 1);
	assert_int_equal(ingest_verify(job, false), 0);
	assert_int_equal(finish(vault, job, &again), INGEST_EXISTS);
	assert_string_equal(again, id);
	job = begin_with_change(vault, &request, bytes - 1);
	assert_int_equal(finish(vault, job, &again), 0);
	assert_string_not_equal(again, id);
}

/* ---- The key of the earlier one is lent ---- */

static void test_a_loan_is_taken_back(void **state)
{
	static const uint8_t key[AGE_PAYLOAD_KEY_BYTES] = {1, 2, 3};
	struct key_path path = key_path_recording(7, 8, 9);
	struct key_path others[] = {
			key_path_account(8), key_path_group(7, 9), key_path_recording(7, 8, 10)};
	struct key_path above[] = {key_path_recording(7, 8, 9), key_path_group(7, 8),
			key_path_account(7), key_path_l0(0)};
	struct key_loans loans = {0};

	for (size_t i = 0; i < ELEMENTSOF(above); i++) {
		struct key_loan *first = key_loan_new(&loans, &others[0], key);
		struct key_loan *loan = key_loan_new(&loans, &path, key);
		struct key_loan *last = key_loan_new(&loans, &others[2], key);
		key_loans_recall(&loans, others, 1);
		assert_null(key_loan_lock(first));
		const uint8_t *lent = key_loan_lock(loan);
		assert_memory_equal(lent, key, sizeof(key));
		key_loan_unlock(loan);
		key_loans_recall(&loans, &above[i], 1);
		assert_null(key_loan_lock(loan));
		assert_true(sodium_is_zero(lent, sizeof(key)));
		assert_null(key_loan_free(loan));
		assert_null(key_loan_free(last));
		assert_null(key_loan_free(first));
		assert_null(loans.first);
	}
	key_loans_recall(NULL, &path, 1);
	assert_null(key_loan_free(NULL));
}

/* An erasure takes the key back before it is final; the control: another account's keeps it. */
static void test_an_erasure_takes_the_key_back(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", BYTES);
	vault_fixture_id id, bob;

	vault_fixture_seal(vault, "bob", "b", 1, 1, &bob);
	assert_int_equal(finish(vault, begin_same(vault, &request), &id), 0);
	struct ingest_job *job = begin_same(vault, &request);
	ingest_find_earlier(&vault->vault->ingest, job);
	assert_non_null(vault->vault->loans.first);
	assert_int_equal(vault_fixture_erase(vault, ERASE_RECORDING, bob), 0);
	assert_non_null(key_loan_lock(vault->vault->loans.first));
	key_loan_unlock(vault->vault->loans.first);
	assert_int_equal(vault_fixture_erase(vault, ERASE_RECORDING, id), 0);
	assert_null(key_loan_lock(vault->vault->loans.first));
	ingest_abort(job);
	assert_null(vault->vault->loans.first);
}

/* ---- Accounts are made by the commit ---- */

static int64_t accounts_open(struct vault_fixture *vault)
{
	int64_t count[ACCOUNT_QUARANTINE + 1];

	assert_int_equal(catalog_account_tally(vault->vault->db, count), 0);
	return count[ACCOUNT_OPEN];
}

static void test_a_begin_makes_no_account(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_job *jobs[50];
	char name[32];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "caller %d", i);
		struct ingest_request request = vault_fixture_request(vault, name, "a", 10);
		jobs[i] = vault_fixture_begin(vault, &request);
	}
	for (int i = 0; i < 50; i++)
		ingest_abort(jobs[(i * 7) % 50]);
	assert_int_equal(accounts_open(vault), 0);
	assert_null(vault->vault->ingest.open);
	/* One whose object is wrong makes none either. */
	struct ingest_request request = vault_fixture_request(vault, "erin", "a", 10);
	struct ingest_job *job;
	vault_fixture_id id;
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &job), 0);
	assert_int_equal(finish(vault, job, &id), -RE_PAYLOAD);
	assert_int_equal(accounts_open(vault), 0);
	assert_int_equal(finish(vault, vault_fixture_begin(vault, &request), &id), 0);
	assert_int_equal(accounts_open(vault), 1);
}

/* Begun together, they are of one account, whichever is committed, and in whatever order. */
static void test_a_new_account_is_one_account(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_job *jobs[5];
	vault_fixture_id ids[5];
	int results[5];

	for (int i = 0; i < 5; i++) {
		struct ingest_request request = vault_fixture_request(vault, "frank", "a", 10);
		jobs[i] = vault_fixture_begin(vault, &request);
		ulid_format(ingest_recording_id(jobs[i]), ids[i]);
	}
	ingest_abort(jobs[0]); /* the one that chose the handle */
	vault_fixture_commit(vault->vault, &jobs[3], 2, results + 3);
	vault_fixture_commit(vault->vault, &jobs[1], 2, results + 1);
	assert_int_equal(accounts_open(vault), 1);
	for (int i = 1; i < 5; i++) {
		struct recording_opened opened;
		struct recording_row row;
		assert_int_equal(results[i], 0);
		vault_fixture_row(vault, ids[i], &row);
		/* Its header is bound to the account's handle. */
		assert_int_equal(recordings_open(&vault->vault->ingest.recordings, &row, &opened),
				0);
		close(opened.object_fd);
		close(opened.key_fd);
		catalog_recording_clear(&row);
	}
}

/* Made by somebody else meanwhile, its handle is not the job's: once more. */
static void test_an_account_made_meanwhile(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_request request = vault_fixture_request(vault, "grace", "a", 10);
	struct ingest_job *job = vault_fixture_begin(vault, &request);
	uint8_t handle[CATALOG_HANDLE_BYTES];
	struct account_row row;
	vault_fixture_id id;

	accounts_new_handle(handle);
	assert_int_equal(db_begin(vault->vault->db), 0);
	assert_int_equal(accounts_add(vault->vault->root.tree, vault->now_us, handle, "grace", 5,
					 &row),
			0);
	assert_int_equal(db_commit(vault->vault->db), 0);
	catalog_account_clear(&row);
	assert_int_equal(finish(vault, job, &id), -RE_REFUSED);
	assert_int_equal(finish(vault, vault_fixture_begin(vault, &request), &id), 0);
	assert_int_equal(accounts_open(vault), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			IN_VAULT(test_the_same_bytes_are_recognised),
			IN_VAULT(test_other_bytes_are_sealed),
			IN_VAULT(test_equal_twins_are_two_recordings),
			IN_VAULT(test_a_damaged_object_proves_nothing),
			IN_VAULT(test_what_was_destroyed_is_quarantined),
			IN_VAULT(test_a_shred_meanwhile),
			IN_VAULT(test_a_long_comparison),
			cmocka_unit_test(test_a_loan_is_taken_back),
			IN_VAULT(test_an_erasure_takes_the_key_back),
			IN_VAULT(test_a_begin_makes_no_account),
			IN_VAULT(test_a_new_account_is_one_account),
			IN_VAULT(test_an_account_made_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
