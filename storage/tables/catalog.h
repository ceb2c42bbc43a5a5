/* Accounts, expiry groups and recordings. Personal data is in sealed blobs that this folder cannot
 * open. All writing happens in the caller's transaction. Ids are positive and never used again. */
#pragma once

#include "base/period.h"
#include "base/ulid.h"
#include "storage/tables/db.h"

#define CATALOG_HANDLE_BYTES 16
#define CATALOG_LOOKUP_BYTES 32
#define CATALOG_CLASS_BYTES  65
#define CATALOG_FORMAT_BYTES 33

/* What an erasure takes as a whole, from the widest to the narrowest: in this order, what covers
 * others comes before them. Stored, and written as numbers in the statements of this folder. */
enum erasure_kind {
	ERASE_ACCOUNT = 1,
	ERASE_GROUP,
	ERASE_RECORDING,
};

enum account_state {
	ACCOUNT_OPEN = 1,
	ACCOUNT_CLOSED,
	ACCOUNT_RESTRICTED,
	ACCOUNT_DELETED,
	ACCOUNT_QUARANTINE, /* the vault's own: what belongs to nobody yet */
};

struct account_row {
	int64_t id; /* 0 when not yet stored */
	uint8_t handle[CATALOG_HANDLE_BYTES];
	uint8_t lookup[CATALOG_LOOKUP_BYTES]; /* keyed hash of the name; zeros: given away */
	uint8_t look[CATALOG_LOOKUP_BYTES];   /* of what the name looks like; zeros: none */
	enum account_state state;
	int64_t created_us, deleted_us; /* deleted_us 0: not */
	uint64_t deleted_epoch;
	uint8_t *profile; /* sealed; NULL after deletion */
	size_t profile_bytes;
};

/* Visits the id of every account there is or was, in their order. */
int catalog_account_each_id(
		struct db *db, int (*visit)(void *context, int64_t account), void *context);

/* Stores a new account and sets its id. -EEXIST when handle or lookup are taken. */
int catalog_account_add(struct db *db, struct account_row *row);
/* Makes the account a tombstone: deleted, its profile and its look gone. 1 when there was nothing
 * to delete. */
int catalog_account_bury(struct db *db, int64_t id, int64_t now_us, uint64_t epoch);
/* A tombstone gives its lookup away, for a new account of the name. -ENOENT when it is no
 * tombstone, or has none. */
int catalog_account_give_name(struct db *db, int64_t id);
int catalog_account_set_profile(struct db *db, int64_t id, const void *sealed, size_t bytes);

/* 0, -ENOENT; -RE_ALTERED for a row that no keeper wrote. The caller frees with
 * catalog_account_clear(). */
int catalog_account_by_id(struct db *db, int64_t id, struct account_row *ret_row);
int catalog_account_by_lookup(struct db *db, const uint8_t lookup[static CATALOG_LOOKUP_BYTES],
		struct account_row *ret_row);
int catalog_account_by_handle(struct db *db, const uint8_t handle[static CATALOG_HANDLE_BYTES],
		struct account_row *ret_row);
/* Accounts with this look that live, altered ones not among them: the one with the least id above
 * after_id; and about how many there are. */
int catalog_account_next_alike(struct db *db, const uint8_t look[static CATALOG_LOOKUP_BYTES],
		int64_t after_id, struct account_row *ret_row);
int catalog_account_count_alike(
		struct db *db, const uint8_t look[static CATALOG_LOOKUP_BYTES], int64_t *ret_count);
/* The account with the least id above after_id, of those that were not altered. */
int catalog_account_next(struct db *db, int64_t after_id, struct account_row *ret_row);
void catalog_account_clear(struct account_row *row);

enum recording_state {
	RECORDING_SEALED = 1,
	RECORDING_QUARANTINED,
	RECORDING_HELD,
	RECORDING_PENDING,   /* erasure asked for, erasure point not reached */
	RECORDING_DESTROYED, /* by a shred */
	RECORDING_EXPIRED,   /* destroyed because its time was over */
	RECORDING_STATES,
};

/* What sealed_us and expires_us rest on. Stored. */
enum sealed_clock {
	SEALED_CLOCK_KNOWN,   /* the time was known; the tag of the object says the same */
	SEALED_CLOCK_UNKNOWN, /* nobody knew the time: a guess, as in the tag */
	SEALED_CLOCK_SET,     /* put right since (catalog_times.h); the tag keeps the guess */
};

