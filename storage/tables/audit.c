#include "storage/tables/audit.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "storage/tables/db_internal.h"

static void hash_text(crypto_hash_sha256_state *state, const char *text)
{
	uint8_t len[8];

	/* Absent and empty differ: the length of an absent field is all ones. */
	put_le64(len, text ? strlen(text) : UINT64_MAX);
	crypto_hash_sha256_update(state, len, sizeof(len));
	if (text)
		crypto_hash_sha256_update(state, (const uint8_t *)text, strlen(text));
}

static void hash_record(const uint8_t previous[static AUDIT_HASH_BYTES], int64_t seq,
		const struct audit_record *record, uint8_t ret_hash[static AUDIT_HASH_BYTES])
{
	crypto_hash_sha256_state state;
	uint8_t numbers[32];

	put_le64(numbers, (uint64_t)seq);
	put_le64(numbers + 8, (uint64_t)record->at_us);
	put_le64(numbers + 16, record->uid);
	put_le64(numbers + 24, record->epoch);
	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, previous, AUDIT_HASH_BYTES);
	crypto_hash_sha256_update(&state, numbers, sizeof(numbers));
	hash_text(&state, record->action);
	hash_text(&state, record->subject);
	hash_text(&state, record->reason);
	crypto_hash_sha256_final(&state, ret_hash);
}

static int hash_genesis(struct db *db, uint8_t ret_hash[static AUDIT_HASH_BYTES])
{
	struct vault_row vault;
	int r = db_vault_get(db, &vault);

	if (r < 0)
		return r;
	memset(ret_hash, 0, AUDIT_HASH_BYTES);
	memcpy(ret_hash, vault.vault_id, sizeof(vault.vault_id));
	return 0;
}

static int read_chain_end(
		struct db *db, int64_t *ret_seq, uint8_t ret_hash[static AUDIT_HASH_BYTES])
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT seq, hash, genuine FROM audit_end_read", "");

	if (r == 0)
		r = db_next(db, q);
	if (r < 0)
		return r;
	if (r > 0 && !sqlite3_column_int(q, 2))
		return -RE_ALTERED;
	*ret_seq = r > 0 ? sqlite3_column_int64(q, 0) : 0;
	return r > 0 ? db_column_exact(q, 1, ret_hash, AUDIT_HASH_BYTES)
		     : hash_genesis(db, ret_hash);
}

int audit_head(struct db *db, uint8_t ret_hash[static AUDIT_HASH_BYTES])
{
	int64_t seq;

	return read_chain_end(db, &seq, ret_hash);
}

int audit_append(struct db *db, const struct audit_record *record)
{
	uint8_t hash[AUDIT_HASH_BYTES];
	int64_t seq;
	int r = read_chain_end(db, &seq, hash);

	if (r < 0)
		return r;
	hash_record(hash, ++seq, record, hash);
	r = db_run(db,
			"INSERT INTO audit(seq, at_us, uid, action, subject, reason, epoch, hash)"
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			"iiitttib", seq, record->at_us, (int64_t)record->uid, record->action,
			record->subject, record->reason, (int64_t)record->epoch, hash,
			sizeof(hash));
	if (r < 0)
		return r;
	return db_run(db,
			"INSERT INTO audit_end(id, seq, hash) VALUES (1, ?1, ?2)"
			" ON CONFLICT (id) DO UPDATE SET seq = ?1, hash = ?2",
			"ib", seq, hash, sizeof(hash));
}

/* Whether the columns are such as audit_append() writes: SQLite stores a value of any type in any
 * column, and conversions would hide an edit. */
static bool row_is_plain(sqlite3_stmt *q)
{
	static const int numbers[] = {0, 1, 2, 6}, texts[] = {3, 4, 5};

	for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
		if (sqlite3_column_type(q, numbers[i]) != SQLITE_INTEGER)
			return false;
	}
	for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
		int type = sqlite3_column_type(q, texts[i]);
		if (type == SQLITE_NULL)
			continue;
		const char *text = (const char *)sqlite3_column_text(q, texts[i]);
		if (type != SQLITE_TEXT || !text ||
				strlen(text) != (size_t)sqlite3_column_bytes(q, texts[i]))
			return false;
	}
	return sqlite3_column_int64(q, 2) <= UINT32_MAX;
}

/* 1 when the row continues the chain from hash, which becomes its own; 0 when not. */
static int row_continues(sqlite3_stmt *q, int64_t seq, uint8_t hash[static AUDIT_HASH_BYTES])
{
	if (!row_is_plain(q))
		return 0;
	struct audit_record record = {
			.at_us = sqlite3_column_int64(q, 1),
			.uid = (uid_t)sqlite3_column_int64(q, 2),
			.action = (const char *)sqlite3_column_text(q, 3),
			.subject = (const char *)sqlite3_column_text(q, 4),
			.reason = (const char *)sqlite3_column_text(q, 5),
			.epoch = (uint64_t)sqlite3_column_int64(q, 6),
	};
	uint8_t stored[AUDIT_HASH_BYTES];

	if (sqlite3_column_int64(q, 0) != seq || db_column_exact(q, 7, stored, sizeof(stored)) < 0)
		return 0;
	hash_record(hash, seq, &record, hash);
	return sodium_memcmp(hash, stored, sizeof(stored)) == 0;
}

/* The chain must end where the last append left it: else its end was cut off or added to. */
static int check_end(struct db *db, int64_t seq, const uint8_t hash[static AUDIT_HASH_BYTES],
		int64_t *ret_bad)
{
	uint8_t end[AUDIT_HASH_BYTES];
	int64_t end_seq;
	int r = read_chain_end(db, &end_seq, end);

	if (r < 0 && r != -RE_CORRUPT && r != -RE_ALTERED)
		return r;
	if (r == 0 && seq == end_seq && sodium_memcmp(hash, end, sizeof(end)) == 0)
		return 0;
	*ret_bad = (r < 0 || seq < end_seq ? seq : end_seq) + 1;
	return -RE_CORRUPT;
}

int audit_verify(struct db *db, int64_t *ret_records, int64_t *ret_bad)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	uint8_t hash[AUDIT_HASH_BYTES];
	int64_t seq = 0;
	int r = hash_genesis(db, hash);

	if (r == 0)
		r = db_start(db, &q,
				"SELECT seq, at_us, uid, action, subject, reason, epoch, hash"
				" FROM audit ORDER BY seq",
				"");
	while (r == 0 && (r = db_next(db, q)) > 0) {
		if (!row_continues(q, ++seq, hash)) {
			*ret_bad = seq;
			return -RE_CORRUPT;
		}
		r = 0;
	}
	if (r == 0)
		r = check_end(db, seq, hash, ret_bad);
	if (r == 0)
		*ret_records = seq;
	return r;
}
