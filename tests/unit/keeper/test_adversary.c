/* The guarantee, against somebody who tries everything: many epochs of a real vault, every version
 * of all it ever stored, and for each erasure the roots from its epoch on. No key that was
 * destroyed or replaced comes out, nor what it sealed; and with one root more, from right before,
 * all of it does: so the search would have found it. */
#include "tests/unit/keeper/adversary_history.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "daemon/keeper/erasure/erasure_notes.h"
#include "daemon/keeper/erasure/mirror_change.h"
#include "daemon/keeper/keys/keytree.h"

/* The search. */

/* Tries the keys that are new since the last time on all that recordings' keys sealed. */
static void try_recordings(struct history *h)
{
	uint8_t plain[1024], file_key[AGE_FILE_KEY_BYTES];

	for (; h->keys_tried < h->adversary.keys_count; h->keys_tried++) {
		const uint8_t *key = h->adversary.keys[h->keys_tried];
		for (size_t i = 0; i < h->sealed_count; i++) {
			struct history_recording *s = &h->sealed[i];
			assert_true(s->private_bytes <= sizeof(plain));
			s->private_opens |= key_seal_open_record(key, RECORD_RECORDING_PRIVATE,
							    (uint64_t)s->row, s->private,
							    s->private_bytes, plain) == 0;
			s->file_key_opens |= rec_stanza_unwrap(&s->stanza, &s->binding, key,
							     file_key) == 0;
		}
	}
}

/* With the roots from this epoch on: exactly what was there in it or later is found. */
static void check_from(struct history *h, uint64_t epoch)
{
	adversary_learn(&h->adversary, h->root[epoch]);
	try_recordings(h);
	for (size_t i = 0; i < h->known_count; i++) {
		struct history_key *known = &h->known[i];
		bool expected = !known->gone || known->gone > epoch;
		assert_int_equal(adversary_knows(&h->adversary, known->key), expected);
	}
	for (size_t i = 0; i < h->sealed_count; i++) {
		bool expected = !h->sealed[i].gone || h->sealed[i].gone > epoch;
		assert_int_equal(h->sealed[i].private_opens, expected);
		assert_int_equal(h->sealed[i].file_key_opens, expected);
	}
}

/* Bytes that must not be in any file: all keys, and all roots but the present one, which is in the
 * slots and there only. */
static struct {
	struct history *history;
	size_t files, bytes, roots;
} raw;

static void check_bytes(const char *path, const uint8_t *bytes, size_t len)
{
	struct history *h = raw.history;
	bool slots = strstr(path, "/root.slots");
	bool present = memmem(bytes, len, h->root[h->epoch], NODE_KEY_BYTES);

	raw.roots += present;
	assert_int_equal(present, slots);
	for (uint64_t epoch = 1; epoch < h->epoch; epoch++)
		assert_null(memmem(bytes, len, h->root[epoch], NODE_KEY_BYTES));
	for (size_t i = 0; i < h->known_count; i++)
		assert_null(memmem(bytes, len, h->known[i].key, NODE_KEY_BYTES));
}

static int check_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t n = 0;

	if (type != FTW_F)
		return 0;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ uint8_t *bytes = malloc((size_t)st->st_size + 1);
	assert_true(fd >= 0 && bytes);
	assert_int_equal(io_pread_full(fd, bytes, (size_t)st->st_size, 0, &n), 0);
	check_bytes(path, bytes, n);
	raw.files++;
	raw.bytes += n;
	return 0;
}

static void check_files(struct history *h)
{
	raw.history = h;
	raw.roots = 0;
	assert_int_equal(nftw(h->vault.dir, check_file, 8, FTW_PHYS), 0);
	assert_int_equal(raw.roots, 1); /* negative control: what is there is found */
}

