#include "tests/unit/keeper/adversary.h"

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
	for (size_t i = 0; i < adversary->boxes_count; i++)
		free(adversary->boxes[i].sealed);
	free(adversary->boxes);
	free(adversary->table);
	free(adversary->keys);
}

/* Boxes. */

static bool same(const struct adversary_box *a, const struct adversary_box *b)
{
	return memcmp(&a->place, &b->place, sizeof(a->place)) == 0 && a->len == b->len &&
	       memcmp(a->sealed, b->sealed, a->len) == 0;
}

/* The nonce is random, so it does for a hash. */
static uint32_t *slot_of(struct adversary *a, const struct adversary_box *box)
{
	size_t i;

	memcpy(&i, box->sealed, sizeof(i));
	i &= a->slots - 1;
	while (a->table[i] && !same(&a->boxes[a->table[i] - 1], box))
		i = (i + 1) & (a->slots - 1);
	return &a->table[i];
}

static void grow(struct adversary *a)
{
	a->slots = a->slots ? 2 * a->slots : TABLE_START;
	a->boxes_room = a->slots / 2;
	free(a->table);
	a->table = calloc(a->slots, sizeof(*a->table));
	a->boxes = reallocarray(a->boxes, a->boxes_room, sizeof(*a->boxes));
	assert_true(a->table && a->boxes);
	for (size_t i = 0; i < a->boxes_count; i++)
		*slot_of(a, &a->boxes[i]) = (uint32_t)i + 1;
}

bool adversary_take(struct adversary *adversary, struct node_position place, const uint8_t *sealed,
		size_t len)
{
	struct adversary_box box = {.place = place, .len = len, .sealed = malloc(len)};

	assert_non_null(box.sealed);
	memcpy(box.sealed, sealed, len);
	if (adversary->boxes_count == adversary->boxes_room)
		grow(adversary);
	uint32_t *at = slot_of(adversary, &box);
	if (*at) {
		free(box.sealed);
		return false;
	}
	adversary->boxes[adversary->boxes_count++] = box;
	adversary->packs += len != SEALED_KEY_BYTES;
	*at = (uint32_t)adversary->boxes_count;
	return true;
}

/* By SQL, from a copy: opening it replays the log. */
static void query(struct adversary *a)
{
	char path[128];
	sqlite3_stmt *q;
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/keeper.db", a->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					 "SELECT parent, id, epoch, sealed FROM node UNION ALL "
					 "SELECT parent, first, epoch, sealed FROM node_pack",
					 -1, &q, NULL),
			SQLITE_OK);
	while (sqlite3_step(q) == SQLITE_ROW) {
		struct node_position place = {.parent = (uint64_t)sqlite3_column_int64(q, 0),
				.id = (uint64_t)sqlite3_column_int64(q, 1),
				.epoch = (uint64_t)sqlite3_column_int64(q, 2)};
		size_t len = (size_t)sqlite3_column_bytes(q, 3);
		assert_in_range(len, SEALED_KEY_BYTES, NODE_PACK_BYTES_MAX);
		a->by_sql += adversary_take(a, place, sqlite3_column_blob(q, 3), len);
	}
	sqlite3_finalize(q);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Closing a file of a database drops this process's locks on it, which no other process minds. */
static struct adversary_file copy_file(
		struct adversary *a, const char *keeper_dir, const char *name)
{
	struct adversary_file file = {0};
	char from[128], to[128];
	struct stat st;

	snprintf(from, sizeof(from), "%s/%s", keeper_dir, name);
	snprintf(to, sizeof(to), "%s/%s", a->dir, name);
	_cleanup_close_ int fd = open(from, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return file; /* the log of a vault that is shut */
	assert_int_equal(fstat(fd, &st), 0);
	file.bytes = malloc((size_t)st.st_size + 1);
	assert_non_null(file.bytes);
	assert_int_equal(io_pread_full(fd, file.bytes, (size_t)st.st_size, 0, &file.len), 0);
	_cleanup_close_ int copy = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(copy >= 0);
	assert_int_equal(io_write_all(copy, file.bytes, file.len), 0);
	a->bytes += file.len;
	return file;
}

void adversary_look(struct adversary *adversary, const char *keeper_dir)
{
	remove_copy(adversary);
	struct adversary_file database = copy_file(adversary, keeper_dir, "keeper.db");
	struct adversary_file log = copy_file(adversary, keeper_dir, "keeper.db-wal");
	adversary_scan(adversary, &database, &log);
	free(database.bytes);
	free(log.bytes);
	query(adversary);
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

/* Adds the keys in the box; whether it opens. */
static bool try_box(struct adversary *a, const uint8_t key[static NODE_KEY_BYTES],
		const struct adversary_box *box)
{
	uint8_t found[NODE_PACK_BYTES_MAX];

	if (box->len == SEALED_KEY_BYTES) {
		if (key_seal_open_node(key, &box->place, box->sealed, found) < 0)
			return false;
		add_key(a, found);
		return true;
	}
	if (key_seal_open_pack(key, &box->place, box->sealed, box->len, found) < 0)
		return false;
	for (size_t at = 0; at < box->len - SEAL_OVERHEAD_BYTES; at += NODE_ENTRY_BYTES)
		add_key(a, found + at + 8);
	return true;
}

/* Boxes that are open already cannot say anything new. */
static void try_key(struct adversary *a, const uint8_t key[static NODE_KEY_BYTES])
{
	for (size_t i = 0; i < a->boxes_count; i++) {
		struct adversary_box *box = &a->boxes[i];
		if (box->opened)
			continue;
		a->tries++;
		box->opened = try_box(a, key, box);
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
