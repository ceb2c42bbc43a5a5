#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/common/config/config_parse.h"
#include "daemon/common/config/config_path.h"
#include "daemon/common/event.h"
#include "daemon/keeper/root/mirror_place.h"
#include "daemon/keeper/root/mirrors.h"
#include "daemon/keeper/root/root_place.h"
#include "storage/tables/audit.h"

static int failed(int r, char why[static ROOT_TROUBLE_BYTES])
{
	return r < 0 && !*why ? mirror_say(r, why, "%s", error_text(r)) : r;
}

/* One change of the table, and its record, in a transaction. */

enum change { CHANGE_ADD, CHANGE_PUT, CHANGE_REMOVE };

static int apply(struct vault *vault, struct mirror_row *row, enum change change)
{
	switch (change) {
	case CHANGE_ADD:
		return mirror_table_add(vault->db, row);
	case CHANGE_PUT:
		return mirror_table_put(vault->db, row);
	case CHANGE_REMOVE:
		break;
	}
	return mirror_table_remove(vault->db, row->id);
}

static int record(struct vault *vault, struct mirror_row *row, enum change change,
		const struct mirror_order *order, const char *action)
{
	const struct audit_record audit = {.at_us = clock_now_us(&vault->clock),
			.uid = order->uid,
			.action = action,
			.subject = row->name,
			.reason = order->reason,
			.epoch = vault_epoch(vault)};
	int r = db_begin(vault->db);

	if (r == 0)
		r = apply(vault, row, change);
	if (r == 0)
		r = audit_append(vault->db, &audit);
	if (r == 0)
		r = db_commit(vault->db);
	if (r < 0) {
		db_rollback(vault->db);
		return r;
	}
	event_log(LOG_NOTICE, EVENT_PLAIN, NULL, "%s: %s (%s), by uid %u", action, row->name,
			row->location, (unsigned)order->uid);
	return 0;
}

static size_t member_of(const struct vault *vault, int64_t id)
{
	size_t i = 0;

	while (i < vault->root->n && vault->root->member[i].id != id)
		i++;
	return i;
}

static int add_member(struct vault *vault, const struct mirror_row *row,
		struct root_provider *provider, const char *trouble)
{
	struct root_member member = {.id = row->id,
			.assurance = root_assurance_label(row->assurance),
			.away_us = row->away_us,
			.provider = provider};

	snprintf(member.name, sizeof(member.name), "%s", row->name);
	snprintf(member.location, sizeof(member.location), "%s", row->location);
	snprintf(member.why_away.text, sizeof(member.why_away.text), "%s", trouble);
	return root_set_add(vault->root, &member);
}

/* Adding. */

static int check_new(struct vault *vault, const struct mirror_order *order,
		char why[static ROOT_TROUBLE_BYTES])
{
	const char *required = vault->config->require_assurance;
	char path[ROOT_LOCATION_BYTES + 16];
	struct stat st;

	if (!config_name_valid(order->name) || strcmp(order->name, MIRROR_MAIN) == 0)
		return mirror_say(-RE_REFUSED, why,
				"%s cannot be the name of a mirror: use 1 to 64 of a-z, 0-9, _ and -, and "
				"not " MIRROR_MAIN,
				order->name);
	if (vault->root->n == ROOT_MEMBERS_MAX)
		return mirror_say(
				-RE_REFUSED, why, "there are %d places already", ROOT_MEMBERS_MAX);
	if (order->kind == MIRROR_TPM2)
		return 0;
	if (required && root_assurance_rank("file") < root_assurance_rank(required))
		return mirror_say(-RE_REFUSED, why,
				"a mirror in a file would weaken the assurance below RequireAssurance=%s",
				required);
	if (*order->place != '/')
		return mirror_say(-RE_REFUSED, why, "give the directory with its whole path");
	snprintf(path, sizeof(path), "%s/root.slots", order->place);
	/* Before anything is on record: what is there already is somebody else's. */
	return lstat(path, &st) == 0
			       ? mirror_say(-EEXIST, why, "there is a root.slots in %s already",
						 order->place)
			       : 0;
}

