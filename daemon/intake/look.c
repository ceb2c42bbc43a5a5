#include "daemon/intake/look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/intake/beside/judge.h"

/* The event of a writer's close comes before the kernel has let go of its write access, so a lease
 * may fail for a moment: a few quick looks, about 1.3 s in all. A longer wait ends with a close
 * event, or with the next scan. */
#define WRITER_FIRST_US (10 * INT64_C(1000))
#define WRITER_LOOKS    7

#define RETRY_FIRST_US US_PER_S
#define RETRY_MAX_US   (60 * US_PER_S)
/* To seal a file that is sealed already once more, only to find that it cannot be removed. */
#define RESEAL_MAX_US (3600 * US_PER_S)

/* Without a lease nothing tells whether a writer has the file open, not even a close that was seen:
 * some bridges close a file and open it again. Bridges write through buffers that take some seconds
 * of audio to fill, so the file must have been quiet for much longer than that. */
#define UNLEASED_SETTLE_US (60 * US_PER_S)

/* The longest that a file which changes again and again is left alone. */
#define REST_MAX_US  (5 * 60 * US_PER_S)
#define CHANGES_TOLD 3 /* a file that changes so often is reported */

#define SHORT_WAIT_US (10 * INT64_C(1000))
#define TICK_US       (10 * INT64_C(1000)) /* of a kernel with HZ=100, the slowest */

/* ---- The candidate goes back to its queue, or out of it ---- */

static void candidate_drop(const struct look *look, struct candidate *candidate)
{
	queue_drop(look->spool->queue, candidate);
}

static void candidate_return_in(
		const struct look *look, struct candidate *candidate, int64_t wait_us)
{
	queue_return(look->spool->queue, candidate, monotonic_us() + wait_us);
}

/* It waits for a slot, in the queue or, when enough large ones are there, where it lies: the next
 * scan finds it. */
static void candidate_defer(const struct look *look, struct candidate *candidate)
{
	if (queue_defer(look->spool->queue, candidate))
		return;
	look->spool->large_left = true;
	candidate_drop(look, candidate);
}

/* Some files fail for good. They may fill half of the queue; a candidate that is dropped then is
 * found again by the next scan. */
static void candidate_try_within(const struct look *look, struct candidate *candidate,
		const char *why, int64_t max_us)
{
	unsigned shift = candidate->failures < 16 ? candidate->failures : 16;
	int64_t wait_us = RETRY_FIRST_US << shift;

	spool_sealing_failed(look->spool, why);
	candidate->failures++;
	if (queue_crowded(look->spool->queue))
		candidate_drop(look, candidate);
	else
		candidate_return_in(look, candidate, wait_us < max_us ? wait_us : max_us);
}

static void candidate_try_later(
		const struct look *look, struct candidate *candidate, const char *why)
{
	candidate_try_within(look, candidate, why, RETRY_MAX_US);
}

/* The file changed while it was being sealed, and that work is lost: each time it is left alone for
 * twice as long, whatever its events say. */
static void candidate_rest(const struct look *look, struct candidate *candidate)
{
	unsigned shift = candidate->changes < 12 ? candidate->changes : 12;
	int64_t settle_us = look->spool->config->settle_us;
	int64_t wait_us = (settle_us > SHORT_WAIT_US ? settle_us : SHORT_WAIT_US) << shift;

	wait_us = wait_us < REST_MAX_US ? wait_us : REST_MAX_US;
	candidate->rest_until_us = monotonic_us() + wait_us;
	candidate_return_in(look, candidate, wait_us);
}

static void candidate_has_writer(
		const struct look *look, struct candidate *candidate, const struct source *source)
{
	/* The writer's close is an event, which makes the file a candidate again. One that is
	 * touched again and again is kept, or each touch would begin its pauses from the start. */
	if (candidate->writers >= WRITER_LOOKS && candidate->changes > 0) {
		candidate->writers = 0;
		candidate_rest(look, candidate);
		return;
	}
	if (candidate->writers >= WRITER_LOOKS) {
		spool_in_progress(look->spool, source, false);
		candidate_drop(look, candidate);
		return;
	}
	candidate_return_in(look, candidate, WRITER_FIRST_US << candidate->writers++);
}

/* ---- What a look finds ---- */

