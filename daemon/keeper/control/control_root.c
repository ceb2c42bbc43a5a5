/* ShowRoot, AddRootMirror, ReplaceRootMirror, DropRootMirror. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/view.h"
#include "daemon/keeper/erasure/mirror_change.h"
#include "daemon/keeper/root/mirror_medium.h"
#include "daemon/keeper/root/mirrors.h"

#define SENTENCE_BYTES 512

static json_t *json_text_or_null(const char *text)
{
	return *text ? view_text(text) : json_null();
}

static json_t *json_time_or_null(int64_t at_us)
{
	return at_us > 0 ? view_time(at_us) : json_null();
}

static json_t *locations_member(const struct root_member *member, const struct mirror_row *row,
		const struct mirrors_seen *seen)
{
	const char *state = row && row->state == MIRROR_UNSETTLED    ? "unsettled"
			    : seen->there && !*member->why_away.text ? "in use"
								     : "away";

	return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:o}", "name", member->name, "place",
			view_text(member->location), "assurance", member->assurance, "state", state,
			"trouble", json_text_or_null(seen->why.text), "added_at",
			json_time_or_null(row ? row->added_us : 0), "away_since",
			json_time_or_null(member->away_us));
}

static json_t *locations_given_up(const struct mirror_row *row)
{
	return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:I}", "name", row->name, "place",
			view_text(row->location), "assurance", row->assurance, "state", "given up",
			"added_at", json_time_or_null(row->added_us), "given_up_at",
			json_time_or_null(row->given_up_us), "given_up_epoch",
			(json_int_t)row->given_up_epoch);
}

static const struct mirror_row *locations_row(const struct mirror_row *rows, size_t n, int64_t id)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].id == id)
			return &rows[i];
	}
	return NULL;
}

static int locations_list(struct vault *vault, json_t **ret_copies)
{
	_cleanup_free_ struct mirror_row *rows = NULL;
	struct mirrors_seen seen[ROOT_MEMBERS_MAX];
	size_t n = 0;
	int r = mirror_table_list(vault->db, &rows, &n);

	if (r < 0)
		return r;
	mirrors_look(&vault->root, seen);
	json_t *copies = json_array();
	for (size_t i = 0; i < vault->root.copies->n; i++) {
		const struct root_member *member = &vault->root.copies->member[i];
		json_array_append_new(
				copies, locations_member(member, locations_row(rows, n, member->id),
							&seen[i]));
	}
	for (size_t i = 0; i < n; i++) {
		if (rows[i].state == MIRROR_GIVEN_UP)
			json_array_append_new(copies, locations_given_up(&rows[i]));
	}
	*ret_copies = copies;
	return 0;
}

/* note: "" for none. */
static int root_answer(struct control_call *call, const char *note)
{
	json_t *copies;
	int r = locations_list(call->vault, &copies);

	if (r < 0)
		return r;
	return control_answer_reply(call,
			json_pack("{s:o, s:o}", "places", copies, "note", json_text_or_null(note)),
			NULL);
}

int control_root_show(struct control_call *call)
{
	json_t *copies;
	int r = locations_list(call->vault, &copies);
	if (r < 0)
		return r;
	return control_answer_reply(call, json_pack("{s:o}", "places", copies), NULL);
}

static int root_fail(struct control_call *call, int r, const struct reason *reason)
{
	if (r == -RE_REFUSED || r == -EEXIST)
		return control_answer_refused(call, "%s", reason_text(reason, r));
	if (r == -ENOENT)
		return control_answer_not_found(call, "root mirror", control_text(call, "name"));
	if (r == -RE_UNKNOWN)
		return control_answer_not_known(call);
	return control_answer_problem(call, reason_text(reason, r));
}

