#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "daemon/common/event.h"
#include "daemon/keeper/erasure/retention.h"
#include "daemon/keeper/ingest/ingest_job.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/expiry.h"
#include "daemon/keeper/vault/spool_places.h"
#include "storage/tables/audit.h"
#include "storage/tables/erasure_table.h"

static int check_bytes(int fd, off_t offset, const uint8_t *expected, size_t len)
{
	_cleanup_free_ uint8_t *found = malloc(len);
	size_t n;
	int r = found ? io_pread_full(fd, found, len, offset, &n) : -ENOMEM;

	if (r < 0)
		return r;
	return n == len && memcmp(found, expected, len) == 0 ? 0 : -RE_PAYLOAD;
}

/* Opens the last chunk: it carries the chunk count and the final flag, so the object is of the
 * right length and was sealed with the key that the stored wrap will give. */
static int check_final_chunk(const struct ingest_job *job)
{
	off_t payload = (off_t)(job->header_bytes + AGE_PAYLOAD_NONCE_BYTES);
	uint64_t plain = (uint64_t)job->row.plain_bytes, sealed = age_stream_sealed_bytes(plain);
	uint64_t last = plain ? (plain - 1) / AGE_CHUNK_BYTES : 0;
	size_t len = (size_t)(sealed - last * AGE_SEALED_CHUNK_BYTES), n;
	_cleanup_free_ uint8_t *chunk = malloc(2 * len);

	if (!chunk)
		return -ENOMEM;
	int r = io_pread_full(job->draft.fd, chunk, len,
			payload + (off_t)(last * AGE_SEALED_CHUNK_BYTES), &n);
	if (r == 0 && n != len)
		r = -RE_PAYLOAD;
	if (r == 0)
		r = age_stream_open_chunk(job->keys->payload, last, true, chunk, len, chunk + len);
	sodium_memzero(chunk, 2 * len);
	return r;
}

/* Is the object what was to be written? Its end is opened; its middle is covered by the intake's
 * own read-to-end check. */
static int verify_object(struct ingest_job *job)
{
	uint64_t expected = job->header_bytes + AGE_PAYLOAD_NONCE_BYTES +
			    age_stream_sealed_bytes((uint64_t)job->row.plain_bytes);
	struct stat st;

	if (fstat(job->draft.fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != expected)
		return -RE_PAYLOAD;
	job->row.sealed_bytes = (int64_t)expected;
	int r = check_bytes(job->draft.fd, 0, job->header, job->header_bytes);
	if (r == 0)
		r = check_bytes(job->draft.fd, (off_t)job->header_bytes, job->nonce,
				sizeof(job->nonce));
	return r < 0 ? r : check_final_chunk(job);
}

/* The account may have been shredded while the intake was sealing; then the intake begins anew, and
 * the recording goes to quarantine. */
static int check_account(struct vault *vault, const struct ingest_job *job)
{
	struct account_row row;
	int r = catalog_account_by_id(vault->db, job->row.account, &row);

	if (r < 0)
		return r;
	enum account_state state = row.state;
	catalog_account_clear(&row);
	if (state == ACCOUNT_DELETED || state == ACCOUNT_CLOSED)
		return -RE_REFUSED;
	r = erasure_table_account_is_noted(vault->db, job->row.account);
	return r > 0 ? -RE_REFUSED : r;
}

/* The very same file may have been begun twice; it is catalogued once. */
static int check_source(
		struct vault *vault, struct ingest_job *const *jobs, size_t i, const int *results)
{
	struct recording_row row;

	for (size_t j = 0; j < i; j++) {
		if (results[j] == 0 && memcmp(jobs[j]->source, jobs[i]->source,
						       sizeof(jobs[i]->source)) == 0)
			return -EEXIST;
	}
	int r = catalog_recording_by_source(vault->db, jobs[i]->source, &row);
	if (r == 0)
		catalog_recording_clear(&row);
	return r == 0 ? -EEXIST : r == -ENOENT ? 0 : r;
}

static int catalogue(struct vault *vault, struct ingest_job *job)
{
	struct recording_row *row = &job->row;
	char id[ULID_TEXT_CHARS + 1];
	bool created;
	int r = catalog_group_for(vault->db, row->account,
			expiry_bucket(row->expires_us, job->keep_us), row->expires_us, &row->group,
			&created);

	if (r == 0)
		r = catalog_recording_add(vault->db, row, job->source);
	if (r < 0)
		return r;
	struct key_path path = key_path_recording(row->account, row->group, row->id);
	r = keytree_add(vault->tree, &path, job->keys->recording, NULL);
	if (r == 0)
		r = spool_places_take(vault, row, &job->private);
	if (r == 0)
		r = recordings_seal_private(&job->private, job->keys->recording, row->id,
				&row->private, &row->private_bytes);
	if (r == 0)
		r = catalog_recording_set_private(
				vault->db, row->id, row->private, row->private_bytes);
	if (r < 0)
		return r;
	ulid_format(row->ulid, id);
	struct audit_record audit = {.at_us = clock_now_us(&vault->clock),
			.action = row->state == RECORDING_QUARANTINED ? "quarantine" : "ingest",
			.subject = id,
			.epoch = vault_epoch(vault)};
	return audit_append(vault->db, &audit);
}

/* What is wrong with one account's keys must not hold up the others. */
static int catalogue_apart(struct vault *vault, struct ingest_job *job, int *ret_result)
{
	int r = db_savepoint(vault->db);

	if (r < 0)
		return r;
	r = catalogue(vault, job);
	if (r == -RE_CORRUPT || r == -EEXIST) {
		*ret_result = r;
		vault_trouble(vault, "a recording cannot be catalogued: %s", error_text(r));
		(void)vault->store->ops->remove(vault->store, job->row.ulid);
		return db_savepoint_end(vault->db, false);
	}
	return r < 0 ? r : db_savepoint_end(vault->db, true);
}

/* *ret_doubtful: it failed in a way that leaves open whether it will be there after a restart. */
static int catalogue_all(struct vault *vault, struct ingest_job **jobs, size_t n, int *results,
		bool *ret_doubtful)
{
	int r = db_begin(vault->db);
	size_t catalogued = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (results[i] == 0)
			r = catalogue_apart(vault, jobs[i], &results[i]);
		catalogued += results[i] == 0;
	}
	if (r == 0 && catalogued > 0) {
		r = db_commit(vault->db);
		*ret_doubtful = r < 0 && r != -ENOSPC;
	}
	if (r < 0 || catalogued == 0)
		db_rollback(vault->db);
	return r;
}

