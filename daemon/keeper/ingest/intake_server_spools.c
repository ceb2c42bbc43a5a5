/* What the intake says of its spools, and what it is told about them. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/keeper/ingest/intake_request.h"
#include "daemon/keeper/ingest/intake_server_internal.h"

int intake_server_on_report(struct intake_session *session, const json_t *message, int64_t number)
{
	json_t *spools = json_object_get(message, "spools");

	if (!json_is_array(spools))
		return -RE_PROTOCOL;
	/* Kept as it came: the control socket checks each value where it shows it. */
	json_decref(session->server->spools);
	session->server->spools = json_incref(spools);
	session->server->heard_us = monotonic_us();
	return 0;
}

static json_t *spool_message(const struct spool_question *question, bool may)
{
	return json_pack("{s:s, s:s, s:o, s:b}", "op", "spool", "spool", question->name, "folder",
			intake_wire_base64(question->folder, sizeof(question->folder)), "may",
			(int)may);
}

int intake_server_on_spool(struct intake_session *session, const json_t *message, int64_t number)
{
	struct intake_server *server = session->server;
	struct spool_question question;
	int r = intake_request_spool(message, &question);

	if (r < 0)
		return r;
	bool may = spool_gate_ask(&server->gate, server->ingest, &question);
	return intake_server_reply(session, spool_message(&question, may), NULL);
}

int intake_server_accept(struct intake_server *server, const char *name,
		const struct audit_actor *actor, struct spool_question *ret_question)
{
	struct spool_question question;
	int r = spool_gate_accept(&server->gate, server->ingest, name, actor, &question);

	if (r != 0)
		return r;
	*ret_question = question;
	/* If it is lost with the connection, the intake asks again. */
	if (server->session && !server->session->ending)
		intake_server_tell(server->session, spool_message(&question, true));
	return 0;
}

bool intake_server_allows(const struct intake_server *server, const char *spool)
{
	return spool_gate_is_open(&server->gate, spool);
}

int intake_server_look(struct intake_server *server, const struct spool_look_question *question)
{
	json_t *message = NULL;
	int r = intake_server_connected(server) && !server->session->ending
				? spool_looks_ask(&server->looks, question, &message)
				: -ENOTCONN;

	if (r < 0)
		return r;
	intake_server_tell(server->session, message);
	return 0;
}

struct spool_looks *intake_server_looks(struct intake_server *server)
{
	return &server->looks;
}

bool intake_server_connected(const struct intake_server *server)
{
	return server->session && server->session->greeted;
}

int64_t intake_server_heard_ago_us(const struct intake_server *server)
{
	return server->spools ? monotonic_us() - server->heard_us : -1;
}

json_t *intake_server_spools(const struct intake_server *server)
{
	return server->spools;
}

const struct exposure *intake_server_exposure(const struct intake_server *server)
{
	return &server->exposure;
}
