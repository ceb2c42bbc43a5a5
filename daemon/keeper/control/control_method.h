/* The methods of org.recseal.control, from inside. */
#pragma once

#include <jansson.h>

#include "daemon/keeper/control/control.h"
#include "daemon/keeper/control/refusals.h"
#include "daemon/keeper/varlink/varlink.h"

enum control_role {
	ROLE_OPERATOR = 1 << 0, /* sees state, plans a shred */
	ROLE_VIEWER = 1 << 1,   /* sees state, plays */
	ROLE_OFFICER = 1 << 2,  /* everything */
};
#define CONTROL_ROLES 3

struct control {
	struct vault *vault;
	struct intake_server *intake; /* NULL: none */
	struct varlink_server *server;
	struct varlink_service service;
	uid_t keeper_uid;
	struct control_group {
		enum control_role role;
		const char *name;
		bool exists;
		gid_t gid;
	} groups[CONTROL_ROLES];
	struct refusals refusals;
};

struct control_method;

/* A call by a known caller. Its parameters have passed the method's table: no others are there,
 * they are of the right type, short, and without control characters. */
struct control_call {
	struct control *control;
	struct vault *vault;
	struct varlink_call *varlink;
	const struct control_method *method;
	const json_t *parameters;
	uid_t uid;
	unsigned roles;
};

enum control_parameter_kind {
	PARAMETER_TEXT,     /* may be absent or null */
	PARAMETER_REQUIRED, /* text */
	PARAMETER_REASON,   /* text, required, says something; goes to the audit log */
	PARAMETER_LIST,     /* of text, required */
	PARAMETER_FLAG,     /* true or false; may be absent or null */
};
#define CONTROL_PARAMETERS_MAX 4
#define CONTROL_TEXT_MAX       1024 /* bytes; a printable account name has at most 1020 */
#define CONTROL_REASON_MAX     1000
#define CONTROL_LIST_MAX       16

/* 0 or CONTROL_ANSWERED: a reply or an error was sent; negative: none was, and the caller is told
 * that the method failed. */
#define CONTROL_ANSWERED 1
typedef int control_handler(struct control_call *call);

struct control_method {
	const char *name;
	unsigned roles; /* any of these */
	bool more;      /* must be called with `more` */
	bool sensitive; /* refusals are recorded in the audit log */
	control_handler *handle;
	struct control_parameter {
		const char *name;
		enum control_parameter_kind kind;
	} parameters[CONTROL_PARAMETERS_MAX + 1];
};

/* A row for each method, in the order of the interface file, to which
 * tests/unit/keeper/control/test_control_methods.c holds it. Ends with a row without a name. */
extern const struct control_method control_methods[];

control_handler control_status;
control_handler control_doctor;
control_handler control_lists_recordings;
control_handler control_lists_accounts;
control_handler control_recordings_show;
control_handler control_recordings_open;
control_handler control_recordings_unwrap;
control_handler control_catalog_verify;
control_handler control_accounts_show;
control_handler control_accounts_allow;
control_handler control_shred_plan;
control_handler control_shred_run;
control_handler control_quarantine_assign;
control_handler control_root_show;
control_handler control_root_add;
control_handler control_root_replace;
control_handler control_root_drop;
control_handler control_spools_accept;
control_handler control_clock_confirm;

/* Sentences about copies of the root that were given up and not overwritten: an array. */
json_t *control_root_given_up(struct vault *vault);
/* What the clock guard is doing; and a sentence when somebody has to do something. */
json_t *control_clock_status(const struct vault *vault);
void control_clock_warn(const struct vault *vault, json_t *warnings);
/* A spool of the intake's report that waits for somebody's word: how much is in it; NULL: it does
 * not wait. And what to do, as a warning. */
json_t *control_spools_held(const json_t *spool);
bool control_spools_allowed(const struct control *control, const json_t *spool);
void control_spools_warn(const json_t *status, const char *name, json_t *warnings);
/* Adds a warning for a copy of the root that is away, or not where it should be. */
void control_root_warn(struct vault *vault, json_t *warnings);

/* A text parameter, or NULL. */
const char *control_text(const struct control_call *call, const char *name);

/* Answers; all return CONTROL_ANSWERED. control_answer_reply() steals its arguments. */
int control_answer_reply(struct control_call *call, json_t *parameters, struct socket_fds *fds);
int control_answer_not_found(struct control_call *call, const char *kind, const char *what);
/* The same for an account; steals the array of its look-alikes. */
int control_answer_no_account(struct control_call *call, const char *name, json_t *look_alikes);
int control_answer_gone(
		struct control_call *call, const char *kind, const char *what, uint64_t epoch);
int control_answer_invalid(struct control_call *call, const char *parameter, const char *why);
/* Policy says no. Recorded when the method is sensitive; why names no account. */
int control_answer_refused(struct control_call *call, const char *format, ...)
		__attribute__((format(printf, 2, 3)));
/* A shred is noted, and nobody plays its recordings any more, but its keys still exist. */
int control_answer_pending(struct control_call *call, const char *why);
/* Something is broken: noted for status, and logged. why names no account. */
int control_answer_problem(struct control_call *call, const char *why);
/* One recording, of this id, cannot be opened. */
int control_answer_damaged(struct control_call *call, const char *id, const char *why);
/* A commit failed (-RE_UNKNOWN): nobody can tell before the keeper has restarted. */
int control_answer_not_known(struct control_call *call);
/* The same, for -errno or -RE_*. */
int control_answer_failed(struct control_call *call, int r);

/* Finds what a parameter names. 0, and the caller clears the row; CONTROL_ANSWERED when it was
 * malformed or unknown; or negative. */
int control_find_recording(
		struct control_call *call, const char *parameter, struct recording_row *ret_row);
int control_find_account(
		struct control_call *call, const char *parameter, struct account_row *ret_row);

/* Answers Gone for a recording whose keys were destroyed. 0 when they were not. */
int control_find_not_gone(struct control_call *call, const struct recording_row *row);

/* Records what the caller does, in a transaction of its own, durable on return. -errno, -RE_*. */
int control_audit_append(struct control_call *call, const char *action, const char *subject,
		const char *reason);
/* Records a refusal in the audit log and the journal, unless this caller had too many of late
 * (refusals.h). */
void control_audit_refusal(struct control_call *call, const char *why);
