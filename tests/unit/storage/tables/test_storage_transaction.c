/* Transactions that roll back when their scope ends, and what is known when a commit fails. */
#include "tests/unit/support/storage_fixture.h"

#include <errno.h>
#include <sys/syscall.h>

#include "base/error.h"
#include "storage/tables/node_table.h"

/* SQLite's syncs come by here. */
static bool syncs_fail;

int fdatasync(int fd)
{
	if (!syncs_fail)
		return (int)syscall(SYS_fdatasync, fd);
	errno = EIO;
	return -1;
}

int fsync(int fd)
{
	return fdatasync(fd);
}

static int add(struct db *db, uint64_t id)
{
	const struct node_row row = {.parent = 1, .id = id, .epoch = 3, .sealed = {4}};

	return node_table_add(db, &row);
}

static bool is_there(struct db *db, uint64_t id)
{
	struct node_row row;
	int r = node_table_get(db, 1, id, &row);

	assert_true(r == 0 || r == -ENOENT);
	return r == 0;
}

static void test_committed(void **state)
{
	struct store *s = *state;

	{
		_cleanup_transaction_ struct db_transaction transaction = {0};
		assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
		assert_int_equal(transaction.state, DB_TRANSACTION_OPEN);
		assert_int_equal(add(s->db, 2), 0);
		assert_int_equal(db_transaction_commit(&transaction), 0);
		assert_int_equal(transaction.state, DB_TRANSACTION_COMMITTED);
	}
	s->db = db_close(s->db);
	assert_int_equal(db_open(s->folder->path, &s->db), 0);
	assert_true(is_there(s->db, 2));
}

static void assert_empty_transaction(struct db *db)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};

	assert_int_equal(db_transaction_begin(&transaction, db), 0);
	assert_int_equal(db_transaction_commit(&transaction), 0);
}

static int add_and_fail(struct db *db)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};

	assert_int_equal(db_transaction_begin(&transaction, db), 0);
	assert_int_equal(add(db, 2), 0);
	return -ECANCELED;
}

static void test_scope_left(void **state)
{
	struct store *s = *state;

	assert_int_equal(add_and_fail(s->db), -ECANCELED);
	assert_false(is_there(s->db, 2));
	/* Nothing is open any more. */
	assert_empty_transaction(s->db);
}

static void test_rolled_back_early(void **state)
{
	struct store *s = *state;
	_cleanup_transaction_ struct db_transaction transaction = {0};

	db_transaction_rollback(&transaction); /* harmless before it begins */
	assert_int_equal(transaction.state, DB_TRANSACTION_NONE);
	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	assert_int_equal(add(s->db, 2), 0);
	db_transaction_rollback(&transaction);
	assert_int_equal(transaction.state, DB_TRANSACTION_ROLLED_BACK);
	db_transaction_rollback(&transaction);
	assert_false(is_there(s->db, 2));
	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	assert_int_equal(add(s->db, 3), 0);
	assert_int_equal(db_transaction_commit(&transaction), 0);
	assert_true(is_there(s->db, 3));
}

/* The inner guard is of no transaction, and ends none. */
static void test_second_begin(void **state)
{
	struct store *s = *state;
	_cleanup_transaction_ struct db_transaction outer = {0};

	assert_int_equal(db_transaction_begin(&outer, s->db), 0);
	assert_int_equal(add(s->db, 2), 0);
	{
		_cleanup_transaction_ struct db_transaction inner = {0};
		assert_true(db_transaction_begin(&inner, s->db) < 0);
		assert_int_equal(inner.state, DB_TRANSACTION_NONE);
	}
	assert_int_equal(add(s->db, 3), 0);
	assert_int_equal(db_transaction_commit(&outer), 0);
	assert_true(is_there(s->db, 2) && is_there(s->db, 3));
}

