#include "daemon/keeper/open/vault.h"

#include <stdlib.h>
#include <unistd.h>

#include "storage/tables/db.h"

uint64_t vault_epoch(const struct vault *vault)
{
	return root_epoch(&vault->root);
}

struct vault *vault_close(struct vault *vault)
{
	if (!vault)
		return NULL;
	if (vault->db && vault->root.tree && !root_is_stuck(&vault->root))
		vault_clock_close(&vault->clock, vault->db);
	predecessors_free(vault->predecessors);
	root_close(&vault->root);
	db_close(vault->db);
	object_store_close(vault->store);
	if (vault->lock_fd >= 0)
		close(vault->lock_fd);
	if (vault->dir_fd >= 0)
		close(vault->dir_fd);
	free(vault);
	return NULL;
}
