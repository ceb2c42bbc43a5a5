#include "daemon/keeper/root/mirrors.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/common/event.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/epoch_slots.h"
#include "daemon/keeper/root/mirror_place.h"
#include "daemon/keeper/root/root_place.h"

/* The set. */

static int set_with_own(struct vault *vault, struct root_provider *provider, const char *why)
{
	struct root_member own = {.name = MIRROR_MAIN,
			.assurance = root_place_assurance(vault),
			.provider = provider};
	struct root_set *set = root_set_new();

	if (!set)
		return -ENOMEM;
	snprintf(own.location, sizeof(own.location), "%s", vault->config->keeper_dir);
	snprintf(own.why_away.text, sizeof(own.why_away.text), "%s", why);
	int r = root_set_add(set, &own);
	if (r < 0)
		root_set_free(set);
	else
		vault->root = set;
	return r;
}

int mirrors_create(struct vault *vault, FILE *errors)
{
	struct root_provider *own;
	int r = root_place_create(vault, &own, errors);

	if (r == 0)
		r = set_with_own(vault, own, "");
	return r;
}

static int count_in_use(struct db *db, size_t *ret_count)
{
	_cleanup_free_ struct mirror_row *rows = NULL;
	size_t n, in_use = 0;
	int r = mirror_table_list(db, &rows, &n);

	for (size_t i = 0; r == 0 && i < n; i++)
		in_use += rows[i].state == MIRROR_IN_USE;
	if (r == 0)
		*ret_count = in_use;
	return r;
}

/* The keeper's own place, or why it cannot be had; a text to free(). */
static int open_own(struct vault *vault, bool adopt, struct root_provider **ret_own, char **ret_why)
{
	size_t len;
	FILE *why = open_memstream(ret_why, &len);

	if (!why)
		return -ENOMEM;
	int r = root_place_open(vault, adopt, ret_own, why);
	fclose(why);
	return r;
}

/* The first line, or in short where others can stand in. */
static void shorten(int r, const char *text, char ret_why[static ROOT_TROUBLE_BYTES])
{
	if (r == -ENOENT)
		text = "its root.slots is missing";
	else if (r == -RE_CORRUPT)
		text = "it is damaged";
	snprintf(ret_why, ROOT_TROUBLE_BYTES, "%.*s", (int)strcspn(text, "\n"), text);
}

/* A file that is a copy may be of the past: that is for the administrator to say, mirrors or not.
 * Another TPM is another mainboard. */
static bool can_be_away(const struct vault *vault, int r)
{
	bool file = root_assurance_rank(root_place_assurance(vault)) == 0;

	return r != -RE_MLOCK && r != -ENOMEM && !(r == -RE_MOVED && file);
}

static int add_own(struct vault *vault, bool adopt, FILE *errors)
{
	_cleanup_free_ char *text = NULL;
	char why[ROOT_TROUBLE_BYTES];
	struct root_provider *own = NULL;
	size_t mirrors = 0;
	int r = count_in_use(vault->db, &mirrors);

	if (r < 0)
		return r;
	r = open_own(vault, adopt, &own, &text);
	if (r < 0 && (mirrors == 0 || !can_be_away(vault, r))) {
		fputs(text ? text : "", errors);
		return r;
	}
	shorten(r, text ? text : "", why);
	r = set_with_own(vault, own, why);
	return r < 0 ? r : mirror_table_main_away(vault->db, &vault->root->member[0].away_us);
}

static int forget(struct vault *vault, int64_t id)
{
	int r = db_begin(vault->db);

	if (r == 0)
		r = mirror_table_remove(vault->db, id);
	if (r == 0)
		r = db_commit(vault->db);
	if (r < 0)
		db_rollback(vault->db);
	return r;
}

/* Being added or removed when the keeper last stopped: it goes. An empty one that cannot be removed
 * is in nobody's way until the next start. */
static int clear_up(
		struct vault *vault, struct mirror_row *row, char why[static ROOT_TROUBLE_BYTES])
{
	int r = mirror_place_retire(vault, row, why);

	if (r == 0)
		r = forget(vault, row->id);
	return row->state == MIRROR_EMPTY ? 0 : r;
}

static int add_mirror(struct vault *vault, struct mirror_row *row)
{
	struct root_member member = {.id = row->id,
			.assurance = root_assurance_label(row->assurance),
			.away_us = row->away_us};

	if (row->state == MIRROR_GIVEN_UP)
		return 0;
	if (row->state != MIRROR_IN_USE && clear_up(vault, row, member.why_away.text) == 0)
		return 0;
	if (row->state == MIRROR_IN_USE &&
			mirror_place_open(vault, row, member.why_away.text, &member.provider) < 0)
		member.provider = NULL;
	snprintf(member.name, sizeof(member.name), "%s", row->name);
	snprintf(member.location, sizeof(member.location), "%s", row->location);
	int r = root_set_add(vault->root, &member);
	if (r < 0)
		root_provider_free(member.provider);
	return r;
}

