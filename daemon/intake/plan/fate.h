/* What a plan says of one file, and to whom. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum plan_fate {
	PLAN_TAKEN,      /* sealed and removed: a recording, or a sidecar with it */
	PLAN_DELETED,    /* removed without being sealed: discarded, and Discarded=delete */
	PLAN_WAITS,      /* stays until its writer or its bridge is done */
	PLAN_IGNORED,    /* stays: is no recording, and is known */
	PLAN_REFUSED,    /* stays, and the intake reports it */
	PLAN_UNREADABLE, /* whoever makes the plan may not read it */
	PLAN_FATES,
};

/* Valid during the call. */
struct plan_file {
	const char *path; /* below the spool, as the filesystem has it */
	enum plan_fate fate;
	const char *account; /* of what is taken; NULL: none, so it goes to the quarantine */
	const char *reason;  /* NULL: nothing to add */
	uint64_t bytes;
	bool recording; /* not a sidecar or a marker, as far as the profile knows */
};

struct plan_sink {
	void (*file)(void *context, const struct plan_file *file);
	/* Something about the whole that the operator should know. */
	void (*warn)(void *context, const char *text);
	void *context;
};