static void report(const struct history *h)
{
	const struct adversary *a = &h->adversary;
	size_t gone = 0, dead = 0;

	for (size_t i = 0; i < h->known_count; i++)
		gone += h->known[i].gone != 0;
	for (size_t i = 0; i < h->sealed_count; i++)
		dead += h->sealed[i].gone != 0;
	print_message("epoch %d, %zu commits refused; %zu of %zu keys gone, %zu of %zu recordings\n",
			(int)h->epoch, h->refused, gone, h->known_count, dead, h->sealed_count);
	print_message("%zu looks at %zu MB: versions of %zu rows, %zu packs; %zu opens tried, %zu keys found\n",
			a->looks, a->bytes >> 20, a->boxes_count - a->packs, a->packs, a->tries,
			a->keys_count);
	print_message("%zu files of %zu KB hold no key\n", raw.files, raw.bytes >> 10);
	print_message("%zu recordings moved out of quarantine\n", h->assigned);
	assert_true(h->assigned > 2);
	assert_true(gone > 100 && dead > 20 && dead < h->sealed_count && h->refused > 0);
	/* Negative control of the reading of bytes: what SQL finds was there already. */
	assert_int_equal(a->by_sql, 0);
	assert_true(a->by_bytes > KEY_RADIX && a->packs > 4 * h->epoch);
}

static void test_everything_tried_on_everything(void **state)
{
	struct history *h = history_open(20260923);

	while (h->epoch < HISTORY_EPOCHS)
		history_operate(h);
	check_files(h);
	for (uint64_t epoch = h->epoch; epoch > 0; epoch--)
		check_from(h, epoch);
	report(h);
	/* Shut, with the log put into the database. */
	vault_fixture_shut(&h->vault);
	check_files(h);
	history_close(h);
}

/* libsodium's; but the draw of a key with this number gives this one instead. */
void __real_randombytes_buf(void *const buf, const size_t size);
void __wrap_randombytes_buf(void *const buf, const size_t size);

static struct {
	const uint8_t *key;
	unsigned draw;
} reuse;

void __wrap_randombytes_buf(void *const buf, const size_t size)
{
	__real_randombytes_buf(buf, size);
	if (reuse.key && size == NODE_KEY_BYTES && reuse.draw-- == 0) {
		memcpy(buf, reuse.key, NODE_KEY_BYTES);
		reuse.key = NULL;
	}
}

static void erase_reusing(struct history *h, const struct key_path *victim, unsigned depth,
		const vault_fixture_id id)
{
	uint8_t old[NODE_KEY_BYTES];
	struct key_path ancestor = *victim;

	ancestor.depth = depth;
	memcpy(old, h->root[h->epoch], sizeof(old));
	if (depth > 0)
		assert_int_equal(keytree_open(h->vault.vault->root.tree, &ancestor, old), 0);
	/* Keys are drawn from the root down: keytree_stage(). */
	reuse.key = depth < victim->depth ? old : NULL;
	reuse.draw = depth;
	int r = vault_fixture_erase(&h->vault, ERASE_RECORDING, id);
	assert_null(reuse.key);
	/* The keeper finds out by itself. */
	assert_int_equal(r, depth < victim->depth ? -RE_NOT_ERASED : 0);
}

static void learn_live_root(struct history *h)
{
	struct root_provider *root = h->vault.vault->root.copies->member[0].provider;
	uint8_t image[ROOT_IMAGE_BYTES];
	struct root_record record;

	assert_int_equal(root->ops->read(root, h->vault.vault->root.slot, NULL, image), 0);
	assert_int_equal(root_record_decode(image, &record), 0);
	adversary_learn(&h->adversary, record.key);
}

/* One of four recordings is shredded, but its ancestor at this depth (0: the root; that of the
 * recording itself: none) keeps its key. Whether the adversary then finds the recording's, which
 * lay in a row of its own as did those above it, or, all of them, in packs. */
static bool finds_shredded(unsigned depth, bool packed)
{
	struct history *h = history_open(1);
	uint8_t key[NODE_KEY_BYTES];
	vault_fixture_id ids[4];

	vault_fixture_seal(&h->vault, "ada", "a call", 5, ELEMENTSOF(ids), ids);
	history_note_recording(h, ids[1], 0);
	if (packed)
		assert_int_equal(vault_fixture_erase(&h->vault, ERASE_RECORDING, ids[0]), 0);
	history_note(h);
	const struct key_path *victim = &h->sealed[0].path;
	assert_int_equal(keytree_open(h->vault.vault->root.tree, victim, key), 0);
	erase_reusing(h, victim, depth, ids[1]);
	adversary_look(&h->adversary, h->keeper_dir);
	learn_live_root(h);
	try_recordings(h);
	bool found = adversary_knows(&h->adversary, key);
	assert_int_equal(h->sealed[0].private_opens, found);
	assert_int_equal(h->sealed[0].file_key_opens, found);
	history_close(h);
	return found;
}

