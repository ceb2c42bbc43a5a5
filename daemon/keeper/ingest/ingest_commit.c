/* From a verified object to a catalogued recording: names, then rows. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "daemon/keeper/ingest/ingest_job.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/objects_place.h"
#include "daemon/keeper/vault/expiry.h"
#include "daemon/keeper/vault/predecessors.h"

static void results_fail(int *results, size_t n, int error)
{
	for (size_t i = 0; i < n; i++) {
		if (results[i] == 0)
			results[i] = error;
	}
}

void ingest_name(struct ingest_job *const *jobs, size_t n, int *results)
{
	struct object_store *store = NULL;

	for (size_t i = 0; i < n; i++) {
		if (results[i] < 0 || jobs[i]->earlier.same)
			continue;
		store = jobs[i]->store;
		results[i] = object_store_publish(jobs[i]->draft);
		jobs[i]->named = results[i] == 0;
	}
	/* One sync for the whole batch; the names must survive a power loss before the rows
	 * exist. */
	int r = store ? object_store_sync_published(store) : 0;
	if (r < 0)
		results_fail(results, n, r);
}

void ingest_unname(struct ingest_job *const *jobs, size_t n, const int *results)
{
	for (size_t i = 0; i < n; i++) {
		/* A failure does not matter: the next start sets the object aside. */
		if (results[i] < 0 && jobs[i]->named && !jobs[i]->doubtful)
			(void)object_store_remove(jobs[i]->store, jobs[i]->row.ulid);
	}
}

/* The very same file may have been begun twice; it is catalogued once. */
static int source_is_new(
		struct ingest *ingest, struct ingest_job *const *jobs, size_t i, const int *results)
{
	/* The same file may be in this very batch twice. */
	for (size_t j = 0; j < i; j++) {
		if (results[j] == 0 && memcmp(jobs[j]->source, jobs[i]->source,
						       sizeof(jobs[i]->source)) == 0)
			return -EEXIST;
	}
	return ingest_earlier_admits(ingest, jobs[i]);
}

static int catalogue_one(struct ingest *ingest, struct ingest_job *job)
{
	struct recording_row *row = &job->row;
	char id[ULID_TEXT_CHARS + 1];
	static const struct audit_actor keeper = {0, NULL};
	int64_t bucket, due_us;
	bool created;
	int r = ingest_account_make(ingest, job);

	/* The tag in the header keeps the guess of then. */
	if (vault_clock_reseal(ingest->clock, row, job->clock_jumped_us))
		job->overdue = expiry_set(row);
	job->clock_jumped_us = ingest->clock->jumped_us;
	expiry_place(row, &bucket, &due_us);
	if (r == 0)
		r = catalog_group_for(ingest->root->db, row->account, bucket, due_us, &row->group,
				&created);
	if (r == 0 && job->earlier.id != 0)
		r = catalog_source_release(ingest->root->db, job->source);
	if (r == 0)
		r = catalog_recording_add(ingest->root->db, row, job->source);
	if (r < 0)
		return r;
	struct key_path path = key_path_recording(row->account, row->group, row->id);
	r = keytree_add(ingest->root->tree, &path, job->keys->recording, NULL);
	/* Before the private data is sealed, which says what the recording follows. */
	if (r == 0)
		r = predecessors_take(ingest->predecessors, ingest->root->tree, row, &job->private);
	if (r == 0)
		r = recordings_seal_private(&job->private, job->keys->recording, row->id,
				&row->private, &row->private_bytes);
	if (r == 0)
		r = catalog_recording_set_private(
				ingest->root->db, row->id, row->private, row->private_bytes);
	if (r < 0)
		return r;
	/* The same transaction: no recording without its record. */
	ulid_format(row->ulid, id);
	return audit_log_append(&ingest->root->audit, &keeper,
			row->state == RECORDING_QUARANTINED ? "quarantine" : "ingest", id,
			root_epoch(ingest->root));
}

/* What is wrong with one account's keys must not hold up the others. */
static int catalogue_apart(struct ingest *ingest, struct ingest_job *job, int *result)
{
	/* One bad recording is undone alone; the rest of the batch is committed. */
	int r = db_savepoint(ingest->root->db);

	if (r < 0)
		return r;
	r = catalogue_one(ingest, job);
	if (r == -RE_CORRUPT || r == -RE_ALTERED || r == -EEXIST) {
		*result = r;
		notices_keep_problem(ingest->root->notices, "a recording cannot be catalogued: %s",
				error_text(r));
		return db_savepoint_end(ingest->root->db, false);
	}
	return r < 0 ? r : db_savepoint_end(ingest->root->db, true);
}

/* What may have changed since the job began; other jobs of this transaction are looked at too. */
static int catalogue_checked(
		struct ingest *ingest, struct ingest_job *const *jobs, size_t i, int *results)
{
	if (jobs[i]->earlier.same) {
		results[i] = ingest_earlier_recognise(ingest, jobs[i]);
		return 0;
	}
	results[i] = ingest_account_admits(ingest, jobs[i]);
	if (results[i] == 0)
		results[i] = source_is_new(ingest, jobs, i, results);
	return results[i] == 0 ? catalogue_apart(ingest, jobs[i], &results[i]) : 0;
}

/* -RE_UNKNOWN: only a restart tells whether the recordings are catalogued. */
static int catalogue_all(
		struct ingest *ingest, struct ingest_job *const *jobs, size_t n, int *results)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin_for(&transaction, ingest->root->db, DB_ROOM_SEALING);
	size_t catalogued = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (results[i] == 0)
			r = catalogue_checked(ingest, jobs, i, results);
		catalogued += results[i] == 0;
	}
	/* Along with the rest it costs no sync of its own. */
	if (r == 0 && catalogued > 0)
		r = vault_clock_store(ingest->clock, ingest->root->db);
	/* Without a row there is nothing to sync. */
	return r == 0 && catalogued > 0 ? db_transaction_commit(&transaction) : r;
}

/* A commit whose sync failed may come to light again at the next start, and then the objects must
 * be there: only a restart can tell. */
static void catalogue_doubt(struct ingest_job *const *jobs, size_t n, const int *results)
{
	for (size_t i = 0; i < n; i++)
		jobs[i]->doubtful = results[i] == 0;
}

bool ingest_catalogue(struct ingest *ingest, struct ingest_job *const *jobs, size_t n, int *results)
{
	bool leftover = false;
	int r = root_is_stuck(ingest->root) ? -RE_BUSY : objects_place_check(ingest->root, NULL);

	if (r == 0)
		r = catalogue_all(ingest, jobs, n, results);

	if (r < 0) {
		notices_keep_problem(ingest->root->notices, "recordings cannot be catalogued: %s",
				error_text(r));
		if (r == -RE_UNKNOWN)
			catalogue_doubt(jobs, n, results);
		/* The plaintext of every one of them stays in its spool. */
		results_fail(results, n, r);
	}
	for (size_t i = 0; i < n; i++)
		leftover |= results[i] < 0 && jobs[i]->named && !jobs[i]->doubtful;
	return leftover;
}
