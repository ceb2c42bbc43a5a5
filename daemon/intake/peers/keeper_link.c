#include "daemon/intake/peers/keeper_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/common/wire/intake_wire.h"

#define PAUSE_FIRST_MS   50
#define PAUSE_MAX_MS     2000
#define GREETING_MS      10000
#define RECEIVE_PER_TURN 64 /* others need the loop as well */

/* A message that waits for a full socket; bounded by the number of jobs. */
struct unsent {
	json_t *message;
	struct unsent *next;
};

struct connection {
	uv_poll_t poll;
	int fd;
};

struct keeper_link {
	uv_loop_t *loop;
	uv_timer_t timer; /* to the next attempt, or the end of the wait for a greeting */
	struct connection *connection; /* NULL: none */
	char *path;
	struct keeper_link_events events;
	bool ready;
	unsigned attempts; /* failed ones since a message was last understood */
	int pending_error; /* of a send: dealt with from the loop */
	struct unsent *first, **last;
	bool stopped;
};

static void on_link_timer(uv_timer_t *timer);
static void on_link_event(uv_poll_t *poll, int status, int events);

static void link_drop_unsent(struct keeper_link *link)
{
	while (link->first) {
		struct unsent *u = link->first;
		link->first = u->next;
		json_decref(u->message);
		free(u);
	}
	link->last = &link->first;
}

static void connection_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	close(connection->fd);
	free(connection);
}

static void link_disconnect(struct keeper_link *link)
{
	struct connection *connection = TAKE_PTR(link->connection);

	link->ready = false;
	link->pending_error = 0;
	link_drop_unsent(link);
	if (!connection)
		return;
	/* The loop closes it later, when the link may have another connection, or be gone. */
	connection->poll.data = connection;
	uv_close((uv_handle_t *)&connection->poll, connection_closed);
}

static unsigned link_pause_ms(unsigned attempts)
{
	unsigned shift = attempts < 16 ? attempts : 16;
	uint64_t ms = (uint64_t)PAUSE_FIRST_MS << shift;

	return ms < PAUSE_MAX_MS ? (unsigned)ms : PAUSE_MAX_MS;
}

static void link_fail(struct keeper_link *link, int r)
{
	link_disconnect(link);
	uv_timer_start(&link->timer, on_link_timer, link_pause_ms(link->attempts), 0);
	link->attempts++;
	link->events.lost(link->events.context, r, link->attempts);
}

/* Asks for a call when there is something to read or, if messages wait, room to write. */
static void link_arm(struct keeper_link *link)
{
	uv_poll_start(&link->connection->poll, UV_READABLE | (link->first ? UV_WRITABLE : 0),
			on_link_event);
}

static int link_flush(struct keeper_link *link)
{
	while (link->first) {
		struct unsent *u = link->first;
		int r = intake_wire_send(link->connection->fd, u->message, NULL);
		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return r;
		link->first = u->next;
		if (!link->first)
			link->last = &link->first;
		json_decref(u->message);
		free(u);
	}
	return 0;
}

static int link_enqueue(struct keeper_link *link, json_t *message)
{
	struct unsent *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->message = json_incref(message);
	*link->last = u;
	link->last = &u->next;
	return 0;
}

void keeper_link_send(struct keeper_link *link, json_t *message)
{
	int r = message ? -EAGAIN : -ENOMEM;

	if (!link->connection || link->pending_error < 0) {
		json_decref(message);
		return;
	}
	/* Not past the messages that wait already. */
	if (message && !link->first)
		r = intake_wire_send(link->connection->fd, message, NULL);
	if (r == -EAGAIN)
		r = link_enqueue(link, message);
	json_decref(message);
	/* The caller is in the middle of something, and `lost` would end its jobs: a failure is
	 * reported from the loop. */
	if (r < 0) {
		link->pending_error = r;
		uv_timer_start(&link->timer, on_link_timer, 0, 0);
	}
	link_arm(link);
}

