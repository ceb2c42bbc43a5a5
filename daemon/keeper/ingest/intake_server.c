/* Sessions with the intake: its messages, which are hostile until checked, and the replies. */
#include "daemon/keeper/ingest/intake_server_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "base/secret.h"
#include "daemon/common/config/config.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/keeper/ingest/intake_request.h"

#define MESSAGES_MAX 512 /* handled before the loop gets its turn */
#define SPOILED      "the sealed object is not on the disk as it was sealed"

static void session_closed(uv_handle_t *handle)
{
	struct intake_session *session = handle->data;

	close(session->fd);
	free(session);
}

/* A lost connection aborts its jobs: their objects vanish, the plaintext is still in the spool. A
 * batch that is being committed is still catalogued; the intake hears of it when it begins those
 * files again. */
static void session_end(struct intake_session *session)
{
	session->server->session = NULL;
	spool_gate_clear(&session->server->gate);
	/* Before the jobs are freed: the queue must not answer to this session any more. */
	ingest_queue_leave(session->server->queue, session);
	for (size_t i = 0; i < session->n_jobs; i++)
		ingest_abort(session->jobs[i].job);
	session->n_jobs = 0;
	intake_replies_clear(&session->replies);
	uv_close((uv_handle_t *)&session->poll, session_closed);
}

int intake_server_reply(
		struct intake_session *session, json_t *message, const struct socket_fds *fds)
{
	int r = message ? intake_replies_send(&session->replies, session->fd, message, fds)
			: -ENOMEM;

	json_decref(message);
	return r;
}

static int reply_failed(struct intake_session *session, int64_t job, const char *why, bool retry)
{
	return intake_server_reply(session, intake_replies_failed(job, why, retry), NULL);
}

static int reply_begun(struct intake_session *session, int64_t number, struct ingest_job *job)
{
	struct ingest_start start;

	ingest_start(job, &start);
	_cleanup_close_ int key_fd = secret_to_fd(start.payload_key, AGE_PAYLOAD_KEY_BYTES);
	if (key_fd < 0)
		return key_fd;
	struct socket_fds fds = {.fd = {start.object_fd, key_fd}, .count = 2};
	int r = intake_server_reply(session, intake_replies_begun(number, &start), &fds);
	ingest_given(job);
	return r;
}

static struct open_job *session_job(struct intake_session *session, int64_t number)
{
	for (size_t i = 0; i < session->n_jobs; i++) {
		if (session->jobs[i].number == number)
			return &session->jobs[i];
	}
	return NULL;
}

static void drop_job(struct intake_session *session, struct open_job *open)
{
	if (open)
		*open = session->jobs[--session->n_jobs];
}

/* Another class would keep it too short or too long. */
static int reply_unknown_class(struct intake_session *session, int64_t number, const char *class)
{
	notices_keep_problem(session->server->ingest->root->notices,
			"a recording cannot be sealed: the keeper's configuration has no class %s; "
			"start recseal-keeper again with the configuration that recseald has",
			class);
	return reply_failed(session, number, error_text(-RE_CONFIG), true);
}

static uint64_t promised_bytes(const struct intake_session *session)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < session->n_jobs; i++) {
		if (session->jobs[i].job)
			sum += ingest_unwritten_bytes(session->jobs[i].job);
	}
	return sum;
}

static int on_begin(struct intake_session *session, const json_t *message, int64_t number)
{
	struct ingest *ingest = session->server->ingest;
	struct intake_request request;
	struct ingest_job *job;

	/* An honest intake does neither. */
	if (session->n_jobs == INTAKE_SERVER_JOBS_MAX || session_job(session, number))
		return -RE_PROTOCOL;
	int r = intake_request_read(message, &request);
	if (r < 0)
		return r;
	if (!config_find_class(ingest->config, request.ingest.class)) {
		r = reply_unknown_class(session, number, request.ingest.class);
		intake_request_clear(&request);
		return r;
	}
	/* Space that open jobs will still use is not free. */
	request.ingest.promised_bytes = promised_bytes(session);
	r = root_is_stuck(ingest->root) ? -RE_BUSY : ingest_begin(ingest, &request.ingest, &job);
	intake_request_clear(&request);
	if (r < 0) {
		if (r != -ENOSPC && r != -ENOMEDIUM) /* which say more by themselves */
			notices_keep_problem(ingest->root->notices,
					"a recording cannot be sealed: %s", error_text(r));
		/* Everything else may pass: the intake tries again later. */
		return reply_failed(session, number, error_text(r), r != -EFBIG);
	}
	session->jobs[session->n_jobs++] = (struct open_job){number, job};
	return reply_begun(session, number, job);
}

