/* What the tests of crypto share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"

/* Group setup: libsodium ready. */
static inline int crypto_setup(void **state)
{
	return sodium_init() < 0 ? -1 : 0;
}

/* The same bytes for the same number, on every run. */
static inline void fill(void *bytes, size_t len, uint8_t number)
{
	const uint8_t seed[randombytes_SEEDBYTES] = {number};

	randombytes_buf_deterministic(bytes, len, seed);
}

/* Decodes hex that must be right; returns its length in bytes. */
static inline size_t from_hex(const char *hex, uint8_t *bytes, size_t max)
{
	size_t n;

	assert_int_equal(sodium_hex2bin(bytes, max, hex, strlen(hex), NULL, &n, NULL), 0);
	assert_int_equal(n * 2, strlen(hex));
	return n;
}

/* An anonymous file with these bytes, positioned at its start. */
static inline int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("crypto-test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(io_pwrite_all(fd, bytes, len, 0), 0);
	return fd;
}
