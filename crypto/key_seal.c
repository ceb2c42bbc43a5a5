#include "crypto/key_seal.h"

#include <sodium.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"

#define NODE_LABEL    "rsnode01"
#define PACK_LABEL    "rspack01"
#define RECORD_LABEL  "rsrecd01" /* also the crypto_kdf context */
#define LABEL_BYTES   8
#define NODE_AD_BYTES (LABEL_BYTES + 3 * 8)

_Static_assert(sizeof(NODE_LABEL) - 1 == LABEL_BYTES, "label size");
_Static_assert(sizeof(PACK_LABEL) - 1 == LABEL_BYTES, "label size");
_Static_assert(sizeof(RECORD_LABEL) - 1 == crypto_kdf_CONTEXTBYTES, "context size");
_Static_assert(NODE_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key size");
_Static_assert(NODE_KEY_BYTES == crypto_kdf_KEYBYTES, "key size");
_Static_assert(SEAL_NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce size");
_Static_assert(SEAL_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag size");

struct ad {
	const uint8_t *bytes;
	size_t len;
};

/* Nonces are public: drawn in bulk, since a system call for each costs as much as the sealing. Not
 * for a process that forks and seals on: the child would draw the same. */
static void fill_nonce(uint8_t ret_nonce[static SEAL_NONCE_BYTES])
{
	static _Thread_local uint8_t drawn[128 * SEAL_NONCE_BYTES];
	static _Thread_local size_t left;

	if (left == 0) {
		randombytes_buf(drawn, sizeof(drawn));
		left = sizeof(drawn);
	}
	left -= SEAL_NONCE_BYTES;
	memcpy(ret_nonce, drawn + left, SEAL_NONCE_BYTES);
}

/* nonce || ciphertext || tag */
static void seal_box(const uint8_t *key, struct ad ad, const uint8_t *plain, size_t len,
		uint8_t *ret_sealed)
{
	fill_nonce(ret_sealed);
	crypto_aead_xchacha20poly1305_ietf_encrypt(ret_sealed + SEAL_NONCE_BYTES, NULL, plain, len,
			ad.bytes, ad.len, NULL, ret_sealed, key);
}

static int open_sealed(const uint8_t *key, struct ad ad, const uint8_t *sealed, size_t sealed_len,
		uint8_t *ret_plain)
{
	const uint8_t *box = sealed + SEAL_NONCE_BYTES;

	if (sealed_len < SEAL_OVERHEAD_BYTES)
		return -RE_CORRUPT;
	size_t box_len = sealed_len - SEAL_NONCE_BYTES;
	/* Verified first, with no output: libsodium zeroes the output when it fails. */
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(
			    NULL, NULL, NULL, box, box_len, ad.bytes, ad.len, sealed, key))
		return -RE_CORRUPT;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(
			    ret_plain, NULL, NULL, box, box_len, ad.bytes, ad.len, sealed, key))
		return -RE_CORRUPT;
	return 0;
}

static struct ad node_ad(const char *label, const struct node_position *position,
		uint8_t ret_bytes[static NODE_AD_BYTES])
{
	memcpy(ret_bytes, label, LABEL_BYTES);
	put_le64(ret_bytes + LABEL_BYTES, position->parent);
	put_le64(ret_bytes + LABEL_BYTES + 8, position->id);
	put_le64(ret_bytes + LABEL_BYTES + 16, position->epoch);
	return (struct ad){ret_bytes, NODE_AD_BYTES};
}

void key_seal_node(const uint8_t parent_key[static NODE_KEY_BYTES],
		const struct node_position *position, const uint8_t key[static NODE_KEY_BYTES],
		uint8_t ret_sealed[static SEALED_KEY_BYTES])
{
	uint8_t bytes[NODE_AD_BYTES];

	seal_box(parent_key, node_ad(NODE_LABEL, position, bytes), key, NODE_KEY_BYTES, ret_sealed);
}

int key_seal_open_node(const uint8_t parent_key[static NODE_KEY_BYTES],
		const struct node_position *position, const uint8_t sealed[static SEALED_KEY_BYTES],
		uint8_t ret_key[static NODE_KEY_BYTES])
{
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	uint8_t bytes[NODE_AD_BYTES];
	struct ad ad = node_ad(NODE_LABEL, position, bytes);

	if (!key)
		return -RE_MLOCK;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(key, NULL, NULL, sealed + SEAL_NONCE_BYTES,
			    SEALED_KEY_BYTES - SEAL_NONCE_BYTES, ad.bytes, ad.len, sealed,
			    parent_key))
		return -RE_CORRUPT;
	memcpy(ret_key, key, NODE_KEY_BYTES);
	return 0;
}

