/* The database file and the table of nodes. */
#include "storage_test.h"

#include <errno.h>
#include <sys/stat.h>

#include "storage/node_table.h"

static void test_a_created_database_opens_again(void **state)
{
	struct store *s = *state;
	struct db *second = NULL;
	struct vault_row row;
	struct stat st;

	assert_int_equal(db_create(s->folder->path, &second), -EEXIST);
	assert_null(second);
	s->db = db_close(s->db);
	assert_int_equal(db_create(s->folder->path, &second), -EEXIST);
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

	assert_int_equal(db_begin(s->db), 0);
	assert_int_equal(node_add(s->db, &row), 0);
	db_rollback(s->db);
	assert_int_equal(node_get(s->db, 1, 2, &row), -ENOENT);
	assert_int_equal(db_begin(s->db), 0);
	assert_int_equal(node_add(s->db, &row), 0);
	assert_int_equal(db_commit(s->db), 0);
	db_rollback(s->db); /* harmless outside one */
	assert_int_equal(node_get(s->db, 1, 2, &row), 0);
}

static void add(struct store *s, uint64_t parent, uint64_t id, uint8_t mark)
{
	struct node_row row = {.parent = parent, .id = id, .epoch = 1, .sealed = {mark}};

	assert_int_equal(node_add(s->db, &row), 0);
	assert_int_equal(node_add(s->db, &row), -EEXIST);
}

static void stage(struct store *s, uint64_t parent, uint64_t id, uint8_t mark)
{
	struct node_row row = {.parent = parent, .id = id, .epoch = 2, .sealed = {mark}};

	assert_int_equal(node_stage(s->db, &row), 0);
}

struct seen {
	uint64_t id[16];
	uint8_t mark[16];
	size_t n, stop_after;
};

static int see(void *context, const struct node_row *row)
{
	struct seen *seen = context;

	seen->id[seen->n] = row->id;
	seen->mark[seen->n++] = row->sealed[0];
	return seen->stop_after && seen->n == seen->stop_after ? -ECANCELED : 0;
}

static void test_children_come_in_order(void **state)
{
	struct store *s = *state;
	struct seen seen = {.n = 0}, some = {.stop_after = 2};

	add(s, 1, 30, 3);
	add(s, 1, 10, 1);
	add(s, 2, 15, 9);
	add(s, 1, 20, 2);
	add(s, 1, UINT64_C(7) << 56, 4);
	assert_int_equal(node_children(s->db, 1, see, &seen), 0);
	assert_int_equal(seen.n, 4);
	assert_memory_equal(seen.mark, "\1\2\3\4", 4);
	assert_int_equal(node_children(s->db, 1, see, &some), -ECANCELED);
	assert_int_equal(some.n, 2);
	assert_int_equal(node_drop_children(s->db, 1), 0);
	seen.n = 0;
	assert_int_equal(node_children(s->db, 1, see, &seen), 0);
	assert_int_equal(seen.n, 0);
	assert_int_equal(ask(s, "SELECT count(*) FROM node"), 1);
}

static void stage_without_20(struct store *s)
{
	add(s, 0, 1, 1);
	add(s, 1, 10, 1);
	add(s, 1, 20, 2);
	add(s, 2, 30, 3);
	assert_int_equal(node_any_staged(s->db), 0);
	assert_int_equal(node_stage_parent(s->db, 1), 0);
	stage(s, 1, 10, 11);
	assert_int_equal(node_any_staged(s->db), 1);
}

static void test_applying_a_stage(void **state)
{
	struct store *s = *state;
	struct node_row row;

	stage_without_20(s);
	assert_int_equal(node_get_staged(s->db, 1, 10, &row), 0);
	assert_int_equal(row.sealed[0], 11);
	assert_int_equal(node_get_staged(s->db, 1, 20, &row), -ENOENT);
	assert_int_equal(node_get(s->db, 1, 10, &row), 0);
	assert_int_equal(row.sealed[0], 1);
	assert_int_equal(node_apply_staged(s->db), 0);
	assert_int_equal(node_get(s->db, 1, 10, &row), 0);
	assert_int_equal(row.sealed[0], 11);
	assert_int_equal(row.epoch, 2);
	assert_int_equal(node_get(s->db, 1, 20, &row), -ENOENT);
	assert_int_equal(node_get(s->db, 2, 30, &row), 0);
	assert_int_equal(node_get(s->db, 0, 1, &row), 0);
	assert_int_equal(node_any_staged(s->db), 0);
}

/* A parent whose last child was erased is staged with no children at all. */
static void test_applying_a_stage_that_leaves_nothing(void **state)
{
	struct store *s = *state;
	struct node_row row;

	add(s, 1, 10, 1);
	assert_int_equal(node_stage_parent(s->db, 1), 0);
	assert_int_equal(node_any_staged(s->db), 1);
	assert_int_equal(node_apply_staged(s->db), 0);
	assert_int_equal(node_get(s->db, 1, 10, &row), -ENOENT);
}

static void test_discarding_a_stage(void **state)
{
	struct store *s = *state;
	struct node_row row;

	stage_without_20(s);
	assert_int_equal(node_discard_staged(s->db), 0);
	assert_int_equal(node_any_staged(s->db), 0);
	assert_int_equal(node_get_staged(s->db, 1, 10, &row), -ENOENT);
	assert_int_equal(node_get(s->db, 1, 10, &row), 0);
	assert_int_equal(row.sealed[0], 1);
	assert_int_equal(node_get(s->db, 1, 20, &row), 0);
}

static void test_a_node_of_another_size_is_corrupt(void **state)
{
	struct store *s = *state;
	struct node_row row;

	add(s, 1, 10, 1);
	sql(s, "UPDATE node SET sealed = zeroblob(71)");
	assert_int_equal(node_get(s->db, 1, 10, &row), -RE_CORRUPT);
	sql(s, "UPDATE node SET sealed = 'text'");
	assert_int_equal(node_get(s->db, 1, 10, &row), -RE_CORRUPT);
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
		in_store(test_applying_a_stage_that_leaves_nothing),
		in_store(test_discarding_a_stage),
		in_store(test_a_node_of_another_size_is_corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
