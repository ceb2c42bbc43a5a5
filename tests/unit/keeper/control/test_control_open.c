/* OpenRecording and UnwrapFileKey on a real vault: what gives out keys. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "crypto/age_stream.h"
#include "crypto/rec_stanza.h"
#include "storage/tables/db_internal.h"
#include "tests/unit/support/control_fixture.h"

#define PLAIN_BYTES 100000

static void assert_plaintext(const struct client *client, off_t payload_offset)
{
	uint8_t key[AGE_PAYLOAD_KEY_BYTES];
	_cleanup_free_ uint8_t *plain = malloc(PLAIN_BYTES);
	struct age_range *range;
	size_t n;

	assert_int_equal(client->fds.count, 2);
	assert_int_equal(fcntl(client->fds.fd[0], F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(secret_from_fd(client->fds.fd[1], key, sizeof(key)), 0);
	assert_int_equal(age_range_open(client->fds.fd[0], payload_offset, key, &range), 0);
	assert_int_equal(age_range_plain_bytes(range), PLAIN_BYTES);
	assert_int_equal(age_range_read(range, plain, PLAIN_BYTES, 0, &n), 0);
	assert_int_equal(n, PLAIN_BYTES);
	for (size_t i = 0; i < PLAIN_BYTES; i++)
		assert_int_equal(plain[i], vault_fixture_byte(i));
	age_range_free(range);
}

static void test_open(void **state)
{
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", PLAIN_BYTES, 1, &id);
	json_t *reply = call(f, "OpenRecording", open_parameters(id, "play", "client asked"));
	const json_t *parameters = json_object_get(reply, "parameters");
	assert_null(json_object_get(reply, "error"));
	assert_int_equal(int_of(parameters, "object_fd"), 0);
	assert_int_equal(int_of(parameters, "key_fd"), 1);
	assert_plaintext(&f->client, int_of(parameters, "payload_offset"));
	json_decref(reply);
	assert_audit(f, "play", id, "client asked");
	json_decref(call(f, "OpenRecording", open_parameters(id, "verify", "monthly check")));
	assert_audit(f, "verify", id, "monthly check");
}

static void test_open_errors(void **state)
{
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 1, 1, &id);
	refute(f, "OpenRecording", open_parameters(id, "play", "  "), INTERFACE "Invalid",
			"parameter", "reason");
	refute(f, "OpenRecording", open_parameters(id, "play", "a\nb"), INTERFACE "Invalid",
			"parameter", "reason");
	refute(f, "OpenRecording", open_parameters(id, "copy", "why"), INTERFACE "Invalid",
			"parameter", "purpose");
	refute(f, "OpenRecording", open_parameters(NO_SUCH, "play", "why"), INTERFACE "NotFound",
			NULL, NULL);
	assert_int_equal(count_audit(f, "play"), 0);
	assert_int_equal(f->client.fds.count, 0);
}

static void test_open_missing_object(void **state)
{
	struct fixture *f = *state;
	uint8_t ulid[ULID_BYTES];
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 1, 1, &id);
	assert_int_equal(ulid_parse(id, ulid), 0);
	assert_int_equal(object_store_remove(f->state.vault->store, ulid), 0);
	refute(f, "OpenRecording", open_parameters(id, "play", "why"), INTERFACE "Damaged", "why",
			"the sealed object is missing from the object directory");
	assert_int_equal(count_audit(f, "play"), 0);
	json_t *status = ask(f, "Status", NULL, "status");
	assert_non_null(strstr(text_of(status, "last_error"), "missing"));
	json_decref(status);
}

/* What the age plugin sends for this recording: read from its object. */
static json_t *unwrap_parameters(struct fixture *f, const char *id, const uint8_t tag_hash[32],
		struct age_header *ret_header, uint8_t **ret_bytes)
{
	char body[128], hash[128];
	uint8_t ulid[ULID_BYTES];
	struct rec_stanza stanza;

	assert_int_equal(ulid_parse(id, ulid), 0);
	_cleanup_close_ int fd = object_store_open_object(f->state.vault->store, ulid);
	assert_int_equal(age_header_read(fd, ret_header, ret_bytes), 0);
	assert_int_equal(rec_stanza_find(ret_header, &stanza), 0);
	const struct age_stanza *age = age_header_find(ret_header, REC_STANZA_TYPE);
	sodium_bin2base64(body, sizeof(body), age->body, age->body_len,
			sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	sodium_bin2base64(hash, sizeof(hash), tag_hash ? tag_hash : stanza.tag_hash, 32,
			sodium_base64_VARIANT_ORIGINAL);
	return json_pack("{s:[s, s], s:s, s:s}", "args", age->args[1], age->args[2], "body", body,
			"tag_sha256", hash);
}

/* No key leaves that is not on record. */
static void test_open_needs_the_audit_log(void **state)
{
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 1, 1, &id);
	assert_int_equal(db_run(f->state.vault->db,
					 "CREATE TEMP TRIGGER full BEFORE INSERT ON audit"
					 " BEGIN SELECT RAISE(ABORT, 'full'); END",
					 ""),
			0);
	json_t *reply = call(f, "OpenRecording", open_parameters(id, "play", "why"));
	assert_string_equal(text_of(reply, "error"), INTERFACE "Failed");
	assert_int_equal(f->client.fds.count, 0);
	json_decref(reply);
	struct age_header header;
	uint8_t *bytes;
	refute(f, "UnwrapFileKey", unwrap_parameters(f, id, NULL, &header, &bytes),
			INTERFACE "Failed", NULL, NULL);
	assert_int_equal(f->client.fds.count, 0);
	age_header_free(&header);
	free(bytes);
	/* Later calls are not caught in a transaction that was left open. */
	assert_int_equal(db_run(f->state.vault->db, "DROP TRIGGER full", ""), 0);
	json_decref(call(f, "OpenRecording", open_parameters(id, "play", "why")));
	assert_audit(f, "play", id, "why");
}

