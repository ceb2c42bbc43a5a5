/* The keys of several children of one node, sealed together: what an erasure makes of all children
 * of every node it re-keys. Opened packs are in secret memory only. */
#pragma once

#include "crypto/key_seal.h"
#include "storage/tables/node_table.h"

/* An opened pack; from secret_new(), which leaves it empty. */
struct key_pack {
	size_t n;
	uint8_t entry[NODE_PACK_CHILDREN][NODE_ENTRY_BYTES]; /* le64 id || key, in id order */
};

/* The caller sees to the order, and that there is room. */
void key_pack_add(struct key_pack *pack, uint64_t id, const uint8_t key[static NODE_KEY_BYTES]);
uint64_t key_pack_id(const struct key_pack *pack, size_t i);
const uint8_t *key_pack_key(const struct key_pack *pack, size_t i);

/* The key of the child with this id, in the pack itself; NULL when it is not in it. */
const uint8_t *key_pack_find(const struct key_pack *pack, uint64_t id);

/* A pack that is not empty, under its parent's key. */
void key_pack_seal(const struct key_pack *pack, uint64_t parent, uint64_t epoch,
		const uint8_t parent_key[static NODE_KEY_BYTES], struct node_pack *ret_sealed);

/* 0, or -RE_CORRUPT when it does not open, and then the pack is empty. */
int key_pack_open(struct key_pack *pack, const struct node_pack *sealed,
		const uint8_t parent_key[static NODE_KEY_BYTES]);

/* Opens the one pack that a child can be in. 0, -ENOENT when the parent has none for it,
 * -RE_CORRUPT; the pack is empty unless 0. */
int key_pack_load(struct key_pack *pack, struct db *db, enum node_set set, uint64_t parent,
		uint64_t id, const uint8_t parent_key[static NODE_KEY_BYTES]);
