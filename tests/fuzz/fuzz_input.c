/* Inputs in the shapes that targets need. See fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

uint8_t *fuzz_bytes(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	FUZZ_REQUIRE(copy);
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	FUZZ_REQUIRE(text);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

char *fuzz_field(const uint8_t **data, size_t *size, char separator)
{
	const uint8_t *end = *size > 0 ? memchr(*data, separator, *size) : NULL;
	size_t len = end ? (size_t)(end - *data) : *size, taken = end ? len + 1 : len;
	char *text = fuzz_text(*data, len);

	*data += taken;
	*size -= taken;
	return text;
}

uint8_t fuzz_byte(const uint8_t **data, size_t *size)
{
	if (*size == 0)
		return 0;
	--*size;
	return *(*data)++;
}

uint64_t fuzz_number(const uint8_t **data, size_t *size, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t)fuzz_byte(data, size) << (8 * i);
	return value;
}

int fuzz_file(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz-input", MFD_CLOEXEC);
	FUZZ_REQUIRE(fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	if (size > 0)
		FUZZ_REQUIRE(pwrite(fd, data, size, 0) == (ssize_t)size);
	return fd;
}
