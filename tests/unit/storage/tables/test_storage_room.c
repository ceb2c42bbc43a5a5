/* The reserve in the log: what fills the disk does not get it, and transactions leave what they must. */
#include "tests/unit/support/storage_fixture.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/error.h"

/* The disk is full: no file becomes longer by what is allocated. */
static bool no_room;
/* Nor has the database room to grow: the log cannot be copied to it. */
static bool no_copy;

int __real_posix_fallocate(int fd, off_t offset, off_t len);
int __wrap_posix_fallocate(int fd, off_t offset, off_t len);
int __wrap_posix_fallocate64(int fd, off_t offset, off_t len);
int __real_sqlite3_wal_checkpoint_v2(
		sqlite3 *handle, const char *name, int mode, int *ret_frames, int *ret_copied);
int __wrap_sqlite3_wal_checkpoint_v2(
		sqlite3 *handle, const char *name, int mode, int *ret_frames, int *ret_copied);

int __wrap_posix_fallocate(int fd, off_t offset, off_t len)
{
	struct stat st;

	if (no_room && (fstat(fd, &st) < 0 || offset + len > st.st_size))
		return ENOSPC;
	return __real_posix_fallocate(fd, offset, len);
}

int __wrap_posix_fallocate64(int fd, off_t offset, off_t len)
{
	return __wrap_posix_fallocate(fd, offset, len);
}

int __wrap_sqlite3_wal_checkpoint_v2(
		sqlite3 *handle, const char *name, int mode, int *ret_frames, int *ret_copied)
{
	return no_copy ? SQLITE_FULL
		       : __real_sqlite3_wal_checkpoint_v2(
					 handle, name, mode, ret_frames, ret_copied);
}

static void log_look(struct store *s, struct stat *ret_st)
{
	assert_int_equal(fstatat(s->folder->fd, "keeper.db-wal", ret_st, 0), 0);
	assert_true(ret_st->st_size >= (off_t)DB_RESERVE_BYTES);
	assert_true(ret_st->st_blocks * 512 >= ret_st->st_size);
}

static void reopen(struct store *s)
{
	s->db = db_close(s->db);
	assert_int_equal(db_open(s->folder->path, &s->db), 0);
}

/* It is allocated and not only promised, while the database is open and while it is shut. */
static void test_the_reserve_is_there(void **state)
{
	struct store *s = *state;
	struct stat st;

	for (int i = 0; i < 3; i++) {
		log_look(s, &st);
		assert_true(db_room_left(s->db) >= DB_RESERVE_BYTES);
		s->db = db_close(s->db);
		log_look(s, &st);
		assert_int_equal(db_open(s->folder->path, &s->db), 0);
	}
}

/* A copy of the log may have holes where it was free: they are filled when there is room. */
static void test_holes_are_filled(void **state)
{
	struct store *s = *state;
	struct stat st;

	s->db = db_close(s->db);
	_cleanup_close_ int fd = openat(s->folder->fd, "keeper.db-wal", O_RDWR | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ftruncate(fd, st.st_size), 0);
	assert_int_equal(db_open(s->folder->path, &s->db), 0);
	log_look(s, &st);
}

/* Rows of some 4 KiB each, in a transaction of this kind; what begin or commit says. */
static int fill(struct store *s, enum db_room room, int rows)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin_for(&transaction, s->db, room);

	for (int i = 0; i < rows && r == 0; i++)
		r = db_run(s->db,
				"INSERT INTO node_pack(parent, first, epoch, sealed)"
				" SELECT 1, ifnull(max(first), 0) + 1, 1, zeroblob(4000)"
				" FROM node_pack WHERE parent = 1",
				"");
	return r < 0 ? r : db_transaction_commit(&transaction);
}

static void fill_until_refused(struct store *s, enum db_room room, int expected)
{
	int r = 0;

	for (int i = 0; i < 4000 && r == 0; i++)
		r = fill(s, room, 4);
	assert_int_equal(r, expected);
}

