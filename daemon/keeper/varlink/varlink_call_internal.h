/* One Varlink call under way on a connection; what varlink_call.h says of calls, seen from
 * inside. */
#pragma once

#include "daemon/keeper/varlink/varlink_call.h"
#include "daemon/keeper/varlink/varlink_io.h"

struct varlink_call {
	struct varlink_io *io;
	json_t *request; /* NULL: no call under way */
	json_t *parameters;
	char *interface;
	const char *method;
	bool more, oneway;
	bool answered; /* the last reply was made */
	bool paused;   /* until the server's next tick */
	bool broken;   /* a reply could not be made: the connection must be closed */
	const struct varlink_stream *stream; /* NULL: none */
	void *stream_state;
};

/* Reads a request. -RE_PROTOCOL when it is none; -ENOMEM. */
int varlink_call_begin(
		struct varlink_call *call, struct varlink_io *io, const char *text, size_t len);

/* Ends the call, answered or not, and zeroes it. */
void varlink_call_end(struct varlink_call *call);

/* Answers GetInfo and GetInterfaceDescription. */
void varlink_call_introspect(struct varlink_call *call, const struct varlink_service *service);
