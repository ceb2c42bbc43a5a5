/* A vault whose root is in two places: no erasure without both, no loss with one, and never a copy that
 * is on no record. */
#include "faults.h"
#include "vault_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "daemon/keeper/erasure.h"
#include "daemon/keeper/mirrors.h"
#include "daemon/keeper/recordings.h"

#define FILE_BYTES       (3 * 4096)
#define SLOT_BYTES       4096
#define DAY_US           (24 * 3600 * INT64_C(1000000))
#define POINTS_MIN       10 /* slot operations of an erasure with a mirror */
#define KEEPER_FILE      "keeper/root.slots"
#define MIRROR_FILE_PATH "usb/root.slots"

struct scene {
	struct vault_fixture f;
	vault_fixture_id alice, bob;
	uint8_t old[ROOT_KEY_BYTES];
};

/* The valid records in a root file: how many, and the last of them; -1 when there is no file. */
static int records_in(struct scene *s, const char *name, struct root_record *ret_record)
{
	uint8_t bytes[FILE_BYTES];
	char path[256];
	size_t n;
	int valid = 0;

	snprintf(path, sizeof(path), "%s/%s", s->f.dir, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	assert_int_equal(pread_full(fd, bytes, sizeof(bytes), 0, &n), 0);
	for (unsigned i = 0; i < ROOT_SLOTS; i++)
		valid += root_record_decode(bytes + i * SLOT_BYTES, ret_record) == 0;
	return valid;
}

/* Whether the root from before is anywhere in the file, however damaged the rest. */
static bool holds_old(struct scene *s, const char *name)
{
	uint8_t bytes[FILE_BYTES];
	char path[256];
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", s->f.dir, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread_full(fd, bytes, sizeof(bytes), 0, &n), 0);
	return memmem(bytes, n, s->old, sizeof(s->old)) != NULL;
}

static struct mirror_order order(struct scene *s, const char *name, const char *folder)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", s->f.dir, folder ? folder : "");
	return (struct mirror_order){.name = name,
		.kind = MIRROR_FILE,
		.place = folder ? path : NULL,
		.reason = "test",
		.uid = 7};
}

static int add(struct scene *s, const char *name, const char *folder, char *why)
{
	struct mirror_order o = order(s, name, folder);

	return mirror_add_new(s->f.vault, &o, why);
}

static int drop(struct scene *s, const char *name, char *why)
{
	struct mirror_order o = order(s, name, NULL);

	return mirror_drop(s->f.vault, &o, why);
}

static void open_scene(struct scene *s)
{
	char why[ROOT_TROUBLE_BYTES];
	struct root_record record;

	vault_fixture_open(&s->f);
	vault_fixture_seal(&s->f, "alice", "alice/call", 10, 1, &s->alice);
	vault_fixture_seal(&s->f, "bob", "bob/call", 10, 1, &s->bob);
	vault_fixture_shell(&s->f, "mkdir -m 700 $D/usb");
	assert_int_equal(add(s, "usb", "usb", why), 0);
	assert_int_equal(records_in(s, MIRROR_FILE_PATH, &record), 1);
	assert_int_equal(record.epoch, vault_epoch(s->f.vault));
	memcpy(s->old, record.key, sizeof(s->old));
	assert_true(holds_old(s, KEEPER_FILE) && holds_old(s, MIRROR_FILE_PATH));
}

static void close_scene(struct scene *s)
{
	vault_fixture_close(&s->f);
}

static void assert_plays(struct scene *s, const char *id)
{
	struct recording_opened opened;
	struct recording_row row;

	vault_fixture_row(&s->f, id, &row);
	assert_int_equal(recordings_open(s->f.vault, &row, &opened), 0);
	close(opened.object_fd);
	close(opened.key_fd);
	recording_row_clear(&row);
}

static void reopen(struct scene *s)
{
	char *text = NULL;
	int r = vault_fixture_reopen(&s->f, 0, &text);

	if (r < 0)
		fail_msg("%d: %s", r, text);
	free(text);
}