/* What a recording is kept from. Stored. */
enum keep_from {
	KEEP_FROM_SEALED,
	KEEP_FROM_RECORDED,
};

struct recording_row {
	int64_t id; /* 0 when not yet stored */
	uint8_t ulid[ULID_BYTES];
	int64_t account, group;
	enum recording_state state;
	int condition; /* enum probe_condition */
	char class[CATALOG_CLASS_BYTES];
	char format[CATALOG_FORMAT_BYTES];
	int64_t recorded_us, sealed_us, expires_us;
	enum sealed_clock sealed_clock;
	int64_t counted_us; /* the time the vault had counted when it was sealed */
	struct period keep; /* of its class */
	enum keep_from keep_from;
	int64_t destroyed_us; /* 0: not */
	uint64_t destroyed_epoch;
	int64_t plain_bytes, sealed_bytes;
	int64_t frames; /* -1: not known */
	int64_t channels, sample_rate;
	uint8_t *private; /* sealed; NULL after destruction */
	size_t private_bytes;
	bool altered; /* no keeper wrote this row: nothing of it is to be believed */
};

/* Stores a new recording (id set), counts it, and remembers its source (CATALOG_LOOKUP_BYTES) for
 * good. A source says where to look for what a file was sealed as, and is no evidence: nothing is
 * removed or destroyed on its word. -EEXIST. */
int catalog_recording_add(struct db *db, struct recording_row *row,
		const uint8_t source[static CATALOG_LOOKUP_BYTES]);
/* Forgets which recording a source was sealed as; the next one may have it. */
int catalog_source_release(struct db *db, const uint8_t source[static CATALOG_LOOKUP_BYTES]);
/* Makes one recording a tombstone of this state, and queues its object for removal
 * (erasure_table.h). The tally is the caller's. */
int catalog_recording_bury(struct db *db, int64_t id, enum recording_state state, int64_t now_us,
		uint64_t epoch);
int catalog_recording_set_private(struct db *db, int64_t id, const void *sealed, size_t bytes);

/* All these give what is true of a recording (recording_now in schema.h), even while its own row
 * still waits for an erasure of its group or account to reach it (burial_table.h).
 *
 * 0, -ENOENT; -RE_ALTERED for a row that no keeper wrote. The caller frees with
 * catalog_recording_clear(). */
int catalog_recording_by_ulid(struct db *db, const uint8_t ulid[static ULID_BYTES],
		struct recording_row *ret_row);
int catalog_recording_by_source(struct db *db, const uint8_t source[static CATALOG_LOOKUP_BYTES],
		struct recording_row *ret_row);
int catalog_recording_exists(struct db *db, const uint8_t ulid[static ULID_BYTES]); /* 1, 0 */
int catalog_recording_ulid(struct db *db, int64_t id, uint8_t ret_ulid[static ULID_BYTES]);
/* The id of the newest recording; -ENOENT when there is none. */
int catalog_recording_newest(struct db *db, uint8_t ret_ulid[static ULID_BYTES]);
/* Gives one live recording to another account and group, in this state. The groups' members and the
 * keys are the caller's. -ENOENT. */
int catalog_recording_move(struct db *db, int64_t id, int64_t account, int64_t group,
		enum recording_state state);
void catalog_recording_clear(struct recording_row *row);

/* Pages through recordings in id order (the order of sealing), altered ones among them, in strides
 * of at most RECORDING_STRIDE rows, so that no call takes long, however few match. Zero fields of
 * the filter do not filter; since_us and until_us are about recorded_us, until exclusive. Returns
 * 0; -EAGAIN at the end of a stride: there may be more in the next; or -ENOENT at the end. After 0
 * and -EAGAIN the filter has moved on. */
#define RECORDING_STRIDE 2000
struct recording_filter {
	int64_t after_id;
	int64_t account;
	enum recording_state state;
	int64_t since_us, until_us;
	int64_t stride_end; /* the catalog's own; 0 to begin with */
};
int catalog_recording_next(
		struct db *db, struct recording_filter *filter, struct recording_row *ret_row);

/* Counts and plaintext bytes by state, kept up to date with every change. account 0: the whole
 * vault. Where they were altered, the recordings are counted once more. */
