#include "daemon/intake/spool/seen.h"

#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

struct seen {
	uint8_t key[crypto_shorthash_KEYBYTES];
	size_t capacity, count; /* count of the young generation */
	uint64_t *young, *old;  /* 2 * capacity slots each; 0 is a free one */
};

struct seen *seen_new(size_t capacity)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	if (!seen)
		return NULL;
	seen->capacity = capacity;
	seen->young = calloc(2 * capacity, sizeof(uint64_t));
	seen->old = calloc(2 * capacity, sizeof(uint64_t));
	if (!seen->young || !seen->old)
		return seen_free(seen);
	crypto_shorthash_keygen(seen->key);
	return seen;
}

struct seen *seen_free(struct seen *seen)
{
	if (!seen)
		return NULL;
	free(seen->young);
	free(seen->old);
	free(seen);
	return NULL;
}

static uint64_t hash_of(const struct seen *seen, const void *key, size_t len)
{
	uint8_t hash[crypto_shorthash_BYTES];

	crypto_shorthash(hash, key, len, seen->key);
	uint64_t h = get_le64(hash);
	return h ? h : 1;
}

/* The slot that holds the hash, or the free one where it would go: half of the slots are free. */
static uint64_t *slot_of(const struct seen *seen, uint64_t *table, uint64_t hash)
{
	size_t mask = 2 * seen->capacity - 1, i = hash & mask;

	while (table[i] && table[i] != hash)
		i = (i + 1) & mask;
	return &table[i];
}

bool seen_has(const struct seen *seen, const void *key, size_t len)
{
	uint64_t hash = hash_of(seen, key, len);

	return *slot_of(seen, seen->young, hash) || *slot_of(seen, seen->old, hash);
}

static void age(struct seen *seen)
{
	uint64_t *old = seen->old;

	memset(old, 0, 2 * seen->capacity * sizeof(*old));
	seen->old = seen->young;
	seen->young = old;
	seen->count = 0;
}

bool seen_add(struct seen *seen, const void *key, size_t len)
{
	uint64_t hash = hash_of(seen, key, len);

	if (*slot_of(seen, seen->young, hash))
		return true;
	bool was_old = *slot_of(seen, seen->old, hash);
	if (seen->count == seen->capacity)
		age(seen);
	*slot_of(seen, seen->young, hash) = hash;
	seen->count++;
	return was_old;
}
