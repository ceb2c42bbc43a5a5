/* keeper.db is put back as the manual says, from before a change of the mirrors or before an order that
 * waits, root.slots being the newest: it is refused, or what it has forgotten is put back into it. In no
 * case does anything end as "destroyed" that a mirror opens which the database has forgotten. */
#include "tests/unit/support/mirror_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/erasure/reminder.h"

#define SAVE    "rm -rf $D/save && mkdir $D/save && cp -a $D/keeper/keeper.db* $D/save/"
#define RESTORE "rm -f $D/keeper/keeper.db* && cp -a $D/save/keeper.db* $D/keeper/"

/* A copy of the database, as a backup makes it while the keeper rests. */
static void save(struct mirror_fixture *s)
{
	vault_fixture_shut(&s->f);
	vault_fixture_shell(&s->f, SAVE);
	mirror_fixture_reopen(s);
}

/* Puts it back; vault_open()'s result. */
static int restore(struct mirror_fixture *s, char **ret_text)
{
	vault_fixture_shut(&s->f);
	vault_fixture_shell(&s->f, RESTORE);
	return vault_fixture_reopen(&s->f, 0, ret_text);
}

static void assert_refused(struct mirror_fixture *s, const char *what)
{
	char *text = NULL;
	int r = restore(s, &text);

	if (r != -RE_EPOCH)
		fail_msg("%s: %d instead of a refusal: %s", what, r, text);
	assert_non_null(strstr(text, "epoch"));
	free(text);
}

static void mirror_goes_away(struct mirror_fixture *s)
{
	vault_fixture_shell(&s->f, "mv $D/usb $D/away");
	assert_int_equal(mirrors_ready(&s->f.vault->root, NULL), -RE_AWAY);
	s->f.now_us += 8 * SCENE_DAY_US;
}

static void main_goes_away(struct mirror_fixture *s)
{
	vault_fixture_shell(&s->f, "mv $D/keeper/root.slots $D/lost");
	assert_int_equal(mirrors_ready(&s->f.vault->root, NULL), -RE_AWAY);
	s->f.now_us += 8 * SCENE_DAY_US;
}

/* --- Changes with all copies there, each with what comes before the copy is made. --- */

static int add_second(struct mirror_fixture *s)
{
	return mirror_fixture_add(s, "second", "second", NULL);
}

static int drop_usb(struct mirror_fixture *s)
{
	return mirror_fixture_drop(s, "usb", NULL);
}

static int replace_usb(struct mirror_fixture *s)
{
	struct mirror_order o = mirror_fixture_order(s, "usb", "second");

	return mirror_change_replace(&s->f.vault->eraser, &o, NULL);
}

static int replace_main(struct mirror_fixture *s)
{
	struct mirror_order o = mirror_fixture_order(s, MIRROR_MAIN, NULL);

	return mirror_change_replace(&s->f.vault->eraser, &o, NULL);
}

static const struct {
	const char *what;
	void (*before)(struct mirror_fixture *s);
	int (*change)(struct mirror_fixture *s);
} changes[] = {
		{"add", NULL, add_second},
		{"drop", NULL, drop_usb},
		{"replace", NULL, replace_usb},
		{"give up", mirror_goes_away, drop_usb},
		{"replace what is away", mirror_goes_away, replace_usb},
		{"replace main", main_goes_away, replace_main},
};

static void test_every_change_is_an_epoch(void **state)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct mirror_fixture s;
		mirror_fixture_open(&s);
		vault_fixture_shell(&s.f, "mkdir -m 700 $D/second");
		if (changes[i].before)
			changes[i].before(&s);
		save(&s);
		uint64_t epoch = vault_epoch(s.f.vault);
		int r = changes[i].change(&s);
		if (r < 0 || vault_epoch(s.f.vault) <= epoch)
			fail_msg("%s: %d, epoch %u after %u", changes[i].what, r,
					(unsigned)vault_epoch(s.f.vault), (unsigned)epoch);
		/* And in the folder of objects nothing tells of it. */
		vault_fixture_shell(&s.f, "find $D/objects -name 'epoch-*' -delete");
		assert_refused(&s, changes[i].what);
		mirror_fixture_close(&s);
	}
}

/* The issue, word for word: the copy is from before the mirror was added. The newest database opens. */
static void test_the_newest_database_opens(void **state)
{
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shell(&s.f, "mkdir -m 700 $D/second");
	save(&s);
	assert_int_equal(add_second(&s), 0);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "mv $D/save $D/old");
	vault_fixture_shell(&s.f, SAVE);
	vault_fixture_shell(
			&s.f, "rm -f $D/keeper/keeper.db* && cp -a $D/old/keeper.db* $D/keeper/");
	assert_int_equal(vault_fixture_reopen(&s.f, 0, NULL), -RE_EPOCH);
	vault_fixture_shell(&s.f, RESTORE);
	mirror_fixture_reopen(&s);
	assert_int_equal(s.f.vault->root.copies->n, 3);
	assert_int_equal(mirror_fixture_erase(&s), 0);
	mirror_fixture_assert_destroyed(&s);
	assert_false(mirror_fixture_holds_old(&s, "second/root.slots"));
	mirror_fixture_close(&s);
}

