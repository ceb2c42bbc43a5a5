#include "daemon/keeper/control/view.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/recordings.h"

#define OBJECT_PLACE_BYTES 128
#define SIDECAR_PATH_MAX   4096

void view_account_cache_clear(struct view_account_cache *cache)
{
	if (cache->name)
		sodium_memzero(cache->name, strlen(cache->name));
	free(cache->name);
	*cache = (struct view_account_cache){0};
}

json_t *view_time(int64_t t_us)
{
	char text[RFC3339_BYTES];

	if (t_us == 0)
		return NULL;
	clock_format_rfc3339(t_us, text);
	return json_string(text);
}

static json_t *text_to_json(const void *bytes, size_t len)
{
	_cleanup_free_ char *text = text_printable(bytes, len);

	return text ? json_string(text) : NULL;
}

json_t *view_text(const char *text)
{
	return text ? text_to_json(text, strlen(text)) : NULL;
}

static json_t *number_to_json(int64_t n)
{
	return n > 0 ? json_integer(n) : NULL;
}

int view_account_name(struct vault *vault, const struct account_row *row, char **ret_name)
{
	char *name = NULL;
	char handle[ACCOUNT_HANDLE_CHARS + 1];
	int r = accounts_name(vault->root.tree, row, &name);

	if (r == -RE_CORRUPT) {
		account_handle_format(row->handle, handle);
		notices_keep_problem(&vault->notices, "the name of account %s is damaged", handle);
	} else if (r < 0 && r != -RE_GONE) {
		return r;
	}
	*ret_name = name;
	return 0;
}

static int account_cache_fill(struct vault *vault, int64_t id, struct view_account_cache *cache)
{
	struct account_row row;

	if (cache->id == id)
		return 0;
	int r = catalog_account_by_id(vault->db, id, &row);
	if (r == -RE_ALTERED) {
		view_account_cache_clear(cache);
		memset(&row, 0, sizeof(row));
		account_handle_format(row.handle, cache->handle);
		return 0;
	}
	if (r < 0)
		return r;
	/* Only now: a failure above leaves the cache as it was. */
	view_account_cache_clear(cache);
	r = view_account_name(vault, &row, &cache->name);
	if (r == 0) {
		cache->id = id;
		account_handle_format(row.handle, cache->handle);
	}
	catalog_account_clear(&row);
	return r;
}

static int private_read(struct vault *vault, const struct recording_row *row,
		struct recording_private *ret_private)
{
	char id[ULID_TEXT_CHARS + 1];
	int r = row->private && !row->altered
				? recordings_private(vault->root.tree, row, ret_private)
				: -RE_GONE;

	/* The rest of the row is still worth showing. */
	if (r == -RE_CORRUPT) {
		ulid_format(row->ulid, id);
		notices_keep_problem(
				&vault->notices, "the private data of recording %s is damaged", id);
	} else if (r < 0 && r != -RE_GONE) {
		return r;
	}
	return 0;
}

static const char *condition_to_name(int condition)
{
	return condition >= 0 && condition < PROBE_CONDITIONS
			       ? probe_wire_condition_name((enum probe_condition)condition)
			       : probe_wire_condition_name(PROBE_UNPROBED);
}

static json_t *duration_to_json(const struct recording_row *row)
{
	return row->frames >= 0 && row->sample_rate > 0
			       ? json_real((double)row->frames / (double)row->sample_rate)
			       : NULL;
}

static const char *sealed_clock_name(enum sealed_clock sealed_clock)
{
	return sealed_clock == SEALED_CLOCK_KNOWN     ? "known"
	       : sealed_clock == SEALED_CLOCK_UNKNOWN ? "unknown"
						      : "put right";
}

/* The facts that outlive a shred. */
static json_t *recording_public_part(struct vault *vault, const struct recording_row *row)
{
	char id[ULID_TEXT_CHARS + 1], object[OBJECT_PLACE_BYTES];

	ulid_format(row->ulid, id);
	object_store_describe(vault->store, row->ulid, object, sizeof(object));
	return json_pack("{s:s, s:s, s:s, s:o, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, "
			 "s:o*, s:I, s:I, s:s, s:s}",
			"id", id, "state",
			row->altered ? "altered" : recording_state_name(row->state), "condition",
			condition_to_name(row->condition), "class", view_text(row->class),
			"recorded_at", view_time(row->recorded_us), "sealed_at",
			view_time(row->sealed_us), "expires_at", view_time(row->expires_us),
			"destroyed_at", view_time(row->destroyed_us), "destroyed_epoch",
			number_to_json((int64_t)row->destroyed_epoch), "duration_s",
			duration_to_json(row), "format",
			*row->format ? view_text(row->format) : NULL, "channels",
			number_to_json(row->channels), "sample_rate",
			number_to_json(row->sample_rate), "plaintext_bytes",
			(json_int_t)row->plain_bytes, "sealed_bytes", (json_int_t)row->sealed_bytes,
			"object", object, "clock", sealed_clock_name(row->sealed_clock));
}

/* Texts that may be absent, of the private part. */
static json_t *recording_private_texts(const struct recording_private *private)
{
	return json_pack("{s:o*, s:o*, s:o*, s:o*, s:o*}", "spool", view_text(private->spool),
			"damage", view_text(private->damage), "quarantine_reason",
			view_text(private->quarantine_reason), "follows",
			view_text(private->follows), "discarded",
			private->discarded ? json_true() : NULL);
}

