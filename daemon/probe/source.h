/* The file under judgement: bounded reads at any offset, without moving the descriptor's position
 * (which the sender shares). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A judgement is not to take long whatever the file's size: past this many bytes the file reads as
 * if it ended. A header needs some thousands; the rest is for files that have to be passed block by
 * block, such as a stream of WebM: some ten hours of audio. */
#define SOURCE_BUDGET_BYTES (UINT64_C(32) << 20)

struct source {
	int fd; /* borrowed */
	uint64_t size_bytes;
	uint64_t budget_bytes; /* what may still be read */
	int error;             /* the first read error, -errno, or -EFBIG when the budget ran out */
};

/* Learns the size. -ENOTSUP for what is not a regular file; -errno. */
int source_init(int fd, struct source *ret_source);

/* Reads up to len bytes at offset and returns how many; short at the end of the file and on any
 * error, which source->error then keeps. */
size_t source_read(struct source *source, void *buf, size_t len, uint64_t offset);

/* Where the zeros begin that end at `to`; not before `from`, and `to` itself when there are none.
 * Looks at a few pieces only: zeros that others follow go unseen. */
uint64_t source_zeros_before(struct source *source, uint64_t from, uint64_t to);
