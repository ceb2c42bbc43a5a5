/* Which spools may be taken from: the table of spool_gate.h, what a restart and another folder
 * change, and what nobody can make up. */
#include "tests/unit/keeper/ingest/intake_peer.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/keeper/ingest/spool_gate.h"
#include "storage/tables/db_internal.h"

static const struct audit_actor officer = {.uid = 1234, .reason = "greetings were moved"};

static struct spool_question question(const char *name, uint8_t folder, int64_t files)
{
	struct spool_question q = {
			.files = files, .empty = files == 0, .recordings = files > 0 ? files : 0};

	strcpy(q.name, name);
	memset(q.folder, folder, sizeof(q.folder));
	return q;
}

/* A newly connected intake asks. */
static bool ask(struct vault_fixture *f, const char *name, uint8_t folder, int64_t files)
{
	struct spool_gate gate = {.n = 0};
	const struct spool_question q = question(name, folder, files);

	return spool_gate_ask(&gate, &f->vault->ingest, &q);
}

/* It asks, waits, and somebody says so. */
static int ask_and_accept(struct vault_fixture *f, const char *name, uint8_t folder, int64_t files)
{
	struct spool_gate gate = {.n = 0};
	struct spool_question q = question(name, folder, files);

	(void)spool_gate_ask(&gate, &f->vault->ingest, &q);
	return spool_gate_accept(&gate, &f->vault->ingest, name, &officer, &q);
}

static int64_t count(struct vault_fixture *f, const char *sql)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;

	/* Each text is used once in a test. */
	assert_int_equal(db_start(f->vault->db, &q, sql, ""), 0);
	assert_int_equal(db_next(f->vault->db, q), 1);
	return sqlite3_column_int64(q, 0);
}

static void reopen(struct vault_fixture *f)
{
	vault_fixture_shut(f);
	assert_int_equal(vault_fixture_reopen(f, 0, NULL), 0);
}

static void test_an_empty_folder_needs_no_word(void **state)
{
	struct vault_fixture *f = *state;

	assert_true(ask(f, "pbx", 1, 0));
	assert_true(ask(f, "pbx", 1, 500)); /* they have come since */
	assert_true(ask(f, "pbx", 1, -1));  /* and need not be counted */
	reopen(f);
	assert_true(ask(f, "pbx", 1, -1));
	assert_int_equal(count(f, "SELECT count(*) FROM audit WHERE action = 'accept spool'"), 0);
}

static void test_a_folder_with_files_waits(void **state)
{
	struct vault_fixture *f = *state;

	assert_false(ask(f, "pbx", 1, -1));
	assert_false(ask(f, "pbx", 1, 1));
	reopen(f);
	assert_false(ask(f, "pbx", 1, -1));
	assert_false(ask(f, "pbx", 1, 500));
	/* Whoever moves the files away and back has not given the word. */
	assert_false(ask(f, "pbx", 1, 0));
	assert_false(ask(f, "pbx", 1, 500));
	assert_int_equal(ask_and_accept(f, "pbx", 1, 0), 0);
	assert_true(ask(f, "pbx", 1, 500));
}

static void test_a_word_holds_for_one_folder_of_one_spool(void **state)
{
	struct vault_fixture *f = *state;

	assert_int_equal(ask_and_accept(f, "pbx", 1, 3), 0);
	assert_true(ask(f, "pbx", 1, 3));
	reopen(f);
	assert_true(ask(f, "pbx", 1, 900));
	assert_false(ask(f, "pbx", 2, 3));   /* another tree, mounted there */
	assert_false(ask(f, "other", 1, 3)); /* the same tree for another bridge */
	assert_true(ask(f, "pbx", 1, 3));    /* and the first one is not forgotten for it */
	assert_int_equal(count(f, "SELECT count(*) FROM audit WHERE action = 'accept spool' AND"
				  " subject = 'pbx' AND uid = 1234 AND"
				  " reason = 'greetings were moved'"),
			1);
}

static void test_words_that_nobody_asked_for(void **state)
{
	struct vault_fixture *f = *state;
	struct spool_gate gate = {.n = 0};
	struct spool_question q = question("pbx", 1, -1);

	assert_int_equal(spool_gate_accept(&gate, &f->vault->ingest, "pbx", &officer, &q),
			SPOOL_GATE_UNKNOWN);
	assert_false(spool_gate_ask(&gate, &f->vault->ingest, &q));
	/* Nobody has counted yet. */
	assert_int_equal(spool_gate_accept(&gate, &f->vault->ingest, "pbx", &officer, &q),
			SPOOL_GATE_UNKNOWN);
	q.files = 0;
	q.empty = true;
	assert_true(spool_gate_ask(&gate, &f->vault->ingest, &q));
	assert_int_equal(spool_gate_accept(&gate, &f->vault->ingest, "pbx", &officer, &q),
			SPOOL_GATE_OPEN);
	spool_gate_clear(&gate);
	assert_int_equal(spool_gate_accept(&gate, &f->vault->ingest, "pbx", &officer, &q),
			SPOOL_GATE_UNKNOWN);
	assert_int_equal(count(f, "SELECT count(*) FROM audit WHERE uid = 1234"), 0);
}

static void test_the_configuration_may_say_so(void **state)
{
	struct vault_fixture *f = *state;
	struct spool_gate gate = {.n = 0};
	struct spool_question q = question("pbx", 1, -1);

	q.take = true;
	assert_true(spool_gate_ask(&gate, &f->vault->ingest, &q));
	assert_true(ask(f, "pbx", 1, 3));
	assert_int_equal(count(f, "SELECT count(*) FROM audit WHERE action = 'accept spool' AND"
				  " reason LIKE 'FirstStart=take%'"),
			1);
}