/* Alice is gone: at this place and that, the root from before is no more. */
static void assert_destroyed(struct scene *s)
{
	struct root_record record;

	assert_int_equal(vault_fixture_state(&s->f, s->alice), RECORDING_DESTROYED);
	assert_false(holds_old(s, KEEPER_FILE) || holds_old(s, MIRROR_FILE_PATH));
	assert_int_equal(records_in(s, KEEPER_FILE, &record), 1);
	assert_int_equal(record.epoch, vault_epoch(s->f.vault));
	assert_int_equal(records_in(s, MIRROR_FILE_PATH, &record), 1);
	assert_int_equal(record.epoch, vault_epoch(s->f.vault));
	assert_plays(s, s->bob);
}

static int erase_alice(struct scene *s)
{
	return vault_fixture_erase(&s->f, ERASE_ACCOUNT, s->alice);
}

static void test_an_erasure_overwrites_both(void **state)
{
	struct scene s;

	open_scene(&s);
	assert_int_equal(erase_alice(&s), 0);
	assert_destroyed(&s);
	reopen(&s);
	assert_destroyed(&s);
	close_scene(&s);
}

static void test_away_and_back(void **state)
{
	struct scene s;

	open_scene(&s);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "mv $D/usb $D/away");
	reopen(&s);
	assert_plays(&s, s.alice);
	assert_int_equal(erase_alice(&s), -RE_AWAY);
	assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_PENDING);
	assert_non_null(strstr(s.f.vault->last_error, "usb"));
	assert_int_equal(vault_epoch(s.f.vault), 1);
	/* Nothing changes while it is away, or over a restart. */
	assert_int_equal(erasure_retry(s.f.vault), -RE_AWAY);
	reopen(&s);
	assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_PENDING);
	vault_fixture_shell(&s.f, "mv $D/away $D/usb");
	assert_int_equal(erasure_retry(s.f.vault), 0);
	assert_destroyed(&s);
	close_scene(&s);
}

/* The keeper's own place is lost: the vault opens all the same. */
static void test_the_own_place_is_lost(void **state)
{
	char why[ROOT_TROUBLE_BYTES];
	struct scene s;

	open_scene(&s);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "mv $D/keeper/root.slots $D/lost");
	reopen(&s);
	assert_plays(&s, s.alice);
	vault_fixture_seal(&s.f, "carol", "carol/call", 10, 1, NULL);
	assert_int_equal(erase_alice(&s), -RE_AWAY);
	struct mirror_order o = order(&s, MIRROR_MAIN, NULL);
	assert_int_equal(mirror_replace(s.f.vault, &o, why), -RE_REFUSED);
	assert_non_null(strstr(why, "AwayLimit"));
	s.f.now_us += 8 * DAY_US;
	assert_int_equal(mirror_replace(s.f.vault, &o, why), 0);
	assert_int_equal(erasure_retry(s.f.vault), 0);
	assert_destroyed(&s);
	/* What was given up stays on record. */
	struct mirror_row row;
	assert_int_equal(mirror_find(s.f.vault->db, MIRROR_MAIN, MIRROR_GIVEN_UP, &row), 0);
	assert_int_equal(row.given_up_epoch, 1);
	/* A place that is there is not replaced so. */
	assert_int_equal(mirror_replace(s.f.vault, &o, why), -RE_REFUSED);
	close_scene(&s);
}

/* Removed under the running keeper, which has it open. */
static void test_a_mirror_is_removed(void **state)
{
	struct scene s;

	open_scene(&s);
	vault_fixture_shell(&s.f, "mv $D/usb/root.slots $D/aside");
	assert_int_equal(erase_alice(&s), -RE_AWAY);
	vault_fixture_shell(&s.f, "mv $D/aside $D/usb/root.slots");
	assert_int_equal(erasure_retry(s.f.vault), 0);
	assert_destroyed(&s);
	close_scene(&s);
}

