/* The answers that a caller can get. */
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#include "base/error.h"
#include "daemon/common/event.h"
#include "daemon/keeper/control/control_method.h"

#define ERROR(name) "org.recseal.control." name

int control_answer_reply(struct control_call *call, json_t *parameters, struct socket_fds *fds)
{
	varlink_call_reply(call->varlink, parameters, fds);
	return CONTROL_ANSWERED;
}

int control_answer_not_found(struct control_call *call, const char *kind, const char *what)
{
	varlink_call_error(call->varlink, ERROR("NotFound"),
			json_pack("{s:o}", "what", json_sprintf("%s %s", kind, what)));
	return CONTROL_ANSWERED;
}

int control_answer_no_account(struct control_call *call, const char *name, json_t *look_alikes)
{
	varlink_call_error(call->varlink, ERROR("NotFound"),
			json_pack("{s:o, s:o}", "what", json_sprintf("account %s", name),
					"look_alikes", look_alikes));
	return CONTROL_ANSWERED;
}

int control_answer_gone(
		struct control_call *call, const char *kind, const char *what, uint64_t epoch)
{
	varlink_call_error(call->varlink, ERROR("Gone"),
			json_pack("{s:o, s:I}", "what", json_sprintf("%s %s", kind, what), "epoch",
					(json_int_t)epoch));
	return CONTROL_ANSWERED;
}

int control_answer_invalid(struct control_call *call, const char *parameter, const char *why)
{
	varlink_call_error(call->varlink, ERROR("Invalid"),
			json_pack("{s:s, s:s}", "parameter", parameter, "why", why));
	return CONTROL_ANSWERED;
}

int control_answer_refused(struct control_call *call, const char *format, ...)
{
	char why[512];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	control_audit_refusal(call, why);
	varlink_call_error(call->varlink, ERROR("Refused"), json_pack("{s:s}", "why", why));
	return CONTROL_ANSWERED;
}

int control_answer_problem(struct control_call *call, const char *why)
{
	notices_keep_problem(&call->vault->notices, "%s: %s", call->method->name, why);
	notices_tell(&call->vault->notices, LOG_ERR, EVENT_PLAIN, NULL,
			"%s, called by uid %u, failed: %s", call->method->name, (unsigned)call->uid,
			why);
	varlink_call_error(call->varlink, ERROR("Failed"), json_pack("{s:s}", "why", why));
	return CONTROL_ANSWERED;
}

int control_answer_damaged(struct control_call *call, const char *id, const char *why)
{
	const struct event_fields fields = {.recording = id};

	notices_keep_problem(&call->vault->notices, "recording %s is damaged: %s", id, why);
	notices_tell(&call->vault->notices, LOG_ERR, EVENT_DAMAGED, &fields,
			"recording %s cannot be opened: %s", id, why);
	varlink_call_error(call->varlink, ERROR("Damaged"),
			json_pack("{s:o, s:s}", "what", json_sprintf("recording %s", id), "why",
					why));
	return CONTROL_ANSWERED;
}

int control_answer_pending(struct control_call *call, const char *why)
{
	varlink_call_error(call->varlink, ERROR("Pending"), json_pack("{s:s}", "why", why));
	return CONTROL_ANSWERED;
}

int control_answer_not_known(struct control_call *call)
{
	const char *why = error_text(-RE_UNKNOWN);

	notices_keep_problem(&call->vault->notices, "%s: %s", call->method->name, why);
	notices_tell(&call->vault->notices, LOG_ERR, EVENT_PLAIN, NULL, "%s, called by uid %u: %s",
			call->method->name, (unsigned)call->uid, why);
	varlink_call_error(call->varlink, ERROR("NotKnown"), json_pack("{s:s}", "why", why));
	return CONTROL_ANSWERED;
}

int control_answer_failed(struct control_call *call, int r)
{
	if (r == -RE_UNKNOWN)
		return control_answer_not_known(call);
	return control_answer_problem(call, error_text(r));
}
