#include "daemon/keeper/varlink/varlink_call_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* A member that may be absent or null. -RE_PROTOCOL when it is something else than a boolean. */
static int request_read_flag(const json_t *request, const char *key, bool *ret_flag)
{
	const json_t *value = json_object_get(request, key);

	if (value && !json_is_null(value) && !json_is_boolean(value))
		return -RE_PROTOCOL;
	*ret_flag = json_is_true(value);
	return 0;
}

static int request_read(struct varlink_call *call)
{
	const char *method = json_string_value(json_object_get(call->request, "method"));
	json_t *parameters = json_object_get(call->request, "parameters");
	bool upgrade;

	if (!method || (parameters && !json_is_null(parameters) && !json_is_object(parameters)))
		return -RE_PROTOCOL;
	if (request_read_flag(call->request, "more", &call->more) < 0 ||
			request_read_flag(call->request, "oneway", &call->oneway) < 0 ||
			request_read_flag(call->request, "upgrade", &upgrade) < 0 || upgrade)
		return -RE_PROTOCOL;
	call->parameters = json_is_object(parameters) ? json_incref(parameters) : json_object();
	call->interface = strdup(method);
	if (!call->parameters || !call->interface)
		return -ENOMEM;
	char *dot = strrchr(call->interface, '.');
	if (!dot)
		return -RE_PROTOCOL;
	*dot = '\0';
	call->method = dot + 1;
	return 0;
}

int varlink_call_begin(
		struct varlink_call *call, struct varlink_io *io, const char *text, size_t len)
{
	/* Duplicate keys are refused: two readers could see two different requests. */
	*call = (struct varlink_call){
			.io = io, .request = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL)};
	int r = json_is_object(call->request) ? request_read(call) : -RE_PROTOCOL;
	if (r < 0)
		varlink_call_end(call);
	return r;
}

void varlink_call_end(struct varlink_call *call)
{
	if (call->stream)
		call->stream->free(call->stream_state);
	json_decref(call->parameters);
	json_decref(call->request);
	free(call->interface);
	*call = (struct varlink_call){0};
}

const char *varlink_call_method(const struct varlink_call *call)
{
	return call->method;
}

const json_t *varlink_call_parameters(const struct varlink_call *call)
{
	return call->parameters;
}

bool varlink_call_wants_more(const struct varlink_call *call)
{
	return call->more;
}

bool varlink_call_is_oneway(const struct varlink_call *call)
{
	return call->oneway;
}

int varlink_call_socket(const struct varlink_call *call)
{
	return call->io->fd;
}

/* {"error"?, "parameters"?, "continues"?}; steals parameters. NULL when out of memory. */
static json_t *message_make(const char *error, json_t *parameters, bool continues)
{
	json_t *message = json_object();

	if (json_object_set_new(message, "parameters", parameters) == 0 &&
			(!error || json_object_set_new(message, "error", json_string(error)) ==
							0) &&
			(!continues || json_object_set_new(message, "continues", json_true()) == 0))
		return message;
	json_decref(message);
	return NULL;
}

/* Steals parameters and descriptors. A call without a listener (`oneway`) ends in silence. */
static void message_send(struct varlink_call *call, const char *error, json_t *parameters,
		bool continues, struct socket_fds *fds)
{
	struct socket_fds own = {.count = 0};

	if (fds) {
		own = *fds;
		fds->count = 0;
	}
	json_t *message = message_make(error, parameters, continues);
	/* A second reply before the first has left would break the one-reply
	 * bound. */
	if (!message || call->io->out)
		call->broken = true;
	else if (!call->oneway && varlink_io_put(call->io, message, &own) < 0)
		call->broken = true;
	json_decref(message);
	socket_fds_close(&own);
	call->answered = !continues;
}

void varlink_call_reply(struct varlink_call *call, json_t *parameters, struct socket_fds *fds)
{
	message_send(call, NULL, parameters, false, fds);
}

void varlink_call_continue(struct varlink_call *call, json_t *parameters)
{
	message_send(call, NULL, parameters, true, NULL);
}

void varlink_call_error(struct varlink_call *call, const char *error, json_t *parameters)
{
	message_send(call, error, parameters, false, NULL);
}

void varlink_call_invalid_parameter(struct varlink_call *call, const char *parameter)
{
	varlink_call_error(call, "org.varlink.service.InvalidParameter",
			json_pack("{s:s}", "parameter", parameter));
}

void varlink_call_method_not_found(struct varlink_call *call)
{
	const char *method = json_string_value(json_object_get(call->request, "method"));

	varlink_call_error(call, "org.varlink.service.MethodNotFound",
			json_pack("{s:s}", "method", method));
}

void varlink_call_expected_more(struct varlink_call *call)
{
	varlink_call_error(call, "org.varlink.service.ExpectedMore", json_object());
}

void varlink_call_stream(
		struct varlink_call *call, const struct varlink_stream *stream, void *state)
{
	/* Pieces for nobody, or for a peer that did not ask for several, are not made. */
	if (call->oneway || !call->more) {
		stream->free(state);
		if (call->oneway)
			call->answered = true;
		else
			varlink_call_expected_more(call);
		return;
	}
	call->stream = stream;
	call->stream_state = state;
}

void varlink_call_defer(struct varlink_call *call, const struct varlink_stream *stream, void *state)
{
	if (call->oneway) {
		stream->free(state);
		call->answered = true;
		return;
	}
	call->stream = stream;
	call->stream_state = state;
}

void varlink_call_pause(struct varlink_call *call)
{
	call->paused = true;
}
