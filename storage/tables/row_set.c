/* The sums over all rows of each table, and the row they are stored in. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/row_mac_internal.h"

/* Stored: nonce || XChaCha20-Poly1305 of { the vault's epoch, lost, then of each table sum, count
 * and last id }. The epoch: sums of an earlier one, with the rows of then, are not those of this
 * vault any more. */
#define TABLE_BYTES (ROW_SUM_BYTES + 16)
#define PLAIN_BYTES (16 + ROW_TABLES * TABLE_BYTES)
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define BOX_BYTES   (NONCE_BYTES + PLAIN_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES)

void row_set_add(struct row_sum *sum, const uint8_t element[static ROW_SUM_BYTES])
{
	unsigned __int128 carry = 0;

	for (size_t i = 0; i < ELEMENTSOF(sum->limb); i++) {
		carry += (unsigned __int128)sum->limb[i] + get_le64(element + 8 * i);
		sum->limb[i] = (uint64_t)carry;
		carry >>= 64;
	}
	sum->count++;
}

void row_set_take(struct row_sum *sum, const uint8_t element[static ROW_SUM_BYTES])
{
	uint64_t borrow = 0;

	for (size_t i = 0; i < ELEMENTSOF(sum->limb); i++) {
		unsigned __int128 less = (unsigned __int128)get_le64(element + 8 * i) + borrow;
		borrow = sum->limb[i] < less;
		sum->limb[i] = (uint64_t)(sum->limb[i] - less);
	}
	sum->count--;
}

bool row_set_equal(const struct row_sum *a, const struct row_sum *b)
{
	return a->count == b->count && sodium_memcmp(a->limb, b->limb, sizeof(a->limb)) == 0;
}

void row_set_committed(void *state)
{
	struct row_mac *mac = state;

	mac->now.dirty = false;
	mac->committed = mac->now;
}

void row_set_rolled_back(void *state)
{
	struct row_mac *mac = state;

	mac->now = mac->committed;
}

void row_set_save(void *state)
{
	struct row_mac *mac = state;

	mac->saved = mac->now;
}

void row_set_restore(void *state)
{
	struct row_mac *mac = state;

	mac->now = mac->saved;
}

/* Of a statement that failed half-way, some rows may be in the sums already. */
void row_set_stepped(void *state, bool done)
{
	struct row_mac *mac = state;

	if (!done && mac->changes != mac->settled)
		mac->now.broken = true;
	mac->settled = mac->changes;
}

static void sums_encode(
		const struct row_mac *mac, uint64_t epoch, uint8_t plain[static PLAIN_BYTES])
{
	put_le64(plain, epoch);
	put_le64(plain + 8, mac->lost);
	for (size_t i = 0; i < ROW_TABLES; i++) {
		uint8_t *at = plain + 16 + i * TABLE_BYTES;
		for (size_t j = 0; j < ROW_SUM_BYTES / 8; j++)
			put_le64(at + 8 * j, mac->now.of[i].limb[j]);
		put_le64(at + ROW_SUM_BYTES, (uint64_t)mac->now.of[i].count);
		put_le64(at + ROW_SUM_BYTES + 8, (uint64_t)mac->now.last[i]);
	}
}

static void sums_decode(struct row_mac *mac, const uint8_t plain[static PLAIN_BYTES])
{
	mac->lost = get_le64(plain + 8) != 0;
	for (size_t i = 0; i < ROW_TABLES; i++) {
		const uint8_t *at = plain + 16 + i * TABLE_BYTES;
		for (size_t j = 0; j < ROW_SUM_BYTES / 8; j++)
			mac->now.of[i].limb[j] = get_le64(at + 8 * j);
		mac->now.of[i].count = (int64_t)get_le64(at + ROW_SUM_BYTES);
		mac->now.last[i] = (int64_t)get_le64(at + ROW_SUM_BYTES + 8);
	}
}

/* As the row of the vault says: 0 while there is none. Opening compares that with the root. */
static int epoch_now(struct db *db, uint64_t *ret_epoch)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT epoch FROM vault", "");

	if (r == 0)
		r = db_next(db, q);
	if (r < 0)
		return r;
	*ret_epoch = r > 0 ? (uint64_t)sqlite3_column_int64(q, 0) : 0;
	return 0;
}

int row_set_store(struct db *db)
{
	struct row_mac *mac = row_mac_of(db);
	uint8_t box[BOX_BYTES], plain[PLAIN_BYTES];
	uint64_t epoch = 0;

	if (mac->now.broken)
		return -EIO;
	if (!mac->on || !mac->now.dirty)
		return 0;
	int r = epoch_now(db, &epoch);
	if (r < 0)
		return r;
	sums_encode(mac, epoch, plain);
	randombytes_buf(box, NONCE_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(box + NONCE_BYTES, NULL, plain, sizeof(plain),
			NULL, 0, NULL, box, mac->box_key);
	sodium_memzero(plain, sizeof(plain));
	return db_run(db,
			"INSERT INTO row_set(id, box) VALUES (1, ?1)"
			" ON CONFLICT (id) DO UPDATE SET box = ?1",
			"b", box, sizeof(box));
}

static int box_read(struct db *db, uint8_t box[static BOX_BYTES])
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT box FROM row_set", "");

	if (r == 0)
		r = db_next(db, q);
	return r <= 0 ? r : db_column_exact(q, 0, box, BOX_BYTES) == 0;
}

/* An id that was given once is not given again, whatever the database says. */
static int last_ids_mend(struct db *db)
{
	struct row_mac *mac = row_mac_of(db);
	int r = 0;

	for (size_t i = 0; i < ROW_TABLES && r == 0; i++) {
		if (!mac->layout[i].counted)
			continue;
		r = db_run(db,
				"DELETE FROM sqlite_sequence WHERE name = ?1"
				" AND (?2 = 0 OR seq IS NOT ?2)",
				"ti", row_tables[i].name, mac->now.last[i]);
		if (r == 0 && mac->now.last[i] > 0)
			r = db_run(db,
					"INSERT INTO sqlite_sequence(name, seq) SELECT ?1, ?2"
					" WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence"
					" WHERE name = ?1)",
					"ti", row_tables[i].name, mac->now.last[i]);
	}
	return r;
}

int row_set_load(struct db *db)
{
	struct row_mac *mac = row_mac_of(db);
	uint8_t box[BOX_BYTES], plain[PLAIN_BYTES];
	uint64_t epoch = 0;
	int found = box_read(db, box);
	int r = found < 0 ? found : epoch_now(db, &epoch);

	if (r < 0)
		return r;
	if (found == 0 ||
			crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL,
					box + NONCE_BYTES, sizeof(box) - NONCE_BYTES, NULL, 0, box,
					mac->box_key) != 0 ||
			get_le64(plain) != epoch)
		mac->lost = true;
	else
		sums_decode(mac, plain);
	sodium_memzero(plain, sizeof(plain));
	mac->committed = mac->now;
	if (mac->lost) {
		row_mac_note_finding(mac, "row_set", "");
		return 0;
	}
	return last_ids_mend(db);
}
