/* Whether the schema in a file is the built-in one, to the letter: every table, index, trigger and
 * view of it, and nothing else. A trigger or a view of somebody else's would act and answer for the
 * keeper. */
#include <string.h>

#include "base/error.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/row_mac_internal.h"

#define LIST                                                                                       \
	"SELECT type, name, tbl_name, coalesce(sql, '') FROM main.sqlite_schema"                   \
	" ORDER BY type, name, tbl_name, sql"

static int schema_build(const char *const *sql, size_t n, sqlite3 **ret_handle)
{
	sqlite3 *handle = NULL;
	int result = sqlite3_open_v2(":memory:", &handle,
			SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

	for (size_t i = 0; i < n && result == SQLITE_OK; i++)
		result = sqlite3_exec(handle, sql[i], NULL, NULL, NULL);
	if (result != SQLITE_OK) {
		sqlite3_close(handle);
		return db_error(result);
	}
	*ret_handle = handle;
	return 0;
}

static bool entries_equal(sqlite3_stmt *a, sqlite3_stmt *b)
{
	for (int i = 0; i < 4; i++) {
		const char *x = (const char *)sqlite3_column_text(a, i);
		const char *y = (const char *)sqlite3_column_text(b, i);
		if (!x || !y || strcmp(x, y) != 0)
			return false;
	}
	return true;
}

static int schemas_compare(sqlite3 *built_in, sqlite3 *handle)
{
	sqlite3_stmt *a = NULL, *b = NULL;
	int x = SQLITE_ROW, y = SQLITE_ROW;
	int r = db_error(sqlite3_prepare_v2(built_in, LIST, -1, &a, NULL));

	if (r == 0)
		r = db_error(sqlite3_prepare_v2(handle, LIST, -1, &b, NULL));
	while (r == 0 && x == SQLITE_ROW) {
		x = sqlite3_step(a);
		y = sqlite3_step(b);
		if (y != SQLITE_ROW && y != SQLITE_DONE)
			r = db_error(y);
		else if (x != y || (x == SQLITE_ROW && !entries_equal(a, b)))
			r = -RE_ALTERED;
	}
	sqlite3_finalize(a);
	sqlite3_finalize(b);
	return r;
}

int schema_check(sqlite3 *handle, const char *const *sql, size_t n)
{
	sqlite3 *built_in = NULL;
	int r = schema_build(sql, n, &built_in);

	if (r < 0)
		return r;
	r = schemas_compare(built_in, handle);
	sqlite3_close(built_in);
	return r;
}
