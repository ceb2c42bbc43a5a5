#include "daemon/common/config/config.h"
#include "daemon/keeper/control/control_method.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#define GROUP_RECORD_MAX (1024 * 1024)
#define REASON_BLANK     "must say why: this is blank, or has only characters that nobody sees"

static const char interface_text[] =
#include "daemon/keeper/control/control_interface.inc"
		;

#define EVERYBODY   (ROLE_OPERATOR | ROLE_VIEWER | ROLE_OFFICER)
#define LISTENERS   (ROLE_VIEWER | ROLE_OFFICER)
#define PLANNERS    (ROLE_OPERATOR | ROLE_OFFICER)
#define ONLY_OFFICE ROLE_OFFICER

const struct control_method control_methods[] = {
		{"Status", EVERYBODY, .handle = control_status},
		{"Doctor", PLANNERS, .handle = control_doctor},
		{"ListRecordings", EVERYBODY, .more = true, .handle = control_lists_recordings,
				.parameters = {{"account", PARAMETER_TEXT},
						{"state", PARAMETER_TEXT},
						{"since", PARAMETER_TEXT},
						{"until", PARAMETER_TEXT}}},
		{"ShowRecording", EVERYBODY, .handle = control_recordings_show,
				.parameters = {{"id", PARAMETER_REQUIRED}}},
		{"OpenRecording", LISTENERS, .sensitive = true, .handle = control_recordings_open,
				.parameters = {{"id", PARAMETER_REQUIRED},
						{"purpose", PARAMETER_REQUIRED},
						{"reason", PARAMETER_REASON}}},
		{"UnwrapFileKey", LISTENERS, .sensitive = true, .handle = control_recordings_unwrap,
				.parameters = {{"args", PARAMETER_LIST},
						{"body", PARAMETER_REQUIRED},
						{"tag_sha256", PARAMETER_REQUIRED}}},
		{"VerifyCatalog", LISTENERS, .more = true, .handle = control_catalog_verify},
		{"ListAccounts", EVERYBODY, .more = true, .handle = control_lists_accounts},
		{"ShowAccount", EVERYBODY, .handle = control_accounts_show,
				.parameters = {{"account", PARAMETER_REQUIRED}}},
		{"AllowAccount", ONLY_OFFICE, .sensitive = true, .handle = control_accounts_allow,
				.parameters = {{"account", PARAMETER_REQUIRED},
						{"reason", PARAMETER_REASON}}},
		{"PlanShred", PLANNERS, .handle = control_shred_plan,
				.parameters = {{"account", PARAMETER_TEXT},
						{"recording", PARAMETER_TEXT},
						{"with_parts", PARAMETER_FLAG}}},
		{"Shred", ONLY_OFFICE, .sensitive = true, .handle = control_shred_run,
				.parameters = {{"account", PARAMETER_TEXT},
						{"recording", PARAMETER_TEXT},
						{"with_parts", PARAMETER_FLAG},
						{"reason", PARAMETER_REASON}}},
		{"AssignRecording", ONLY_OFFICE, .sensitive = true,
				.handle = control_quarantine_assign,
				.parameters = {{"recording", PARAMETER_REQUIRED},
						{"account", PARAMETER_REQUIRED},
						{"reason", PARAMETER_REASON}}},
		{"ShowRoot", EVERYBODY, .handle = control_root_show},
		{"AddRootMirror", ONLY_OFFICE, .sensitive = true, .handle = control_root_add,
				.parameters = {{"name", PARAMETER_REQUIRED},
						{"kind", PARAMETER_REQUIRED},
						{"place", PARAMETER_REQUIRED},
						{"reason", PARAMETER_REASON}}},
		{"ReplaceRootMirror", ONLY_OFFICE, .sensitive = true,
				.handle = control_root_replace,
				.parameters = {{"name", PARAMETER_REQUIRED},
						{"kind", PARAMETER_TEXT}, {"place", PARAMETER_TEXT},
						{"reason", PARAMETER_REASON}}},
		{"DropRootMirror", ONLY_OFFICE, .sensitive = true, .handle = control_root_drop,
				.parameters = {{"name", PARAMETER_REQUIRED},
						{"reason", PARAMETER_REASON}}},
		{"AcceptSpool", PLANNERS, .sensitive = true, .handle = control_spools_accept,
				.parameters = {{"spool", PARAMETER_REQUIRED},
						{"reason", PARAMETER_REASON}}},
		{"ConfirmClock", ONLY_OFFICE, .sensitive = true, .handle = control_clock_confirm,
				.parameters = {{"reason", PARAMETER_REASON}}},
		{0},
};

