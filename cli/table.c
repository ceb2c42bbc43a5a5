#include "cli/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/output.h"

#define GAP_COLUMNS 2

struct table {
	const struct table_column *columns;
	size_t n_columns;
	size_t *widths;
	char **cells; /* row after row */
	size_t n_cells, room_cells;
	bool titled;
};

struct table *table_new(const struct table_column *columns, size_t n_columns)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->widths = calloc(n_columns, sizeof(*table->widths));
	if (!table->widths)
		return table_free(table);
	table->columns = columns;
	table->n_columns = n_columns;
	for (size_t i = 0; i < n_columns; i++)
		table->widths[i] = text_columns(columns[i].title);
	return table;
}

static void drop_rows(struct table *table)
{
	while (table->n_cells > 0)
		free(table->cells[--table->n_cells]);
}

struct table *table_free(struct table *table)
{
	if (!table)
		return NULL;
	drop_rows(table);
	free(table->cells);
	free(table->widths);
	free(table);
	return NULL;
}

static int grow_cells(struct table *table)
{
	size_t room = table->room_cells ? 2 * table->room_cells : 64 * table->n_columns;

	if (table->n_cells + table->n_columns <= table->room_cells)
		return 0;
	char **cells = reallocarray(table->cells, room, sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	table->cells = cells;
	table->room_cells = room;
	return 0;
}

int table_row(struct table *table, const char *const cells[])
{
	size_t before = table->n_cells;
	int r = grow_cells(table);

	for (size_t i = 0; r == 0 && i < table->n_columns; i++) {
		char *cell = output_safe(cells[i] ? cells[i] : "-");
		if (!cell) {
			r = -ENOMEM;
			break;
		}
		table->cells[table->n_cells++] = cell;
		size_t width = text_columns(cell);
		if (width > table->widths[i])
			table->widths[i] = width;
	}
	while (r < 0 && table->n_cells > before)
		free(table->cells[--table->n_cells]);
	return r;
}

static void print_cells(const struct table *table, const char *const *cells, FILE *f)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		size_t padding = table->widths[i] - text_columns(cells[i]);
		bool last = i + 1 == table->n_columns;
		/* The last cell is not padded: no spaces at the end of a line. */
		fprintf(f, "%*s%s%*s", table->columns[i].right ? (int)padding : 0, "", cells[i],
				last ? 0
				     : (table->columns[i].right ? 0 : (int)padding) + GAP_COLUMNS,
				"");
	}
	fputc('\n', f);
}

static void print_titles(struct table *table, FILE *f)
{
	_cleanup_free_ const char **titles = calloc(table->n_columns, sizeof(*titles));

	table->titled = true;
	if (!titles)
		return;
	for (size_t i = 0; i < table->n_columns; i++)
		titles[i] = table->columns[i].title;
	print_cells(table, titles, f);
}

void table_flush(struct table *table, FILE *f)
{
	if (table->n_cells > 0 && !table->titled)
		print_titles(table, f);
	for (size_t i = 0; i < table->n_cells; i += table->n_columns)
		print_cells(table, (const char *const *)table->cells + i, f);
	drop_rows(table);
}