struct tally {
	int64_t count[RECORDING_STATES], plain_bytes[RECORDING_STATES];
};
int catalog_tally_get(struct db *db, int64_t account, struct tally *ret_tally);
/* Some recordings of one account. */
struct share {
	int64_t count, plain_bytes;
};
/* All whose keys there still are, pending ones too. */
struct share catalog_tally_live(const struct tally *tally);
/* Counts some of an account's (0: of the vault's) recordings elsewhere. */
int catalog_tally_add(struct db *db, int64_t account, enum recording_state state, int64_t count,
		int64_t plain_bytes);
int catalog_tally_move(struct db *db, int64_t account, enum recording_state from,
		enum recording_state to, const struct share *share);
/* Counts as pending what is live in the scope and is not pending yet, in the tallies of its account
 * and of the vault, and tells how much that was. Of an account no recording is read, of a group its
 * members. */
enum recording_scope { RECORDINGS_OF_ACCOUNT, RECORDINGS_OF_GROUP, RECORDING_ITSELF };
int catalog_tally_make_pending(struct db *db, enum recording_scope scope, int64_t account,
		int64_t id, struct share *ret_share);
/* 1 when a recording in the scope is held, 0 when none is. What is erased already is not held. */
int catalog_recording_any_held(struct db *db, enum recording_scope scope, int64_t id);
/* Oldest and newest recorded_us of the account's recordings that are not destroyed. Recordings
 * that are destroyed and not buried yet may lie before them by the thousand, so this is asked in
 * strides as well: 0 when both are found; -EAGAIN, go on with the same span; -ENOENT when there
 * are none. */
struct recording_span {
	int64_t account;
	int64_t oldest_us, newest_us;
	int64_t at_us, at_id; /* the catalog's own; 0 to begin with, like the rest */
	enum span_state { SPAN_BEGIN, SPAN_OLDEST, SPAN_NEWEST, SPAN_DONE } state;
};
int catalog_recording_span(struct db *db, struct recording_span *span);
/* Accounts by state: counts indexed by enum account_state. */
int catalog_account_tally(struct db *db, int64_t ret_count[static ACCOUNT_QUARANTINE + 1]);

/* Expiry groups: recordings of one account that expire within one bucket of time share a group, and
 * are erased together. catalog_group_for() finds one with room for another member or makes it
 * (*ret_created), and counts it in. */
#define GROUP_MEMBERS_MAX 256
int catalog_group_for(struct db *db, int64_t account, int64_t bucket, int64_t expires_us,
		int64_t *ret_group, bool *ret_created);
/* Groups all of whose members' time is over, soonest first, and their accounts. Left out are those
 * noted for erasure already (erasure_table.h) and those of accounts being buried, which take no new
 * members; and those with a member that is held. */
struct due_group {
	int64_t group, account;
};
int catalog_group_due(struct db *db, int64_t now_us, struct due_group *ret_groups, size_t max,
		size_t *ret_count);
/* Counts one member out. An empty group stays until it falls due. */
int catalog_group_leave(struct db *db, int64_t group);
/* Removes a group's row; 1 when there was none. */
int catalog_group_drop(struct db *db, int64_t group);
/* 1, 0; also for a row that was altered. */
int catalog_group_exists(struct db *db, int64_t group);
/* Whether a group of this account may expire, by what its row and those of its members say: 0;
 * -RE_ALTERED when its row or a member's was altered, or when it falls due before a member does;
 * -ENOENT when there is none. */
int catalog_group_check(struct db *db, int64_t account, int64_t group);
/* Up to max groups of an account. */
int catalog_group_some(
		struct db *db, int64_t account, int64_t *ret_groups, size_t max, size_t *ret_count);
/* When the next group falls due; -ENOENT when none will. */
int catalog_group_next_due(struct db *db, int64_t *ret_due_us);

/* The newest recording of the account whose id is below this one and which is not destroyed,
 * among the RECORDING_LOOK_BACK before it: behind them may be any number of destroyed ones. The
 * caller frees with catalog_recording_clear(). 0; -ENOENT; -errno. */
#define RECORDING_LOOK_BACK 256
int catalog_recording_before(
		struct db *db, int64_t account, int64_t id, struct recording_row *ret_row);

/* Puts right what only repeats what other rows say, where somebody altered it: tallies, counts of
 * accounts, the end of the audit chain, burials of accounts; and forgets altered notes about
 * mirrors. In a transaction of its own; costs nothing when row_mac_findings() names none of them. 1
 * when something was put right, 0 when not; *ret_tables (may be NULL) receives their names: "tally,
 * audit_end". */
int catalog_mend(struct db *db, char *ret_tables, size_t len);
