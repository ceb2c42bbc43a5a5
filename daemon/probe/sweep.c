#include "daemon/probe/sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

int sweep_start(struct source *source, struct sweep *ret_sweep)
{
	uint8_t *window = malloc(SWEEP_WINDOW_BYTES);

	if (!window)
		return -ENOMEM;
	*ret_sweep = (struct sweep){
			.source = source, .window = window, .left_bytes = SWEEP_MAX_BYTES};
	return 0;
}

void sweep_end(struct sweep *sweep)
{
	free(sweep->window);
	sweep->window = NULL;
}

/* Reads a new window from the offset on. What the source may still read stays as it was. */
static void window_fill(struct sweep *sweep, uint64_t offset)
{
	size_t want = SWEEP_WINDOW_BYTES;
	uint64_t budget_bytes = sweep->source->budget_bytes;

	if (want > sweep->left_bytes)
		want = (size_t)sweep->left_bytes;
	sweep->source->budget_bytes = want;
	sweep->at = offset;
	sweep->len = source_read(sweep->source, sweep->window, want, offset);
	sweep->source->budget_bytes = budget_bytes;
	sweep->left_bytes -= sweep->len;
	if (sweep->left_bytes == 0)
		sweep->gave_up = true;
}

const uint8_t *sweep_at(struct sweep *sweep, uint64_t offset, size_t least, size_t *ret_len)
{
	uint64_t end = sweep->at + sweep->len, size = sweep->source->size_bytes;

	if (offset >= size) {
		*ret_len = 0;
		return sweep->window;
	}
	if (least > size - offset)
		least = (size_t)(size - offset);
	if (offset < sweep->at || offset > end || end - offset < least)
		window_fill(sweep, offset);
	*ret_len = (size_t)(sweep->at + sweep->len - offset);
	return sweep->window + (offset - sweep->at);
}

bool sweep_all_zero(struct source *source, uint64_t offset)
{
	_cleanup_(sweep_end) struct sweep sweep = {.window = NULL};

	if (sweep_start(source, &sweep) < 0)
		return false;
	while (offset < source->size_bytes && !sweep.gave_up) {
		size_t len;
		const uint8_t *p = sweep_at(&sweep, offset, 1, &len);
		for (size_t i = 0; i < len; i++) {
			if (p[i] != 0)
				return false;
		}
		if (len == 0)
			return false;
		offset += len;
	}
	return !sweep.gave_up;
}

/* The offset in these bytes; len when it is not there. */
static size_t find_magic(const uint8_t *p, size_t len, const char magic[static 4],
		const char type[static 4], size_t type_at)
{
	const uint8_t *found = p;

	while ((found = memmem(found, len - (size_t)(found - p), magic, 4))) {
		size_t at = (size_t)(found - p);
		if (len - at >= type_at + 4 && memcmp(found + type_at, type, 4) == 0)
			return at;
		found++;
	}
	return len;
}

uint64_t sweep_find_magic(struct source *source, uint64_t at, const char magic[static 4],
		const char type[static 4], size_t type_at)
{
	_cleanup_(sweep_end) struct sweep sweep = {.window = NULL};
	size_t least = type_at + 4, len = least;

	if (sweep_start(source, &sweep) < 0)
		return 0;
	while (len >= least) {
		const uint8_t *p = sweep_at(&sweep, at, least, &len);
		size_t found = find_magic(p, len, magic, type, type_at);
		if (found < len)
			return at + found;
		/* It may begin in the last bytes here. */
		at += len - (least - 1);
	}
	return 0;
}
