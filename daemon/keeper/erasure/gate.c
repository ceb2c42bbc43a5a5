#include "daemon/keeper/erasure/gate.h"

#include <errno.h>
#include <inttypes.h>

#include "base/error.h"

static int gate_check_account(struct db *db, int64_t id, struct reason *reason)
{
	struct account_row row;
	struct tally tally;
	int r = catalog_account_by_id(db, id, &row);

	if (r < 0)
		return r;
	enum account_state state = row.state;
	catalog_account_clear(&row);
	if (state == ACCOUNT_QUARANTINE)
		return reason_set(reason, -RE_REFUSED,
				"the quarantine is not an account; shred its recordings one by "
				"one");
	/* One hold protects the account: the keys of its recordings hang below one key. */
	r = catalog_recording_any_held(db, RECORDINGS_OF_ACCOUNT, id);
	if (r <= 0)
		return r;
	r = catalog_tally_get(db, id, &tally);
	return r < 0 ? r
		     : reason_set(reason, -RE_REFUSED,
				       "a legal hold is on %" PRId64 " of the account's recordings",
				       tally.count[RECORDING_HELD]);
}

int gate_check_item(struct db *db, const struct erasure_item *item, struct reason *reason)
{
	int held = 0;

	switch (item->kind) {
	case ERASE_ACCOUNT:
		return gate_check_account(db, item->account, reason);
	case ERASE_GROUP:
		held = catalog_recording_any_held(db, RECORDINGS_OF_GROUP, item->group);
		return held <= 0 ? held
				 : reason_set(reason, -RE_REFUSED,
						   "a legal hold is on recordings that expire "
						   "together with it");
	case ERASE_RECORDING:
		held = catalog_recording_any_held(db, RECORDING_ITSELF, item->recording);
		return held <= 0 ? held
				 : reason_set(reason, -RE_REFUSED,
						   "a legal hold is on the recording");
	}
	return -EINVAL;
}

int gate_check_former(struct db *db, const struct former_node *former, struct reason *reason)
{
	struct recording_row row;
	uint8_t ulid[ULID_BYTES];
	int r = catalog_recording_ulid(db, former->recording, ulid);

	if (r == 0)
		r = catalog_recording_by_ulid(db, ulid, &row);
	if (r < 0)
		return r;
	/* The catalog says where the key belongs now. At its former path it is a leftover. */
	bool here = row.account == former->account && row.group == former->group;
	catalog_recording_clear(&row);
	return here ? reason_set(reason, -RE_REFUSED,
				      "the recording was not moved: its only key would be erased")
		    : 0;
}

int gate_check_burial(struct db *db, const struct burial *burial, struct reason *reason)
{
	struct account_row row;
	bool dead = false;
	int r = 0;

	if (burial->kind == ERASE_ACCOUNT) {
		r = catalog_account_by_id(db, burial->id, &row);
		dead = r == 0 && row.state == ACCOUNT_DELETED;
		if (r == 0)
			catalog_account_clear(&row);
	} else {
		r = catalog_group_exists(db, burial->id);
		dead = r == 0;
		r = r < 0 ? r : 0;
	}
	if (r < 0)
		return r;
	return dead ? 0
		    : reason_set(reason, -RE_REFUSED,
				      "keeper.db says to clear away %s %" PRId64
				      ", which was not destroyed: the database was altered",
				      burial->kind == ERASE_ACCOUNT ? "account" : "expiry group",
				      burial->id);
}

int gate_check_object(struct db *db, const uint8_t ulid[static ULID_BYTES], struct reason *reason)
{
	char text[ULID_TEXT_CHARS + 1];
	struct recording_row row;
	int r = catalog_recording_by_ulid(db, ulid, &row);

	if (r < 0)
		return r;
	enum recording_state state = row.state;
	catalog_recording_clear(&row);
	if (state == RECORDING_DESTROYED || state == RECORDING_EXPIRED)
		return 0;
	ulid_format(ulid, text);
	return reason_set(reason, -RE_REFUSED,
			"keeper.db says to remove the object of recording %s, which was not "
			"destroyed: the database was altered",
			text);
}
