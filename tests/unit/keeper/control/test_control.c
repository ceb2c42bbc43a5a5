/* What the control interface shows, on a real vault: status, lists, recordings, accounts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/keeper/erasure/bury.h"
#include "storage/tables/db_internal.h"
#include "tests/unit/support/control_fixture.h"

#define PLAIN_BYTES 100000

static void test_status(void **state)
{
	struct fixture *f = *state;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 3, NULL);
	vault_fixture_seal(&f->state, NULL, "b.wav", 10, 1, NULL);
	json_t *status = ask(f, "Status", NULL, "status");
	assert_string_equal(text_of(status, "version"), VERSION);
	assert_string_equal(text_of(status, "assurance"), "file");
	assert_non_null(strstr(text_of(status, "assurance_sentence"), "epoch 1"));
	assert_int_equal(int_of(status, "epoch"), 1);
	assert_int_equal(strlen(text_of(status, "vault")), ULID_TEXT_CHARS);
	assert_int_equal(int_of(json_object_get(status, "recordings"), "sealed"), 3);
	assert_int_equal(int_of(json_object_get(status, "recordings"), "quarantined"), 1);
	assert_int_equal(int_of(json_object_get(status, "recordings"), "destroyed"), 0);
	assert_int_equal(int_of(json_object_get(status, "accounts"), "open"), 1);
	assert_true(json_is_false(json_object_get(status, "intake_connected")));
	assert_true(json_is_null(json_object_get(json_object_get(status, "exposure_s"), "p50")));
	assert_true(json_is_null(json_object_get(status, "last_error")));
	assert_true(int_of(status, "object_free_bytes") > 0);
	assert_true(json_array_size(json_object_get(status, "warnings")) >= 1);
	json_decref(status);
}

/* Until the server has read all that the fake intake sent. */
static json_t *status_with_intake(struct fixture *f, json_t *spools)
{
	int fd = socket_connect(f->intake_path, SOCK_SEQPACKET);
	json_t *hello = json_pack("{s:s, s:i}", "op", "hello", "version", INTAKE_WIRE_VERSION);
	json_t *report = json_pack("{s:s, s:o}", "op", "report", "spools", spools);

	assert_true(fd >= 0);
	assert_int_equal(intake_wire_send(fd, hello, NULL), 0);
	assert_int_equal(intake_wire_send(fd, report, NULL), 0);
	json_decref(hello);
	json_decref(report);
	loop_settle(&f->loop);
	json_t *status = ask(f, "Status", NULL, "status");
	close(fd);
	loop_settle(&f->loop);
	return status;
}

static void start_intake(struct fixture *f)
{
	int fd = socket_listen(f->intake_path, SOCK_SEQPACKET, 0600);

	assert_true(fd >= 0);
	assert_int_equal(intake_server_start(&f->loop, &f->state.vault->ingest, fd, geteuid(),
					 &vault_fixture_observer, &f->intake),
			0);
	restart_control(f);
}

static void test_status_with_an_intake(void **state)
{
	struct fixture *f = *state;

	start_intake(f);
	json_t *status = status_with_intake(f,
			json_pack("[{s:s, s:s, s:i, s:i, s:I}, {s:s, s:s, s:i, s:i, s:s, s:f, s:b}]",
					"name", "one", "path", "/spool/one", "waiting", 2,
					"refused", 0, "oldest_finished_us",
					(json_int_t)(f->state.now_us - 5 * US_PER_S), "name", "two",
					"path", "/spool/two", "waiting", 1, "refused", 3,
					"last_error", "no access", "free_percent", 1.5, "low_space",
					1));
	const json_t *sum = json_object_get(status, "spool");
	assert_true(json_is_true(json_object_get(status, "intake_connected")));
	assert_int_equal(int_of(sum, "waiting"), 3);
	assert_int_equal(int_of(sum, "refused"), 3);
	assert_true(json_real_value(json_object_get(sum, "oldest_unsealed_s")) == 5.0);
	assert_int_equal(json_array_size(json_object_get(status, "spools")), 2);
	char *warnings = json_dumps(json_object_get(status, "warnings"), 0);
	assert_non_null(strstr(warnings, "spool two: no access"));
	assert_non_null(strstr(warnings, "spool two: 3 files"));
	assert_non_null(strstr(warnings, "spool two: its filesystem has 1.5% of its space left"));
	assert_null(strstr(warnings, "spool one"));
	assert_null(strstr(warnings, "not connected"));
	free(warnings);
	json_decref(status);
}

