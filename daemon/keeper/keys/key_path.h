/* Where a key is in the tree: the ids of the nodes from below the root down to it.
 *
 *     root -> L0 (256) -> L1 (65,536) -> account -> expiry group -> recording
 *                                              \-> profile (leaf: seals the account's own record)
 *     root -> lookup (leaf: keyed hashes of account names)
 *     root -> catalog (leaf: macs of the catalog's rows, storage/tables/row_mac.h)
 *
 * Node ids are unique in the tree: the kind in the top byte, a number below it. Only leaves seal
 * data; keys between root and leaf seal nothing but keys, so that they can be replaced at any time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_PATH_MAX 5
#define KEY_RADIX    256
#define NODE_ROOT    UINT64_C(0)

enum node_kind {
	NODE_KIND_L0 = 1,
	NODE_KIND_L1,
	NODE_KIND_ACCOUNT,
	NODE_KIND_GROUP,
	NODE_KIND_RECORDING,
	NODE_KIND_PROFILE,
	NODE_KIND_LOOKUP,
	NODE_KIND_CATALOG,
};

struct key_path {
	uint64_t node[KEY_PATH_MAX];
	unsigned depth; /* at least 1 */
};

uint64_t key_path_node_id(enum node_kind kind, uint64_t number);
/* "account 17", for messages. */
void key_path_node_describe(uint64_t id, char *ret_text, size_t len);

struct key_path key_path_l0(unsigned index);
struct key_path key_path_lookup(void);
struct key_path key_path_catalog(void);
struct key_path key_path_account(int64_t account);
struct key_path key_path_profile(int64_t account);
struct key_path key_path_group(int64_t account, int64_t group);
struct key_path key_path_recording(int64_t account, int64_t group, int64_t recording);

/* Tree order: an ancestor comes right before its descendants. <0, 0, >0. */
int key_path_compare(const struct key_path *a, const struct key_path *b);
/* Whether a is b or above it. */
bool key_path_covers(const struct key_path *a, const struct key_path *b);
