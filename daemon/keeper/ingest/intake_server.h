/* The keeper's end of the connection with the intake (intake_wire.h). */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "daemon/keeper/ingest/exposure.h"
#include "daemon/keeper/ingest/ingest.h"
#include "daemon/keeper/ingest/spool_gate.h"
#include "daemon/keeper/ingest/spool_looks.h"

struct intake_server;

/* Serves on a listening SOCK_SEQPACKET socket, which it takes over. Peers must have this uid (or be
 * root). The observer is copied; its context must outlive the loop. */
int intake_server_start(uv_loop_t *loop, struct ingest *ingest, int listen_fd, uid_t intake_uid,
		const struct ingest_observer *observer, struct intake_server **ret_server);
struct intake_server *intake_server_stop(struct intake_server *server);

/* Somebody allows the intake to take from a spool that waits for a word: audited, durable on
 * return, and the intake is told. *ret_question is what it had asked. SPOOL_GATE_UNKNOWN,
 * SPOOL_GATE_OPEN; -errno, -RE_*. */
int intake_server_accept(struct intake_server *server, const char *name,
		const struct audit_actor *actor, struct spool_question *ret_question);

/* Whether the connected intake may take from the spool of this name. */
bool intake_server_allows(const struct intake_server *server, const char *spool);

bool intake_server_connected(const struct intake_server *server);
/* How long ago the last report came; -1: none has come. */
int64_t intake_server_heard_ago_us(const struct intake_server *server);
/* The last report's "spools" array (borrowed), or NULL. */
json_t *intake_server_spools(const struct intake_server *server);
/* Asks the intake to look into its spools. -ENOTCONN without one; -EBUSY while another look is
 * under way; -ENOMEM. What comes of it is in intake_server_looks(); the caller ends the look with
 * spool_looks_forget(). */
int intake_server_look(struct intake_server *server, const struct spool_look_question *question);
struct spool_looks *intake_server_looks(struct intake_server *server);
const struct exposure *intake_server_exposure(const struct intake_server *server);