/* Another process's word must not break, or forge, what an operator sees. */
static void test_status_with_a_hostile_intake(void **state)
{
	struct fixture *f = *state;

	start_intake(f);
	json_t *status = status_with_intake(
			f, json_pack("[i, {s:i}, {s:s, s:s, s:I, s:I, s:I, s:s, s:f, s:s}]", 7,
					   "name", 7, "name", "\x1b[2J", "path", "/x", "waiting",
					   INT64_MAX, "refused", INT64_MIN, "oldest_finished_us",
					   INT64_MIN, "last_error", "a\nb", "free_percent", 1e300,
					   "low_space", "yes"));
	char *text = json_dumps(status, 0);
	assert_null(strstr(text, "\\u001b"));
	assert_null(strstr(text, "\\n"));
	free(text);
	json_decref(status);
}

/* Receives all pages and returns the rows; *ret_pages counts. */
static json_t *list(struct fixture *f, const char *method, json_t *parameters, const char *member,
		size_t *ret_pages)
{
	char name[64];
	json_t *all = json_array();
	size_t pages = 0;
	bool more = true;

	snprintf(name, sizeof(name), INTERFACE "%s", method);
	json_t *request = json_pack(
			"{s:s, s:b, s:o*}", "method", name, "more", true, "parameters", parameters);
	char *text = json_dumps(request, 0);
	client_send(&f->client, text);
	free(text);
	json_decref(request);
	for (; more; pages++) {
		json_t *reply = client_receive(&f->client, NULL);
		assert_non_null(reply);
		assert_null(json_object_get(reply, "error"));
		json_array_extend(
				all, json_object_get(json_object_get(reply, "parameters"), member));
		more = json_is_true(json_object_get(reply, "continues"));
		json_decref(reply);
	}
	if (ret_pages)
		*ret_pages = pages;
	return all;
}

static size_t count_list(struct fixture *f, json_t *parameters)
{
	json_t *all = list(f, "ListRecordings", parameters, "recordings", NULL);
	size_t n = json_array_size(all);

	json_decref(all);
	return n;
}

static void test_list_pages_in_order(void **state)
{
	struct fixture *f = *state;
	enum { N = 401 };
	id_text *ids = calloc(N, sizeof(*ids));
	size_t pages;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 1, N, ids);
	json_t *all = list(f, "ListRecordings", NULL, "recordings", &pages);
	assert_int_equal(pages, 7);
	assert_int_equal(json_array_size(all), N);
	for (size_t i = 0; i < N; i++)
		assert_string_equal(text_of(json_array_get(all, i), "id"), ids[i]);
	json_decref(all);
	free(ids);
}

static void test_list_of_nothing(void **state)
{
	struct fixture *f = *state;
	size_t pages;
	json_t *all = list(f, "ListRecordings", NULL, "recordings", &pages);

	assert_int_equal(json_array_size(all), 0);
	assert_int_equal(pages, 1);
	json_decref(all);
}

/* Long names make pages short. */
static void test_page_bytes_are_bounded(void **state)
{
	struct fixture *f = *state;
	char path[4001];
	size_t pages;

	memset(path, '\x01', sizeof(path));
	path[4000] = '\0';
	vault_fixture_seal(&f->state, "alice", path, 1, 60, NULL);
	client_send(&f->client, "{\"method\":\"" INTERFACE "ListRecordings\",\"more\":true}");
	for (pages = 0;; pages++) {
		size_t before = f->client.offset;
		json_t *reply = client_receive(&f->client, NULL);
		assert_true(f->client.offset - before < 1024 * 1024);
		bool more = json_is_true(json_object_get(reply, "continues"));
		json_decref(reply);
		if (!more)
			break;
	}
	assert_true(pages > 0);
}

