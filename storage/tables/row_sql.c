/* What SQL does about authenticated rows: functions that compute and compare macs, views that say
 * which rows are genuine, triggers that write macs. All of it is made from the tables' columns when
 * a database is opened, lives with the connection, and is not in the file. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ulid.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/row_mac_internal.h"

/* The hash of a row: its mac, and what it adds to its table's sum. */
#define ELEMENT_AT ROW_MAC_BYTES
#define HASH_BYTES (ROW_MAC_BYTES + ROW_SUM_BYTES)

/* A value is its type, its length or number, and its bytes. */
static void hash_value(crypto_generichash_state *state, sqlite3_value *value)
{
	uint8_t head[9] = {(uint8_t)sqlite3_value_type(value)};
	const void *bytes = NULL;
	uint64_t bits, len = 0;
	double real = 0;

	switch (head[0]) {
	case SQLITE_INTEGER:
		put_le64(head + 1, (uint64_t)sqlite3_value_int64(value));
		break;
	case SQLITE_FLOAT:
		real = sqlite3_value_double(value);
		memcpy(&bits, &real, sizeof(bits));
		put_le64(head + 1, bits);
		break;
	case SQLITE_NULL:
		break;
	default:
		bytes = sqlite3_value_blob(value);
		len = (uint64_t)sqlite3_value_bytes(value);
		put_le64(head + 1, len);
		break;
	}
	crypto_generichash_update(state, head, sizeof(head));
	if (len > 0)
		crypto_generichash_update(state, bytes, len);
}

static void hash_row(const struct row_mac *mac, size_t table, sqlite3_value **columns,
		uint8_t ret_hash[static HASH_BYTES])
{
	crypto_generichash_state state;
	const char *name = row_tables[table].name;

	crypto_generichash_init(&state, mac->row_key, sizeof(mac->row_key), HASH_BYTES);
	crypto_generichash_update(&state, (const uint8_t *)name, strlen(name) + 1);
	for (int i = 0; i < mac->layout[table].columns; i++)
		hash_value(&state, columns[i]);
	crypto_generichash_final(&state, ret_hash, HASH_BYTES);
	sodium_memzero(&state, sizeof(state));
}

static void describe_value(FILE *out, sqlite3_value *value)
{
	char ulid[ULID_TEXT_CHARS + 1];

	if (sqlite3_value_type(value) == SQLITE_BLOB && sqlite3_value_bytes(value) == ULID_BYTES) {
		ulid_format(sqlite3_value_blob(value), ulid);
		fputs(ulid, out);
	} else if (sqlite3_value_type(value) == SQLITE_BLOB) {
		const uint8_t *bytes = sqlite3_value_blob(value);
		for (int i = 0; i < sqlite3_value_bytes(value) && i < 8; i++)
			fprintf(out, "%02x", bytes[i]);
	} else {
		/* A number, or what somebody put in its place. */
		fprintf(out, "%lld", (long long)sqlite3_value_int64(value));
	}
}

static void note_altered(struct row_mac *mac, size_t table, sqlite3_value **columns)
{
	const struct row_layout *layout = &mac->layout[table];
	char text[sizeof(mac->finding[0].row)] = "";
	FILE *out = fmemopen(text, sizeof(text) - 1, "w");

	for (int i = 0; out && i < layout->keys; i++) {
		if (i > 0)
			fputc('.', out);
		describe_value(out, columns[layout->key[i]]);
	}
	if (out && layout->label >= 0) {
		fputs(" (", out);
		describe_value(out, columns[layout->label]);
		fputc(')', out);
	}
	if (out)
		fclose(out);
	row_mac_note_finding(mac, row_tables[table].name, *text ? text : "?");
}

/* Hashes the row and compares with the mac it has. */
static bool row_check(const struct row_mac *mac, size_t table, sqlite3_value *found,
		sqlite3_value **columns, uint8_t ret_hash[static HASH_BYTES])
{
	hash_row(mac, table, columns, ret_hash);
	return sqlite3_value_type(found) == SQLITE_BLOB &&
	       sqlite3_value_bytes(found) == ROW_MAC_BYTES &&
	       sodium_memcmp(sqlite3_value_blob(found), ret_hash, ROW_MAC_BYTES) == 0;
}

static void sums_add(
		struct row_mac *mac, size_t table, sqlite3_value **columns, const uint8_t *hash)
{
	const struct row_layout *layout = &mac->layout[table];
	int64_t id = sqlite3_value_int64(columns[layout->key[0]]);

	row_set_add(&mac->now.of[table], hash + ELEMENT_AT);
	if (row_sweep_passed(mac, table, columns))
		row_set_add(&mac->now.swept, hash + ELEMENT_AT);
	if (layout->counted && id > mac->now.last[table])
		mac->now.last[table] = id;
	mac->now.dirty = true;
	mac->changes++;
}

