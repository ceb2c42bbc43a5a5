/* Whom the guarantee is about: has every version of everything that was ever sealed in the
 * database, wherever in the files it lay, and some roots; and looks for keys by trying everything.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key_seal.h"
#include "storage/tables/node_table.h"

/* What a row or a pack holds: which one, its length tells. */
struct adversary_box {
	struct node_position place; /* of a pack: that of its first child */
	size_t len;
	uint8_t *sealed; /* the adversary's */
	bool opened;
};

struct adversary {
	char dir[64]; /* for copies */
	struct adversary_box *boxes;
	size_t boxes_count, boxes_room;
	uint32_t *table; /* of indices + 1 into boxes, by their bytes; 0: free */
	size_t slots;
	uint8_t (*keys)[NODE_KEY_BYTES];
	size_t keys_count, keys_room;
	/* For the report. */
	size_t looks, bytes, by_sql, by_bytes, packs, tries;
};

void adversary_init(struct adversary *adversary);
void adversary_free(struct adversary *adversary);

/* Takes a copy of keeper.db and its log in this folder as they are, and from it all rows and packs:
 * those that SQL finds, present and staged; and whatever else in the bytes looks like one. */
void adversary_look(struct adversary *adversary, const char *keeper_dir);

/* Takes a box, copying what is sealed; whether it is new. */
bool adversary_take(struct adversary *adversary, struct node_position place, const uint8_t *sealed,
		size_t len);

/* A file as it was read. */
struct adversary_file {
	uint8_t *bytes;
	size_t len;
};

/* The part of a look that reads bytes (adversary_scan.c). log: SQLite's, may be empty. */
void adversary_scan(struct adversary *adversary, const struct adversary_file *database,
		const struct adversary_file *log);

/* Learns a key, and with it all that can be opened: every key known is tried on every box, until
 * that gives no more. */
void adversary_learn(struct adversary *adversary, const uint8_t key[static NODE_KEY_BYTES]);
bool adversary_knows(const struct adversary *adversary, const uint8_t key[static NODE_KEY_BYTES]);