/* With the keeper stopped, somebody adds the row that is missing. */
static void test_a_row_that_no_keeper_wrote(void **state)
{
	struct vault_fixture *f = *state;
	char path[128], sql[256], folder[2 * SPOOL_FOLDER_BYTES + 1];
	struct spool_gate gate = {.n = 0};
	struct spool_question q = question("pbx", 1, 3);
	sqlite3 *db;

	for (size_t i = 0; i < SPOOL_FOLDER_BYTES; i++)
		strcpy(folder + 2 * i, "01");
	snprintf(sql, sizeof(sql),
			"INSERT INTO spool VALUES ('pbx', x'%s', 2, 1, 0, 3,"
			" x'00112233445566778899aabbccddeeff')",
			folder);
	snprintf(path, sizeof(path), "%s/keeper/keeper.db", f->dir);
	vault_fixture_shut(f);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
	assert_int_equal(vault_fixture_reopen(f, 0, NULL), 0);
	assert_false(spool_gate_ask(&gate, &f->vault->ingest, &q));
	/* Nor is it made good by accident. */
	assert_int_equal(spool_gate_accept(&gate, &f->vault->ingest, "pbx", &officer, &q),
			-RE_ALTERED);
	assert_false(ask(f, "pbx", 1, 3));
}

static void test_old_folders_are_forgotten(void **state)
{
	struct vault_fixture *f = *state;

	for (uint8_t i = 0; i < SPOOL_FOLDERS_MAX + 8; i++) {
		f->now_us += US_PER_S;
		assert_true(ask(f, "ram", i, 0));
	}
	assert_int_equal(count(f, "SELECT count(*) FROM spool WHERE name = 'ram'"),
			SPOOL_FOLDERS_MAX);
	assert_false(ask(f, "ram", 0, 3));
	assert_true(ask(f, "ram", SPOOL_FOLDERS_MAX + 7, 3));
}

/* ---- On the wire ---- */

static json_t *spool_message(const char *first, const void *folder, size_t len, json_t *files)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:o*, s:o*}", "op", "spool", "spool", "pbx", "first",
			first, "folder", intake_wire_base64(folder, len), "empty",
			files ? json_false() : NULL, "files", files);
}

static void expect_answer(struct intake_peer *peer, bool may)
{
	json_t *answer = intake_peer_expect(peer, "spool", -1);

	assert_string_equal(json_string_value(json_object_get(answer, "spool")), "pbx");
	assert_true(json_is_string(json_object_get(answer, "folder")));
	assert_int_equal(json_is_true(json_object_get(answer, "may")), may);
	json_decref(answer);
}

static void test_the_intake_is_told(void **state)
{
	static const uint8_t folder[SPOOL_FOLDER_BYTES] = {9};
	struct intake_peer *peer = *state;
	struct spool_question q;

	intake_peer_connect(peer, true);
	intake_peer_send(peer, spool_message("wait", folder, sizeof(folder), NULL));
	expect_answer(peer, false);
	intake_peer_send(peer, spool_message("wait", folder, sizeof(folder), json_integer(7)));
	expect_answer(peer, false);
	assert_int_equal(intake_server_accept(peer->server, "pbx", &officer, &q), 0);
	assert_int_equal(q.files, 7);
	expect_answer(peer, true);
	/* What an intake says is forgotten with its connection, what the keeper said is not. */
	intake_peer_connect(peer, true);
	assert_int_equal(intake_server_accept(peer->server, "pbx", &officer, &q),
			SPOOL_GATE_UNKNOWN);
	intake_peer_send(peer, spool_message("wait", folder, sizeof(folder), NULL));
	expect_answer(peer, true);
}

static void test_nonsense_about_spools(void **state)
{
	static const uint8_t folder[SPOOL_FOLDER_BYTES + 1] = {9};
	struct intake_peer *peer = *state;

	intake_peer_connect(peer, true);
	intake_peer_send(peer, spool_message("perhaps", folder, SPOOL_FOLDER_BYTES, NULL));
	intake_peer_expect_closed(peer);
	intake_peer_send(peer, spool_message("wait", folder, SPOOL_FOLDER_BYTES - 1, NULL));
	intake_peer_expect_closed(peer);
	intake_peer_send(peer, spool_message("wait", folder, SPOOL_FOLDER_BYTES + 1, NULL));
	intake_peer_expect_closed(peer);
	intake_peer_send(peer, spool_message("wait", folder, SPOOL_FOLDER_BYTES, json_integer(-1)));
	intake_peer_expect_closed(peer);
	intake_peer_send(peer,
			spool_message("wait", folder, SPOOL_FOLDER_BYTES, json_string("none")));
	intake_peer_expect_closed(peer);
	json_t *one = spool_message("wait", folder, SPOOL_FOLDER_BYTES, json_integer(1));
	json_object_del(one, "empty");
	intake_peer_send(peer, one);
	intake_peer_expect_closed(peer);
	intake_peer_send(peer, json_pack("{s:s, s:s}", "op", "spool", "spool", "../pbx"));
	intake_peer_expect_closed(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			IN_VAULT(test_an_empty_folder_needs_no_word),
			IN_VAULT(test_a_folder_with_files_waits),
			IN_VAULT(test_a_word_holds_for_one_folder_of_one_spool),
			IN_VAULT(test_words_that_nobody_asked_for),
			IN_VAULT(test_the_configuration_may_say_so),
			IN_VAULT(test_a_row_that_no_keeper_wrote),
			IN_VAULT(test_old_folders_are_forgotten),
			with_peer(test_the_intake_is_told),
			with_peer(test_nonsense_about_spools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
