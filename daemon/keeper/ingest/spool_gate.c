#include "daemon/keeper/ingest/spool_gate.h"

#include <string.h>

#include "base/error.h"
#include "storage/tables/db.h"

#define BY_CONFIGURATION "FirstStart=take in the configuration"

static struct spool_asked *gate_find(struct spool_gate *gate, const char *name)
{
	for (size_t i = 0; i < gate->n; i++) {
		if (strcmp(gate->asked[i].question.name, name) == 0)
			return &gate->asked[i];
	}
	return NULL;
}

static void gate_remember(struct spool_gate *gate, const struct spool_question *question, bool open)
{
	struct spool_asked *asked = gate_find(gate, question->name);

	/* A configuration has no more spools than that. */
	if (!asked && gate->n == CONFIG_SPOOLS_MAX)
		return;
	if (!asked)
		asked = &gate->asked[gate->n++];
	*asked = (struct spool_asked){.question = *question, .open = open};
}

/* Writes the row; with an actor it is a decision, and the audit log has it. */
static int gate_open(struct ingest *ingest, const struct spool_question *question,
		enum spool_cause cause, const struct audit_actor *actor)
{
	const struct root *root = ingest->root;
	const struct spool_row row = {.name = question->name,
			.folder = question->folder,
			.cause = cause,
			.accepted_us = clock_now_us(&ingest->clock->told),
			.uid = actor ? actor->uid : 0,
			.files = question->files > 0 ? question->files : 0};
	_cleanup_transaction_ struct db_transaction transaction = {0};

	if (root_is_stuck(root))
		return -RE_BUSY;
	int r = db_transaction_begin(&transaction, root->db);
	if (r == 0)
		r = spool_table_put(root->db, &row);
	if (r == 0 && actor)
		r = audit_log_append(&root->audit, actor, "accept spool", question->name,
				root_epoch(root));
	return r < 0 ? r : db_transaction_commit(&transaction);
}

/* 1: it is allowed; 0: not; -errno. */
static int gate_decide(struct ingest *ingest, const struct spool_question *question)
{
	static const struct audit_actor configured = {.reason = BY_CONFIGURATION};
	int r = spool_table_has(ingest->root->db, question->name, question->folder);

	if (r != 0)
		return r;
	if (question->files == 0)
		r = gate_open(ingest, question, SPOOL_WAS_EMPTY, NULL);
	else if (question->take)
		r = gate_open(ingest, question, SPOOL_CONFIGURED, &configured);
	else
		return 0;
	return r < 0 ? r : 1;
}

bool spool_gate_ask(struct spool_gate *gate, struct ingest *ingest,
		const struct spool_question *question)
{
	int r = gate_decide(ingest, question);

	if (r < 0)
		notices_keep_problem(ingest->root->notices,
				"nothing can be taken from spool %s: whether it may be is not "
				"known: %s",
				question->name, error_text(r));
	gate_remember(gate, question, r > 0);
	return r > 0;
}

int spool_gate_accept(struct spool_gate *gate, struct ingest *ingest, const char *name,
		const struct audit_actor *actor, struct spool_question *ret_question)
{
	struct spool_asked *asked = gate_find(gate, name);

	if (asked && asked->open)
		return SPOOL_GATE_OPEN;
	if (!asked || asked->question.files < 0)
		return SPOOL_GATE_UNKNOWN;
	int r = gate_open(ingest, &asked->question, SPOOL_ORDERED, actor);
	if (r < 0)
		return r;
	asked->open = true;
	*ret_question = asked->question;
	return 0;
}

void spool_gate_clear(struct spool_gate *gate)
{
	gate->n = 0;
}
