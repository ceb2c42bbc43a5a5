/* Status: one look at everything an operator should worry about. Costs the same in any vault. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>

#include "daemon/common/config/config.h"
#include "daemon/common/watermark.h"
#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/view.h"
#include "daemon/keeper/erasure/erasure_room.h"
#include "daemon/keeper/ingest/ingest_room.h"
#include "daemon/keeper/root/objects_place.h"
#include "daemon/keeper/root/preflight.h"
#include "daemon/keeper/root/root_main.h"
#include "storage/tables/row_mac.h"
#include "storage/tpm2/root_tpm2.h"

#define SENTENCE_BYTES 512
#define COUNT_MAX      INT64_C(1000000000000)
#define OLD_S                                                                                      \
	20 /* a report comes every two seconds: what is older comes from something that hangs */

/* What the spools add up to. */
struct waiting {
	json_int_t waiting, refused;
	int64_t oldest_us;    /* 0: nothing waits */
	int64_t heard_ago_us; /* -1: no report has come */
};

static json_t *json_or_null(json_t *value)
{
	return value ? value : json_null();
}

/* Seconds since then; null for 0 (never). */
static json_t *age_since(struct vault *vault, int64_t since_us)
{
	if (since_us <= 0)
		return json_null();
	int64_t us = clock_now_us(&vault->clock.machine.wall) - since_us;
	return json_real((double)(us > 0 ? us : 0) / US_PER_S);
}

/* Within bounds that can be added up. */
static json_int_t spool_count(const json_t *spool, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(spool, key));

	return n < 0 ? 0 : n > COUNT_MAX ? COUNT_MAX : n;
}

static json_t *spool_free_percent(const json_t *spool)
{
	const json_t *percent = json_object_get(spool, "free_percent");
	double value = json_number_value(percent);

	return json_is_number(percent) && value >= 0 && value <= 100 ? json_real(value)
								     : json_null();
}

/* How old the facts about a spool are: when the intake looked, and since it reported. */
static json_t *spool_looked(const json_t *spool, const struct waiting *sum)
{
	const json_t *ago = json_object_get(spool, "looked_ago_us");
	json_int_t ago_us = json_integer_value(ago);

	if (!json_is_integer(ago) || ago_us < 0 || sum->heard_ago_us < 0)
		return json_null();
	return json_real((double)ago_us / US_PER_S + (double)sum->heard_ago_us / US_PER_S);
}

/* What is left alone on purpose: by its name, or because the bridge plays it. */
static void spool_add_left(struct vault *vault, const json_t *spool, json_t *status)
{
	int64_t since_us = json_integer_value(json_object_get(spool, "ignored_since_us"));

	json_object_set_new(status, "ignored", json_integer(spool_count(spool, "ignored")));
	json_object_set_new(status, "oldest_ignored_s", age_since(vault, since_us));
	json_object_set_new(status, "prompts", json_integer(spool_count(spool, "prompts")));
}

/* The report comes from another process: a value of the wrong type is left out. */
static json_t *spool_status(struct control_call *call, const json_t *spool, struct waiting *sum)
{
	struct vault *vault = call->vault;
	json_int_t waiting = spool_count(spool, "waiting"), refused = spool_count(spool, "refused");
	int64_t oldest_us = json_integer_value(json_object_get(spool, "oldest_finished_us"));

	sum->waiting += waiting;
	sum->refused += refused;
	if (oldest_us > 0 && (sum->oldest_us == 0 || oldest_us < sum->oldest_us))
		sum->oldest_us = oldest_us;
	json_t *status = json_pack(
			"{s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:b, s:b, s:o}",
			"name", view_text(json_string_value(json_object_get(spool, "name"))),
			"path", view_text(json_string_value(json_object_get(spool, "path"))),
			"looked_s", spool_looked(spool, sum), "hung_threads",
			spool_count(spool, "hung_threads"), "waiting", waiting, "refused", refused,
			"stale", spool_count(spool, "stale"), "oldest_stale_s",
			age_since(vault, json_integer_value(
							 json_object_get(spool, "stale_since_us"))),
			"oldest_unsealed_s", age_since(vault, oldest_us), "last_error",
			json_or_null(view_text(
					json_string_value(json_object_get(spool, "last_error")))),
			"free_percent", spool_free_percent(spool), "low_space",
			json_is_true(json_object_get(spool, "low_space")), "allowed",
			control_spools_allowed(call->control, spool), "held",
			json_or_null(control_spools_held(spool)));
	spool_add_left(vault, spool, status);
	return status;
}

static json_t *spools_status(struct control_call *call, struct waiting *sum)
{
	const json_t *report =
			call->control->intake ? intake_server_spools(call->control->intake) : NULL;
	json_t *spools = json_array();

	sum->heard_ago_us = report ? intake_server_heard_ago_us(call->control->intake) : -1;
	for (size_t i = 0; i < json_array_size(report); i++) {
		json_t *spool = spool_status(call, json_array_get(report, i), sum);
		if (spool)
			json_array_append_new(spools, spool);
	}
	return spools;
}

