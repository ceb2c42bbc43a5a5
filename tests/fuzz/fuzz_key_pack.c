/* Fuzz target: packs of keys. The input is what a pack holds once it is opened: its first id, then
 * its entries, in whatever order. Only a pack in order opens, and every key in it is found. */
#include "tests/fuzz/fuzz.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/keys/key_pack.h"

static const uint8_t parent_key[NODE_KEY_BYTES] = "a parent's key";
static struct key_pack *pack;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FUZZ_REQUIRE(sodium_init() >= 0);
	pack = secret_new(sizeof(*pack));
	FUZZ_REQUIRE(pack);
	return 0;
}

static bool is_ordered(const uint8_t *entries, size_t n, uint64_t first)
{
	if (get_le64(entries) != first)
		return false;
	for (size_t i = 1; i < n; i++) {
		const uint8_t *entry = entries + i * NODE_ENTRY_BYTES;
		if (get_le64(entry) <= get_le64(entry - NODE_ENTRY_BYTES))
			return false;
	}
	return true;
}

static void check_found(const uint8_t *entries, size_t n)
{
	uint64_t id = 0;

	for (size_t i = 0; i < n; i++) {
		const uint8_t *entry = entries + i * NODE_ENTRY_BYTES, *key;
		bool gap = get_le64(entry) > id;
		FUZZ_REQUIRE(!gap || !key_pack_find(pack, get_le64(entry) - 1));
		id = get_le64(entry);
		key = key_pack_find(pack, id);
		FUZZ_REQUIRE(key && memcmp(key, entry + 8, NODE_KEY_BYTES) == 0);
		id++;
	}
	FUZZ_REQUIRE(id == 0 || !key_pack_find(pack, id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node_pack sealed = {.parent = 1, .epoch = 2};
	uint64_t first = fuzz_number(&data, &size, 8);
	size_t n = size / NODE_ENTRY_BYTES;
	const struct node_position place = {sealed.parent, first, sealed.epoch};

	if (n == 0 || n > NODE_PACK_CHILDREN)
		return 0;
	sealed.first = first;
	sealed.len = n * NODE_ENTRY_BYTES + NODE_PACK_OVERHEAD;
	key_seal_pack(parent_key, &place, data, n * NODE_ENTRY_BYTES, sealed.sealed);
	int r = key_pack_open(pack, &sealed, parent_key);
	FUZZ_REQUIRE(r == (is_ordered(data, n, first) ? 0 : -RE_CORRUPT));
	FUZZ_REQUIRE(pack->n == (r == 0 ? n : 0));
	if (r == 0)
		check_found(data, n);
	sealed.sealed[first % sealed.len] ^= 1;
	FUZZ_REQUIRE(key_pack_open(pack, &sealed, parent_key) == -RE_CORRUPT && pack->n == 0);
	return 0;
}