static void announce(const struct ingest_job *job)
{
	char id[ULID_TEXT_CHARS + 1], handle[ACCOUNT_HANDLE_CHARS + 1];

	ulid_format(job->row.ulid, id);
	account_handle_format(job->account_handle, handle);
	struct event_fields fields = {
			.recording = id, .account = handle, .spool = job->private.spool};
	if (job->row.state == RECORDING_QUARANTINED)
		event_log(LOG_WARNING, EVENT_QUARANTINED, &fields, "recording %s quarantined: %s",
				id, job->private.quarantine_reason);
	else
		event_log(LOG_INFO, EVENT_SEALED, &fields, "recording %s sealed, %" PRId64 " bytes",
				id, job->row.plain_bytes);
	if (job->private.discarded)
		event_log(LOG_NOTICE, EVENT_DISCARDED, &fields,
				"recording %s was discarded by its bridge: sealed all the same "
				"(Discarded=seal)",
				id);
	if (job->row.condition == PROBE_DAMAGED)
		event_log(LOG_WARNING, EVENT_DAMAGED, &fields, "recording %s is damaged: %s", id,
				job->private.damage ? job->private.damage : "cause not known");
}

static void publish_all(struct vault *vault, struct ingest_job **jobs, size_t n, int *results)
{
	for (size_t i = 0; i < n; i++) {
		results[i] = check_account(vault, jobs[i]);
		if (results[i] == 0)
			results[i] = check_source(vault, jobs, i, results);
		if (results[i] == 0)
			results[i] = verify_object(jobs[i]);
		if (results[i] == 0)
			results[i] = vault->store->ops->publish(vault->store, &jobs[i]->draft);
	}
}

static void fail_all(int *results, size_t n, int error)
{
	for (size_t i = 0; i < n; i++) {
		if (results[i] == 0)
			results[i] = error;
	}
}

/* The names are taken back, as far as that goes; what stays is swept at the next start. */
static void unpublish_all(
		struct vault *vault, struct ingest_job **jobs, size_t n, const int *results)
{
	for (size_t i = 0; i < n; i++) {
		if (results[i] == 0)
			(void)vault->store->ops->remove(vault->store, jobs[i]->row.ulid);
	}
}

void ingest_commit(struct vault *vault, struct ingest_job **jobs, size_t n, int *results)
{
	bool doubtful = false;

	publish_all(vault, jobs, n, results);
	int r = vault->stuck ? -RE_BUSY : vault->store->ops->sync(vault->store);
	if (r == 0)
		r = catalogue_all(vault, jobs, n, results, &doubtful);
	if (r < 0) {
		vault_trouble(vault, "recordings cannot be catalogued: %s", error_text(r));
		/* A commit whose sync failed may come to light again at the next start, and then
		 * the objects must be there: only a restart can tell. */
		if (doubtful)
			vault->stuck = true;
		else
			unpublish_all(vault, jobs, n, results);
		fail_all(results, n, r);
	}
	for (size_t i = 0; i < n; i++) {
		if (results[i] == 0)
			announce(jobs[i]);
		ingest_abort(jobs[i]);
	}
}