/* The only root file is removed under the running keeper: a mirror saves it. */
static void test_the_only_file_is_removed(void **state)
{
	char why[ROOT_TROUBLE_BYTES];
	struct scene s;

	open_scene(&s);
	assert_int_equal(drop(&s, "usb", why), 0);
	vault_fixture_shell(&s.f, "rm $D/keeper/root.slots");
	assert_int_equal(erase_alice(&s), -RE_AWAY);
	assert_non_null(strstr(s.f.vault->last_error, "Do not stop"));
	assert_int_equal(add(&s, "usb", "usb", why), 0);
	s.f.now_us += 8 * DAY_US;
	assert_int_equal(erasure_retry(s.f.vault), -RE_AWAY); /* seen only now to be away */
	s.f.now_us += 8 * DAY_US;
	struct mirror_order o = order(&s, MIRROR_MAIN, NULL);
	assert_int_equal(mirror_replace(s.f.vault, &o, why), 0);
	assert_int_equal(erasure_retry(s.f.vault), 0);
	assert_destroyed(&s);
	reopen(&s);
	assert_destroyed(&s);
	close_scene(&s);
}

/* Both removed under the running keeper: it holds the root in memory, but has no place for a new one. */
static void test_both_are_removed(void **state)
{
	char why[ROOT_TROUBLE_BYTES];
	struct scene s;

	open_scene(&s);
	vault_fixture_shell(&s.f, "mv $D/usb $D/away; mv $D/keeper/root.slots $D/lost");
	assert_int_equal(erase_alice(&s), -RE_AWAY);
	s.f.now_us += 30 * DAY_US;
	assert_int_equal(drop(&s, "usb", why), -RE_REFUSED);
	struct mirror_order o = order(&s, MIRROR_MAIN, NULL);
	assert_true(mirror_replace(s.f.vault, &o, why) < 0);
	assert_int_equal(erasure_retry(s.f.vault), -RE_AWAY);
	assert_int_equal(vault_epoch(s.f.vault), 1);
	assert_plays(&s, s.bob);
	vault_fixture_shell(&s.f, "mv $D/away $D/usb; mv $D/lost $D/keeper/root.slots");
	assert_int_equal(erasure_retry(s.f.vault), 0);
	assert_destroyed(&s);
	reopen(&s);
	assert_destroyed(&s);
	close_scene(&s);
}

/* Neither place, no vault; and no new one. */
static void test_both_are_lost(void **state)
{
	char *text = NULL;
	struct scene s;

	open_scene(&s);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "rm $D/keeper/root.slots; mv $D/usb $D/away");
	assert_int_equal(vault_fixture_reopen(&s.f, 0, &text), -RE_NO_ROOT);
	free(text);
	vault_fixture_shell(&s.f, "mv $D/away $D/usb");
	reopen(&s);
	assert_plays(&s, s.alice);
	close_scene(&s);
}

/* --- Crashes --- */

static void erase_and_crash(struct scene *s, enum fault fault, unsigned at)
{
	if (vault_fixture_reopen(&s->f, 0, NULL) < 0)
		_exit(1);
	faults_on_member(s->f.vault, 0);
	faults_on_member(s->f.vault, 1);
	faults_arm(fault, at, 1);
	_exit(erase_alice(s) < 0 ? 2 : 0);
}

/* False when the erasure ended before it came so far. */
static bool crash(struct scene *s, enum fault fault, unsigned at)
{
	int status;

	vault_fixture_shut(&s->f);
	pid_t pid = fork();
	if (pid == 0)
		erase_and_crash(s, fault, at);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != FAULT_EXIT_CODE)
		assert_int_equal(WEXITSTATUS(status), 0);
	return WEXITSTATUS(status) == FAULT_EXIT_CODE;
}