/* --- While a copy is away: no epoch can be made --- */

static void bring_back(struct mirror_fixture *s)
{
	vault_fixture_shell(&s->f, "mv $D/away $D/usb");
	assert_int_equal(erasure_retry(&s->f.vault->eraser, NULL), 0);
}

static void order_while_away(struct mirror_fixture *s)
{
	mirror_fixture_open(s);
	mirror_goes_away(s);
	save(s);
	assert_int_equal(mirror_fixture_erase(s), -RE_AWAY);
	assert_int_equal(vault_fixture_state(&s->f, s->alice), RECORDING_PENDING);
}

/* Negative control: without its reminder each is forgotten. */
static bool no_reminders;

int __real_reminder_keep_orders(struct root *root, const struct erasure_item *items, size_t n);
int __wrap_reminder_keep_orders(struct root *root, const struct erasure_item *items, size_t n);
int __wrap_reminder_keep_orders(struct root *root, const struct erasure_item *items, size_t n)
{
	return no_reminders ? 0 : __real_reminder_keep_orders(root, items, n);
}

int __real_reminder_keep_mirror(struct root *root, const struct mirror_row *row);
int __wrap_reminder_keep_mirror(struct root *root, const struct mirror_row *row);
int __wrap_reminder_keep_mirror(struct root *root, const struct mirror_row *row)
{
	return no_reminders ? 0 : __real_reminder_keep_mirror(root, row);
}

static void test_without_reminders(void **state)
{
	struct mirror_fixture s;

	no_reminders = true;
	order_while_away(&s);
	assert_int_equal(restore(&s, NULL), 0);
	assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_SEALED);
	mirror_fixture_close(&s);
	mirror_fixture_open(&s);
	vault_fixture_shell(&s.f, "mkdir -m 700 $D/second");
	mirror_goes_away(&s);
	save(&s);
	assert_int_equal(add_second(&s), 0);
	assert_int_equal(restore(&s, NULL), 0);
	vault_fixture_shell(&s.f, "mv $D/away $D/usb");
	assert_int_equal(mirror_fixture_erase(&s), 0);
	mirror_fixture_assert_destroyed(&s);
	assert_true(mirror_fixture_holds_old(&s, "second/root.slots"));
	mirror_fixture_close(&s);
	no_reminders = false;
}

static void test_an_order_that_waits_is_not_forgotten(void **state)
{
	struct mirror_fixture s;

	order_while_away(&s);
	assert_int_equal(restore(&s, NULL), 0);
	assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_PENDING);
	/* Once more, and over a restart: it is one order. */
	mirror_fixture_reopen(&s);
	assert_int_equal(restore(&s, NULL), 0);
	bring_back(&s);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
}

/* What was done is not done again: the reminders of an epoch go with it. */
static void test_reminders_end_with_the_epoch(void **state)
{
	struct mirror_fixture s;

	order_while_away(&s);
	vault_fixture_shell(&s.f, "test -n \"$(ls $D/objects | grep ^reminder-)\"");
	bring_back(&s);
	mirror_fixture_assert_destroyed(&s);
	vault_fixture_shell(&s.f, "test -z \"$(ls $D/objects | grep ^reminder-)\"");
	assert_refused(&s, "order");
	mirror_fixture_close(&s);
}

/* What the database does not have, it cannot lose: an order about a recording that is younger than the
 * copy, whose key is gone with the newer database. */
static void test_an_order_about_what_is_not_there(void **state)
{
	vault_fixture_id id;
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	mirror_goes_away(&s);
	save(&s);
	vault_fixture_seal(&s.f, "carol", "carol/call", 10, 1, &id);
	assert_int_equal(vault_fixture_erase(&s.f, ERASE_ACCOUNT, id), -RE_AWAY);
	assert_int_equal(vault_fixture_erase(&s.f, ERASE_RECORDING, s.alice), -RE_AWAY);
	assert_int_equal(restore(&s, NULL), 0);
	assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_PENDING);
	assert_int_equal(vault_fixture_state(&s.f, s.bob), RECORDING_SEALED);
	bring_back(&s);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
}

/* Nobody orders anything through the folder of objects who has not the root. */
static void test_forged_and_damaged_reminders(void **state)
{
	struct mirror_fixture s;

	order_while_away(&s);
	vault_fixture_shell(&s.f,
			"cd $D/objects && for f in reminder-*; do"
			" n=reminder-$(echo $f | cut -d- -f2)-00112233445566778899aabbccddeeff;"
			" cp $f $n && chmod u+w $f $n && printf xxxx | dd of=$f bs=1 seek=40 conv=notrunc"
			" 2>/dev/null && head -c 300 /dev/urandom >$n; done;"
			"touch reminder-2-0123456789abcdef0123456789abcdef");
	assert_int_equal(restore(&s, NULL), 0);
	/* It cannot be told what it said; but it starts, and destroys nothing. */
	assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_SEALED);
	assert_int_equal(vault_fixture_state(&s.f, s.bob), RECORDING_SEALED);
	mirror_fixture_close(&s);
}