/* The present root goes into the fresh place. */
static int fill(struct vault *vault, struct root_provider *provider)
{
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);
	struct root_member member = {.assurance = provider->assurance, .provider = provider};
	struct root_set *alone = root_set_new();
	int r = image && alone ? mirrors_image(vault, image) : -ENOMEM;

	if (r == 0)
		r = root_set_add(alone, &member);
	if (r == 0)
		r = root_set_put(alone, 0, vault->root_slot, image);
	if (r == 0)
		r = root_set_clear(alone, 0, 1 - vault->root_slot);
	if (alone && alone->n > 0)
		(void)root_set_take(alone, 0); /* it stays the caller's */
	root_set_free(alone);
	return r;
}

static bool is_too_weak(const struct vault *vault, const struct root_provider *provider)
{
	const char *required = vault->config->require_assurance;

	return required && root_assurance_rank(provider->assurance) < root_assurance_rank(required);
}

/* The place is made, filled and relied on; or it is gone again; or, where that failed, it is a
 * member that is away. */
static int settle_new(struct vault *vault, struct mirror_row *row, const struct mirror_order *order,
		char why[static ROOT_TROUBLE_BYTES])
{
	char trouble[ROOT_TROUBLE_BYTES] = "";
	struct root_provider *provider = NULL;
	int r = mirror_place_create(vault, row, why, &provider);

	if (r < 0) {
		(void)record(vault, row, CHANGE_REMOVE, order, "root mirror not added");
		return failed(r, why);
	}
	if (is_too_weak(vault, provider))
		r = mirror_say(-RE_REFUSED, why, "its assurance is %s; RequireAssurance=%s",
				provider->assurance, vault->config->require_assurance);
	if (r == 0)
		r = mirror_place_note(vault, row, MIRROR_UNSETTLED);
	if (r == 0)
		r = fill(vault, provider);
	if (r == 0) {
		row->state = MIRROR_IN_USE;
		snprintf(row->assurance, sizeof(row->assurance), "%s", provider->assurance);
		r = record(vault, row, CHANGE_PUT, order, "root mirror in use");
	}
	if (r == 0)
		r = add_member(vault, row, provider, "");
	if (r == 0)
		return 0;
	failed(r, why);
	root_provider_free(provider);
	if (mirror_place_retire(vault, row, trouble) == 0)
		(void)record(vault, row, CHANGE_REMOVE, order, "root mirror not added");
	else if (row->state != MIRROR_EMPTY && add_member(vault, row, NULL, trouble) < 0)
		vault->stuck = true;
	return r;
}

int mirror_add_new(struct vault *vault, const struct mirror_order *order,
		char why[static ROOT_TROUBLE_BYTES])
{
	struct mirror_row row = {.kind = order->kind,
			.state = MIRROR_EMPTY,
			.assurance = "file",
			.added_us = clock_now_us(&vault->clock)};

	*why = '\0';
	int r = check_new(vault, order, why);
	for (size_t i = 0; i < vault->root->n && r == 0; i++) {
		if (strcmp(vault->root->member[i].name, order->name) == 0)
			r = mirror_say(-EEXIST, why, "there is a root mirror %s already",
					order->name);
	}
	if (r < 0)
		return r;
	snprintf(row.name, sizeof(row.name), "%s", order->name);
	snprintf(row.location, sizeof(row.location), "%s", order->place);
	r = record(vault, &row, CHANGE_ADD, order, "add root mirror");
	if (r == 0)
		r = settle_new(vault, &row, order, why);
	return failed(r, why);
}

/* Dropping. */

/* The mirror is there: on record as unsettled, overwritten, removed, forgotten. */
static int overwrite(struct vault *vault, struct mirror_row *row, const struct mirror_order *order,
		char why[static ROOT_TROUBLE_BYTES])
{
	size_t i = member_of(vault, row->id);

	row->state = MIRROR_UNSETTLED;
	int r = record(vault, row, CHANGE_PUT, order, "drop root mirror");
	if (r < 0)
		return r;
	if (i < vault->root->n)
		root_provider_free(root_set_take(vault->root, i));
	r = mirror_place_retire(vault, row, why);
	if (r == 0)
		return record(vault, row, CHANGE_REMOVE, order, "root mirror overwritten");
	if (row->state != MIRROR_EMPTY && add_member(vault, row, NULL, why) < 0)
		vault->stuck = true;
	return r;
}

static int check_limit(const struct vault *vault, const struct root_member *member,
		char why[static ROOT_TROUBLE_BYTES])
{
	int64_t limit_us = vault->config->away_limit_us;
	int64_t left_us = member->away_us + limit_us - clock_now_us(&vault->clock);

	if (member->away_us != 0 && left_us <= 0)
		return 0;
	return mirror_say(-RE_REFUSED, why,
			"%s is away (%.120s) and holds the root: bring it back, or give it up in %" PRId64
			" hours (AwayLimit=)",
			member->name, member->why_away.text, left_us / (3600 * US_PER_S) + 1);
}