struct finding {
	struct judge_file file;
	struct job_order order;
	int64_t wait_us; /* with FINDING_UNSETTLED */
	int error;       /* with FINDING_UNREMOVABLE */
};
enum {
	FINDING_UNSETTLED = JUDGE_WAIT,
	FINDING_PARKED = JUDGE_OUTCOMES, /* the keeper has refused this very state of the file */
	FINDING_REMOVED,                 /* discarded by its bridge, and removed */
	FINDING_LARGE,                   /* no slot is free for a file of its size */
	FINDING_UNREMOVABLE,             /* sealed, and cannot be removed yet: .error says why */
};

/* When the file was finished, as far as is known: its last change by its own times, or, when
 * these lie in the future or before any bridge, the moment this state of it was first met. */
static int64_t candidate_finished_us(
		struct candidate *candidate, const struct source_identity *identity, int64_t now_us)
{
	int64_t changed_us = judge_changed_us(identity, now_us);

	if (changed_us != 0)
		return changed_us;
	if (candidate->met_us == 0 || !source_same(&candidate->met, identity)) {
		candidate->met = *identity;
		candidate->met_us = now_us;
	}
	return candidate->met_us;
}

static bool recorded_is_sane(int64_t recorded_us, int64_t now_us)
{
	return recorded_us >= JUDGE_EARLIEST_US && recorded_us <= now_us + US_PER_DAY;
}

/* The time in its name, where the profile knows one; the file's mtime, when that lies within a
 * day of it, is the same more exactly. Without such a name the mtime, which some tools keep when
 * they copy. What is absurd is not believed. */
static int64_t finding_recorded_us(const struct spool *spool, const char *path,
		const struct pattern_match *match, const struct source_identity *identity,
		int64_t now_us)
{
	int64_t mtime_us = identity->mtime_ns / 1000, named_us;
	bool mtime_sane = recorded_is_sane(mtime_us, now_us);

	if (profile_recorded(spool->profile, path, match, &named_us) == 0 &&
			recorded_is_sane(named_us, now_us) &&
			!(mtime_sane && llabs(mtime_us - named_us) <= US_PER_DAY))
		return named_us < now_us ? named_us : now_us;
	return mtime_sane ? mtime_us : now_us;
}

/* How long until the file has settled. Within one tick of the filesystem's clock, two files after
 * each other in one inode look alike (source_same()): none is taken before its tick is over. Some
 * filesystems keep whole seconds. */
static int64_t finding_unsettled_us(const struct job_order *order,
		const struct source_identity *identity, int64_t settle_us, int64_t now_us)
{
	int64_t tick_us = identity->ctime_ns % (1000 * US_PER_S) == 0 ? 2 * US_PER_S : TICK_US;

	if (settle_us < tick_us)
		settle_us = tick_us;
	int64_t wait_us = order->finished_us + settle_us - now_us;

	return wait_us > 0 ? wait_us + 1 : 0;
}

static void report_unleased(struct spool *spool)
{
	if (spool->unleased_reported)
		return;
	spool->unleased_reported = true;
	spool_notify(spool, LOG_WARNING, EVENT_SPOOL_TROUBLE,
			"spool %s: files cannot be leased (because of the filesystem, or without "
			"CAP_LEASE): a writer is only noticed when it writes; files wait longer",
			spool->config->name);
}

/* ---- The look ---- */

/* Discarded=delete: the only way in which a recording goes without having been sealed. */
static int finding_remove_discarded(struct spool *spool, struct source *source)
{
	uint64_t inode = source->identity.inode;
	int r = source_unlink(source);

	if (r == 0)
		spool_notify(spool, LOG_NOTICE, EVENT_DISCARDED,
				"spool %s: inode %" PRIu64 ", %" PRIu64
				" bytes, was discarded by its bridge and is removed without being "
				"sealed (Discarded=delete)",
				spool->config->name, inode, source->identity.size);
	return r == 0 || r == SOURCE_GONE ? FINDING_REMOVED : r;
}

/* What to do with a claimed source: 0 to seal it. */
static int finding_gather(struct finding *finding, struct spool *spool, int64_t now_us)
{
	int r = judge_gather(spool, &finding->file, finding->order.finished_us, now_us,
			&finding->order.bundle, &finding->wait_us);

	return r == JUDGE_DELETE ? finding_remove_discarded(spool, &finding->file.source) : r;
}