static json_t *exposure_part(const struct exposure *exposure, unsigned p)
{
	int64_t us = exposure ? exposure_percentile_us(exposure, p) : -1;

	return us >= 0 ? json_real((double)us / US_PER_S) : json_null();
}

static json_t *exposure_status(const struct control *control)
{
	const struct exposure *exposure =
			control->intake ? intake_server_exposure(control->intake) : NULL;

	return json_pack("{s:o, s:o}", "p50", exposure_part(exposure, 50), "p99",
			exposure_part(exposure, 99));
}

static void warnings_add(json_t *warnings, json_t *text)
{
	json_array_append_new(warnings, text);
}

static void warnings_add_stale(const json_t *spool, const char *name, json_t *warnings)
{
	json_int_t stale = spool_count(spool, "stale");
	double age_s = json_number_value(json_object_get(spool, "oldest_stale_s"));

	if (stale > 0)
		warnings_add(warnings,
				json_sprintf("spool %s: %lld recordings are still open, or not "
					     "marked as finished; the oldest was begun %.0f min "
					     "ago",
						name, (long long)stale, age_s / 60));
}

static void warnings_add_ignored(const json_t *spool, const char *name, json_t *warnings)
{
	json_int_t ignored = spool_count(spool, "ignored");
	double age_s = json_number_value(json_object_get(spool, "oldest_ignored_s"));

	if (ignored > 0)
		warnings_add(warnings,
				json_sprintf("spool %s: %lld files are ignored because of their "
					     "names and lie there in plaintext, the oldest for "
					     "%.0f min; the journal has their inodes",
						name, (long long)ignored, age_s / 60));
}

/* Old figures would look as if all were well. */
static void warnings_add_silent(const json_t *spool, const char *name, json_t *warnings)
{
	const json_t *looked = json_object_get(spool, "looked_s");
	json_int_t hung = spool_count(spool, "hung_threads");

	if (json_number_value(looked) > OLD_S)
		warnings_add(warnings,
				json_sprintf("spool %s: its filesystem has not answered for "
					     "%.0f s: nothing is sealed from it, and its figures "
					     "are that old",
						name, json_number_value(looked)));
	else if (hung > 0)
		warnings_add(warnings, json_sprintf("spool %s: %lld sealing threads wait for its "
						    "filesystem",
						       name, (long long)hung));
}

static void warnings_add_spools(const json_t *spools, json_t *warnings)
{
	for (size_t i = 0; i < json_array_size(spools); i++) {
		const json_t *spool = json_array_get(spools, i);
		const char *name = json_string_value(json_object_get(spool, "name"));
		const char *error = json_string_value(json_object_get(spool, "last_error"));
		json_int_t refused = spool_count(spool, "refused");
		if (error)
			warnings_add(warnings, json_sprintf("spool %s: %s", name, error));
		control_spools_warn(spool, name, warnings);
		warnings_add_silent(spool, name, warnings);
		warnings_add_stale(spool, name, warnings);
		warnings_add_ignored(spool, name, warnings);
		if (json_is_true(json_object_get(spool, "low_space")))
			warnings_add(warnings,
					json_sprintf("spool %s: its filesystem has %.1f%% of its "
						     "space left",
							name,
							json_number_value(json_object_get(
									spool, "free_percent"))));
		if (refused > 0)
			warnings_add(warnings,
					json_sprintf("spool %s: %lld file%s cannot be sealed: left "
						     "in place",
							name, (long long)refused,
							refused == 1 ? "" : "s"));
	}
}

static void warnings_add_space(const struct config *config, json_t *warnings)
{
	struct watermark_space space;
	struct statvfs st;

	/* The doctor reports a folder that cannot be examined. */
	if (statvfs(config->objects_dir, &st) < 0)
		return;
	watermark_space(&st, &space);
	if (space.free_percent < config->objects_low_percent)
		warnings_add(warnings,
				json_sprintf("the object directory has %.1f%% of its space left",
						space.free_percent));
}

/* What of the keeper's own disk stops sealing, and what of it stops erasing. */
static void warnings_add_reserve(struct vault *vault, json_t *warnings)
{
	struct reason reason = {""};

	if (objects_place_check(&vault->root, &reason) < 0)
		warnings_add(warnings, json_string(reason.text));
	if (ingest_room_check(&vault->root, 0, 0, &reason) < 0)
		warnings_add(warnings, json_sprintf("sealing has stopped: %s", reason.text));
	if (erasure_room_take(&vault->root, 1, &reason) == -ENOSPC)
		warnings_add(warnings, json_sprintf("erasures wait: %s", reason.text));
}

