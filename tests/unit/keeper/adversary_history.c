#include "tests/unit/keeper/adversary_history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "daemon/keeper/erasure/assign.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/erasure/retention.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/recordings.h"

#define ROOT_FILE_BYTES (3 * 4096)

/* The slots, with the adversary looking at the rest before each write to them: also what is only
 * staged is seen. */
struct watched_root {
	struct root_provider provider;
	struct root_provider *real;
	struct history *history;
};

static int watched_read(struct root_provider *provider, unsigned slot, struct reason *reason,
		uint8_t ret_image[static ROOT_IMAGE_BYTES])
{
	struct root_provider *real = ((struct watched_root *)provider)->real;

	return real->ops->read(real, slot, reason, ret_image);
}

static int watched_write(struct root_provider *provider, unsigned slot,
		const uint8_t image[static ROOT_IMAGE_BYTES], struct reason *reason)
{
	struct watched_root *watched = (struct watched_root *)provider;

	adversary_look(&watched->history->adversary, watched->history->keeper_dir);
	if (watched->history->refuse) {
		watched->history->refuse = false;
		watched->history->refused++;
		return -EIO;
	}
	return watched->real->ops->write(watched->real, slot, image, reason);
}

static void watched_free(struct root_provider *provider)
{
	root_provider_free(((struct watched_root *)provider)->real);
	free(provider);
}

static void watch_root(struct history *h)
{
	static const struct root_provider_ops ops = {
			.read = watched_read, .write = watched_write, .free = watched_free};
	struct vault *vault = h->vault.vault;
	struct watched_root *watched = calloc(1, sizeof(*watched));

	assert_non_null(watched);
	watched->real = vault->root->member[0].provider;
	watched->provider =
			(struct root_provider){.ops = &ops, .assurance = watched->real->assurance};
	watched->history = h;
	root_set_exchange(vault->root, 0, &watched->provider);
}

/* The file itself: the slots, and whatever else it may hold. */
static void check_old_roots_gone(const struct history *h)
{
	uint8_t bytes[ROOT_FILE_BYTES];
	char path[128];
	size_t n;

	snprintf(path, sizeof(path), "%s/root.slots", h->keeper_dir);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(io_pread_full(fd, bytes, sizeof(bytes), 0, &n), 0);
	assert_int_equal(n, ROOT_FILE_BYTES);
	assert_non_null(memmem(bytes, n, h->root[h->epoch], NODE_KEY_BYTES));
	for (uint64_t epoch = 1; epoch < h->epoch; epoch++)
		assert_null(memmem(bytes, n, h->root[epoch], NODE_KEY_BYTES));
}

static void note_root(struct history *h)
{
	struct root_provider *root = h->vault.vault->root->member[0].provider;
	uint8_t image[ROOT_IMAGE_BYTES];
	struct root_record record;

	h->epoch = vault_epoch(h->vault.vault);
	assert_in_range(h->epoch, 1, HISTORY_EPOCHS);
	assert_int_equal(root->ops->read(root, h->vault.vault->root_slot, NULL, image), 0);
	assert_int_equal(root_record_decode(image, &record), 0);
	assert_int_equal(record.epoch, h->epoch);
	memcpy(h->root[h->epoch], record.key, NODE_KEY_BYTES);
}

/* Follows the keys through an operation: what changed or went is gone from this epoch on. */
static void note_key(struct history *h, const struct key_path *path)
{
	struct history_key fresh = {.path = *path};
	int r = keytree_open(h->vault.vault->tree, path, fresh.key);

	for (size_t i = 0; i < h->known_count; i++) {
		struct history_key *known = &h->known[i];
		if (known->gone || key_path_compare(&known->path, path) != 0)
			continue;
		if (r == 0 && memcmp(known->key, fresh.key, NODE_KEY_BYTES) == 0)
			return;
		known->gone = h->epoch;
	}
	if (r == -ENOENT)
		return;
	assert_int_equal(r, 0);
	assert_true(h->known_count < HISTORY_KEYS);
	h->known[h->known_count++] = fresh;
}

