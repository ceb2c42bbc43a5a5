/* Sealing of keys under keys, and of small private records under leaf keys.
 *
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) with a random 24-byte nonce. The associated data
 * binds a sealed key to its position in the tree and to the epoch it was sealed in, so that rows
 * cannot be moved, swapped or replayed under another id. Keys sealed together have a label of their
 * own: no such box passes for that of a single key, nor the other way round. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define NODE_KEY_BYTES      32
#define SEAL_NONCE_BYTES    24
#define SEAL_TAG_BYTES      16
#define SEALED_KEY_BYTES    (SEAL_NONCE_BYTES + NODE_KEY_BYTES + SEAL_TAG_BYTES)
#define SEAL_OVERHEAD_BYTES (SEAL_NONCE_BYTES + SEAL_TAG_BYTES)

struct node_position {
	uint64_t parent;
	uint64_t id;
	uint64_t epoch;
};

void key_seal_node(const uint8_t parent_key[static NODE_KEY_BYTES],
		const struct node_position *place, const uint8_t key[static NODE_KEY_BYTES],
		uint8_t ret_sealed[static SEALED_KEY_BYTES]);

/* 0, or -RE_CORRUPT when it does not open. */
int key_seal_open_node(const uint8_t parent_key[static NODE_KEY_BYTES],
		const struct node_position *place, const uint8_t sealed[static SEALED_KEY_BYTES],
		uint8_t ret_key[static NODE_KEY_BYTES]);

/* Several children of one parent in one box. place.id is the first child's; plain is for each of
 * them le64 id || key, NODE_ENTRY_BYTES, len bytes in all; ret_sealed has room for len +
 * SEAL_OVERHEAD_BYTES. */
#define NODE_ENTRY_BYTES (8 + NODE_KEY_BYTES)
void key_seal_pack(const uint8_t parent_key[static NODE_KEY_BYTES],
		const struct node_position *place, const uint8_t *plain, size_t len,
		uint8_t *ret_sealed);

/* sealed_len - SEAL_OVERHEAD_BYTES bytes into ret_plain, which is secret memory. 0, or -RE_CORRUPT,
 * and then ret_plain is zeroed, or as it was. */
int key_seal_open_pack(const uint8_t parent_key[static NODE_KEY_BYTES],
		const struct node_position *place, const uint8_t *sealed, size_t sealed_len,
		uint8_t *ret_plain);

/* Seals a private record under a subkey of a leaf key: crypto_kdf of the key for this purpose. The
 * purpose is also the associated data's first part; bound names the record's owner (an id).
 * ret_sealed has room for len + SEAL_OVERHEAD_BYTES. */
enum record_purpose {
	RECORD_ACCOUNT_PROFILE = 1,
	RECORD_RECORDING_PRIVATE = 2,
	RECORD_REMINDER = 3, /* under the lookup key; bound: the epoch */
};
void key_seal_record(const uint8_t leaf_key[static NODE_KEY_BYTES], enum record_purpose purpose,
		uint64_t bound, const void *plain, size_t len, uint8_t *ret_sealed);

/* sealed_len - SEAL_OVERHEAD_BYTES bytes into ret_plain. 0, or -RE_CORRUPT. */
int key_seal_open_record(const uint8_t leaf_key[static NODE_KEY_BYTES], enum record_purpose purpose,
		uint64_t bound, const uint8_t *sealed, size_t sealed_len, void *ret_plain);

/* Keyed lookup hash (BLAKE2b-256, crypto_generichash with key): finds a name without storing it.
 * domain separates uses ("account", "source"). */
#define LOOKUP_BYTES 32
void key_seal_lookup_hash(const uint8_t key[static NODE_KEY_BYTES], const char *domain,
		const void *data, size_t len, uint8_t ret_hash[static LOOKUP_BYTES]);
