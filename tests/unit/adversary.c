#include "adversary.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "daemon/keeper/key_path.h"

#define TABLE_START (1u << 14)

void adversary_init(struct adversary *adversary)
{
	*adversary = (struct adversary){.dir = "/tmp/recseal-adversary.XXXXXX"};
	assert_non_null(mkdtemp(adversary->dir));
}

static void remove_copy(struct adversary *a)
{
	static const char *const names[] = {"keeper.db", "keeper.db-wal", "keeper.db-shm"};
	char path[128];

	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", a->dir, names[i]);
		unlink(path);
	}
}

void adversary_free(struct adversary *adversary)
{
	remove_copy(adversary);
	rmdir(adversary->dir);
	free(adversary->rows);
	free(adversary->table);
	free(adversary->keys);
}

/* Rows. */

/* The nonce is random, so it does for a hash. */
static uint32_t *place(struct adversary *a, const struct node_row *row)
{
	size_t i;

	memcpy(&i, row->sealed, sizeof(i));
	i &= a->slots - 1;
	while (a->table[i] && memcmp(&a->rows[a->table[i] - 1].row, row, sizeof(*row)) != 0)
		i = (i + 1) & (a->slots - 1);
	return &a->table[i];
}

static void grow(struct adversary *a)
{
	a->slots = a->slots ? 2 * a->slots : TABLE_START;
	a->rows_room = a->slots / 2;
	free(a->table);
	a->table = calloc(a->slots, sizeof(*a->table));
	a->rows = reallocarray(a->rows, a->rows_room, sizeof(*a->rows));
	assert_true(a->table && a->rows);
	for (size_t i = 0; i < a->rows_count; i++)
		*place(a, &a->rows[i].row) = (uint32_t)i + 1;
}

/* Whether it is new. */
static bool add_row(struct adversary *a, const struct node_row *row)
{
	if (a->rows_count == a->rows_room)
		grow(a);
	uint32_t *at = place(a, row);
	if (*at)
		return false;
	a->rows[a->rows_count++] = (struct adversary_row){.row = *row};
	*at = (uint32_t)a->rows_count;
	return true;
}

/* By SQL, from a copy: opening it replays the log. */
static void query_rows(struct adversary *a)
{
	char path[128];
	sqlite3_stmt *q;
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/keeper.db", a->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
				 "SELECT parent, id, epoch, sealed FROM node UNION ALL "
				 "SELECT parent, id, epoch, sealed FROM staged_node",
				 -1, &q, NULL),
		SQLITE_OK);
	while (sqlite3_step(q) == SQLITE_ROW) {
		struct node_row row = {.parent = (uint64_t)sqlite3_column_int64(q, 0),
			.id = (uint64_t)sqlite3_column_int64(q, 1),
			.epoch = (uint64_t)sqlite3_column_int64(q, 2)};
		assert_int_equal(sqlite3_column_bytes(q, 3), sizeof(row.sealed));
		memcpy(row.sealed, sqlite3_column_blob(q, 3), sizeof(row.sealed));
		a->by_sql += add_row(a, &row);
	}
	sqlite3_finalize(q);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* By the bytes. A record (SQLite file format, section 2.1) is a serial type for each column, then
 * the columns: parent 6 (8 bytes) or 8 (the number 0), id 6, epoch 1 or 2 (bytes) or 9 (the number
 * 1), sealed 156 (as the two bytes below). Where a cell was freed the types of parent and id are
 * overwritten, so those are guessed. */
static const uint8_t sealed_type[2] = {0x81, 0x1c};