static void on_committed(
		void *context, int64_t number, const uint8_t ulid[static ULID_BYTES], int result);

static int on_commit(struct intake_session *session, const json_t *message, int64_t number)
{
	struct open_job *open = session_job(session, number);

	if (!open || !open->job)
		return -RE_PROTOCOL;
	struct ingest_queue_order order = {
			.job = open->job,
			.number = number,
			.committed = on_committed,
			.context = session,
	};
	int r = ingest_queue_add(session->server->queue, &order);
	if (r < 0) {
		ingest_abort(open->job);
		drop_job(session, open);
		return reply_failed(session, number, error_text(r), true);
	}
	/* The queue owns it now; the number stays taken until the answer. */
	open->job = NULL;
	session->n_committing++;
	return 0;
}

/* An abort that met a commit on the way comes too late. */
static int on_abort(struct intake_session *session, const json_t *message, int64_t number)
{
	struct open_job *open = session_job(session, number);

	if (!open || !open->job)
		return 0;
	ingest_abort(open->job);
	drop_job(session, open);
	return 0;
}

static int on_unlinked(struct intake_session *session, const json_t *message, int64_t number)
{
	int64_t exposure_us;
	int r = intake_request_number(message, "exposure_us", INTAKE_TIME_MAX_US, &exposure_us);

	if (r == 0)
		exposure_add(&session->server->exposure, exposure_us);
	return r;
}

static int on_found(struct intake_session *session, const json_t *message, int64_t number)
{
	return spool_looks_found(&session->server->looks, message);
}

static int on_hello(struct intake_session *session, const json_t *message, int64_t number)
{
	int64_t version;
	int r = intake_request_number(message, "version", INT64_MAX, &version);

	if (r == 0 && version != INTAKE_WIRE_VERSION)
		r = -RE_PROTOCOL;
	if (r < 0)
		return r;
	session->greeted = true;
	return intake_server_reply(session,
			json_pack("{s:s, s:i}", "op", "hello", "version", INTAKE_WIRE_VERSION),
			NULL);
}

static int handle_message(struct intake_session *session, const json_t *message)
{
	static const struct {
		const char *op;
		bool has_job, before_hello;
		int (*handler)(struct intake_session *session, const json_t *message,
				int64_t number);
	} operations[] = {
			{"hello", false, true, on_hello},
			{"begin", true, false, on_begin},
			{"commit", true, false, on_commit},
			{"abort", true, false, on_abort},
			{"unlinked", true, false, on_unlinked},
			{"report", false, false, intake_server_on_report},
			{"spool", false, false, intake_server_on_spool},
			{"found", false, false, on_found},
	};
	const char *op = json_string_value(json_object_get(message, "op"));
	int64_t number = 0;

	for (size_t i = 0; op && i < ELEMENTSOF(operations); i++) {
		if (strcmp(op, operations[i].op) != 0)
			continue;
		/* Hello exactly once, and before anything else. */
		if (session->greeted == operations[i].before_hello)
			return -RE_PROTOCOL;
		int r = operations[i].has_job
					? intake_request_number(message, "job", UINT32_MAX, &number)
					: 0;
		return r < 0 ? r : operations[i].handler(session, message, number);
	}
	return -RE_PROTOCOL;
}

/* 1 when a message was read and handled, 0 when there is none. The intake sends no descriptors; any
 * that come are closed. */
static int handle_next(struct intake_session *session)
{
	struct socket_fds fds = {.count = 0};
	json_t *message = NULL;
	int r = intake_wire_receive(session->fd, &message, &fds);

	socket_fds_close(&fds);
	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	r = handle_message(session, message);
	json_decref(message);
	return r < 0 ? r : 1;
}

/* An intake that does not read its replies is not read from; and one turn has an end. */
static int session_serve(struct intake_session *session)
{
	int r = intake_replies_flush(&session->replies, session->fd);

	if (r < 0)
		return r;
	r = 1;
	/* A flood of messages must not keep the loop from the control socket. */
	for (int i = 0; i < MESSAGES_MAX && session->replies.count == 0 && r > 0; i++)
		r = handle_next(session);
	return r < 0 ? r : 0;
}

static void on_session_ready(uv_poll_t *poll, int status, int events);

static void wait_for_peer(struct intake_session *session)
{
	int events = session->replies.count > 0 ? UV_WRITABLE : 0;

	if (events == 0 && !session->ending)
		events = UV_READABLE;
	if (events != 0)
		uv_poll_start(&session->poll, events, on_session_ready);
	else
		uv_poll_stop(&session->poll);
}

