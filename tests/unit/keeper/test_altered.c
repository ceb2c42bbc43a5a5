/* Somebody who has keeper.db, but not the root, edits it while the keeper is stopped: every column of
 * every table, a row more, a row less, two rows changed with each other, a row as it once was, and
 * what attacks would look like. Whatever the edit: it is refused at the start, or named; and nothing
 * that lives is destroyed, nothing destroyed comes back, and nothing is said of a recording that the
 * keeper did not write.
 *
 * Negative control: with the macs out of use, many of the same edits go unnoticed. */
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/erasure/bury.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/vault/accounts.h"
#include "storage/tables/burial_table.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/former_node.h"
#include "storage/tables/mirror_table.h"
#include "storage/tables/node_table.h"
#include "storage/tables/row_mac.h"
#include "storage/tables/row_tables.h"
#include "storage/tables/spool_table.h"
#include "tests/unit/support/vault_fixture.h"

#define HOUR_US (3600 * US_PER_S)
#define KEEP_US (30 * US_PER_DAY)
#define SQL_MAX 4096

/* The recordings of the scene. */
enum { LIVING = 5, DEAD = 3, RECORDINGS = LIVING + DEAD };

struct known {
	vault_fixture_id id;
	struct key_path path;
	struct recording_row row; /* without its private data */
};

struct scene {
	struct vault_fixture vault;
	struct known known[RECORDINGS]; /* first those that live */
	uint8_t handle[2][CATALOG_HANDLE_BYTES];
	uint64_t epoch;
	int told; /* alarms of the keeper opened last */
	unsigned tried, refused, named, unnoticed, harmed;
	bool without; /* the macs are out of use */
	char table[64];
};

static const char *const names[] = {"alice", "bob"};

/* The hook: no macs. */
static bool macs_off;
int __real_root_trust_rows(struct root *root, bool staged, const uint8_t *key, bool created);
int __wrap_root_trust_rows(struct root *root, bool staged, const uint8_t *key, bool created);
int __wrap_root_trust_rows(struct root *root, bool staged, const uint8_t *key, bool created)
{
	return macs_off ? 0 : __real_root_trust_rows(root, staged, key, created);
}

static void count_alarm(void *context, int priority, enum event event,
		const struct event_fields *fields, const char *text)
{
	struct scene *scene = context;

	scene->told += priority <= LOG_ALERT && event == EVENT_ALTERED;
}

static int scene_reopen(struct scene *scene, struct reason *reason)
{
	const struct vault_setup setup = {.config = scene->vault.config,
			.machine = vault_fixture_machine(&scene->vault),
			.notices = {.tell = count_alarm, .context = scene},
			.accept_restored = scene->epoch};

	scene->told = 0;
	vault_fixture_shut(&scene->vault);
	return vault_open(&setup, &scene->vault.vault, reason);
}

/* Making it. */

static void remember(struct scene *scene, int i)
{
	struct known *known = &scene->known[i];

	vault_fixture_row(&scene->vault, known->id, &known->row);
	known->path = key_path_recording(known->row.account, known->row.group, known->row.id);
	free(known->row.private);
	known->row.private = NULL;
}

static void seal(struct scene *scene, int i, const char *account)
{
	vault_fixture_seal(&scene->vault, account, "a", 100, 1, &scene->known[i].id);
	remember(scene, i);
}

static void bury_every_row(struct vault *vault)
{
	struct reason reason = {""};
	bool more = true;

	while (more && bury_rows(vault->db, 100, &more, &reason) == 0)
		;
}

/* Rows in tables that are empty most of the time; none of them does anything. */
static void add_rare_rows(struct scene *scene)
{
	struct db *db = scene->vault.vault->db;
	struct mirror_row mirror = {.name = "lost",
			.kind = MIRROR_FILE,
			.location = "/nonexistent",
			.state = MIRROR_GIVEN_UP,
			.assurance = "file",
			.given_up_epoch = 1};
	const struct former_node former = {scene->known[3].row.account, 77, scene->known[3].row.id};

	static const uint8_t folder[SPOOL_FOLDER_BYTES] = {7};
	const struct spool_row spool = {
			.name = "pbx", .folder = folder, .state = SPOOL_ORDERED, .files = 3};

	struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, db), 0);
	assert_int_equal(mirror_table_add(db, &mirror), 0);
	assert_int_equal(mirror_table_set_main_away(db, 0), 0);
	assert_int_equal(mirror_table_close_groups(db), 0);
	assert_int_equal(former_node_add(db, &former), 0);
	assert_int_equal(spool_table_put(db, &spool), 0);
	assert_int_equal(node_table_stage_parent(db, key_path_node_id(NODE_KIND_GROUP, 1),
					 scene->epoch + 1),
			0);
	assert_int_equal(db_transaction_commit(&transaction), 0);
}

