/* From a request to an open job: whose the recording is, its row and tag, its keys, its header. */
#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/common/config/config.h"
#include "daemon/keeper/ingest/ingest_job.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/expiry.h"
#include "storage/tables/erasure_table.h"

struct ingest_job *ingest_abort(struct ingest_job *job)
{
	if (!job)
		return NULL;
	object_store_draft_free(job->draft);
	recording_private_clear(&job->private);
	catalog_recording_clear(&job->row);
	free(job->header);
	secret_free(job->keys);
	free(job);
	return NULL;
}

const uint8_t *ingest_recording_id(const struct ingest_job *job)
{
	return job->row.ulid;
}

void ingest_start(const struct ingest_job *job, struct ingest_start *ret_start)
{
	*ret_start = (struct ingest_start){
			.recording_id = job->row.ulid,
			.header = job->header,
			.header_bytes = job->header_bytes,
			.nonce = job->nonce,
			.payload_key = job->keys->payload,
			.object_fd = object_store_draft_fd(job->draft),
	};
}

void ingest_summarise(const struct ingest_job *job, struct ingest_summary *ret_summary)
{
	const struct recording_private *private = &job->private;

	*ret_summary = (struct ingest_summary){
			.recording = job->row.ulid,
			.account_handle = job->account_handle,
			.spool = private->spool,
			.discarded = private->discarded,
			.overdue = job->overdue,
			.plain_bytes = job->row.plain_bytes,
	};
	if (job->row.state == RECORDING_QUARANTINED)
		ret_summary->quarantine = private->quarantine_reason;
	if (job->row.condition == PROBE_DAMAGED)
		ret_summary->damage = private->damage ? private->damage : "cause not known";
}

