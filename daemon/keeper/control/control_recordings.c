/* ShowRecording, OpenRecording, UnwrapFileKey. What gives out a key is in the audit log before the
 * key leaves. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/view.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/recordings.h"

#define OBJECT_MISSING "the sealed object is missing from the object directory"

static int recording_show(
		struct control_call *call, const struct recording_row *row, json_t **ret_view)
{
	struct view_account_cache cache = {0};
	int r = view_recording(call->vault, row, &cache, ret_view);

	view_account_cache_clear(&cache);
	return r;
}

int control_recordings_show(struct control_call *call)
{
	struct recording_row row;
	json_t *view;
	int r = control_find_recording(call, "id", &row);

	if (r != 0)
		return r;
	r = recording_show(call, &row, &view);
	if (r == 0 && (r = view_add_sidecars(call->vault, &row, view)) < 0)
		json_decref(view);
	catalog_recording_clear(&row);
	return r < 0 ? r : control_answer_reply(call, json_pack("{s:o}", "recording", view), NULL);
}

/* Nobody plays the recordings of a closed or restricted account. A purpose is only what the caller
 * says, so verifying them, which takes the same key, is for officers. */
static int recording_check_account(struct control_call *call, int64_t account, const char *action)
{
	struct account_row row;
	int r = catalog_account_by_id(call->vault->db, account, &row);

	if (r < 0)
		return r;
	enum account_state state = row.state;
	catalog_account_clear(&row);
	/* Nobody knows whose these are; an officer has to find out. */
	if (state == ACCOUNT_QUARANTINE && !(call->roles & ROLE_OFFICER))
		return control_answer_refused(
				call, "%s: only officers open what is in quarantine", action);
	if (state != ACCOUNT_CLOSED && state != ACCOUNT_RESTRICTED)
		return 0;
	if (strcmp(action, "verify") == 0 && (call->roles & ROLE_OFFICER))
		return 0;
	return control_answer_refused(call, "%s: the recording's account is %s", action,
			account_state_name(state));
}

static int recording_check_readable(
		struct control_call *call, const struct recording_row *row, const char *action)
{
	/* First, so that a destroyed recording is reported as destroyed to everybody. */
	int r = control_find_not_gone(call, row);

	if (r != 0)
		return r;
	if (!recording_is_live(row->state))
		return control_answer_refused(call, "%s: the recording is %s", action,
				recording_state_name(row->state));
	return recording_check_account(call, row->account, action);
}

static int recording_audit(
		struct control_call *call, const struct recording_row *row, const char *action)
{
	char id[ULID_TEXT_CHARS + 1];

	ulid_format(row->ulid, id);
	return control_audit_append(call, action, id, control_text(call, "reason"));
}

static int recording_answer_open_failed(
		struct control_call *call, const struct recording_row *row, int r)
{
	char id[ULID_TEXT_CHARS + 1];

	ulid_format(row->ulid, id);
	if (r == -RE_GONE)
		return control_answer_gone(call, "recording", id, row->destroyed_epoch);
	if (r == -ENOENT)
		return control_answer_damaged(call, id, OBJECT_MISSING);
	if (r == -RE_CORRUPT || r == -RE_HEADER || r == -RE_HEADER_MAC || r == -RE_PAYLOAD ||
			r == -RE_NO_MATCH || r == -ELOOP || r == -EIO)
		return control_answer_damaged(call, id, error_text(r));
	return r;
}

static int recording_open_row(
		struct control_call *call, const struct recording_row *row, const char *purpose)
{
	struct recording_opened opened;
	json_t *view;
	int r = recording_check_readable(call, row, purpose);

	if (r != 0)
		return r;
	r = recordings_open(&call->vault->ingest.recordings, row, &opened);
	if (r < 0)
		return recording_answer_open_failed(call, row, r);
	struct socket_fds fds = {.fd = {opened.object_fd, opened.key_fd}, .count = 2};
	/* Recorded before the key leaves: if the record fails, no key is given out. */
	r = recording_audit(call, row, purpose);
	if (r == 0)
		r = recording_show(call, row, &view);
	if (r < 0) {
		socket_fds_close(&fds);
		return r;
	}
	return control_answer_reply(call,
			json_pack("{s:o, s:i, s:i, s:I}", "recording", view, "object_fd", 0,
					"key_fd", 1, "payload_offset",
					(json_int_t)opened.payload_offset),
			&fds);
}

