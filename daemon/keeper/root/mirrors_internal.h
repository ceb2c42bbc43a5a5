/* Between mirrors.c and mirrors_open.c: why a copy is away, and opening it again. */
#pragma once

#include "daemon/keeper/root/mirrors.h"

/* Opens the copy's medium again. -RE_GONE when there was only something left to clear up; else
 * <0 with a reason. */
int mirrors_reopen(struct root *root, size_t i, struct reason *reason,
		struct root_provider **ret_provider);

/* A short reason is enough where mirrors can stand in for the main copy. */
void mirrors_shorten_reason(int r, struct reason *reason);
