#include "daemon/keeper/vault/predecessors.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/ulid.h"
#include "storage/tables/catalog.h"

#define HASH_BYTES   16
#define BUCKETS      16384 /* a power of two */
#define RECALLED_MAX 65536 /* accounts remembered as recalled, one for each remainder */
#define NONE         UINT32_MAX

struct entry {
	uint8_t hash[HASH_BYTES];
	uint8_t ulid[ULID_BYTES];
	struct key_path path;
	uint32_t next; /* in the bucket */
	bool used;
};

struct predecessors {
	uint8_t key[crypto_generichash_KEYBYTES];
	uint32_t bucket[BUCKETS];
	struct entry entry[PREDECESSORS_MAX]; /* a ring: the oldest goes for the next */
	uint32_t at;
	int64_t recalled[RECALLED_MAX];
};

static void predecessors_clear(struct predecessors *known)
{
	sodium_memzero(known->entry, sizeof(known->entry));
	memset(known->bucket, 0xff, sizeof(known->bucket)); /* NONE */
	memset(known->recalled, 0, sizeof(known->recalled));
	known->at = 0;
}

struct predecessors *predecessors_new(void)
{
	struct predecessors *known = calloc(1, sizeof(*known));

	if (!known)
		return NULL;
	crypto_generichash_keygen(known->key);
	predecessors_clear(known);
	return known;
}

struct predecessors *predecessors_free(struct predecessors *known)
{
	if (known)
		sodium_memzero(known, sizeof(*known));
	free(known);
	return NULL;
}

static uint32_t *predecessors_bucket(
		struct predecessors *known, const uint8_t hash[static HASH_BYTES])
{
	return &known->bucket[get_le64(hash) & (BUCKETS - 1)];
}

static struct entry *predecessors_find(
		struct predecessors *known, const uint8_t hash[static HASH_BYTES])
{
	for (uint32_t i = *predecessors_bucket(known, hash); i != NONE; i = known->entry[i].next) {
		if (memcmp(known->entry[i].hash, hash, HASH_BYTES) == 0)
			return &known->entry[i];
	}
	return NULL;
}

static void predecessors_drop(struct predecessors *known, struct entry *entry)
{
	uint32_t index = (uint32_t)(entry - known->entry),
		 *at = predecessors_bucket(known, entry->hash);

	if (!entry->used)
		return;
	while (*at != index)
		at = &known->entry[*at].next;
	*at = entry->next;
	sodium_memzero(entry, sizeof(*entry));
}

static void predecessors_add(struct predecessors *known, const uint8_t hash[static HASH_BYTES],
		const struct recording_row *row)
{
	struct entry *entry = &known->entry[known->at];

	predecessors_drop(known, entry);
	*entry = (struct entry){.path = key_path_recording(row->account, row->group, row->id),
			.used = true};
	memcpy(entry->hash, hash, HASH_BYTES);
	memcpy(entry->ulid, row->ulid, ULID_BYTES);
	entry->next = *predecessors_bucket(known, hash);
	*predecessors_bucket(known, hash) = known->at;
	known->at = (known->at + 1) % PREDECESSORS_MAX;
}

size_t predecessors_count(const struct predecessors *known)
{
	size_t count = 0;

	for (uint32_t i = 0; known && i < PREDECESSORS_MAX; i++)
		count += known->entry[i].used;
	return count;
}

static int victim_compare(const void *a, const void *b)
{
	return key_path_compare(a, b);
}

/* Whether the entry's key, or a key above it, is among the sorted paths. */
static bool entry_is_below(const struct entry *entry, const struct key_path *paths, size_t n)
{
	struct key_path above = entry->path;

	for (above.depth = 1; above.depth <= entry->path.depth; above.depth++) {
		if (bsearch(&above, paths, n, sizeof(*paths), victim_compare))
			return true;
	}
	return false;
}