/* Claims a source that has settled, and is to be sealed as far as its markers say. */
static int finding_claim(struct finding *finding, struct spool *spool, int64_t now_us)
{
	struct source *source = &finding->file.source;
	int r = source_claim(source);

	if (r != SOURCE_UNLEASED)
		return r;
	report_unleased(spool);
	finding->wait_us = finding_unsettled_us(
			&finding->order, &source->identity, UNLEASED_SETTLE_US, now_us);
	return finding->wait_us > 0 ? FINDING_UNSETTLED : 0;
}

static void finding_fill_order(struct finding *finding, const struct spool *spool,
		struct candidate *candidate, int64_t now_us)
{
	struct job_order *order = &finding->order;
	const struct source_identity *identity = &finding->file.source.identity;

	order->spool = spool->config->name;
	order->class = spool->config->class;
	order->profile = spool->profile;
	order->candidate = candidate;
	order->finished_us = candidate->since_us =
			candidate_finished_us(candidate, identity, now_us);
	finding->file.source.wipe = spool->config->wipe;
}

static int finding_fill_origin(struct finding *finding, const struct spool *spool)
{
	struct origin origin;
	int r = origin_find(finding->file.source.fd, &origin);

	if (r < 0)
		return r;
	origin_hash(&origin, spool->config->name, finding->order.hash);
	finding->order.firm = origin.firm;
	return 0;
}

/* How long the candidate has to wait yet, or why it is not for now; 0 to go on. */
static int finding_check_state(struct finding *finding, const struct look *look,
		const struct candidate *candidate, int64_t now_us)
{
	const struct source *source = &finding->file.source;
	const struct source_identity *identity = &source->identity;

	if (seen_has(look->parked, identity, sizeof(*identity)))
		return FINDING_PARKED;
	if (seen_has(look->settled, identity, sizeof(*identity)))
		finding->error = source_check_removable(source);
	if (finding->error != 0)
		return FINDING_UNREMOVABLE;
	finding->wait_us = finding_unsettled_us(&finding->order, identity,
			spool_quiet_us(look->spool, finding->file.path, candidate->arrived),
			now_us);
	return finding->wait_us > 0 ? FINDING_UNSETTLED : 0;
}

/* Finds the candidate and claims it if it is finished. 0 with a claimed source; a source_outcome, a
 * JUDGE or a FINDING; -errno. */
static int candidate_examine(
		const struct look *look, struct candidate *candidate, struct finding *finding)
{
	struct spool *spool = look->spool;
	struct judge_file *file = &finding->file;
	int64_t now_us = clock_now_us(look->clock);
	int r = judge_find(spool, candidate->path, file);

	if (r != 0)
		return r;
	finding_fill_order(finding, spool, candidate, now_us);
	finding->order.recorded_us = finding_recorded_us(
			spool, file->path, &file->match, &file->source.identity, now_us);
	r = finding_check_state(finding, look, candidate, now_us);
	if (r == 0)
		r = judge_marks(spool, file);
	if (r != 0)
		return r;
	/* Before the claim: a file that has to wait must not hold a lease meanwhile. */
	if (file->source.identity.size >= JOBS_LARGE_BYTES && !look->large_room)
		return FINDING_LARGE;
	r = finding_claim(finding, spool, now_us);
	if (r == 0)
		r = finding_fill_origin(finding, spool);
	return r != 0 ? r : finding_gather(finding, spool, now_us);
}

