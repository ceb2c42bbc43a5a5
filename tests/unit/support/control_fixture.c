#include "tests/unit/support/control_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "storage/tables/audit.h"
#include "storage/tables/db_internal.h"

static void start_control(struct fixture *f)
{
	int fd = socket_listen(f->path, SOCK_STREAM, 0666);

	assert_true(fd >= 0);
	assert_int_equal(control_start(&f->loop, f->state.vault, f->intake, fd, &f->control), 0);
}

int control_fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	vault_fixture_open(&f->state);
	snprintf(f->path, sizeof(f->path), "%s/control", f->state.dir);
	snprintf(f->intake_path, sizeof(f->intake_path), "%s/intake", f->state.dir);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	start_control(f);
	client_connect(&f->client, &f->loop, f->path);
	*state = f;
	return 0;
}

int control_fixture_teardown(void **state)
{
	struct fixture *f = *state;

	client_close(&f->client);
	control_stop(f->control);
	if (f->intake)
		intake_server_stop(f->intake);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	vault_fixture_close(&f->state);
	free(f);
	return 0;
}

void restart_control(struct fixture *f)
{
	client_close(&f->client);
	control_stop(f->control);
	loop_settle(&f->loop);
	unlink(f->path);
	start_control(f);
	client_connect(&f->client, &f->loop, f->path);
}

json_t *call(struct fixture *f, const char *method, json_t *parameters)
{
	char name[64];

	snprintf(name, sizeof(name), INTERFACE "%s", method);
	return client_call(&f->client, name, parameters);
}

json_t *ask(struct fixture *f, const char *method, json_t *parameters, const char *member)
{
	json_t *reply = call(f, method, parameters);
	const char *error = json_string_value(json_object_get(reply, "error"));

	if (error)
		fail_msg("%s: %s", method, error);
	json_t *value = json_object_get(json_object_get(reply, "parameters"), member);
	assert_non_null(value);
	json_incref(value);
	json_decref(reply);
	return value;
}

void refute(struct fixture *f, const char *method, json_t *parameters, const char *error,
		const char *member, const char *value)
{
	json_t *reply = call(f, method, parameters);
	const char *name = json_string_value(json_object_get(reply, "error"));

	assert_non_null(name);
	assert_string_equal(name, error);
	if (member) {
		const json_t *found = json_object_get(json_object_get(reply, "parameters"), member);
		assert_string_equal(json_string_value(found), value);
	}
	json_decref(reply);
}

const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

json_int_t int_of(const json_t *object, const char *key)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

json_t *open_parameters(const char *id, const char *purpose, const char *reason)
{
	return json_pack("{s:s, s:s, s:s}", "id", id, "purpose", purpose, "reason", reason);
}

void sql(struct fixture *f, const char *statement, int64_t value)
{
	assert_int_equal(db_run(f->state.vault->db, statement, "i", value), 0);
}

int64_t count_audit(struct fixture *f, const char *action)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;

	assert_int_equal(
			db_start(f->state.vault->db, &q,
					"SELECT count(*) FROM audit WHERE action = ?", "t", action),
			0);
	assert_int_equal(db_next(f->state.vault->db, q), 1);
	return sqlite3_column_int64(q, 0);
}

void assert_audit(struct fixture *f, const char *action, const char *subject, const char *reason)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	struct db *db = f->state.vault->db;
	int64_t records, bad;

	assert_int_equal(db_start(db, &q,
					 "SELECT action, subject, reason, uid FROM audit"
					 " ORDER BY seq DESC LIMIT 1",
					 ""),
			0);
	assert_int_equal(db_next(db, q), 1);
	assert_string_equal((const char *)sqlite3_column_text(q, 0), action);
	assert_string_equal((const char *)sqlite3_column_text(q, 1), subject);
	if (reason)
		assert_string_equal((const char *)sqlite3_column_text(q, 2), reason);
	else
		assert_int_equal(sqlite3_column_type(q, 2), SQLITE_NULL);
	assert_int_equal(audit_verify(db, &records, &bad), 0);
}
