#include "daemon/intake/work/job.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "base/ulid.h"
#include "daemon/intake/source/aside.h"
#include "daemon/intake/work/job_message.h"

struct job *job_new(struct job_order *order, struct source *source)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->order = *order;
	order->bundle = NULL;
	job->source = *source;
	*source = (struct source)SOURCE_NONE;
	job->grant = (struct job_grant){.object_fd = -1, .key_fd = -1};
	return job;
}

struct job *job_free(struct job *job)
{
	if (!job)
		return NULL;
	job_grant_release(&job->grant);
	source_close(&job->source);
	bundle_free(job->order.bundle);
	free(job);
	return NULL;
}

bool job_is_before_keeper(const struct job *job)
{
	return job->state <= JOB_PROBED;
}

void job_finish(struct job *job, enum job_end end)
{
	if (job->over)
		return;
	job->over = true;
	job->end = end;
	/* A writer may be waiting: at once, although a thread may read on for a moment. What the
	 * thread seals is thrown away. The spool's thread asks for itself before it removes. */
	if (job->state != JOB_REMOVING)
		source_release(&job->source);
	if (job->busy)
		atomic_store(&job->seal.cancelled, true);
	else
		job->tools->ended(job->tools->owner, job);
}

void job_abort(struct job *job, enum job_end end)
{
	if (!job->over && !job_is_before_keeper(job))
		keeper_link_send(job->tools->link, job_message_simple("abort", job->id));
	job_finish(job, end);
}

/* ---- The end of the plaintext ---- */

void job_remove(struct job *job)
{
	struct bundle *bundle = job->order.bundle;
	char buf[PATH_MAX];

	job->removed = source_unlink(&job->source);
	/* Last: until now the sidecars may be what says whose the recording is, and that it is
	 * finished. */
	if ((job->removed == 0 || job->removed == SOURCE_GONE) && bundle && job->sidecars_sealed)
		bundle_remove_sidecars(bundle, job->source.parent_fd, job->order.profile,
				aside_path(job->order.candidate->path, buf));
}

static void job_say_unlinked(struct job *job)
{
	int64_t exposure_us = clock_now_us(job->tools->clock) - job->order.finished_us;

	/* A clock that was set back meanwhile makes no negative exposure. */
	keeper_link_send(job->tools->link,
			job_message_unlinked(job->id, exposure_us > 0 ? exposure_us : 0));
}

void job_removed(struct job *job)
{
	int r = job->removed;

	job->busy = false;
	if (r < 0)
		reason_set_error(&job->reason, r, "removing the sealed recording");
	else if (r != SOURCE_CHANGED && !job->over)
		job_say_unlinked(job);
	/* It was given up meanwhile (the keeper is lost), but what is gone is gone. */
	if (job->over) {
		job->end = r == 0 || r == SOURCE_GONE ? JOB_DONE : job->end;
		job->tools->ended(job->tools->owner, job);
		return;
	}
	/* Changed: another file, or another state of it, has this name now, a new candidate. */
	job_finish(job, r < 0 ? JOB_FAILED : r == SOURCE_CHANGED ? JOB_CHANGED : JOB_DONE);
}

/* ---- Sealing ---- */

void job_begin(struct job *job)
{
	job->state = JOB_BEGINNING;
	keeper_link_send(job->tools->link, job_message_begin(job->id, &job->order,
							   job->source.identity.size, &job->probe));
}

static struct job *job_of_task(struct sealer_task *task)
{
	return (struct job *)(void *)((char *)task - offsetof(struct job, task));
}

static void job_seal_in_thread(struct sealer_task *task)
{
	struct job *job = job_of_task(task);

	job->sealed = seal_run(&job->seal);
}

