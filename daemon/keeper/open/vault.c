#include "daemon/keeper/open/vault.h"

uint64_t vault_epoch(const struct vault *vault)
{
	return root_epoch(&vault->root);
}