/* After a crash at every operation on the slots of both. */
static void test_a_crash_at_every_slot_operation(void **state)
{
	static const enum fault faults[] = {FAULT_EXIT_BEFORE, FAULT_EXIT_TORN, FAULT_EXIT_AFTER};

	for (size_t i = 0; i < ELEMENTSOF(faults); i++) {
		bool more = true;
		unsigned at = 0;
		for (; more; at++) {
			struct scene s;
			open_scene(&s);
			more = crash(&s, faults[i], at);
			reopen(&s);
			/* Before the first operation nothing was noted. */
			if (vault_fixture_state(&s.f, s.alice) == RECORDING_SEALED)
				assert_int_equal(erase_alice(&s), 0);
			assert_destroyed(&s);
			close_scene(&s);
		}
		assert_true(at > POINTS_MIN);
	}
}

/* And one of the two is away at the next start: whatever it holds, nothing is final without it, nothing
 * that lives is lost, and all is done when it is back. */
static void crash_and_away(
	enum fault fault, unsigned at, const char *away, const char *back, bool *ret_more)
{
	struct scene s;

	open_scene(&s);
	*ret_more = crash(&s, fault, at);
	vault_fixture_shell(&s.f, away);
	reopen(&s);
	assert_plays(&s, s.bob);
	enum recording_state now = vault_fixture_state(&s.f, s.alice);
	assert_true(now == RECORDING_PENDING || (now == RECORDING_DESTROYED && !*ret_more) ||
		    now == RECORDING_SEALED);
	if (now == RECORDING_SEALED)
		assert_int_equal(erase_alice(&s), -RE_AWAY);
	vault_fixture_seal(&s.f, "carol", "carol/call", 10, 1, NULL);
	reopen(&s);
	assert_plays(&s, s.bob);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, back);
	reopen(&s);
	assert_destroyed(&s);
	close_scene(&s);
}

static void test_a_crash_and_one_is_away(void **state)
{
	static const char *const moves[][2] = {{"mv $D/usb $D/away", "mv $D/away $D/usb"},
		{"mv $D/keeper/root.slots $D/away", "mv $D/away $D/keeper/root.slots"}};

	for (size_t i = 0; i < ELEMENTSOF(moves); i++) {
		bool more = true;
		for (unsigned at = 0; more; at++)
			crash_and_away(FAULT_EXIT_AFTER, at, moves[i][0], moves[i][1], &more);
	}
}

/* --- Faults --- */

/* A member fails for good at each of its operations, and is repaired: the erasure is pending, then
 * done. */
static void fails_and_is_back(size_t member, enum fault fault, unsigned at, bool *ret_reached)
{
	struct scene s;

	open_scene(&s);
	faults_on_member(s.f.vault, member);
	faults_arm(fault, at, FAULTS_ALWAYS);
	int r = erase_alice(&s);
	*ret_reached = faults_disarm() > at;
	assert_false(s.f.vault->stuck);
	if (*ret_reached)
		assert_true(r < 0 || vault_fixture_state(&s.f, s.alice) == RECORDING_DESTROYED);
	else
		assert_int_equal(r, 0);
	assert_plays(&s, s.bob);
	if (r < 0) {
		assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_PENDING);
		assert_int_equal(erasure_retry(s.f.vault), 0);
	}
	assert_destroyed(&s);
	reopen(&s);
	assert_destroyed(&s);
	close_scene(&s);
}

static void test_every_fault_of_one_member(void **state)
{
	static const enum fault faults[] = {FAULT_EIO, FAULT_EIO_TORN, FAULT_EIO_AFTER, FAULT_LIE};

	for (size_t member = 0; member < 2; member++) {
		for (size_t i = 0; i < ELEMENTSOF(faults); i++) {
			bool reached = true;
			for (unsigned at = 0; reached; at++)
				fails_and_is_back(member, faults[i], at, &reached);
		}
	}
}

/* --- An old state --- */

/* Database and own root file, the very same, from before the erasure; and the object folder's witness
 * gone: the mirror tells. */
