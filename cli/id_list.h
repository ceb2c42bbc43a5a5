/* Recording ids, 16 bytes each: what `verify --all` keeps of a list of any length. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ulid.h"

struct id_list {
	uint8_t (*ids)[ULID_BYTES];
	size_t n, room;
};

/* -EINVAL for what is not an id; -ENOMEM. */
int id_list_add(struct id_list *list, const char *text);
void id_list_free(struct id_list *list);
