#include "daemon/intake/peers/probe_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/intake/peers/probe_process.h"

/* The server enforces the timeout of a file; this long after it, the server itself is at fault. */
#define GRACE_MS 2000
/* The pause before a dead server is started again: doubled each time, until one answers. */
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS   5000
/* After so many failed starts no file waits for the next one. */
#define PATIENCE 3

struct probe_job {
	TAILQ_ENTRY(probe_job) link;
	uint32_t id;
	int fd;               /* borrowed, until it is sent */
	uint64_t deadline_ms; /* while running */
	probe_done done;
	void *context;
};
TAILQ_HEAD(probe_jobs, probe_job);

struct probe_client {
	uv_loop_t *loop;
	uv_timer_t timer;
	char *program;
	uint32_t timeout_ms;
	struct probe_process *process; /* NULL: not started, or lost */
	struct probe_jobs waiting, running;
	unsigned n_running;
	uint32_t next_id;
	unsigned failures; /* processes lost since the last answer */
	uint64_t pause_until_ms;
	bool stopped;
	unsigned references; /* its own handle, and its processes */
};

static void client_turn(struct probe_client *client);

/* The loop's own clock stands still while callbacks run. */
static uint64_t client_now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void client_unref(void *context)
{
	struct probe_client *client = context;

	if (--client->references > 0)
		return;
	free(client->program);
	free(client);
}

static void on_client_timer(uv_timer_t *timer)
{
	client_turn(timer->data);
}

static void on_client_timer_closed(uv_handle_t *handle)
{
	client_unref(handle->data);
}

static void on_client_readable(void *context)
{
	client_turn(context);
}

static void client_forget_jobs(struct probe_jobs *jobs)
{
	struct probe_job *job;

	while ((job = TAILQ_FIRST(jobs))) {
		TAILQ_REMOVE(jobs, job, link);
		free(job);
	}
}

/* Takes the job off its list and hands over the result. The callback may stop the client. */
static void client_finish(struct probe_client *client, struct probe_job *job,
		const struct probe_result *result)
{
	probe_done done = job->done;
	void *context = job->context;

	/* It was sent, and waits for an answer no longer. */
	if (job->deadline_ms > 0) {
		TAILQ_REMOVE(&client->running, job, link);
		client->n_running--;
	} else {
		TAILQ_REMOVE(&client->waiting, job, link);
	}
	free(job);
	done(context, result);
}

/* Only those that wait now: a callback that submits again must not keep us here. */
static void client_fail_waiting(struct probe_client *client, const struct probe_result *result)
{
	const struct probe_job *last = TAILQ_LAST(&client->waiting, probe_jobs);
	struct probe_job *job;

	while (!client->stopped && last && (job = TAILQ_FIRST(&client->waiting))) {
		if (job == last)
			last = NULL;
		client_finish(client, job, result);
	}
}

static void client_pause_starts(struct probe_client *client)
{
	uint64_t pause_ms = PAUSE_FIRST_MS;

	for (unsigned i = 0; i < client->failures && pause_ms < PAUSE_MAX_MS; i++)
		pause_ms *= 2;
	if (pause_ms > PAUSE_MAX_MS)
		pause_ms = PAUSE_MAX_MS;
	client->failures++;
	client->pause_until_ms = client_now_ms() + pause_ms;
}

/* Gives the server up, and answers in its stead for the files it had. */
static void client_lose_process(struct probe_client *client, const char *damage)
{
	struct probe_result result;
	struct probe_job *job;

	client->process = probe_process_end(client->process);
	client_pause_starts(client);
	probe_wire_set_unprobed(&result, "%s", damage);
	while (!client->stopped && (job = TAILQ_FIRST(&client->running)))
		client_finish(client, job, &result);
}

static struct probe_job *client_find_running(const struct probe_client *client, uint32_t id)
{
	struct probe_job *job;

	TAILQ_FOREACH(job, &client->running, link)
	{
		if (job->id == id)
			return job;
	}
	return NULL;
}

static void client_take_answers(struct probe_client *client)
{
	while (!client->stopped && client->process) {
		struct probe_result result;
		int r = probe_process_receive(client->process, &result);
		if (r == -EAGAIN)
			return;
		struct probe_job *job = r == 0 ? client_find_running(client, result.job) : NULL;
		if (job) {
			client->failures = 0;
			client_finish(client, job, &result);
		} else if (r == 0 || r == -RE_PROTOCOL) {
			/* Also an answer about a file that it was not given: a server that does
			 * this has gone wrong, and its other answers may be wrong as well. */
			client_lose_process(client, "probe server answered nonsense");
		} else {
			client_lose_process(client, "probe server died");
		}
	}
}

static void client_expire(struct probe_client *client)
{
	const struct probe_job *oldest = TAILQ_FIRST(&client->running);

	/* All have the same time to go: the oldest runs out first. */
	if (oldest && client_now_ms() >= oldest->deadline_ms)
		client_lose_process(client, "probe server does not answer");
}