static void test_list_filters(void **state)
{
	struct fixture *f = *state;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 1, 2, NULL);
	f->state.now_us += 3600 * US_PER_S;
	vault_fixture_seal(&f->state, "bob \xff", "bob/b.wav", 1, 3, NULL);
	vault_fixture_seal(&f->state, NULL, "c.wav", 1, 1, NULL);
	char then[RFC3339_BYTES];
	clock_format_rfc3339(f->state.now_us, then);
	assert_int_equal(count_list(f, NULL), 6);
	assert_int_equal(count_list(f, json_pack("{s:s}", "account", "alice")), 2);
	assert_int_equal(count_list(f, json_pack("{s:s}", "account", "bob \\xff")), 3);
	assert_int_equal(count_list(f, json_pack("{s:n}", "account")), 6);
	assert_int_equal(count_list(f, json_pack("{s:s}", "state", "quarantined")), 1);
	assert_int_equal(count_list(f, json_pack("{s:s}", "since", then)), 4);
	assert_int_equal(count_list(f, json_pack("{s:s}", "until", then)), 2);
	assert_int_equal(count_list(f, json_pack("{s:s}", "until", "1970-01-01")), 0);
}

static void expect_list_error(struct fixture *f, const char *parameters, const char *error)
{
	char text[256];

	snprintf(text, sizeof(text),
			"{\"method\":\"" INTERFACE
			"ListRecordings\",\"more\":true,\"parameters\":%s}",
			parameters);
	client_send(&f->client, text);
	json_t *reply = client_receive(&f->client, NULL);
	assert_string_equal(text_of(reply, "error"), error);
	assert_null(json_object_get(reply, "continues"));
	json_decref(reply);
}

static void test_list_errors(void **state)
{
	struct fixture *f = *state;

	expect_list_error(f, "{\"account\":\"nobody\"}", INTERFACE "NotFound");
	expect_list_error(f, "{\"state\":\"sleepy\"}", INTERFACE "Invalid");
	expect_list_error(f, "{\"since\":\"yesterday\"}", INTERFACE "Invalid");
	expect_list_error(f, "{\"until\":7}", "org.varlink.service.InvalidParameter");
	expect_list_error(f, "{\"limit\":\"7\"}", "org.varlink.service.InvalidParameter");
	refute(f, "ListRecordings", NULL, "org.varlink.service.ExpectedMore", NULL, NULL);
	refute(f, "ListAccounts", NULL, "org.varlink.service.ExpectedMore", NULL, NULL);
}

static void test_accounts(void **state)
{
	struct fixture *f = *state;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 2, NULL);
	json_t *all = list(f, "ListAccounts", NULL, "accounts", NULL);
	assert_int_equal(json_array_size(all), 2);
	assert_string_equal(text_of(json_array_get(all, 0), "state"), "quarantine");
	assert_string_equal(text_of(json_array_get(all, 1), "name"), "alice");
	json_t *account = ask(f, "ShowAccount", json_pack("{s:s}", "account", "alice"), "account");
	assert_true(json_equal(account, json_array_get(all, 1)));
	assert_int_equal(int_of(account, "plaintext_bytes"), 20);
	assert_int_equal(int_of(json_object_get(account, "recordings"), "sealed"), 2);
	assert_non_null(text_of(account, "oldest_at"));
	assert_null(json_object_get(account, "deleted_at"));
	json_t *same = ask(f, "ShowAccount",
			json_pack("{s:s}", "account", text_of(account, "handle")), "account");
	assert_true(json_equal(account, same));
	json_decref(same);
	json_decref(account);
	json_decref(all);
	refute(f, "ShowAccount", json_pack("{s:s}", "account", "bob"), INTERFACE "NotFound", "what",
			"account bob");
}

static void test_show(void **state)
{
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/caf\xc3\xa9 \xff.wav", PLAIN_BYTES, 1, &id);
	json_t *r = ask(f, "ShowRecording", json_pack("{s:s}", "id", id), "recording");
	assert_string_equal(text_of(r, "id"), id);
	assert_string_equal(text_of(r, "account"), "alice");
	assert_string_equal(text_of(r, "state"), "sealed");
	assert_string_equal(text_of(r, "condition"), "ok");
	assert_string_equal(text_of(r, "format"), "wav/pcm_s16le");
	assert_string_equal(text_of(r, "spool"), "bridge");
	assert_string_equal(text_of(r, "path"), "alice/caf\xc3\xa9 \\xff.wav");
	assert_string_equal(text_of(r, "name"), "caf\xc3\xa9 \\xff.wav");
	assert_int_equal(int_of(r, "plaintext_bytes"), PLAIN_BYTES);
	assert_true(json_real_value(json_object_get(r, "duration_s")) == 1.5);
	assert_null(json_object_get(r, "destroyed_at"));
	assert_null(json_object_get(r, "damage"));
	assert_non_null(strstr(text_of(r, "object"), id));
	json_decref(r);
	refute(f, "ShowRecording", json_pack("{s:s}", "id", "01"), INTERFACE "Invalid", "parameter",
			"id");
	refute(f, "ShowRecording", json_pack("{s:s}", "id", NO_SUCH), INTERFACE "NotFound", NULL,
			NULL);
}

