#include "cli/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/field.h"
#include "cli/output.h"

static char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *format_text(const char *format, ...)
{
	char *text;
	va_list ap;

	va_start(ap, format);
	int n = vasprintf(&text, format, ap);
	va_end(ap);
	return n < 0 ? NULL : text;
}

char *control_connect_problem(const char *path, int r)
{
	if (r == -EACCES || r == -EPERM)
		return format_text("you may not connect to %s: %s. Members of the groups "
				   "recseal-viewer, recseal-operator and recseal-officer may "
				   "(Viewers=, Operators= and Officers= in recseal.conf)",
				path, error_text(r));
	if (r == -ENOMEM)
		return NULL;
	return format_text("cannot connect to the keeper: is recseal-keeper running? tried %s: %s",
			path, error_text(r));
}

char *control_broken_problem(int r)
{
	if (r == -ECONNRESET || r == -EPIPE)
		return format_text("the keeper hung up before it answered; its journal says why: "
				   "journalctl -u recseal-keeper");
	return format_text("talking to the keeper failed: %s", error_text(r));
}

/* What each error of the interface, and of Varlink itself, means to whoever typed the command. */
static const struct meaning {
	const char *error;
	enum cli_exit exit;
	const char *phrase;
	const char *member; /* of the parameters: what the phrase is about */
} meanings[] = {
		{CONTROL_INTERFACE "NotFound", CLI_NOT_FOUND, "not in this vault", "what"},
		{CONTROL_INTERFACE "Gone", CLI_GONE, "was destroyed and cannot be recovered",
				"what"},
		{CONTROL_INTERFACE "Refused", CLI_REFUSED, "refused", "why"},
		{CONTROL_INTERFACE "Damaged", CLI_ERROR, "damaged", "why"},
		{CONTROL_INTERFACE "Pending", CLI_ERROR,
				"not destroyed yet: it is noted, and will be as soon as it can; the keys still exist",
				"why"},
		{CONTROL_INTERFACE "Failed", CLI_ERROR, "the keeper failed", "why"},
		{CONTROL_INTERFACE "Invalid", CLI_USAGE, "the keeper does not accept it", "why"},
		{"org.varlink.service.PermissionDenied", CLI_REFUSED, "refused: permission denied",
				NULL},
		{"org.varlink.service.InvalidParameter", CLI_USAGE, "the keeper does not accept",
				"parameter"},
		{"org.varlink.service.MethodNotFound", CLI_ERROR,
				"the keeper is of another version than this command, and does not know",
				"method"},
		{"org.varlink.service.MethodNotImplemented", CLI_ERROR,
				"the keeper is of another version than this command, and does not know",
				"method"},
		{"org.varlink.service.InterfaceNotFound", CLI_ERROR,
				"this socket is not a keeper's; it does not know", "interface"},
};

static const struct meaning *find_meaning(const char *error)
{
	for (size_t i = 0; i < ELEMENTSOF(meanings); i++) {
		if (strcmp(error, meanings[i].error) == 0)
			return &meanings[i];
	}
	return NULL;
}

enum cli_exit control_error_exit(const struct varlink_reply *reply)
{
	const struct meaning *meaning = find_meaning(reply->error);

	return meaning ? meaning->exit : CLI_ERROR;
}

static char *gone_problem(const struct varlink_reply *reply, const char *phrase)
{
	const char *what = field_text(reply->parameters, "what");
	int64_t epoch = field_int(reply->parameters, "epoch", 0);

	if (epoch == 0)
		return format_text("%s: %s", what ? what : "it", phrase);
	return format_text("%s: %s (epoch %lld)", what ? what : "it", phrase, (long long)epoch);
}

char *control_error_problem(const struct varlink_reply *reply)
{
	const struct meaning *meaning = find_meaning(reply->error);

	if (!meaning)
		return format_text("the keeper answered with an unknown error: %s", reply->error);
	const char *about = meaning->member ? field_text(reply->parameters, meaning->member) : NULL;
	const char *parameter = field_text(reply->parameters, "parameter");
	const char *what = field_text(reply->parameters, "what");
	if (meaning->exit == CLI_GONE)
		return gone_problem(reply, meaning->phrase);
	if (meaning->exit == CLI_NOT_FOUND)
		return format_text("%s: %s", about ? about : "it", meaning->phrase);
	if (meaning->exit == CLI_USAGE && parameter && about != parameter)
		return format_text("%s: %s: %s", meaning->phrase, parameter, about ? about : "?");
	if (what && about && about != what)
		return format_text("%s: %s: %s", what, meaning->phrase, about);
	return about ? format_text("%s: %s", meaning->phrase, about) : strdup(meaning->phrase);
}

/* Tells a problem; frees it. */
static enum cli_exit tell(char *problem, enum cli_exit e)
{
	if (!problem)
		return output_oom();
	output_error("%s", problem);
	free(problem);
	return e;
}

enum cli_exit control_open(const char *path, struct varlink_client **ret_client)
{
	int r = varlink_connect(path, ret_client);

	return r < 0 ? tell(control_connect_problem(path, r), CLI_ERROR) : CLI_DONE;
}

static enum cli_exit tell_failed(int r, struct varlink_reply *reply)
{
	if (r == -ECANCELED)
		return CLI_ERROR;
	if (r < 0)
		return tell(control_broken_problem(r), CLI_ERROR);
	enum cli_exit e = control_error_exit(reply);
	char *problem = control_error_problem(reply);
	varlink_reply_clear(reply);
	return tell(problem, e);
}

enum cli_exit control_call(struct varlink_client *client, const char *method, json_t *parameters,
		struct varlink_reply *ret_reply)
{
	struct varlink_reply reply;
	int r = varlink_call(client, method, parameters, &reply);

	if (r != VARLINK_REPLIED)
		return tell_failed(r, &reply);
	*ret_reply = reply;
	return CLI_DONE;
}

enum cli_exit control_call_more(struct varlink_client *client, const char *method,
		json_t *parameters, varlink_page page, void *context)
{
	struct varlink_reply reply;
	int r = varlink_call_more(client, method, parameters, page, context, &reply);

	return r == VARLINK_REPLIED ? CLI_DONE : tell_failed(r, &reply);
}

enum cli_exit control_nonsense(const char *method)
{
	output_error("the keeper's answer to %s is not what the interface promises: are both of "
		     "the same version?",
			method);
	return CLI_ERROR;
}
