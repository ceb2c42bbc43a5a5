#include "daemon/keeper/ingest/spool_gate.h"

#include <string.h>

#include "base/error.h"
#include "storage/tables/db.h"

#define BY_CONFIGURATION "FirstStart=take in the configuration"

/* gate->n when there is none. */
static size_t gate_index(const struct spool_gate *gate, const char *name)
{
	size_t i = 0;

	while (i < gate->n && strcmp(gate->asked[i].question.name, name) != 0)
		i++;
	return i;
}

static struct spool_asked *gate_find(struct spool_gate *gate, const char *name)
{
	size_t i = gate_index(gate, name);

	return i < gate->n ? &gate->asked[i] : NULL;
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

/* With an actor it is a decision, and the audit log has it. */
static int gate_write(struct ingest *ingest, const struct spool_question *question,
		enum spool_state state, const struct audit_actor *actor)
{
	const struct root *root = ingest->root;
	const struct spool_row row = {.name = question->name,
			.folder = question->folder,
			.state = state,
			.since_us = clock_now_us(&ingest->clock->told),
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

/* What there is no row about yet. */
static int gate_meet(struct ingest *ingest, const struct spool_question *question, bool held)
{
	static const struct audit_actor configured = {.reason = BY_CONFIGURATION};
	int r;

	if (!held && question->files >= 0 && question->empty)
		r = gate_write(ingest, question, SPOOL_WAS_EMPTY, NULL);
	else if (question->take)
		r = gate_write(ingest, question, SPOOL_CONFIGURED, &configured);
	else if (held || question->files < 0)
		return 0;
	else
		return gate_write(ingest, question, SPOOL_HELD, NULL);
	return r < 0 ? r : 1;
}

/* 1: it may be taken from; 0: not; -errno. */
static int gate_decide(struct ingest *ingest, const struct spool_question *question)
{
	enum spool_state state;
	int r = spool_table_get(ingest->root->db, question->name, question->folder, &state);

	if (r < 0 || (r > 0 && state != SPOOL_HELD))
		return r;
	return gate_meet(ingest, question, r > 0);
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
	int r = gate_write(ingest, &asked->question, SPOOL_ORDERED, actor);
	if (r < 0)
		return r;
	asked->open = true;
	*ret_question = asked->question;
	return 0;
}

bool spool_gate_is_open(const struct spool_gate *gate, const char *name)
{
	size_t i = gate_index(gate, name);

	return i < gate->n && gate->asked[i].open;
}

void spool_gate_clear(struct spool_gate *gate)
{
	gate->n = 0;
}
