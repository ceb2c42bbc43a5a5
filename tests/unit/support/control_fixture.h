/* The control interface of a real vault, and a client of it. */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/keeper/control/control_method.h"
#include "tests/unit/support/loop_client.h"
#include "tests/unit/support/vault_fixture.h"

#define INTERFACE "org.recseal.control."
#define NO_SUCH   "01arz3ndektsv4rrffq69g5fav" /* a well-formed id of nothing */

typedef char id_text[ULID_TEXT_CHARS + 1];

struct fixture {
	struct vault_fixture state;
	uv_loop_t loop;
	struct intake_server *intake;
	struct control *control;
	struct client client;
	char path[128], intake_path[128];
};

int control_fixture_setup(void **state);
int control_fixture_teardown(void **state);
#define WITH_VAULT(test)                                                                           \
	cmocka_unit_test_setup_teardown(test, control_fixture_setup, control_fixture_teardown)

/* Puts a new control server, which may know an intake, in the place of the old one. */
void restart_control(struct fixture *f);

/* The whole reply; steals parameters. */
json_t *call(struct fixture *f, const char *method, json_t *parameters);
/* The member of a reply that must be no error; to be freed. */
json_t *ask(struct fixture *f, const char *method, json_t *parameters, const char *member);
/* That the call fails with this error, and this member of it (NULL: any); steals parameters. */
void refute(struct fixture *f, const char *method, json_t *parameters, const char *error,
		const char *member, const char *value);

const char *text_of(const json_t *object, const char *key);
json_int_t int_of(const json_t *object, const char *key);

/* Parameters of OpenRecording. */
json_t *open_parameters(const char *id, const char *purpose, const char *reason);

/* Changes the catalog behind the keeper's back; one number is bound. */
void sql(struct fixture *f, const char *statement, int64_t value);

/* How many records there are of an action; and what the newest record says, and that the chain
 * holds. */
int64_t count_audit(struct fixture *f, const char *action);
void assert_audit(struct fixture *f, const char *action, const char *subject, const char *reason);
