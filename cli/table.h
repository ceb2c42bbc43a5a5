/* Aligned tables for people: a line of titles, then rows, in UTF-8 columns.
 *
 * Rows are kept until table_flush(), which aligns them; a long list is flushed page by page, and
 * columns only ever grow wider, so that memory is one page. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table_column {
	const char *title;
	bool right; /* numbers */
};

struct table;

/* The columns are borrowed. NULL when out of memory. */
struct table *table_new(const struct table_column *columns, size_t n_columns);
struct table *table_free(struct table *table);

/* Copies one cell a column, made safe for a terminal; NULL is shown as "-". -ENOMEM. */
int table_row(struct table *table, const char *const cells[]);

/* Prints the titles before the first row ever, and the rows since the last flush. */
void table_flush(struct table *table, FILE *f);