int mirrors_open(struct vault *vault, bool adopt, FILE *errors)
{
	_cleanup_free_ struct mirror_row *rows = NULL;
	size_t n = 0;
	int r = add_own(vault, adopt, errors);

	if (r == 0)
		r = mirror_table_list(vault->db, &rows, &n);
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_mirror(vault, &rows[i]);
	if (r == 0 && root_set_present(vault->root) == 0) {
		fprintf(errors, "no place that holds the root can be reached: %s\n",
				vault->root->member[0].why_away.text);
		r = -RE_NO_ROOT;
	}
	return r;
}

/* Being ready. */

int mirrors_image(struct vault *vault, uint8_t ret_image[static ROOT_IMAGE_BYTES])
{
	_cleanup_secret_ struct root_record *record = secret_new(sizeof(*record));
	int r = record ? -RE_AWAY : -RE_MLOCK;

	for (size_t i = 0; record && i < vault->root->n; i++) {
		if (!epoch_slot_there(vault, i))
			continue;
		r = epoch_slot_get(vault, i, vault->root_slot, record);
		if (r > 0 && record->epoch == vault_epoch(vault) &&
				keytree_check_top(vault->db, false, record->key,
						record->top_digest) == 0) {
			root_record_encode(record, ret_image);
			return 0;
		}
	}
	return r < 0 ? r : -EIO;
}

/* What one slot of a member that is back may hold. */
enum content { CONTENT_NONE, CONTENT_PRESENT, CONTENT_PAST, CONTENT_FOREIGN };

static int look_at(struct vault *vault, size_t i, unsigned slot, const uint8_t *image,
		enum content *ret_content)
{
	_cleanup_secret_ struct root_record *record = secret_new(sizeof(*record));
	_cleanup_secret_ uint8_t *found = secret_new(ROOT_IMAGE_BYTES);
	uint8_t void_top[ROOT_DIGEST_BYTES];

	if (!record || !found)
		return -RE_MLOCK;
	int r = root_set_get(vault->root, i, slot, found);
	if (r < 0)
		return r;
	*ret_content = CONTENT_NONE;
	if (root_record_decode(found, record) < 0)
		return 0;
	int voided = mirror_table_get_void(vault->db, void_top);
	if (sodium_memcmp(found, image, ROOT_IMAGE_BYTES) == 0)
		*ret_content = CONTENT_PRESENT;
	else if (record->epoch < vault_epoch(vault))
		*ret_content = CONTENT_PAST;
	else if (voided > 0 && memcmp(record->top_digest, void_top, sizeof(void_top)) == 0)
		*ret_content = CONTENT_PAST;
	else
		*ret_content = CONTENT_FOREIGN;
	return voided < 0 ? voided : 0;
}

/* The present root in the active slot, and none in the other. */
static int bring_in_line(struct vault *vault, size_t i, const uint8_t *image)
{
	enum content active, other;
	unsigned slot = vault->root_slot;
	int r = look_at(vault, i, slot, image, &active);

	if (r == 0)
		r = look_at(vault, i, 1 - slot, image, &other);
	if (r < 0)
		return r;
	if (active == CONTENT_FOREIGN || other == CONTENT_FOREIGN)
		return -RE_EPOCH;
	if (active != CONTENT_PRESENT)
		r = root_set_put(vault->root, i, slot, image);
	if (r == 0 && other != CONTENT_NONE)
		r = root_set_clear(vault->root, i, 1 - slot);
	return r;
}

static int reopen(struct vault *vault, size_t i, char why[static ROOT_TROUBLE_BYTES],
		struct root_provider **ret_provider)
{
	_cleanup_free_ char *text = NULL;
	struct mirror_row row;

	if (i == MIRROR_OF_OWN) {
		int r = open_own(vault, false, ret_provider, &text);
		shorten(r, text ? text : "", why);
		return r;
	}
	int r = mirror_table_by_id(vault->db, vault->root->member[i].id, &row);
	if (r == 0 && row.state == MIRROR_IN_USE)
		return mirror_place_open(vault, &row, why, ret_provider);
	if (r == 0)
		r = clear_up(vault, &row, why);
	return r < 0 ? r : -RE_GONE;
}

/* A file that is open works on after it was removed; but it is no place of the root any more. */
static int check_there(struct vault *vault, size_t i, char why[static ROOT_TROUBLE_BYTES])
{
	const struct root_member *member = &vault->root->member[i];
	struct mirror_row row;

	if (i == MIRROR_OF_OWN) {
		int r = root_file_check(member->provider, vault->dir_fd);
		shorten(r, error_text(r), why);
		return r;
	}
	int r = mirror_table_by_id(vault->db, member->id, &row);
	return r < 0 ? r : mirror_place_check(vault, &row, member->provider, why);
}

