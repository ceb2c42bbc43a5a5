/* The keeper's end of a connection with the intake, from inside: for intake_server.c, and
 * intake_server_spools.c. */
#pragma once

#include "daemon/keeper/ingest/ingest_queue.h"
#include "daemon/keeper/ingest/intake_replies.h"
#include "daemon/keeper/ingest/intake_server.h"
#include "daemon/keeper/ingest/spool_gate.h"

#define INTAKE_SERVER_JOBS_MAX 256

/* A job that the intake has begun; job is NULL while the commit queue has it. */
struct open_job {
	int64_t number;
	struct ingest_job *job;
};

/* One connected intake; a second one is turned away, so that one spool is not worked on twice. */
struct intake_session {
	uv_poll_t poll;
	struct intake_server *server;
	int fd;
	bool greeted;
	/* The intake sent nonsense: nothing is read any more, and the connection is closed as soon
	 * as the commits that were asked for before are answered. */
	bool ending;
	struct open_job jobs[INTAKE_SERVER_JOBS_MAX];
	size_t n_jobs, n_committing;
	struct intake_replies replies;
};
_Static_assert(INTAKE_REPLIES_MAX > INTAKE_SERVER_JOBS_MAX,
		"all open commits may be answered at once");

struct intake_server {
	uv_poll_t poll;
	uv_loop_t *loop;
	struct ingest *ingest;
	int listen_fd;
	uid_t intake_uid;
	struct intake_session *session;
	json_t *spools; /* of the last report */
	struct spool_gate gate;
	int64_t heard_us; /* monotonic: when it came */
	struct spool_looks looks;
	struct ingest_queue *queue;
	struct ingest_observer observer;
	bool told_refused; /* once until an intake is accepted */
	struct exposure exposure;
};

/* Sends a message, or keeps it while the socket is full; takes the message. -errno. */
int intake_server_reply(struct intake_session *session, json_t *message,
		const struct socket_fds *fds_or_null);

/* The same outside of an exchange with it: a failure ends the session. */
void intake_server_tell(struct intake_session *session, json_t *message);

/* The intake reports on its spools; or asks whether it may take from one. -RE_PROTOCOL. */
int intake_server_on_report(struct intake_session *session, const json_t *message, int64_t number);
int intake_server_on_spool(struct intake_session *session, const json_t *message, int64_t number);