int control_recordings_open(struct control_call *call)
{
	const char *purpose = control_text(call, "purpose");
	struct recording_row row;

	if (strcmp(purpose, "play") != 0 && strcmp(purpose, "verify") != 0)
		return control_answer_invalid(call, "purpose", "must be play or verify");
	int r = control_find_recording(call, "id", &row);
	if (r != 0)
		return r;
	r = recording_open_row(call, &row, purpose);
	catalog_recording_clear(&row);
	return r;
}

/* Standard base64, padded or, as age writes it, not. */
static int stanza_decode(const char *text, void *ret_bytes, size_t room, size_t *ret_len)
{
	enum base64_padding padding = strchr(text, '=') ? BASE64_PADDED : BASE64_UNPADDED;

	return base64_decode(text, strlen(text), padding, ret_bytes, room, ret_len);
}

static int stanza_read(struct control_call *call, struct rec_stanza *ret_stanza)
{
	const json_t *list = json_object_get(call->parameters, "args");
	char *args[CONTROL_LIST_MAX];
	uint8_t body[2 * REC_WRAPPED_BYTES], tag_hash[TAG_HASH_BYTES];
	struct age_stanza age = {.args = args, .n_args = json_array_size(list), .body = body};
	size_t tag_hash_len;

	for (size_t i = 0; i < age.n_args; i++)
		args[i] = (char *)(uintptr_t)json_string_value(json_array_get(list, i));
	if (stanza_decode(control_text(call, "body"), body, sizeof(body), &age.body_len) < 0)
		return control_answer_invalid(call, "body", "must be base64 of a stanza's body");
	if (stanza_decode(control_text(call, "tag_sha256"), tag_hash, sizeof(tag_hash),
			    &tag_hash_len) < 0 ||
			tag_hash_len != sizeof(tag_hash))
		return control_answer_invalid(call, "tag_sha256", "must be base64 of 32 bytes");
	int r = rec_stanza_parse(&age, ret_stanza);
	if (r == -RE_HEADER)
		return control_answer_invalid(call, "args",
				"this is not a well-formed " REC_STANZA_TYPE " stanza");
	if (r == 0)
		memcpy(ret_stanza->tag_hash, tag_hash, sizeof(tag_hash));
	return r;
}

static int recording_unwrap_row(struct control_call *call, const struct rec_stanza *stanza,
		const struct recording_row *row, const char *id)
{
	_cleanup_close_ int key_fd = -1;
	struct recording_row unwrapped;
	int r = recording_check_readable(call, row, "unwrap");

	if (r != 0)
		return r;
	r = recordings_unwrap(&call->vault->ingest.recordings, stanza, &unwrapped, &key_fd);
	if (r == -RE_NO_MATCH)
		return control_answer_invalid(
				call, "body", "stanza, tag and recording do not belong together");
	if (r < 0)
		return recording_answer_open_failed(call, row, r);
	catalog_recording_clear(&unwrapped);
	/* As above: no key without its record. */
	r = recording_audit(call, row, "unwrap");
	if (r < 0)
		return r;
	struct socket_fds fds = {.fd = {TAKE_FD(key_fd)}, .count = 1};
	return control_answer_reply(
			call, json_pack("{s:s, s:i}", "recording", id, "key_fd", 0), &fds);
}

int control_recordings_unwrap(struct control_call *call)
{
	char id[ULID_TEXT_CHARS + 1];
	struct recording_row row;
	struct rec_stanza stanza;
	int r = stanza_read(call, &stanza);

	if (r != 0)
		return r;
	ulid_format(stanza.recording_id, id);
	r = catalog_recording_by_ulid(call->vault->db, stanza.recording_id, &row);
	if (r < 0)
		return r == -ENOENT ? control_answer_not_found(call, "recording", id) : r;
	r = recording_unwrap_row(call, &stanza, &row, id);
	catalog_recording_clear(&row);
	return r;
}
