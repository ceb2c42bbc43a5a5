#include "daemon/keeper/open/vault_sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/error.h"
#include "daemon/common/config/config.h"
#include "daemon/keeper/root/objects_place.h"

/* Objects younger than the newest catalogued one by less than this may have been in progress at a
 * crash. */
#define SWEEP_BACK_MS  (24 * 3600 * UINT64_C(1000))
#define STRIDE_ENTRIES 256 /* a millisecond or two */
#define STRIDE_MS      10  /* the pause for others between two strides */

struct vault_sweep {
	uv_timer_t timer;
	struct vault *vault;
	struct object_sweep *objects; /* NULL: done */
	size_t set_aside;
};

static int sweep_known(void *context, const uint8_t ulid[static ULID_BYTES])
{
	const struct vault *vault = context;

	return catalog_recording_exists(vault->db, ulid);
}

static int sweep_begin(struct vault_sweep *sweep)
{
	struct vault *vault = sweep->vault;
	uint8_t newest[ULID_BYTES];
	uint64_t ms = 0;
	int r = objects_place_check(&vault->root, NULL);

	/* Another folder than this vault's: that is told, and nothing in it is touched. */
	if (r < 0)
		return r;
	r = catalog_recording_newest(vault->db, newest);

	for (int i = 0; r == 0 && i < 6; i++)
		ms = ms << 8 | newest[i];
	if (r < 0 && r != -ENOENT)
		return r;
	ms = ms > SWEEP_BACK_MS ? ms - SWEEP_BACK_MS : 0;
	return object_store_sweep_begin(vault->store, ms, sweep_known, vault, &sweep->objects);
}

/* A crash leaves some objects that were named but never catalogued, whose plaintext is still in its
 * spool; but there are others when an older catalog was put back. */
static void sweep_tell(const struct vault_sweep *sweep, int r)
{
	struct vault *vault = sweep->vault;
	const char *folder = vault->config->objects_dir;

	if (sweep->set_aside > 0)
		notices_tell(&vault->notices, LOG_WARNING, EVENT_PLAIN, NULL,
				"%zu sealed objects in %s are in no catalog: set aside as "
				"*.uncatalogued. A crash leaves such, and their recordings are "
				"still in the spool; but if an older keeper.db was put back, "
				"restore the right one, which takes them back",
				sweep->set_aside, folder);
	if (r == 0)
		return;
	notices_keep_problem(&vault->notices, "cannot compare catalog and %s: %s", folder,
			error_text(r));
	notices_tell(&vault->notices, LOG_ERR, EVENT_PLAIN, NULL,
			"cannot compare catalog and %s: %s; the keeper looks again when it is "
			"restarted",
			folder, error_text(r));
}

static void sweep_on_timer(uv_timer_t *timer)
{
	struct vault_sweep *sweep = timer->data;
	int r = object_store_sweep_stride(sweep->objects, STRIDE_ENTRIES, &sweep->set_aside);

	if (r > 0)
		return;
	uv_timer_stop(timer);
	sweep->objects = object_store_sweep_end(sweep->objects);
	sweep_tell(sweep, r);
}

int vault_sweep_start(uv_loop_t *loop, struct vault *vault, struct vault_sweep **ret_sweep)
{
	struct vault_sweep *sweep = calloc(1, sizeof(*sweep));

	if (!sweep)
		return -ENOMEM;
	sweep->vault = vault;
	uv_timer_init(loop, &sweep->timer);
	sweep->timer.data = sweep;
	*ret_sweep = sweep;
	int r = sweep_begin(sweep);
	if (r < 0) {
		sweep_tell(sweep, r);
		return 0;
	}
	uv_timer_start(&sweep->timer, sweep_on_timer, STRIDE_MS, STRIDE_MS);
	sweep_on_timer(&sweep->timer);
	return 0;
}

static void sweep_on_close(uv_handle_t *handle)
{
	free(handle->data);
}

struct vault_sweep *vault_sweep_stop(struct vault_sweep *sweep)
{
	if (!sweep)
		return NULL;
	sweep->objects = object_store_sweep_end(sweep->objects);
	uv_close((uv_handle_t *)&sweep->timer, sweep_on_close);
	return NULL;
}
