#include "crypto/rec_stanza.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "crypto/age_stanza.h"
#include "crypto/age_wrap.h"
#include "crypto/hkdf.h"

_Static_assert(REC_WRAPPED_BYTES == AGE_WRAPPED_BYTES, "wrapped size");
_Static_assert(TAG_HASH_BYTES == crypto_hash_sha256_BYTES, "hash size");

void rec_stanza_hash_tag(const void *tag, size_t len, uint8_t ret_hash[static TAG_HASH_BYTES])
{
	crypto_hash_sha256(ret_hash, tag, len);
}

/* The wrap key of one recording under one nonce, in secret memory; NULL when there is none. */
static uint8_t *wrap_key_new(const struct rec_binding *binding,
		const uint8_t recording_key[static REC_KEY_BYTES],
		const uint8_t nonce[static REC_NONCE_BYTES])
{
	uint8_t info[sizeof(REC_STANZA_TYPE) - 1 + ACCOUNT_HANDLE_BYTES + ULID_BYTES];
	uint8_t *key = secret_new(AGE_WRAP_KEY_BYTES);

	if (!key)
		return NULL;
	uint8_t *at = mempcpy(info, REC_STANZA_TYPE, sizeof(REC_STANZA_TYPE) - 1);
	at = mempcpy(at, binding->account_handle, ACCOUNT_HANDLE_BYTES);
	memcpy(at, binding->recording_id, ULID_BYTES);
	hkdf_sha256(recording_key, REC_KEY_BYTES, nonce, REC_NONCE_BYTES, info, sizeof(info), key,
			AGE_WRAP_KEY_BYTES);
	return key;
}

static int build_rec_stanza(const struct rec_binding *binding,
		const uint8_t nonce[static REC_NONCE_BYTES], uint8_t *wrapped, uint8_t *tag,
		size_t tag_len, const uint8_t file_key[static AGE_FILE_KEY_BYTES],
		uint8_t **ret_bytes, size_t *ret_len)
{
	char rec_type[] = REC_STANZA_TYPE, tag_type[] = TAG_STANZA_TYPE;
	char id[ULID_TEXT_CHARS + 1], nonce_text[AGE_BASE64_ROOM(REC_NONCE_BYTES)];
	const struct age_stanza stanzas[] = {
			{(char *[]){rec_type, id, nonce_text}, 3, wrapped, REC_WRAPPED_BYTES},
			{(char *[]){tag_type}, 1, tag, tag_len},
	};

	ulid_format(binding->recording_id, id);
	age_stanza_base64_format(nonce, REC_NONCE_BYTES, nonce_text);
	return age_header_build(stanzas, ELEMENTSOF(stanzas), file_key, ret_bytes, ret_len);
}

int rec_stanza_build_header(const struct rec_binding *binding,
		const uint8_t recording_key[static REC_KEY_BYTES],
		const uint8_t file_key[static AGE_FILE_KEY_BYTES], const char *tag, size_t tag_len,
		uint8_t **ret_bytes, size_t *ret_len)
{
	uint8_t nonce[REC_NONCE_BYTES], tag_hash[TAG_HASH_BYTES], wrapped[REC_WRAPPED_BYTES];

	randombytes_buf(nonce, sizeof(nonce));
	_cleanup_secret_ uint8_t *wrap_key = wrap_key_new(binding, recording_key, nonce);
	_cleanup_free_ uint8_t *body = malloc(tag_len ? tag_len : 1);
	if (!wrap_key || !body)
		return -ENOMEM;
	memcpy(body, tag, tag_len);
	rec_stanza_hash_tag(tag, tag_len, tag_hash);
	age_wrap_seal(wrap_key, file_key, tag_hash, sizeof(tag_hash), wrapped);
	return build_rec_stanza(
			binding, nonce, wrapped, body, tag_len, file_key, ret_bytes, ret_len);
}

/* A recording id as we write it: lower case only, so that one id has one spelling. */
static int parse_id(const char *text, uint8_t ret_id[static ULID_BYTES])
{
	char again[ULID_TEXT_CHARS + 1];
	uint8_t id[ULID_BYTES];

	if (ulid_parse(text, id) < 0)
		return -RE_HEADER;
	ulid_format(id, again);
	if (strcmp(again, text) != 0)
		return -RE_HEADER;
	memcpy(ret_id, id, ULID_BYTES);
	return 0;
}

int rec_stanza_parse(const struct age_stanza *stanza, struct rec_stanza *ret_stanza)
{
	struct rec_stanza rec = {0};

	if (stanza->n_args != 2 || stanza->body_len != REC_WRAPPED_BYTES)
		return -RE_HEADER;
	int r = parse_id(stanza->args[0], rec.recording_id);
	if (r == 0)
		r = age_stanza_base64(stanza->args[1], strlen(stanza->args[1]), rec.nonce,
				sizeof(rec.nonce));
	if (r < 0)
		return r;
	memcpy(rec.wrapped, stanza->body, sizeof(rec.wrapped));
	*ret_stanza = rec;
	return 0;
}

int rec_stanza_find(const struct age_header *header, struct rec_stanza *ret_stanza)
{
	if (!age_header_find(header, REC_STANZA_TYPE))
		return -RE_NO_MATCH;
	if (header->n_stanzas != 2)
		return -RE_HEADER;
	const struct age_stanza *rec = &header->stanzas[0], *tag = &header->stanzas[1];
	if (strcmp(rec->args[0], REC_STANZA_TYPE) != 0 ||
			strcmp(tag->args[0], TAG_STANZA_TYPE) != 0 || tag->n_args != 1)
		return -RE_HEADER;

	struct rec_stanza found;
	struct age_stanza untyped = *rec;
	untyped.args++;
	untyped.n_args--;
	int r = rec_stanza_parse(&untyped, &found);
	if (r < 0)
		return r;
	rec_stanza_hash_tag(tag->body, tag->body_len, found.tag_hash);
	*ret_stanza = found;
	return 0;
}

int rec_stanza_unwrap(const struct rec_stanza *stanza, const struct rec_binding *binding,
		const uint8_t recording_key[static REC_KEY_BYTES],
		uint8_t ret_file_key[static AGE_FILE_KEY_BYTES])
{
	if (memcmp(stanza->recording_id, binding->recording_id, ULID_BYTES) != 0)
		return -RE_NO_MATCH;
	_cleanup_secret_ uint8_t *wrap_key = wrap_key_new(binding, recording_key, stanza->nonce);
	if (!wrap_key)
		return -ENOMEM;
	return age_wrap_open(wrap_key, stanza->wrapped, stanza->tag_hash, sizeof(stanza->tag_hash),
			ret_file_key);
}
