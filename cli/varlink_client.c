#include "cli/varlink_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

#define READ_BYTES 65536

struct varlink_client {
	int fd;
	char *buf;
	size_t len, room;
	struct socket_fds fds; /* came with the bytes in buf */
	bool broken;           /* the stream cannot be trusted to be at a reply's start */
};

int varlink_client_new(int fd, struct varlink_client **ret_client)
{
	struct varlink_client *client = calloc(1, sizeof(*client));

	if (!client) {
		close(fd);
		return -ENOMEM;
	}
	client->fd = fd;
	*ret_client = client;
	return 0;
}

int varlink_client_connect(const char *path, struct varlink_client **ret_client)
{
	int fd = socket_connect(path, SOCK_STREAM);

	return fd < 0 ? fd : varlink_client_new(fd, ret_client);
}

struct varlink_client *varlink_client_free(struct varlink_client *client)
{
	if (!client)
		return NULL;
	close(client->fd);
	socket_fds_close(&client->fds);
	free(client->buf);
	free(client);
	return NULL;
}

void varlink_client_reply_clear(struct varlink_reply *reply)
{
	free(reply->error);
	json_decref(reply->parameters);
	socket_fds_close(&reply->fds);
	*reply = (struct varlink_reply){0};
}

static int send_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = socket_send(fd, p, len, NULL);
		if (n < 0)
			return (int)n;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_call(
		struct varlink_client *client, const char *method, json_t *parameters, bool more)
{
	json_t *call = json_pack("{s:s, s:o}", "method", method, "parameters", parameters);

	if (call && more && json_object_set_new(call, "more", json_true()) < 0) {
		json_decref(call);
		return -ENOMEM;
	}
	_cleanup_free_ char *text = call ? json_dumps(call, JSON_COMPACT) : NULL;
	json_decref(call);
	return text ? send_all(client->fd, text, strlen(text) + 1) : -ENOMEM;
}

static int grow_buffer(struct varlink_client *client)
{
	/* The buffer may grow one byte past the limit, so that a message that is too long shows. */
	const size_t most = VARLINK_MESSAGE_MAX_BYTES + 1;

	if (client->len >= most)
		return -RE_PROTOCOL;
	if (client->room - client->len >= READ_BYTES || client->room == most)
		return 0;
	size_t room = client->room ? 2 * client->room : READ_BYTES;
	if (room > most)
		room = most;
	char *buf = realloc(client->buf, room);
	if (!buf)
		return -ENOMEM;
	client->buf = buf;
	client->room = room;
	return 0;
}

static int keep_fds(struct varlink_client *client, struct socket_fds *fds)
{
	if (client->fds.count + fds->count > SOCKET_FDS_MAX) {
		socket_fds_close(fds);
		return -RE_PROTOCOL;
	}
	for (size_t i = 0; i < fds->count; i++)
		client->fds.fd[client->fds.count++] = fds->fd[i];
	return 0;
}

/* Reads until the buffer starts with a whole message; its length without the NUL. */
static int receive_message(struct varlink_client *client, size_t *ret_len)
{
	size_t searched = 0;

	for (;;) {
		const char *end = client->len > searched ? memchr(client->buf + searched, '\0',
									   client->len - searched)
							 : NULL;
		if (end) {
			*ret_len = (size_t)(end - client->buf);
			return 0;
		}
		searched = client->len;
		struct socket_fds fds = {0};
		int r = grow_buffer(client);
		if (r < 0)
			return r;
		ssize_t n = socket_recv(client->fd, client->buf + client->len,
				client->room - client->len, &fds);
		if (n < 0)
			return (int)n;
		r = keep_fds(client, &fds);
		if (r < 0)
			return r;
		if (n == 0)
			return -ECONNRESET;
		client->len += (size_t)n;
	}
}