static json_t *recording_private_part(const struct recording_private *private)
{
	const uint8_t *name = private->path;
	size_t len = private->path_len;

	if (!name)
		return recording_private_texts(private);
	const uint8_t *slash = memrchr(private->path, '/', private->path_len);
	if (slash) {
		name = slash + 1;
		len = private->path_len - (size_t)(name - private->path);
	}
	json_t *part = recording_private_texts(private);
	if (json_object_set_new(part, "path", text_to_json(private->path, private->path_len)) |
			json_object_set_new(part, "name", text_to_json(name, len))) {
		json_decref(part);
		return NULL;
	}
	return part;
}

/* How much of the audio of a damaged one is there: in seconds where its frames could be counted. */
static int recording_add_recoverable(const struct recording_row *row, int64_t bytes, json_t *view)
{
	json_t *length = row->condition == PROBE_DAMAGED ? duration_to_json(row) : NULL;
	int r = length ? json_object_set_new(view, "recoverable_s", length) : 0;

	if (r == 0 && bytes > 0)
		r = json_object_set_new(view, "recoverable_bytes", json_integer((json_int_t)bytes));
	return r;
}

int view_recording(struct vault *vault, const struct recording_row *row,
		struct view_account_cache *cache, json_t **ret_view)
{
	struct recording_private private = {0};
	int r = account_cache_fill(vault, row->account, cache);

	if (r == 0)
		r = private_read(vault, row, &private);
	if (r < 0)
		return r;
	json_t *view = recording_public_part(vault, row);
	int64_t recoverable_bytes = private.recoverable_bytes;
	json_t *more = recording_private_part(&private);
	json_t *account = json_pack(
			"{s:s*, s:s}", "account", cache->name, "account_handle", cache->handle);
	recording_private_clear(&private);
	if (json_object_update(view, account) < 0 || json_object_update(view, more) < 0 ||
			recording_add_recoverable(row, recoverable_bytes, view) < 0) {
		json_decref(view);
		view = NULL;
	}
	json_decref(account);
	json_decref(more);
	if (!view)
		return -ENOMEM;
	*ret_view = view;
	return 0;
}

static json_t *sidecar_to_json(const json_t *sidecar)
{
	_cleanup_free_ uint8_t *path = NULL, *bytes = NULL;
	size_t path_len, len;

	if (intake_wire_bytes(sidecar, "path", SIDECAR_PATH_MAX, &path, &path_len) < 0 ||
			intake_wire_bytes(sidecar, "bytes", RECORDING_SIDECAR_BYTES_MAX, &bytes,
					&len) < 0)
		return NULL;
	return json_pack("{s:o, s:o}", "path", text_to_json(path, path_len), "text",
			text_to_json(bytes, len));
}

int view_add_sidecars(struct vault *vault, const struct recording_row *row, json_t *view)
{
	struct recording_private private = {0};
	int r = private_read(vault, row, &private);

	if (r < 0 || json_array_size(private.sidecars) == 0) {
		recording_private_clear(&private);
		return r;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < json_array_size(private.sidecars) && r == 0; i++)
		r = json_array_append_new(
				list, sidecar_to_json(json_array_get(private.sidecars, i)));
	recording_private_clear(&private);
	if (r == 0)
		return json_object_set_new(view, "sidecars", list) < 0 ? -ENOMEM : 0;
	json_decref(list);
	return -ENOMEM;
}

json_t *view_recording_counts(const struct tally *tally)
{
	json_t *counts = json_object();

	for (int state = RECORDING_SEALED; state < RECORDING_STATES; state++)
		json_object_set_new(counts, recording_state_name((enum recording_state)state),
				json_integer(tally->count[state]));
	return counts;
}

json_t *view_account_counts(const int64_t count[static ACCOUNT_QUARANTINE + 1])
{
	json_t *counts = json_object();

	for (int state = ACCOUNT_OPEN; state <= ACCOUNT_QUARANTINE; state++)
		json_object_set_new(counts, account_state_name((enum account_state)state),
				json_integer(count[state]));
	return counts;
}

int view_account(struct vault *vault, const struct account_row *row,
		const struct recording_span *span, json_t **ret_view)
{
	char handle[ACCOUNT_HANDLE_CHARS + 1];
	_cleanup_free_ char *name = NULL;
	struct tally tally;
	int r = view_account_name(vault, row, &name);

	if (r == 0)
		r = catalog_tally_get(vault->db, row->id, &tally);
	if (r < 0)
		return r;
	struct share live = catalog_tally_live(&tally);
	/* What was found out in turns before may be destroyed by now. */
	bool any = live.count > 0 && row->state != ACCOUNT_DELETED;
	account_handle_format(row->handle, handle);
	json_t *view = json_pack("{s:s, s:s*, s:s, s:o*, s:o*, s:o*, s:o, s:I, s:o*, s:o*}",
			"handle", handle, "name", name, "state", account_state_name(row->state),
			"created_at", view_time(row->created_us), "deleted_at",
			view_time(row->deleted_us), "deleted_epoch",
			number_to_json((int64_t)row->deleted_epoch), "recordings",
			view_recording_counts(&tally), "plaintext_bytes",
			(json_int_t)live.plain_bytes, "oldest_at",
			any ? view_time(span->oldest_us) : NULL, "newest_at",
			any ? view_time(span->newest_us) : NULL);
	if (!view)
		return -ENOMEM;
	*ret_view = view;
	return 0;
}
