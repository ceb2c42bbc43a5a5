/* VerifyCatalog: the whole catalog against its macs and sums, and every tombstone against the key
 * tree, some rows at a time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/view.h"
#include "daemon/keeper/keys/keytree.h"
#include "storage/tables/row_mac.h"

#define STRIDE_ROWS    1000
#define STRIDE_KEYS    100
#define SENTENCE_BYTES 256

struct verification {
	struct control_call call;
	uint64_t until_round; /* the first whole one since the call is over then */
	struct recording_filter filter;
	bool tombstones_done;
	size_t told;
};

static int add_sentence(json_t *findings, const char *sentence)
{
	return json_array_append_new(findings, json_string(sentence)) < 0 ? -ENOMEM : 0;
}

static int add_findings(struct verification *v, json_t *findings)
{
	const struct row_finding *found;
	char sentence[SENTENCE_BYTES];
	size_t count, n = row_mac_findings(v->call.vault->db, &found, &count);
	int r = 0;

	for (; v->told < n && r == 0; v->told++) {
		row_mac_describe(&found[v->told], sentence, sizeof(sentence));
		r = add_sentence(findings, sentence);
	}
	return r;
}

/* What is destroyed must have no key. */
static int check_tombstone(
		struct verification *v, const struct recording_row *row, json_t *findings)
{
	struct vault *vault = v->call.vault;
	struct key_path path = key_path_recording(row->account, row->group, row->id);
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	char id[ULID_TEXT_CHARS + 1], sentence[SENTENCE_BYTES];
	int r = key ? keytree_open(vault->root.tree, &path, key) : -RE_MLOCK;

	if (r != 0)
		return r == -RE_MLOCK ? r : 0;
	ulid_format(row->ulid, id);
	snprintf(sentence, sizeof(sentence),
			"recording %s is said to be destroyed, but its key still opens", id);
	const struct event_fields fields = {.recording = id};
	notices_tell(&vault->notices, LOG_ALERT, EVENT_ALTERED, &fields, "%s", sentence);
	notices_keep_problem(&vault->notices, "%s", sentence);
	return add_sentence(findings, sentence);
}

static int next_tombstones(struct verification *v, json_t *findings)
{
	struct recording_row row;
	int r = 0;

	for (int i = 0; i < STRIDE_KEYS && r == 0; i++) {
		r = catalog_recording_next(v->call.vault->db, &v->filter, &row);
		if (r < 0)
			break;
		if (row.destroyed_us != 0 && !row.altered)
			r = check_tombstone(v, &row, findings);
		catalog_recording_clear(&row);
	}
	v->tombstones_done = r == -ENOENT;
	return r == -ENOENT || r == -EAGAIN ? 0 : r;
}

static int verify_stride(struct verification *v, json_t *findings)
{
	struct db *db = v->call.vault->db;
	int r = 0;

	if (row_mac_rounds(db) < v->until_round)
		r = row_mac_stride(db, STRIDE_ROWS);
	else
		r = next_tombstones(v, findings);
	return r < 0 ? r : add_findings(v, findings);
}

static void verify_next(struct varlink_call *varlink, void *state)
{
	struct verification *v = state;
	json_t *findings = json_array();
	int r = findings ? verify_stride(v, findings) : -ENOMEM;

	if (r < 0) {
		json_decref(findings);
		control_answer_failed(&v->call, r);
		return;
	}
	json_t *parameters = json_pack("{s:o}", "findings", findings);
	if (v->tombstones_done)
		varlink_call_reply(varlink, parameters, NULL);
	else
		varlink_call_continue(varlink, parameters);
}

static const struct varlink_stream verify_stream = {.next = verify_next, .free = free};

int control_catalog_verify(struct control_call *call)
{
	struct verification *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->call = *call;
	v->until_round = row_mac_rounds(call->vault->db) + 2;
	varlink_call_stream(call->varlink, &verify_stream, v);
	return CONTROL_ANSWERED;
}