/* One sentence, however many they are: `doctor` names them all. */
static void warnings_add_rows(const struct vault *vault, json_t *warnings)
{
	const struct row_finding *findings;
	char sentence[SENTENCE_BYTES];
	size_t count, n = row_mac_findings(vault->db, &findings, &count);

	if (n == 0)
		return;
	row_mac_describe(&findings[0], sentence, sizeof(sentence));
	warnings_add(warnings,
			count > 1 ? json_sprintf("%s, and %zu more findings; see recsealctl doctor",
						    sentence, count - 1)
				  : json_string(sentence));
}

static json_t *warnings_list(struct control_call *call, const json_t *spools)
{
	const struct intake_server *intake = call->control->intake;
	json_t *warnings = json_array();

	if (!intake || !intake_server_connected(intake))
		warnings_add(warnings,
				json_string("recseald is not connected: nothing is being sealed"));
	else if (intake_server_heard_ago_us(intake) > OLD_S * US_PER_S)
		warnings_add(warnings,
				json_sprintf("recseald has not reported for %" PRId64
					     " s: the figures of the spools are that old",
						intake_server_heard_ago_us(intake) / US_PER_S));
	if (root_is_stuck(&call->vault->root))
		warnings_add(warnings,
				json_string("the keeper must be restarted to finish an erasure"));
	control_root_warn(call->vault, warnings);
	warnings_add_rows(call->vault, warnings);
	warnings_add_spools(spools, warnings);
	warnings_add_space(call->vault->config, warnings);
	warnings_add_reserve(call->vault, warnings);
	control_clock_warn(call->vault, warnings);
	return warnings;
}

static void warnings_add_host(void *context, const char *sentence)
{
	warnings_add(context, json_string(sentence));
}

static json_t *status_host(const struct config *config)
{
	json_t *warnings = json_array();

	preflight_check(config->keeper_dir, "", warnings_add_host, warnings);
	return json_pack("{s:o}", "host_warnings", warnings);
}

/* How much of a TPM's memory is spent; null for a file, or while it is away. */
static json_t *status_root_writes(const struct vault *vault)
{
	const struct root_provider *own = vault->root.copies->member[0].provider;

	if (!own || root_main_is_file(&vault->root))
		return json_null();
	return json_integer((json_int_t)root_tpm2_writes(own));
}

static json_t *status_vault(struct vault *vault)
{
	char id[ULID_TEXT_CHARS + 1], sentence[SENTENCE_BYTES];

	ulid_format(vault->root.vault_id, id);
	root_assurance_sentence(vault->root.copies->assurance, vault_epoch(vault), sentence,
			sizeof(sentence));
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o}", "version", VERSION, "vault",
			id, "assurance", vault->root.copies->assurance, "assurance_sentence",
			sentence, "epoch", (json_int_t)vault_epoch(vault), "root_writes",
			status_root_writes(vault), "clock", control_clock_status(vault),
			"last_error",
			json_or_null(*vault->notices.problem.text
							? view_text(vault->notices.problem.text)
							: NULL));
}

static json_t *status_intake(struct control_call *call)
{
	const struct intake_server *intake = call->control->intake;
	struct waiting sum = {0};
	json_t *spools = spools_status(call, &sum);
	json_t *warnings = warnings_list(call, spools);

	return json_pack("{s:b, s:o, s:{s:o, s:I, s:I}, s:o, s:o, s:o}", "intake_connected",
			intake && intake_server_connected(intake), "intake_heard_s",
			sum.heard_ago_us < 0 ? json_null()
					     : json_real((double)sum.heard_ago_us / US_PER_S),
			"spool", "oldest_unsealed_s", age_since(call->vault, sum.oldest_us),
			"waiting", sum.waiting, "refused", sum.refused, "spools", spools,
			"exposure_s", exposure_status(call->control), "warnings", warnings);
}

static int status_counts(struct vault *vault, json_t **ret_part)
{
	int64_t accounts[ACCOUNT_QUARANTINE + 1];
	struct tally tally;
	uint64_t free_bytes;
	int r = catalog_tally_get(vault->db, 0, &tally);

	if (r == 0)
		r = catalog_account_tally(vault->db, accounts);
	if (r == 0)
		r = object_store_free_bytes(vault->store, &free_bytes);
	if (r < 0)
		return r;
	*ret_part = json_pack("{s:o, s:o, s:I}", "recordings", view_recording_counts(&tally),
			"accounts", view_account_counts(accounts), "object_free_bytes",
			(json_int_t)free_bytes);
	return 0;
}

int control_status(struct control_call *call)
{
	json_t *counts;
	int r = status_counts(call->vault, &counts);

	if (r < 0)
		return r;
	json_t *status = status_vault(call->vault);
	json_t *intake = status_intake(call), *host = status_host(call->vault->config);
	if (json_object_update(status, counts) < 0 || json_object_update(status, intake) < 0 ||
			json_object_update(status, host) < 0) {
		json_decref(status);
		status = NULL;
	}
	json_decref(counts);
	json_decref(intake);
	json_decref(host);
	return control_answer_reply(call, json_pack("{s:o}", "status", status), NULL);
}
