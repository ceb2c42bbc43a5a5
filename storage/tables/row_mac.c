/* Keys, findings, and the start. The SQL is in row_sql.c, the sums in row_set.c. */
#include "storage/tables/row_mac.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/secret.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/row_mac_internal.h"

static void mac_free(void *state)
{
	struct row_mac *mac = state;

	row_sweep_reset(mac);
	free(mac->layout);
	secret_free(mac);
}

size_t row_mac_table(const char *name)
{
	size_t i = 0;

	while (strcmp(row_tables[i].name, name) != 0)
		i++;
	return i;
}

int row_mac_attach(struct db *db)
{
	struct row_mac *mac = secret_new(sizeof(*mac));

	if (!mac)
		return -RE_MLOCK;
	const struct db_part part = {.state = mac,
			.before_commit = row_set_store,
			.committed = row_set_committed,
			.rolled_back = row_set_rolled_back,
			.saved = row_set_save,
			.restored = row_set_restore,
			.stepped = row_set_stepped,
			.free = mac_free};
	db_attach(db, &part);
	mac->layout = calloc(ROW_TABLES, sizeof(*mac->layout));
	return mac->layout ? row_sql_open(mac, db_handle(db)) : -ENOMEM;
}

struct row_mac *row_mac_of(const struct db *db)
{
	return db_attached(db);
}

void row_mac_note_finding(struct row_mac *mac, const char *table, const char *row)
{
	size_t n = mac->findings < ROW_FINDINGS_MAX ? mac->findings : ROW_FINDINGS_MAX;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(mac->finding[i].table, table) == 0 &&
				strcmp(mac->finding[i].row, row) == 0)
			return;
	}
	mac->findings++;
	if (n == ROW_FINDINGS_MAX)
		return;
	snprintf(mac->finding[n].table, sizeof(mac->finding[n].table), "%s", table);
	snprintf(mac->finding[n].row, sizeof(mac->finding[n].row), "%s", row);
}

void row_mac_forget_findings(struct row_mac *mac, const char *table)
{
	size_t kept = 0;

	for (size_t i = 0; i < mac->findings && i < ROW_FINDINGS_MAX; i++) {
		if (strcmp(mac->finding[i].table, table) != 0)
			mac->finding[kept++] = mac->finding[i];
	}
	mac->findings = kept;
}

size_t row_mac_findings(
		const struct db *db, const struct row_finding **ret_findings, size_t *ret_count)
{
	const struct row_mac *mac = row_mac_of(db);

	*ret_findings = mac->finding;
	*ret_count = mac->findings;
	return mac->findings < ROW_FINDINGS_MAX ? mac->findings : ROW_FINDINGS_MAX;
}

void row_mac_describe(const struct row_finding *finding, char *ret_text, size_t len)
{
	if (*finding->row)
		snprintf(ret_text, len, "%s %s in keeper.db was altered outside the keeper",
				finding->table, finding->row);
	else
		snprintf(ret_text, len,
				"rows of the table %s in keeper.db were deleted or put back "
				"outside the keeper",
				finding->table);
}

static void derive_key(
		const uint8_t *key, const char *use, uint8_t ret_key[static ROW_MAC_KEY_BYTES])
{
	crypto_generichash(ret_key, ROW_MAC_KEY_BYTES, (const uint8_t *)use, strlen(use), key,
			ROW_MAC_KEY_BYTES);
}

int row_mac_start(struct db *db, const uint8_t key[static ROW_MAC_KEY_BYTES], bool created)
{
	struct row_mac *mac = row_mac_of(db);

	derive_key(key, "recseal row", mac->row_key);
	derive_key(key, "recseal row set", mac->box_key);
	int r = created ? 0 : row_set_load(db);
	if (r == 0)
		r = row_sql_start(mac, db_handle(db));
	if (r < 0)
		return r;
	mac->on = true;
	for (size_t i = 0; i < ROW_TABLES && r == 0; i++)
		r = row_tables[i].few ? row_sweep_table(db, i) : 0;
	return r;
}