/* Negative control: an erasure that forgets to re-key one ancestor. */
static void test_an_ancestor_that_keeps_its_key(void **state)
{
	for (unsigned packed = 0; packed < 2; packed++) {
		for (unsigned depth = 0; depth < KEY_PATH_MAX; depth++)
			assert_true(finds_shredded(depth, packed));
		assert_false(finds_shredded(KEY_PATH_MAX, packed));
	}
}

/* Mirrors. The holder of one that was given up, or that the database has forgotten. */

/* The mutants. */
static enum { SOUND, NO_EPOCHS, NO_FRESH_KEYS, NO_NEW_GROUPS } mutant;

int __real_erasure_change_epoch(struct eraser *eraser, int (*prepare)(void *context), void *context,
		struct reason *reason);
int __wrap_erasure_change_epoch(struct eraser *eraser, int (*prepare)(void *context), void *context,
		struct reason *reason);
int __wrap_erasure_change_epoch(struct eraser *eraser, int (*prepare)(void *context), void *context,
		struct reason *reason)
{
	return mutant == NO_EPOCHS ? vault_fixture_change_without_epoch(eraser, prepare, context)
				   : __real_erasure_change_epoch(eraser, prepare, context, reason);
}

int __real_erasure_retry(struct eraser *eraser, struct reason *reason);
int __wrap_erasure_retry(struct eraser *eraser, struct reason *reason);
int __wrap_erasure_retry(struct eraser *eraser, struct reason *reason)
{
	return mutant == NO_EPOCHS ? 0 : __real_erasure_retry(eraser, reason);
}

int __real_erasure_notes_collect_accounts(struct db *db, struct victims *victims);
int __wrap_erasure_notes_collect_accounts(struct db *db, struct victims *victims);
int __wrap_erasure_notes_collect_accounts(struct db *db, struct victims *victims)
{
	return mutant == NO_FRESH_KEYS ? 0 : __real_erasure_notes_collect_accounts(db, victims);
}

int __real_mirror_table_close_groups(struct db *db);
int __wrap_mirror_table_close_groups(struct db *db);
int __wrap_mirror_table_close_groups(struct db *db)
{
	return mutant == NO_NEW_GROUPS ? 0 : __real_mirror_table_close_groups(db);
}

static int change_usb(struct history *h, bool add)
{
	char place[128];
	struct mirror_order order = {
			.name = "usb", .kind = MIRROR_FILE, .reason = "test", .location = place};

	snprintf(place, sizeof(place), "%s/usb", h->vault.dir);
	return add ? mirror_change_add(&h->vault.vault->eraser, &order, NULL)
		   : mirror_change_drop(&h->vault.vault->eraser, &order, NULL);
}

