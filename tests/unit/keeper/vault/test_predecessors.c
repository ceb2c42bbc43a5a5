/* What the keeper keeps with a recording: which one it follows, what lay beside it, and that its
 * bridge did not want it; all of it sealed, and gone with its keys. */
#include "tests/unit/support/control_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/keeper/vault/predecessors.h"

static void read_private(
		struct vault_fixture *vault, const char *id, struct recording_private *ret_private)
{
	struct recording_row row;

	vault_fixture_row(vault, id, &row);
	assert_int_equal(recordings_private(vault->vault->root.tree, &row, ret_private), 0);
	catalog_recording_clear(&row);
}

/* The id of the recording that this one follows, or "" for none. */
static const char *followed(struct vault_fixture *vault, const char *id)
{
	static vault_fixture_id text;
	struct recording_private private;

	read_private(vault, id, &private);
	snprintf(text, sizeof(text), "%s", private.follows ? private.follows : "");
	recording_private_clear(&private);
	return text;
}

static void seal_one(struct vault_fixture *vault, const char *account, const char *path,
		vault_fixture_id *ret_id)
{
	vault_fixture_seal(vault, account, path, 10, 1, ret_id);
}

static void test_a_file_written_on_follows(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id first, second, third;

	seal_one(vault, "alice", "alice/a.wav", &first);
	assert_string_equal(followed(vault, first), "");
	seal_one(vault, "alice", "alice/a.wav", &second);
	assert_string_equal(followed(vault, second), first);
	assert_int_equal(vault_fixture_reopen(vault, 0, NULL), 0);
	seal_one(vault, "alice", "alice/a.wav", &third);
	assert_string_equal(followed(vault, third), second);
	/* Each is there by itself. */
	assert_int_equal(vault_fixture_state(vault, first), RECORDING_SEALED);
	assert_string_equal(followed(vault, second), first);
}

static void test_in_one_commit(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id ids[3];

	vault_fixture_seal(vault, "alice", "alice/a.wav", 10, 3, ids);
	assert_string_equal(followed(vault, ids[0]), "");
	assert_string_equal(followed(vault, ids[1]), ids[0]);
	assert_string_equal(followed(vault, ids[2]), ids[1]);
}

static void test_other_places_do_not(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id id;

	seal_one(vault, "alice", "a.wav", NULL);
	seal_one(vault, "alice", "b.wav", &id);
	assert_string_equal(followed(vault, id), "");
	seal_one(vault, "bob", "a.wav", &id); /* another account is another vault */
	assert_string_equal(followed(vault, id), "");
	struct ingest_request request = vault_fixture_request(vault, "alice", "a.wav", 10);
	request.spool = "other";
	struct ingest_job *job = vault_fixture_begin(vault, &request);
	int result;
	ulid_format(ingest_recording_id(job), id);
	vault_fixture_commit(vault->vault, &job, 1, &result);
	assert_int_equal(result, 0);
	assert_string_equal(followed(vault, id), "");
}

static void test_quarantined_ones_follow(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id first, second;

	seal_one(vault, NULL, "a.wav", &first);
	seal_one(vault, NULL, "a.wav", &second);
	assert_string_equal(followed(vault, second), first);
}

/* The hash of a place is nowhere once its recording is destroyed; others are. */
static void test_a_place_goes_with_its_recording(void **state)
{
	static const enum erasure_kind kinds[] = {ERASE_RECORDING, ERASE_GROUP, ERASE_ACCOUNT};
	struct vault_fixture *vault = *state;
	char account[16];
	vault_fixture_id id, other;

	seal_one(vault, "keeps", "a.wav", &other);
	assert_int_equal(predecessors_count(vault->vault->predecessors), 1);
	for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
		snprintf(account, sizeof(account), "account-%zu", i);
		seal_one(vault, account, "a.wav", &id);
		assert_int_equal(predecessors_count(vault->vault->predecessors), 2);
		assert_int_equal(vault_fixture_erase(vault, kinds[i], id), 0);
		assert_int_equal(predecessors_count(vault->vault->predecessors), 1);
	}
	seal_one(vault, "account-0", "a.wav", &id); /* follows nothing any more */
	assert_string_equal(followed(vault, id), "");
	seal_one(vault, "keeps", "a.wav", &id);
	assert_string_equal(followed(vault, id), other);
}