/* As long as the log can be copied to the database, all goes on on a full disk. */
static void test_a_full_disk(void **state)
{
	struct store *s = *state;

	no_room = true;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(fill(s, DB_ROOM_SEALING, 4), 0);
	no_room = false;
	reopen(s);
	assert_int_equal(ask(s, "SELECT count(*) FROM node_pack"), 4000);
}

/* And when it cannot: sealing leaves all of the reserve, the rest leaves half of it, an erasure gets
 * what it took beforehand; opened again all is as it was; and with room all goes on. */
static void test_who_leaves_what(void **state)
{
	struct store *s = *state;

	no_room = no_copy = true;
	fill_until_refused(s, DB_ROOM_SEALING, -ENOSPC);
	assert_in_range(db_room_left(s->db), DB_RESERVE_BYTES - (64 << 10), DB_RESERVE_BYTES - 1);
	assert_int_equal(fill(s, DB_ROOM_ORDINARY, 4), 0);
	fill_until_refused(s, DB_ROOM_ORDINARY, -ENOSPC);
	uint64_t left = db_room_left(s->db);
	assert_in_range(left, DB_RESERVE_BYTES / 2 - (64 << 10), DB_RESERVE_BYTES / 2 - 1);
	assert_int_equal(db_room_take(s->db, DB_RESERVE_BYTES / 2), -ENOSPC);
	assert_int_equal(db_room_take(s->db, 1 << 20), 0);
	assert_int_equal(fill(s, DB_ROOM_ERASING, 200), 0);
	left = db_room_left(s->db);
	int64_t rows = ask(s, "SELECT count(*) FROM node_pack");
	/* As a crash leaves it. */
	s->db->in_doubt = true;
	reopen(s);
	assert_int_equal(db_room_left(s->db), left);
	assert_int_equal(ask(s, "SELECT count(*) FROM node_pack"), rows);
	assert_int_equal(fill(s, DB_ROOM_ORDINARY, 4), -ENOSPC);
	assert_int_equal(fill(s, DB_ROOM_ERASING, 10), 0);
	no_copy = false;
	assert_int_equal(fill(s, DB_ROOM_SEALING, 4), 0);
	assert_true(db_room_left(s->db) >= DB_RESERVE_BYTES - (64 << 10));
	no_room = false;
}

/* After an orderly close the log says nothing: an older keeper.db that is put back alone is not
 * mixed with it. */
static void test_a_database_put_back_alone(void **state)
{
	struct store *s = *state;
	char command[256];

	reopen(s);
	snprintf(command, sizeof(command), "cp %s/keeper.db %s/old", s->folder->path,
			s->folder->path);
	assert_int_equal(system(command), 0);
	assert_int_equal(fill(s, DB_ROOM_ORDINARY, 100), 0);
	s->db = db_close(s->db);
	assert_int_equal(renameat(s->folder->fd, "old", s->folder->fd, "keeper.db"), 0);
	assert_int_equal(db_open(s->folder->path, &s->db), 0);
	assert_int_equal(ask(s, "SELECT count(*) FROM node_pack"), 0);
	assert_int_equal(fill(s, DB_ROOM_ORDINARY, 10), 0);
	reopen(s);
	assert_int_equal(ask(s, "SELECT count(*) FROM node_pack"), 10);
}

/* SQLite would take an empty file for a new database and remove the log, which may be all there is. */
static void test_an_empty_file(void **state)
{
	struct store *s = *state;
	struct stat st;

	s->db = db_close(s->db);
	_cleanup_close_ int fd = openat(s->folder->fd, "keeper.db", O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(db_open(s->folder->path, &s->db), -RE_CORRUPT);
	log_look(s, &st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_store(test_the_reserve_is_there),
			in_store(test_holes_are_filled),
			in_store(test_a_full_disk),
			in_store(test_who_leaves_what),
			in_store(test_a_database_put_back_alone),
			in_store(test_an_empty_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