/* All roots in a file, by whoever holds it. */
static void learn_roots_of(struct history *h, const char *name)
{
	uint8_t bytes[3 * 4096];
	struct root_record record;
	char path[128];
	size_t n, found = 0;

	snprintf(path, sizeof(path), "%s/%s", h->vault.dir, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(io_pread_full(fd, bytes, sizeof(bytes), 0, &n), 0);
	for (size_t at = 0; at < sizeof(bytes); at += 4096) {
		if (root_record_decode(bytes + at, &record) < 0)
			continue;
		adversary_learn(&h->adversary, record.key);
		found++;
	}
	assert_int_equal(found, 1);
}

static void seal_and_note(struct history *h, const char *account, vault_fixture_id *ret_id)
{
	vault_fixture_seal(&h->vault, account, "a call", 5, 1, ret_id);
	history_note_recording(h, *ret_id, 0);
	adversary_look(&h->adversary, h->keeper_dir);
}

/* How a copy of the root is lost and given up. */
static void give_up_usb(struct history *h)
{
	vault_fixture_shell(&h->vault, "mv $D/usb $D/lost");
	assert_int_equal(mirrors_ready(&h->vault.vault->root, NULL), -RE_AWAY);
	h->vault.now_us += 30 * US_PER_DAY;
	assert_int_equal(change_usb(h, false), 0);
	/* So that what comes falls into the very groups of what was there, if it may. */
	h->vault.now_us -= 30 * US_PER_DAY;
}

static void give_up_main(struct history *h)
{
	struct mirror_order order = {.name = MIRROR_MAIN, .reason = "test"};

	vault_fixture_shell(&h->vault, "mkdir $D/lost; mv $D/keeper/root.slots $D/lost/");
	assert_int_equal(vault_fixture_reopen(&h->vault, 0, NULL), 0);
	h->vault.now_us += 30 * US_PER_DAY;
	assert_int_equal(mirror_change_replace(&h->vault.vault->eraser, &order, NULL), 0);
	h->vault.now_us -= 30 * US_PER_DAY;
}

/* Recordings are sealed before and after a copy of the root was given up, into old accounts and new
 * ones, then all are shredded. Whether the holder of the copy opens any of the later ones. The
 * earlier ones open: every receipt says so. */
static bool holder_of_a_given_up_copy_opens(void (*give_up)(struct history *h))
{
	static const char *const later[] = {"ada", "bob", "eve", "fay"};
	struct history *h = history_open(3);
	vault_fixture_id id[6];
	bool opens = false;

	vault_fixture_shell(&h->vault, "mkdir -m 700 $D/usb");
	assert_int_equal(change_usb(h, true), 0);
	seal_and_note(h, "ada", &id[0]);
	seal_and_note(h, "bob", &id[1]);
	give_up(h);
	for (size_t i = 0; i < ELEMENTSOF(later); i++)
		seal_and_note(h, later[i], &id[2 + i]);
	assert_int_equal(vault_fixture_erase(&h->vault, ERASE_RECORDING, id[2]), 0);
	for (size_t i = 0; i < ELEMENTSOF(id); i++) {
		adversary_look(&h->adversary, h->keeper_dir);
		if (vault_fixture_state(&h->vault, id[i]) == RECORDING_SEALED)
			assert_int_equal(vault_fixture_erase(&h->vault, ERASE_ACCOUNT, id[i]), 0);
	}
	learn_roots_of(h, "lost/root.slots");
	learn_live_root(h);
	try_recordings(h);
	for (size_t i = 0; i < ELEMENTSOF(id); i++) {
		if (i < 2)
			assert_true(h->sealed[i].file_key_opens); /* control */
		else
			opens |= h->sealed[i].private_opens || h->sealed[i].file_key_opens;
	}
	history_close(h);
	return opens;
}

/* The database is put back from before usb was added; where that opens, a recording is shredded.
 * Whether the holder of usb opens what is said to be destroyed. */
static bool holder_of_a_forgotten_mirror_opens(void)
{
	struct history *h = history_open(4);
	vault_fixture_id id;

	seal_and_note(h, "ada", &id);
	vault_fixture_shut(&h->vault);
	vault_fixture_shell(&h->vault,
			"mkdir -m 700 $D/usb; mkdir $D/old; cp -a $D/keeper/keeper.db* $D/old/");
	assert_int_equal(vault_fixture_reopen(&h->vault, 0, NULL), 0);
	assert_int_equal(change_usb(h, true), 0);
	vault_fixture_shut(&h->vault);
	vault_fixture_shell(&h->vault, "rm $D/keeper/keeper.db*; cp -a $D/old/. $D/keeper/");
	int r = vault_fixture_reopen(&h->vault, 0, NULL);
	assert_int_equal(r, mutant == NO_EPOCHS ? 0 : -RE_EPOCH);
	if (r == 0) /* it is said to be destroyed */
		assert_int_equal(vault_fixture_erase(&h->vault, ERASE_ACCOUNT, id), 0);
	adversary_look(&h->adversary, h->keeper_dir);
	learn_roots_of(h, "usb/root.slots");
	try_recordings(h);
	bool opens = r == 0 && h->sealed[0].file_key_opens;
	history_close(h);
	return opens;
}

static void test_mirrors_out_of_reach(void **state)
{
	assert_false(holder_of_a_given_up_copy_opens(give_up_usb));
	assert_false(holder_of_a_given_up_copy_opens(give_up_main));
	assert_false(holder_of_a_forgotten_mirror_opens());
}

/* Negative control. */
static void test_mutants_of_changes(void **state)
{
	for (mutant = NO_EPOCHS; mutant <= NO_NEW_GROUPS; mutant++)
		assert_true(holder_of_a_given_up_copy_opens(give_up_usb));
	mutant = NO_EPOCHS;
	assert_true(holder_of_a_forgotten_mirror_opens());
	mutant = SOUND;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_everything_tried_on_everything),
			cmocka_unit_test(test_an_ancestor_that_keeps_its_key),
			cmocka_unit_test(test_mirrors_out_of_reach),
			cmocka_unit_test(test_mutants_of_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