static int link_greeted(struct keeper_link *link, const json_t *message)
{
	const json_t *version = json_object_get(message, "version");

	if (strcmp(json_string_value(json_object_get(message, "op")), "hello") != 0 ||
			!json_is_integer(version) ||
			json_integer_value(version) != INTAKE_WIRE_VERSION)
		return -RE_PROTOCOL;
	/* It waited for the greeting. */
	uv_timer_stop(&link->timer);
	link->ready = true;
	link->events.ready(link->events.context);
	return 0;
}

static int link_receive_one(struct keeper_link *link)
{
	struct socket_fds fds = {.count = 0};
	json_t *message;
	int r = intake_wire_receive(link->connection->fd, &message, &fds);

	if (r < 0)
		return r;
	if (link->ready) {
		r = link->events.message(link->events.context, message, &fds);
		/* Not already at the greeting: a peer that greets and then talks nonsense is
		 * to get growing pauses. */
		if (r == 0)
			link->attempts = 0;
	} else {
		r = link_greeted(link, message);
	}
	json_decref(message);
	socket_fds_close(&fds);
	return r;
}

static int link_receive(struct keeper_link *link)
{
	/* A callback may stop the link, or find it unable to send. */
	for (int i = 0; i < RECEIVE_PER_TURN && link->connection && !link->pending_error; i++) {
		int r = link_receive_one(link);
		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return r;
	}
	return link->pending_error;
}

static void on_link_event(uv_poll_t *poll, int status, int events)
{
	struct keeper_link *link = poll->data;
	int r = status;

	/* Receiving says what is wrong with the socket. */
	if (r == 0 || r == UV_EBADF)
		r = link_flush(link);
	if (r == 0)
		r = link_receive(link);
	/* From within a callback. */
	if (link->stopped)
		return;
	if (r < 0)
		link_fail(link, r);
	else
		link_arm(link);
}

static int link_connect(struct keeper_link *link)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int fd, r;

	if (!connection)
		return -ENOMEM;
	/* Not even the connecting waits: the keeper may be stopped, with its backlog full. */
	fd = socket_connect(link->path, SOCK_SEQPACKET | SOCK_NONBLOCK);
	r = fd < 0 ? fd : 0;
	if (r == 0)
		r = uv_poll_init(link->loop, &connection->poll, fd);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		free(connection);
		return r;
	}
	connection->fd = fd;
	connection->poll.data = link;
	link->connection = connection;
	return 0;
}

static void on_link_timer(uv_timer_t *timer)
{
	struct keeper_link *link = timer->data;

	/* Three uses: a send has failed, the greeting did not come, or it is time to connect. */
	if (link->pending_error < 0) {
		link_fail(link, link->pending_error);
		return;
	}
	int r = link->connection ? -ETIMEDOUT : link_connect(link);
	if (r < 0) {
		link_fail(link, r);
		return;
	}
	uv_timer_start(&link->timer, on_link_timer, GREETING_MS, 0);
	keeper_link_send(link,
			json_pack("{s:s, s:i}", "op", "hello", "version", INTAKE_WIRE_VERSION));
}

int keeper_link_start(uv_loop_t *loop, const char *path, const struct keeper_link_events *events,
		struct keeper_link **ret_link)
{
	struct keeper_link *link = calloc(1, sizeof(*link));

	if (!link || !(link->path = strdup(path))) {
		free(link);
		return -ENOMEM;
	}
	link->loop = loop;
	link->events = *events;
	link->last = &link->first;
	uv_timer_init(loop, &link->timer);
	link->timer.data = link;
	uv_timer_start(&link->timer, on_link_timer, 0, 0);
	*ret_link = link;
	return 0;
}

bool keeper_link_ready(const struct keeper_link *link)
{
	return link->ready && link->pending_error == 0;
}

static void link_timer_closed(uv_handle_t *handle)
{
	struct keeper_link *link = handle->data;

	free(link->path);
	free(link);
}

struct keeper_link *keeper_link_stop(struct keeper_link *link)
{
	if (!link)
		return NULL;
	link->stopped = true;
	link_disconnect(link);
	uv_close((uv_handle_t *)&link->timer, link_timer_closed);
	return NULL;
}
