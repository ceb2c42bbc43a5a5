#include "tests/unit/support/loop_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TURNS_MAX 30000 /* of a loop that makes no progress: a hang is a failure */

void client_connect(struct client *client, uv_loop_t *loop, const char *path)
{
	*client = (struct client){.loop = loop, .read_bytes = 65536};
	client->fd = socket_connect(path, SOCK_STREAM);
	assert_true(client->fd >= 0);
	assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
}

void client_close(struct client *client)
{
	close(client->fd);
	socket_fds_close(&client->fds);
	free(client->in);
	*client = (struct client){.fd = -1};
}

/* One turn of the loop, then a millisecond for the kernel. */
static void turn(struct client *client, int *turns)
{
	struct pollfd p = {.fd = client->fd, .events = POLLIN};

	uv_run(client->loop, UV_RUN_NOWAIT);
	poll(&p, 1, 1);
	assert_true(++*turns < TURNS_MAX);
}

void client_write(struct client *client, const void *bytes, size_t len)
{
	const char *p = bytes;
	int turns = 0;

	while (len > 0 && !client->closed) {
		ssize_t n = socket_send(client->fd, p, len, NULL);
		if (n == -EAGAIN) {
			turn(client, &turns);
		} else if (n < 0) {
			client->closed = true;
		} else {
			p += n;
			len -= (size_t)n;
		}
	}
}

void client_send(struct client *client, const char *text)
{
	client_write(client, text, strlen(text) + 1);
}

/* 1 when something came, 0 when nothing did. */
static int read_some(struct client *client)
{
	struct socket_fds fds = {.count = 0};

	if (client->in_room - client->in_len < client->read_bytes) {
		client->in_room = 2 * client->in_room + client->read_bytes;
		client->in = realloc(client->in, client->in_room);
		assert_non_null(client->in);
	}
	ssize_t n = socket_recv(client->fd, client->in + client->in_len, client->read_bytes, &fds);
	if (n == -EAGAIN)
		return 0;
	if (n <= 0) {
		client->closed = true;
		return 0;
	}
	if (fds.count > 0) {
		socket_fds_close(&client->fds);
		client->fds = fds;
		client->fds_total += fds.count;
		client->fds_offset = client->offset + client->in_len;
	}
	client->in_len += (size_t)n;
	return 1;
}

json_t *client_receive(struct client *client, size_t *ret_offset)
{
	size_t scanned = 0;
	int turns = 0;

	for (;;) {
		char *nul = client->in_len > scanned ? memchr(client->in + scanned, '\0',
								       client->in_len - scanned)
						     : NULL;
		if (nul) {
			size_t len = (size_t)(nul - client->in);
			json_t *message = json_loadb(client->in, len, 0, NULL);
			assert_true(json_is_object(message));
			if (ret_offset)
				*ret_offset = client->offset;
			client->offset += len + 1;
			client->in_len -= len + 1;
			memmove(client->in, nul + 1, client->in_len);
			return message;
		}
		scanned = client->in_len;
		if (read_some(client))
			continue;
		if (client->closed)
			return NULL;
		turn(client, &turns);
	}
}

void client_expect_close(struct client *client)
{
	int turns = 0;

	while (!client->closed) {
		if (!read_some(client) && !client->closed)
			turn(client, &turns);
		client->offset += client->in_len;
		client->in_len = 0;
	}
}

json_t *client_call(struct client *client, const char *method, json_t *parameters)
{
	json_t *request = json_pack("{s:s, s:o*}", "method", method, "parameters", parameters);
	char *text = json_dumps(request, JSON_COMPACT);

	assert_non_null(text);
	client_send(client, text);
	free(text);
	json_decref(request);
	json_t *reply = client_receive(client, NULL);
	assert_non_null(reply);
	return reply;
}

void loop_settle(uv_loop_t *loop)
{
	for (int i = 0; i < 200; i++)
		uv_run(loop, UV_RUN_NOWAIT);
}
