#include "daemon/keeper/keys/key_path.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"

#define NUMBER_BITS 56

uint64_t key_path_node_id(enum node_kind kind, uint64_t number)
{
	return (uint64_t)kind << NUMBER_BITS | number;
}

void key_path_node_describe(uint64_t id, char *ret_text, size_t len)
{
	static const char *const kinds[] = {[NODE_KIND_L0] = "first level",
			[NODE_KIND_L1] = "second level",
			[NODE_KIND_ACCOUNT] = "account",
			[NODE_KIND_GROUP] = "expiry group",
			[NODE_KIND_RECORDING] = "recording",
			[NODE_KIND_PROFILE] = "profile",
			[NODE_KIND_LOOKUP] = "lookup",
			[NODE_KIND_CATALOG] = "catalog"};
	uint64_t kind = id >> NUMBER_BITS;
	const char *name = kind < ELEMENTSOF(kinds) ? kinds[kind] : NULL;

	if (id == NODE_ROOT) {
		snprintf(ret_text, len, "the root");
		return;
	}
	snprintf(ret_text, len, "%s %" PRIu64, name ? name : "node",
			id & ((UINT64_C(1) << NUMBER_BITS) - 1));
}

struct key_path key_path_l0(unsigned index)
{
	return (struct key_path){{key_path_node_id(NODE_KIND_L0, index)}, 1};
}

struct key_path key_path_lookup(void)
{
	return (struct key_path){{key_path_node_id(NODE_KIND_LOOKUP, 0)}, 1};
}

struct key_path key_path_catalog(void)
{
	return (struct key_path){{key_path_node_id(NODE_KIND_CATALOG, 0)}, 1};
}

/* Account numbers count up; neighbours share their L0 until its 256 L1 are in use, so that a small
 * vault re-keys little. */
struct key_path key_path_account(int64_t account)
{
	uint64_t n = (uint64_t)account, l1 = n % (KEY_RADIX * KEY_RADIX);

	return (struct key_path){{key_path_node_id(NODE_KIND_L0, l1 / KEY_RADIX),
						 key_path_node_id(NODE_KIND_L1, l1),
						 key_path_node_id(NODE_KIND_ACCOUNT, n)},
			3};
}

static struct key_path path_step_below(struct key_path path, enum node_kind kind, int64_t number)
{
	path.node[path.depth++] = key_path_node_id(kind, (uint64_t)number);
	return path;
}

struct key_path key_path_profile(int64_t account)
{
	return path_step_below(key_path_account(account), NODE_KIND_PROFILE, account);
}

struct key_path key_path_group(int64_t account, int64_t group)
{
	return path_step_below(key_path_account(account), NODE_KIND_GROUP, group);
}

struct key_path key_path_recording(int64_t account, int64_t group, int64_t recording)
{
	return path_step_below(key_path_group(account, group), NODE_KIND_RECORDING, recording);
}

int key_path_compare(const struct key_path *a, const struct key_path *b)
{
	for (unsigned i = 0; i < a->depth && i < b->depth; i++) {
		if (a->node[i] != b->node[i])
			return a->node[i] < b->node[i] ? -1 : 1;
	}
	return a->depth < b->depth ? -1 : a->depth > b->depth;
}

bool key_path_covers(const struct key_path *a, const struct key_path *b)
{
	if (a->depth > b->depth)
		return false;
	for (unsigned i = 0; i < a->depth; i++) {
		if (a->node[i] != b->node[i])
			return false;
	}
	return true;
}
