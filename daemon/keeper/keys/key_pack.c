#include "daemon/keeper/keys/key_pack.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

_Static_assert(NODE_PACK_CHILD_BYTES == NODE_ENTRY_BYTES, "storage keeps what crypto seals");
_Static_assert(NODE_PACK_OVERHEAD == SEAL_OVERHEAD_BYTES, "storage keeps what crypto seals");

void key_pack_add(struct key_pack *pack, uint64_t id, const uint8_t key[static NODE_KEY_BYTES])
{
	uint8_t *entry = pack->entry[pack->n++];

	put_le64(entry, id);
	memcpy(entry + 8, key, NODE_KEY_BYTES);
}

uint64_t key_pack_id(const struct key_pack *pack, size_t i)
{
	return get_le64(pack->entry[i]);
}

const uint8_t *key_pack_key(const struct key_pack *pack, size_t i)
{
	return pack->entry[i] + 8;
}

const uint8_t *key_pack_find(const struct key_pack *pack, uint64_t id)
{
	size_t low = 0, high = pack->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (key_pack_id(pack, middle) < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < pack->n && key_pack_id(pack, low) == id ? key_pack_key(pack, low) : NULL;
}

void key_pack_seal(const struct key_pack *pack, uint64_t parent, uint64_t epoch,
		const uint8_t parent_key[static NODE_KEY_BYTES], struct node_pack *ret_sealed)
{
	struct node_position position = {parent, key_pack_id(pack, 0), epoch};
	size_t len = pack->n * NODE_ENTRY_BYTES;

	ret_sealed->parent = parent;
	ret_sealed->first = position.id;
	ret_sealed->epoch = epoch;
	ret_sealed->len = len + SEAL_OVERHEAD_BYTES;
	key_seal_pack(parent_key, &position, pack->entry[0], len, ret_sealed->sealed);
}

/* Keys are found by binary search, so they must be in order. */
static bool pack_is_in_order(const struct key_pack *pack, uint64_t first)
{
	if (key_pack_id(pack, 0) != first)
		return false;
	for (size_t i = 1; i < pack->n; i++) {
		if (key_pack_id(pack, i) <= key_pack_id(pack, i - 1))
			return false;
	}
	return true;
}

int key_pack_open(struct key_pack *pack, const struct node_pack *sealed,
		const uint8_t parent_key[static NODE_KEY_BYTES])
{
	struct node_position position = {sealed->parent, sealed->first, sealed->epoch};

	/* On failure the pack is empty: no old key is found in it. */
	pack->n = 0;
	int r = key_seal_open_pack(
			parent_key, &position, sealed->sealed, sealed->len, pack->entry[0]);
	if (r < 0)
		return r;
	pack->n = (sealed->len - SEAL_OVERHEAD_BYTES) / NODE_ENTRY_BYTES;
	if (!pack_is_in_order(pack, sealed->first)) {
		pack->n = 0;
		return -RE_CORRUPT;
	}
	return 0;
}

int key_pack_load(struct key_pack *pack, struct db *db, enum node_set set, uint64_t parent,
		uint64_t id, const uint8_t parent_key[static NODE_KEY_BYTES])
{
	struct node_pack sealed;
	int r = node_table_pack_get(db, set, parent, id, &sealed);

	pack->n = 0;
	return r < 0 ? r : key_pack_open(pack, &sealed, parent_key);
}
