/* A vault whose root is in two places: no erasure without both, and no loss with one. */
#include "tests/unit/support/faults.h"
#include "tests/unit/support/mirror_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/erasure/erasure.h"

#define POINTS_MIN 10 /* slot operations of an erasure with a mirror */

static void test_an_erasure_overwrites_both(void **state)
{
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	assert_int_equal(mirror_fixture_erase(&s), 0);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_reopen(&s);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
}

static void test_away_and_back(void **state)
{
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "mv $D/usb $D/away");
	mirror_fixture_reopen(&s);
	mirror_fixture_assert_plays(&s, s.alice);
	assert_int_equal(mirror_fixture_erase(&s), -RE_AWAY);
	assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_PENDING);
	assert_non_null(strstr(s.f.vault->notices.problem.text, "usb"));
	assert_int_equal(vault_epoch(s.f.vault), SCENE_EPOCH);
	/* Nothing changes while it is away, or over a restart. */
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), -RE_AWAY);
	mirror_fixture_reopen(&s);
	assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_PENDING);
	vault_fixture_shell(&s.f, "mv $D/away $D/usb");
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), 0);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
}

/* An altered row is no proof that the mirror was given up: erasures wait for it. */
static void test_an_altered_row_gives_nothing_up(void **state)
{
	struct mirror_fixture s;
	char path[128];
	sqlite3 *db;

	mirror_fixture_open(&s);
	vault_fixture_shut(&s.f);
	snprintf(path, sizeof(path), "%s/keeper/keeper.db", s.f.dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	snprintf(path, sizeof(path), "UPDATE mirror SET state = %d", MIRROR_GIVEN_UP);
	assert_int_equal(sqlite3_exec(db, path, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	mirror_fixture_reopen(&s);
	mirror_fixture_assert_plays(&s, s.alice);
	assert_int_equal(mirror_fixture_erase(&s), -RE_AWAY);
	assert_int_equal(vault_epoch(s.f.vault), SCENE_EPOCH);
	mirror_fixture_close(&s);
}

/* The keeper's own place is lost: the vault opens all the same. */
static void test_the_own_place_is_lost(void **state)
{
	struct reason why = {""};
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "mv $D/keeper/root.slots $D/lost");
	mirror_fixture_reopen(&s);
	mirror_fixture_assert_plays(&s, s.alice);
	vault_fixture_seal(&s.f, "carol", "carol/call", 10, 1, NULL);
	assert_int_equal(mirror_fixture_erase(&s), -RE_AWAY);
	struct mirror_order o = mirror_fixture_order(&s, MIRROR_MAIN, NULL);
	assert_int_equal(mirror_change_replace(&s.f.vault->eraser, &o, &why), -RE_REFUSED);
	assert_non_null(strstr(why.text, "AwayLimit"));
	s.f.now_us += 8 * SCENE_DAY_US;
	assert_int_equal(mirror_change_replace(&s.f.vault->eraser, &o, &why), 0);
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), 0);
	mirror_fixture_assert_destroyed(&s);
	/* What was given up stays on record. */
	struct mirror_row row;
	assert_int_equal(mirror_table_find(s.f.vault->db, MIRROR_MAIN, MIRROR_GIVEN_UP, &row), 0);
	assert_int_equal(row.given_up_epoch, SCENE_EPOCH);
	/* A place that is there is not replaced so. */
	assert_int_equal(mirror_change_replace(&s.f.vault->eraser, &o, &why), -RE_REFUSED);
	mirror_fixture_close(&s);
}

/* Removed under the running keeper, which has it open. */
static void test_a_mirror_is_removed(void **state)
{
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shell(&s.f, "mv $D/usb/root.slots $D/aside");
	assert_int_equal(mirror_fixture_erase(&s), -RE_AWAY);
	vault_fixture_shell(&s.f, "mv $D/aside $D/usb/root.slots");
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), 0);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
}

