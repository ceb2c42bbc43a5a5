/* A bounded memory of keys that were seen: forgets the oldest half when full, never grows.
 *
 * Two generations of a table of 64-bit keyed hashes (SipHash-2-4 under a random key, so that names
 * chosen by a stranger cannot be made to collide). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct seen;

/* Remembers at least the last `capacity` (a power of two) keys. NULL when out of memory. */
struct seen *seen_new(size_t capacity);
struct seen *seen_free(struct seen *seen);

bool seen_has(const struct seen *seen, const void *key, size_t len);

/* Remembers the key. Returns whether it was remembered already. */
bool seen_add(struct seen *seen, const void *key, size_t len);
