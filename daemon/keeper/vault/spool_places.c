#include "daemon/keeper/vault/spool_places.h"

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

struct place {
	uint8_t hash[HASH_BYTES];
	uint8_t ulid[ULID_BYTES];
	struct key_path path;
	uint32_t next; /* in the bucket */
	bool used;
};

struct spool_places {
	uint8_t key[crypto_generichash_KEYBYTES];
	uint32_t bucket[BUCKETS];
	struct place place[SPOOL_PLACES_MAX]; /* a ring: the oldest goes for the next */
	uint32_t at;
	int64_t recalled[RECALLED_MAX];
};

static void clear(struct spool_places *places)
{
	sodium_memzero(places->place, sizeof(places->place));
	memset(places->bucket, 0xff, sizeof(places->bucket)); /* NONE */
	memset(places->recalled, 0, sizeof(places->recalled));
	places->at = 0;
}

struct spool_places *spool_places_new(void)
{
	struct spool_places *places = calloc(1, sizeof(*places));

	if (!places)
		return NULL;
	crypto_generichash_keygen(places->key);
	clear(places);
	return places;
}

struct spool_places *spool_places_free(struct spool_places *places)
{
	if (places)
		sodium_memzero(places, sizeof(*places));
	free(places);
	return NULL;
}

static uint32_t *bucket_of(struct spool_places *places, const uint8_t hash[static HASH_BYTES])
{
	return &places->bucket[get_le64(hash) & (BUCKETS - 1)];
}

static struct place *find(struct spool_places *places, const uint8_t hash[static HASH_BYTES])
{
	for (uint32_t i = *bucket_of(places, hash); i != NONE; i = places->place[i].next) {
		if (memcmp(places->place[i].hash, hash, HASH_BYTES) == 0)
			return &places->place[i];
	}
	return NULL;
}

static void drop(struct spool_places *places, struct place *place)
{
	uint32_t index = (uint32_t)(place - places->place), *at = bucket_of(places, place->hash);

	if (!place->used)
		return;
	while (*at != index)
		at = &places->place[*at].next;
	*at = place->next;
	sodium_memzero(place, sizeof(*place));
}

static void add(struct spool_places *places, const uint8_t hash[static HASH_BYTES],
		const struct recording_row *row)
{
	struct place *place = &places->place[places->at];

	drop(places, place);
	*place = (struct place){.path = key_path_recording(row->account, row->group, row->id),
			.used = true};
	memcpy(place->hash, hash, HASH_BYTES);
	memcpy(place->ulid, row->ulid, ULID_BYTES);
	place->next = *bucket_of(places, hash);
	*bucket_of(places, hash) = places->at;
	places->at = (places->at + 1) % SPOOL_PLACES_MAX;
}

size_t spool_places_count(const struct spool_places *places)
{
	size_t count = 0;

	for (uint32_t i = 0; places && i < SPOOL_PLACES_MAX; i++)
		count += places->place[i].used;
	return count;
}

static int compare(const void *a, const void *b)
{
	return key_path_compare(a, b);
}

/* Whether the place, or anything above it, is among the sorted paths. */
static bool is_below(const struct place *place, const struct key_path *paths, size_t n)
{
	struct key_path above = place->path;

	for (above.depth = 1; above.depth <= place->path.depth; above.depth++) {
		if (bsearch(&above, paths, n, sizeof(*paths), compare))
			return true;
	}
	return false;
}

void spool_places_forget(struct spool_places *places, const struct key_path *paths, size_t n)
{
	if (!places || n == 0)
		return;
	_cleanup_free_ struct key_path *sorted = calloc(n, sizeof(*sorted));
	if (!sorted) {
		clear(places); /* more than need be, and recalled when it is needed */
		return;
	}
	memcpy(sorted, paths, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	for (uint32_t i = 0; i < SPOOL_PLACES_MAX; i++) {
		if (places->place[i].used && is_below(&places->place[i], sorted, n))
			drop(places, &places->place[i]);
	}
}

/* Of the account, the spool's name and the path. */
static void hash_place(const struct spool_places *places, int64_t account,
		const struct recording_private *private, uint8_t ret_hash[static HASH_BYTES])
{
	crypto_generichash_state state;
	uint8_t number[8];

	put_le64(number, (uint64_t)account);
	crypto_generichash_init(&state, places->key, sizeof(places->key), HASH_BYTES);
	crypto_generichash_update(&state, number, sizeof(number));
	crypto_generichash_update(
			&state, (const uint8_t *)private->spool, strlen(private->spool) + 1);
	crypto_generichash_update(&state, private->path, private->path_len);
	crypto_generichash_final(&state, ret_hash, HASH_BYTES);
	sodium_memzero(&state, sizeof(state));
}

/* Newest first: what is known of a place already is newer. */
static void recall_one(struct vault *vault, const struct recording_row *row)
{
	struct recording_private private = {0};
	uint8_t hash[HASH_BYTES];

	if (recordings_private(vault, row, &private) < 0 || !private.spool)
		return;
	hash_place(vault->places, row->account, &private, hash);
	if (!find(vault->places, hash))
		add(vault->places, hash, row);
	recording_private_clear(&private);
}

/* The account's latest recordings from before this one, once since the start. */
static void recall(struct vault *vault, const struct recording_row *row)
{
	int64_t *recalled = &vault->places->recalled[row->account % RECALLED_MAX], id = row->id;

	if (*recalled == row->account)
		return;
	*recalled = row->account;
	for (int i = 0; i < SPOOL_PLACES_RECALLED; i++) {
		struct recording_row before;
		if (catalog_recording_before(vault->db, row->account, id, &before) < 0)
			return;
		id = before.id;
		recall_one(vault, &before);
		catalog_recording_clear(&before);
	}
}

/* What was catalogued may have been rolled back since. */
static bool is_live(struct vault *vault, const struct place *place)
{
	struct recording_row row;

	if (catalog_recording_by_ulid(vault->db, place->ulid, &row) < 0)
		return false;
	enum recording_state state = row.state;
	catalog_recording_clear(&row);
	return recording_is_live(state);
}

int spool_places_take(struct vault *vault, const struct recording_row *row,
		struct recording_private *private)
{
	uint8_t hash[HASH_BYTES];
	char text[ULID_TEXT_CHARS + 1];

	if (!vault->places)
		vault->places = spool_places_new();
	if (!vault->places)
		return -ENOMEM;
	recall(vault, row);
	hash_place(vault->places, row->account, private, hash);
	struct place *before = find(vault->places, hash);
	bool follows = before && is_live(vault, before);
	if (follows)
		ulid_format(before->ulid, text);
	if (before)
		drop(vault->places, before);
	add(vault->places, hash, row);
	free(private->follows);
	private->follows = follows ? strdup(text) : NULL;
	return follows && !private->follows ? -ENOMEM : 0;
}
