#include "tests/unit/keeper/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/vault/recordings.h"
#include "storage/tables/db_internal.h"

#define FILE_BYTES (3 * 4096)

static const char *const files[] = {"keeper/root.slots", "usb/root.slots", "own-away",
		"usb-away/root.slots", "spare/root.slots"};

void history_wrong(struct history *h, const char *what)
{
	if (!h->wrong)
		h->wrong = what;
}

/* Never a copy that is on no record. */
static void check_record(struct history *h, const struct root_record *record, const char *file)
{
	_cleanup_free_ struct mirror_row *rows = NULL;
	size_t n = 0, len = strcspn(file, "/-");
	bool known = strncmp(file, "keeper", len) == 0 || strncmp(file, "own", len) == 0;

	assert_int_equal(mirror_table_list(h->f.vault->db, &rows, &n), 0);
	for (size_t i = 0; i < n; i++)
		known |= strncmp(rows[i].name, file, len) == 0 && rows[i].state != MIRROR_EMPTY;
	if (!known && record->epoch > 0)
		history_wrong(h, "a copy of the root is on no record");
}

/* Roots are known from the media: every one lies in some slot after some step. */
static void look_at_file(struct history *h, const char *name)
{
	uint8_t bytes[FILE_BYTES];
	struct root_record record;
	char path[128];
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", h->f.dir, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || io_pread_full(fd, bytes, sizeof(bytes), 0, &n) < 0 || n < FILE_BYTES)
		return;
	for (unsigned slot = 0; slot < ROOT_SLOTS; slot++) {
		if (root_record_decode(bytes + (size_t)slot * 4096, &record) < 0)
			continue;
		assert_true(h->roots < ROOTS);
		struct seen_root *root = &h->root[h->roots++];
		root->epoch = record.epoch;
		check_record(h, &record, name);
		memcpy(root->key, record.key, sizeof(root->key));
	}
	for (size_t i = 0; i < h->roots; i++) {
		if (h->root[i].epoch < h->dead_epoch &&
				memmem(bytes, n, h->root[i].key, ROOT_KEY_BYTES))
			history_wrong(h, "a root that opens what was destroyed is on a medium");
	}
}

static void forget_doubles(struct history *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->roots; i++) {
		size_t j = 0;
		while (j < n && memcmp(h->root[j].key, h->root[i].key, ROOT_KEY_BYTES) != 0)
			j++;
		if (j == n)
			h->root[n++] = h->root[i];
	}
	h->roots = n;
}

static void check_tree(
		struct history *h, const struct known *known, const struct recording_row *row)
{
	struct vault *vault = h->f.vault;
	struct key_path now = key_path_recording(row->account, row->group, row->id);
	uint8_t key[NODE_KEY_BYTES];

	if (!known->doomed && (keytree_open(vault->root.tree, &now, key) < 0 ||
					      memcmp(key, known->key, sizeof(key)) != 0))
		history_wrong(h, "a living recording's key is lost");
	for (size_t i = 0; i < known->paths && known->dead; i++) {
		if (keytree_open(vault->root.tree, &known->path[i], key) != -ENOENT)
			history_wrong(h, "a destroyed recording's key is in the tree");
	}
}

static void check_recording(struct history *h, struct known *known)
{
	struct recording_opened opened;
	struct recording_row row;

	vault_fixture_row(&h->f, known->id, &row);
	bool dead = row.state == RECORDING_DESTROYED || row.state == RECORDING_EXPIRED;
	if (recording_is_live(row.state) == known->doomed)
		history_wrong(h, known->doomed ? "it was ordered to go, and lives"
					       : "it goes without an order");
	if (known->dead && !dead)
		history_wrong(h, "it was gone, and is not");
	if (dead && !known->dead && h->away)
		history_wrong(h, "it is said to be gone while a place of the root is away");
	known->dead = dead;
	if (dead && row.destroyed_epoch > h->dead_epoch)
		h->dead_epoch = row.destroyed_epoch;
	check_tree(h, known, &row);
	int r = recordings_open(&h->f.vault->ingest.recordings, &row, &opened);
	if (r != (known->doomed ? -RE_GONE : 0))
		history_wrong(h, "opening it says otherwise");
	if (r == 0) {
		close(opened.object_fd);
		close(opened.key_fd);
	}
	catalog_recording_clear(&row);
}

int64_t history_ask(struct history *h, const char *query)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;

	assert_int_equal(db_start(h->f.vault->db, &q, query, ""), 0);
	assert_int_equal(db_next(h->f.vault->db, q), 1);
	return sqlite3_column_int64(q, 0);
}

#define COUNTED                                                                                    \
	"(SELECT account, state, count(*) count, sum(plain_bytes) plain_bytes FROM recording_now"  \
	" GROUP BY account, state UNION ALL SELECT 0, state, count(*), sum(plain_bytes)"           \
	" FROM recording_now GROUP BY state)"

static void check_counts(struct history *h)
{
	if (history_ask(h, "SELECT count(*) FROM tally WHERE count < 0 OR plain_bytes < 0"))
		history_wrong(h, "a tally is negative");
	if (history_ask(h, "SELECT count(*) FROM tally t LEFT JOIN " COUNTED
			   " c USING (account, state) WHERE t.count <> ifnull(c.count, 0)"
			   " OR t.plain_bytes <> ifnull(c.plain_bytes, 0)") ||
			history_ask(h, "SELECT count(*) FROM " COUNTED
				       " c LEFT JOIN tally t USING (account, state) WHERE t.count IS NULL"))
		history_wrong(h, "a tally is not what there is");
	if (history_ask(h, "SELECT count(*) FROM expiry_group g WHERE NOT EXISTS (SELECT 1 FROM burial"
			   " WHERE kind = 1 AND id = g.account) AND g.members <>"
			   " (SELECT count(*) FROM recording_now WHERE grp = g.id AND destroyed_us = 0) +"
			   " (SELECT count(*) FROM former_place WHERE grp = g.id)"))
		history_wrong(h, "a group's members are not what there is");
}

void history_check(struct history *h)
{
	for (size_t i = 0; i < h->n && !h->wrong; i++)
		check_recording(h, &h->known[i]);
	for (size_t i = 0; i < ELEMENTSOF(files); i++)
		look_at_file(h, files[i]);
	forget_doubles(h);
	check_counts(h);
	if (root_is_stuck(&h->f.vault->root))
		history_wrong(h, "it is stuck");
}