static uint64_t big_endian(const uint8_t *bytes, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

static bool plausible(const struct node_row *row)
{
	unsigned kind = (unsigned)(row->id >> 56), above = (unsigned)(row->parent >> 56);

	return kind >= NODE_KIND_L0 && kind <= NODE_KIND_LOOKUP && above <= NODE_KIND_LOOKUP;
}

/* at: right behind the types. */
static void read_record(struct adversary *a, const uint8_t *at, const uint8_t *end,
	size_t parent_bytes, size_t epoch_bytes)
{
	size_t bytes = parent_bytes + 8 + epoch_bytes + NODE_SEALED_BYTES;
	struct node_row row = {0};

	if ((size_t)(end - at) < bytes)
		return;
	row.parent = big_endian(at, parent_bytes);
	row.id = big_endian(at + parent_bytes, 8);
	row.epoch = epoch_bytes ? big_endian(at + parent_bytes + 8, epoch_bytes) : 1;
	memcpy(row.sealed, at + bytes - NODE_SEALED_BYTES, NODE_SEALED_BYTES);
	if (plausible(&row))
		a->by_bytes += add_row(a, &row);
}

static void scan_rows(struct adversary *a, const uint8_t *bytes, size_t len)
{
	const uint8_t *at = bytes, *end = bytes + len;

	while ((at = memmem(at, (size_t)(end - at), sealed_type, sizeof(sealed_type)))) {
		uint8_t epoch_type = at > bytes ? at[-1] : 0;
		at += sizeof(sealed_type);
		if (epoch_type != 1 && epoch_type != 2 && epoch_type != 9)
			continue;
		for (size_t parent_bytes = 0; parent_bytes <= 8; parent_bytes += 8)
			read_record(a, at, end, parent_bytes, epoch_type == 9 ? 0 : epoch_type);
	}
}

/* Closing a file of a database drops this process's locks on it, which no other process minds. */
static void take_file(struct adversary *a, const char *keeper_dir, const char *name)
{
	char from[128], to[128];
	struct stat st;
	size_t n = 0;

	snprintf(from, sizeof(from), "%s/%s", keeper_dir, name);
	snprintf(to, sizeof(to), "%s/%s", a->dir, name);
	_cleanup_close_ int fd = open(from, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* the log of a vault that is shut */
	assert_int_equal(fstat(fd, &st), 0);
	_cleanup_free_ uint8_t *bytes = malloc((size_t)st.st_size + 1);
	assert_non_null(bytes);
	assert_int_equal(pread_full(fd, bytes, (size_t)st.st_size, 0, &n), 0);
	_cleanup_close_ int copy = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(copy >= 0);
	assert_int_equal(write_all(copy, bytes, n), 0);
	a->bytes += n;
	scan_rows(a, bytes, n);
}

void adversary_look(struct adversary *adversary, const char *keeper_dir)
{
	remove_copy(adversary);
	take_file(adversary, keeper_dir, "keeper.db");
	take_file(adversary, keeper_dir, "keeper.db-wal");
	query_rows(adversary);
	adversary->looks++;
}

/* Keys. */

bool adversary_knows(const struct adversary *adversary, const uint8_t key[static NODE_KEY_BYTES])
{
	for (size_t i = 0; i < adversary->keys_count; i++) {
		if (memcmp(adversary->keys[i], key, NODE_KEY_BYTES) == 0)
			return true;
	}
	return false;
}

static void add_key(struct adversary *a, const uint8_t key[static NODE_KEY_BYTES])
{
	if (adversary_knows(a, key))
		return;
	if (a->keys_count == a->keys_room) {
		a->keys_room = a->keys_room ? 2 * a->keys_room : 256;
		a->keys = reallocarray(a->keys, a->keys_room, sizeof(*a->keys));
		assert_non_null(a->keys);
	}
	memcpy(a->keys[a->keys_count++], key, NODE_KEY_BYTES);
}

/* Rows that are open already cannot say anything new. */
static void try_key(struct adversary *a, const uint8_t key[static NODE_KEY_BYTES])
{
	uint8_t found[NODE_KEY_BYTES];

	for (size_t i = 0; i < a->rows_count; i++) {
		struct node_row *row = &a->rows[i].row;
		struct node_place where = {row->parent, row->id, row->epoch};
		if (a->rows[i].opened)
			continue;
		a->tries++;
		if (node_key_open(key, &where, row->sealed, found) < 0)
			continue;
		a->rows[i].opened = true;
		add_key(a, found);
	}
}

void adversary_learn(struct adversary *adversary, const uint8_t key[static NODE_KEY_BYTES])
{
	uint8_t next[NODE_KEY_BYTES];
	size_t i = adversary->keys_count;

	for (add_key(adversary, key); i < adversary->keys_count; i++) {
		memcpy(next, adversary->keys[i], sizeof(next)); /* keys may move */
		try_key(adversary, next);
	}
}