static int give_up(struct vault *vault, size_t i, struct mirror_row *row,
		const struct mirror_order *order, char why[static ROOT_TROUBLE_BYTES])
{
	int r = check_limit(vault, &vault->root->member[i], why);

	if (r < 0)
		return r;
	row->state = MIRROR_GIVEN_UP;
	row->given_up_us = clock_now_us(&vault->clock);
	row->given_up_epoch = vault_epoch(vault);
	r = record(vault, row, CHANGE_PUT, order, "give up root mirror");
	if (r == 0)
		(void)root_set_take(vault->root, i);
	return r;
}

static int drop_member(struct vault *vault, size_t i, const struct mirror_order *order,
		char why[static ROOT_TROUBLE_BYTES])
{
	const struct root_member *member = &vault->root->member[i];
	struct mirror_row row;
	int r = mirror_table_by_id(vault->db, member->id, &row);

	if (r < 0)
		return r;
	if (root_set_present(vault->root) < (member->provider ? 2 : 1))
		return mirror_say(-RE_REFUSED, why,
				"no other place of the root than %s can be reached", member->name);
	if (!member->provider)
		return give_up(vault, i, &row, order, why);
	return overwrite(vault, &row, order, why);
}

/* The oldest of that name: the other is what replaces it. */
static size_t find_member(const struct vault *vault, const char *name)
{
	size_t i = 1;

	while (i < vault->root->n && strcmp(vault->root->member[i].name, name) != 0)
		i++;
	return i;
}

/* Where one was given up, another may be by now. */
static int check_not_in_use(struct vault *vault, const struct mirror_row *row,
		char why[static ROOT_TROUBLE_BYTES])
{
	char ignored[ROOT_TROUBLE_BYTES];

	for (size_t i = 0; i < vault->root->n && row->kind == MIRROR_FILE; i++) {
		const struct root_member *member = &vault->root->member[i];
		if (member->provider && root_assurance_rank(member->assurance) == 0 &&
				mirror_place_check(vault, row, member->provider, ignored) == 0)
			return mirror_say(-RE_REFUSED, why,
					"%.120s is where the root mirror %s is now, not the one that was "
					"given up there",
					row->location, member->name);
	}
	return 0;
}

/* One of this name that was given up: if there is any that is back, that one. 0, also when it is
 * not back, with why; -ENOENT. */
static int find_given_up(struct vault *vault, const char *name, struct mirror_row *ret_row,
		char why[static ROOT_TROUBLE_BYTES], bool *ret_back)
{
	_cleanup_free_ struct mirror_row *rows = NULL;
	size_t n = 0;
	int r = mirror_table_list(vault->db, &rows, &n);
	bool found = false;

	*ret_back = false;
	for (size_t i = 0; i < n && r == 0 && !*ret_back; i++) {
		if (rows[i].state != MIRROR_GIVEN_UP || strcmp(rows[i].name, name) != 0)
			continue;
		found = true;
		*ret_row = rows[i];
		*ret_back = check_not_in_use(vault, &rows[i], why) == 0 &&
			    mirror_place_is_back(vault, &rows[i], why) == 0;
	}
	return r < 0 ? r : found ? 0 : -ENOENT;
}

/* A copy that was given up and is back goes before one in use under the same name: that may have
 * replaced it, and must not be taken for it. */
int mirror_drop(struct vault *vault, const struct mirror_order *order,
		char why[static ROOT_TROUBLE_BYTES])
{
	char absent[ROOT_TROUBLE_BYTES] = "";
	struct mirror_row row;
	bool back;

	*why = '\0';
	if (strcmp(order->name, MIRROR_MAIN) == 0)
		return mirror_say(-RE_REFUSED, why,
				"the keeper's own place cannot be dropped; replace it when it is lost");
	(void)mirrors_ready(vault);
	size_t i = find_member(vault, order->name);
	int r = find_given_up(vault, order->name, &row, absent, &back);
	if (r < 0 && r != -ENOENT)
		return failed(r, why);
	if (!back && i < vault->root->n)
		return failed(drop_member(vault, i, order, why), why);
	if (!back)
		return r < 0 ? mirror_say(r, why, "there is no root mirror %s", order->name)
			     : mirror_say(-RE_REFUSED, why, "%s", absent);
	r = mirror_place_retire(vault, &row, why);
	if (r == 0)
		r = record(vault, &row, CHANGE_REMOVE, order, "root mirror overwritten");
	return failed(r, why);
}

