#include "daemon/intake/look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/event.h"
#include "daemon/intake/beside/bundle.h"
#include "daemon/intake/beside/marks.h"
#include "daemon/intake/source/aside.h"

/* 1 January 2000: what claims to be older has no clock. */
#define EARLIEST_SANE_US (INT64_C(946684800) * US_PER_S)
#define CLOCK_SKEW_US    US_PER_S

/* A writer's close is told before the kernel has let go of its write access, so a lease may fail
 * for a moment: a few quick looks, about 1.3 s in all. A longer wait ends with a close event, or
 * with the next scan. */
#define WRITER_FIRST_US (10 * INT64_C(1000))
#define WRITER_LOOKS    7

#define RETRY_FIRST_US US_PER_S
#define RETRY_MAX_US   (60 * US_PER_S)

/* Where no lease is to be had, an open writer cannot be told from none, nor by a close that was
 * seen: some bridges close a file and open it again. They write through buffers that take some
 * seconds of audio to fill, so a file must have been quiet for much longer than that. */
#define UNLEASED_SETTLE_US (60 * US_PER_S)

#define SHORT_WAIT_US (10 * INT64_C(1000))
#define TICK_US       (10 * INT64_C(1000)) /* of a kernel with HZ=100, the slowest */

static struct queue *queue_of(struct intake *intake, const struct candidate *candidate)
{
	return intake->spools[candidate->spool].queue;
}

static void drop(struct intake *intake, struct candidate *candidate)
{
	queue_drop(queue_of(intake, candidate), candidate);
}

static void return_in(struct intake *intake, struct candidate *candidate, int64_t wait_us)
{
	queue_return(queue_of(intake, candidate), candidate, monotonic_us() + wait_us);
}

/* When the file was finished, as far as can be told: its last change by its own account, or, when
 * that lies in the future or before any bridge, the moment this state of it was first met. */
static int64_t finished_us(
		struct candidate *candidate, const struct source_identity *identity, int64_t now_us)
{
	int64_t changed_us = source_changed_us(identity);

	if (changed_us >= EARLIEST_SANE_US && changed_us <= now_us + CLOCK_SKEW_US)
		return changed_us;
	if (candidate->met_us == 0 || !source_same(&candidate->met, identity)) {
		candidate->met = *identity;
		candidate->met_us = now_us;
	}
	return candidate->met_us;
}

/* The file's mtime, unless it is absurd: some tools keep the time of the recording in it. */
static int64_t recorded_us(const struct source_identity *identity, int64_t now_us)
{
	int64_t mtime_us = identity->mtime_ns / 1000;

	return mtime_us < EARLIEST_SANE_US || mtime_us > now_us + US_PER_DAY ? now_us : mtime_us;
}

/* Some files fail for good. They may fill half of the queue; the next scan finds the others again.
 */
static void try_later(struct intake *intake, struct candidate *candidate, const char *why)
{
	unsigned shift = candidate->failures < 6 ? candidate->failures : 6;
	int64_t wait_us = RETRY_FIRST_US << shift;

	spool_trouble(&intake->spools[candidate->spool], why);
	candidate->failures++;
	if (queue_crowded(queue_of(intake, candidate)))
		drop(intake, candidate);
	else
		return_in(intake, candidate, wait_us < RETRY_MAX_US ? wait_us : RETRY_MAX_US);
}

static void writer_found(
		struct intake *intake, struct candidate *candidate, const struct source *source)
{
	if (candidate->writers >= WRITER_LOOKS) {
		spool_in_progress(&intake->spools[candidate->spool], source, false);
		drop(intake, candidate);
		return;
	}
	return_in(intake, candidate, WRITER_FIRST_US << candidate->writers++);
}

static void tell_unleased(struct spool *spool)
{
	const struct event_fields fields = {.spool = spool->config->name};

	if (spool->told_unleased)
		return;
	spool->told_unleased = true;
	event_log(LOG_WARNING, EVENT_SPOOL_TROUBLE, &fields,
			"spool %s: no lease on a file is to be had (the filesystem, or CAP_LEASE): a "
			"writer "
			"is only noticed when it writes; files wait longer",
			spool->config->name);
}

