/* Rows and packs in the bytes of a database: also those that SQL does not find, on pages and in
 * parts of pages that are free, and in all that the log holds. */
#include "tests/unit/keeper/adversary.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/keeper/keys/key_path.h"

/* A record (SQLite file format, section 2.1) is a serial type for each column, then the columns:
 * parent 6 (8 bytes) or 8 (the number 0), id 6, epoch 1 or 2 (bytes) or 9 (the number 1), sealed
 * 12 + 2 * its length. Where a cell was freed the first of them are overwritten, so those are
 * guessed. */

#define PAGE_BYTES   4096u
#define LOG_HEADER   32u
#define FRAME_HEADER 24u

static uint64_t big_endian(const uint8_t *bytes, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

static bool plausible(const struct node_position *place)
{
	unsigned kind = (unsigned)(place->id >> 56), above = (unsigned)(place->parent >> 56);

	return kind >= NODE_KIND_L0 && kind <= NODE_KIND_CATALOG && above <= NODE_KIND_CATALOG;
}

/* Pages, in the database and in the log. */

struct pages {
	const struct adversary_file *database, *log;
};

static size_t frames(const struct pages *pages)
{
	size_t len = pages->log->len;

	return len < LOG_HEADER ? 0 : (len - LOG_HEADER) / (FRAME_HEADER + PAGE_BYTES);
}

static const uint8_t *frame(const struct pages *pages, size_t i)
{
	return pages->log->bytes + LOG_HEADER + i * (FRAME_HEADER + PAGE_BYTES);
}

/* The frame that ends the transaction of this one. */
static size_t end_of(const struct pages *pages, size_t i)
{
	while (i + 1 < frames(pages) && big_endian(frame(pages, i) + 4, 4) == 0)
		i++;
	return i;
}

/* A page as it was with this many frames written; NULL when there is none. */
static const uint8_t *page_at(const struct pages *pages, size_t n_frames, uint64_t number)
{
	for (size_t i = n_frames; i-- > 0;) {
		if (big_endian(frame(pages, i), 4) == number)
			return frame(pages, i) + FRAME_HEADER;
	}
	if (number == 0 || number > pages->database->len / PAGE_BYTES)
		return NULL;
	return pages->database->bytes + (number - 1) * PAGE_BYTES;
}

/* Records. */

struct record {
	const uint8_t *types_end, *page_end;
	size_t head_bytes; /* of the types, with their own length */
	size_t parent_bytes, epoch_bytes, sealed_bytes;
};

/* How much of a record this long is in its cell (section 1.6, index b-trees). */
static size_t local_bytes(size_t record_bytes)
{
	const size_t most = (PAGE_BYTES - 12) * 64 / 255 - 23;
	const size_t least = (PAGE_BYTES - 12) * 32 / 255 - 23;
	size_t some = least + (record_bytes - least) % (PAGE_BYTES - 4);

	if (record_bytes <= most)
		return record_bytes;
	return some <= most ? some : least;
}

/* Gathers what is sealed from its cell and the overflow pages behind. */
static bool gather(const struct pages *pages, size_t n_frames, const struct record *record,
		const uint8_t *at, uint8_t *ret_sealed)
{
	size_t before = record->head_bytes + (size_t)(at - record->types_end);
	size_t here = local_bytes(before + record->sealed_bytes) - before, n = here;

	if ((size_t)(record->page_end - at) < here + (here < record->sealed_bytes ? 4 : 0))
		return false;
	memcpy(ret_sealed, at, here);
	const uint8_t *next = at + here;
	while (n < record->sealed_bytes) {
		const uint8_t *page = page_at(pages, n_frames, big_endian(next, 4));
		size_t left = record->sealed_bytes - n;
		if (!page)
			return false;
		here = left < PAGE_BYTES - 4 ? left : PAGE_BYTES - 4;
		memcpy(ret_sealed + n, page + 4, here);
		n += here;
		next = page;
	}
	return true;
}

static void read_record(struct adversary *a, const struct pages *pages, size_t n_frames,
		const struct record *record)
{
	const uint8_t *at = record->types_end;
	uint8_t sealed[NODE_PACK_BYTES_MAX];
	struct node_position place;

	if ((size_t)(record->page_end - at) < record->parent_bytes + 8 + record->epoch_bytes)
		return;
	place.parent = big_endian(at, record->parent_bytes);
	at += record->parent_bytes;
	place.id = big_endian(at, 8);
	at += 8;
	place.epoch = record->epoch_bytes ? big_endian(at, record->epoch_bytes) : 1;
	at += record->epoch_bytes;
	if (plausible(&place) && gather(pages, n_frames, record, at, sealed))
		a->by_bytes += adversary_take(a, place, sealed, record->sealed_bytes);
}

/* The length of what is sealed, by its type, a big-endian number of 7 bits a byte: that of a row or
 * of a pack, or 0. */
static size_t sealed_length(const uint8_t *at, const uint8_t *end, size_t *ret_type_bytes)
{
	uint64_t type = 0;
	size_t n = 0;

	while (n < 3 && at + n < end && at[n] & 0x80)
		type = type << 7 | (at[n++] & 0x7f);
	if (n == 0 || n == 3 || at + n == end)
		return 0;
	type = type << 7 | at[n++];
	size_t len = type < 12 || type % 2 ? 0 : (size_t)(type - 12) / 2;
	*ret_type_bytes = n;
	if (len == SEALED_KEY_BYTES)
		return len;
	return len > NODE_PACK_OVERHEAD && len <= NODE_PACK_BYTES_MAX &&
					       (len - NODE_PACK_OVERHEAD) % NODE_PACK_CHILD_BYTES ==
							       0
			       ? len
			       : 0;
}

/* n_frames: what was written when the page was as it is here. */
static void scan_page(struct adversary *a, const struct pages *pages, size_t n_frames,
		const uint8_t *page)
{
	for (const uint8_t *at = page, *end = page + PAGE_BYTES; at + 1 < end; at++) {
		size_t type_bytes;
		if (*at != 1 && *at != 2 && *at != 9)
			continue;
		struct record record = {.page_end = end, .epoch_bytes = *at == 9 ? 0 : *at};
		record.sealed_bytes = sealed_length(at + 1, end, &type_bytes);
		if (record.sealed_bytes == 0)
			continue;
		record.types_end = at + 1 + type_bytes;
		record.head_bytes = 4 + type_bytes;
		for (size_t parent_bytes = 0; parent_bytes <= 8; parent_bytes += 8) {
			record.parent_bytes = parent_bytes;
			read_record(a, pages, n_frames, &record);
		}
	}
}

void adversary_scan(struct adversary *adversary, const struct adversary_file *database,
		const struct adversary_file *log)
{
	struct pages pages = {database, log};

	for (size_t at = 0; at + PAGE_BYTES <= database->len; at += PAGE_BYTES)
		scan_page(adversary, &pages, 0, database->bytes + at);
	for (size_t i = 0; i < frames(&pages); i++)
		scan_page(adversary, &pages, end_of(&pages, i) + 1,
				frame(&pages, i) + FRAME_HEADER);
}
