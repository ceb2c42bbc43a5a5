/* The connection to the keeper: made, kept, and made again with growing pauses.
 *
 *     waiting --the timer: connected--> greeting --`hello`--> ready
 *     greeting, ready --any error, or no greeting in time--> waiting, and `lost`
 *
 * Invariant: messages go out in the order of the calls. While the socket is full they wait here;
 * there are never more than a few for each job. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "base/socket.h"

struct keeper_link_events {
	/* Connected, and greetings exchanged. */
	void (*ready)(void *context);
	/* A message other than the greeting. Both are borrowed, but a descriptor that is taken is
	 * replaced by -1. 0, or a negative error, which ends the connection. */
	int (*message)(void *context, json_t *message, struct socket_fds *fds);
	/* The connection ended, or could not be made: this is the attempts-th failure in a row. */
	void (*lost)(void *context, int r, unsigned attempts);
	void *context;
};

struct keeper_link;

/* Starts to connect to the socket (the path is copied). That no keeper is there is no error here.
 * The first attempt is made from the loop. -ENOMEM. */
int keeper_link_start(uv_loop_t *loop, const char *path, const struct keeper_link_events *events,
		struct keeper_link **ret_link);

bool keeper_link_ready(const struct keeper_link *link);

/* Sends a message, now or as soon as the socket takes it; takes the reference, also on failure.
 * NULL (no memory for the message) and every failure of the socket end the connection, from the
 * loop. Without a connection the message is dropped: `lost` has said so. */
void keeper_link_send(struct keeper_link *link, json_t *message);

/* Closes handles on the loop; no event is delivered any more. Takes NULL; returns NULL. */
struct keeper_link *keeper_link_stop(struct keeper_link *link);