static int client_start_process(struct probe_client *client)
{
	const struct probe_process_events events = {on_client_readable, client_unref, client};
	struct probe_result result;
	int r = probe_process_start(client->loop, client->program, &events, &client->process);

	if (r < 0) {
		client_pause_starts(client);
		probe_wire_set_unprobed(&result, "probe could not start: %s", error_text(r));
		client_fail_waiting(client, &result);
		return r;
	}
	client->references++;
	return 0;
}

static bool client_paused(struct probe_client *client)
{
	struct probe_result result;

	if (client->failures == 0 || client_now_ms() >= client->pause_until_ms)
		return false;
	if (client->failures >= PATIENCE) {
		probe_wire_set_unprobed(&result, "probe is not running");
		client_fail_waiting(client, &result);
	}
	return true;
}

/* A file that cannot be sent to a live server gets an answer, or it would be sent for ever. */
static void client_refuse_job(struct probe_client *client, struct probe_job *job, int r)
{
	struct probe_result result;

	probe_wire_set_unprobed(&result, "probe could not be asked: %s", error_text(r));
	client_finish(client, job, &result);
}

static void client_send_job(struct probe_client *client, struct probe_job *job)
{
	int r = probe_process_send(client->process, job->id, client->timeout_ms, job->fd);

	if (r == -EPIPE || r == -ECONNRESET) {
		/* It stays first in line for the next server. */
		client_lose_process(client, "probe server died");
		return;
	}
	if (r < 0) {
		client_refuse_job(client, job, r);
		return;
	}
	job->deadline_ms = client_now_ms() + client->timeout_ms + GRACE_MS;
	TAILQ_REMOVE(&client->waiting, job, link);
	TAILQ_INSERT_TAIL(&client->running, job, link);
	client->n_running++;
}

static void client_dispatch(struct probe_client *client)
{
	struct probe_job *job;

	while (!client->stopped && client->n_running < PROBE_JOBS_MAX &&
			(job = TAILQ_FIRST(&client->waiting))) {
		if (client->process)
			client_send_job(client, job);
		else if (client_paused(client) || client_start_process(client) < 0)
			return;
	}
}

/* Sets the timer to the next deadline, or to the end of a pause that a file waits for. */
static void client_arm(struct probe_client *client)
{
	const struct probe_job *oldest = TAILQ_FIRST(&client->running);
	uint64_t next_ms = UINT64_MAX, now = client_now_ms();

	if (oldest)
		next_ms = oldest->deadline_ms;
	else if (!TAILQ_EMPTY(&client->waiting))
		next_ms = client->pause_until_ms;
	if (next_ms == UINT64_MAX) {
		uv_timer_stop(&client->timer);
		return;
	}
	uv_update_time(client->loop);
	uv_timer_start(&client->timer, on_client_timer, next_ms > now ? next_ms - now : 0, 0);
}

/* Answers first, so that a loop that was busy for long does not take its own delay for theirs. */
static void client_turn(struct probe_client *client)
{
	client_take_answers(client);
	if (!client->stopped)
		client_expire(client);
	if (!client->stopped)
		client_dispatch(client);
	if (!client->stopped)
		client_arm(client);
}

int probe_client_start(uv_loop_t *loop, const char *program, int64_t timeout_us,
		struct probe_client **ret_client)
{
	struct probe_client *client;
	int r;

	if (timeout_us < 1000 || timeout_us / 1000 > INT32_MAX)
		return -EINVAL;
	client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	client->program = strdup(program);
	r = client->program ? uv_timer_init(loop, &client->timer) : -ENOMEM;
	if (r < 0) {
		free(client->program);
		free(client);
		return r;
	}
	client->loop = loop;
	client->timer.data = client;
	client->references = 1;
	client->timeout_ms = (uint32_t)(timeout_us / 1000);
	TAILQ_INIT(&client->waiting);
	TAILQ_INIT(&client->running);
	*ret_client = client;
	return 0;
}

void probe_client_prepare(struct probe_client *client)
{
	/* One that cannot be started is tried again with the first file, which is told why. */
	if (!client->process)
		(void)client_start_process(client);
}

int probe_client_submit(struct probe_client *client, int fd, probe_done done, void *context)
{
	if (fcntl(fd, F_GETFD) < 0)
		return -errno;
	struct probe_job *job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	*job = (struct probe_job){
			.id = client->next_id++, .fd = fd, .done = done, .context = context};
	TAILQ_INSERT_TAIL(&client->waiting, job, link);
	uv_timer_start(&client->timer, on_client_timer, 0, 0);
	return 0;
}

struct probe_client *probe_client_stop(struct probe_client *client)
{
	if (!client)
		return NULL;
	client->stopped = true;
	client_forget_jobs(&client->waiting);
	client_forget_jobs(&client->running);
	client->process = probe_process_end(client->process);
	uv_close((uv_handle_t *)&client->timer, on_client_timer_closed);
	return NULL;
}
