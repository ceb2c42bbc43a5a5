/* The key tree: every recording's key below one erasable root.
 *
 * After Di Crescenzo, Ferguson, Impagliazzo, Jakobsson, "How To Forget a Secret" (STACS 1999), and
 * Boneh and Lipton, "A Revocable Backup System" (USENIX Security 1996): keys form a tree, each
 * sealed under its parent, and only the root is in memory that can be erased. Destroying a key
 * means giving every key above it a fresh value and re-sealing what stays; whoever has all versions
 * of the rows but only the new root can open none of the old ones.
 *
 * What is re-sealed is sealed together (key_pack.h): in a large tree an erasure re-seals hundreds
 * of keys at each of its upper levels, which one by one would be most of what it costs. Rows of
 * single keys are those added since.
 *
 * Keys are opened along their path each time and kept nowhere, so there is no cache that could
 * outlive an erasure. */
#pragma once

#include "crypto/key_seal.h"
#include "daemon/keeper/keys/key_path.h"
#include "storage/tables/db.h"

struct keytree;

/* A tree over what is stored and present, with its root (copied into secret memory). NULL when out
 * of secret memory. */
struct keytree *keytree_new(
		struct db *db, const uint8_t root[static NODE_KEY_BYTES], uint64_t epoch);
struct keytree *keytree_free(struct keytree *tree);
uint64_t keytree_epoch(const struct keytree *tree);

/* The database that it is stored in. */
struct db *keytree_db(const struct keytree *tree);

/* Opens the key at a path into secret memory of the caller's. -ENOENT when a key on the way is
 * missing; -RE_CORRUPT when one does not open. */
int keytree_open(struct keytree *tree, const struct key_path *path,
		uint8_t ret_key[static NODE_KEY_BYTES]);

/* Adds a leaf with this key (NULL: a fresh random one), and fresh nodes above it where they are
 * missing, in the caller's transaction. ret_key (may be NULL) receives the key. -EEXIST when the
 * leaf is there. */
int keytree_add(struct keytree *tree, const struct key_path *path, const uint8_t *key,
		uint8_t *ret_key);

/* Stages the tree without the victims, re-keyed along all their ancestors up to a fresh root for
 * the next epoch, in the caller's transaction. victims are sorted here, and those below another are
 * ignored; one that does not exist is no error. ret_root (secret memory) receives the fresh root,
 * ret_top the digest of the staged top. */
int keytree_stage(struct keytree *tree, struct key_path *victims, size_t n,
		uint8_t ret_root[static NODE_KEY_BYTES], uint8_t ret_top[static DB_DIGEST_BYTES]);

/* What did not open in the latest staging, and whose it is. */
enum keytree_damage {
	KEYTREE_WHOLE,
	KEYTREE_NODE,     /* the key of this node */
	KEYTREE_CHILDREN, /* keys of this node's children, sealed together */
};
enum keytree_damage keytree_damaged(const struct keytree *tree, uint64_t *ret_node);

/* What was staged has been applied: from now on this is the root. */
void keytree_advance(struct keytree *tree, const uint8_t root[static NODE_KEY_BYTES]);

/* BLAKE2b-256 over rows and packs right below the root, present or staged. */
int keytree_top_digest(struct db *db, bool staged, uint8_t ret_digest[static DB_DIGEST_BYTES]);

/* Whether this root opens the present (or staged) top: digest and one key. 0, or -RE_EPOCH when it
 * does not. */
int keytree_check_top(struct db *db, bool staged, const uint8_t root[static NODE_KEY_BYTES],
		const uint8_t digest[static DB_DIGEST_BYTES]);

/* Opens a key right below the root, present or staged, where there is no tree yet. 0; -ENOENT;
 * -RE_CORRUPT. */
int keytree_open_top(struct db *db, bool staged, const uint8_t root[static NODE_KEY_BYTES],
		const struct key_path *leaf, uint8_t ret_key[static NODE_KEY_BYTES]);

/* For the proof of an erasure: follows this root along the paths through every row and pack there
 * is, staged and present, under every key it has led to. Between the erasure point and the apply
 * that finds a victim that is still in the staged tree, and any key above it that did not change
 * and would open what is old. -ENOENT is as it must be; 0 means that the key of one of them still
 * opens; anything else that it could not be tried. Quick for many paths in tree order, as
 * keytree_stage() leaves them: what they share is followed once. */
int keytree_try(struct db *db, const uint8_t root[static NODE_KEY_BYTES],
		const struct key_path *paths, size_t n);