static void order_one(struct scene *scene)
{
	struct db *db = scene->vault.vault->db;
	vault_fixture_id id;

	vault_fixture_seal(&scene->vault, "frank", "a", 100, 1, &id);
	struct erasure_item item = vault_fixture_item(&scene->vault, ERASE_RECORDING, id);
	item.reason = "asked for";
	struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, db), 0);
	assert_int_equal(erasure_table_note(db, &item), 0);
	assert_int_equal(db_transaction_commit(&transaction), 0);
}

static void find_handles(struct scene *scene)
{
	struct account_row row;

	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		assert_int_equal(accounts_find(scene->vault.vault->root.tree, names[i],
						 strlen(names[i]), &row),
				0);
		memcpy(scene->handle[i], row.handle, sizeof(row.handle));
		catalog_account_clear(&row);
	}
}

static void *scene_new(bool without)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct vault_fixture *vault = &scene->vault;

	macs_off = scene->without = without;
	vault_fixture_open(vault);
	seal(scene, 0, "alice");
	vault_fixture_shut(vault);
	vault_fixture_shell(vault, "cp -a $D/keeper $D/former");
	assert_int_equal(vault_fixture_reopen(vault, 0, NULL), 0);
	vault->now_us += HOUR_US;
	seal(scene, 1, "alice"); /* of the same group, which is now due an hour later */
	seal(scene, 2, "bob");
	seal(scene, 3, NULL);
	seal(scene, 4, "bob");
	remember(scene, 0);
	for (int i = LIVING; i < RECORDINGS; i++) {
		static const char *const dead[] = {"carol", "dave", "eve"};
		seal(scene, i, dead[i - LIVING]);
		assert_int_equal(vault_fixture_erase(vault, ERASE_ACCOUNT, scene->known[i].id), 0);
		if (i < RECORDINGS - 1) /* eve is not buried */
			bury_every_row(vault->vault);
		remember(scene, i);
	}
	find_handles(scene);
	scene->epoch = root_epoch(&vault->vault->root);
	order_one(scene);
	add_rare_rows(scene);
	vault_fixture_shut(vault);
	vault_fixture_shell(vault, "cp -a $D/keeper $D/base; cp -a $D/objects $D/base-objects");
	/* What falls due by the row of alice's group as it once was, but not by the present one. */
	vault->now_us += KEEP_US - HOUR_US / 2;
	/* What the catalog says of the time is all that there is to go by. */
	vault->unsynchronised = true;
	return scene;
}

static void scene_free(struct scene *scene)
{
	macs_off = false;
	vault_fixture_close(&scene->vault);
	free(scene);
}

/* Judging it. */

static bool key_opens(struct scene *scene, const struct known *known)
{
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);

	return keytree_open(scene->vault.vault->root.tree, &known->path, key) == 0;
}

/* What the catalog says of a recording is what the keeper wrote, or it is refused. */
static bool says_the_truth(struct scene *scene, const struct known *known, bool living)
{
	struct recording_row row;
	uint8_t ulid[ULID_BYTES];

	assert_int_equal(ulid_parse(known->id, ulid), 0);
	int r = catalog_recording_by_ulid(scene->vault.vault->db, ulid, &row);
	if (r < 0)
		return true;
	bool same = row.expires_us == known->row.expires_us &&
		    row.recorded_us == known->row.recorded_us &&
		    row.condition == known->row.condition && row.account == known->row.account &&
		    strcmp(row.class, known->row.class) == 0 &&
		    row.destroyed_us == known->row.destroyed_us &&
		    recording_is_live(row.state) == living;
	catalog_recording_clear(&row);
	return same;
}

static bool names_are_right(struct scene *scene)
{
	struct account_row row;

	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		int r = accounts_find(
				scene->vault.vault->root.tree, names[i], strlen(names[i]), &row);
		if (r < 0)
			continue; /* refused, or a row less */
		bool same = memcmp(row.handle, scene->handle[i], sizeof(row.handle)) == 0 &&
			    row.state == ACCOUNT_OPEN;
		catalog_account_clear(&row);
		if (!same)
			return false;
	}
	return true;
}

