#include "daemon/keeper/vault/catalog_watch.h"

#include <syslog.h>

#include "storage/tables/catalog.h"
#include "storage/tables/row_mac.h"

#define SENTENCE_BYTES 256

static void watch_tell(struct catalog_watch *watch, const struct db *db, struct notices *notices)
{
	const struct row_finding *findings;
	char sentence[SENTENCE_BYTES];
	size_t count, n = row_mac_findings(db, &findings, &count);

	for (; watch->told < n; watch->told++) {
		row_mac_describe(&findings[watch->told], sentence, sizeof(sentence));
		notices_tell(notices, LOG_ALERT, EVENT_ALTERED, NULL,
				"%s: it is not believed, and nothing is destroyed on its word",
				sentence);
		notices_keep_problem(notices, "%s", sentence);
	}
}

int catalog_watch_report(struct catalog_watch *watch, struct db *db, struct notices *notices)
{
	const struct row_finding *findings;
	size_t count;
	char tables[128];

	watch_tell(watch, db, notices);
	int r = catalog_mend(db, tables, sizeof(tables));
	if (r <= 0)
		return r;
	notices_tell(notices, LOG_NOTICE, EVENT_PLAIN, NULL,
			"what keeper.db says in %s was written again from what else it says",
			tables);
	/* What was put right is no finding any more. */
	watch->told = row_mac_findings(db, &findings, &count);
	return 0;
}

int catalog_watch_turn(struct catalog_watch *watch, struct db *db, struct notices *notices)
{
	int r = row_mac_stride(db, CATALOG_WATCH_ROWS);

	return r < 0 ? r : catalog_watch_report(watch, db, notices);
}
