/* The watermark of the objects' filesystem: checked every few seconds, and reported in the journal
 * when it is crossed. */
#pragma once

#include <uv.h>

#include "daemon/keeper/open/vault.h"

struct space;

/* Looks at once, and from then on from the loop. -ENOMEM. */
int space_start(uv_loop_t *loop, const struct vault *vault, struct space **ret_space);

/* Takes NULL; returns NULL. Memory is freed when the loop has run on. */
struct space *space_stop(struct space *space);