static void test_parameters_are_checked(void **state)
{
	struct fixture *f = *state;
	char longest[CONTROL_TEXT_MAX + 2];

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	refute(f, "ShowAccount", NULL, "org.varlink.service.InvalidParameter", "parameter",
			"account");
	refute(f, "ShowAccount", json_pack("{s:n}", "account"),
			"org.varlink.service.InvalidParameter", "parameter", "account");
	refute(f, "ShowAccount", json_pack("{s:s, s:i}", "account", "a", "x", 1),
			"org.varlink.service.InvalidParameter", "parameter", "x");
	refute(f, "ShowAccount", json_pack("{s:s}", "account", longest), INTERFACE "Invalid",
			"parameter", "account");
	refute(f, "ShowAccount", json_pack("{s:s}", "account", "a\033[m"), INTERFACE "Invalid",
			"parameter", "account");
	refute(f, "ShowAccount", json_pack("{s:s}", "account", "a\xe2\x80\xae"),
			INTERFACE "Invalid", "parameter", "account");
	longest[sizeof(longest) - 2] = '\0';
	refute(f, "ShowAccount", json_pack("{s:s}", "account", longest), INTERFACE "NotFound", NULL,
			NULL);
	refute(f, "Nothing", NULL, "org.varlink.service.MethodNotFound", "method",
			INTERFACE "Nothing");
}

static void assert_states(struct fixture *f, const char *account, size_t sealed, size_t destroyed,
		const char *gone)
{
	const size_t expected[] = {sealed, 0, destroyed};
	static const char *const names[] = {"sealed", "pending", "destroyed"};
	json_t *status = ask(f, "Status", NULL, "status");
	json_t *all = json_object_get(status, "recordings");
	json_t *one = ask(f, "ShowAccount", json_pack("{s:s}", "account", account), "account");

	for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
		assert_int_equal(count_list(f, json_pack("{s:s}", "state", names[i])), expected[i]);
		assert_int_equal(int_of(all, names[i]), expected[i]);
	}
	assert_int_equal(int_of(json_object_get(one, "recordings"), "destroyed"), destroyed);
	assert_int_equal(int_of(json_object_get(one, "recordings"), "sealed"), 0);
	assert_null(json_object_get(one, "oldest_at"));
	json_decref(one);
	json_decref(status);
	json_t *row = ask(f, "ShowRecording", json_pack("{s:s}", "id", gone), "recording");
	assert_string_equal(text_of(row, "state"), "destroyed");
	assert_int_equal(int_of(row, "destroyed_epoch"), 2);
	assert_null(json_object_get(row, "path"));
	json_decref(row);
	refute(f, "OpenRecording", open_parameters(gone, "play", "test"), INTERFACE "Gone", NULL,
			NULL);
}

/* Whatever is asked, the answers are those of a shred that is complete, before its rows are written
 * and after each of them. */
static void test_a_shred_is_seen_at_once(void **state)
{
	struct fixture *f = *state;
	bool more = true;
	id_text ids[3];

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 1, 3, ids);
	vault_fixture_seal(&f->state, "bob", "bob/a.wav", 1, 2, NULL);
	json_t *row = ask(f, "ShowRecording", json_pack("{s:s}", "id", ids[0]), "recording");
	assert_int_equal(vault_fixture_erase(&f->state, ERASE_ACCOUNT, ids[0]), 0);
	while (more) {
		assert_states(f, text_of(row, "account_handle"), 2, 3, ids[2]);
		assert_int_equal(bury_rows(f->state.vault->db, 1, &more, NULL), 0);
	}
	assert_states(f, text_of(row, "account_handle"), 2, 3, ids[2]);
	json_decref(row);
}

