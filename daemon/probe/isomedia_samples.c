/* The tables of a track: how long its samples play, and which of them are there. */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "daemon/probe/isomedia.h"

/* A table that is longer is not read: the budget of the source is for all of them. Four hours of
 * audio, one sample to a chunk. */
#define TABLE_BYTES_MAX (UINT64_C(3) << 20)
#define WINDOW_BYTES    4096
#define ENTRY_MAX       12

/* Reads a table from front to back, some entries at once. */
struct cursor {
	struct source *source;
	struct isomedia_table table;
	uint32_t entry_bytes;
	uint32_t first, held; /* entries in the window */
	uint8_t window[WINDOW_BYTES];
};

static void cursor_init(struct source *source, const struct isomedia_table *table,
		uint32_t entry_bytes, struct cursor *ret_cursor)
{
	ret_cursor->source = source;
	ret_cursor->table = *table;
	ret_cursor->entry_bytes = entry_bytes;
	ret_cursor->first = ret_cursor->held = 0;
}

/* The entry, or NULL. */
static const uint8_t *cursor_at(struct cursor *cursor, uint32_t index)
{
	uint32_t fit = WINDOW_BYTES / cursor->entry_bytes;

	if (index >= cursor->table.count)
		return NULL;
	if (index < cursor->first || index >= cursor->first + cursor->held) {
		uint32_t left = cursor->table.count - index;
		size_t len = (size_t)(left < fit ? left : fit) * cursor->entry_bytes;
		uint64_t at = cursor->table.at + (uint64_t)index * cursor->entry_bytes;
		cursor->first = index;
		size_t n = source_read(cursor->source, cursor->window, len, at);
		cursor->held = (uint32_t)(n / cursor->entry_bytes);
	}
	if (index >= cursor->first + cursor->held)
		return NULL;
	return cursor->window + (size_t)(index - cursor->first) * cursor->entry_bytes;
}

static bool is_readable(const struct isomedia_table *table, uint32_t entry_bytes)
{
	return (uint64_t)table->count * entry_bytes <= TABLE_BYTES_MAX;
}

/* The ticks of the first so many samples. */
static uint64_t count_ticks(
		struct source *source, const struct isomedia_track *track, uint64_t samples)
{
	struct cursor times;
	const uint8_t *entry;
	uint64_t ticks = 0;

	if (!is_readable(&track->times, 8))
		return samples == UINT64_MAX ? track->claimed_ticks : ISOMEDIA_TICKS_UNKNOWN;
	cursor_init(source, &track->times, 8, &times);
	for (uint32_t i = 0; samples > 0 && (entry = cursor_at(&times, i)); i++) {
		uint64_t count = get_be32(entry);
		if (count > samples)
			count = samples;
		if (__builtin_add_overflow(ticks, count * get_be32(entry + 4), &ticks))
			return ISOMEDIA_TICKS_UNKNOWN;
		samples -= count;
	}
	return ticks;
}

uint64_t isomedia_samples_ticks(struct source *source, const struct isomedia_track *track)
{
	return count_ticks(source, track, UINT64_MAX);
}

static uint32_t chunk_entry_bytes(const struct isomedia_track *track)
{
	return track->large_chunks ? 8 : 4;
}

/* Where a chunk begins; UINT64_MAX for none. */
static uint64_t chunk_at(struct cursor *chunks, uint32_t index, uint64_t base)
{
	const uint8_t *entry = cursor_at(chunks, index);
	uint64_t at;

	if (!entry)
		return UINT64_MAX;
	at = chunks->entry_bytes == 8 ? get_be64(entry) : get_be32(entry);
	return at < UINT64_MAX - base ? at + base : UINT64_MAX;
}

bool isomedia_samples_fit(struct source *source, const struct isomedia_track *track, uint64_t base,
		uint64_t limit)
{
	struct cursor chunks;

	cursor_init(source, &track->chunks, chunk_entry_bytes(track), &chunks);
	return track->chunks.count == 0 || chunk_at(&chunks, track->chunks.count - 1, base) < limit;
}

/* How many samples each chunk has, by runs of chunks that have as many (section 8.7.4). */
struct runs {
	struct cursor cursor;
	uint32_t next;   /* entry of the table */
	uint32_t each;   /* samples in a chunk of the run under way */
	uint32_t before; /* the chunk, counted from 0, at which the next run begins */
};

static uint32_t samples_in_chunk(struct runs *runs, uint32_t chunk)
{
	const uint8_t *entry;

	while (chunk >= runs->before && (entry = cursor_at(&runs->cursor, runs->next))) {
		runs->each = get_be32(entry + 4);
		runs->next++;
		entry = cursor_at(&runs->cursor, runs->next);
		runs->before = entry && get_be32(entry) > 0 ? get_be32(entry) - 1 : UINT32_MAX;
	}
	return runs->each;
}

/* How many samples of the chunk that begins there, before the limit, also end before it. */
static uint32_t samples_fitting(struct source *source, const struct isomedia_track *track,
		uint64_t first_sample, uint32_t count, uint64_t at, uint64_t limit)
{
	struct cursor sizes;
	const uint8_t *entry;
	uint32_t fitting = 0;

	if (track->sample_bytes > 0) {
		uint64_t room = (limit - at) / track->sample_bytes;
		return room < count ? (uint32_t)room : count;
	}
	if (first_sample > UINT32_MAX - count)
		return 0;
	cursor_init(source, &track->sizes, 4, &sizes);
	for (; fitting < count; fitting++) {
		entry = cursor_at(&sizes, (uint32_t)first_sample + fitting);
		if (!entry || get_be32(entry) > limit - at)
			break;
		at += get_be32(entry);
	}
	return fitting;
}

uint64_t isomedia_samples_before(struct source *source, const struct isomedia_track *track,
		uint64_t base, uint64_t limit)
{
	struct cursor chunks;
	struct runs runs = {.each = 0};
	uint32_t chunk_bytes = chunk_entry_bytes(track);
	uint64_t samples = 0;

	if (!is_readable(&track->chunks, chunk_bytes) || !is_readable(&track->runs, ENTRY_MAX))
		return ISOMEDIA_TICKS_UNKNOWN;
	cursor_init(source, &track->chunks, chunk_bytes, &chunks);
	cursor_init(source, &track->runs, ENTRY_MAX, &runs.cursor);
	for (uint32_t i = 0; i < track->chunks.count; i++) {
		uint64_t at = chunk_at(&chunks, i, base), next = chunk_at(&chunks, i + 1, base);
		uint32_t in_chunk = samples_in_chunk(&runs, i);
		if (at >= limit)
			break;
		/* What lies before another chunk that is there needs no adding up. */
		if (next > at && next < limit) {
			samples += in_chunk;
			continue;
		}
		uint32_t fitting = samples_fitting(source, track, samples, in_chunk, at, limit);
		samples += fitting;
		if (fitting < in_chunk)
			break;
	}
	return count_ticks(source, track, samples);
}
