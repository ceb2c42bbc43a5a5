/* Which spools may be taken from. A folder that held files before the vault ever met it may hold
 * anything: prompts, music on hold, recordings that have to be kept elsewhere. What is sealed from
 * there is removed, and destroyed when its time is over. So such a spool waits for somebody's word.
 *
 *     the intake asks          the keeper                                          the intake may
 *     ---------------          ----------                                          --------------
 *     of a folder that it      has a row that says so                              yes
 *     may take from
 *     of a new, empty folder   writes a row: what comes later is a bridge's        yes
 *     FirstStart=take          writes a row, audited                               yes
 *     not counted yet          waits to be asked again                             no
 *     of any other             writes a row: held. Only a word ends that, also     no
 *                              when its files are moved away
 *     (accept)                 writes a row, audited                               yes, from now on
 *
 * The rows belong to the keeper, and are authenticated like all others: whoever may write to a
 * spool, or to keeper.db, cannot make one up. A row is about one folder of one spool: another tree
 * under the same path is another folder. Not a guard against the intake, which is asked how much is
 * in a folder, and could remove files without asking. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/common/config/config.h"
#include "daemon/keeper/ingest/ingest.h"
#include "daemon/keeper/vault/audit_log.h"
#include "storage/tables/spool_table.h"

/* What the intake wants to know, of one spool. */
struct spool_question {
	char name[CONFIG_NAME_MAX + 1];
	uint8_t folder[SPOOL_FOLDER_BYTES];
	bool take;     /* FirstStart=take */
	bool empty;    /* when the intake opened it: all files have come since */
	int64_t files; /* in the folder; -1: not counted yet */
	int64_t recordings, bytes;
};

/* What the connected intake has asked last of each spool. */
struct spool_gate {
	struct spool_asked {
		struct spool_question question;
		bool open;
	} asked[CONFIG_SPOOLS_MAX];
	size_t n;
};

/* Whether the intake may take from there. What cannot be looked up or stored is reported, and the
 * answer is no: the intake asks again. */
bool spool_gate_ask(struct spool_gate *gate, struct ingest *ingest,
		const struct spool_question *question);

/* On somebody's word. 0: audited, durable, and what was asked is in *ret_question; SPOOL_GATE_OPEN:
 * it does not wait; SPOOL_GATE_UNKNOWN: the intake has not asked about such a spool, or not counted
 * yet; -errno, -RE_*. */
enum { SPOOL_GATE_OPEN = 1, SPOOL_GATE_UNKNOWN };
int spool_gate_accept(struct spool_gate *gate, struct ingest *ingest, const char *name,
		const struct audit_actor *actor, struct spool_question *ret_question);

/* Whether the answer was yes, to the last question about this spool. */
bool spool_gate_is_open(const struct spool_gate *gate, const char *name);

/* The intake is gone. */
void spool_gate_clear(struct spool_gate *gate);
