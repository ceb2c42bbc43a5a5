#include "daemon/keeper/varlink/varlink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/varlink/varlink_call_internal.h"

#define HOUSEKEEPING_MS       1000
#define PAUSE_MS              20
#define ACCEPT_AT_ONCE        8
#define DEFAULT_REQUEST_BYTES (256 * 1024)
#define DEFAULT_CONNECTIONS   64
#define DEFAULT_PATIENCE_MS   (5 * 60 * 1000)
#define DEFAULT_TURN_US       3000
#define SEND_BUFFER_BYTES     (32 * 1024)

const struct varlink_limits varlink_limits_default = {
		.request_bytes = DEFAULT_REQUEST_BYTES,
		.connections = DEFAULT_CONNECTIONS,
		.patience_ms = DEFAULT_PATIENCE_MS,
		.turn_us = DEFAULT_TURN_US,
};

struct connection {
	uv_poll_t poll;
	int poll_events; /* asked for at present */
	struct varlink_server *server;
	struct connection *next;
	struct varlink_io io;
	struct varlink_call call;
	uid_t uid;
	unsigned lane;
	bool ready; /* it waits for a step, not for its peer; its socket is not polled meanwhile */
	uint64_t served; /* of server->served, when it came or got its last step */
	uint64_t seen_moved_bytes, seen_ms; /* when it last moved a byte, or got a step */
};

struct varlink_server {
	uv_loop_t *loop;
	uv_poll_t listener;
	uv_timer_t timer; /* runs while there are connections, or no descriptors to accept with */
	uv_idle_t turn;   /* runs while a connection is ready */
	uv_timer_t pause; /* runs while a call pauses */
	unsigned open_handles;
	int listen_fd;
	bool accept_paused;
	const struct varlink_service *service;
	struct varlink_limits limits;
	struct connection *connections; /* newest first */
	unsigned n_connections;
	uint64_t served; /* counts steps */
	uint64_t lane_served[VARLINK_LANES];
};

static void connection_on_closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;

	close(c->io.fd);
	free(c);
}

/* The struct lives on until the loop has run the close callback. */
static void connection_close(struct connection *c)
{
	struct connection **link = &c->server->connections;

	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	c->server->n_connections--;
	varlink_call_end(&c->call);
	varlink_io_clear(&c->io);
	uv_close((uv_handle_t *)&c->poll, connection_on_closed);
}

/* Whether the next step is the server's: a peer that does not take a reply gets no other. */
static bool connection_is_ready(struct connection *c)
{
	return !c->io.out && !c->call.paused && (c->call.stream || varlink_io_waiting(&c->io));
}

/* Takes the next request. 1 when there is one. */
static int connection_take_call(struct connection *c)
{
	const struct varlink_service *service = c->server->service;
	const char *text;
	size_t len;
	int r = varlink_io_take(&c->io, &text, &len);

	if (r <= 0)
		return r;
	r = varlink_call_begin(&c->call, &c->io, text, len);
	if (r < 0)
		return r;
	if (strcmp(c->call.interface, service->interface) == 0)
		service->call(service->context, &c->call);
	else
		varlink_call_introspect(&c->call, service);
	return 1;
}

/* One step: the next call, or another look or piece of the one under way. */
static int connection_advance(struct connection *c)
{
	struct varlink_call *call = &c->call;

	if (call->stream) {
		call->stream->next(call, call->stream_state);
	} else {
		int r = connection_take_call(c);
		if (r <= 0)
			return r;
	}
	if (call->broken || (!call->answered && !call->stream))
		return -RE_PROTOCOL;
	if (call->answered)
		varlink_call_end(call);
	return 0;
}

static void connection_on_event(uv_poll_t *poll, int status, int events);
static void server_on_turn(uv_idle_t *idle);
static void server_on_pause(uv_timer_t *timer);

/* Waits for a step while there is something to do, for room in the socket while a reply is left,
 * and only else for another request: a peer that does not read its replies is not read either. */
static int connection_wait(struct connection *c)
{
	c->ready = connection_is_ready(c);
	bool still = c->ready || c->call.paused;
	int events = c->io.out ? UV_WRITABLE : still ? 0 : UV_READABLE;

	if (events == UV_READABLE && c->io.end_of_stream)
		return -ECONNRESET;
	if (c->ready)
		uv_idle_start(&c->server->turn, server_on_turn);
	if (c->call.paused)
		uv_timer_start(&c->server->pause, server_on_pause, PAUSE_MS, 0);
	if (events == c->poll_events)
		return 0;
	c->poll_events = events;
	return events ? uv_poll_start(&c->poll, events, connection_on_event)
		      : uv_poll_stop(&c->poll);
}

static int connection_move_bytes(struct connection *c, int events)
{
	int r = events & UV_READABLE ? varlink_io_read(&c->io) : 0;

	if (r == 0)
		r = varlink_io_flush(&c->io);
	return r < 0 ? r : connection_wait(c);
}