static const char *find_harm(struct scene *scene)
{
	for (int i = 0; i < RECORDINGS; i++) {
		bool living = i < LIVING;
		if (living && !key_opens(scene, &scene->known[i]))
			return "destroyed";
		if (!living && key_opens(scene, &scene->known[i]))
			return "revived";
		if (!says_the_truth(scene, &scene->known[i], living))
			return "believed";
	}
	return names_are_right(scene) ? NULL : "taken for another";
}

/* All that a keeper does by itself. */
static void live_on(struct scene *scene)
{
	struct vault *vault = scene->vault.vault;
	struct reason reason = {""};
	bool more;

	(void)retention_run(&vault->eraser, 100, &more, &reason);
	(void)erasure_retry(&vault->eraser, &reason);
	bury_every_row(vault);
	(void)bury_objects(vault->db, vault->store, 100, &more, &reason);
	assert_int_equal(row_mac_check(vault->db), 0);
	assert_int_equal(catalog_watch_report(&vault->watch, vault->db, &vault->notices), 0);
}

/* Runs the edit on a copy of the scene. 1 when it could be made. */
static int edit(struct scene *scene, const char *sql)
{
	char path[128];
	sqlite3 *db;

	vault_fixture_shut(&scene->vault);
	vault_fixture_shell(&scene->vault, "rm -rf $D/keeper $D/objects; cp -a $D/base $D/keeper;"
					   " cp -a $D/base-objects $D/objects");
	snprintf(path, sizeof(path), "%s/keeper/keeper.db", scene->vault.dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	snprintf(path, sizeof(path), "ATTACH '%s/former/keeper.db' AS former", scene->vault.dir);
	assert_int_equal(sqlite3_exec(db, path, NULL, NULL, NULL), SQLITE_OK);
	int before = sqlite3_total_changes(db);
	int result = sqlite3_exec(db, sql, NULL, NULL, NULL);
	bool schema = strncmp(sql, "CREATE", 6) == 0 || strncmp(sql, "DROP", 4) == 0 ||
		      strncmp(sql, "PRAGMA", 6) == 0;
	int changed = result == SQLITE_OK && (schema || sqlite3_total_changes(db) > before);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return changed;
}

static void judge(struct scene *scene, const char *sql)
{
	struct reason reason = {""};

	if (!edit(scene, sql))
		return;
	scene->tried++;
	if (scene_reopen(scene, &reason) < 0) {
		if (strlen(reason.text) < 30 && !scene->without)
			fail_msg("%s: refused without a reason: %s", sql, reason.text);
		scene->refused++;
		return;
	}
	live_on(scene);
	const char *harm = find_harm(scene);
	scene->harmed += harm != NULL;
	scene->named += scene->told > 0;
	scene->unnoticed += scene->told == 0;
	if (!scene->without && (harm || scene->told == 0))
		print_error("%s\n    %s\n", sql, harm ? harm : "went unnoticed");
}

/* The edits, made from what tables and columns there are. */

struct columns {
	char name[48][32];
	char type[48][16];
	bool key[48];
	int n;
};

static void columns_of(struct scene *scene, const char *table, struct columns *ret_columns)
{
	struct columns columns = {.n = 0};
	sqlite3_stmt *q;
	char path[128];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/base/keeper.db", scene->vault.dir);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT name, type, pk FROM pragma_table_info(?)",
					 -1, &q, NULL),
			SQLITE_OK);
	sqlite3_bind_text(q, 1, table, -1, SQLITE_STATIC);
	while (sqlite3_step(q) == SQLITE_ROW) {
		snprintf(columns.name[columns.n], 32, "%s", sqlite3_column_text(q, 0));
		snprintf(columns.type[columns.n], 16, "%s", sqlite3_column_text(q, 1));
		columns.key[columns.n++] = sqlite3_column_int(q, 2) > 0;
	}
	sqlite3_finalize(q);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_true(columns.n > 1);
	*ret_columns = columns;
}

/* The first or the last row: "(a, b) = (SELECT a, b FROM t ORDER BY a, b LIMIT 1)". */
static void where_row(const char *table, const struct columns *columns, bool last, char *ret_sql,
		size_t len)
{
	char keys[128] = "", order[128] = "";

	for (int i = 0; i < columns->n; i++) {
		if (!columns->key[i])
			continue;
		size_t at = strlen(keys), to = strlen(order);
		snprintf(keys + at, sizeof(keys) - at, "%s%s", at ? ", " : "", columns->name[i]);
		snprintf(order + to, sizeof(order) - to, "%s%s%s", to ? ", " : "", columns->name[i],
				last ? " DESC" : "");
	}
	snprintf(ret_sql, len, " WHERE (%s) = (SELECT %s FROM main.%s ORDER BY %s LIMIT 1)", keys,
			keys, table, order);
}

