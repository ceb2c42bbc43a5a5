/* A conversation with the age plugin's state machines whose client has said everything
 * beforehand. After cmocka.h. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/durable.h"
#include "cli/plugin_stanza.h"

/* A full line of a body: 48 letters A. */
#define COLUMNS_64 "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"

struct talk {
	struct plugin_stream stream;
	FILE *said; /* by the plugin */
	int in_fd;
};

static inline int memfd_with(const void *bytes, size_t len)
{
	int fd = memfd_create("client", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(io_pwrite_all(fd, bytes, len, 0), 0);
	return fd;
}

static inline void talk_start_bytes(struct talk *talk, const void *bytes, size_t len)
{
	talk->in_fd = memfd_with(bytes, len);
	talk->said = tmpfile();
	plugin_stream_init(&talk->stream, talk->in_fd, fileno(talk->said));
}

static inline void talk_start(struct talk *talk, const char *client)
{
	talk_start_bytes(talk, client, strlen(client));
}

/* What the plugin said, as text to free(). */
static inline char *talk_end(struct talk *talk)
{
	char *text = calloc(1, 65536);
	size_t len;

	assert_int_equal(io_pread_full(fileno(talk->said), text, 65535, 0, &len), 0);
	plugin_stream_clear(&talk->stream);
	fclose(talk->said);
	close(talk->in_fd);
	return text;
}