/* Whether every other file would meet this error as well. */
static bool error_is_general(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

/* The look has ended without a job, and waiting would not help: the candidate is dropped. */
static void candidate_leave(const struct look *look, struct candidate *candidate, int r,
		const struct source *source)
{
	struct spool *spool = look->spool;

	if (r >= SOURCE_SYMLINK && r < SOURCE_OUTCOMES)
		spool_refuse(spool, source->identity.inode, (enum source_outcome)r);
	/* Its marker, or the next scan, brings it back. */
	if (r == JUDGE_UNFINISHED)
		spool_in_progress(spool, source, true);
	if (r == JUDGE_LEFT)
		spool_report_refusal(spool, source->identity.inode, REFUSAL_DISCARDED,
				"was discarded by its bridge (Discarded=leave)");
	candidate_drop(look, candidate);
}

/* It is sealed already, and is not read once more before it can be removed. */
static void candidate_not_removed(const struct look *look, struct candidate *candidate, int r)
{
	struct reason reason = {0};

	reason_set_error(&reason, r, JOB_REMOVAL);
	candidate_try_later(look, candidate, reason.text);
}

struct job *look_at(const struct look *look, struct candidate *candidate)
{
	struct spool *spool = look->spool;
	struct finding finding = {.file.source = SOURCE_NONE};
	struct job *job = NULL;
	/* Left over from a root that is gone: the folder there now may not be taken from yet. */
	bool open = spool->root_fd >= 0 && spool->first.allowed;
	int r = open ? candidate_examine(look, candidate, &finding) : SOURCE_GONE;

	if (r == 0 && !(job = job_new(&finding.order, &finding.file.source)))
		r = -ENOMEM;
	if (r < 0) {
		if (error_is_general(r))
			brake_failed(&spool->brake, monotonic_us());
		candidate_try_later(look, candidate, error_text(r));
	} else if (r == FINDING_LARGE) {
		candidate_defer(look, candidate);
	} else if (r == FINDING_UNREMOVABLE) {
		candidate_not_removed(look, candidate, finding.error);
	} else if (r == JUDGE_NO_MAP) {
		candidate_try_later(look, candidate, "its AccountMap= cannot be read");
	} else if (r == SOURCE_WRITER) {
		candidate_has_writer(look, candidate, &finding.file.source);
	} else if (r == SOURCE_CHANGED) {
		candidate_return_in(look, candidate, SHORT_WAIT_US);
	} else if (r == FINDING_UNSETTLED) {
		candidate_return_in(look, candidate, finding.wait_us);
	} else if (r != 0) {
		candidate_leave(look, candidate, r, &finding.file.source);
	}
	if (r == FINDING_REMOVED)
		spool_folder_emptied(spool, finding.file.source.parent_fd);
	/* Both are empty when a job has taken them. */
	source_close(&finding.file.source);
	bundle_free(finding.order.bundle);
	return job;
}

/* ---- After the job ---- */

/* The keeper does not want the file as it is, for a reason of its own: it is not asked again until
 * the file changes. */
static void candidate_park(const struct look *look, const struct job *job)
{
	const struct source_identity *identity = &job->source.identity;

	seen_add(look->parked, identity, sizeof(*identity));
	spool_refused_by_keeper(look->spool, identity->inode, job->reason.text);
}

static void candidate_changed(const struct look *look, const struct job *job)
{
	struct candidate *candidate = job->order.candidate;

	candidate_rest(look, candidate);
	if (++candidate->changes >= CHANGES_TOLD)
		spool_keeps_changing(look->spool, &job->source);
}

/* A file whose content the keeper has, and that cannot be removed, would be sealed once more with
 * each attempt. */
static void candidate_failed(const struct look *look, const struct job *job)
{
	const struct source_identity *identity = &job->source.identity;

	if (job->general)
		brake_failed(&look->spool->brake, monotonic_us());
	if (job->settled)
		seen_add(look->settled, identity, sizeof(*identity));
	candidate_try_within(look, job->order.candidate, job->reason.text,
			job->settled ? RESEAL_MAX_US : RETRY_MAX_US);
}

void look_after(const struct look *look, const struct job *job, bool stopping)
{
	struct candidate *candidate = job->order.candidate;
	struct spool *spool = look->spool;
	int64_t settle_us = spool->config->settle_us;

	candidate->writers = 0;
	if (job->end == JOB_FAILED && !stopping) {
		candidate_failed(look, job);
		return;
	}
	if (job->end == JOB_DEFERRED) {
		candidate_defer(look, candidate);
		return;
	}
	if (job->end == JOB_DONE) {
		spool_folder_emptied(spool, job->source.parent_fd);
		candidate->failures = candidate->changes = 0;
		candidate->rest_until_us = 0;
		brake_succeeded(&spool->brake);
		spool_sealing_works(spool);
		if (job->already[0])
			spool_report_already(spool, job->source.identity.inode,
					job->source.identity.size, job->already);
	}
	if (job->end == JOB_REFUSED)
		candidate_park(look, job);
	if (job->end == JOB_CHANGED) {
		candidate_changed(look, job);
		return;
	}
	/* A file that was touched meanwhile has to settle again; one that was sealed may be
	 * followed by another of the same name. */
	if (candidate->touched)
		candidate_return_in(look, candidate, settle_us > 0 ? settle_us : SHORT_WAIT_US);
	else if (job->end == JOB_DONE || job->end == JOB_REFUSED)
		candidate_drop(look, candidate);
	else
		candidate_return_in(look, candidate, 0);
}