static void edit_columns(struct scene *scene, const char *table, const struct columns *columns)
{
	char sql[SQL_MAX], where[512];

	for (int last = 0; last < 2; last++) {
		where_row(table, columns, last, where, sizeof(where));
		for (int i = 0; i < columns->n; i++) {
			const char *c = columns->name[i];
			if (strcmp(columns->type[i], "INTEGER") == 0)
				snprintf(sql, sizeof(sql), "UPDATE main.%s SET %s = %s + 1%s",
						table, c, c, where);
			else
				snprintf(sql, sizeof(sql),
						"UPDATE main.%s SET %s = coalesce(CAST(substr(coalesce(%s, x'00'), 1,"
						" length(%s) - 1) || CASE hex(substr(%s, -1)) WHEN '78'"
						" THEN 'y' ELSE 'x' END AS %s), 'x')%s",
						table, c, c, c, c, columns->type[i], where);
			judge(scene, sql);
			snprintf(sql, sizeof(sql),
					"UPDATE main.%s SET %s = NULL%s AND %s IS NOT NULL", table,
					c, where, c);
			judge(scene, sql);
		}
	}
}

static void list_columns(const struct columns *columns, bool keys, char *ret_list, size_t len)
{
	*ret_list = '\0';
	for (int i = 0; i < columns->n; i++) {
		size_t at = strlen(ret_list);
		if (keys || !columns->key[i])
			snprintf(ret_list + at, len - at, "%s%s", at ? ", " : "", columns->name[i]);
	}
}

/* One more: a copy of the last row under another key. */
static void add_a_row(struct scene *scene, const char *table, const struct columns *columns)
{
	char sql[SQL_MAX], all[1024], where[512], values[1024] = "";

	list_columns(columns, true, all, sizeof(all));
	where_row(table, columns, true, where, sizeof(where));
	for (int i = 0; i < columns->n; i++) {
		const char *c = columns->name[i];
		size_t at = strlen(values);
		bool unique = strcmp(c, "ulid") == 0 || strcmp(c, "handle") == 0 ||
			      strcmp(c, "lookup") == 0;
		bool number = strcmp(columns->type[i], "INTEGER") == 0;
		snprintf(values + at, sizeof(values) - at, "%s%s%s", at ? ", " : "",
				unique || (columns->key[i] && !number) ? "zeroblob(16)" : c,
				columns->key[i] && number ? " + 1" : "");
	}
	snprintf(sql, sizeof(sql), "INSERT INTO main.%s(%s) SELECT %s FROM main.%s%s", table, all,
			values, table, where);
	judge(scene, sql);
}

static void take_a_row(struct scene *scene, const char *table, const struct columns *columns)
{
	char sql[SQL_MAX], where[512];

	for (int last = 0; last < 2; last++) {
		where_row(table, columns, last, where, sizeof(where));
		snprintf(sql, sizeof(sql), "DELETE FROM main.%s%s", table, where);
		judge(scene, sql);
	}
	snprintf(sql, sizeof(sql), "DELETE FROM main.%s", table);
	judge(scene, sql);
}

/* The last row says what the first says, mac and all. */
static void copy_a_row(struct scene *scene, const char *table, const struct columns *columns)
{
	char sql[SQL_MAX], list[1024], values[1024] = "", first[512], last[512];

	list_columns(columns, false, list, sizeof(list));
	for (int i = 0; i < columns->n; i++) {
		size_t at = strlen(values);
		bool unique = strcmp(columns->name[i], "ulid") == 0 ||
			      strcmp(columns->name[i], "handle") == 0 ||
			      strcmp(columns->name[i], "lookup") == 0;
		if (!columns->key[i])
			snprintf(values + at, sizeof(values) - at, "%s%s%s", at ? ", " : "",
					unique ? "main." : "", unique ? "" : columns->name[i]);
		if (!columns->key[i] && unique)
			snprintf(values + strlen(values) - 5, 32, "zeroblob(16)");
	}
	where_row(table, columns, false, first, sizeof(first));
	where_row(table, columns, true, last, sizeof(last));
	snprintf(sql, sizeof(sql),
			"UPDATE main.%s SET (%s) = (SELECT %s FROM main.%s%s)%s AND"
			" (SELECT count(*) FROM main.%s) > 1",
			table, list, values, table, first, last, table);
	judge(scene, sql);
}

