/* Mirrors of the root are added, dropped, replaced and given up: never a copy that is on no record.
 */
#include "tests/unit/support/mirror_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/keys/key_path.h"
#include "storage/tables/db_internal.h"

static void test_dropping(void **state)
{
	struct reason why = {""};
	struct root_record record;
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	assert_int_equal(mirror_fixture_drop(&s, "nothing", &why), -ENOENT);
	assert_int_equal(mirror_fixture_drop(&s, MIRROR_MAIN, &why), -RE_REFUSED);
	assert_int_equal(mirror_fixture_drop(&s, "usb", &why), 0);
	assert_int_equal(mirror_fixture_records(&s, SCENE_MIRROR_FILE, &record), -1);
	assert_int_equal(s.f.vault->root.copies->n, 1);
	assert_int_equal(mirror_fixture_erase(&s), 0);
	mirror_fixture_close(&s);
}

static void test_giving_up(void **state)
{
	struct reason why = {""};
	struct root_record record;
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shut(&s.f);
	vault_fixture_shell(&s.f, "mv $D/usb $D/away");
	mirror_fixture_reopen(&s);
	assert_int_equal(mirror_fixture_erase(&s), -RE_AWAY);
	assert_int_equal(mirror_fixture_drop(&s, "usb", &why), -RE_REFUSED);
	s.f.now_us += 6 * SCENE_DAY_US;
	assert_int_equal(mirror_fixture_drop(&s, "usb", &why), -RE_REFUSED);
	s.f.now_us += 2 * SCENE_DAY_US;
	mirror_fixture_reopen(&s); /* the time counts on */
	assert_int_equal(mirror_fixture_drop(&s, "usb", &why), 0);
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), 0);
	assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_DESTROYED);
	/* It is still out there, and known to be. */
	struct mirror_row row;
	assert_int_equal(mirror_table_find(s.f.vault->db, "usb", MIRROR_GIVEN_UP, &row), 0);
	assert_int_equal(row.given_up_epoch, SCENE_EPOCH);
	assert_true(mirror_fixture_holds_old(&s, "away/root.slots"));
	assert_true(mirror_fixture_drop(&s, "usb", &why) < 0);
	mirror_fixture_reopen(&s);
	assert_int_equal(s.f.vault->root.copies->n, 1);
	/* Back: its copy is overwritten after all. */
	vault_fixture_shell(&s.f, "mv $D/away $D/usb");
	assert_int_equal(mirror_fixture_drop(&s, "usb", &why), 0);
	assert_int_equal(mirror_fixture_records(&s, SCENE_MIRROR_FILE, &record), -1);
	assert_int_equal(mirror_fixture_drop(&s, "usb", &why), -ENOENT);
	mirror_fixture_close(&s);
}

static void test_replacing(void **state)
{
	struct reason why = {""};
	struct root_record record;
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shell(&s.f, "mkdir -m 700 $D/new");
	struct mirror_order o = mirror_fixture_order(&s, "usb", "new");
	assert_int_equal(mirror_change_replace(&s.f.vault->eraser, &o, &why), 0);
	assert_int_equal(mirror_fixture_records(&s, SCENE_MIRROR_FILE, &record), -1);
	assert_int_equal(mirror_fixture_records(&s, "new/root.slots", &record), 1);
	mirror_fixture_reopen(&s);
	assert_int_equal(s.f.vault->root.copies->n, 2);
	assert_int_equal(mirror_fixture_erase(&s), 0);
	assert_int_equal(mirror_fixture_records(&s, "new/root.slots", &record), 1);
	/* The new one, the old one overwritten, the erasure: an epoch each. */
	assert_int_equal(record.epoch, SCENE_EPOCH + 3);
	mirror_fixture_close(&s);
}

static void test_what_is_not_added(void **state)
{
	struct reason why = {""};
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	assert_int_equal(mirror_fixture_add(&s, "usb", "usb", &why), -EEXIST);
	assert_int_equal(mirror_fixture_add(&s, "second", "usb", &why),
			-EEXIST); /* somebody else's root */
	assert_int_equal(mirror_fixture_add(&s, MIRROR_MAIN, "usb", &why), -RE_REFUSED);
	assert_int_equal(mirror_fixture_add(&s, "A B", "usb", &why), -RE_REFUSED);
	assert_int_equal(mirror_fixture_add(&s, "second", "missing", &why), -ENOENT);
	vault_fixture_shell(&s.f, "mkdir $D/open && chmod 777 $D/open");
	assert_int_equal(mirror_fixture_add(&s, "second", "open", &why), -RE_REFUSED);
	assert_non_null(strstr(why.text, "chmod"));
	assert_int_equal(s.f.vault->root.copies->n, 2);
	assert_int_equal(mirrors_ready(&s.f.vault->root, NULL), 0);
	/* None of these has left a trace. */
	mirror_fixture_reopen(&s);
	assert_int_equal(s.f.vault->root.copies->n, 2);
	assert_int_equal(mirror_fixture_erase(&s), 0);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
}