/* After a start, an account's latest recordings are remembered again, but not what is destroyed. */
static void test_places_after_a_start(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id oldest, old, shredded, id;
	char path[32];

	seal_one(vault, "alice", "oldest.wav", &oldest);
	seal_one(vault, "alice", "old.wav", &old);
	for (int i = 0; i < PREDECESSORS_RECALLED - 2; i++) {
		snprintf(path, sizeof(path), "%d.wav", i);
		seal_one(vault, "alice", path, NULL);
	}
	seal_one(vault, "alice", "shredded.wav", &shredded);
	assert_int_equal(vault_fixture_erase(vault, ERASE_RECORDING, shredded), 0);
	assert_int_equal(vault_fixture_reopen(vault, 0, NULL), 0);
	assert_int_equal(predecessors_count(vault->vault->predecessors), 0);
	seal_one(vault, "alice", "shredded.wav", &id);
	assert_string_equal(followed(vault, id), "");
	assert_int_equal(predecessors_count(vault->vault->predecessors), 1 + PREDECESSORS_RECALLED);
	seal_one(vault, "alice", "old.wav", &id);
	assert_string_equal(followed(vault, id), old);
	seal_one(vault, "alice", "oldest.wav", &id);
	assert_string_equal(followed(vault, id), oldest);
	/* It follows the latest where a name came more than once. */
	assert_int_equal(vault_fixture_reopen(vault, 0, NULL), 0);
	seal_one(vault, "alice", "oldest.wav", &old);
	assert_string_equal(followed(vault, old), id);
}

/* However many: the memory is bounded, and what is forgotten is only not linked. */
static void test_places_are_bounded(void **state)
{
	struct vault_fixture *vault = *state;
	struct recording_row row = {.account = 1, .group = 1};
	char spool[] = "s";
	struct recording_private private = {.spool = spool};
	char path[32];

	for (int64_t i = 1; i <= PREDECESSORS_MAX + 100; i++) {
		row.id = i;
		private.path_len = (size_t)snprintf(path, sizeof(path), "%d", (int)i);
		private.path = (uint8_t *)path;
		assert_int_equal(predecessors_take(vault->vault->predecessors,
						 vault->vault->root.tree, &row, &private),
				0);
		assert_null(private.follows);
	}
	assert_int_equal(predecessors_count(vault->vault->predecessors), PREDECESSORS_MAX);
	/* many victims at once */
	struct key_path *paths = calloc(100, sizeof(*paths));
	for (int64_t i = 0; i < 100; i++)
		paths[i] = key_path_recording(2, 2, i);
	predecessors_forget(vault->vault->predecessors, paths, 10);
	assert_int_equal(predecessors_count(vault->vault->predecessors), PREDECESSORS_MAX);
	paths[0] = key_path_recording(1, 1, PREDECESSORS_MAX);
	predecessors_forget(vault->vault->predecessors, paths, 10);
	assert_int_equal(predecessors_count(vault->vault->predecessors), PREDECESSORS_MAX - 1);
	for (int64_t i = 1; i < 100; i++)
		paths[i] = key_path_recording(1, 1, PREDECESSORS_MAX - i);
	predecessors_forget(vault->vault->predecessors, paths, 100);
	assert_int_equal(predecessors_count(vault->vault->predecessors), PREDECESSORS_MAX - 100);
	paths[0] = key_path_group(1, 2);
	paths[1] = key_path_account(2);
	predecessors_forget(vault->vault->predecessors, paths, 2);
	assert_int_equal(predecessors_count(vault->vault->predecessors), PREDECESSORS_MAX - 100);
	paths[2] = key_path_group(1, 1);
	predecessors_forget(vault->vault->predecessors, paths, 3);
	assert_int_equal(predecessors_count(vault->vault->predecessors), 0);
	predecessors_forget(NULL, paths, 1);
	free(paths);
}

/* ---- Sidecars ---- */

#define SECRET_WORDS "participants of the board meeting"

static json_t *sidecar_list(const char *text)
{
	return json_pack("[{s:o, s:o}]", "path", intake_wire_base64("s/metadata.json", 15), "bytes",
			intake_wire_base64(text, strlen(text)));
}

static void seal_with(struct vault_fixture *vault, struct ingest_request *request, json_t *sidecars,
		bool discarded, vault_fixture_id *ret_id)
{
	request->sidecars = sidecars;
	request->discarded = discarded;
	struct ingest_job *job = vault_fixture_begin(vault, request);
	int result;

	ulid_format(ingest_recording_id(job), *ret_id);
	vault_fixture_commit(vault->vault, &job, 1, &result);
	assert_int_equal(result, 0);
}

static void test_sidecars_are_sealed(void **state)
{
	struct vault_fixture *vault = *state;
	struct ingest_request request = vault_fixture_request(vault, "alice", "s/a.mp4", 10);
	json_t *sidecars = sidecar_list(SECRET_WORDS), *none = json_array();
	struct recording_private private;
	struct ingest_job *job;
	uint8_t existing[ULID_BYTES];
	vault_fixture_id id;

	seal_with(vault, &request, sidecars, true, &id);
	assert_int_equal(vault_fixture_reopen(vault, 0, NULL), 0);
	read_private(vault, id, &private);
	assert_true(json_equal(private.sidecars, sidecars));
	assert_true(private.discarded);
	recording_private_clear(&private);
	/* Neither as it is nor as the wire has it; the class shows that this would find it. */
	vault_fixture_shell(vault, "! grep -qa 'of the board' $D/keeper/keeper.db*");
	vault_fixture_shell(vault, "! grep -qa cGFydGljaXBhbnRz $D/keeper/keeper.db*");
	vault_fixture_shell(vault, "grep -qa default $D/keeper/keeper.db*");
	/* The very file again: its sidecars may go when they are these. */
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &job, existing),
			INGEST_EXISTS);
	request.sidecars = none;
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &job, existing),
			INGEST_EXISTS);
	json_t *other = sidecar_list("written since");
	request.sidecars = other;
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &job, existing),
			INGEST_OTHER_SIDECARS);
	/* What was shredded does not come back, nor what lay beside it. */
	assert_int_equal(vault_fixture_erase(vault, ERASE_RECORDING, id), 0);
	assert_int_equal(ingest_begin(&vault->vault->ingest, &request, &job, existing),
			INGEST_EXISTS);
	json_decref(sidecars);
	json_decref(none);
	json_decref(other);
}

