/* A server of the intake from inside: for intake_server*.c only. */
#pragma once

#include "base/socket.h"
#include "daemon/keeper/ingest/ingest_queue.h"
#include "daemon/keeper/ingest/intake_replies.h"
#include "daemon/keeper/ingest/intake_server.h"

#define JOBS_MAX 256

/* A job that the intake has begun; job is NULL while the commit queue has it. */
struct open_job {
	int64_t number;
	struct ingest_job *job;
};

/* One connected intake; a second one is turned away, so that one spool is not worked on twice. */
struct session {
	uv_poll_t poll;
	struct intake_server *server;
	int fd;
	bool greeted;
	/* The intake sent nonsense: nothing is read any more, and the connection is closed as soon
	 * as the commits that were asked for before are answered. */
	bool ending;
	struct open_job jobs[JOBS_MAX];
	size_t n_jobs, n_committing;
	struct intake_replies replies;
};
_Static_assert(INTAKE_REPLIES_MAX > JOBS_MAX, "all open commits may be answered at once");

struct intake_server {
	uv_poll_t poll;
	uv_loop_t *loop;
	struct ingest *ingest;
	int listen_fd;
	uid_t intake_uid;
	struct session *session;
	json_t *spools;
	int64_t heard_us; /* monotonic: when it came */
	struct spool_looks looks;
	struct ingest_queue *queue;
	struct ingest_observer observer;
	bool told_refused; /* once until an intake is accepted */
	struct exposure exposure;
};