void history_note(struct history *h)
{
	size_t n = h->known_count;

	note_root(h);
	check_old_roots_gone(h);
	for (size_t i = 0; i < n; i++) {
		if (!h->known[i].gone)
			note_key(h, &h->known[i].path);
	}
	for (size_t i = 0; i < h->sealed_count; i++) {
		enum recording_state state = vault_fixture_state(&h->vault, h->sealed[i].id);
		if (!h->sealed[i].gone &&
				(state == RECORDING_DESTROYED || state == RECORDING_EXPIRED))
			h->sealed[i].gone = h->epoch;
	}
	adversary_look(&h->adversary, h->keeper_dir);
}

struct history *history_open(uint64_t seed)
{
	struct history *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	h->random = seed;
	vault_fixture_open(&h->vault);
	adversary_init(&h->adversary);
	snprintf(h->keeper_dir, sizeof(h->keeper_dir), "%s/keeper", h->vault.dir);
	watch_root(h);
	history_note(h);
	return h;
}

void history_close(struct history *h)
{
	for (size_t i = 0; i < h->sealed_count; i++)
		free(h->sealed[i].private);
	adversary_free(&h->adversary);
	vault_fixture_close(&h->vault);
	free(h);
}

/* Deterministic: a failure can be looked at again (Marsaglia's xorshift64). */
static size_t pick(struct history *h, size_t below)
{
	h->random ^= h->random << 13;
	h->random ^= h->random >> 7;
	h->random ^= h->random << 17;
	return (size_t)(h->random % below);
}

/* Operations. */

static void note_object(struct history *h, struct history_recording *sealed, const uint8_t *ulid)
{
	struct object_store *store = h->vault.vault->store;
	_cleanup_close_ int fd = store->ops->open(store, ulid);
	_cleanup_free_ uint8_t *bytes = NULL;
	struct age_header header;

	assert_true(fd >= 0);
	assert_int_equal(age_header_read(fd, &header, &bytes), 0);
	assert_int_equal(rec_stanza_find(&header, &sealed->stanza), 0);
	age_header_free(&header);
}

void history_note_recording(struct history *h, const vault_fixture_id id, size_t name)
{
	struct history_recording *sealed = &h->sealed[h->sealed_count++];
	struct recording_row row;
	struct account_row account;

	assert_true(h->sealed_count <= HISTORY_RECORDINGS);
	memcpy(sealed->id, id, sizeof(sealed->id));
	vault_fixture_row(&h->vault, id, &row);
	sealed->path = key_path_recording(row.account, row.group, row.id);
	sealed->row = row.id;
	sealed->name = name;
	sealed->private = TAKE_PTR(row.private);
	sealed->private_bytes = row.private_bytes;
	note_object(h, sealed, row.ulid);
	assert_int_equal(catalog_account_by_id(h->vault.vault->db, row.account, &account), 0);
	memcpy(sealed->binding.recording_id, row.ulid, ULID_BYTES);
	memcpy(sealed->binding.account_handle, account.handle, ACCOUNT_HANDLE_BYTES);
	catalog_account_clear(&account);
	struct key_path profile = key_path_profile(row.account);
	if (row.account != h->vault.vault->quarantine_account)
		note_key(h, &profile);
	for (struct key_path path = sealed->path; path.depth > 0; path.depth--)
		note_key(h, &path);
	catalog_recording_clear(&row);
}

static void seal_some(struct history *h)
{
	size_t name = pick(h, HISTORY_NAMES + 1), count = 1 + pick(h, 3);
	vault_fixture_id ids[3];
	char text[32];

	if (h->sealed_count + count > HISTORY_RECORDINGS)
		return;
	if (name < HISTORY_NAMES)
		snprintf(text, sizeof(text), "name-%zu-%u", name, h->generation[name]);
	vault_fixture_seal(&h->vault, name < HISTORY_NAMES ? text : NULL, "a call", 5, count, ids);
	for (size_t i = 0; i < count; i++)
		history_note_recording(h, ids[i], name);
}