void predecessors_forget(struct predecessors *known, const struct key_path *paths, size_t n)
{
	if (!known || n == 0)
		return;
	_cleanup_free_ struct key_path *sorted = calloc(n, sizeof(*sorted));
	if (!sorted) {
		predecessors_clear(known); /* more than need be, and recalled when it is needed */
		return;
	}
	memcpy(sorted, paths, n * sizeof(*sorted));
	/* One search for each entry instead of one comparison with every path. */
	qsort(sorted, n, sizeof(*sorted), victim_compare);
	for (uint32_t i = 0; i < PREDECESSORS_MAX; i++) {
		if (known->entry[i].used && entry_is_below(&known->entry[i], sorted, n))
			predecessors_drop(known, &known->entry[i]);
	}
}

/* Of the account, the spool's name and the path. */
static void entry_hash(const struct predecessors *known, int64_t account,
		const struct recording_private *private, uint8_t ret_hash[static HASH_BYTES])
{
	crypto_generichash_state state;
	uint8_t number[8];

	put_le64(number, (uint64_t)account);
	crypto_generichash_init(&state, known->key, sizeof(known->key), HASH_BYTES);
	crypto_generichash_update(&state, number, sizeof(number));
	crypto_generichash_update(
			&state, (const uint8_t *)private->spool, strlen(private->spool) + 1);
	crypto_generichash_update(&state, private->path, private->path_len);
	crypto_generichash_final(&state, ret_hash, HASH_BYTES);
	sodium_memzero(&state, sizeof(state));
}

/* Newest first: an entry that is known for this path already is newer. */
static void predecessors_recall_one(
		struct predecessors *known, struct keytree *tree, const struct recording_row *row)
{
	struct recording_private private = {0};
	uint8_t hash[HASH_BYTES];

	if (recordings_private(tree, row, &private) < 0 || !private.spool)
		return;
	entry_hash(known, row->account, &private, hash);
	if (!predecessors_find(known, hash))
		predecessors_add(known, hash, row);
	recording_private_clear(&private);
}

/* The account's latest recordings from before this one, once since the start. */
static void predecessors_recall(
		struct predecessors *known, struct keytree *tree, const struct recording_row *row)
{
	int64_t *recalled = &known->recalled[row->account % RECALLED_MAX], id = row->id;

	if (*recalled == row->account)
		return;
	/* Noted before the attempt: an account that cannot be read is not tried at every
	 * recording. */
	*recalled = row->account;
	for (int i = 0; i < PREDECESSORS_RECALLED; i++) {
		struct recording_row before;
		if (catalog_recording_before(keytree_db(tree), row->account, id, &before) < 0)
			return;
		id = before.id;
		predecessors_recall_one(known, tree, &before);
		catalog_recording_clear(&before);
	}
}

/* What was catalogued may have been rolled back since. */
static bool entry_is_live(struct keytree *tree, const struct entry *entry)
{
	struct recording_row row;

	if (catalog_recording_by_ulid(keytree_db(tree), entry->ulid, &row) < 0)
		return false;
	enum recording_state state = row.state;
	catalog_recording_clear(&row);
	return recording_is_live(state);
}

int predecessors_take(struct predecessors *known, struct keytree *tree,
		const struct recording_row *row, struct recording_private *private)
{
	uint8_t hash[HASH_BYTES];
	char text[ULID_TEXT_CHARS + 1];

	predecessors_recall(known, tree, row);
	entry_hash(known, row->account, private, hash);
	struct entry *before = predecessors_find(known, hash);
	bool follows = before && entry_is_live(tree, before);
	if (follows)
		ulid_format(before->ulid, text);
	/* Only the latest recording of a path is kept: the next one follows this one. */
	if (before)
		predecessors_drop(known, before);
	predecessors_add(known, hash, row);
	free(private->follows);
	private->follows = follows ? strdup(text) : NULL;
	return follows && !private->follows ? -ENOMEM : 0;
}
