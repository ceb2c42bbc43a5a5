/* What a Varlink server serves, and how its methods answer a call: for those who write methods. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/socket.h"

struct varlink_call;

#define VARLINK_LANES 4

/* What is served: one interface, beside org.varlink.service. All strings are borrowed. */
struct varlink_service {
	const char *vendor, *product, *version, *url;
	const char *interface, *description;
	/* Called for every method of the interface, known or not. Must have answered, or started a
	 * stream, when it returns; else the connection is closed. */
	void (*call)(void *context, struct varlink_call *call);
	/* In which lane (varlink.h) the peer of this new connection is served; NULL: all in one. */
	unsigned (*lane)(void *context, int fd);
	void *context;
};

/* A call, valid until it is answered. Strings and objects are the call's. */
const char *varlink_call_method(const struct varlink_call *call);       /* without its interface */
const json_t *varlink_call_parameters(const struct varlink_call *call); /* an object */
bool varlink_call_wants_more(const struct varlink_call *call);
bool varlink_call_is_oneway(const struct varlink_call *call); /* nobody waits for its reply */
int varlink_call_socket(const struct varlink_call *call);     /* for its peer's credentials */

/* The one or the last reply. Steals parameters, and the descriptors, which travel with the first
 * byte of this very reply. NULL parameters (out of memory) close the connection. */
void varlink_call_reply(struct varlink_call *call, json_t *parameters, struct socket_fds *fds);

/* An error, by its full name. Steals parameters. */
void varlink_call_error(struct varlink_call *call, const char *error, json_t *parameters);
void varlink_call_invalid_parameter(struct varlink_call *call, const char *parameter);
void varlink_call_method_not_found(struct varlink_call *call);
void varlink_call_expected_more(struct varlink_call *call);

/* A call with `more`, answered in pieces. next() is called in a later turn of the loop, and again
 * until it has made the last piece, each time the socket has taken the piece before. It takes one
 * bounded look and makes no piece or one: varlink_call_continue(), or the last one with
 * varlink_call_reply() or varlink_call_error(). free() is called once, at the end or when the
 * peer is gone. */
struct varlink_stream {
	void (*next)(struct varlink_call *call, void *state);
	void (*free)(void *state);
};
void varlink_call_stream(
		struct varlink_call *call, const struct varlink_stream *stream, void *state);
/* The same for a call with one reply that takes more than one look to make. */
void varlink_call_defer(
		struct varlink_call *call, const struct varlink_stream *stream, void *state);
/* From next(), when it can only wait: it is called again some milliseconds later, and the loop
 * sleeps meanwhile. */
void varlink_call_pause(struct varlink_call *call);
void varlink_call_continue(struct varlink_call *call, json_t *parameters);
