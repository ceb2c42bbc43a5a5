/* The mirrors of the root: where else it is kept, or was. All writing is in the caller's
 * transaction.
 *
 * A row is there before its location holds a root, and goes only after that root was overwritten:
 * there is never a copy that nobody knows of. Only the row can say that a location is empty: where
 * the medium is not mounted, the location looks empty too. */
#pragma once

#include "storage/root/root_set.h"
#include "storage/tables/db.h"

enum mirror_kind {
	MIRROR_FILE = 1, /* location: a directory */
	MIRROR_TPM2,     /* location: a device or TCTI */
};

enum mirror_state {
	MIRROR_IN_USE = 1,
	MIRROR_UNSETTLED, /* being added or removed: may hold the root, and is not relied on */
	MIRROR_GIVEN_UP,  /* dropped while it was away: holds the root of given_up_epoch */
	MIRROR_EMPTY,     /* being made or removed: holds no root yet, or none any more */
};

struct mirror_row {
	int64_t id;                 /* 0 when not yet stored; never used again */
	char name[ROOT_NAME_BYTES]; /* [a-z0-9_-]+ */
	enum mirror_kind kind;
	char location[ROOT_LOCATION_BYTES];
	enum mirror_state state;
	char assurance[ROOT_NAME_BYTES]; /* last known label */
	int64_t added_us;
	int64_t away_us; /* since when it is away; 0: it is not */
	int64_t given_up_us;
	uint64_t given_up_epoch;
	bool altered; /* no keeper wrote this row: its location is not to be written to */
};

/* Stores a new row, and sets its id; or, when it has one, under that, which mirror_table_knows()
 * not. */
int mirror_table_add(struct db *db, struct mirror_row *row);
/* Whether a row with this id is there or ever was: 1, 0. */
int mirror_table_knows(struct db *db, int64_t id);
int mirror_table_put(struct db *db, const struct mirror_row *row);
int mirror_table_remove(struct db *db, int64_t id);
/* 0, -ENOENT; -RE_ALTERED. */
int mirror_table_by_id(struct db *db, int64_t id, struct mirror_row *ret_row);
/* The newest of this name that is in this state. 0, -ENOENT; -RE_ALTERED. */
int mirror_table_find(struct db *db, const char *name, enum mirror_state state,
		struct mirror_row *ret_row);
/* All, altered ones too, in the order they were added: an array to free(). */
int mirror_table_list(struct db *db, struct mirror_row **ret_rows, size_t *ret_count);

/* Since when the keeper's own root is away; 0: it is not. */
int mirror_table_main_away(struct db *db, int64_t *ret_away_us);
int mirror_table_set_main_away(struct db *db, int64_t away_us);

/* The epoch in which the places of the root changed last, by the caller; 0: never. As long as it is
 * the present one, an epoch is owed: with it, what was taken out of the set is of the past. */
int mirror_table_set_changed(struct db *db, uint64_t epoch);
int mirror_table_get_changed(struct db *db, uint64_t *ret_epoch);

/* Whether a copy was given up that holds the root of this epoch: 1, 0. */
int mirror_table_any_given_up(struct db *db, uint64_t epoch);
/* The fresh keys that keep it from what is sealed later could not be made: it counts as of the next
 * epoch, which tries that again. */
int mirror_table_postpone_given_up(struct db *db, uint64_t epoch);
/* No expiry group that there is takes a new member any more. */
int mirror_table_close_groups(struct db *db);

/* The top digest (struct root_record) of a stage that was given up while a member was away: should
 * it come back with the root of that stage, that one is void. NULL: none. get: 1, or 0 for none. */
int mirror_table_set_void(struct db *db, const uint8_t *digest);
int mirror_table_get_void(struct db *db, uint8_t ret_digest[static DB_DIGEST_BYTES]);
