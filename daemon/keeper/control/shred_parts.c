#include "daemon/keeper/control/shred_parts.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/keeper/control/view.h"
#include "daemon/keeper/vault/recordings.h"

#define STEP_ROWS 32 /* some milliseconds */

void shred_parts_clear(struct shred_parts *parts)
{
	recording_private_clear(&parts->of);
	json_decref(parts->list);
	parts->list = NULL;
}

int shred_parts_begin(struct shred_parts *parts, struct vault *vault,
		const struct recording_row *recording)
{
	*parts = (struct shred_parts){.recording = recording->id,
			.filter.account = recording->account,
			.until_us = monotonic_us() + PARTS_TIME_US,
			.list = json_array()};
	if (!parts->list)
		return -ENOMEM;
	int r = recordings_private(vault->root.tree, recording, &parts->of);
	/* What is damaged can be shredded all the same; nobody can tell its path. */
	if (r == -RE_CORRUPT || r == -RE_GONE) {
		parts->more = true;
		return 0;
	}
	return r;
}

static bool part_has_path(const struct shred_parts *parts, struct vault *vault,
		const struct recording_row *row)
{
	struct recording_private private = {0};

	if (recordings_private(vault->root.tree, row, &private) < 0)
		return false;
	bool same = private.spool && parts->of.spool &&
		    strcmp(private.spool, parts->of.spool) == 0 &&
		    private.path_len == parts->of.path_len && private.path_len > 0 &&
		    memcmp(private.path, parts->of.path, private.path_len) == 0;
	recording_private_clear(&private);
	return same;
}

static int part_add(struct shred_parts *parts, const struct recording_row *row)
{
	char id[ULID_TEXT_CHARS + 1];

	if (parts->n == PARTS_MAX) {
		parts->more = true;
		return 0;
	}
	ulid_format(row->ulid, id);
	json_t *part = json_pack("{s:s, s:o*, s:I}", "id", id, "recorded_at",
			view_time(row->recorded_us), "plaintext_bytes",
			(json_int_t)row->plain_bytes);
	if (json_array_append_new(parts->list, part) < 0)
		return -ENOMEM;
	parts->plain_bytes += row->plain_bytes;
	parts->items[parts->n++] = (struct erasure_item){.kind = ERASE_RECORDING,
			.cause = CAUSE_SHRED,
			.account = row->account,
			.group = row->group,
			.recording = row->id};
	return 0;
}

static int part_consider(
		struct shred_parts *parts, struct vault *vault, const struct recording_row *row)
{
	if (row->id == parts->recording || row->altered || !recording_is_live(row->state) ||
			!part_has_path(parts, vault, row))
		return 0;
	return part_add(parts, row);
}

int shred_parts_step(struct shred_parts *parts, struct vault *vault)
{
	if (!parts->of.path)
		return 0;
	for (int i = 0; i < STEP_ROWS; i++) {
		struct recording_row row;
		int r = catalog_recording_next(vault->db, &parts->filter, &row);
		if (r < 0)
			return r == -EAGAIN ? 1 : r == -ENOENT ? 0 : r;
		r = part_consider(parts, vault, &row);
		catalog_recording_clear(&row);
		if (r < 0)
			return r;
	}
	if (monotonic_us() < parts->until_us)
		return 1;
	parts->more = true;
	return 0;
}