/* The only root file is removed under the running keeper: a mirror saves it. */
static void test_the_only_file_is_removed(void **state)
{
	struct reason why = {""};
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	assert_int_equal(mirror_fixture_drop(&s, "usb", &why), 0);
	vault_fixture_shell(&s.f, "rm $D/keeper/root.slots");
	assert_int_equal(mirror_fixture_erase(&s), -RE_AWAY);
	assert_non_null(strstr(s.f.vault->notices.problem.text, "Do not stop"));
	assert_int_equal(mirror_fixture_add(&s, "usb", "usb", &why), 0);
	s.f.now_us += 8 * SCENE_DAY_US;
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL),
			-RE_AWAY); /* seen only now to be away */
	s.f.now_us += 8 * SCENE_DAY_US;
	struct mirror_order o = mirror_fixture_order(&s, MIRROR_MAIN, NULL);
	assert_int_equal(mirror_change_replace(&s.f.vault->eraser, &o, &why), 0);
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), 0);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_reopen(&s);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
}

/* Both removed under the running keeper: it holds the root in memory, but has no place for a new
 * one. */
static void test_both_are_removed(void **state)
{
	struct reason why = {""};
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shell(&s.f, "mv $D/usb $D/away; mv $D/keeper/root.slots $D/lost");
	assert_int_equal(mirror_fixture_erase(&s), -RE_AWAY);
	s.f.now_us += 30 * SCENE_DAY_US;
	assert_int_equal(mirror_fixture_drop(&s, "usb", &why), -RE_REFUSED);
	struct mirror_order o = mirror_fixture_order(&s, MIRROR_MAIN, NULL);
	assert_true(mirror_change_replace(&s.f.vault->eraser, &o, &why) < 0);
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), -RE_AWAY);
	assert_int_equal(vault_epoch(s.f.vault), SCENE_EPOCH);
	mirror_fixture_assert_plays(&s, s.bob);
	vault_fixture_shell(&s.f, "mv $D/away $D/usb; mv $D/lost $D/keeper/root.slots");
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), 0);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_reopen(&s);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
}

/* Neither place, no vault; and no new one. */
static void test_both_are_lost(void **state)
{
	char *text = NULL;
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "rm $D/keeper/root.slots; mv $D/usb $D/away");
	assert_int_equal(vault_fixture_reopen(&s.f, 0, &text), -RE_NO_ROOT);
	free(text);
	vault_fixture_shell(&s.f, "mv $D/away $D/usb");
	mirror_fixture_reopen(&s);
	mirror_fixture_assert_plays(&s, s.alice);
	mirror_fixture_close(&s);
}

/* --- Crashes --- */

static void erase_and_crash(struct mirror_fixture *s, enum fault fault, unsigned at)
{
	if (vault_fixture_reopen(&s->f, 0, NULL) < 0)
		_exit(1);
	faults_on_member(s->f.vault, 0);
	faults_on_member(s->f.vault, 1);
	faults_arm(fault, at, 1);
	_exit(mirror_fixture_erase(s) < 0 ? 2 : 0);
}

/* False when the erasure ended before it came so far. */
static bool crash(struct mirror_fixture *s, enum fault fault, unsigned at)
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
			struct mirror_fixture s;
			mirror_fixture_open(&s);
			more = crash(&s, faults[i], at);
			mirror_fixture_reopen(&s);
			/* Before the first operation nothing was noted. */
			if (vault_fixture_state(&s.f, s.alice) == RECORDING_SEALED)
				assert_int_equal(mirror_fixture_erase(&s), 0);
			mirror_fixture_assert_destroyed(&s);
			mirror_fixture_close(&s);
		}
		assert_true(at > POINTS_MIN);
	}
}

/* And one of the two is away at the next start: whatever it holds, nothing is final without it,
 * nothing that lives is lost, and all is done when it is back. */
