/* The real recseald against the fake keeper, in a folder of its own. */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "tests/unit/support/fake_keeper.h"
#include "tests/unit/support/spool_fixture.h"

struct intake_daemon {
	struct spool_fixture folder; /* recseal.conf, socket, spool/ */
	struct spool_fixture spool;
	struct spool_fixture other; /* of intake_daemon_setup_two() */
	struct fake_keeper keeper;
	pid_t pid;
	const char *watched[64]; /* files that must not vanish uncommitted */
	size_t n_watched;
};

/* cmocka setup and teardown; the state is a struct intake_daemon. The teardown also stops recseald
 * and expects it to end well. */
int intake_daemon_setup(void **state);
/* The same, but recseald is not started yet. */
int intake_daemon_setup_only(void **state);
int intake_daemon_teardown(void **state);

/* The same with two spools and these settings in [intake], not started yet. */
int intake_daemon_setup_two(void **state, const char *settings);

void intake_daemon_start(struct intake_daemon *d);
/* Sends the signal, serves nothing meanwhile; returns the wait status. */
int intake_daemon_end(struct intake_daemon *d, int signal_number);

/* Writes a finished recording; from now on it may not vanish uncommitted. The path is borrowed. */
void intake_daemon_put(struct intake_daemon *d, const char *path, const char *text);

/* A recording that was put and is gone without ever having been committed; NULL when all is well.
 */
const char *intake_daemon_vanished(const struct intake_daemon *d);

/* Serves until the condition holds, and checks all the while that nothing vanished. */
void intake_daemon_await(struct intake_daemon *d, fake_condition condition, const void *argument);

/* Serves until this path has been committed and is gone. */
void intake_daemon_await_sealed(struct intake_daemon *d, const char *path);

/* The same for a recording made for this: whatever recseald had reason to do before, it did. */
void intake_daemon_barrier(struct intake_daemon *d);