/* What goes on after an error: nothing, or the commits that were asked for before it. */
static void session_fail(struct intake_session *session, int error)
{
	const struct ingest_observer *observer = &session->server->observer;
	bool lost = error == -ECONNRESET || error == -EPIPE;

	if (!lost && !session->ending)
		observer->disconnected(observer->context, error);
	session->ending = true;
	/* A peer that only sent nonsense still gets the answers
	 * to its commits: else it would seal again what is sealed. */
	if (lost || session->n_committing == 0)
		session_end(session);
	else
		wait_for_peer(session);
}

static void on_session_ready(uv_poll_t *poll, int status, int events)
{
	struct intake_session *session = poll->data;
	int r = status;

	if (r >= 0)
		r = session->ending ? intake_replies_flush(&session->replies, session->fd)
				    : session_serve(session);
	if (r < 0)
		session_fail(session, r);
	else
		wait_for_peer(session);
}

static void on_committed(
		void *context, int64_t number, const uint8_t ulid[static ULID_BYTES], int result)
{
	struct intake_session *session = context;

	drop_job(session, session_job(session, number));
	session->n_committing--;
	const char *why = result == -RE_PAYLOAD ? SPOILED : error_text(result);
	json_t *message =
			result < 0   ? intake_replies_failed(number, why, true)
			: result > 0 ? intake_replies_already(number, ulid, result == INGEST_EXISTS)
				     : intake_replies_committed(number, ulid);
	int r = intake_server_reply(session, message, NULL);
	if (r < 0)
		session_fail(session, r);
	else if (session->ending && session->n_committing == 0)
		session_end(session);
	else
		wait_for_peer(session);
}

void intake_server_tell(struct intake_session *session, json_t *message)
{
	int r = intake_server_reply(session, message, NULL);

	if (r < 0)
		session_fail(session, r);
	else
		wait_for_peer(session);
}

static int check_peer(const struct intake_server *server, int fd)
{
	struct peer peer;
	int r = socket_peer(fd, &peer);

	if (r < 0)
		return r;
	/* The kernel attests the uid; the socket's own mode lets anybody connect. */
	return peer.uid == server->intake_uid || peer.uid == 0 ? 0 : -EACCES;
}

static int session_begin(struct intake_server *server, int fd)
{
	struct intake_session *session = calloc(1, sizeof(*session));

	if (!session)
		return -ENOMEM;
	session->server = server;
	session->fd = fd;
	int r = uv_poll_init(server->loop, &session->poll, fd);
	if (r < 0) {
		free(session);
		return r;
	}
	session->poll.data = session;
	wait_for_peer(session);
	server->session = session;
	return 0;
}

static void on_listen_readable(uv_poll_t *poll, int status, int events)
{
	struct intake_server *server = poll->data;
	int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	/* Two intakes on one spool would race for the same files. */
	int r = server->session ? -RE_BUSY : check_peer(server, fd);
	if (r == 0)
		r = session_begin(server, fd);
	if (r < 0) {
		/* Once: a client that tries forever must not fill the journal. */
		if (!server->told_refused)
			server->observer.turned_away(server->observer.context, r);
		close(fd);
	}
	server->told_refused = r < 0;
}

int intake_server_start(uv_loop_t *loop, struct ingest *ingest, int listen_fd, uid_t intake_uid,
		const struct ingest_observer *observer, struct intake_server **ret_server)
{
	struct intake_server *server = calloc(1, sizeof(*server));

	if (!server)
		return -ENOMEM;
	server->loop = loop;
	server->ingest = ingest;
	server->listen_fd = listen_fd;
	server->intake_uid = intake_uid;
	server->observer = *observer;
	int r = ingest_queue_new(loop, ingest, observer, &server->queue);
	if (r == 0)
		r = uv_poll_init(loop, &server->poll, listen_fd);
	if (r < 0) {
		ingest_queue_end(server->queue);
		free(server);
		return r;
	}
	server->poll.data = server;
	uv_poll_start(&server->poll, UV_READABLE, on_listen_readable);
	*ret_server = server;
	return 0;
}

static void server_closed(uv_handle_t *handle)
{
	struct intake_server *server = handle->data;

	close(server->listen_fd);
	json_decref(server->spools);
	spool_looks_forget(&server->looks);
	free(server);
}

struct intake_server *intake_server_stop(struct intake_server *server)
{
	if (!server)
		return NULL;
	if (server->session)
		session_end(server->session);
	server->queue = ingest_queue_end(server->queue);
	uv_close((uv_handle_t *)&server->poll, server_closed);
	return NULL;
}
