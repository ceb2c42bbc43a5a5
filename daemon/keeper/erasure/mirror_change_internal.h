/* What the files of mirror_change.h share. */
#pragma once

#include "daemon/keeper/erasure/mirror_change.h"

enum mirror_change { MIRROR_CHANGE_ADD, MIRROR_CHANGE_PUT, MIRROR_CHANGE_REMOVE };

/* A change of the table, with its audit record, in the caller's transaction. */
int mirror_change_write(struct root *root, struct mirror_row *row, enum mirror_change change,
		const struct mirror_order *order, const char *action);

/* The same in a transaction of its own, durable on return, and in the journal. */
int mirror_change_record(struct root *root, struct mirror_row *row, enum mirror_change change,
		const struct mirror_order *order, const char *action);
/* And where owed, an epoch has to follow (mirror_table_set_changed()). */
int mirror_change_record_owed(struct root *root, struct mirror_row *row, enum mirror_change change,
		const struct mirror_order *order, const char *action, bool owed);

/* 0 when the member has been away for AwayLimit=, else -RE_REFUSED. */
int mirror_change_check_limit(
		const struct root *root, const struct root_member *member, struct reason *reason);

/* Writes the present root into a fresh medium. */
int mirror_change_put_root(struct root *root, struct root_provider *provider);

/* mirror_change_replace() of the main copy. */
int mirror_change_replace_main(
		struct eraser *eraser, const struct mirror_order *order, struct reason *reason);