static void crash_and_away(
		enum fault fault, unsigned at, const char *away, const char *back, bool *ret_more)
{
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	*ret_more = crash(&s, fault, at);
	vault_fixture_shell(&s.f, away);
	mirror_fixture_reopen(&s);
	mirror_fixture_assert_plays(&s, s.bob);
	enum recording_state now = vault_fixture_state(&s.f, s.alice);
	assert_true(now == RECORDING_PENDING || (now == RECORDING_DESTROYED && !*ret_more) ||
			now == RECORDING_SEALED);
	if (now == RECORDING_SEALED)
		assert_int_equal(mirror_fixture_erase(&s), -RE_AWAY);
	vault_fixture_seal(&s.f, "carol", "carol/call", 10, 1, NULL);
	mirror_fixture_reopen(&s);
	mirror_fixture_assert_plays(&s, s.bob);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, back);
	mirror_fixture_reopen(&s);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
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
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	faults_on_member(s.f.vault, member);
	faults_arm(fault, at, FAULTS_ALWAYS);
	int r = mirror_fixture_erase(&s);
	*ret_reached = faults_disarm() > at;
	assert_false(root_is_stuck(&s.f.vault->root));
	if (*ret_reached)
		assert_true(r < 0 || vault_fixture_state(&s.f, s.alice) == RECORDING_DESTROYED);
	else
		assert_int_equal(r, 0);
	mirror_fixture_assert_plays(&s, s.bob);
	if (r < 0) {
		assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_PENDING);
		assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), 0);
	}
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_reopen(&s);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
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

/* Database and own root file, the very same, from before the erasure; and the object folder's
 * witness gone: the mirror tells. */
static void test_an_old_state_is_refused(void **state)
{
	char *text = NULL;
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "cp -a $D/keeper $D/copy");
	mirror_fixture_reopen(&s);
	assert_int_equal(mirror_fixture_erase(&s), 0);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "cat $D/copy/root.slots 1<>$D/keeper/root.slots;"
				  "rm $D/keeper/keeper.db*; cp -a $D/copy/keeper.db* $D/keeper/;"
				  "find $D/objects -name 'epoch-*' -delete");
	assert_int_equal(vault_fixture_reopen(&s.f, 0, &text), -RE_EPOCH);
	assert_non_null(strstr(text, "usb"));
	free(text);
	/* Without that mirror it could not be told: which is what it is worth. */
	vault_fixture_shell(&s.f, "mv $D/usb $D/away");
	mirror_fixture_reopen(&s);
	/* And back, it is no member of this state. */
	vault_fixture_shell(&s.f, "mv $D/away $D/usb");
	assert_int_equal(mirrors_ready(&s.f.vault->root, NULL), -RE_AWAY);
	mirror_fixture_close(&s);
}

/* --- A mirror that can be read but not written --- */

static struct {
	bool usb_refuses;
	unsigned main, usb; /* writes asked for */
} writes;

static bool is_refused(const struct root_set *set, size_t i)
{
	bool usb = strcmp(set->member[i].name, "usb") == 0;

	writes.usb += usb;
	writes.main += !usb;
	return usb && writes.usb_refuses;
}

int __real_root_set_put(struct root_set *set, size_t i, unsigned slot, const uint8_t *image);
int __wrap_root_set_put(struct root_set *set, size_t i, unsigned slot, const uint8_t *image);
int __wrap_root_set_put(struct root_set *set, size_t i, unsigned slot, const uint8_t *image)
{
	return is_refused(set, i) ? -EIO : __real_root_set_put(set, i, slot, image);
}

int __real_root_set_clear(struct root_set *set, size_t i, unsigned slot);
int __wrap_root_set_clear(struct root_set *set, size_t i, unsigned slot);
int __wrap_root_set_clear(struct root_set *set, size_t i, unsigned slot)
{
	return is_refused(set, i) ? -EIO : __real_root_set_clear(set, i, slot);
}

/* Ten hours of retention's retries, every 30 s. */
static void retry_for_hours(struct mirror_fixture *s)
{
	for (unsigned i = 0; i < 10 * 120; i++) {
		s->f.now_us += 30 * US_PER_S;
		assert_true(erasure_retry(&s->f.vault->eraser, NULL) < 0);
	}
}

/* Which of the two is in the TPM. */
static void label(struct mirror_fixture *s, size_t tpm)
{
	s->f.vault->root.copies->member[tpm].assurance = "hw-tpm";
}

