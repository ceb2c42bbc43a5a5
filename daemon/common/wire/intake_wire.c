#include "daemon/common/wire/intake_wire.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/error.h"

static void json_free_text(char **text)
{
	json_malloc_t allocate;
	json_free_t release;

	json_get_alloc_funcs(&allocate, &release);
	if (*text)
		release(*text);
}

int intake_wire_send(int fd, json_t *message, const struct socket_fds *fds)
{
	/* By the functions of JSON, which may wipe what they free. */
	_cleanup_(json_free_text) char *text = json_dumps(message, JSON_COMPACT);

	if (!text)
		return -ENOMEM;
	size_t len = strlen(text);
	if (len > INTAKE_MESSAGE_MAX)
		return -EMSGSIZE;
	ssize_t n = socket_send(fd, text, len, fds);
	return n < 0 ? (int)n : 0;
}

int intake_wire_receive(int fd, json_t **ret_message, struct socket_fds *ret_fds)
{
	char buf[INTAKE_MESSAGE_MAX];
	struct socket_fds fds;
	ssize_t n = socket_recv(fd, buf, sizeof(buf), &fds);

	if (n == -EMSGSIZE)
		return -RE_PROTOCOL;
	if (n < 0)
		return (int)n;
	if (n == 0) {
		socket_fds_close(&fds);
		return -ECONNRESET;
	}
	json_t *message = json_loadb(buf, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_string(json_object_get(message, "op"))) {
		json_decref(message);
		socket_fds_close(&fds);
		return -RE_PROTOCOL;
	}
	*ret_message = message;
	*ret_fds = fds;
	return 0;
}

json_t *intake_wire_base64(const void *bytes, size_t len)
{
	size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
	_cleanup_free_ char *text = malloc(size);

	if (!text)
		return NULL;
	sodium_bin2base64(text, size, bytes, len, sodium_base64_VARIANT_ORIGINAL);
	json_t *string = json_string(text);
	sodium_memzero(text, size);
	return string;
}

int intake_wire_bytes(const json_t *message, const char *key, size_t max, uint8_t **ret_bytes,
		size_t *ret_len)
{
	const json_t *text = json_object_get(message, key);
	size_t text_len = json_string_length(text), len;

	if (!json_is_string(text) || text_len / 4 > max / 3 + 1)
		return -RE_PROTOCOL;
	uint8_t *bytes = malloc(max + 1);
	if (!bytes)
		return -ENOMEM;
	if (base64_decode(json_string_value(text), text_len, BASE64_PADDED, bytes, max, &len) < 0) {
		free(bytes);
		return -RE_PROTOCOL;
	}
	bytes[len] = '\0';
	*ret_bytes = bytes;
	*ret_len = len;
	return 0;
}
