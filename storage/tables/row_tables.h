/* Which tables' rows are authenticated (row_mac.h). A new column needs nothing; a new table needs a
 * column "mac BLOB" and a line here, or, when something else authenticates it, among the others.
 * The order is that of the stored sums: a change to it is a change of DB_FORMAT. */
#pragma once

#include <stdbool.h>

struct row_table {
	const char *name;
	bool few; /* rows: looked through at every start */
};

static const struct row_table row_tables[] = {
		{"vault", true},
		{"clock", true},
		{"staged_parent", true},
		{"account", false},
		{"account_count", true},
		{"expiry_group", false},
		{"recording", false},
		{"source", false},
		{"tally", false},
		{"erasure", true},
		{"burial", true},
		{"removal", false},
		{"mirror", true},
		{"mirror_note", true},
		{"former_place", true},
		{"audit", false},
		{"audit_end", true},
		{"spool", true},
};

/* Sealed under keys of the tree itself, or the sums. */
static const char *const row_tables_others[] = {"node", "node_pack", "row_set"};