/* {"error"?, "parameters"?, "continues"?}, each of its type. */
static int parse_reply(const json_t *message, struct varlink_reply *ret_reply, bool *ret_continues)
{
	json_t *parameters = json_object_get(message, "parameters");
	const json_t *error = json_object_get(message, "error");
	const json_t *continues = json_object_get(message, "continues");

	if (!json_is_object(message) || (parameters && !json_is_object(parameters)) ||
			(error && !json_is_string(error)) ||
			(continues && !json_is_boolean(continues)))
		return -RE_PROTOCOL;
	struct varlink_reply reply = {
			.error = error ? strdup(json_string_value(error)) : NULL,
			.parameters = parameters ? json_incref(parameters) : json_object(),
	};
	if (!reply.parameters || (error && !reply.error)) {
		varlink_client_reply_clear(&reply);
		return -ENOMEM;
	}
	*ret_reply = reply;
	*ret_continues = json_is_true(continues);
	return 0;
}

static int receive_reply(
		struct varlink_client *client, struct varlink_reply *ret_reply, bool *ret_continues)
{
	size_t len = 0;
	int r = receive_message(client, &len);

	if (r < 0)
		return r;
	json_t *message = json_loadb(client->buf, len, JSON_REJECT_DUPLICATES, NULL);
	r = parse_reply(message, ret_reply, ret_continues);
	json_decref(message);
	if (r < 0)
		return r;
	client->len -= len + 1;
	memmove(client->buf, client->buf + len + 1, client->len);
	ret_reply->fds = client->fds;
	client->fds.count = 0;
	return 0;
}

static int start_call(
		struct varlink_client *client, const char *method, json_t *parameters, bool more)
{
	if (!parameters)
		return -ENOMEM;
	if (client->broken) {
		json_decref(parameters);
		return -RE_PROTOCOL;
	}
	/* Until the call's last reply is in, any failure leaves the stream in the middle of one. */
	client->broken = true;
	return send_call(client, method, parameters, more);
}

/* The last reply of a call: nothing may follow it. */
static int end_call(struct varlink_client *client, struct varlink_reply *reply)
{
	if (client->len > 0) {
		varlink_client_reply_clear(reply);
		return -RE_PROTOCOL;
	}
	client->broken = false;
	return reply->error ? VARLINK_FAILED : VARLINK_REPLIED;
}

int varlink_client_call(struct varlink_client *client, const char *method, json_t *parameters,
		struct varlink_reply *ret_reply)
{
	struct varlink_reply reply;
	bool continues;
	int r = start_call(client, method, parameters, false);

	if (r == 0)
		r = receive_reply(client, &reply, &continues);
	if (r < 0)
		return r;
	if (continues) {
		varlink_client_reply_clear(&reply);
		return -RE_PROTOCOL;
	}
	r = end_call(client, &reply);
	if (r >= 0)
		*ret_reply = reply;
	return r;
}

/* One reply of a call with `more`: 1 when more follow. */
static int next_page(struct varlink_client *client, varlink_page page, void *context,
		struct varlink_reply *reply)
{
	bool continues;
	int r = receive_reply(client, reply, &continues);

	if (r < 0)
		return r;
	if (reply->fds.count > 0 || (continues && reply->error))
		r = -RE_PROTOCOL;
	else if (!reply->error)
		r = page(context, reply->parameters);
	if (r < 0)
		varlink_client_reply_clear(reply);
	return r < 0 ? r : continues;
}

int varlink_client_call_more(struct varlink_client *client, const char *method, json_t *parameters,
		varlink_page page, void *context, struct varlink_reply *ret_reply)
{
	struct varlink_reply reply = {0};
	int r = start_call(client, method, parameters, true);

	if (r < 0)
		return r;
	while ((r = next_page(client, page, context, &reply)) > 0)
		varlink_client_reply_clear(&reply);
	if (r < 0)
		return r;
	r = end_call(client, &reply);
	if (r == VARLINK_FAILED)
		*ret_reply = reply;
	else if (r == VARLINK_REPLIED)
		varlink_client_reply_clear(&reply);
	return r;
}
