#include "crypto/age_header.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "base/secret.h"
#include "crypto/hkdf.h"

#define BODY_LINE_BYTES 48

_Static_assert(AGE_MAC_BYTES == crypto_auth_hmacsha256_BYTES, "MAC size");

void age_header_free(struct age_header *header)
{
	for (size_t i = 0; i < header->n_stanzas; i++)
		age_stanza_free(&header->stanzas[i]);
	free(header->stanzas);
	*header = (struct age_header){0};
}

const struct age_stanza *age_header_find(const struct age_header *header, const char *type)
{
	for (size_t i = 0; i < header->n_stanzas; i++)
		if (strcmp(header->stanzas[i].args[0], type) == 0)
			return &header->stanzas[i];
	return NULL;
}

/* HMAC-SHA256 under HKDF-SHA256(file key, no salt, "header"). */
static int compute_mac(const uint8_t *bytes, size_t len,
		const uint8_t file_key[static AGE_FILE_KEY_BYTES],
		uint8_t ret_mac[static AGE_MAC_BYTES])
{
	struct mac_secrets {
		uint8_t key[32];
		crypto_auth_hmacsha256_state hmac;
	};
	_cleanup_secret_ struct mac_secrets *s = secret_new(sizeof(*s));

	if (!s)
		return -ENOMEM;
	hkdf_sha256(file_key, AGE_FILE_KEY_BYTES, NULL, 0, "header", 6, s->key, sizeof(s->key));
	crypto_auth_hmacsha256_init(&s->hmac, s->key, sizeof(s->key));
	crypto_auth_hmacsha256_update(&s->hmac, bytes, len);
	crypto_auth_hmacsha256_final(&s->hmac, ret_mac);
	return 0;
}

int age_header_verify(const struct age_header *header, const uint8_t *buf,
		const uint8_t file_key[static AGE_FILE_KEY_BYTES])
{
	uint8_t mac[AGE_MAC_BYTES];
	int r = compute_mac(buf, header->maced_bytes, file_key, mac);

	if (r < 0)
		return r;
	return sodium_memcmp(mac, header->mac, sizeof(mac)) == 0 ? 0 : -RE_HEADER_MAC;
}

/* A header under construction, in a buffer as large as the cap. */
struct builder {
	uint8_t *bytes;
	size_t len;
};

static int put_bytes(struct builder *b, const void *data, size_t len)
{
	if (len > AGE_HEADER_MAX_BYTES - b->len)
		return -E2BIG;
	memcpy(b->bytes + b->len, data, len);
	b->len += len;
	return 0;
}

static int put_header_text(struct builder *b, const char *text)
{
	return put_bytes(b, text, strlen(text));
}

static bool argument_valid(const char *argument)
{
	for (const char *p = argument; *p; p++)
		if (*p < 0x21 || *p > 0x7e)
			return false;
	return *argument;
}

static int put_arguments(struct builder *b, const struct age_stanza *stanza)
{
	if (stanza->n_args == 0)
		return -EINVAL;
	if (stanza->n_args > AGE_STANZA_ARGS_MAX)
		return -E2BIG;
	int r = put_header_text(b, "->");
	for (size_t i = 0; r == 0 && i < stanza->n_args; i++) {
		if (!argument_valid(stanza->args[i]))
			return -EINVAL;
		r = put_header_text(b, " ");
		if (r == 0)
			r = put_header_text(b, stanza->args[i]);
	}
	return r < 0 ? r : put_header_text(b, "\n");
}

/* Lines of 48 bytes in 64 columns, the last one shorter, if need be empty. */
static int put_body(struct builder *b, const struct age_stanza *stanza)
{
	char line[AGE_BASE64_ROOM(BODY_LINE_BYTES)];
	size_t done = 0, n;

	do {
		n = stanza->body_len - done;
		if (n > BODY_LINE_BYTES)
			n = BODY_LINE_BYTES;
		age_stanza_base64_format(n ? stanza->body + done : NULL, n, line);
		int r = put_header_text(b, line);
		if (r == 0)
			r = put_header_text(b, "\n");
		if (r < 0)
			return r;
		done += n;
	} while (n == BODY_LINE_BYTES);
	return 0;
}

static int put_stanza(struct builder *b, const struct age_stanza *stanza)
{
	int r = put_arguments(b, stanza);

	return r < 0 ? r : put_body(b, stanza);
}

static int put_mac(struct builder *b, const uint8_t file_key[static AGE_FILE_KEY_BYTES])
{
	uint8_t mac[AGE_MAC_BYTES];
	char text[AGE_BASE64_ROOM(AGE_MAC_BYTES)];
	int r = put_header_text(b, "---");

	if (r == 0)
		r = compute_mac(b->bytes, b->len, file_key, mac);
	if (r < 0)
		return r;
	age_stanza_base64_format(mac, sizeof(mac), text);
	r = put_header_text(b, " ");
	if (r == 0)
		r = put_header_text(b, text);
	return r < 0 ? r : put_header_text(b, "\n");
}

int age_header_build(const struct age_stanza *stanzas, size_t n,
		const uint8_t file_key[static AGE_FILE_KEY_BYTES], uint8_t **ret_bytes,
		size_t *ret_len)
{
	_cleanup_free_ uint8_t *bytes = malloc(AGE_HEADER_MAX_BYTES);
	struct builder b = {.bytes = bytes};

	if (!bytes)
		return -ENOMEM;
	if (n == 0)
		return -EINVAL;
	if (n > AGE_STANZAS_MAX)
		return -E2BIG;
	int r = put_header_text(&b, "age-encryption.org/v1\n");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_stanza(&b, &stanzas[i]);
	if (r == 0)
		r = put_mac(&b, file_key);
	if (r < 0)
		return r;
	uint8_t *shrunk = realloc(bytes, b.len);
	*ret_bytes = shrunk ? shrunk : bytes;
	*ret_len = b.len;
	bytes = NULL;
	return 0;
}

int age_header_read(int fd, struct age_header *ret_header, uint8_t **ret_bytes)
{
	_cleanup_free_ uint8_t *bytes = malloc(AGE_HEADER_MAX_BYTES);
	struct age_header header;
	size_t len;

	if (!bytes)
		return -ENOMEM;
	int r = io_pread_full(fd, bytes, AGE_HEADER_MAX_BYTES, 0, &len);
	if (r < 0)
		return r;
	r = age_header_parse(bytes, len, &header);
	if (r < 0)
		return r;
	uint8_t *shrunk = realloc(bytes, header.header_bytes);
	*ret_bytes = shrunk ? shrunk : bytes;
	*ret_header = header;
	bytes = NULL;
	return 0;
}