/* What the look found. */
struct finding {
	struct source source;
	struct job_order order;
	int64_t wait_us; /* with FINDING_UNSETTLED */
};
enum {
	FINDING_UNSETTLED = SOURCE_OUTCOMES,
	FINDING_PARKED,
	FINDING_UNFINISHED, /* says its bridge */
	FINDING_LEFT,       /* discarded by its bridge, and to be left to it */
	FINDING_REMOVED,    /* ... and removed */
	FINDING_NO_MAP,     /* says whose it is */
	FINDING_LARGE,
};

/* Within one tick of the filesystem's clock, two files after each other in one inode look alike
 * (source_hash): none is taken before its tick is over. Some filesystems keep whole seconds. */
static int64_t unsettled_us(const struct job_order *order, const struct source_identity *identity,
		int64_t settle_us, int64_t now_us)
{
	int64_t tick_us = identity->ctime_ns % (1000 * US_PER_S) == 0 ? 2 * US_PER_S : TICK_US;

	if (settle_us < tick_us)
		settle_us = tick_us;
	int64_t wait_us = order->finished_us + settle_us - now_us;

	return wait_us > 0 ? wait_us + 1 : 0;
}

/* What the operator wants done with what the bridge does not want. */
static bool discarded_is(const struct spool *spool, const char *word)
{
	return strcmp(spool->config->discarded, word) == 0;
}

/* Discarded=delete: the one way a plaintext goes that was not sealed. */
static int remove_discarded(struct spool *spool, struct source *source)
{
	const struct event_fields fields = {.spool = spool->config->name};
	uint64_t inode = source->identity.inode;
	int r = source_unlink(source);

	if (r == 0)
		event_log(LOG_NOTICE, EVENT_DISCARDED, &fields,
				"spool %s: inode %" PRIu64 ", %" PRIu64
				" bytes, was discarded by its bridge and is removed without being sealed "
				"(Discarded=delete)",
				spool->config->name, inode, source->identity.size);
	return r == 0 || r == SOURCE_GONE ? FINDING_REMOVED : r;
}

/* What is to be done with a claimed source: 0 to seal it. */
static int gather(struct intake *intake, struct finding *finding, const char *path,
		const struct pattern_match *match, bool discarded, int64_t now_us)
{
	struct job_order *order = &finding->order;
	struct spool *spool = &intake->spools[order->candidate->spool];

	if (discarded && discarded_is(spool, "delete"))
		return remove_discarded(spool, &finding->source);
	int r = bundle_gather(spool, path, match, discarded, order->finished_us, now_us,
			&order->bundle, &finding->wait_us);
	return r == BUNDLE_WAIT ? FINDING_UNSETTLED : r == BUNDLE_NO_MAP ? FINDING_NO_MAP : r;
}

/* Finds the candidate and claims it if it is finished. 0 with a claimed source; a source_outcome or
 * a FINDING; -errno. */
static int examine(struct intake *intake, struct candidate *candidate, struct finding *finding)
{
	struct spool *spool = &intake->spools[candidate->spool];
	struct source *source = &finding->source;
	struct job_order *order = &finding->order;
	int64_t now_us = clock_now_us(intake->clock);
	struct pattern_match match;
	char buf[PATH_MAX];
	const char *path = aside_path(candidate->path, buf);
	int r = source_find(spool->root_fd, candidate->path, source);

	if (r != 0)
		return r;
	if (profile_classify(spool->profile, path, &match) != PROFILE_RECORDING)
		return SOURCE_GONE;
	order->spool = spool->config;
	order->profile = spool->profile;
	order->candidate = candidate;
	order->finished_us = candidate->since_us =
			finished_us(candidate, &source->identity, now_us);
	order->recorded_us = recorded_us(&source->identity, now_us);
	source_hash_of(source, spool->config->name, order->hash);
	if (seen_has(intake->parked, order->hash, sizeof(order->hash)))
		return FINDING_PARKED;
	finding->wait_us = unsettled_us(order, &source->identity,
			spool_settle_us(spool->config, candidate->arrived), now_us);
	if (finding->wait_us > 0)
		return FINDING_UNSETTLED;
	int marks = marks_look(spool, path, &match);
	if (marks < 0)
		return marks;
	if (marks == MARKS_UNFINISHED)
		return FINDING_UNFINISHED;
	if (marks == MARKS_DISCARDED && discarded_is(spool, "leave"))
		return FINDING_LEFT;
	if (!jobs_room_for_size(intake->jobs, source->identity.size))
		return FINDING_LARGE;
	r = source_claim(source);
	if (r == SOURCE_UNLEASED) {
		tell_unleased(spool);
		finding->wait_us =
				unsettled_us(order, &source->identity, UNLEASED_SETTLE_US, now_us);
		r = finding->wait_us > 0 ? FINDING_UNSETTLED : 0;
	}
	return r != 0 ? r : gather(intake, finding, path, &match, marks == MARKS_DISCARDED, now_us);
}