static void job_seal_ended(struct sealer_task *task)
{
	struct job *job = job_of_task(task);

	job->busy = false;
	/* The job waits for the commit reply without the key and the object. */
	job_grant_release(&job->grant);
	/* It was given up while the thread was sealing, and could not be freed then. */
	if (job->over) {
		job->tools->ended(job->tools->owner, job);
		return;
	}
	if (job->sealed == SEAL_CANCELLED || job->sealed == SEAL_CHANGED) {
		job_abort(job, job->sealed == SEAL_CHANGED ? JOB_CHANGED : JOB_LOST);
		return;
	}
	if (job->sealed < 0) {
		/* A full object disk fails every recording; an unreadable one fails alone. */
		job->general = !seal_failed_at_source(&job->seal);
		reason_set_error(&job->reason, job->sealed, "%s", job->seal.doing);
		job_abort(job, JOB_FAILED);
		return;
	}
	job->state = JOB_COMMITTING;
	keeper_link_send(job->tools->link, job_message_simple("commit", job->id));
}

/* ---- The keeper's answers ---- */

static int job_receive_begun(struct job *job, const json_t *message, struct socket_fds *fds)
{
	if (job->state != JOB_BEGINNING)
		return -RE_PROTOCOL;
	int r = job_grant_read(message, fds, &job->grant);
	if (r < 0)
		return r;
	job->seal.source_fd = job->source.fd;
	job->seal.identity = &job->source.identity;
	job->seal.object_fd = job->grant.object_fd;
	job->seal.key_fd = job->grant.key_fd;
	job->seal.header = job->grant.header;
	job->seal.header_len = job->grant.header_len;
	memcpy(job->seal.nonce, job->grant.nonce, sizeof(job->seal.nonce));
	job->task = (struct sealer_task){.spool = job->order.candidate->spool,
			.work = job_seal_in_thread,
			.done = job_seal_ended,
			.progress = &job->seal.progress};
	job->state = JOB_SEALING;
	job->busy = true;
	sealers_give(job->tools->sealers, &job->task);
	return 0;
}

static int job_receive_failed(struct job *job, const json_t *message)
{
	const json_t *error = json_object_get(message, "error");
	const json_t *retry = json_object_get(message, "retry");

	if (job->state != JOB_BEGINNING && job->state != JOB_COMMITTING)
		return -RE_PROTOCOL;
	if (!json_is_string(error) || !json_is_boolean(retry))
		return -RE_PROTOCOL;
	_cleanup_free_ char *text =
			text_printable(json_string_value(error), json_string_length(error));
	reason_set(&job->reason, 0, "keeper: %s", text ? text : "out of memory");
	job->general = true;
	job_finish(job, json_is_true(retry) ? JOB_FAILED : JOB_REFUSED);
	return 0;
}

/* `committed` or `already`: the recording is safe, and its plaintext may go. */
static int job_receive_settled(struct job *job, const json_t *message, bool already)
{
	const char *recording = json_string_value(json_object_get(message, "recording"));
	uint8_t id[ULID_BYTES];

	if (job->state != JOB_COMMITTING || !recording || ulid_parse(recording, id) < 0)
		return -RE_PROTOCOL;
	/* `already` may be about an earlier state of the sidecars: the keeper says so. */
	job->sidecars_sealed = !already || json_is_true(json_object_get(message, "sidecars"));
	job->settled = true;
	if (already)
		ulid_format(id, job->already);
	job->state = JOB_REMOVING;
	job->busy = true;
	job->tools->remove(job->tools->owner, job);
	return 0;
}

int job_receive(struct job *job, const char *op, const json_t *message, struct socket_fds *fds)
{
	if (strcmp(op, "begun") == 0)
		return job_receive_begun(job, message, fds);
	if (strcmp(op, "failed") == 0)
		return job_receive_failed(job, message);
	if (strcmp(op, "committed") == 0)
		return job_receive_settled(job, message, false);
	if (strcmp(op, "already") == 0)
		return job_receive_settled(job, message, true);
	return -RE_PROTOCOL;
}

/* ---- Somebody wants to write ---- */

void job_yield(struct job *job)
{
	/* In REMOVING, the spool's thread asks for itself. */
	if (job->over || job->state == JOB_REMOVING || !source_wanted(&job->source))
		return;
	/* Too late to abort: the answer to `commit` will find the lease gone, and the file stays.
	 */
	if (job->state == JOB_COMMITTING)
		source_yield(&job->source);
	else
		job_abort(job, JOB_CHANGED);
}