static const struct control_method *method_find(const char *name)
{
	for (const struct control_method *method = control_methods; method->name; method++) {
		if (strcmp(method->name, name) == 0)
			return method;
	}
	return NULL;
}

/* Who is at the other end, as the kernel attests it. */
static int peer_identify(const struct control *control, int fd, uid_t *ret_uid, unsigned *ret_roles)
{
	struct peer peer;
	int r = socket_peer(fd, &peer);

	if (r < 0)
		return r;
	/* Root and the keeper's own user can read the keys anyway. */
	unsigned roles = peer.uid == 0 || peer.uid == control->keeper_uid ? ROLE_OFFICER : 0;
	for (size_t i = 0; i < CONTROL_ROLES; i++) {
		const struct control_group *group = &control->groups[i];
		r = group->exists ? socket_peer_in_group(fd, group->gid) : 0;
		if (r < 0)
			return r;
		roles |= r > 0 ? group->role : 0;
	}
	*ret_uid = peer.uid;
	*ret_roles = roles;
	return 0;
}

/* A lane for each role: a crowd that only looks keeps no officer waiting. */
static unsigned control_on_lane(void *context, int fd)
{
	unsigned roles;
	uid_t uid;

	if (peer_identify(context, fd, &uid, &roles) < 0)
		return 3;
	return roles & ROLE_OFFICER ? 0 : roles & ROLE_OPERATOR ? 1 : roles & ROLE_VIEWER ? 2 : 3;
}

static int caller_check_role(struct control_call *call)
{
	char needed[256] = "";
	size_t len = 0;

	if (call->roles & call->method->roles)
		return 0;
	for (size_t i = 0; i < CONTROL_ROLES; i++) {
		const struct control_group *group = &call->control->groups[i];
		if (!(group->role & call->method->roles) || len >= sizeof(needed))
			continue;
		len += (size_t)snprintf(needed + len, sizeof(needed) - len, "%s%s",
				len > 0 ? " or " : "", group->name);
	}
	return control_answer_refused(call, "this needs membership of group %s", needed);
}

/* Whether text has nothing that a terminal or a log would act on: making it printable only doubled
 * its backslashes. Valid UTF-8 it is, being JSON. */
static int text_is_plain(const char *text)
{
	_cleanup_free_ char *printable = text_printable(text, strlen(text));
	size_t expected = strlen(text);

	if (!printable)
		return -ENOMEM;
	for (const char *p = text; *p; p++)
		expected += *p == '\\';
	return strlen(printable) == expected;
}

static int parameter_check_text(
		struct control_call *call, const char *name, const char *text, size_t max)
{
	if (strlen(text) > max)
		return control_answer_invalid(call, name, "too long");
	int r = text_is_plain(text);
	return r < 0   ? r
	       : r > 0 ? 0
		       : control_answer_invalid(call, name, "control characters are not allowed");
}

static int parameter_check_list(struct control_call *call, const char *name, const json_t *list)
{
	int r = 0;

	if (json_array_size(list) > CONTROL_LIST_MAX)
		return control_answer_invalid(call, name, "too many");
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		r = text ? parameter_check_text(call, name, text, CONTROL_TEXT_MAX) : -EINVAL;
	}
	return r;
}

/* -EINVAL for a value of the wrong type, or none where one is required. */
static int parameter_check(struct control_call *call, const struct control_parameter *parameter)
{
	const json_t *value = json_object_get(call->parameters, parameter->name);
	const char *text = json_string_value(value);

	switch (parameter->kind) {
	case PARAMETER_TEXT:
		if (!value || json_is_null(value))
			return 0;
		break;
	case PARAMETER_LIST:
		return json_is_array(value) ? parameter_check_list(call, parameter->name, value)
					    : -EINVAL;
	case PARAMETER_REASON:
		/* The audit log has to explain an irreversible act. */
		if (text && !text_is_visible(text))
			return control_answer_invalid(call, parameter->name, REASON_BLANK);
		return text ? parameter_check_text(call, parameter->name, text, CONTROL_REASON_MAX)
			    : -EINVAL;
	case PARAMETER_FLAG:
		return !value || json_is_null(value) || json_is_boolean(value) ? 0 : -EINVAL;
	case PARAMETER_REQUIRED:
		break;
	}
	return text ? parameter_check_text(call, parameter->name, text, CONTROL_TEXT_MAX) : -EINVAL;
}

