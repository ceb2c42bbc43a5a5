#include "cli/sealed_object.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"

#define PIECE_BYTES (4 * AGE_CHUNK_BYTES)

struct sealed_object {
	int fd;
	struct age_range *range;
};

struct sealed_object *sealed_object_free(struct sealed_object *object)
{
	if (!object)
		return NULL;
	age_range_free(object->range);
	close_p(&object->fd);
	free(object);
	return NULL;
}

/* A descriptor by its index in the reply; it leaves the reply. */
static int take_fd(struct socket_fds *fds, json_int_t index, int *ret_fd)
{
	if (index < 0 || index >= (json_int_t)fds->count || fds->fd[index] < 0)
		return -RE_PROTOCOL;
	*ret_fd = TAKE_FD(fds->fd[index]);
	return 0;
}

/* Only a regular file can be read at an offset, and never blocks. */
static int check_regular(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : -RE_PROTOCOL;
}

static int open_range(int object_fd, int key_fd, off_t offset, struct age_range **ret_range)
{
	_cleanup_secret_ uint8_t *key = secret_new(AGE_PAYLOAD_KEY_BYTES);
	int r = key ? check_regular(object_fd) : -ENOMEM;

	if (r == 0)
		r = secret_from_fd(key_fd, key, AGE_PAYLOAD_KEY_BYTES);
	return r < 0 ? r : age_range_open(object_fd, offset, key, ret_range);
}

int sealed_object_open(struct varlink_reply *reply, struct sealed_object **ret_object)
{
	_cleanup_close_ int object_fd = -1, key_fd = -1;
	json_int_t object_index, key_index, offset;

	if (json_unpack(reply->parameters, "{s:I, s:I, s:I}", "object_fd", &object_index, "key_fd",
			    &key_index, "payload_offset", &offset) < 0 ||
			offset <= 0 || offset > AGE_HEADER_MAX_BYTES + AGE_PAYLOAD_NONCE_BYTES)
		return -RE_PROTOCOL;
	int r = take_fd(&reply->fds, object_index, &object_fd);
	if (r == 0)
		r = take_fd(&reply->fds, key_index, &key_fd);
	if (r < 0)
		return r;
	struct sealed_object *object = calloc(1, sizeof(*object));
	if (!object)
		return -ENOMEM;
	object->fd = TAKE_FD(object_fd);
	r = open_range(object->fd, key_fd, (off_t)offset, &object->range);
	if (r < 0) {
		sealed_object_free(object);
		return r;
	}
	*ret_object = object;
	return 0;
}

uint64_t sealed_object_plain_bytes(const struct sealed_object *object)
{
	return age_range_plain_bytes(object->range);
}

/* Reads a piece of several chunks; once one fails, chunk by chunk, so that everything before the
 * bad chunk is handed on. */
static int read_range_piece(struct sealed_object *object, uint8_t *buf, size_t *piece_bytes,
		uint64_t offset, size_t *ret_len)
{
	int r = age_range_read(object->range, buf, *piece_bytes, offset, ret_len);

	if (r == -RE_PAYLOAD && *piece_bytes > AGE_CHUNK_BYTES) {
		*piece_bytes = AGE_CHUNK_BYTES;
		r = age_range_read(object->range, buf, *piece_bytes, offset, ret_len);
	}
	return r;
}

int sealed_object_read(
		struct sealed_object *object, age_sink sink, void *context, uint64_t *done_bytes)
{
	const uint64_t total = age_range_plain_bytes(object->range);
	_cleanup_free_ uint8_t *buf = malloc(PIECE_BYTES);
	size_t piece_bytes = PIECE_BYTES, len;
	int r = buf ? 0 : -ENOMEM;

	*done_bytes = 0;
	while (r == 0 && *done_bytes < total) {
		r = read_range_piece(object, buf, &piece_bytes, *done_bytes, &len);
		if (r == 0 && len == 0)
			r = -RE_PAYLOAD;
		if (r == 0)
			r = sink(context, buf, len);
		if (r == 0)
			*done_bytes += len;
	}
	if (buf)
		sodium_memzero(buf, PIECE_BYTES);
	return r;
}
