/* Elements of EBML (RFC 8794), the outer form of Matroska and WebM: an id, a size, content. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/probe/source.h"

#define EBML_SIZE_UNKNOWN UINT64_MAX
#define EBML_HEAD_BYTES   12 /* the most: an id of up to 4 bytes, a size of up to 8 */

struct ebml_element {
	uint32_t id;
	uint64_t head_at, at; /* of its head, of its content */
	uint64_t size;        /* of its content; EBML_SIZE_UNKNOWN: it ends where another begins */
	/* The first bytes of the content that came with the head, which saves another read. */
	uint8_t begin[EBML_HEAD_BYTES];
	size_t begin_bytes;
};

/* The element whose head begins there. 0; 1 when the file ends within the head; 2 when the bytes
 * are no head. */
int ebml_read(struct source *source, uint64_t at, struct ebml_element *ret_element);

/* Where it ends; UINT64_MAX when it does not say, or says more than any file has. */
uint64_t ebml_end(const struct ebml_element *element);

/* A variable-length integer without its marker (section 4). Returns its bytes; 0 for none. */
size_t ebml_vint(const uint8_t *p, size_t len, uint64_t *ret_value);

/* Its content as a number; 0 for content that is no such number. */
uint64_t ebml_uint(struct source *source, const struct ebml_element *element);
double ebml_float(struct source *source, const struct ebml_element *element);

/* Calls take() for the elements from `at` to `end`, and stops at the first that does not lie wholly
 * between them. */
void ebml_each(struct source *source, uint64_t at, uint64_t end,
		void (*take)(struct source *source, const struct ebml_element *element,
				void *context),
		void *context);
