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
#include "daemon/keeper/ingest/ingest_room.h"
#include "daemon/keeper/root/objects_place.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/expiry.h"

struct ingest_job *ingest_abort(struct ingest_job *job)
{
	if (!job)
		return NULL;
	*job->link = job->next;
	if (job->next)
		job->next->link = job->link;
	ingest_earlier_clear(&job->earlier);
	object_store_draft_free(job->draft);
	free(job->new_account);
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

void ingest_given(struct ingest_job *job)
{
	object_store_draft_given(job->draft);
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
	private->recoverable_bytes =
			(int64_t)(request->probe.recoverable_bytes > request->plain_bytes
							? request->plain_bytes
							: request->probe.recoverable_bytes);
	if (*request->probe.damage && !(private->damage = strdup(request->probe.damage)))
		return -ENOMEM;
	if (*quarantine && !(private->quarantine_reason = strdup(quarantine)))
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
	/* Nothing is sealed before it was recorded; a day is for time zones and clocks. By a clock
	 * that may be wrong nobody can say so. */
	if (row->sealed_clock != SEALED_CLOCK_UNKNOWN &&
			row->recorded_us > row->sealed_us + US_PER_DAY)
		row->recorded_us = row->sealed_us;
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
	char quarantine[INGEST_WHY_BYTES];
	int r = ingest_account_place(ingest, job, request, quarantine);

	if (r < 0)
		return r;
	memcpy(job->source, request->source, sizeof(job->source));
	job->firm = request->firm;
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

uint64_t ingest_unwritten_bytes(const struct ingest_job *job)
{
	uint64_t all = age_stream_sealed_bytes((uint64_t)job->row.plain_bytes);
	struct stat st;

	if (fstat(object_store_draft_fd(job->draft), &st) < 0 || (uint64_t)st.st_size >= all)
		return 0;
	return all - (uint64_t)st.st_size;
}

/* More than any disk has, and little enough to be added up. */
#define SEALED_BYTES_MAX (UINT64_C(1) << 53)

/* Why not goes to status: the intake only hears an error's name. */
static int begin_check_disk(struct ingest *ingest, const struct ingest_request *request)
{
	struct reason reason = {""};
	int r = objects_place_check(ingest->root, &reason);

	uint64_t need = age_stream_sealed_bytes(request->plain_bytes);

	if (need > SEALED_BYTES_MAX)
		return -ENOSPC;
	if (r == 0)
		r = ingest_room_check(ingest->root, need, request->promised_bytes, &reason);
	if (r < 0)
		notices_keep_problem(ingest->root->notices, "a recording cannot be sealed: %s",
				reason_text(&reason, r));
	return r;
}

static struct ingest_job *open_job(struct ingest *ingest)
{
	struct ingest_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->store = ingest->root->store;
	job->earlier.object_fd = -1;
	job->next = ingest->open;
	job->link = &ingest->open;
	if (job->next)
		job->next->link = &job->next;
	ingest->open = job;
	return job;
}

int ingest_begin(struct ingest *ingest, const struct ingest_request *request,
		struct ingest_job **ret_job)
{
	/* The sealed size is computed from it, and must not overflow. */
	if (request->plain_bytes > INT64_MAX / 2)
		return -EFBIG;
	if (!config_find_class(ingest->config, request->class))
		return -RE_CONFIG;
	int r = begin_check_disk(ingest, request);
	if (r < 0)
		return r;
	struct ingest_job *job = open_job(ingest);
	if (!job)
		return -ENOMEM;
	job->keys = secret_new(sizeof(*job->keys));
	r = job->keys ? job_fill(ingest, job, request) : -RE_MLOCK;
	if (r < 0) {
		ingest_abort(job);
		return r;
	}
	*ret_job = job;
	return 0;
}
