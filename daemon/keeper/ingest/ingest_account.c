/* Whose a recording is: its account, or the quarantine.
 *
 * A begin that never commits leaves nothing behind, so an account that a recording is the first of
 * is made by its commit. Jobs that are open at the same time agree on its handle, which is in their
 * headers already: the first one chooses it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "daemon/keeper/ingest/ingest_job.h"
#include "daemon/keeper/vault/accounts.h"
#include "storage/tables/erasure_table.h"

static const struct ingest_job *job_of_new_account(
		const struct ingest *ingest, const void *name, size_t len)
{
	for (const struct ingest_job *job = ingest->open; job; job = job->next) {
		if (job->new_account && job->new_account_len == len &&
				memcmp(job->new_account, name, len) == 0)
			return job;
	}
	return NULL;
}

static int place_in_new(const struct ingest *ingest, struct ingest_job *job,
		const struct ingest_request *request)
{
	const struct ingest_job *other =
			job_of_new_account(ingest, request->account, request->account_len);
	uint8_t *name = malloc(request->account_len);

	if (!name)
		return -ENOMEM;
	memcpy(name, request->account, request->account_len);
	if (other)
		memcpy(job->account_handle, other->account_handle, sizeof(job->account_handle));
	else
		accounts_new_handle(job->account_handle);
	job->new_account = name;
	job->new_account_len = request->account_len;
	return 0;
}

/* Why a recording of this account cannot be sealed for it; NULL when it can. */
static int account_objection(
		struct ingest *ingest, const struct account_row *account, const char **ret_why)
{
	int noted = erasure_table_account_is_noted(ingest->root->db, account->id);

	if (noted < 0)
		return noted;
	/* A recording is never lost for its account's state: quarantine keeps it for an officer
	 * to decide. */
	if (account->state == ACCOUNT_DELETED)
		*ret_why = "the account was shredded";
	else if (noted)
		*ret_why = "the account is being shredded";
	else if (account->state == ACCOUNT_CLOSED)
		*ret_why = "the account is closed";
	else if (account->state == ACCOUNT_QUARANTINE)
		*ret_why = "the account is the vault's own";
	else
		*ret_why = NULL;
	return 0;
}

/* A file whose recording was destroyed, or is in quarantine, is not sealed for the account once
 * more: its plaintext may be what a crash, or a folder that nobody may remove from, has left.
 * Whether it is cannot be known any more, so a person decides. */
static int file_objection(struct ingest *ingest, const struct ingest_request *request,
		char ret_why[static INGEST_WHY_BYTES])
{
	struct recording_row row;
	char id[ULID_TEXT_CHARS + 1];
	int r = catalog_recording_by_source(ingest->root->db, request->source, &row);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	ulid_format(row.ulid, id);
	if (!recording_is_live(row.state))
		snprintf(ret_why, INGEST_WHY_BYTES,
				"its file may be the one of recording %s, which was destroyed: "
				"play it to find out",
				id);
	else if (row.state == RECORDING_QUARANTINED)
		snprintf(ret_why, INGEST_WHY_BYTES,
				"its file may be the one of recording %s, which is in quarantine",
				id);
	catalog_recording_clear(&row);
	return 0;
}

static int place_in_quarantine(struct ingest *ingest, struct ingest_job *job)
{
	struct account_row row;
	int r = catalog_account_by_id(
			ingest->root->db, ingest->recordings.quarantine_account, &row);

	if (r < 0)
		return r;
	job->row.account = row.id;
	job->row.state = RECORDING_QUARANTINED;
	memcpy(job->account_handle, row.handle, sizeof(job->account_handle));
	catalog_account_clear(&row);
	return 0;
}

/* For an account that exists: *ret_why is NULL when it was placed there. */
static int place_in_known(struct ingest *ingest, struct ingest_job *job,
		const struct account_row *row, const char **ret_why)
{
	int r = account_objection(ingest, row, ret_why);

	if (r == 0 && !*ret_why) {
		job->row.account = row->id;
		memcpy(job->account_handle, row->handle, sizeof(job->account_handle));
	}
	return r;
}

static int place_by_name(struct ingest *ingest, struct ingest_job *job,
		const struct ingest_request *request, const char **ret_why)
{
	struct account_row row;
	int r = accounts_find(ingest->root->tree, request->account, request->account_len, &row);

	/* A name that was never seen is a new account; nobody has to register it first. */
	if (r == -ENOENT)
		return place_in_new(ingest, job, request);
	if (r < 0)
		return r;
	r = place_in_known(ingest, job, &row, ret_why);
	catalog_account_clear(&row);
	return r;
}

int ingest_account_place(struct ingest *ingest, struct ingest_job *job,
		const struct ingest_request *request, char ret_why[static INGEST_WHY_BYTES])
{
	const char *why = NULL;
	int r = 0;

	*ret_why = '\0';
	job->row.state = RECORDING_SEALED;
	if (!request->account)
		why = "the spool's profile names no account for it";
	else if (request->account_len == 0 || request->account_len > ACCOUNT_NAME_MAX)
		why = "its account's name is empty or too long";
	else
		r = file_objection(ingest, request, ret_why);
	if (r == 0 && !why && !*ret_why)
		r = place_by_name(ingest, job, request, &why);
	if (why)
		snprintf(ret_why, INGEST_WHY_BYTES, "%s", why);
	return r == 0 && *ret_why ? place_in_quarantine(ingest, job) : r;
}

/* 1 when there is no such account yet. */
static int account_of_job(
		struct ingest *ingest, const struct ingest_job *job, struct account_row *ret_row)
{
	if (!job->new_account)
		return catalog_account_by_id(ingest->root->db, job->row.account, ret_row);
	int r = accounts_find(ingest->root->tree, job->new_account, job->new_account_len, ret_row);
	return r == -ENOENT ? 1 : r;
}

int ingest_account_admits(struct ingest *ingest, struct ingest_job *job)
{
	struct account_row row;
	int r = account_of_job(ingest, job, &row);

	if (r != 0)
		return r < 0 ? r : 0;
	bool own = memcmp(row.handle, job->account_handle, sizeof(row.handle)) == 0;
	enum account_state state = row.state;
	job->row.account = row.id;
	catalog_account_clear(&row);
	if (!own || state == ACCOUNT_DELETED || state == ACCOUNT_CLOSED)
		return -RE_REFUSED;
	/* A shred that waits for a mirror: nothing may be added below its key. */
	r = erasure_table_account_is_noted(ingest->root->db, job->row.account);
	return r > 0 ? -RE_REFUSED : r;
}

int ingest_account_make(struct ingest *ingest, struct ingest_job *job)
{
	struct account_row row;

	if (job->row.account != 0)
		return 0;
	int r = accounts_add(ingest->root->tree, vault_clock_told_us(ingest->clock),
			job->account_handle, job->new_account, job->new_account_len, &row);
	if (r < 0)
		return r;
	job->row.account = row.id;
	catalog_account_clear(&row);
	return 0;
}
