#include "tests/unit/support/intake_daemon.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <sodium.h>

/* The spool of the running test, for conditions. */
static const struct intake_daemon *running;

static void write_config(struct intake_daemon *d, const char *settings)
{
	char text[1024], other[128] = "";

	if (d->other.fd >= 0)
		snprintf(other, sizeof(other), "[spool other]\nPath=%s\nSettle=0\n", d->other.path);
	snprintf(text, sizeof(text),
			"[spool inbox]\nPath=%s\nSettle=0\n%s"
			"[intake]\nRescan=1s\n%s\n"
			"[keeper]\nSockets=%s\nState=%s/keeper\nObjects=%s/objects\n",
			d->spool.path, other, settings, d->folder.path, d->folder.path,
			d->folder.path);
	put_text(&d->folder, "recseal.conf", text);
}

static struct intake_daemon *make(bool two, const char *settings)
{
	struct intake_daemon *d = calloc(1, sizeof(*d));
	char path[128];

	d->other.fd = -1;
	spool_fixture_make(&d->folder);
	spool_fixture_make(&d->spool);
	if (two)
		spool_fixture_make(&d->other);
	write_config(d, settings);
	snprintf(path, sizeof(path), "%s/intake", d->folder.path);
	fake_keeper_start(&d->keeper, path);
	d->pid = -1;
	running = d;
	return d;
}

int intake_daemon_setup_only(void **state)
{
	if (sodium_init() < 0)
		return -1;
	*state = make(false, "Jobs=4\nProbe=/nonexistent/recseal-probe");
	return 0;
}

int intake_daemon_setup(void **state)
{
	int r = intake_daemon_setup_only(state);

	if (r == 0)
		intake_daemon_start(*state);
	return r;
}

int intake_daemon_setup_two(void **state, const char *settings)
{
	if (sodium_init() < 0)
		return -1;
	*state = make(true, settings);
	return 0;
}

int intake_daemon_teardown(void **state)
{
	struct intake_daemon *d = *state;

	if (d->pid >= 0)
		assert_int_equal(intake_daemon_end(d, SIGTERM), 0);
	fake_keeper_stop(&d->keeper);
	spool_fixture_remove(&d->spool);
	if (d->other.fd >= 0)
		spool_fixture_remove(&d->other);
	spool_fixture_remove(&d->folder);
	free(d);
	return 0;
}

void intake_daemon_start(struct intake_daemon *d)
{
	const char *program = getenv("RECSEALD");
	char config[128];

	snprintf(config, sizeof(config), "%s/recseal.conf", d->folder.path);
	d->pid = fork();
	assert_true(d->pid >= 0);
	if (d->pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup(2) < 0) /* a careless starter's: not to reach the probe */
		_exit(127);
	execl(program ? program : "./recseald", "recseald", "--config", config, NULL);
	_exit(127);
}

int intake_daemon_end(struct intake_daemon *d, int signal_number)
{
	int status;

	assert_int_equal(kill(d->pid, signal_number), 0);
	assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	d->pid = -1;
	return status;
}

void intake_daemon_put(struct intake_daemon *d, const char *path, const char *text)
{
	assert_true(d->n_watched < ELEMENTSOF(d->watched));
	put_text(&d->spool, path, text);
	d->watched[d->n_watched++] = path;
}

struct guarded {
	struct intake_daemon *daemon;
	fake_condition condition;
	const void *argument;
};

const char *intake_daemon_vanished(const struct intake_daemon *d)
{
	for (size_t i = 0; i < d->n_watched; i++) {
		if (!is_there(&d->spool, d->watched[i]) &&
				!fake_keeper_committed(&d->keeper, d->watched[i]))
			return d->watched[i];
	}
	return NULL;
}

static bool holds_and_nothing_vanished(struct fake_keeper *keeper, const void *argument)
{
	const struct guarded *g = argument;

	assert_null(intake_daemon_vanished(g->daemon));
	assert_int_equal(waitpid(g->daemon->pid, NULL, WNOHANG), 0);
	return g->condition(keeper, g->argument);
}

void intake_daemon_await(struct intake_daemon *d, fake_condition condition, const void *argument)
{
	const struct guarded guarded = {d, condition, argument};

	fake_keeper_await(&d->keeper, holds_and_nothing_vanished, &guarded);
}

static bool sealed(struct fake_keeper *keeper, const void *argument)
{
	return fake_keeper_committed(keeper, argument) && !is_there(&running->spool, argument);
}

void intake_daemon_await_sealed(struct intake_daemon *d, const char *path)
{
	intake_daemon_await(d, sealed, path);
}

void intake_daemon_barrier(struct intake_daemon *d)
{
	static unsigned count;
	char path[32];

	snprintf(path, sizeof(path), "barrier-%u", count++);
	put_text(&d->spool, path, "barrier");
	fake_keeper_await(&d->keeper, sealed, path);
}