/* Rows as they once were, each with its mac of then: those that have changed since, and those that
 * are gone. */
static void put_back_rows(struct scene *scene, const char *table, const struct columns *columns)
{
	char sql[SQL_MAX], all[1024];

	list_columns(columns, true, all, sizeof(all));
	snprintf(sql, sizeof(sql),
			"REPLACE INTO main.%s(%s) SELECT %s FROM former.%s"
			" EXCEPT SELECT %s FROM main.%s",
			table, all, all, table, all, table);
	judge(scene, sql);
	snprintf(sql, sizeof(sql),
			"DELETE FROM main.%s; INSERT INTO main.%s SELECT * FROM former.%s"
			" WHERE (SELECT count(*) FROM former.%s) > 0",
			table, table, table, table);
	judge(scene, sql);
}

/* What somebody would want. */
static const char *const attacks[] = {
		/* a living recording reads as destroyed, and back */
		"UPDATE recording SET state = 5, destroyed_us = 1793500000000000, destroyed_epoch = 1,"
		" private = NULL WHERE id = 1",
		"UPDATE recording SET state = 1, destroyed_us = 0, destroyed_epoch = 0"
		" WHERE destroyed_us <> 0",
		"UPDATE recording SET destroyed_us = destroyed_us - 86400000000"
		" WHERE destroyed_us <> 0",
		"UPDATE recording SET expires_us = expires_us + 315360000000000 WHERE id = 1",
		"UPDATE recording SET state = 3 WHERE id = 1",
		/* destroyed at once, or never */
		"UPDATE expiry_group SET due_us = 1",
		"UPDATE expiry_group SET due_us = 9000000000000000",
		"UPDATE expiry_group SET due_us = 1; UPDATE recording SET expires_us = 1",
		"UPDATE recording SET grp = (SELECT min(id) FROM expiry_group)",
		"UPDATE main.expiry_group SET (due_us, members, mac) ="
		" (SELECT f.due_us, f.members, f.mac FROM former.expiry_group f WHERE f.id = expiry_group.id)"
		" WHERE id IN (SELECT id FROM former.expiry_group)",
		/* a time that is not: destroyed at once, or never */
		"UPDATE clock SET counted_us = counted_us + 315360000000000",
		"UPDATE clock SET counted_us = counted_us - 315360000000000",
		"UPDATE clock SET boot_us = 0",
		"DELETE FROM clock",
		"UPDATE recording SET sealed_clock = 1, counted_us = 1",
		"UPDATE recording SET keep_us = 1, keep_months = 0, keep_from = 1",
		"UPDATE expiry_group SET bucket = -4611686018427387904, due_us = 1",
		/* who shreds alice destroys bob */
		"UPDATE account SET lookup = zeroblob(32) WHERE id = 2;"
		" UPDATE account SET lookup = (SELECT lookup FROM former.account WHERE id = 2)"
		" WHERE id = 3",
		"UPDATE account SET state = 4, deleted_us = 1, deleted_epoch = 1 WHERE id = 2",
		"UPDATE account SET state = 2 WHERE id = 2",
		/* orders that nobody gave */
		"INSERT INTO erasure SELECT 1, 1, id, 0, 0, 0, 'x', 0, 0, zeroblob(16) FROM account",
		"INSERT INTO erasure SELECT 2, 2, account, grp, 0, 0, 'x', 0, 0, zeroblob(16) FROM recording",
		"INSERT INTO erasure SELECT 3, 1, account, grp, id, 0, 'x', 0, 0, NULL FROM recording",
		"INSERT OR IGNORE INTO burial SELECT 1, id, 5, 1, 1, 0, zeroblob(16) FROM account",
		"INSERT OR IGNORE INTO burial SELECT 2, id, 5, 1, 1, 0, zeroblob(16) FROM expiry_group;"
		" DELETE FROM expiry_group",
		"INSERT OR IGNORE INTO removal SELECT ulid, zeroblob(16) FROM recording",
		"INSERT INTO former_place SELECT account, grp, id, zeroblob(16) FROM recording",
		"INSERT INTO staged_parent SELECT parent, 999, zeroblob(16) FROM node"
		" GROUP BY parent",
		"UPDATE erasure SET kind = 1, recording = 0, grp = 0, account = 2",
		/* other sums, ids that come again */
		"DELETE FROM row_set",
		"UPDATE row_set SET box = zeroblob(length(box))",
		"UPDATE main.row_set SET box = (SELECT box FROM former.row_set)",
		"UPDATE tally SET count = count + 100",
		"DELETE FROM tally; DELETE FROM account_count; DELETE FROM audit_end",
		/* what acts by itself */
		"CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM recording; END",
		"CREATE VIEW v AS SELECT 1",
		"CREATE TABLE recording_read(id)",
		"DROP INDEX recording_held",
		"DROP TABLE former_place",
		"CREATE INDEX more ON recording(state)",
		"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '')"
		" WHERE name = 'recording'",
};