void key_seal_pack(const uint8_t parent_key[static NODE_KEY_BYTES],
		const struct node_position *position, const uint8_t *plain, size_t len,
		uint8_t *ret_sealed)
{
	uint8_t bytes[NODE_AD_BYTES];

	seal_box(parent_key, node_ad(PACK_LABEL, position, bytes), plain, len, ret_sealed);
}

/* In one pass, unlike records: the size makes a second one felt. */
int key_seal_open_pack(const uint8_t parent_key[static NODE_KEY_BYTES],
		const struct node_position *position, const uint8_t *sealed, size_t sealed_len,
		uint8_t *ret_plain)
{
	uint8_t bytes[NODE_AD_BYTES];
	struct ad ad = node_ad(PACK_LABEL, position, bytes);

	if (sealed_len < SEAL_OVERHEAD_BYTES)
		return -RE_CORRUPT;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(ret_plain, NULL, NULL,
			    sealed + SEAL_NONCE_BYTES, sealed_len - SEAL_NONCE_BYTES, ad.bytes,
			    ad.len, sealed, parent_key))
		return -RE_CORRUPT;
	return 0;
}

/* What a record is sealed with. On the stack, because sealing must not fail; wiped on return. */
struct record_context {
	uint8_t key[NODE_KEY_BYTES];
	uint8_t ad[2 * 8];
};

static void record_context(const uint8_t leaf_key[static NODE_KEY_BYTES],
		enum record_purpose purpose, uint64_t bound, struct record_context *ret_context)
{
	crypto_kdf_derive_from_key(ret_context->key, sizeof(ret_context->key), (uint64_t)purpose,
			RECORD_LABEL, leaf_key);
	put_le64(ret_context->ad, (uint64_t)purpose);
	put_le64(ret_context->ad + 8, bound);
}

void key_seal_record(const uint8_t leaf_key[static NODE_KEY_BYTES], enum record_purpose purpose,
		uint64_t bound, const void *plain, size_t len, uint8_t *ret_sealed)
{
	struct record_context c;

	record_context(leaf_key, purpose, bound, &c);
	seal_box(c.key, (struct ad){c.ad, sizeof(c.ad)}, plain, len, ret_sealed);
	sodium_memzero(&c, sizeof(c));
}

int key_seal_open_record(const uint8_t leaf_key[static NODE_KEY_BYTES], enum record_purpose purpose,
		uint64_t bound, const uint8_t *sealed, size_t sealed_len, void *ret_plain)
{
	struct record_context c;

	record_context(leaf_key, purpose, bound, &c);
	int r = open_sealed(c.key, (struct ad){c.ad, sizeof(c.ad)}, sealed, sealed_len, ret_plain);
	sodium_memzero(&c, sizeof(c));
	return r;
}

void key_seal_lookup_hash(const uint8_t key[static NODE_KEY_BYTES], const char *domain,
		const void *data, size_t len, uint8_t ret_hash[static LOOKUP_BYTES])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, key, NODE_KEY_BYTES, LOOKUP_BYTES);
	/* With its NUL: no domain is the beginning of another. */
	crypto_generichash_update(&state, (const uint8_t *)domain, strlen(domain) + 1);
	crypto_generichash_update(&state, data, len);
	crypto_generichash_final(&state, ret_hash, LOOKUP_BYTES);
	sodium_memzero(&state, sizeof(state));
}
