/* Names of objects, made and read. */
#include "storage/objects/object_name.h"

#include <stdio.h>
#include <string.h>

void object_name_format(const uint8_t ulid[static ULID_BYTES], struct object_name *ret_name)
{
	char text[ULID_TEXT_CHARS + 1];

	ulid_format(ulid, text);
	memcpy(ret_name->shard, text, OBJECT_NAME_SHARD_CHARS);
	ret_name->shard[OBJECT_NAME_SHARD_CHARS] = '\0';
	snprintf(ret_name->file, sizeof(ret_name->file), "%s" OBJECT_NAME_SUFFIX, text);
	snprintf(ret_name->aside, sizeof(ret_name->aside),
			"%s" OBJECT_NAME_SUFFIX OBJECT_NAME_ASIDE_SUFFIX, text);
}

bool object_name_parse(const char *file, uint8_t ret_ulid[static ULID_BYTES])
{
	char text[ULID_TEXT_CHARS + 1];

	if (strlen(file) != ULID_TEXT_CHARS + strlen(OBJECT_NAME_SUFFIX) ||
			strcmp(file + ULID_TEXT_CHARS, OBJECT_NAME_SUFFIX) != 0)
		return false;
	memcpy(text, file, ULID_TEXT_CHARS);
	text[ULID_TEXT_CHARS] = '\0';
	return ulid_parse(text, ret_ulid) == 0;
}

uint64_t object_name_ms(const uint8_t ulid[static ULID_BYTES])
{
	uint64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | ulid[i];
	return ms;
}

void object_name_shard_of_ms(uint64_t ms, char ret_shard[static OBJECT_NAME_SHARD_CHARS + 1])
{
	uint8_t ulid[ULID_BYTES] = {0};
	struct object_name name;

	for (int i = 0; i < 6; i++)
		ulid[i] = (uint8_t)(ms >> (8 * (5 - i)));
	object_name_format(ulid, &name);
	memcpy(ret_shard, name.shard, sizeof(name.shard));
}
