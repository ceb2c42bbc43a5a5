#include "daemon/keeper/control/shred_look.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/config/config.h"
#include "daemon/keeper/ingest/intake_server.h"
#include "daemon/keeper/vault/accounts.h"

/* The intake ends a look after some seconds less. */
#define SPOOLS_US (10 * US_PER_S)
/* For a look that somebody else has asked for. */
#define TURN_US (30 * US_PER_S)

enum phase { PHASE_SPAN, PHASE_PARTS, PHASE_ASK, PHASE_WAIT, PHASE_ANSWER };

struct shred_look {
	struct control_call call;
	shred_look_answer *answer;
	struct shred_findings findings;
	enum phase phase;
	bool one;   /* recording, and not an account */
	bool asked; /* the intake's look is ours */
	int64_t until_us;
	uint8_t name[ACCOUNT_NAME_MAX];
	size_t name_len; /* 0: it cannot be read */
};

static void look_release(struct shred_look *look)
{
	if (look->asked)
		spool_looks_forget(intake_server_looks(look->call.control->intake));
	look->asked = false;
}

static void look_end(void *state)
{
	struct shred_look *look = state;

	look_release(look);
	shred_parts_clear(&look->findings.parts);
	json_decref(look->findings.spools);
	sodium_memzero(look, sizeof(*look));
	free(look);
}

/* ---- The spools ---- */

/* A spool that was not looked into. name NULL: it is not known which ones there are. */
static int look_miss_spool(struct shred_look *look, const char *name, const char *why)
{
	return json_array_append_new(look->findings.spools,
			json_pack("{s:s*, s:b, s:s, s:i, s:i, s:[]}", "name", name, "looked", 0,
					"why", why, "files", 0, "unknown", 0, "entries"));
}

/* All spools that are known of: from the last report, else from the keeper's own configuration. */
static int look_miss_spools(struct shred_look *look, const char *why)
{
	struct intake_server *intake = look->call.control->intake;
	const struct config *config = look->call.vault->config;
	const json_t *report = intake ? intake_server_spools(intake) : NULL;
	size_t n = json_array_size(report), known = n ? n : config->n_spools;
	int r = known ? 0 : look_miss_spool(look, NULL, why);

	for (size_t i = 0; i < known && r == 0; i++) {
		const json_t *name = json_object_get(json_array_get(report, i), "name");
		r = look_miss_spool(
				look, n ? json_string_value(name) : config->spools[i].name, why);
	}
	look->phase = PHASE_ANSWER;
	return r < 0 ? -ENOMEM : 0;
}

static int look_ask(struct shred_look *look)
{
	struct intake_server *intake = look->call.control->intake;
	const struct recording_private *of = &look->findings.parts.of;
	const struct spool_look_question question = {.account = look->name,
			.account_len = look->name_len,
			.spool = look->one ? of->spool : NULL,
			.path = look->one ? of->path : NULL,
			.path_len = look->one ? of->path_len : 0};

	if (look->one ? !of->spool || !of->path : look->name_len == 0)
		return look_miss_spools(look, "the keeper cannot read its name");
	int r = intake ? intake_server_look(intake, &question) : -ENOTCONN;
	if (r == -EBUSY && monotonic_us() < look->until_us) {
		varlink_call_pause(look->call.varlink);
		return 0;
	}
	if (r == -EBUSY)
		return look_miss_spools(look, "recseald is busy with other looks");
	if (r == -ENOTCONN)
		return look_miss_spools(look, "recseald is not connected");
	look->asked = r == 0;
	look->phase = PHASE_WAIT;
	look->until_us = monotonic_us() + SPOOLS_US;
	return r;
}

