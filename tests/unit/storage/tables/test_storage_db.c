/* The database file and the table of nodes. */
#include "tests/unit/support/storage_fixture.h"

#include <errno.h>
#include <sys/stat.h>

#include "storage/tables/node_table.h"

static void test_a_created_database_opens_again(void **state)
{
	struct store *s = *state;
	struct db *second = NULL;
	struct vault_row row;
	struct stat st;

	assert_int_equal(db_open_new(s->folder->path, &second), -EEXIST);
	assert_null(second);
	s->db = db_close(s->db);
	assert_int_equal(db_open_new(s->folder->path, &second), -EEXIST);
	assert_int_equal(db_open(s->folder->path, &s->db), 0);
	assert_int_equal(db_vault_get(s->db, &row), 0);
	assert_int_equal(row.epoch, 7);
	assert_int_equal(row.vault_id[2], 3);
	assert_int_equal(row.anchor[0], 9);
	assert_int_equal(fstatat(s->folder->fd, "keeper.db", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_settings_durability_rests_on(void **state)
{
	struct store *s = *state;
	_cleanup_query_ sqlite3_stmt *q = NULL;

	assert_int_equal(ask(s, "PRAGMA synchronous"), 2);
	assert_int_equal(db_start(s->db, &q, "PRAGMA journal_mode", ""), 0);
	assert_int_equal(db_next(s->db, q), 1);
	assert_string_equal((const char *)sqlite3_column_text(q, 0), "wal");
}

/* The vault row's identity never changes; its epoch and anchor do. */
static void test_vault_row(void **state)
{
	struct store *s = *state;
	struct vault_row other = {.vault_id = {7}, .epoch = 8, .anchor = {4}, .created_us = 99};
	struct vault_row row;

	assert_int_equal(db_vault_put(s->db, &other), 0);
	assert_int_equal(db_vault_get(s->db, &row), 0);
	assert_int_equal(row.epoch, 8);
	assert_int_equal(row.anchor[0], 4);
	assert_int_equal(row.vault_id[0], 1);
	assert_int_equal(row.created_us, 5);
	sql(s, "DELETE FROM vault");
	assert_int_equal(db_vault_get(s->db, &row), -RE_CORRUPT);
}

/* Opens the database after an edit of the closed file. */
static int reopen(struct store *s)
{
	struct vault_row row;
	int r = db_open(s->folder->path, &s->db);

	if (r == 0)
		r = db_vault_get(s->db, &row);
	return r;
}

static void test_not_a_database(void **state)
{
	struct store *s = *state;

	s->db = db_close(s->db);
	write_file(s->folder, "keeper.db", "");
	assert_int_equal(reopen(s), -RE_CORRUPT);
	write_file(s->folder, "keeper.db",
			"a text that is much longer than the header of SQLite's "
			"format, but is not a database at all, whatever its name");
	assert_int_equal(reopen(s), -RE_CORRUPT);
	assert_null(s->db);
}

static void test_no_database(void **state)
{
	struct store *s = *state;

	s->db = db_close(s->db);
	assert_int_equal(unlinkat(s->folder->fd, "keeper.db", 0), 0);
	assert_int_equal(reopen(s), -ENOENT);
	assert_int_equal(symlinkat("elsewhere.db", s->folder->fd, "keeper.db"), 0);
	assert_int_equal(reopen(s), -ELOOP);
	assert_int_equal(faccessat(s->folder->fd, "elsewhere.db", F_OK, 0), -1);
}

static void test_another_programs_database(void **state)
{
	struct store *s = *state;

	sql(s, "PRAGMA application_id=1");
	s->db = db_close(s->db);
	assert_int_equal(reopen(s), -RE_CORRUPT);
}

static void test_another_format(void **state)
{
	struct store *s = *state;

	sql(s, "PRAGMA user_version=1000");
	s->db = db_close(s->db);
	assert_int_equal(reopen(s), -RE_CORRUPT);
}

static void test_a_truncated_database(void **state)
{
	struct store *s = *state;
	off_t size;

	s->db = db_close(s->db);
	_cleanup_close_ int fd = openat(s->folder->fd, "keeper.db", O_RDWR | O_CLOEXEC);
	size = lseek(fd, 0, SEEK_END);
	assert_true(size > 8192);
	for (off_t cut = size - 4096; cut > 0; cut /= 2) {
		assert_int_equal(ftruncate(fd, cut), 0);
		assert_int_equal(reopen(s), -RE_CORRUPT);
		s->db = db_close(s->db);
	}
}

static void test_a_damaged_page(void **state)
{
	struct store *s = *state;
	char noise[64];

	s->db = db_close(s->db);
	_cleanup_close_ int fd = openat(s->folder->fd, "keeper.db", O_RDWR | O_CLOEXEC);
	memset(noise, 0xa5, sizeof(noise));
	/* The schema's page, behind the file's header: sizes of a b-tree page and its cells. */
	assert_int_equal(pwrite(fd, noise, sizeof(noise), 100), sizeof(noise));
	assert_int_equal(reopen(s), -RE_CORRUPT);
}

static void test_transactions(void **state)
{
	struct store *s = *state;
	struct node_row row = {.parent = 1, .id = 2, .epoch = 3, .sealed = {4}};

	struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	assert_int_equal(node_table_add(s->db, &row), 0);
	db_transaction_rollback(&transaction);
	assert_int_equal(node_table_get(s->db, 1, 2, &row), -ENOENT);
	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	assert_int_equal(node_table_add(s->db, &row), 0);
	assert_int_equal(db_transaction_commit(&transaction), 0);
	db_transaction_rollback(&transaction); /* harmless outside one */
	assert_int_equal(node_table_get(s->db, 1, 2, &row), 0);
}

static void add(struct store *s, uint64_t parent, uint64_t id, uint8_t mark)
{
	struct node_row row = {.parent = parent, .id = id, .epoch = 1, .sealed = {mark}};

	assert_int_equal(node_table_add(s->db, &row), 0);
	assert_int_equal(node_table_add(s->db, &row), -EEXIST);
}

static void stage(struct store *s, uint64_t parent, uint64_t first, uint8_t mark)
{
	static const size_t len = NODE_PACK_OVERHEAD + NODE_PACK_CHILD_BYTES;
	struct node_pack pack = {
			.parent = parent, .first = first, .epoch = 2, .len = len, .sealed = {mark}};

	assert_int_equal(node_table_stage_pack(s->db, &pack), 0);
	assert_int_equal(node_table_stage_pack(s->db, &pack), -EEXIST);
}

/* The marks of the packs of a parent, in order. */
static void assert_packs(struct store *s, enum node_set set, uint64_t parent, const char *marks)
{
	struct node_pack pack;
	uint64_t from = 0;

	for (; *marks; marks++) {
		assert_int_equal(node_table_pack_next(s->db, set, parent, from, &pack), 0);
		assert_int_equal(pack.parent, parent);
		assert_int_equal(pack.len, NODE_PACK_OVERHEAD + NODE_PACK_CHILD_BYTES);
		assert_int_equal(pack.sealed[0], *marks);
		from = pack.first + 1;
	}
	assert_int_equal(node_table_pack_next(s->db, set, parent, from, &pack), -ENOENT);
}

static void assert_rows(struct store *s, uint64_t parent, const char *marks)
{
	struct node_row *rows;
	size_t n = 99;

	assert_int_equal(node_table_list(s->db, parent, &rows, &n), 0);
	assert_int_equal(n, strlen(marks));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(rows[i].sealed[0], marks[i]);
	free(rows);
}

static void test_children_come_in_order(void **state)
{
	struct store *s = *state;

	add(s, 1, 30, 3);
	add(s, 1, 10, 1);
	add(s, 2, 15, 9);
	add(s, 1, 20, 2);
	add(s, 1, UINT64_C(7) << 56, 4);
	assert_rows(s, 1, "\1\2\3\4");
	assert_int_equal(node_table_drop_children(s->db, 1), 0);
	assert_rows(s, 1, "");
	assert_int_equal(ask(s, "SELECT count(*) FROM node"), 1);
	sql(s, "UPDATE node SET sealed = zeroblob(71)");
	struct node_row *rows;
	size_t n;
	assert_int_equal(node_table_list(s->db, 2, &rows, &n), -RE_CORRUPT);
}

/* Parents 0 to 2; 1 is staged without its child 20, once in packs. */
static void stage_without_20(struct store *s)
{
	add(s, 0, 1, 1);
	add(s, 1, 10, 1);
	add(s, 1, 20, 2);
	add(s, 2, 30, 3);
	assert_int_equal(node_table_any_staged(s->db), 0);
	assert_int_equal(node_table_stage_parent(s->db, 1, 2), 0);
	assert_int_equal(node_table_stage_parent(s->db, 1, 2), -EEXIST);
	stage(s, 1, 10, 11);
	stage(s, 1, 40, 12);
	assert_int_equal(node_table_any_staged(s->db), 1);
}

static void test_applying_a_stage(void **state)
{
	struct store *s = *state;

	stage_without_20(s);
	assert_rows(s, 1, "\1\2");
	assert_packs(s, NODE_PRESENT, 1, "");
	assert_packs(s, NODE_STAGED, 1, "\13\14");
	assert_packs(s, NODE_STAGED, 0, "");
	assert_int_equal(node_table_apply_staged(s->db), 0);
	assert_rows(s, 1, "");
	assert_packs(s, NODE_PRESENT, 1, "\13\14");
	assert_packs(s, NODE_STAGED, 1, "");
	assert_rows(s, 2, "\3");
	assert_rows(s, 0, "\1");
	assert_int_equal(node_table_any_staged(s->db), 0);
}

/* Packs and rows of the time before are replaced by packs, those of other parents stay. */
static void test_applying_a_stage_over_packs(void **state)
{
	struct store *s = *state;

	stage_without_20(s);
	assert_int_equal(node_table_stage_parent(s->db, 2, 2), 0);
	stage(s, 2, 30, 13);
	assert_int_equal(node_table_apply_staged(s->db), 0);
	add(s, 1, 60, 6);
	assert_int_equal(node_table_stage_parent(s->db, 1, 3), 0);
	sql(s, "INSERT INTO node_pack SELECT parent, first, 3,"
	       " CAST(x'15' || substr(sealed, 2) AS BLOB)"
	       " FROM node_pack WHERE parent = 1 AND first = 40");
	assert_packs(s, NODE_PRESENT, 1, "\13\14");
	assert_packs(s, NODE_STAGED, 1, "\25");
	assert_packs(s, NODE_PRESENT, 2, "\15");
	struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	assert_int_equal(node_table_discard_staged(s->db), 0);
	assert_packs(s, NODE_PRESENT, 1, "\13\14");
	assert_rows(s, 1, "\6");
	db_transaction_rollback(&transaction);
	assert_int_equal(node_table_apply_staged(s->db), 0);
	assert_packs(s, NODE_PRESENT, 1, "\25");
	assert_rows(s, 1, "");
	assert_packs(s, NODE_PRESENT, 2, "\15");
	assert_int_equal(node_table_drop_children(s->db, 1), 0);
	assert_packs(s, NODE_PRESENT, 1, "");
	assert_packs(s, NODE_PRESENT, 2, "\15");
}

/* A parent whose last child was erased is staged with no children at all. */
static void test_applying_a_stage_that_leaves_nothing(void **state)
{
	struct store *s = *state;

	add(s, 1, 10, 1);
	assert_int_equal(node_table_stage_parent(s->db, 1, 2), 0);
	assert_int_equal(node_table_any_staged(s->db), 1);
	assert_int_equal(node_table_apply_staged(s->db), 0);
	assert_rows(s, 1, "");
	assert_int_equal(node_table_any_staged(s->db), 0);
}

static void test_discarding_a_stage(void **state)
{
	struct store *s = *state;

	stage_without_20(s);
	assert_int_equal(node_table_discard_staged(s->db), 0);
	assert_int_equal(node_table_any_staged(s->db), 0);
	assert_packs(s, NODE_STAGED, 1, "");
	assert_packs(s, NODE_PRESENT, 1, "");
	assert_rows(s, 1, "\1\2");
	assert_int_equal(ask(s, "SELECT count(*) FROM node_pack"), 0);
}

static void test_which_pack_an_id_would_be_in(void **state)
{
	static const struct {
		uint64_t id, first;
	} cases[] = {{9, 0}, {10, 10}, {11, 10}, {39, 10}, {40, 40}, {41, 40},
			{UINT64_C(7) << 56, 40}};
	struct store *s = *state;
	struct node_pack pack;
	uint64_t first = 0;

	stage_without_20(s);
	for (int applied = 0; applied < 2; applied++) {
		for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
			enum node_set set = applied ? NODE_PRESENT : NODE_STAGED;
			int r = node_table_pack_find(s->db, set, 1, cases[i].id, &first);
			assert_int_equal(r, cases[i].first ? 0 : -ENOENT);
			assert_int_equal(first, cases[i].first);
			r = node_table_pack_get(s->db, set, 1, cases[i].id, &pack);
			assert_int_equal(r, cases[i].first ? 0 : -ENOENT);
			assert_true(r < 0 || pack.first == first);
			r = node_table_pack_get(s->db, 1 - set, 1, cases[i].id, &pack);
			assert_int_equal(r, -ENOENT);
			assert_int_equal(node_table_pack_find(
							 s->db, 1 - set, 1, cases[i].id, &first),
					-ENOENT);
			assert_int_equal(node_table_pack_find(s->db, set, 2, cases[i].id, &first),
					-ENOENT);
		}
		first = 0;
		assert_int_equal(node_table_apply_staged(s->db), 0);
	}
}

static void test_a_node_of_another_size_is_corrupt(void **state)
{
	struct store *s = *state;
	struct node_row row;

	add(s, 1, 10, 1);
	sql(s, "UPDATE node SET sealed = zeroblob(71)");
	assert_int_equal(node_table_get(s->db, 1, 10, &row), -RE_CORRUPT);
	sql(s, "UPDATE node SET sealed = 'text'");
	assert_int_equal(node_table_get(s->db, 1, 10, &row), -RE_CORRUPT);
}

static void test_a_pack_of_no_packs_size_is_corrupt(void **state)
{
	static const char *const bad[] = {"zeroblob(0)", "zeroblob(40)", "zeroblob(79)",
			"zeroblob(81)", "zeroblob(40 + 257 * 40)", "zeroblob(10000000)", "'text'",
			"80"};
	struct store *s = *state;
	struct node_pack pack;
	char text[128];

	stage_without_20(s);
	assert_int_equal(node_table_apply_staged(s->db), 0);
	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		snprintf(text, sizeof(text), "UPDATE node_pack SET sealed = %s", bad[i]);
		assert_int_equal(sqlite3_exec(db_handle(s->db), text, NULL, NULL, NULL), SQLITE_OK);
		assert_int_equal(node_table_pack_next(s->db, NODE_PRESENT, 1, 0, &pack),
				-RE_CORRUPT);
	}
	sql(s, "UPDATE node_pack SET sealed = zeroblob(40 + 256 * 40)");
	assert_int_equal(node_table_pack_next(s->db, NODE_PRESENT, 1, 0, &pack), 0);
	assert_int_equal(pack.len, sizeof(pack.sealed));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_store(test_a_created_database_opens_again),
			in_store(test_settings_durability_rests_on),
			in_store(test_vault_row),
			in_store(test_not_a_database),
			in_store(test_no_database),
			in_store(test_another_programs_database),
			in_store(test_another_format),
			in_store(test_a_truncated_database),
			in_store(test_a_damaged_page),
			in_store(test_transactions),
			in_store(test_children_come_in_order),
			in_store(test_applying_a_stage),
			in_store(test_applying_a_stage_over_packs),
			in_store(test_applying_a_stage_that_leaves_nothing),
			in_store(test_discarding_a_stage),
			in_store(test_which_pack_an_id_would_be_in),
			in_store(test_a_node_of_another_size_is_corrupt),
			in_store(test_a_pack_of_no_packs_size_is_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
