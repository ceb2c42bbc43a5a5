/* Whom the guarantee is about: has every version of every row that was ever written, wherever in
 * the files it lay, and some roots; and looks for keys by trying everything. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key_seal.h"
#include "storage/node_table.h"

struct adversary_row {
	struct node_row row;
	bool opened;
};

struct adversary {
	char dir[64]; /* for copies */
	struct adversary_row *rows;
	size_t rows_count, rows_room;
	uint32_t *table; /* of indices + 1 into rows, by their bytes; 0: free */
	size_t slots;
	uint8_t (*keys)[NODE_KEY_BYTES];
	size_t keys_count, keys_room;
	/* For the report. */
	size_t looks, bytes, by_sql, by_bytes, tries;
};

void adversary_init(struct adversary *adversary);
void adversary_free(struct adversary *adversary);

/* Takes a copy of keeper.db and its log in this folder as they are, and from it all rows: those
 * that SQL finds, present and staged; and whatever else in the bytes looks like one. */
void adversary_look(struct adversary *adversary, const char *keeper_dir);

/* Learns a key, and with it all that can be opened: every key known is tried on every row, until
 * that gives no more. */
void adversary_learn(struct adversary *adversary, const uint8_t key[static NODE_KEY_BYTES]);
bool adversary_knows(const struct adversary *adversary, const uint8_t key[static NODE_KEY_BYTES]);
