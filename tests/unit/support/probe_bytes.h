/* Whole files in memory, of any size, and what the probe says of them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/common/wire/probe_wire.h"

struct bytes {
	uint8_t *p;
	size_t len;
};

void bytes_free(struct bytes *bytes);
void bytes_add(struct bytes *bytes, const void *p, size_t len);

struct probe_result bytes_judge(const struct bytes *bytes);

/* Fails the test unless the probe says this, and a length between these two. */
void bytes_expect(const char *what, const struct bytes *bytes, enum probe_condition condition,
		uint64_t least, uint64_t most);