#define ATTEMPTS_MAX 18 /* in ten hours: 2 at once, after 1, 2, 4, ... 32 minutes, and every hour */

static void test_refused_writes_wear_no_tpm(void **state)
{
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	label(&s, 0);
	writes.usb_refuses = true;
	writes.main = writes.usb = 0;
	assert_true(mirror_fixture_erase(&s) < 0);
	retry_for_hours(&s);
	/* The file is written first: the TPM not at all. Each attempt is a write and taking it back. */
	assert_int_equal(writes.main, 0);
	assert_true(writes.usb > 4 && writes.usb <= 2 * ATTEMPTS_MAX);
	/* It counts as away, so that it can be given up. */
	assert_true(s.f.vault->root.copies->member[1].away_us != 0);
	writes.usb_refuses = false;
	s.f.now_us += ROOT_SET_WAIT_MAX_S * US_PER_S;
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), 0);
	mirror_fixture_assert_destroyed(&s);
	assert_int_equal(mirrors_ready(&s.f.vault->root, NULL), 0);
	assert_true(s.f.vault->root.copies->member[1].away_us == 0);
	mirror_fixture_close(&s);
}

/* Where what refuses comes last, the others are spared by the pauses. */
static void test_refused_writes_become_rare(void **state)
{
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	label(&s, 1);
	writes.usb_refuses = true;
	writes.main = writes.usb = 0;
	assert_true(mirror_fixture_erase(&s) < 0);
	retry_for_hours(&s);
	assert_true(writes.main > 4 && writes.main <= 2 * ATTEMPTS_MAX);
	writes.usb_refuses = false;
	mirror_fixture_close(&s);
}

/* An order while usb is away, and usb is back. */
static void order_away(struct mirror_fixture *s)
{
	mirror_fixture_open(s);
	vault_fixture_shell(&s->f, "mv $D/usb $D/away");
	assert_int_equal(mirror_fixture_erase(s), -RE_AWAY);
	vault_fixture_shell(&s->f, "mv $D/away $D/usb");
}

/* Whatever there is to bring in line: a look leaves it alone. */
static void test_looking_writes_nothing(void **state)
{
	struct mirrors_seen seen[ROOT_MEMBERS_MAX];
	struct mirror_fixture s;

	order_away(&s);
	writes.main = writes.usb = 0;
	for (unsigned i = 0; i < 50; i++)
		mirrors_look(&s.f.vault->root, seen);
	assert_true(seen[0].there && !seen[1].there);
	assert_non_null(strstr(seen[1].why.text, "usb"));
	assert_int_equal(writes.main + writes.usb, 0);
	assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_PENDING);
	assert_non_null(root_set_away(s.f.vault->root.copies));
	/* Control: bringing it in line does write. */
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), 0);
	assert_true(writes.main > 0 && writes.usb > 0);
	mirrors_look(&s.f.vault->root, seen);
	assert_true(seen[0].there && seen[1].there);
	/* A file that was removed under the running keeper. */
	vault_fixture_shell(&s.f, "mv $D/keeper/root.slots $D/aside");
	mirrors_look(&s.f.vault->root, seen);
	assert_false(seen[0].there);
	mirror_fixture_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_an_erasure_overwrites_both),
			cmocka_unit_test(test_away_and_back),
			cmocka_unit_test(test_an_altered_row_gives_nothing_up),
			cmocka_unit_test(test_the_own_place_is_lost),
			cmocka_unit_test(test_a_mirror_is_removed),
			cmocka_unit_test(test_the_only_file_is_removed),
			cmocka_unit_test(test_both_are_removed),
			cmocka_unit_test(test_both_are_lost),
			cmocka_unit_test(test_a_crash_at_every_slot_operation),
			cmocka_unit_test(test_a_crash_and_one_is_away),
			cmocka_unit_test(test_every_fault_of_one_member),
			cmocka_unit_test(test_an_old_state_is_refused),
			cmocka_unit_test(test_refused_writes_wear_no_tpm),
			cmocka_unit_test(test_refused_writes_become_rare),
			cmocka_unit_test(test_looking_writes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