/* What has been found so far; the others have not answered. */
static int look_wait(struct shred_look *look)
{
	struct intake_server *intake = look->call.control->intake;
	struct spool_looks *looks = intake_server_looks(intake);
	bool over = monotonic_us() >= look->until_us || !intake_server_connected(intake);

	if (!looks->complete && !over) {
		varlink_call_pause(look->call.varlink);
		return 0;
	}
	int r = json_array_extend(look->findings.spools, looks->found);
	if (r == 0 && !looks->complete)
		r = look_miss_spool(look, NULL, "recseald has not answered for all spools");
	look_release(look);
	look->phase = PHASE_ANSWER;
	return r < 0 ? -ENOMEM : 0;
}

/* ---- The look ---- */

static int look_span(struct shred_look *look)
{
	struct recording_span *span = &look->findings.span;
	int r = catalog_recording_span(look->call.vault->db, span);

	if (r == -EAGAIN)
		return 0;
	if (r == -ENOENT)
		span->oldest_us = span->newest_us = 0;
	look->phase = look->one ? PHASE_PARTS : PHASE_ASK;
	return r == -ENOENT ? 0 : r;
}

static int look_parts(struct shred_look *look)
{
	int r = shred_parts_step(&look->findings.parts, look->call.vault);

	if (r == 0)
		look->phase = PHASE_ASK;
	look->until_us = monotonic_us() + TURN_US;
	return r < 0 ? r : 0;
}

static void shred_look_next(struct varlink_call *varlink, void *state)
{
	static int (*const phases[])(struct shred_look *) = {[PHASE_SPAN] = look_span,
			[PHASE_PARTS] = look_parts,
			[PHASE_ASK] = look_ask,
			[PHASE_WAIT] = look_wait};
	struct shred_look *look = state;
	int r = look->phase == PHASE_ANSWER ? look->answer(&look->call, &look->findings)
					    : phases[look->phase](look);

	if (r < 0)
		control_answer_failed(&look->call, r);
}

static const struct varlink_stream shred_look_turns = {.next = shred_look_next, .free = look_end};

static int look_begin(struct shred_look *look, const struct account_row *account,
		const struct recording_row *recording)
{
	struct vault *vault = look->call.vault;

	look->findings.spools = json_array();
	look->findings.span.account = account->id;
	look->one = recording;
	look->until_us = monotonic_us() + TURN_US;
	if (!look->findings.spools)
		return -ENOMEM;
	/* Without it the spools are named as not looked at. */
	if (accounts_name_bytes(vault->root.tree, account, look->name, &look->name_len) < 0)
		look->name_len = 0;
	return recording ? shred_parts_begin(&look->findings.parts, vault, recording) : 0;
}

int shred_look_start(struct control_call *call, const struct account_row *account,
		const struct recording_row *recording, shred_look_answer *answer)
{
	struct shred_look *look = calloc(1, sizeof(*look));

	if (!look)
		return -ENOMEM;
	look->call = *call;
	look->answer = answer;
	int r = look_begin(look, account, recording);
	/* Nobody hears what it would find: it is only carried out. */
	if (r == 0 && varlink_call_is_oneway(call->varlink))
		r = answer(call, &look->findings);
	else if (r == 0) {
		varlink_call_defer(call->varlink, &shred_look_turns, look);
		return CONTROL_ANSWERED;
	}
	look_end(look);
	return r;
}

/* ---- The findings ---- */

/* What lies in quarantine may be anybody's. */
static int64_t quarantine_count(struct vault *vault)
{
	struct tally tally;
	int r = catalog_tally_get(vault->db, vault->quarantine_account, &tally);

	return r < 0 ? 0 : catalog_tally_live(&tally).count;
}

json_t *shred_look_members(struct vault *vault, const struct shred_findings *findings, bool taken)
{
	json_t *parts = findings->parts.list ? json_deep_copy(findings->parts.list) : json_array();
	json_t *part;
	size_t i;

	json_array_foreach(parts, i, part) json_object_set_new(part, "taken", json_boolean(taken));
	return json_pack("{s:o, s:b, s:I, s:O}", "parts", parts, "parts_complete",
			!findings->parts.more, "quarantined", (json_int_t)quarantine_count(vault),
			"spools", findings->spools);
}
