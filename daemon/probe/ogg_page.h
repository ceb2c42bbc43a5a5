/* One page of an Ogg file (RFC 3533 section 6), and the packets in it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OGG_PAGE_HEAD_BYTES 27
/* A head, up to 255 segment lengths, up to 255 segments of 255 bytes. */
#define OGG_PAGE_MAX_BYTES  ((size_t)OGG_PAGE_HEAD_BYTES + 255 + 255 * 255)
#define OGG_PAGE_NO_GRANULE INT64_C(-1) /* no packet ends on the page */

enum { OGG_PAGE_CONTINUED = 1, OGG_PAGE_BEGINS_STREAM = 2, OGG_PAGE_ENDS_STREAM = 4 };

enum ogg_page_state {
	OGG_PAGE_WHOLE, /* and its sum is right */
	OGG_PAGE_CUT,   /* it begins as one, and there are fewer bytes than it says */
	OGG_PAGE_NONE,  /* it is none, or its sum is wrong */
};

struct ogg_page {
	size_t bytes;
	uint8_t flags;
	int64_t granule;
	uint32_t serial, sequence;
	unsigned segments;
	const uint8_t *laces, *body; /* in the bytes it was read from */
};

/* ret_page is only set for a whole one. */
enum ogg_page_state ogg_page_read(const uint8_t *p, size_t len, struct ogg_page *ret_page);

/* The sum of a page of so many bytes, as its head is to have it at OGG_PAGE_SUM_AT. */
#define OGG_PAGE_SUM_AT 22
uint32_t ogg_page_sum(const uint8_t *p, size_t len);

/* Whether these bytes, however few, begin as a page does. */
bool ogg_page_begins(const uint8_t *p, size_t len);

/* A packet, or the part of one that is on the page. Zeroed before the first. */
struct ogg_packet {
	const uint8_t *bytes;
	size_t len;
	bool begins, ends; /* on this page */
	unsigned next_segment;
	size_t next_byte;
};

/* The next packet of the page; false when there are no more. */
bool ogg_page_packet(const struct ogg_page *page, struct ogg_packet *packet);