static void test_an_old_state_is_refused(void **state)
{
	char *text = NULL;
	struct scene s;

	open_scene(&s);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "cp -a $D/keeper $D/copy");
	reopen(&s);
	assert_int_equal(erase_alice(&s), 0);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "cat $D/copy/root.slots 1<>$D/keeper/root.slots;"
				  "rm $D/keeper/keeper.db*; cp -a $D/copy/keeper.db* $D/keeper/;"
				  "find $D/objects -name 'epoch-*' -delete");
	assert_int_equal(vault_fixture_reopen(&s.f, 0, &text), -RE_EPOCH);
	assert_non_null(strstr(text, "usb"));
	free(text);
	/* Without that mirror it could not be told: which is what it is worth. */
	vault_fixture_shell(&s.f, "mv $D/usb $D/away");
	reopen(&s);
	/* And back, it is no member of this state. */
	vault_fixture_shell(&s.f, "mv $D/away $D/usb");
	assert_int_equal(mirrors_ready(s.f.vault), -RE_AWAY);
	close_scene(&s);
}

/* --- Changes --- */

static void test_dropping(void **state)
{
	char why[ROOT_TROUBLE_BYTES];
	struct root_record record;
	struct scene s;

	open_scene(&s);
	assert_int_equal(drop(&s, "nothing", why), -ENOENT);
	assert_int_equal(drop(&s, MIRROR_MAIN, why), -RE_REFUSED);
	assert_int_equal(drop(&s, "usb", why), 0);
	assert_int_equal(records_in(&s, MIRROR_FILE_PATH, &record), -1);
	assert_int_equal(s.f.vault->root->n, 1);
	assert_int_equal(erase_alice(&s), 0);
	close_scene(&s);
}

static void test_giving_up(void **state)
{
	char why[ROOT_TROUBLE_BYTES];
	struct root_record record;
	struct scene s;

	open_scene(&s);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "mv $D/usb $D/away");
	reopen(&s);
	assert_int_equal(erase_alice(&s), -RE_AWAY);
	assert_int_equal(drop(&s, "usb", why), -RE_REFUSED);
	s.f.now_us += 6 * DAY_US;
	assert_int_equal(drop(&s, "usb", why), -RE_REFUSED);
	s.f.now_us += 2 * DAY_US;
	reopen(&s); /* the time counts on */
	assert_int_equal(drop(&s, "usb", why), 0);
	assert_int_equal(erasure_retry(s.f.vault), 0);
	assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_DESTROYED);
	/* It is still out there, and known to be. */
	struct mirror_row row;
	assert_int_equal(mirror_find(s.f.vault->db, "usb", MIRROR_GIVEN_UP, &row), 0);
	assert_int_equal(row.given_up_epoch, 1);
	assert_true(holds_old(&s, "away/root.slots"));
	assert_true(drop(&s, "usb", why) < 0);
	reopen(&s);
	assert_int_equal(s.f.vault->root->n, 1);
	/* Back: its copy is overwritten after all. */
	vault_fixture_shell(&s.f, "mv $D/away $D/usb");
	assert_int_equal(drop(&s, "usb", why), 0);
	assert_int_equal(records_in(&s, MIRROR_FILE_PATH, &record), -1);
	assert_int_equal(drop(&s, "usb", why), -ENOENT);
	close_scene(&s);
}

static void test_replacing(void **state)
{
	char why[ROOT_TROUBLE_BYTES];
	struct root_record record;
	struct scene s;

	open_scene(&s);
	vault_fixture_shell(&s.f, "mkdir -m 700 $D/new");
	struct mirror_order o = order(&s, "usb", "new");
	assert_int_equal(mirror_replace(s.f.vault, &o, why), 0);
	assert_int_equal(records_in(&s, MIRROR_FILE_PATH, &record), -1);
	assert_int_equal(records_in(&s, "new/root.slots", &record), 1);
	reopen(&s);
	assert_int_equal(s.f.vault->root->n, 2);
	assert_int_equal(erase_alice(&s), 0);
	assert_int_equal(records_in(&s, "new/root.slots", &record), 1);
	assert_int_equal(record.epoch, 2);
	close_scene(&s);
}