/* Why a recording of this account cannot be sealed for it; NULL when it can. */
static int quarantine_reason(
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

static int find_account(struct ingest *ingest, const struct ingest_request *request,
		struct account_row *ret_row, const char **ret_quarantine)
{
	struct account_row row = {0};
	const char *why = NULL;
	int r = 0;

	if (!request->account)
		why = "the spool's profile names no account for it";
	else if (request->account_len == 0 || request->account_len > ACCOUNT_NAME_MAX)
		why = "its account's name is empty or too long";
	if (!why) {
		r = accounts_find(ingest->root->tree, request->account, request->account_len, &row);
		/* A name that was never seen is a new account; nobody has to register it first. */
		if (r == -ENOENT)
			r = accounts_create(ingest->root->tree, clock_now_us(&ingest->clock->told),
					request->account, request->account_len, &row);
		if (r == 0)
			r = quarantine_reason(ingest, &row, &why);
	}
	if (r == 0 && why) {
		/* Sealed for the vault's own account, under a key of its own like any other. */
		catalog_account_clear(&row);
		r = catalog_account_by_id(
				ingest->root->db, ingest->recordings.quarantine_account, &row);
	}
	if (r < 0) {
		catalog_account_clear(&row);
		return r;
	}
	*ret_row = row;
	*ret_quarantine = why;
	return 0;
}

static int fill_private(struct ingest_job *job, const struct ingest_request *request,
		const char *quarantine)
{
	struct recording_private *private = &job->private;

	private->spool = strdup(request->spool);
	private->path = malloc(request->path_len + 1);
	if (!private->spool || !private->path)
		return -ENOMEM;
	memcpy(private->path, request->path, request->path_len);
	private->path[request->path_len] = '\0';
	private->path_len = request->path_len;
	private->recoverable_bytes = (int64_t)request->probe.recoverable_bytes;
	if (*request->probe.damage && !(private->damage = strdup(request->probe.damage)))
		return -ENOMEM;
	if (quarantine && !(private->quarantine_reason = strdup(quarantine)))
		return -ENOMEM;
	private->discarded = request->discarded;
	private->sidecars = json_incref(request->sidecars);
	return 0;
}

static void fill_row(
		struct ingest *ingest, struct ingest_job *job, const struct ingest_request *request)
{
	const struct config_class *class = config_find_class(ingest->config, request->class);
	const struct probe_result *probe = &request->probe;
	struct recording_row *row = &job->row;

	row->keep = class->keep;
	row->keep_from = class->keep_from_recorded ? KEEP_FROM_RECORDED : KEEP_FROM_SEALED;
	vault_clock_seal(ingest->clock, row);
	job->clock_jumped_us = ingest->clock->jumped_us;
	row->recorded_us = request->recorded_us;
	job->overdue = expiry_set(row);
	row->condition = (int)probe->condition;
	row->frames = probe->frames > INT64_MAX ? -1 : (int64_t)probe->frames;
	row->channels = probe->channels;
	row->sample_rate = probe->sample_rate;
	row->plain_bytes = (int64_t)request->plain_bytes;
	snprintf(row->class, sizeof(row->class), "%s", class->name);
	snprintf(row->format, sizeof(row->format), "%s", probe->format);
}

static int set_time(json_t *object, const char *key, int64_t t_us)
{
	char text[RFC3339_BYTES];

	clock_format_rfc3339(t_us, text);
	return json_object_set_new(object, key, json_string(text));
}

/* The tag: only what may outlive a shred. */
static char *make_tag(const struct ingest_job *job)
{
	char handle[ACCOUNT_HANDLE_CHARS + 1], id[ULID_TEXT_CHARS + 1];
	const struct recording_row *row = &job->row;

	account_handle_format(job->account_handle, handle);
	ulid_format(row->ulid, id);
	json_t *tag = json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "v", 1, "recording", id,
			"account", handle, "class", row->class, "format", row->format, "channels",
			(json_int_t)row->channels, "sample_rate", (json_int_t)row->sample_rate,
			"plaintext_bytes", (json_int_t)row->plain_bytes);
	char *text = NULL;
	if (tag && set_time(tag, "recorded_at", row->recorded_us) == 0 &&
			set_time(tag, "sealed_at", row->sealed_us) == 0 &&
			set_time(tag, "expires_at", row->expires_us) == 0)
		text = json_dumps(tag, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(tag);
	return text;
}

static int make_header(struct ingest_job *job)
{
	struct rec_binding binding;
	_cleanup_free_ char *tag = make_tag(job);

	if (!tag)
		return -ENOMEM;
	memcpy(binding.recording_id, job->row.ulid, ULID_BYTES);
	memcpy(binding.account_handle, job->account_handle, ACCOUNT_HANDLE_BYTES);
	/* Fresh for every attempt: nothing sealed before opens with these keys. */
	randombytes_buf(job->keys->recording, sizeof(job->keys->recording));
	randombytes_buf(job->keys->file, sizeof(job->keys->file));
	randombytes_buf(job->nonce, sizeof(job->nonce));
	age_stream_payload_key(job->keys->file, job->nonce, job->keys->payload);
	return rec_stanza_build_header(&binding, job->keys->recording, job->keys->file, tag,
			strlen(tag), &job->header, &job->header_bytes);
}

static int job_fill(
		struct ingest *ingest, struct ingest_job *job, const struct ingest_request *request)
{
	struct account_row account;
	const char *quarantine = NULL;
	int r = find_account(ingest, request, &account, &quarantine);

	if (r < 0)
		return r;
	job->row.account = account.id;
	job->row.state = quarantine ? RECORDING_QUARANTINED : RECORDING_SEALED;
	memcpy(job->account_handle, account.handle, sizeof(job->account_handle));
	catalog_account_clear(&account);
	memcpy(job->source, request->source, sizeof(job->source));
	/* Before the id, which carries the time of the sealing. */
	fill_row(ingest, job, request);
	ulid_new(job->row.sealed_us, job->row.ulid);
	r = fill_private(job, request, quarantine);
	/* Needs the complete row: the tag is derived from it. */
	if (r == 0)
		r = make_header(job);
	if (r == 0)
		r = object_store_create(ingest->root->store, job->row.ulid, &job->draft);
	return r;
}

/* The plaintext may be the last good copy: is the sealed one there, whole, and does its key open
 * its header? */
static int check_existing(struct ingest *ingest, const struct recording_row *row)
{
	struct recording_opened opened;
	struct stat st;
	/* Checks the header's MAC with the recording's key: the sealed copy can be opened. */
	int r = recordings_open(&ingest->recordings, row, &opened);

	if (r < 0)
		return r == -ENOENT ? -RE_PAYLOAD : r;
	if (fstat(opened.object_fd, &st) < 0)
		r = -errno;
	else if (st.st_size != row->sealed_bytes)
		r = -RE_PAYLOAD;
	close(opened.object_fd);
	close(opened.key_fd);
	return r;
}

/* Whether what is sealed with the recording are these sidecars: then they may go. */
static int compare_sidecars(struct ingest *ingest, const struct recording_row *row,
		const struct ingest_request *request)
{
	struct recording_private private = {0};

	if (json_array_size(request->sidecars) == 0)
		return INGEST_EXISTS;
	int r = recordings_private(ingest->root->tree, row, &private);
	if (r < 0)
		return r;
	r = json_equal(private.sidecars, request->sidecars) ? INGEST_EXISTS : INGEST_OTHER_SIDECARS;
	recording_private_clear(&private);
	return r;
}

/* INGEST_EXISTS, ... when this very file is catalogued, 0 when not. One that was destroyed since
 * counts: its plaintext must not come back. */
static int find_existing(struct ingest *ingest, const struct ingest_request *request,
		uint8_t ret_existing[static ULID_BYTES])
{
	struct recording_row row;
	int r = catalog_recording_by_source(ingest->root->db, request->source, &row);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	/* A destroyed one has no object to check. */
	r = recording_is_live(row.state) ? check_existing(ingest, &row) : 0;
	if (r == 0)
		memcpy(ret_existing, row.ulid, ULID_BYTES);
	if (r == 0)
		r = recording_is_live(row.state) ? compare_sidecars(ingest, &row, request)
						 : INGEST_EXISTS;
	catalog_recording_clear(&row);
	return r;
}

uint64_t ingest_unwritten_bytes(const struct ingest_job *job)
{
	uint64_t all = age_stream_sealed_bytes((uint64_t)job->row.plain_bytes);
	struct stat st;

	if (fstat(object_store_draft_fd(job->draft), &st) < 0 || (uint64_t)st.st_size >= all)
		return 0;
	return all - (uint64_t)st.st_size;
}

/* A filesystem that does not say how much is free says 0: then writing will tell. */
static int room_check(struct ingest *ingest, const struct ingest_request *request)
{
	uint64_t free_bytes, need = age_stream_sealed_bytes(request->plain_bytes);
	int r = object_store_free_bytes(ingest->root->store, &free_bytes);

	if (r < 0 || free_bytes == 0)
		return 0;
	return need > free_bytes || request->promised_bytes > free_bytes - need ? -ENOSPC : 0;
}

int ingest_begin(struct ingest *ingest, const struct ingest_request *request,
		struct ingest_job **ret_job, uint8_t ret_existing[static ULID_BYTES])
{
	/* First of all: after a crash the same file is begun again, and must not be sealed
	 * twice. */
	int r = find_existing(ingest, request, ret_existing);

	if (r != 0)
		return r;
	/* The sealed size is computed from it, and must not overflow. */
	if (request->plain_bytes > INT64_MAX / 2)
		return -EFBIG;
	if (!config_find_class(ingest->config, request->class))
		return -RE_CONFIG;
	r = room_check(ingest, request);
	if (r < 0)
		return r;
	struct ingest_job *job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	job->store = ingest->root->store;
	job->keys = secret_new(sizeof(*job->keys));
	r = job->keys ? job_fill(ingest, job, request) : -RE_MLOCK;
	if (r < 0) {
		ingest_abort(job);
		return r;
	}
	*ret_job = job;
	return 0;
}
