#include "tests/unit/crypto/age_vector.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "crypto/age_identity.h"
#include "crypto/age_stream.h"

static int read_file(const char *directory, const char *name, const char *suffix, void *ret_bytes,
		size_t *len)
{
	_cleanup_free_ char *path = NULL, *bytes = NULL;
	struct stat st;

	if (asprintf(&path, "%s/%s%s", directory, name, suffix) < 0)
		return -ENOMEM;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	bytes = calloc(1, (size_t)st.st_size + 1);
	if (!bytes)
		return -ENOMEM;
	int r = io_pread_full(fd, bytes, (size_t)st.st_size, 0, len);
	if (r == 0)
		*(char **)ret_bytes = TAKE_PTR(bytes);
	return r;
}

static int add_key(const char **keys, size_t *n, const char *key)
{
	if (*n == AGE_VECTOR_KEYS_MAX)
		return -EINVAL;
	keys[(*n)++] = key;
	return 0;
}

static int take_line(struct age_vector *v, char *line)
{
	char *value = strstr(line, ": ");

	if (!value)
		return -EINVAL;
	*value = '\0';
	value += 2;
	if (strcmp(line, "expect") == 0)
		v->expect = value;
	else if (strcmp(line, "payload") == 0)
		v->payload = value;
	else if (strcmp(line, "armored") == 0)
		v->armored = true;
	else if (strcmp(line, "identity") == 0)
		return add_key(v->identities, &v->n_identities, value);
	else if (strcmp(line, "passphrase") == 0)
		return add_key(v->passphrases, &v->n_passphrases, value);
	else if (strcmp(line, "compressed") != 0 && strcmp(line, "file key") != 0 &&
			strcmp(line, "comment") != 0)
		v->strange = true;
	return 0;
}

static bool is_post_quantum(const char *identity)
{
	return strncmp(identity, "AGE-SECRET-KEY-PQ-1", 19) == 0;
}

static bool all_post_quantum(const struct age_vector *v)
{
	for (size_t i = 0; i < v->n_identities; i++)
		if (!is_post_quantum(v->identities[i]))
			return false;
	return v->n_identities > 0 && v->n_passphrases == 0;
}

int age_vector_load(const char *directory, const char *name, struct age_vector *ret_vector)
{
	_cleanup_(age_vector_free) struct age_vector v = {.name = strdup(name)};
	size_t len;

	int r = read_file(directory, name, ".vector", &v.text, &len);
	if (r == 0)
		r = read_file(directory, name, ".age", &v.file, &v.file_len);
	for (char *rest = v.text, *line; r == 0 && (line = strsep(&rest, "\n"));)
		if (*line)
			r = take_line(&v, line);
	if (r == 0 && !v.expect)
		r = -EINVAL;
	if (r < 0)
		return r;
	v.hybrid = all_post_quantum(&v);
	*ret_vector = v;
	v = (struct age_vector){0};
	return 0;
}

void age_vector_free(struct age_vector *vector)
{
	free(vector->name);
	free(vector->text);
	free(vector->file);
	*vector = (struct age_vector){0};
}

void age_vector_outcome_free(struct age_vector_outcome *outcome)
{
	free(outcome->released);
	*outcome = (struct age_vector_outcome){0};
}

static int collect(void *context, const uint8_t *plain, size_t len)
{
	struct age_vector_outcome *o = context;
	uint8_t *grown = realloc(o->released, o->released_len + len + 1);

	if (!grown)
		return -ENOMEM;
	memcpy(grown + o->released_len, plain, len);
	o->released = grown;
	o->released_len += len;
	return 0;
}

static int unwrap(const struct age_vector *v, const struct age_header *header,
		uint8_t ret_file_key[static AGE_FILE_KEY_BYTES])
{
	uint8_t secret[AGE_X25519_BYTES];
	int r = -RE_NO_MATCH;

	for (size_t i = 0; r == -RE_NO_MATCH && i < v->n_identities; i++) {
		if (is_post_quantum(v->identities[i]))
			continue;
		r = age_x25519_identity_parse(v->identities[i], secret);
		if (r == 0)
			r = age_x25519_unwrap(secret, header, ret_file_key);
	}
	for (size_t i = 0; r == -RE_NO_MATCH && i < v->n_passphrases; i++)
		r = age_scrypt_unwrap(v->passphrases[i], header, ret_file_key);
	return r;
}

static int open_payload(const struct age_vector *v, size_t nonce_at, struct age_vector_outcome *o)
{
	uint8_t key[AGE_PAYLOAD_KEY_BYTES];
	_cleanup_close_ int fd = memfd_create("payload", MFD_CLOEXEC);

	if (v->file_len - nonce_at < AGE_PAYLOAD_NONCE_BYTES)
		return -RE_HEADER; /* the nonce counts as the header's end */
	size_t at = nonce_at + AGE_PAYLOAD_NONCE_BYTES;
	int r = io_pwrite_all(fd, v->file + at, v->file_len - at, 0);
	if (r < 0)
		return r;
	age_stream_payload_key(o->file_key, v->file + nonce_at, key);
	return age_stream_open_payload(fd, key, collect, o);
}