static void try_everything(struct scene *scene)
{
	struct columns columns;

	for (size_t i = 0; i < ELEMENTSOF(row_tables); i++) {
		const char *table = row_tables[i].name;
		unsigned before = scene->tried;
		columns_of(scene, table, &columns);
		edit_columns(scene, table, &columns);
		add_a_row(scene, table, &columns);
		take_a_row(scene, table, &columns);
		copy_a_row(scene, table, &columns);
		put_back_rows(scene, table, &columns);
		if (scene->tried - before < (unsigned)columns.n)
			fail_msg("%s: only %u edits could be made", table, scene->tried - before);
	}
	for (size_t i = 0; i < ELEMENTSOF(attacks); i++) {
		judge(scene, attacks[i]);
		scene->vault.unsynchronised = false;
		judge(scene, attacks[i]);
		scene->vault.unsynchronised = true;
	}
	print_message("%u edits: %u refused at the start, %u named, %u unnoticed, %u harmed\n",
			scene->tried, scene->refused, scene->named, scene->unnoticed,
			scene->harmed);
}

static void test_every_edit_is_found(void **state)
{
	struct scene *scene = scene_new(false);

	try_everything(scene);
	assert_true(scene->tried > 200);
	assert_int_equal(scene->unnoticed, 0);
	assert_int_equal(scene->harmed, 0);
	scene_free(scene);
}

/* No edit, no alarm: and what is ordered is done. */
static void test_an_untouched_catalog(void **state)
{
	struct scene *scene = scene_new(false);
	struct reason reason = {""};

	assert_int_equal(edit(scene, "UPDATE vault SET epoch = epoch"), 1);
	if (scene_reopen(scene, &reason) < 0)
		fail_msg("%s", reason.text);
	live_on(scene);
	if (scene->told > 0)
		fail_msg("%s", scene->vault.vault->notices.problem.text);
	assert_null(find_harm(scene));
	assert_true(root_epoch(&scene->vault.vault->root) > scene->epoch);
	scene_free(scene);
}

static void test_without_macs(void **state)
{
	struct scene *scene = scene_new(true);

	try_everything(scene);
	assert_true(scene->unnoticed > scene->tried / 2);
	assert_true(scene->harmed > 20);
	scene_free(scene);
}

/* Every table of the schema is authenticated, or is named as one that need not be; every one of the
 * former has a mac. */
static void test_no_table_is_forgotten(void **state)
{
	struct vault_fixture *vault = *state;
	_cleanup_query_ sqlite3_stmt *q = NULL;
	size_t found = 0;

	assert_int_equal(
			db_start(vault->vault->db, &q,
					"SELECT name, (SELECT count(*) FROM pragma_table_info(t.name)"
					" WHERE name = 'mac') FROM main.sqlite_schema t"
					" WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
					""),
			0);
	while (db_next(vault->vault->db, q) > 0) {
		const char *name = (const char *)sqlite3_column_text(q, 0);
		bool covered = false, other = false;
		for (size_t i = 0; i < ELEMENTSOF(row_tables); i++)
			covered |= strcmp(row_tables[i].name, name) == 0;
		for (size_t i = 0; i < ELEMENTSOF(row_tables_others); i++)
			other |= strcmp(row_tables_others[i], name) == 0;
		if (covered == other || covered != (sqlite3_column_int(q, 1) == 1))
			fail_msg("table %s: add a column mac and a line in row_tables.h", name);
		found += covered;
	}
	assert_int_equal(found, ELEMENTSOF(row_tables));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			IN_VAULT(test_no_table_is_forgotten),
			cmocka_unit_test(test_an_untouched_catalog),
			cmocka_unit_test(test_every_edit_is_found),
			cmocka_unit_test(test_without_macs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