static void sums_take(
		struct row_mac *mac, size_t table, sqlite3_value **columns, const uint8_t *hash)
{
	row_set_take(&mac->now.of[table], hash + ELEMENT_AT);
	if (row_sweep_passed(mac, table, columns))
		row_set_take(&mac->now.swept, hash + ELEMENT_AT);
	mac->now.dirty = true;
	mac->changes++;
}

/* The functions. The first argument is the table's place in row_tables. Where there is a mac, it is
 * the second; then come the columns. */

static size_t function_table(sqlite3_value **arguments)
{
	return (size_t)sqlite3_value_int(arguments[0]);
}

/* row_genuine(table, mac, columns...) */
static void function_genuine(sqlite3_context *context, int n, sqlite3_value **arguments)
{
	struct row_mac *mac = sqlite3_user_data(context);
	size_t table = function_table(arguments);
	uint8_t hash[HASH_BYTES];

	bool genuine = !mac->on || row_check(mac, table, arguments[1], arguments + 2, hash);
	if (!genuine)
		note_altered(mac, table, arguments + 2);
	sqlite3_result_int(context, genuine);
}

/* row_passed(table, mac, columns...): the same, and counts the row in for the round. */
static void function_passed(sqlite3_context *context, int n, sqlite3_value **arguments)
{
	struct row_mac *mac = sqlite3_user_data(context);
	size_t table = function_table(arguments);
	uint8_t hash[HASH_BYTES];

	if (row_check(mac, table, arguments[1], arguments + 2, hash))
		row_set_add(&mac->now.swept, hash + ELEMENT_AT);
	else
		note_altered(mac, table, arguments + 2);
	sqlite3_result_int(context, 1);
}

/* row_added(table, columns...): the mac */
static void function_added(sqlite3_context *context, int n, sqlite3_value **arguments)
{
	struct row_mac *mac = sqlite3_user_data(context);
	size_t table = function_table(arguments);
	uint8_t hash[HASH_BYTES];

	hash_row(mac, table, arguments + 1, hash);
	sums_add(mac, table, arguments + 1, hash);
	sqlite3_result_blob(context, hash, ROW_MAC_BYTES, SQLITE_TRANSIENT);
}

/* row_changed(table, old mac, old columns..., new columns...): the new mac */
static void function_changed(sqlite3_context *context, int n, sqlite3_value **arguments)
{
	struct row_mac *mac = sqlite3_user_data(context);
	size_t table = function_table(arguments);
	sqlite3_value **before = arguments + 2, **after = before + mac->layout[table].columns;
	uint8_t hash[HASH_BYTES];

	if (!row_check(mac, table, arguments[1], before, hash)) {
		note_altered(mac, table, before);
		sqlite3_result_error(context, "the row was altered", -1);
		sqlite3_result_error_code(context, SQLITE_AUTH);
		return;
	}
	sums_take(mac, table, before, hash);
	hash_row(mac, table, after, hash);
	sums_add(mac, table, after, hash);
	sqlite3_result_blob(context, hash, ROW_MAC_BYTES, SQLITE_TRANSIENT);
}

/* row_removed(table, mac, columns...). An altered row may go; the sum keeps what it once was. */
static void function_removed(sqlite3_context *context, int n, sqlite3_value **arguments)
{
	struct row_mac *mac = sqlite3_user_data(context);
	size_t table = function_table(arguments);
	uint8_t hash[HASH_BYTES];

	if (row_check(mac, table, arguments[1], arguments + 2, hash))
		sums_take(mac, table, arguments + 2, hash);
	else
		note_altered(mac, table, arguments + 2);
	sqlite3_result_null(context);
}

static int functions_register(struct row_mac *mac, sqlite3 *handle)
{
	static const struct {
		const char *name;
		void (*function)(sqlite3_context *context, int n, sqlite3_value **arguments);
	} functions[] = {
			{"row_genuine", function_genuine},
			{"row_passed", function_passed},
			{"row_added", function_added},
			{"row_changed", function_changed},
			{"row_removed", function_removed},
	};
	int r = 0;

	for (size_t i = 0; i < ELEMENTSOF(functions) && r == 0; i++)
		r = db_error(sqlite3_create_function_v2(handle, functions[i].name, -1, SQLITE_UTF8,
				mac, functions[i].function, NULL, NULL, NULL));
	return r;
}

/* The tables' columns. */

