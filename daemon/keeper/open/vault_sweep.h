/* Compares the objects with the catalog after a start, in strides while the keeper serves: a
 * start does not wait for it, however many objects there are. */
#pragma once

#include <uv.h>

#include "daemon/keeper/open/vault.h"

struct vault_sweep;

/* The first stride at once, and others on a timer of the loop until all is looked at. What fails is
 * noted, and looked at again after the next start. The vault must outlive it. -errno. */
int vault_sweep_start(uv_loop_t *loop, struct vault *vault, struct vault_sweep **ret_sweep);
/* Memory goes when the loop has run the close callback. Takes NULL; returns NULL. */
struct vault_sweep *vault_sweep_stop(struct vault_sweep *sweep);