void age_vector_run(const struct age_vector *vector, struct age_vector_outcome *ret_outcome)
{
	_cleanup_(age_header_free) struct age_header header = {0};
	struct age_vector_outcome o = {0};

	o.result = age_header_parse(vector->file, vector->file_len, &header);
	if (o.result == 0)
		o.result = unwrap(vector, &header, o.file_key);
	if (o.result == 0)
		o.result = age_header_verify(&header, vector->file, o.file_key);
	if (o.result == 0)
		o.result = open_payload(vector, header.header_bytes, &o);
	*ret_outcome = o;
}

static const struct {
	const char *expect;
	int result;
} classes[] = {
		{"success", 0},
		{"no match", -RE_NO_MATCH},
		{"HMAC failure", -RE_HEADER_MAC},
		{"header failure", -RE_HEADER},
		{"payload failure", -RE_PAYLOAD},
};

static const char *class_mismatch(const char *expect, int result)
{
	for (size_t i = 0; i < ELEMENTSOF(classes); i++)
		if (strcmp(classes[i].expect, expect) == 0)
			return classes[i].result == result ? NULL : "another class of failure";
	return "an expectation that is not known";
}

const char *age_vector_mismatch(
		const struct age_vector *vector, const struct age_vector_outcome *outcome)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char hex[2 * sizeof(hash) + 1];
	const char *mismatch = class_mismatch(vector->expect, outcome->result);

	if (mismatch)
		return mismatch;
	if (!vector->payload) {
		if (outcome->result == 0 || outcome->result == -RE_PAYLOAD)
			return "a vector without the hash it needs";
		return outcome->released_len == 0 ? NULL : "plaintext where there must be none";
	}
	crypto_hash_sha256(hash, outcome->released, outcome->released_len);
	sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	return strcmp(hex, vector->payload) == 0 ? NULL : "other plaintext than expected";
}

static const char *rebuild(const struct age_vector *v, const struct age_header *header)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	const uint8_t any_key[AGE_FILE_KEY_BYTES] = {0};
	size_t len;

	if (age_header_build(header->stanzas, header->n_stanzas, any_key, &bytes, &len) < 0)
		return "a header that cannot be rebuilt";
	if (len != header->header_bytes || memcmp(bytes, v->file, header->maced_bytes) != 0)
		return "a header that is rebuilt otherwise";
	return NULL;
}

static const char *reseal(const struct age_vector_outcome *o, const uint8_t *key,
		const uint8_t *sealed, size_t sealed_len)
{
	static uint8_t chunk[AGE_SEALED_CHUNK_BYTES];
	size_t done = 0, at = 0;

	if (age_stream_sealed_bytes(o->released_len) != sealed_len)
		return "a payload of another size";
	for (uint64_t counter = 0; at < sealed_len; counter++) {
		size_t n = o->released_len - done;
		if (n > AGE_CHUNK_BYTES)
			n = AGE_CHUNK_BYTES;
		age_stream_seal_chunk(key, counter, done + n == o->released_len, o->released + done,
				n, chunk);
		if (memcmp(chunk, sealed + at, n + AGE_TAG_BYTES) != 0)
			return "a payload that is resealed otherwise";
		done += n;
		at += n + AGE_TAG_BYTES;
	}
	return NULL;
}

/* All of it through the random access reader: the same plaintext, or no success either. */
static const char *reread(const struct age_vector_outcome *o, const uint8_t *key,
		const uint8_t *sealed, size_t sealed_len)
{
	_cleanup_close_ int fd = memfd_create("payload", MFD_CLOEXEC);
	struct age_range *range = NULL;
	size_t len = 0;
	int r = io_pwrite_all(fd, sealed, sealed_len, 0);

	if (r == 0)
		r = age_range_open(fd, 0, key, &range);
	size_t room = r == 0 ? (size_t)age_range_plain_bytes(range) : 0;
	_cleanup_free_ uint8_t *plain = malloc(room + 1);
	if (r == 0)
		r = age_range_read(range, plain, room, 0, &len);
	age_range_free(range);
	if (r != o->result)
		return "another class from the random access reader";
	if (r == 0 && (len != o->released_len || memcmp(plain, o->released, len) != 0))
		return "other plaintext from the random access reader";
	return NULL;
}

const char *age_vector_inverse_mismatch(
		const struct age_vector *vector, const struct age_vector_outcome *outcome)
{
	_cleanup_(age_header_free) struct age_header header = {0};
	uint8_t key[AGE_PAYLOAD_KEY_BYTES];

	if (age_header_parse(vector->file, vector->file_len, &header) < 0)
		return NULL;
	const char *mismatch = rebuild(vector, &header);
	if (mismatch || (outcome->result != 0 && outcome->result != -RE_PAYLOAD))
		return mismatch;
	const uint8_t *nonce = vector->file + header.header_bytes;
	const uint8_t *sealed = nonce + AGE_PAYLOAD_NONCE_BYTES;
	size_t sealed_len = vector->file_len - header.header_bytes - AGE_PAYLOAD_NONCE_BYTES;
	age_stream_payload_key(outcome->file_key, nonce, key);
	if (outcome->result == 0)
		mismatch = reseal(outcome, key, sealed, sealed_len);
	return mismatch ? mismatch : reread(outcome, key, sealed, sealed_len);
}
