#include "daemon/keeper/space.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <syslog.h>

#include "daemon/common/config/config.h"
#include "daemon/common/event.h"
#include "daemon/common/watermark.h"

#define PERIOD_MS 5000

struct space {
	uv_timer_t timer;
	const struct vault *vault;
	struct watermark mark;
};

static void space_look(uv_timer_t *timer)
{
	struct space *space = timer->data;
	const struct config *config = space->vault->config;
	struct watermark_space free_space;
	struct statvfs st;

	if (statvfs(config->objects_dir, &st) < 0)
		return;
	watermark_space(&st, &free_space);
	switch (watermark_update(&space->mark, config->objects_low_percent, &free_space)) {
	case WATERMARK_LOW:
		event_log(LOG_WARNING, EVENT_SPOOL_FULL, NULL,
				"space for sealed objects is low: %.1f%% left, below LowSpace=%u%% "
				"of [keeper]",
				free_space.free_percent, config->objects_low_percent);
		break;
	case WATERMARK_WELL:
		event_log(LOG_NOTICE, EVENT_PLAIN, NULL,
				"there is space for sealed objects again: %.1f%% left",
				free_space.free_percent);
		break;
	case WATERMARK_AS_BEFORE:
		break;
	}
}

int space_start(uv_loop_t *loop, const struct vault *vault, struct space **ret_space)
{
	struct space *space = calloc(1, sizeof(*space));

	if (!space)
		return -ENOMEM;
	space->vault = vault;
	uv_timer_init(loop, &space->timer);
	space->timer.data = space;
	space_look(&space->timer);
	uv_timer_start(&space->timer, space_look, PERIOD_MS, PERIOD_MS);
	*ret_space = space;
	return 0;
}

static void space_on_close(uv_handle_t *handle)
{
	free(handle->data);
}

struct space *space_stop(struct space *space)
{
	if (space)
		uv_close((uv_handle_t *)&space->timer, space_on_close);
	return NULL;
}