/* Dead ones too. Now and then the commit fails: its stage is void, and it goes with the next. */
static void shred_one(struct history *h)
{
	size_t victim = pick(h, h->sealed_count), die = pick(h, 8);
	enum erasure_kind kind = die == 0 ? ERASE_ACCOUNT : die < 3 ? ERASE_GROUP : ERASE_RECORDING;
	struct erasure_item item = vault_fixture_item(&h->vault, kind, h->sealed[victim].id);
	struct erasure_result result;

	if (kind == ERASE_ACCOUNT && item.account == h->vault.vault->quarantine_account)
		return;
	if (kind == ERASE_ACCOUNT)
		h->generation[h->sealed[victim].name]++;
	h->refuse = pick(h, 6) == 0;
	int expected = h->refuse ? -EIO : 0;
	assert_int_equal(erasure_run(h->vault.vault, &item, 1, 0, "a test", &result), expected);
}

/* A key that moves is not gone: from now on it is known by its new place. */
static void note_move(struct history *h, struct history_recording *sealed, size_t name)
{
	struct key_path former = sealed->path;
	struct recording_row row;

	vault_fixture_row(&h->vault, sealed->id, &row);
	sealed->path = key_path_recording(row.account, row.group, row.id);
	sealed->name = name;
	catalog_recording_clear(&row);
	for (size_t i = 0; i < h->known_count; i++) {
		if (!h->known[i].gone && key_path_compare(&h->known[i].path, &former) == 0)
			h->known[i].path = sealed->path;
	}
	h->epoch = vault_epoch(h->vault.vault);
	for (struct key_path path = sealed->path; path.depth > 0; path.depth--)
		note_key(h, &path);
}

/* The first in quarantine, from a random place on, or NULL. */
static struct history_recording *find_stray(struct history *h)
{
	size_t from = pick(h, h->sealed_count);

	for (size_t n = 0; n < h->sealed_count; n++) {
		struct history_recording *sealed = &h->sealed[(from + n) % h->sealed_count];
		if (vault_fixture_state(&h->vault, sealed->id) == RECORDING_QUARANTINED)
			return sealed;
	}
	return NULL;
}

/* Now and then the commit fails, and the key hangs in two places until the next. */
static void assign_one(struct history *h)
{
	struct history_recording *stray = find_stray(h);
	struct vault *vault = h->vault.vault;
	struct account_row account;
	struct recording_row row;
	struct erasure_result result;
	size_t name = pick(h, HISTORY_NAMES);
	char text[32];

	snprintf(text, sizeof(text), "name-%zu-%u", name, h->generation[name]);
	if (!stray || accounts_find(vault, text, strlen(text), &account) < 0)
		return;
	h->refuse = pick(h, 4) == 0;
	int expected = h->refuse ? -EIO : 0;
	vault_fixture_row(&h->vault, stray->id, &row);
	assert_int_equal(assign_recording(vault, &row, &account, 0, "a test", &result), expected);
	catalog_recording_clear(&row);
	catalog_account_clear(&account);
	h->assigned++;
	note_move(h, stray, name);
}

static void let_expire(struct history *h)
{
	bool more;

	h->vault.now_us += (int64_t)(1 + pick(h, 12)) * US_PER_DAY;
	assert_int_equal(retention_run(h->vault.vault, 100, &more), 0);
}

void history_operate(struct history *h)
{
	size_t die = pick(h, 20);

	if (h->sealed_count == 0 || die < 9)
		seal_some(h);
	else if (die < 13)
		shred_one(h);
	else if (die < 15)
		assign_one(h);
	else if (die < 19)
		let_expire(h);
	else {
		assert_int_equal(vault_fixture_reopen(&h->vault, 0, NULL), 0);
		watch_root(h);
	}
	history_note(h);
}