static bool parameter_is_known(const struct control_method *method, const char *name)
{
	for (const struct control_parameter *p = method->parameters; p->name; p++) {
		if (strcmp(p->name, name) == 0)
			return true;
	}
	return false;
}

static int parameter_answer_invalid(struct control_call *call, const char *name)
{
	varlink_call_invalid_parameter(call->varlink, name);
	return CONTROL_ANSWERED;
}

static int parameters_check(struct control_call *call)
{
	/* jansson's iteration takes a pointer to non-const, but changes nothing. */
	json_t *parameters = (json_t *)(uintptr_t)call->parameters;
	const char *name;
	json_t *value;

	json_object_foreach(parameters, name, value)
	{
		if (!parameter_is_known(call->method, name))
			return parameter_answer_invalid(call, name);
	}
	for (const struct control_parameter *p = call->method->parameters; p->name; p++) {
		int r = parameter_check(call, p);
		if (r == -EINVAL)
			return parameter_answer_invalid(call, p->name);
		if (r != 0)
			return r;
	}
	return 0;
}

static int method_check_more(struct control_call *call)
{
	if (!call->method->more || varlink_call_wants_more(call->varlink))
		return 0;
	/* A list without `more` could only send its first page. */
	varlink_call_expected_more(call->varlink);
	return CONTROL_ANSWERED;
}

static void control_on_call(void *context, struct varlink_call *varlink)
{
	struct control *control = context;
	struct control_call call = {.control = control,
			.vault = control->vault,
			.varlink = varlink,
			.method = method_find(varlink_call_method(varlink)),
			.parameters = varlink_call_parameters(varlink)};

	if (!call.method) {
		varlink_call_method_not_found(varlink);
		return;
	}
	int r = peer_identify(control, varlink_call_socket(varlink), &call.uid, &call.roles);
	/* Before the parameters: a caller without a role learns nothing about what they should
	 * be. */
	if (r == 0)
		r = caller_check_role(&call);
	if (r == 0)
		r = method_check_more(&call);
	if (r == 0)
		r = parameters_check(&call);
	if (r == 0)
		r = call.method->handle(&call);
	if (r < 0)
		control_answer_failed(&call, r);
}

const char *control_text(const struct control_call *call, const char *name)
{
	return json_string_value(json_object_get(call->parameters, name));
}

/* A group that does not exist, or cannot be looked up, gives nobody its role. */
static int group_find(struct control_group *group)
{
	struct group record, *found = NULL;
	int r = ERANGE;

	for (size_t room = 4096; r == ERANGE && room <= GROUP_RECORD_MAX; room *= 2) {
		_cleanup_free_ char *buf = malloc(room);
		if (!buf)
			return -ENOMEM;
		r = getgrnam_r(group->name, &record, buf, room, &found);
		if (r == 0 && found) {
			group->exists = true;
			group->gid = found->gr_gid;
		}
	}
	return r == ENOMEM ? -ENOMEM : 0;
}

static int groups_find(struct control *control)
{
	const struct config *config = control->vault->config;
	int r = 0;

	control->groups[0] =
			(struct control_group){.role = ROLE_OPERATOR, .name = config->operators};
	control->groups[1] = (struct control_group){.role = ROLE_VIEWER, .name = config->viewers};
	control->groups[2] = (struct control_group){.role = ROLE_OFFICER, .name = config->officers};
	for (size_t i = 0; r == 0 && i < CONTROL_ROLES; i++)
		r = group_find(&control->groups[i]);
	return r;
}

int control_start(uv_loop_t *loop, struct vault *vault, struct intake_server *intake, int listen_fd,
		struct control **ret_control)
{
	_cleanup_close_ int owned_fd = listen_fd;
	_cleanup_free_ struct control *control = calloc(1, sizeof(*control));

	if (!control)
		return -ENOMEM;
	control->vault = vault;
	control->intake = intake;
	control->keeper_uid = geteuid();
	control->service = (struct varlink_service){
			.vendor = "recseal",
			.product = "recseal-keeper",
			.version = VERSION,
			.url = "",
			.interface = "org.recseal.control",
			.description = interface_text,
			.call = control_on_call,
			.lane = control_on_lane,
			.context = control,
	};
	int r = groups_find(control);
	if (r == 0)
		r = varlink_server_start(
				loop, &control->service, NULL, TAKE_FD(owned_fd), &control->server);
	if (r < 0)
		return r;
	*ret_control = TAKE_PTR(control);
	return 0;
}

struct control *control_stop(struct control *control)
{
	if (!control)
		return NULL;
	varlink_server_stop(control->server);
	free(control);
	return NULL;
}