/* Every other file would meet it as well. */
static bool is_general(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM;
}

void look_at(struct intake *intake, struct candidate *candidate)
{
	struct spool *spool = &intake->spools[candidate->spool];
	struct finding finding = {.source = SOURCE_NONE};
	int r = spool->root_fd < 0 ? SOURCE_GONE : examine(intake, candidate, &finding);

	if (r == 0)
		r = jobs_start(intake->jobs, &finding.order, &finding.source);
	if (r < 0) {
		if (is_general(r))
			brake_failed(&spool->brake, monotonic_us());
		try_later(intake, candidate, error_text(r));
	} else if (r == FINDING_LARGE) {
		queue_defer(spool->queue, candidate);
	} else if (r == FINDING_NO_MAP) {
		try_later(intake, candidate, "its AccountMap= cannot be read");
	} else if (r == SOURCE_WRITER) {
		writer_found(intake, candidate, &finding.source);
	} else if (r == SOURCE_CHANGED) {
		return_in(intake, candidate, SHORT_WAIT_US);
	} else if (r == FINDING_UNSETTLED) {
		return_in(intake, candidate, finding.wait_us);
	} else if (r != 0) {
		if (r >= SOURCE_SYMLINK && r < SOURCE_OUTCOMES)
			spool_refuse(spool, finding.source.identity.inode, (enum source_outcome)r);
		if (r == FINDING_UNFINISHED) /* its marker, or the next scan, brings it back */
			spool_in_progress(spool, &finding.source, true);
		if (r == FINDING_LEFT)
			spool_tell(spool, finding.source.identity.inode, SOURCE_OUTCOMES + 2,
					"was discarded by its bridge (Discarded=leave)");
		drop(intake, candidate);
	}
	source_close(&finding.source);
	bundle_free(finding.order.bundle);
}

/* The keeper will not have it as it is, for a reason of its own: until it changes. */
static void park(struct intake *intake, const struct job_outcome *outcome)
{
	struct spool *spool = &intake->spools[outcome->candidate->spool];
	char text[200];

	seen_add(intake->parked, outcome->hash, SOURCE_HASH_BYTES);
	snprintf(text, sizeof(text), "was refused (%s)", outcome->why);
	spool_tell(spool, outcome->inode, SOURCE_OUTCOMES, text);
	snprintf(spool->last_error, sizeof(spool->last_error), "%s", outcome->why);
}

void look_after(struct intake *intake, const struct job_outcome *outcome)
{
	struct candidate *candidate = outcome->candidate;
	struct spool *spool = &intake->spools[candidate->spool];

	candidate->writers = 0;
	if (outcome->end == JOB_FAILED && !intake->stopping) {
		if (outcome->general)
			brake_failed(&spool->brake, monotonic_us());
		try_later(intake, candidate, outcome->why);
		return;
	}
	if (outcome->end == JOB_DONE) {
		candidate->failures = 0;
		brake_succeeded(&spool->brake);
		spool_well(spool);
	}
	if (outcome->end == JOB_REFUSED)
		park(intake, outcome);
	if (outcome->end == JOB_CHANGED || candidate->touched)
		return_in(intake, candidate,
				spool->config->settle_us > 0 ? spool->config->settle_us
							     : SHORT_WAIT_US);
	else if (outcome->end == JOB_DONE || outcome->end == JOB_REFUSED)
		drop(intake, candidate);
	else
		return_in(intake, candidate, 0);
}