/* An error inside a transaction may end it: then there is nothing left to commit. */
static void test_ended_by_sqlite(void **state)
{
	struct store *s = *state;
	_cleanup_transaction_ struct db_transaction transaction = {0};

	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	assert_int_equal(add(s->db, 2), 0);
	assert_int_equal(sqlite3_exec(db_handle(s->db),
					 "INSERT OR ROLLBACK INTO node SELECT * FROM node", NULL,
					 NULL, NULL) &
					 0xff,
			SQLITE_CONSTRAINT);
	assert_int_equal(db_transaction_commit(&transaction), -EIO);
	assert_int_equal(transaction.state, DB_TRANSACTION_ROLLED_BACK);
	assert_false(is_there(s->db, 2));
}

/* A constraint that is checked at the end: nothing was written yet. */
static void test_refused_commit(void **state)
{
	struct store *s = *state;
	_cleanup_transaction_ struct db_transaction transaction = {0};

	sql(s, "PRAGMA foreign_keys=ON");
	sql(s, "CREATE TABLE child(of INTEGER REFERENCES account(id) DEFERRABLE INITIALLY DEFERRED)");
	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	assert_int_equal(add(s->db, 2), 0);
	sql(s, "INSERT INTO child VALUES (99)");
	assert_int_equal(db_transaction_commit(&transaction), -EEXIST);
	assert_int_equal(transaction.state, DB_TRANSACTION_ROLLED_BACK);
	assert_false(is_there(s->db, 2));
	assert_empty_transaction(s->db);
}

static void copy_file(struct folder *f, const char *from, const char *to)
{
	static uint8_t buf[1 << 24];
	_cleanup_close_ int in = openat(f->fd, from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = openat(f->fd, to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ssize_t n = read(in, buf, sizeof(buf));

	assert_in_range(n, 1, sizeof(buf) - 1);
	assert_int_equal(write(out, buf, (size_t)n), n);
}

/* The sync of a commit fails after all of it was written. This connection does not see the
 * transaction; whoever opens what is on the disk after a crash does. So it must not be reported as
 * rolled back. */
static void test_sync_of_commit_fails(void **state)
{
	struct store *s = *state;
	_cleanup_transaction_ struct db_transaction transaction = {0};
	char path[256];
	struct db *after = NULL;

	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	assert_int_equal(add(s->db, 2), 0);
	syncs_fail = true;
	int r = db_transaction_commit(&transaction);
	syncs_fail = false;
	assert_int_equal(r, -RE_UNKNOWN);
	assert_int_equal(transaction.state, DB_TRANSACTION_UNKNOWN);
	assert_true(db_in_doubt(s->db));
	assert_false(is_there(s->db, 2));

	assert_int_equal(mkdirat(s->folder->fd, "crashed", 0700), 0);
	copy_file(s->folder, "keeper.db", "crashed/keeper.db");
	copy_file(s->folder, "keeper.db-wal", "crashed/keeper.db-wal");
	snprintf(path, sizeof(path), "%s/crashed", s->folder->path);
	assert_int_equal(db_open(path, &after), 0);
	assert_true(is_there(after, 2));
	db_close(after);

	/* This connection still reads, and writes nothing more. */
	assert_int_equal(db_transaction_begin(&transaction, s->db), -EAGAIN);
	assert_int_equal(transaction.state, DB_TRANSACTION_NONE);
	/* The next one finds out, and goes on. */
	s->db = db_close(s->db);
	assert_int_equal(db_open(s->folder->path, &s->db), 0);
	assert_true(is_there(s->db, 2));
	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	assert_int_equal(add(s->db, 3), 0);
	assert_int_equal(db_transaction_commit(&transaction), 0);
	assert_true(is_there(s->db, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_store(test_committed),
			in_store(test_scope_left),
			in_store(test_rolled_back_early),
			in_store(test_second_begin),
			in_store(test_ended_by_sqlite),
			in_store(test_refused_commit),
			in_store(test_sync_of_commit_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