/* A mirror that was added while another was away. */
static void test_a_mirror_without_an_epoch_is_not_forgotten(void **state)
{
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shell(&s.f, "mkdir -m 700 $D/second");
	mirror_goes_away(&s);
	save(&s);
	assert_int_equal(add_second(&s), 0);
	assert_int_equal(vault_epoch(s.f.vault), SCENE_EPOCH);
	assert_true(mirror_fixture_holds_old(&s, "second/root.slots"));
	assert_int_equal(restore(&s, NULL), 0);
	assert_int_equal(s.f.vault->root.copies->n, 3);
	/* The medium may be away at the restore. */
	vault_fixture_shell(&s.f, "mv $D/second $D/elsewhere");
	assert_int_equal(restore(&s, NULL), 0);
	assert_int_equal(s.f.vault->root.copies->n, 3);
	vault_fixture_shell(&s.f, "mv $D/away $D/usb");
	assert_int_equal(mirror_fixture_erase(&s), -RE_AWAY);
	vault_fixture_shell(&s.f, "mv $D/elsewhere $D/second");
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), 0);
	mirror_fixture_assert_destroyed(&s);
	assert_false(mirror_fixture_holds_old(&s, "second/root.slots"));
	mirror_fixture_close(&s);
}

/* One that was dropped again in the same epoch is not put back. */
static void test_a_mirror_that_was_dropped_again(void **state)
{
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shell(&s.f, "mkdir -m 700 $D/second");
	mirror_goes_away(&s);
	assert_int_equal(add_second(&s), 0);
	assert_int_equal(mirror_fixture_drop(&s, "second", NULL), 0);
	mirror_fixture_reopen(&s);
	assert_int_equal(s.f.vault->root.copies->n, 2);
	/* An older one that knows of it waits for it. */
	save(&s);
	bring_back(&s);
	assert_int_equal(vault_epoch(s.f.vault), SCENE_EPOCH + 1); /* which was owed */
	assert_refused(&s, "drop");
	mirror_fixture_close(&s);
}

/* Two lost mirrors are given up one after the other: the epoch comes when nobody is waited for. */
static void test_giving_up_two(void **state)
{
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shell(&s.f, "mkdir -m 700 $D/second");
	assert_int_equal(add_second(&s), 0);
	uint64_t epoch = vault_epoch(s.f.vault);
	vault_fixture_shell(&s.f, "mv $D/second $D/away2");
	mirror_goes_away(&s);
	assert_int_equal(mirror_fixture_drop(&s, "usb", NULL), 0);
	assert_int_equal(vault_epoch(s.f.vault), epoch);
	save(&s);
	assert_int_equal(mirror_fixture_drop(&s, "second", NULL), 0);
	assert_int_equal(vault_epoch(s.f.vault), epoch + 1);
	assert_refused(&s, "give up");
	mirror_fixture_close(&s);
}

/* The attempt fails after the epoch that gives the own place up: the next one goes on from there. */
static void test_the_own_place_is_given_up_in_two_attempts(void **state)
{
	struct mirror_row row;
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	main_goes_away(&s);
	/* A folder is in the way of the new place: after the epoch. */
	vault_fixture_shell(&s.f, "mkdir -p $D/keeper/root.slots.given-up/x $D/keeper/root.slots");
	assert_true(replace_main(&s) < 0);
	assert_int_equal(vault_epoch(s.f.vault), SCENE_EPOCH + 1);
	vault_fixture_shell(&s.f, "rm -r $D/keeper/root.slots*");
	mirror_fixture_reopen(&s);
	assert_int_equal(replace_main(&s), 0);
	assert_int_equal(vault_epoch(s.f.vault), SCENE_EPOCH + 1);
	assert_int_equal(mirror_table_find(s.f.vault->db, MIRROR_MAIN, MIRROR_GIVEN_UP, &row), 0);
	assert_int_equal(row.given_up_epoch, SCENE_EPOCH);
	assert_int_equal(mirror_fixture_erase(&s), 0);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_every_change_is_an_epoch),
			cmocka_unit_test(test_the_newest_database_opens),
			cmocka_unit_test(test_an_order_that_waits_is_not_forgotten),
			cmocka_unit_test(test_without_reminders),
			cmocka_unit_test(test_reminders_end_with_the_epoch),
			cmocka_unit_test(test_an_order_about_what_is_not_there),
			cmocka_unit_test(test_forged_and_damaged_reminders),
			cmocka_unit_test(test_a_mirror_without_an_epoch_is_not_forgotten),
			cmocka_unit_test(test_a_mirror_that_was_dropped_again),
			cmocka_unit_test(test_giving_up_two),
			cmocka_unit_test(test_the_own_place_is_given_up_in_two_attempts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
