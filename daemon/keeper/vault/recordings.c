#include "daemon/keeper/vault/recordings.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/keeper/keys/keytree.h"

#define PATH_MAX_BYTES 4096

static const char *const state_names[RECORDING_STATES] = {
		[RECORDING_SEALED] = "sealed",
		[RECORDING_QUARANTINED] = "quarantined",
		[RECORDING_HELD] = "held",
		[RECORDING_PENDING] = "pending",
		[RECORDING_DESTROYED] = "destroyed",
		[RECORDING_EXPIRED] = "expired",
};

const char *recording_state_name(enum recording_state state)
{
	return state_names[state];
}

int recording_state_parse(const char *name, enum recording_state *ret_state)
{
	for (int i = RECORDING_SEALED; i < RECORDING_STATES; i++) {
		if (strcmp(name, state_names[i]) == 0) {
			*ret_state = (enum recording_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool recording_is_live(enum recording_state state)
{
	return state == RECORDING_SEALED || state == RECORDING_QUARANTINED ||
	       state == RECORDING_HELD;
}

void recording_private_clear(struct recording_private *private)
{
	if (private->path)
		sodium_memzero(private->path, private->path_len);
	free(private->spool);
	free(private->path);
	free(private->damage);
	free(private->quarantine_reason);
	free(private->follows);
	json_decref(private->sidecars);
	memset(private, 0, sizeof(*private));
}

/* Opens the recording's key; -RE_GONE when it was destroyed. A live one without a key is damage,
 * and must not pass for a destruction. */
static int recording_open_key(struct keytree *tree, const struct recording_row *row,
		uint8_t key[static REC_KEY_BYTES])
{
	struct key_path path = key_path_recording(row->account, row->group, row->id);

	if (!recording_is_live(row->state))
		return -RE_GONE;
	int r = keytree_open(tree, &path, key);
	return r == -ENOENT ? -RE_CORRUPT : r;
}

static int private_copy_text(const json_t *object, const char *key, char **ret_text)
{
	const char *text = json_string_value(json_object_get(object, key));

	*ret_text = text ? strdup(text) : NULL;
	return text && !*ret_text ? -ENOMEM : 0;
}

static int sidecar_check(const json_t *sidecar)
{
	_cleanup_free_ uint8_t *path = NULL, *bytes = NULL;
	size_t len;
	int r = intake_wire_bytes(sidecar, "path", PATH_MAX_BYTES, &path, &len);

	if (r == 0 && (len == 0 || memchr(path, 0, len) || json_object_size(sidecar) != 2))
		r = -RE_PROTOCOL;
	if (r == 0)
		r = intake_wire_bytes(sidecar, "bytes", RECORDING_SIDECAR_BYTES_MAX, &bytes, &len);
	return r;
}

int recordings_check_sidecars(const json_t *sidecars)
{
	int r = json_is_array(sidecars) && json_array_size(sidecars) <= RECORDING_SIDECARS_MAX
				? 0
				: -RE_PROTOCOL;

	for (size_t i = 0; r == 0 && i < json_array_size(sidecars); i++)
		r = sidecar_check(json_array_get(sidecars, i));
	return r;
}

static int private_copy_sidecars(const json_t *object, json_t **ret_sidecars)
{
	json_t *sidecars = json_object_get(object, "sidecars");
	int r = sidecars ? recordings_check_sidecars(sidecars) : 0;

	if (r == 0)
		*ret_sidecars = json_incref(sidecars);
	return r;
}

static int private_from_json(const json_t *object, struct recording_private *ret_private)
{
	struct recording_private private = {.recoverable_bytes = json_integer_value(json_object_get(
							    object, "recoverable_bytes"))};
	int r = intake_wire_bytes(object, "path", PATH_MAX_BYTES, &private.path, &private.path_len);

	if (r == 0)
		r = private_copy_text(object, "spool", &private.spool);
	if (r == 0)
		r = private_copy_text(object, "damage", &private.damage);
	if (r == 0)
		r = private_copy_text(object, "quarantine", &private.quarantine_reason);
	if (r == 0)
		r = private_copy_text(object, "follows", &private.follows);
	if (r == 0)
		r = private_copy_sidecars(object, &private.sidecars);
	private.discarded = json_is_true(json_object_get(object, "discarded"));
	if (r < 0) {
		recording_private_clear(&private);
		return r == -RE_PROTOCOL ? -RE_CORRUPT : r;
	}
	*ret_private = private;
	return 0;
}

int recordings_private(struct keytree *tree, const struct recording_row *row,
		struct recording_private *ret_private)
{
	_cleanup_secret_ uint8_t *key = secret_new(REC_KEY_BYTES);
	int r = key ? recording_open_key(tree, row, key) : -RE_MLOCK;

	if (r < 0)
		return r;
	/* The database may have been altered: the length below must not wrap. */
	if (row->private_bytes < SEAL_OVERHEAD_BYTES)
		return -RE_CORRUPT;
	size_t len = row->private_bytes - SEAL_OVERHEAD_BYTES;
	_cleanup_free_ char *text = malloc(len + 1);
	if (!text)
		return -ENOMEM;
	r = key_seal_open_record(key, RECORD_RECORDING_PRIVATE, (uint64_t)row->id, row->private,
			row->private_bytes, text);
	if (r < 0)
		return r;
	json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	r = json_is_object(object) ? private_from_json(object, ret_private) : -RE_CORRUPT;
	json_decref(object);
	return r;
}

static int private_set_count(json_t *object, const char *key, int64_t n)
{
	return n > 0 ? json_object_set_new(object, key, json_integer((json_int_t)n)) : 0;
}

static int private_set_text(json_t *object, const char *key, const char *text)
{
	return text ? json_object_set_new(object, key, json_string(text)) : 0;
}

int recordings_seal_private(const struct recording_private *private,
		const uint8_t key[static REC_KEY_BYTES], int64_t id, uint8_t **ret_sealed,
		size_t *ret_bytes)
{
	json_t *object = json_object();
	int bad = json_object_set_new(object, "path",
				  intake_wire_base64(private->path, private->path_len)) |
		  private_set_count(object, "recoverable_bytes", private->recoverable_bytes) |
		  private_set_text(object, "spool", private->spool) |
		  private_set_text(object, "damage", private->damage) |
		  private_set_text(object, "quarantine", private->quarantine_reason) |
		  private_set_text(object, "follows", private->follows);
	if (private->discarded)
		bad |= json_object_set_new(object, "discarded", json_true());
	if (json_array_size(private->sidecars) > 0)
		bad |= json_object_set(object, "sidecars", private->sidecars);
	_cleanup_free_ char *text = bad ? NULL : json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(object);
	if (!text)
		return -ENOMEM;
	size_t len = strlen(text);
	uint8_t *sealed = malloc(len + SEAL_OVERHEAD_BYTES);
	if (sealed) {
		key_seal_record(key, RECORD_RECORDING_PRIVATE, (uint64_t)id, text, len, sealed);
		*ret_sealed = sealed;
		*ret_bytes = len + SEAL_OVERHEAD_BYTES;
	}
	sodium_memzero(text, len);
	return sealed ? 0 : -ENOMEM;
}

/* Unwraps the stanza as bound to the handle of this account. */
static int recording_unwrap_for(const struct recordings *from, const struct recording_row *row,
		int64_t account_id, const struct rec_stanza *stanza,
		const uint8_t key[static REC_KEY_BYTES],
		uint8_t ret_file_key[static AGE_FILE_KEY_BYTES])
{
	struct rec_binding binding;
	struct account_row account;
	int r = catalog_account_by_id(keytree_db(from->tree), account_id, &account);

	if (r < 0)
		return r;
	memcpy(binding.recording_id, row->ulid, ULID_BYTES);
	memcpy(binding.account_handle, account.handle, ACCOUNT_HANDLE_BYTES);
	catalog_account_clear(&account);
	return rec_stanza_unwrap(stanza, &binding, key, ret_file_key);
}

/* Unwraps a stanza of this recording. One that was assigned from quarantine (assign.h) is still
 * bound to the handle of that: the only other account that a recording may have been sealed for. */
static int recording_unwrap(const struct recordings *from, const struct recording_row *row,
		const struct rec_stanza *stanza, uint8_t ret_file_key[static AGE_FILE_KEY_BYTES])
{
	_cleanup_secret_ uint8_t *key = secret_new(REC_KEY_BYTES);
	int r = key ? recording_open_key(from->tree, row, key) : -RE_MLOCK;

	if (r == 0)
		r = recording_unwrap_for(from, row, row->account, stanza, key, ret_file_key);
	if (r == -RE_NO_MATCH && row->account != from->quarantine_account)
		r = recording_unwrap_for(
				from, row, from->quarantine_account, stanza, key, ret_file_key);
	return r;
}

/* Checks a header that was read from an object, and derives the payload's key. */
static int recording_open_header(const struct recordings *from, const struct recording_row *row,
		int object_fd, const struct age_header *header, const uint8_t *bytes,
		int *ret_key_fd)
{
	_cleanup_secret_ uint8_t *keys = secret_new(AGE_FILE_KEY_BYTES + AGE_PAYLOAD_KEY_BYTES);
	uint8_t nonce[AGE_PAYLOAD_NONCE_BYTES];
	struct rec_stanza stanza;
	size_t n;
	int r = keys ? rec_stanza_find(header, &stanza) : -RE_MLOCK;

	if (r == 0)
		r = recording_unwrap(from, row, &stanza, keys);
	/* Before the payload key is handed out: a forged header gets no key. */
	if (r == 0)
		r = age_header_verify(header, bytes, keys);
	if (r == 0)
		r = io_pread_full(object_fd, nonce, sizeof(nonce), (off_t)header->header_bytes, &n);
	if (r < 0)
		return r;
	if (n != sizeof(nonce))
		return -RE_PAYLOAD;
	uint8_t *payload_key = keys + AGE_FILE_KEY_BYTES;
	age_stream_payload_key(keys, nonce, payload_key);
	int key_fd = secret_to_fd(payload_key, AGE_PAYLOAD_KEY_BYTES);
	if (key_fd < 0)
		return key_fd;
	*ret_key_fd = key_fd;
	return 0;
}

int recordings_open(const struct recordings *from, const struct recording_row *row,
		struct recording_opened *ret_opened)
{
	_cleanup_close_ int object_fd = -1;
	_cleanup_free_ uint8_t *bytes = NULL;
	struct age_header header = {0};
	int key_fd;

	if (!recording_is_live(row->state))
		return -RE_GONE;
	/* Without the object the key is of no use, so it is not opened at all. */
	object_fd = object_store_open_object(from->store, row->ulid);
	if (object_fd < 0)
		return object_fd;
	int r = age_header_read(object_fd, &header, &bytes);
	if (r < 0)
		return r;
	r = recording_open_header(from, row, object_fd, &header, bytes, &key_fd);
	size_t header_bytes = header.header_bytes;
	age_header_free(&header);
	if (r < 0)
		return r;
	*ret_opened = (struct recording_opened){
			.object_fd = TAKE_FD(object_fd),
			.key_fd = key_fd,
			.payload_offset = (off_t)(header_bytes + AGE_PAYLOAD_NONCE_BYTES),
	};
	return 0;
}

int recordings_unwrap(const struct recordings *from, const struct rec_stanza *stanza,
		struct recording_row *ret_row, int *ret_key_fd)
{
	_cleanup_secret_ uint8_t *file_key = secret_new(AGE_FILE_KEY_BYTES);
	struct recording_row row;
	int r = file_key ? catalog_recording_by_ulid(
					   keytree_db(from->tree), stanza->recording_id, &row)
			 : -RE_MLOCK;

	if (r < 0)
		return r;
	r = recording_unwrap(from, &row, stanza, file_key);
	int key_fd = r < 0 ? r : secret_to_fd(file_key, AGE_FILE_KEY_BYTES);
	if (key_fd < 0) {
		catalog_recording_clear(&row);
		return key_fd;
	}
	*ret_row = row;
	*ret_key_fd = key_fd;
	return 0;
}