static void connection_on_event(uv_poll_t *poll, int status, int events)
{
	struct connection *c = poll->data;

	if (status < 0 || connection_move_bytes(c, events) < 0) {
		connection_close(c);
		return;
	}
	if (c->io.moved_bytes != c->seen_moved_bytes) {
		c->seen_moved_bytes = c->io.moved_bytes;
		c->seen_ms = uv_now(c->server->loop);
	}
}

/* A call under way is given up when its peer is gone; one that only sends nothing more still
 * reads. */
static bool connection_is_deserted(const struct connection *c)
{
	struct pollfd p = {.fd = c->io.fd};

	return c->call.stream && poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

static void connection_take_step(struct connection *c)
{
	struct varlink_server *server = c->server;
	int r = connection_is_deserted(c) ? -ECONNRESET : 0;

	c->served = server->lane_served[c->lane] = ++server->served;
	c->seen_ms = uv_now(server->loop); /* its peer had no part in the wait */
	if (r == 0)
		r = connection_advance(c);
	if (r == 0)
		r = varlink_io_flush(&c->io);
	if (r == 0)
		r = connection_wait(c);
	if (r < 0)
		connection_close(c);
}

/* When the user of this connection got a step last, on any of his connections. */
static uint64_t peer_last_served(const struct connection *one)
{
	uint64_t served = 0;

	for (const struct connection *c = one->server->connections; c; c = c->next) {
		if (c->uid == one->uid && c->served > served)
			served = c->served;
	}
	return served;
}

/* Whether a comes before b: by lane, then user, then connection, whoever waits for longest. */
static bool connection_is_before(const struct connection *a, const struct connection *b)
{
	const uint64_t *lane_served = a->server->lane_served;

	if (a->lane != b->lane)
		return lane_served[a->lane] < lane_served[b->lane];
	uint64_t user_a = peer_last_served(a), user_b = peer_last_served(b);
	return user_a != user_b ? user_a < user_b : a->served < b->served;
}

static struct connection *server_next_ready(const struct varlink_server *server)
{
	struct connection *first = NULL;

	for (struct connection *c = server->connections; c; c = c->next) {
		if (c->ready && (!first || connection_is_before(c, first)))
			first = c;
	}
	return first;
}

/* Steps for turn_us, one at least. Then whatever else the loop serves has its turn. */
static void server_on_turn(uv_idle_t *idle)
{
	struct varlink_server *server = idle->data;
	uint64_t end_ns = uv_hrtime() + server->limits.turn_us * 1000;
	struct connection *c = server_next_ready(server);

	while (c) {
		connection_take_step(c);
		c = server_next_ready(server);
		if (uv_hrtime() >= end_ns)
			break;
	}
	if (!c)
		uv_idle_stop(idle);
}

/* Calls that paused get another step; one that goes on waiting pauses again. */
static void server_on_pause(uv_timer_t *timer)
{
	struct varlink_server *server = timer->data;

	for (struct connection *c = server->connections, *next; c; c = next) {
		next = c->next;
		if (!c->call.paused)
			continue;
		c->call.paused = false;
		if (connection_wait(c) < 0)
			connection_close(c);
	}
}

static void server_close_stalled(struct varlink_server *server)
{
	uint64_t now_ms = uv_now(server->loop);

	for (struct connection *c = server->connections, *next; c; c = next) {
		next = c->next;
		if ((c->ready || c->io.out || varlink_io_partial(&c->io)) &&
				now_ms - c->seen_ms >= server->limits.patience_ms)
			connection_close(c);
	}
}

static void server_on_listener(uv_poll_t *poll, int status, int events);

static void server_on_timer(uv_timer_t *timer)
{
	struct varlink_server *server = timer->data;

	server_close_stalled(server);
	if (server->accept_paused) {
		server->accept_paused = false;
		uv_poll_start(&server->listener, UV_READABLE, server_on_listener);
	}
	if (server->n_connections == 0)
		uv_timer_stop(timer);
}

static void server_start_timer(struct varlink_server *server)
{
	uint64_t period_ms = server->limits.patience_ms / 4 + 1;

	if (period_ms > HOUSEKEEPING_MS)
		period_ms = HOUSEKEEPING_MS;
	if (!uv_is_active((uv_handle_t *)&server->timer))
		uv_timer_start(&server->timer, server_on_timer, period_ms, period_ms);
}

static unsigned peer_count_seats(const struct varlink_server *server, uid_t uid)
{
	unsigned seats = 0;

	for (const struct connection *c = server->connections; c; c = c->next)
		seats += c->uid == uid;
	return seats;
}

/* Of the connections of whoever holds most seats, the one that was silent for longest. */
static struct connection *seats_least_deserving(struct varlink_server *server)
{
	struct connection *worst = NULL;
	unsigned worst_seats = 0;

	for (struct connection *c = server->connections; c; c = c->next) {
		unsigned seats = peer_count_seats(server, c->uid);
		if (!worst || seats > worst_seats ||
				(seats == worst_seats && c->seen_ms <= worst->seen_ms)) {
			worst = c;
			worst_seats = seats;
		}
	}
	return worst;
}

/* 0, or -EBUSY when the newcomer must go. */
static int seats_find(struct varlink_server *server, uid_t uid)
{
	if (server->n_connections < server->limits.connections)
		return 0;
	struct connection *worst = seats_least_deserving(server);
	/* Whoever holds most seats makes room; a newcomer cannot push out
	 * a smaller holder. */
	if (!worst || peer_count_seats(server, uid) >= peer_count_seats(server, worst->uid))
		return -EBUSY;
	connection_close(worst);
	return 0;
}

static unsigned server_lane_of(const struct varlink_server *server, int fd)
{
	const struct varlink_service *service = server->service;
	unsigned lane = service->lane ? service->lane(service->context, fd) : 0;

	return lane < VARLINK_LANES ? lane : VARLINK_LANES - 1;
}

static int connection_new(struct varlink_server *server, int fd, uid_t uid)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	int r = uv_poll_init(server->loop, &c->poll, fd);
	if (r < 0) {
		free(c);
		return r;
	}
	c->poll.data = c;
	c->server = server;
	c->io.fd = fd;
	c->io.request_bytes = server->limits.request_bytes;
	c->uid = uid;
	c->lane = server_lane_of(server, fd);
	/* What was sent and not read yet may be out of date; and it is memory, too. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER_BYTES}, sizeof(int));
	c->served = server->served;
	c->seen_ms = uv_now(server->loop);
	c->next = server->connections;
	server->connections = c;
	server->n_connections++;
	server_start_timer(server);
	if (connection_wait(c) < 0)
		connection_close(c);
	return 0;
}

/* 1 when somebody was there, seated or not. */
static int server_accept_one(struct varlink_server *server)
{
	_cleanup_close_ int fd =
			accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct peer peer;

	/* The peer gave up; the next one may be waiting. */
	if (fd < 0)
		return errno == EINTR || errno == ECONNABORTED ? 1 : -errno;
	if (socket_peer(fd, &peer) == 0 && seats_find(server, peer.uid) == 0 &&
			connection_new(server, fd, peer.uid) == 0)
		fd = -1;
	return 1;
}

/* Out of descriptors or memory: whoever waits stays in the backlog for a while, instead of waking
 * the loop again and again. */
static void server_pause_accepting(struct varlink_server *server)
{
	server->accept_paused = true;
	uv_poll_stop(&server->listener);
	server_start_timer(server);
}

static void server_on_listener(uv_poll_t *poll, int status, int events)
{
	struct varlink_server *server = poll->data;
	int r = status < 0 ? status : 1;

	for (int i = 0; i < ACCEPT_AT_ONCE && r > 0; i++)
		r = server_accept_one(server);
	if (r < 0 && r != -EAGAIN)
		server_pause_accepting(server);
}

int varlink_server_start(uv_loop_t *loop, const struct varlink_service *service,
		const struct varlink_limits *limits, int listen_fd,
		struct varlink_server **ret_server)
{
	_cleanup_close_ int owned_fd = listen_fd;
	struct varlink_server *server = calloc(1, sizeof(*server));

	if (!server)
		return -ENOMEM;
	server->loop = loop;
	server->service = service;
	server->limits = limits ? *limits : varlink_limits_default;
	server->listen_fd = listen_fd;
	int r = uv_poll_init(loop, &server->listener, listen_fd);
	if (r < 0) {
		free(server);
		return r;
	}
	uv_timer_init(loop, &server->timer);
	uv_idle_init(loop, &server->turn);
	uv_timer_init(loop, &server->pause);
	server->listener.data = server->timer.data = server->turn.data = server;
	server->pause.data = server;
	server->open_handles = 4;
	owned_fd = -1;
	r = uv_poll_start(&server->listener, UV_READABLE, server_on_listener);
	if (r < 0) {
		varlink_server_stop(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

static void server_on_closed(uv_handle_t *handle)
{
	struct varlink_server *server = handle->data;

	if (--server->open_handles > 0)
		return;
	close(server->listen_fd);
	free(server);
}

struct varlink_server *varlink_server_stop(struct varlink_server *server)
{
	if (!server)
		return NULL;
	while (server->connections)
		connection_close(server->connections);
	uv_close((uv_handle_t *)&server->turn, server_on_closed);
	uv_close((uv_handle_t *)&server->pause, server_on_closed);
	uv_close((uv_handle_t *)&server->timer, server_on_closed);
	uv_close((uv_handle_t *)&server->listener, server_on_closed);
	return NULL;
}

unsigned varlink_server_connections(const struct varlink_server *server)
{
	return server->n_connections;
}