static void test_what_is_not_added(void **state)
{
	char why[ROOT_TROUBLE_BYTES];
	struct scene s;

	open_scene(&s);
	assert_int_equal(add(&s, "usb", "usb", why), -EEXIST);
	assert_int_equal(add(&s, "second", "usb", why), -EEXIST); /* somebody else's root */
	assert_int_equal(add(&s, MIRROR_MAIN, "usb", why), -RE_REFUSED);
	assert_int_equal(add(&s, "A B", "usb", why), -RE_REFUSED);
	assert_int_equal(add(&s, "second", "missing", why), -ENOENT);
	vault_fixture_shell(&s.f, "mkdir $D/open && chmod 777 $D/open");
	assert_int_equal(add(&s, "second", "open", why), -RE_REFUSED);
	assert_non_null(strstr(why, "chmod"));
	assert_int_equal(s.f.vault->root->n, 2);
	assert_int_equal(mirrors_ready(s.f.vault), 0);
	/* None of these has left a trace. */
	reopen(&s);
	assert_int_equal(s.f.vault->root->n, 2);
	assert_int_equal(erase_alice(&s), 0);
	assert_destroyed(&s);
	close_scene(&s);
}

/* The keeper died between the note and the end of adding: the copy goes, and so does the note; but no
 * sooner. */
static void test_adding_is_cut_short(void **state)
{
	struct mirror_row row = {.kind = MIRROR_FILE,
		.name = "second",
		.assurance = "file",
		.state = MIRROR_UNSETTLED,
		.added_us = 1};
	struct root_record record;
	struct scene s;

	open_scene(&s);
	vault_fixture_shell(&s.f, "mkdir -m 700 $D/second");
	snprintf(row.place, sizeof(row.place), "%s/second", s.f.dir);
	assert_int_equal(db_begin(s.f.vault->db), 0);
	assert_int_equal(mirror_add(s.f.vault->db, &row), 0);
	assert_int_equal(db_commit(s.f.vault->db), 0);
	struct root_provider *half;
	_cleanup_close_ int fd = open(row.place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(root_file_create(fd, &half), 0);
	uint8_t image[ROOT_IMAGE_BYTES];
	assert_int_equal(mirrors_image(s.f.vault, image), 0);
	assert_int_equal(half->ops->write(half, 0, image), 0);
	root_provider_free(half);
	assert_true(holds_old(&s, "second/root.slots"));
	vault_fixture_shell(&s.f, "mv $D/second $D/away");
	reopen(&s);
	assert_int_equal(erase_alice(&s), -RE_AWAY);
	vault_fixture_shell(&s.f, "mv $D/away $D/second");
	assert_int_equal(erasure_retry(s.f.vault), 0);
	assert_int_equal(records_in(&s, "second/root.slots", &record), -1);
	assert_int_equal(s.f.vault->root->n, 2);
	assert_destroyed(&s);
	close_scene(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_erasure_overwrites_both),
		cmocka_unit_test(test_away_and_back),
		cmocka_unit_test(test_the_own_place_is_lost),
		cmocka_unit_test(test_a_mirror_is_removed),
		cmocka_unit_test(test_the_only_file_is_removed),
		cmocka_unit_test(test_both_are_removed),
		cmocka_unit_test(test_both_are_lost),
		cmocka_unit_test(test_a_crash_at_every_slot_operation),
		cmocka_unit_test(test_a_crash_and_one_is_away),
		cmocka_unit_test(test_every_fault_of_one_member),
		cmocka_unit_test(test_an_old_state_is_refused),
		cmocka_unit_test(test_dropping),
		cmocka_unit_test(test_giving_up),
		cmocka_unit_test(test_replacing),
		cmocka_unit_test(test_what_is_not_added),
		cmocka_unit_test(test_adding_is_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