/* The member is there, and in line, after this; or it is away and says why. */
static int look_after(struct vault *vault, size_t i, const uint8_t *image)
{
	struct root_set *set = vault->root;
	struct root_provider *provider = NULL;
	char why[ROOT_TROUBLE_BYTES] = "";
	int r = 0;

	if (set->member[i].provider) {
		r = check_there(vault, i, why);
		if (r == 0)
			r = bring_in_line(vault, i, image);
		if (r == 0)
			return 0;
		root_set_lose(set, i, root_set_reason(set, i, r));
	}
	r = reopen(vault, i, why, &provider);
	if (r < 0) {
		snprintf(set->member[i].why_away.text, sizeof(why), "%s", why);
		return r;
	}
	root_set_regain(set, i, provider);
	r = bring_in_line(vault, i, image);
	if (r == -RE_EPOCH)
		root_set_lose(set, i,
				"it holds a root that is not of this vault's past: the database may be an "
				"old one");
	else if (r < 0)
		root_set_lose(set, i, root_set_reason(set, i, r));
	return r;
}

static int put_away_us(struct vault *vault, const struct root_member *member)
{
	struct mirror_row row;

	if (member->id == 0)
		return mirror_table_set_main_away(vault->db, member->away_us);
	int r = mirror_table_by_id(vault->db, member->id, &row);
	if (r < 0)
		return r;
	row.away_us = member->away_us;
	snprintf(row.assurance, sizeof(row.assurance), "%s", member->assurance);
	return mirror_table_put(vault->db, &row);
}

static void tell_of(struct vault *vault, const struct root_member *member)
{
	if (member->provider)
		event_log(LOG_NOTICE, EVENT_PLAIN, NULL, "the root mirror %s (%s) is back",
				member->name, member->location);
	else
		event_log(LOG_ERR, EVENT_KEY_TROUBLE, NULL,
				"the root mirror %s (%s) is away: %s; nothing is erased until it is back, "
				"or given up by an officer",
				member->name, member->location, member->why_away.text);
}

/* Since when each is away, on record. */
static int note_away(struct vault *vault)
{
	int r = db_begin(vault->db);

	for (size_t i = 0; i < vault->root->n && r == 0; i++) {
		struct root_member *member = &vault->root->member[i];
		if (!member->provider == (member->away_us != 0))
			continue;
		member->away_us = member->provider ? 0 : clock_now_us(&vault->clock);
		r = put_away_us(vault, member);
		tell_of(vault, member);
	}
	if (r == 0 && !root_set_away(vault->root))
		r = mirror_table_set_void(vault->db, NULL);
	if (r == 0)
		r = db_commit(vault->db);
	if (r < 0)
		db_rollback(vault->db);
	return r;
}

static bool notes_are_right(const struct root_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		if (!set->member[i].provider != (set->member[i].away_us != 0))
			return false;
	}
	return true;
}

void mirrors_say_away(const struct vault *vault, char *ret_text, size_t len)
{
	const struct root_member *away = root_set_away(vault->root);

	*ret_text = '\0';
	if (away)
		snprintf(ret_text, len, "the root mirror %s (%s): %s", away->name, away->location,
				away->why_away.text);
}

/* None was left; what is there again is looked at below. */
static void reopen_any(struct vault *vault)
{
	for (size_t i = 0; i < vault->root->n; i++) {
		struct root_provider *provider = NULL;
		if (root_set_present(vault->root) == 0 &&
				reopen(vault, i, vault->root->member[i].why_away.text, &provider) ==
						0)
			root_set_regain(vault->root, i, provider);
	}
}

/* Without mirrors a file that was removed stays open: it is the last that there is of the root. */
static int alone_ready(struct vault *vault)
{
	char why[ROOT_TROUBLE_BYTES];

	if (check_there(vault, MIRROR_OF_OWN, why) == 0)
		return 0;
	vault_trouble(vault,
			"erasures wait for the root file: %s. Do not stop the keeper, which has it open: "
			"put the file back, or add a mirror first (recsealctl root add)",
			why);
	return -RE_AWAY;
}

int mirrors_ready(struct vault *vault)
{
	_cleanup_secret_ uint8_t *image = NULL;
	char text[ROOT_LOCATION_BYTES + ROOT_NAME_BYTES + ROOT_TROUBLE_BYTES + 32];

	if (vault->root->n == 1 && !root_set_away(vault->root))
		return alone_ready(vault);
	if (root_set_present(vault->root) == 0)
		reopen_any(vault);
	image = secret_new(ROOT_IMAGE_BYTES);
	int r = image ? mirrors_image(vault, image) : -RE_MLOCK;
	for (size_t i = 0; i < vault->root->n && r == 0; i++) {
		if (look_after(vault, i, image) == -RE_GONE)
			root_provider_free(root_set_take(vault->root, i--));
	}
	if (r == 0 && !notes_are_right(vault->root))
		r = note_away(vault);
	if (r == 0 && !root_set_away(vault->root))
		return 0;
	mirrors_say_away(vault, text, sizeof(text));
	vault_trouble(vault, "erasures wait for %s", text);
	return -RE_AWAY;
}
