#include "daemon/intake/admission.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/common/wire/intake_wire.h"

static void lanes_ask(struct lane *lanes, size_t n, struct keeper_link *link, bool all)
{
	for (size_t i = 0; i < n && keeper_link_ready(link); i++) {
		json_t *question = lane_question(&lanes[i], all);
		if (question)
			keeper_link_send(link, question);
	}
}

void admission_ask(struct lane *lanes, size_t n, struct keeper_link *link)
{
	lanes_ask(lanes, n, link, false);
}

void admission_ask_all(struct lane *lanes, size_t n, struct keeper_link *link)
{
	lanes_ask(lanes, n, link, true);
}

void admission_lost(struct lane *lanes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		lanes[i].allowed = false;
}

static struct lane *lane_named(struct lane *lanes, size_t n, const char *name)
{
	for (size_t i = 0; name && i < n; i++) {
		const struct config *config = lanes[i].setup.config;
		if (strcmp(config->spools[lanes[i].setup.index].name, name) == 0)
			return &lanes[i];
	}
	return NULL;
}

int admission_answer(struct lane *lanes, size_t n, const json_t *message)
{
	struct lane *lane =
			lane_named(lanes, n, json_string_value(json_object_get(message, "spool")));
	const json_t *may = json_object_get(message, "may");
	_cleanup_free_ uint8_t *folder = NULL;
	size_t len;
	int r = lane && json_is_boolean(may) ? intake_wire_bytes(message, "folder",
							       ORIGIN_HASH_BYTES, &folder, &len)
					     : -RE_PROTOCOL;

	if (r < 0 || len != ORIGIN_HASH_BYTES)
		return r < 0 ? r : -RE_PROTOCOL;
	lane_answer(lane, folder, json_is_true(may));
	return 0;
}