static void test_sidecars_are_checked(void **state)
{
	static const char *const bad[] = {"{}", "[1]", "[{}]", "[{\"path\":\"YQ==\"}]",
			"[{\"bytes\":\"YQ==\"}]", "[{\"path\":\"\",\"bytes\":\"YQ==\"}]",
			"[{\"path\":\"YQBi\",\"bytes\":\"YQ==\"}]",
			"[{\"path\":\"YQ==\",\"bytes\":\"?\"}]",
			"[{\"path\":\"YQ==\",\"bytes\":7}]",
			"[{\"path\":\"YQ==\",\"bytes\":\"YQ==\",\"more\":1}]"};
	_cleanup_free_ char *large = malloc(RECORDING_SIDECAR_BYTES_MAX + 1);
	json_t *list;

	assert_int_equal(recordings_check_sidecars(NULL), -RE_PROTOCOL);
	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		list = json_loads(bad[i], 0, NULL);
		assert_non_null(list);
		if (recordings_check_sidecars(list) != -RE_PROTOCOL)
			fail_msg("%s is taken", bad[i]);
		json_decref(list);
	}
	memset(large, 'x', RECORDING_SIDECAR_BYTES_MAX);
	large[RECORDING_SIDECAR_BYTES_MAX] = '\0';
	list = sidecar_list(large);
	for (int i = 1; i < RECORDING_SIDECARS_MAX; i++)
		json_array_append(list, json_array_get(list, 0));
	assert_int_equal(recordings_check_sidecars(list), 0);
	json_array_append(list, json_array_get(list, 0));
	assert_int_equal(recordings_check_sidecars(list), -RE_PROTOCOL);
	json_decref(list);
	large = realloc(large, RECORDING_SIDECAR_BYTES_MAX + 2);
	strcpy(large + RECORDING_SIDECAR_BYTES_MAX, "x");
	list = sidecar_list(large);
	assert_int_equal(recordings_check_sidecars(list), -RE_PROTOCOL);
	json_decref(list);
}

/* ---- What is shown ---- */

static void test_show_and_list(void **state)
{
	struct fixture *f = *state;
	struct ingest_request request = vault_fixture_request(&f->state, "alice", "s/a.mp4", 10);
	json_t *sidecars = sidecar_list("{\"a\":\"\x1b[2J\"}\n");
	vault_fixture_id first, id;

	seal_one(&f->state, "alice", "s/a.mp4", &first);
	seal_with(&f->state, &request, sidecars, true, &id);
	json_decref(sidecars);
	json_t *r = ask(f, "ShowRecording", json_pack("{s:s}", "id", id), "recording");
	assert_string_equal(text_of(r, "follows"), first);
	assert_true(json_is_true(json_object_get(r, "discarded")));
	const json_t *shown = json_array_get(json_object_get(r, "sidecars"), 0);
	assert_string_equal(text_of(shown, "path"), "s/metadata.json");
	assert_string_equal(text_of(shown, "text"), "{\"a\":\"\\x1b[2J\"}\\x0a");
	json_decref(r);
	r = ask(f, "ShowRecording", json_pack("{s:s}", "id", first), "recording");
	assert_null(json_object_get(r, "follows"));
	assert_null(json_object_get(r, "discarded"));
	assert_null(json_object_get(r, "sidecars"));
	json_decref(r);
	assert_int_equal(vault_fixture_erase(&f->state, ERASE_ACCOUNT, id), 0);
	r = ask(f, "ShowRecording", json_pack("{s:s}", "id", id), "recording");
	assert_null(json_object_get(r, "follows"));
	assert_null(json_object_get(r, "discarded"));
	assert_null(json_object_get(r, "sidecars"));
	json_decref(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			IN_VAULT(test_a_file_written_on_follows),
			IN_VAULT(test_in_one_commit),
			IN_VAULT(test_other_places_do_not),
			IN_VAULT(test_quarantined_ones_follow),
			IN_VAULT(test_a_place_goes_with_its_recording),
			IN_VAULT(test_places_after_a_start),
			IN_VAULT(test_places_are_bounded),
			IN_VAULT(test_sidecars_are_sealed),
			cmocka_unit_test(test_sidecars_are_checked),
			WITH_VAULT(test_show_and_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