/* The mirror is given up, and its medium out of reach: $D/away. */
static void give_up_usb(struct mirror_fixture *s)
{
	struct reason why = {""};

	vault_fixture_shell(&s->f, "mv $D/usb $D/away");
	assert_int_equal(mirrors_ready(&s->f.vault->root, NULL), -RE_AWAY);
	s->f.now_us += 8 * SCENE_DAY_US;
	assert_int_equal(mirror_fixture_drop(s, "usb", &why), 0);
	assert_true(mirror_fixture_holds_old(s, "away/root.slots"));
}

/* The key of one account is damaged, so that it cannot be given a fresh one: the copy is given up all
 * the same, and counts as of the next epoch, until an epoch succeeds for every account. */
static void test_giving_up_beside_a_damaged_key(void **state)
{
	struct recording_row alice;
	struct mirror_row row;
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_row(&s.f, s.alice, &alice);
	assert_int_equal(
			db_run(s.f.vault->db,
					"UPDATE node SET sealed = zeroblob(length(sealed)) WHERE id = ?",
					"i",
					(int64_t)key_path_node_id(NODE_KIND_ACCOUNT,
							(uint64_t)alice.account)),
			0);
	catalog_recording_clear(&alice);
	give_up_usb(&s);
	assert_int_equal(vault_epoch(s.f.vault), SCENE_EPOCH + 1);
	assert_int_equal(mirror_table_find(s.f.vault->db, "usb", MIRROR_GIVEN_UP, &row), 0);
	assert_int_equal(row.given_up_epoch, SCENE_EPOCH + 1);
	assert_non_null(strstr(s.f.vault->notices.problem.text, "given up"));
	mirror_fixture_assert_plays(&s, s.bob);
	/* Not again and again: the next epoch comes when there is something to erase. */
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), 0);
	assert_int_equal(vault_epoch(s.f.vault), SCENE_EPOCH + 1);
	mirror_fixture_reopen(&s);
	mirror_fixture_assert_plays(&s, s.bob);
	mirror_fixture_close(&s);
}

static bool is_given_up(struct mirror_fixture *s, const char *name)
{
	struct mirror_row row;

	return mirror_table_find(s->f.vault->db, name, MIRROR_GIVEN_UP, &row) == 0;
}

/* A mount point is there without its medium, too. */
static void test_medium_is_not_mounted(void **state)
{
	struct reason why = {""};
	struct root_record record;
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	give_up_usb(&s);
	vault_fixture_shell(&s.f, "mkdir -m 700 $D/usb");
	assert_true(mirror_fixture_drop(&s, "usb", &why) < 0);
	assert_non_null(strstr(why.text, "mounted"));
	mirror_fixture_reopen(&s);
	assert_true(is_given_up(&s, "usb"));
	vault_fixture_shell(&s.f, "rmdir $D/usb && mv $D/away $D/usb");
	assert_int_equal(mirror_fixture_drop(&s, "usb", &why), 0);
	assert_int_equal(mirror_fixture_records(&s, SCENE_MIRROR_FILE, &record), -1);
	assert_false(is_given_up(&s, "usb"));
	mirror_fixture_close(&s);
}

/* Where the given up one was, another medium is now: that one is not overwritten for it. */
static void test_another_medium_is_there(void **state)
{
	struct reason why = {""};
	struct root_record record;
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	give_up_usb(&s);
	vault_fixture_shell(&s.f, "mkdir -m 700 $D/usb");
	assert_int_equal(mirror_fixture_add(&s, "spare", "usb", &why), 0);
	assert_true(mirror_fixture_drop(&s, "usb", &why) < 0);
	assert_non_null(strstr(why.text, "spare"));
	assert_true(is_given_up(&s, "usb"));
	assert_int_equal(mirror_fixture_records(&s, SCENE_MIRROR_FILE, &record), 1);
	/* One that was made since then, and given up as well. */
	assert_int_equal(mirror_fixture_erase(&s), 0);
	vault_fixture_shell(&s.f, "mv $D/usb $D/spare");
	assert_int_equal(mirrors_ready(&s.f.vault->root, NULL), -RE_AWAY);
	s.f.now_us += 8 * SCENE_DAY_US;
	assert_int_equal(mirror_fixture_drop(&s, "spare", &why), 0);
	vault_fixture_shell(&s.f, "mv $D/spare $D/usb");
	assert_true(mirror_fixture_drop(&s, "usb", &why) < 0);
	assert_true(is_given_up(&s, "usb"));
	assert_int_equal(mirror_fixture_records(&s, SCENE_MIRROR_FILE, &record), 1);
	assert_int_equal(mirror_fixture_drop(&s, "spare", &why), 0);
	assert_int_equal(mirror_fixture_records(&s, SCENE_MIRROR_FILE, &record), -1);
	mirror_fixture_close(&s);
}