static int layout_add_column(struct row_layout *layout, sqlite3_stmt *q)
{
	const char *name = (const char *)sqlite3_column_text(q, 0);
	int key = sqlite3_column_int(q, 1); /* from 1; 0: not of the primary key */

	if (!name || strcmp(name, "mac") == 0)
		return name ? 0 : -ENOMEM;
	if (layout->columns == ROW_COLUMNS_MAX || key > ROW_KEY_MAX ||
			strlen(name) >= sizeof(layout->column[0]))
		return -EOVERFLOW;
	strcpy(layout->column[layout->columns], name);
	if (key > 0) {
		layout->key[key - 1] = layout->columns;
		layout->keys++;
	} else if (strcmp(name, "ulid") == 0 || strcmp(name, "handle") == 0) {
		layout->label = layout->columns;
	}
	layout->columns++;
	return 0;
}

static int layout_read(sqlite3 *handle, const char *table, struct row_layout *ret_layout)
{
	sqlite3_stmt *q;
	struct row_layout layout = {.label = -1};
	int result, r = db_error(sqlite3_prepare_v2(handle,
				    "SELECT name, pk FROM pragma_table_info(?1)", -1, &q, NULL));

	if (r < 0)
		return r;
	sqlite3_bind_text(q, 1, table, -1, SQLITE_STATIC);
	while (r == 0 && (result = sqlite3_step(q)) == SQLITE_ROW)
		r = layout_add_column(&layout, q);
	sqlite3_finalize(q);
	if (r < 0)
		return r;
	/* Only such a table lets SQLite tell. */
	int counted = 0;
	sqlite3_table_column_metadata(handle, "main", table, layout.column[layout.key[0]], NULL,
			NULL, NULL, NULL, &counted);
	layout.counted = counted != 0;
	*ret_layout = layout;
	return layout.keys > 0 ? 0 : -RE_CORRUPT;
}

/* Text of statements. */

static void write_columns(FILE *out, const struct row_layout *layout, const char *of)
{
	for (int i = 0; i < layout->columns; i++)
		fprintf(out, ", %s%s", of, layout->column[i]);
}

static void write_this_row(FILE *out, const struct row_layout *layout)
{
	for (int i = 0; i < layout->keys; i++)
		fprintf(out, "%s%s = NEW.%s", i > 0 ? " AND " : " WHERE ",
				layout->column[layout->key[i]], layout->column[layout->key[i]]);
}

static void write_view(FILE *out, size_t table, const struct row_layout *layout)
{
	const char *name = row_tables[table].name;

	fprintf(out, "CREATE TEMP VIEW %s_read AS SELECT *, row_genuine(%zu, mac", name, table);
	write_columns(out, layout, "");
	fprintf(out, ") AS genuine FROM main.%s;", name);
}

static void write_triggers(FILE *out, size_t table, const struct row_layout *layout)
{
	const char *name = row_tables[table].name;

	fprintf(out,
			"CREATE TEMP TRIGGER %s_added AFTER INSERT ON main.%s BEGIN"
			" UPDATE %s SET mac = row_added(%zu",
			name, name, name, table);
	write_columns(out, layout, "NEW.");
	fputc(')', out);
	write_this_row(out, layout);
	fprintf(out, "; END; CREATE TEMP TRIGGER %s_changed AFTER UPDATE OF", name);
	for (int i = 0; i < layout->columns; i++)
		fprintf(out, "%s %s", i > 0 ? "," : "", layout->column[i]);
	fprintf(out, " ON main.%s BEGIN UPDATE %s SET mac = row_changed(%zu, OLD.mac", name, name,
			table);
	write_columns(out, layout, "OLD.");
	write_columns(out, layout, "NEW.");
	fputc(')', out);
	write_this_row(out, layout);
	fprintf(out,
			"; END; CREATE TEMP TRIGGER %s_removed AFTER DELETE ON main.%s BEGIN"
			" SELECT row_removed(%zu, OLD.mac",
			name, name, table);
	write_columns(out, layout, "OLD.");
	fputs("); END;", out);
}

/* Runs what is written for each table. */
static int run_for_tables(const struct row_mac *mac, sqlite3 *handle,
		void (*write)(FILE *out, size_t table, const struct row_layout *layout))
{
	_cleanup_free_ char *sql = NULL;
	size_t len;
	FILE *out = open_memstream(&sql, &len);

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < ROW_TABLES; i++)
		write(out, i, &mac->layout[i]);
	return fclose(out) == 0 ? db_error(sqlite3_exec(handle, sql, NULL, NULL, NULL)) : -ENOMEM;
}

int row_sql_open(struct row_mac *mac, sqlite3 *handle)
{
	int r = functions_register(mac, handle);

	for (size_t i = 0; i < ROW_TABLES && r == 0; i++)
		r = layout_read(handle, row_tables[i].name, &mac->layout[i]);
	return r < 0 ? r : run_for_tables(mac, handle, write_view);
}

int row_sql_start(const struct row_mac *mac, sqlite3 *handle)
{
	return run_for_tables(mac, handle, write_triggers);
}
