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

static uint64_t seen_hash(const struct seen *seen, const void *key, size_t len)
{
	uint8_t hash[crypto_shorthash_BYTES];

	crypto_shorthash(hash, key, len, seen->key);
	uint64_t h = get_le64(hash);
	return h ? h : 1; /* 0 is a free slot */
}

/* The slot that holds the hash, or the free one where it would go: half of the slots are free. */
static uint64_t *seen_slot(const struct seen *seen, uint64_t *table, uint64_t hash)
{
	size_t mask = 2 * seen->capacity - 1, i = hash & mask;

	while (table[i] && table[i] != hash)
		i = (i + 1) & mask;
	return &table[i];
}

bool seen_has(const struct seen *seen, const void *key, size_t len)
{
	uint64_t hash = seen_hash(seen, key, len);

	return *seen_slot(seen, seen->young, hash) || *seen_slot(seen, seen->old, hash);
}

static void seen_age(struct seen *seen)
{
	uint64_t *old = seen->old;

	memset(old, 0, 2 * seen->capacity * sizeof(*old));
	seen->old = seen->young;
	seen->young = old;
	seen->count = 0;
}

bool seen_add(struct seen *seen, const void *key, size_t len)
{
	uint64_t hash = seen_hash(seen, key, len);

	if (*seen_slot(seen, seen->young, hash))
		return true;
	/* An old key becomes young again, so that keys in use are not forgotten. */
	bool was_old = *seen_slot(seen, seen->old, hash);
	if (seen->count == seen->capacity)
		seen_age(seen);
	*seen_slot(seen, seen->young, hash) = hash;
	seen->count++;
	return was_old;
}
