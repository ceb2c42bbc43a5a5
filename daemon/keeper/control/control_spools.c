/* AcceptSpool, and what is said about spools that wait for it (ingest/spool_gate.h). */
#include <errno.h>
#include <inttypes.h>
#include <syslog.h>

#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/ingest/intake_server.h"

#define COUNT_MAX INT64_C(1000000000000)
#define FOUND     "its %" PRId64 " files (%" PRId64 " recordings)"

static json_int_t held_count(const json_t *held, const char *key, json_int_t max)
{
	json_int_t n = json_integer_value(json_object_get(held, key));

	return n < 0 ? 0 : n > max ? max : n;
}

json_t *control_spools_held(const json_t *spool)
{
	const json_t *held = json_object_get(spool, "held");

	if (!json_is_object(held))
		return NULL;
	return json_pack("{s:I, s:I, s:I}", "files", held_count(held, "files", COUNT_MAX),
			"recordings", held_count(held, "recordings", COUNT_MAX), "bytes",
			held_count(held, "bytes", INT64_MAX));
}

bool control_spools_allowed(const struct control *control, const json_t *spool)
{
	const char *name = json_string_value(json_object_get(spool, "name"));

	return control->intake && name && intake_server_allows(control->intake, name);
}

void control_spools_warn(const json_t *status, const char *name, json_t *warnings)
{
	const json_t *held = json_object_get(status, "held");

	if (json_is_object(held))
		json_array_append_new(warnings,
				json_sprintf("spool %s waits: %lld files (%lld recordings) were in "
					     "it, or came since, and nobody has said that they may "
					     "be taken. To do: look at recsealctl spool plan %s, "
					     "then recsealctl spool accept %s --reason TEXT",
						name,
						(long long)held_count(held, "files", COUNT_MAX),
						(long long)held_count(
								held, "recordings", COUNT_MAX),
						name, name));
}

static int accept_answer_none(struct control_call *call, const char *name, int outcome)
{
	const struct intake_server *intake = call->control->intake;

	if (!intake || !intake_server_connected(intake))
		return control_answer_refused(call,
				"recseald is not connected: start it first; it has to say which "
				"folder the spool is, and what is in it");
	if (outcome == SPOOL_GATE_OPEN)
		return control_answer_refused(
				call, "spool %s does not wait: recordings may be taken", name);
	return control_answer_not_found(call, "spool", name);
}

int control_spools_accept(struct control_call *call)
{
	const char *name = control_text(call, "spool");
	const struct audit_actor actor = {call->uid, control_text(call, "reason")};
	struct spool_question question;
	int r = call->control->intake ? intake_server_accept(call->control->intake, name, &actor,
							&question)
				      : SPOOL_GATE_UNKNOWN;

	if (r < 0)
		return r;
	if (r > 0)
		return accept_answer_none(call, name, r);
	const struct event_fields fields = {.spool = question.name};
	notices_tell(&call->vault->notices, LOG_NOTICE, EVENT_SPOOL_HELD, &fields,
			"spool %s is accepted by order of uid %u: " FOUND " may be taken",
			question.name, (unsigned)call->uid, question.files, question.recordings);
	return control_answer_reply(call,
			json_pack("{s:s, s:I, s:I, s:I}", "spool", question.name, "files",
					(json_int_t)question.files, "recordings",
					(json_int_t)question.recordings, "bytes",
					(json_int_t)question.bytes),
			NULL);
}