/* 0 or CONTROL_ANSWERED. */
static int order_read(struct control_call *call, struct mirror_order *ret_order)
{
	const char *kind = control_text(call, "kind");
	struct mirror_order order = {.name = control_text(call, "name"),
			.reason = control_text(call, "reason"),
			.location = control_text(call, "place"),
			.uid = call->uid};

	if (!kind != !order.location)
		return control_answer_invalid(
				call, "place", "give kind and place together, or neither");
	if (kind && strcmp(kind, "file") == 0)
		order.kind = MIRROR_FILE;
	else if (kind && strcmp(kind, "tpm2") == 0)
		order.kind = MIRROR_TPM2;
	else if (kind)
		return control_answer_invalid(call, "kind", "must be file or tpm2");
	*ret_order = order;
	return 0;
}

/* A mirror on the filesystem of the main copy is lost together with it. */
static void order_note_near(
		struct vault *vault, const struct mirror_order *order, char *ret_note, size_t len)
{
	struct mirror_row row = {.kind = order->kind};

	if (!order->location)
		return;
	snprintf(row.location, sizeof(row.location), "%s", order->location);
	if (mirror_medium_is_near(&vault->root, &row))
		snprintf(ret_note, len,
				"%s is on the same filesystem as the keeper's own directory: if "
				"one is lost, so is the other",
				order->location);
}

static int root_change(struct control_call *call,
		int (*change)(struct eraser *, const struct mirror_order *, struct reason *))
{
	struct reason reason = {""};
	char note[SENTENCE_BYTES + ROOT_LOCATION_BYTES] = "";
	struct mirror_order order;
	int r = order_read(call, &order);

	if (r != 0)
		return r;
	r = change(&call->vault->eraser, &order, &reason);
	if (r < 0)
		return root_fail(call, r, &reason);
	/* Only a note: on a test system both may well share a filesystem. */
	order_note_near(call->vault, &order, note, sizeof(note));
	return root_answer(call, note);
}

int control_root_add(struct control_call *call)
{
	return root_change(call, mirror_change_add);
}

int control_root_replace(struct control_call *call)
{
	return root_change(call, mirror_change_replace);
}

/* The change is noted, but a copy is away that the epoch needs. */
static const char *order_note_owed(struct vault *vault)
{
	uint64_t changed = 0;

	if (mirror_table_get_changed(vault->db, &changed) < 0 || changed != vault_epoch(vault))
		return "";
	return "the epoch after this change waits until every copy of the root can be reached: "
	       "what is sealed until then opens with a copy that was given up";
}

int control_root_drop(struct control_call *call)
{
	struct reason reason = {""};
	struct mirror_order order;
	int r = order_read(call, &order);

	if (r != 0)
		return r;
	r = mirror_change_drop(&call->vault->eraser, &order, &reason);
	return r < 0 ? root_fail(call, r, &reason)
		     : root_answer(call, order_note_owed(call->vault));
}

json_t *control_root_given_up(struct vault *vault)
{
	_cleanup_free_ struct mirror_row *rows = NULL;
	/* A list that cannot be read must not look like an empty one. */
	size_t n = 0;
	json_t *sentences = json_array();

	if (mirror_table_list(vault->db, &rows, &n) < 0) {
		n = 0;
		json_array_append_new(sentences,
				json_string("cannot read from keeper.db which copies of the root "
					    "were given up"));
	}
	for (size_t i = 0; i < n; i++) {
		if (rows[i].state == MIRROR_GIVEN_UP)
			json_array_append_new(sentences,
					json_sprintf("the copy of the root at %s, given up at "
						     "epoch %" PRIu64
						     " while it was away: whoever has it, and a "
						     "copy of the storage from up to that epoch, "
						     "can open what was sealed by then",
							rows[i].location, rows[i].given_up_epoch));
	}
	return sentences;
}

void control_root_warn(struct vault *vault, json_t *warnings)
{
	struct reason away = {""};

	mirrors_check_paths(&vault->root);
	const struct root_member *own = &vault->root.copies->member[0];
	if (own->provider && *own->why_away.text)
		json_array_append_new(warnings,
				json_sprintf("the root (%s): %s; do not stop the keeper before "
					     "that is put right, nothing is erased until then",
						own->location, own->why_away.text));
	mirrors_explain_away(&vault->root, &away);
	if (*away.text)
		json_array_append_new(warnings,
				json_sprintf("nothing is erased until it is back: %s", away.text));
}
