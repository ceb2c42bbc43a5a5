/* Rows as the control interface shows them. Private data is opened while its keys live, and absent
 * when they are gone. All text is printable. */
#pragma once

#include <jansson.h>

#include "daemon/keeper/open/vault.h"

/* The account looked at last: most recordings of a page are of one account. Zero to begin with. */
struct view_account_cache {
	int64_t id;
	char handle[ULID_TEXT_CHARS + 1];
	char *name; /* NULL: not readable any more */
};
void view_account_cache_clear(struct view_account_cache *cache);

/* The interface's types Recording and Account. Private data that is damaged is left out, and noted
 * as the vault's last problem. -errno, -RE_*. */
int view_recording(struct vault *vault, const struct recording_row *row,
		struct view_account_cache *cache, json_t **ret_view);
/* Adds what lay beside the recording, for one that is looked at by itself. */
int view_add_sidecars(struct vault *vault, const struct recording_row *row, json_t *view);
int view_account(struct vault *vault, const struct account_row *row, json_t **ret_view);

/* An account's printable name; 0 and NULL when it is not readable. free() it. */
int view_account_name(struct vault *vault, const struct account_row *row, char **ret_name);

/* Counts by name of state: [string]int. NULL when out of memory. */
json_t *view_recording_counts(const struct tally *tally);
json_t *view_account_counts(const int64_t count[static ACCOUNT_QUARANTINE + 1]);

/* A time as RFC 3339; NULL for 0 (none). */
json_t *view_time(int64_t t_us);

/* Text of uncertain origin, made printable; NULL for NULL. */
json_t *view_text(const char *text);
