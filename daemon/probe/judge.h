/* What a child of the probe server does with its file. */
#pragma once

#include "daemon/common/wire/probe_wire.h"

/* judge() runs in the child, with the file as descriptor 0, and may end the process in any way. A
 * negative return says that the child could not confine itself, and nothing was read. timeout_ms
 * is when the server will kill it. */
struct probe_judge {
	int (*judge)(void *context, unsigned timeout_ms, struct probe_result *ret_result);
	void *context;
};