/* Replacing. */

static int replace_mirror(struct vault *vault, const struct mirror_order *order,
		char why[static ROOT_TROUBLE_BYTES])
{
	size_t i = find_member(vault, order->name);
	struct mirror_row row = {.kind = order->kind,
			.state = MIRROR_EMPTY,
			.assurance = "file",
			.added_us = clock_now_us(&vault->clock)};

	if (i == vault->root->n)
		return mirror_say(-ENOENT, why, "there is no root mirror %s", order->name);
	int r = vault->root->member[i].provider ? 0
						: check_limit(vault, &vault->root->member[i], why);
	if (r == 0)
		r = check_new(vault, order, why);
	if (r < 0)
		return r;
	snprintf(row.name, sizeof(row.name), "%s", order->name);
	snprintf(row.location, sizeof(row.location), "%s", order->place);
	r = record(vault, &row, CHANGE_ADD, order, "replace root mirror");
	if (r == 0)
		r = settle_new(vault, &row, order, why);
	return r < 0 ? r : drop_member(vault, i, order, why);
}

/* It is on record that the keeper's own place was not overwritten. */
static int give_up_own(struct vault *vault, const struct mirror_order *order)
{
	struct mirror_row row = {.name = MIRROR_MAIN,
			.kind = root_place_is_file(vault) ? MIRROR_FILE : MIRROR_TPM2,
			.state = MIRROR_GIVEN_UP,
			.added_us = clock_now_us(&vault->clock),
			.given_up_us = clock_now_us(&vault->clock),
			.given_up_epoch = vault_epoch(vault)};
	struct mirror_row before;
	int r = mirror_table_find(vault->db, MIRROR_MAIN, MIRROR_GIVEN_UP, &before);

	if (r == 0 && before.given_up_epoch == row.given_up_epoch)
		return 0; /* an attempt that was cut short */
	if (r < 0 && r != -ENOENT)
		return r;
	snprintf(row.location, sizeof(row.location), "%s", vault->config->keeper_dir);
	snprintf(row.assurance, sizeof(row.assurance), "%s", vault->root->member[0].assurance);
	return record(vault, &row, CHANGE_ADD, order, "give up root");
}

static int replace_own(struct vault *vault, const struct mirror_order *order,
		char why[static ROOT_TROUBLE_BYTES])
{
	_cleanup_free_ char *text = NULL;
	struct root_provider *provider = NULL;
	size_t len;

	if (vault->root->member[0].provider)
		return mirror_say(-RE_REFUSED, why,
				"the keeper's own place is there; to move it, change Root= and run "
				"recseal-keeper --move-root");
	if (root_set_present(vault->root) == 0)
		return mirror_say(-RE_REFUSED, why, "no place of the root can be reached");
	int r = check_limit(vault, &vault->root->member[0], why);
	if (r == 0)
		r = give_up_own(vault, order);
	FILE *errors = r == 0 ? open_memstream(&text, &len) : NULL;
	if (r < 0 || !errors)
		return r < 0 ? r : -ENOMEM;
	r = root_place_abandon(vault);
	if (r == 0)
		r = root_place_create(vault, &provider, errors);
	fclose(errors);
	if (r < 0 && *text)
		mirror_say(r, why, "%.*s", (int)strcspn(text, "\n"), text);
	if (r == 0)
		r = fill(vault, provider);
	if (r < 0) {
		root_provider_free(provider);
		return r;
	}
	root_set_regain(vault->root, MIRROR_OF_OWN, provider);
	(void)mirrors_ready(vault);
	return 0;
}

int mirror_replace(struct vault *vault, const struct mirror_order *order,
		char why[static ROOT_TROUBLE_BYTES])
{
	bool own = strcmp(order->name, MIRROR_MAIN) == 0;

	*why = '\0';
	(void)mirrors_ready(vault);
	if (own && order->place)
		return mirror_say(-RE_REFUSED, why,
				"the keeper's own place is where the configuration says (Root=, "
				"TpmDevice=)");
	if (!own && !order->place)
		return mirror_say(-RE_REFUSED, why, "say where the new place is");
	return failed(own ? replace_own(vault, order, why) : replace_mirror(vault, order, why),
			why);
}