/* Lost, replaced under its name, and found again: that one is what is dropped, not what replaced
 * it. */
static void test_lost_one_is_found_again(void **state)
{
	struct reason why = {""};
	struct root_record record;
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shell(&s.f, "mkdir -m 700 $D/new && mv $D/usb $D/away");
	assert_int_equal(mirrors_ready(&s.f.vault->root, NULL), -RE_AWAY);
	s.f.now_us += 8 * SCENE_DAY_US;
	struct mirror_order o = mirror_fixture_order(&s, "usb", "new");
	assert_int_equal(mirror_change_replace(&s.f.vault->eraser, &o, &why), 0);
	assert_int_equal(mirror_fixture_erase(&s), 0);
	assert_true(is_given_up(&s, "usb"));
	vault_fixture_shell(&s.f, "mv $D/away $D/usb");
	assert_int_equal(mirror_fixture_drop(&s, "usb", &why), 0);
	assert_int_equal(mirror_fixture_records(&s, SCENE_MIRROR_FILE, &record), -1);
	assert_int_equal(mirror_fixture_records(&s, "new/root.slots", &record), 1);
	assert_false(is_given_up(&s, "usb"));
	assert_int_equal(mirror_fixture_drop(&s, "usb", &why), 0);
	assert_int_equal(mirror_fixture_records(&s, "new/root.slots", &record), -1);
	mirror_fixture_close(&s);
}

/* The keeper died between the note and the end of adding: the copy goes, and so does the note; but
 * no sooner. */
static void test_adding_is_cut_short(void **state)
{
	struct mirror_row row = {.kind = MIRROR_FILE,
			.name = "second",
			.assurance = "file",
			.state = MIRROR_UNSETTLED,
			.added_us = 1};
	struct root_record record;
	struct mirror_fixture s;

	mirror_fixture_open(&s);
	vault_fixture_shell(&s.f, "mkdir -m 700 $D/second");
	snprintf(row.location, sizeof(row.location), "%s/second", s.f.dir);
	struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, s.f.vault->db), 0);
	assert_int_equal(mirror_table_add(s.f.vault->db, &row), 0);
	assert_int_equal(db_transaction_commit(&transaction), 0);
	struct root_provider *half;
	_cleanup_close_ int fd = open(row.location, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(root_file_create(fd, &half), 0);
	uint8_t image[ROOT_IMAGE_BYTES];
	assert_int_equal(mirrors_image(&s.f.vault->root, image), 0);
	assert_int_equal(half->ops->write(half, 0, image, NULL), 0);
	root_provider_free(half);
	assert_true(mirror_fixture_holds_old(&s, "second/root.slots"));
	vault_fixture_shell(&s.f, "mv $D/second $D/away && mkdir -m 700 $D/second");
	mirror_fixture_reopen(&s); /* a mount point without its medium */
	assert_int_equal(mirror_fixture_erase(&s), -RE_AWAY);
	vault_fixture_shell(&s.f, "rmdir $D/second");
	mirror_fixture_reopen(&s);
	assert_int_equal(mirror_fixture_erase(&s), -RE_AWAY);
	vault_fixture_shell(&s.f, "mv $D/away $D/second");
	assert_int_equal(erasure_retry(&s.f.vault->eraser, NULL), 0);
	assert_int_equal(mirror_fixture_records(&s, "second/root.slots", &record), -1);
	assert_int_equal(s.f.vault->root.copies->n, 2);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_dropping),
			cmocka_unit_test(test_giving_up),
			cmocka_unit_test(test_replacing),
			cmocka_unit_test(test_what_is_not_added),
			cmocka_unit_test(test_giving_up_beside_a_damaged_key),
			cmocka_unit_test(test_medium_is_not_mounted),
			cmocka_unit_test(test_another_medium_is_there),
			cmocka_unit_test(test_lost_one_is_found_again),
			cmocka_unit_test(test_adding_is_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
