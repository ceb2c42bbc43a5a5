#include "daemon/probe/flac.h"

#include <string.h>

#define MAGIC_BYTES      4
#define BLOCK_HEAD_BYTES 4
#define BLOCKS_MAX       1024
#define LAST_BLOCK       0x80

uint64_t flac_audio_bytes(struct source *source)
{
	uint8_t head[BLOCK_HEAD_BYTES];
	uint64_t at = MAGIC_BYTES;

	if (source_read(source, head, MAGIC_BYTES, 0) < MAGIC_BYTES ||
			memcmp(head, "fLaC", MAGIC_BYTES) != 0)
		return 0;
	for (unsigned n = 0; n < BLOCKS_MAX; n++) {
		if (source_read(source, head, sizeof(head), at) < sizeof(head))
			return 0;
		at += sizeof(head) +
		      ((uint64_t)head[1] << 16 | (uint64_t)head[2] << 8 | (uint64_t)head[3]);
		if (head[0] & LAST_BLOCK)
			return at < source->size_bytes ? source->size_bytes - at : 0;
	}
	return 0;
}
