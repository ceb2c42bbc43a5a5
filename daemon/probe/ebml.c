#include "daemon/probe/ebml.h"

#include <string.h>

#include "base/bytes.h"

/* In a head, where a few are to be expected: a loop over a hostile one comes to an end. */
#define ELEMENTS_MAX 1024

/* The bytes of a variable-length integer by its first byte; 0: none. */
static size_t vint_bytes(uint8_t first)
{
	size_t bytes = 1;

	for (uint8_t bit = 0x80; bit != 0; bit >>= 1, bytes++) {
		if (first & bit)
			return bytes;
	}
	return 0;
}

size_t ebml_vint(const uint8_t *p, size_t len, uint64_t *ret_value)
{
	size_t bytes = len > 0 ? vint_bytes(p[0]) : 0;
	uint64_t value = 0;

	if (bytes == 0 || bytes > len)
		return 0;
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | p[i];
	*ret_value = value & ((UINT64_C(1) << (7 * bytes)) - 1);
	return bytes;
}

int ebml_read(struct source *source, uint64_t at, struct ebml_element *ret_element)
{
	uint8_t p[EBML_HEAD_BYTES];
	size_t n = source_read(source, p, sizeof(p), at);
	size_t id_bytes = n > 0 ? vint_bytes(p[0]) : 0;
	struct ebml_element element = {.head_at = at};

	if (n == 0)
		return 1;
	if (id_bytes == 0 || id_bytes > 4)
		return 2;
	if (n <= id_bytes)
		return 1;
	if (p[id_bytes] == 0)
		return 2;
	size_t size_bytes = ebml_vint(p + id_bytes, n - id_bytes, &element.size);
	if (size_bytes == 0)
		return 1;
	for (size_t i = 0; i < id_bytes; i++)
		element.id = element.id << 8 | p[i];
	if (element.size == (UINT64_C(1) << (7 * size_bytes)) - 1)
		element.size = EBML_SIZE_UNKNOWN;
	element.at = at + id_bytes + size_bytes;
	element.begin_bytes = n - id_bytes - size_bytes;
	memcpy(element.begin, p + id_bytes + size_bytes, element.begin_bytes);
	*ret_element = element;
	return 0;
}

uint64_t ebml_end(const struct ebml_element *element)
{
	return element->size < UINT64_MAX - element->at ? element->at + element->size : UINT64_MAX;
}

uint64_t ebml_uint(struct source *source, const struct ebml_element *element)
{
	uint8_t p[8];
	uint64_t value = 0;

	if (element->size > sizeof(p) ||
			source_read(source, p, (size_t)element->size, element->at) < element->size)
		return 0;
	for (size_t i = 0; i < element->size; i++)
		value = value << 8 | p[i];
	return value;
}

double ebml_float(struct source *source, const struct ebml_element *element)
{
	uint64_t bits = ebml_uint(source, element);
	uint32_t short_bits = (uint32_t)bits;
	double value = 0;
	float short_value;

	if (element->size == sizeof(value)) {
		memcpy(&value, &bits, sizeof(value));
	} else if (element->size == sizeof(short_value)) {
		memcpy(&short_value, &short_bits, sizeof(short_value));
		value = (double)short_value;
	}
	return value;
}

void ebml_each(struct source *source, uint64_t at, uint64_t end,
		void (*take)(struct source *source, const struct ebml_element *element,
				void *context),
		void *context)
{
	struct ebml_element element;

	for (unsigned n = 0; n < ELEMENTS_MAX && at < end; n++) {
		if (ebml_read(source, at, &element) != 0 || ebml_end(&element) > end)
			return;
		take(source, &element, context);
		at = ebml_end(&element);
	}
}
