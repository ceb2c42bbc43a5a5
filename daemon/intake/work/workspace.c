#include "daemon/intake/work/workspace.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

/* The kept workspaces. They are allocated on first use, and for good. */
static struct {
	pthread_mutex_t lock;
	struct {
		bool used;
		uint8_t *plain, *sealed;
	} slots[WORKSPACES_KEPT];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int workspace_allocate(
		size_t plain_bytes, size_t sealed_bytes, uint8_t **plain, uint8_t **sealed)
{
	size_t rounded = (sealed_bytes + WORKSPACE_ALIGN_BYTES - 1) / WORKSPACE_ALIGN_BYTES *
			 WORKSPACE_ALIGN_BYTES;

	*plain = malloc(plain_bytes);
	*sealed = aligned_alloc(WORKSPACE_ALIGN_BYTES, rounded);
	if (*plain && *sealed)
		return 0;
	free(*plain);
	free(*sealed);
	*plain = *sealed = NULL;
	return -ENOMEM;
}

/* The first slot that is free, -1 when none is. */
static int workspace_slot_take(void)
{
	int slot = -1;

	pthread_mutex_lock(&pool.lock);
	for (int i = 0; i < WORKSPACES_KEPT && slot < 0; i++) {
		if (!pool.slots[i].used)
			slot = i;
	}
	if (slot >= 0)
		pool.slots[slot].used = true;
	pthread_mutex_unlock(&pool.lock);
	return slot;
}

static void workspace_slot_return(int slot)
{
	pthread_mutex_lock(&pool.lock);
	pool.slots[slot].used = false;
	pthread_mutex_unlock(&pool.lock);
}

/* The memory of a slot belongs to whoever has taken the slot: no lock is needed for it. */
static int workspace_take_kept(int slot, struct workspace *w)
{
	int r = pool.slots[slot].plain
				? 0
				: workspace_allocate(WORKSPACE_PLAIN_BYTES, WORKSPACE_SEALED_BYTES,
						  &pool.slots[slot].plain,
						  &pool.slots[slot].sealed);

	if (r < 0) {
		workspace_slot_return(slot);
		return r;
	}
	w->plain = pool.slots[slot].plain;
	w->sealed = pool.slots[slot].sealed;
	return 0;
}

int workspace_take(size_t plain_bytes, size_t sealed_bytes, struct workspace *ret_workspace)
{
	struct workspace w = {.plain_bytes = plain_bytes, .kept = -1};
	bool small = plain_bytes <= WORKSPACE_PLAIN_BYTES && sealed_bytes <= WORKSPACE_SEALED_BYTES;

	if (small)
		w.kept = workspace_slot_take();
	int r = w.kept >= 0 ? workspace_take_kept(w.kept, &w)
			    : workspace_allocate(plain_bytes, sealed_bytes, &w.plain, &w.sealed);
	if (r == 0)
		*ret_workspace = w;
	return r;
}

void workspace_give_back(struct workspace *workspace)
{
	if (!workspace->plain)
		return;
	/* Freed or kept, this memory is used for something else next: no audio may be left in it.
	 */
	sodium_memzero(workspace->plain, workspace->plain_bytes);
	if (workspace->kept >= 0) {
		workspace_slot_return(workspace->kept);
	} else {
		free(workspace->plain);
		free(workspace->sealed);
	}
	*workspace = (struct workspace){0};
}