static void test_interface_is_served_as_written(void **state)
{
	struct fixture *f = *state;
	const char *srcdir = getenv("srcdir");
	char path[512], text[32768];

	snprintf(path, sizeof(path), "%s/daemon/keeper/control/org.recseal.control.varlink",
			srcdir ? srcdir : ".");
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	json_t *reply = client_call(&f->client, "org.varlink.service.GetInterfaceDescription",
			json_pack("{s:s}", "interface", "org.recseal.control"));
	assert_string_equal(text_of(json_object_get(reply, "parameters"), "description"), text);
	json_decref(reply);
}

/* Makes the next change of a row behind the back of its mac. */
static void edit_recording(struct fixture *f, const char *statement)
{
	assert_int_equal(db_run(f->state.vault->db, "DROP TRIGGER temp.recording_changed", ""), 0);
	sql(f, statement, 1);
}

static bool any_contains(const json_t *sentences, const char *part)
{
	const json_t *sentence;
	size_t i;

	json_array_foreach(sentences, i, sentence)
	{
		if (strstr(json_string_value(sentence), part))
			return true;
	}
	return false;
}

/* Nothing of it is believed, but nobody is left to wonder where it is. */
static void test_an_altered_recording(void **state)
{
	struct fixture *f = *state;
	id_text ids[2];

	vault_fixture_seal(&f->state, "alice", "a", 1, 2, ids);
	json_t *findings = list(f, "VerifyCatalog", NULL, "findings", NULL);
	assert_int_equal(json_array_size(findings), 0);
	json_decref(findings);
	edit_recording(f, "UPDATE recording SET destroyed_us = 5, state = 5 WHERE id = ?");
	json_t *all = list(f, "ListRecordings", NULL, "recordings", NULL);
	assert_int_equal(json_array_size(all), 2);
	assert_string_equal(text_of(json_array_get(all, 0), "state"), "altered");
	assert_string_equal(text_of(json_array_get(all, 1), "state"), "sealed");
	json_decref(all);
	json_t *reply = call(f, "ShowRecording", json_pack("{s:s}", "id", ids[0]));
	assert_non_null(strstr(text_of(json_object_get(reply, "parameters"), "why"), "altered"));
	json_decref(reply);
	findings = list(f, "VerifyCatalog", NULL, "findings", NULL);
	assert_true(any_contains(findings, ids[0]));
	json_decref(findings);
	json_t *status = ask(f, "Status", NULL, "status");
	assert_true(any_contains(json_object_get(status, "warnings"), "altered"));
	json_decref(status);
}

/* By a bug, or by somebody with the root: the row is genuine, and lies. */
static void test_a_tombstone_with_a_key(void **state)
{
	struct fixture *f = *state;
	struct db *db = f->state.vault->db;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "a", 1, 1, &id);
	struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, db), 0);
	assert_int_equal(catalog_recording_bury(db, 1, RECORDING_DESTROYED, 5, 1), 0);
	assert_int_equal(db_transaction_commit(&transaction), 0);
	json_t *findings = list(f, "VerifyCatalog", NULL, "findings", NULL);
	assert_int_equal(json_array_size(findings), 1);
	assert_true(any_contains(findings, "its key still opens"));
	assert_true(any_contains(findings, id));
	json_decref(findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			WITH_VAULT(test_status),
			WITH_VAULT(test_an_altered_recording),
			WITH_VAULT(test_a_tombstone_with_a_key),
			WITH_VAULT(test_status_with_an_intake),
			WITH_VAULT(test_status_with_a_hostile_intake),
			WITH_VAULT(test_list_pages_in_order),
			WITH_VAULT(test_list_of_nothing),
			WITH_VAULT(test_page_bytes_are_bounded),
			WITH_VAULT(test_list_filters),
			WITH_VAULT(test_list_errors),
			WITH_VAULT(test_accounts),
			WITH_VAULT(test_show),
			WITH_VAULT(test_parameters_are_checked),
			WITH_VAULT(test_a_shred_is_seen_at_once),
			WITH_VAULT(test_interface_is_served_as_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
