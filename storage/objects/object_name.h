/* The names of a folder of objects: for object_dir*.c only.
 *
 *     <5 characters>/<ulid>.age                an object, in the shard that its id begins with
 *     <5 characters>/<ulid>.age.uncatalogued   set aside by a sweep
 *     <5 characters>/.unnamed-*                a draft, on a filesystem without unnamed files
 *     epoch-<number>                           the witness
 *
 * A shard covers about nine hours, so that a batch of recordings shares one sync of its folder. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ulid.h"

#define OBJECT_NAME_SUFFIX       ".age"
#define OBJECT_NAME_ASIDE_SUFFIX ".uncatalogued"
#define OBJECT_NAME_UNNAMED      ".unnamed-"
#define OBJECT_NAME_SHARD_CHARS  5

struct object_name {
	char shard[OBJECT_NAME_SHARD_CHARS + 1];
	char file[ULID_TEXT_CHARS + sizeof(OBJECT_NAME_SUFFIX)];
	char aside[ULID_TEXT_CHARS + sizeof(OBJECT_NAME_SUFFIX) + sizeof(OBJECT_NAME_ASIDE_SUFFIX)];
};

void object_name_format(const uint8_t ulid[static ULID_BYTES], struct object_name *ret_name);

/* Whether this is an object's file name, and of which. */
bool object_name_parse(const char *file, uint8_t ret_ulid[static ULID_BYTES]);

/* The shard that ids of this time begin with. */
void object_name_shard_of_ms(uint64_t ms, char ret_shard[static OBJECT_NAME_SHARD_CHARS + 1]);

uint64_t object_name_ms(const uint8_t ulid[static ULID_BYTES]);