static void test_closed_account_is_not_played(void **state)
{
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 1, 1, &id);
	sql(f, "UPDATE account SET state = ? WHERE state = 1", ACCOUNT_CLOSED);
	refute(f, "OpenRecording", open_parameters(id, "play", "why"), INTERFACE "Refused", NULL,
			NULL);
	assert_audit(f, "refused", id, "OpenRecording: play: the recording's account is closed");
	json_decref(call(f, "OpenRecording", open_parameters(id, "verify", "why")));
	assert_audit(f, "verify", id, "why");
	sql(f, "UPDATE account SET state = ? WHERE state = 2", ACCOUNT_OPEN);
	json_decref(call(f, "OpenRecording", open_parameters(id, "play", "why")));
	assert_audit(f, "play", id, "why");
}

static void test_unwrap(void **state)
{
	struct fixture *f = *state;
	struct age_header header;
	uint8_t *bytes, file_key[AGE_FILE_KEY_BYTES];
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 1, 1, &id);
	json_t *reply = call(f, "UnwrapFileKey", unwrap_parameters(f, id, NULL, &header, &bytes));
	const json_t *parameters = json_object_get(reply, "parameters");
	assert_null(json_object_get(reply, "error"));
	assert_string_equal(text_of(parameters, "recording"), id);
	assert_int_equal(int_of(parameters, "key_fd"), 0);
	assert_int_equal(f->client.fds.count, 1);
	assert_int_equal(secret_from_fd(f->client.fds.fd[0], file_key, sizeof(file_key)), 0);
	assert_int_equal(age_header_verify(&header, bytes, file_key), 0);
	json_decref(reply);
	age_header_free(&header);
	free(bytes);
	assert_audit(f, "unwrap", id, NULL);
}

static void test_unwrap_errors(void **state)
{
	static const uint8_t other[32] = {1};
	struct fixture *f = *state;
	struct age_header header;
	uint8_t *bytes;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 1, 1, &id);
	refute(f, "UnwrapFileKey", unwrap_parameters(f, id, other, &header, &bytes),
			INTERFACE "Invalid", "parameter", "body");
	age_header_free(&header);
	free(bytes);
	json_t *good = unwrap_parameters(f, id, NULL, &header, &bytes);
	const char *const breaks[] = {"[\"x\"]", "[]", "[\"01\", \"AAAAAAAAAAAAAAAAAAAAAA\"]"};
	for (size_t i = 0; i < ELEMENTSOF(breaks); i++) {
		json_t *bad = json_deep_copy(good);
		json_object_set_new(bad, "args", json_loads(breaks[i], 0, NULL));
		refute(f, "UnwrapFileKey", bad, INTERFACE "Invalid", "parameter", "args");
	}
	json_t *bad = json_deep_copy(good);
	json_object_set_new(bad, "tag_sha256", json_string("AAAA"));
	refute(f, "UnwrapFileKey", bad, INTERFACE "Invalid", "parameter", "tag_sha256");
	bad = json_deep_copy(good);
	json_object_set_new(bad, "body", json_string("not base64"));
	refute(f, "UnwrapFileKey", bad, INTERFACE "Invalid", "parameter", "body");
	bad = json_deep_copy(good);
	json_object_set_new(bad, "args", json_loads("[7]", 0, NULL));
	refute(f, "UnwrapFileKey", bad, "org.varlink.service.InvalidParameter", "parameter",
			"args");
	json_array_set_new(json_object_get(good, "args"), 0, json_string(NO_SUCH));
	refute(f, "UnwrapFileKey", good, INTERFACE "NotFound", NULL, NULL);
	age_header_free(&header);
	free(bytes);
	assert_int_equal(count_audit(f, "unwrap"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			WITH_VAULT(test_open),
			WITH_VAULT(test_open_errors),
			WITH_VAULT(test_open_missing_object),
			WITH_VAULT(test_open_needs_the_audit_log),
			WITH_VAULT(test_closed_account_is_not_played),
			WITH_VAULT(test_unwrap),
			WITH_VAULT(test_unwrap_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
