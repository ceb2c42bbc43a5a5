#include "cli/control.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/field.h"
#include "cli/look_alikes.h"
#include "cli/output.h"

void control_explain_connect(const char *path, int r, struct reason *reason)
{
	if (r == -EACCES || r == -EPERM)
		reason_set(reason, r,
				"you may not connect to %s: %s; only members of the groups "
				"recseal-viewer, recseal-operator and recseal-officer may "
				"(Viewers=, Operators= and Officers= in recseal.conf)",
				path, error_text(r));
	else
		reason_set(reason, r,
				"cannot connect to the keeper at %s: %s; is recseal-keeper "
				"running? See systemctl status recseal-keeper",
				path, error_text(r));
}

void control_explain_broken(int r, struct reason *reason)
{
	if (r == -ECONNRESET || r == -EPIPE)
		reason_set(reason, r,
				"the keeper closed the connection before it answered; its journal "
				"says why: journalctl -u recseal-keeper");
	else
		reason_set_error(reason, r, "talking to the keeper failed");
}

#define OTHER_VERSION "the keeper has another version than recsealctl; it does not know"

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
				"not destroyed yet: the order is noted and will be carried out as "
				"soon as possible; until then the keys still exist",
				"why"},
		{CONTROL_INTERFACE "NotKnown", CLI_ERROR, "not known yet", "why"},
		{CONTROL_INTERFACE "Failed", CLI_ERROR, "the keeper failed", "why"},
		{CONTROL_INTERFACE "Invalid", CLI_USAGE, "the keeper does not accept it", "why"},
		{"org.varlink.service.PermissionDenied", CLI_REFUSED, "refused: permission denied",
				NULL},
		{"org.varlink.service.InvalidParameter", CLI_USAGE, "the keeper does not accept",
				"parameter"},
		{"org.varlink.service.MethodNotFound", CLI_ERROR, OTHER_VERSION, "method"},
		{"org.varlink.service.MethodNotImplemented", CLI_ERROR, OTHER_VERSION, "method"},
		{"org.varlink.service.InterfaceNotFound", CLI_ERROR,
				"this is not the socket of a keeper; it does not know",
				"interface"},
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

static void explain_gone(
		const struct varlink_reply *reply, const char *phrase, struct reason *reason)
{
	const char *what = field_text(reply->parameters, "what");
	int64_t epoch = field_int(reply->parameters, "epoch", 0);

	reason_set(reason, 0, "%s: %s", what ? what : "it", phrase);
	if (epoch > 0)
		reason_set(reason, 0, "%s: %s (epoch %lld)", what ? what : "it", phrase,
				(long long)epoch);
}

static void explain_not_found(
		const struct varlink_reply *reply, const char *phrase, struct reason *reason)
{
	const char *what = field_text(reply->parameters, "what");

	reason_set(reason, 0, "%s: %s", what ? what : "it", phrase);
	look_alikes_explain(reply->parameters, reason);
}

void control_explain_error(const struct varlink_reply *reply, struct reason *reason)
{
	const struct meaning *meaning = find_meaning(reply->error);

	if (!meaning) {
		reason_set(reason, 0, "the keeper answered with an unknown error: %s",
				reply->error);
		return;
	}
	const char *about = meaning->member ? field_text(reply->parameters, meaning->member) : NULL;
	const char *parameter = field_text(reply->parameters, "parameter");
	const char *what = field_text(reply->parameters, "what");
	const char *phrase = meaning->phrase;
	/* What is gone or missing comes first, then the phrase. */
	if (meaning->exit == CLI_GONE)
		explain_gone(reply, phrase, reason);
	else if (meaning->exit == CLI_NOT_FOUND)
		explain_not_found(reply, phrase, reason);
	/* Of a wrong parameter: its name, then what is wrong with it. */
	else if (meaning->exit == CLI_USAGE && parameter && about != parameter)
		reason_set(reason, 0, "%s: %s: %s", phrase, parameter, about ? about : "?");
	/* Otherwise the thing, if the error names it beside the explanation. */
	else if (what && about && about != what)
		reason_set(reason, 0, "%s: %s: %s", what, phrase, about);
	else
		reason_set(reason, 0, "%s%s%s", phrase, about ? ": " : "", about ? about : "");
}

enum cli_exit control_open(const char *path, struct varlink_client **ret_client)
{
	struct reason reason = {0};
	int r = varlink_client_connect(path, ret_client);

	if (r == 0)
		return CLI_DONE;
	control_explain_connect(path, r, &reason);
	output_error("%s", reason.text);
	return CLI_ERROR;
}

/* Prints why a call failed; clears its reply, if there is one. */
static enum cli_exit print_failed(int r, struct varlink_reply *reply)
{
	struct reason reason = {0};
	enum cli_exit e = CLI_ERROR;

	if (r == -ECANCELED)
		return CLI_ERROR;
	if (r < 0) {
		control_explain_broken(r, &reason);
	} else {
		e = control_error_exit(reply);
		control_explain_error(reply, &reason);
		varlink_client_reply_clear(reply);
	}
	output_error("%s", reason.text);
	return e;
}

enum cli_exit control_call(struct varlink_client *client, const char *method, json_t *parameters,
		struct varlink_reply *ret_reply)
{
	struct varlink_reply reply;
	int r = varlink_client_call(client, method, parameters, &reply);

	if (r != VARLINK_REPLIED)
		return print_failed(r, &reply);
	*ret_reply = reply;
	return CLI_DONE;
}

enum cli_exit control_call_more(struct varlink_client *client, const char *method,
		json_t *parameters, varlink_page page, void *context)
{
	struct varlink_reply reply;
	int r = varlink_client_call_more(client, method, parameters, page, context, &reply);

	return r == VARLINK_REPLIED ? CLI_DONE : print_failed(r, &reply);
}

enum cli_exit control_nonsense(const char *method)
{
	output_error("the keeper's answer to %s is not what the interface promises; check that "
		     "recsealctl and recseal-keeper have the same version",
			method);
	return CLI_ERROR;
}
