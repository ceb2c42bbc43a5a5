#include "daemon/intake/plan/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/intake/beside/judge.h"
#include "daemon/intake/plan/plan_beside.h"
#include "daemon/intake/source/aside.h"
#include "daemon/intake/spool/scan.h"
#include "daemon/intake/spool/spool.h"

/* By then every wait for a sidecar is over: the longest is a day (recseal.conf(5)). */
#define SETTLED_US   (2 * US_PER_DAY)
#define STEP_ENTRIES 4096
#define CANDIDATES   2 /* a spool has a queue; this one's stays empty */
#define REPORTED     512

struct planning {
	const struct plan_sink *sink;
	int64_t now_us;
	struct spool_tools tools;
	struct spool spool;
	struct plan_beside beside;
	bool unleased;
	int r; /* what ends the plan */
};

const char *plan_fate_name(enum plan_fate fate)
{
	static const char *const names[PLAN_FATES] = {
			[PLAN_TAKEN] = "taken",
			[PLAN_DELETED] = "deleted",
			[PLAN_WAITS] = "waits",
			[PLAN_IGNORED] = "ignored",
			[PLAN_REFUSED] = "refused",
			[PLAN_UNREADABLE] = "unreadable",
	};

	return names[fate];
}

static void planning_tell(struct planning *p, const char *path, const struct stat *st,
		enum plan_fate fate, const char *reason)
{
	p->sink->file(p->sink->context,
			&(struct plan_file){.path = path,
					.fate = fate,
					.reason = reason,
					.bytes = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
					.recording = true});
}

/* ---- One recording ---- */

struct outcome {
	enum plan_fate fate;
	const char *reason;
};

/* What an answer of judge.h or source.h means for the file. */
static struct outcome outcome_of(int r)
{
	switch (r) {
	case 0:
		return (struct outcome){PLAN_TAKEN, NULL};
	case SOURCE_GONE:
	case SOURCE_CHANGED:
	case SOURCE_WRITER:
		return (struct outcome){PLAN_WAITS, "is being written to"};
	case SOURCE_EMPTY:
		return (struct outcome){PLAN_WAITS, "is empty: waits for its writer"};
	case SOURCE_UNREADABLE:
		return (struct outcome){PLAN_UNREADABLE, source_refusal(SOURCE_UNREADABLE)};
	case JUDGE_UNFINISHED:
		return (struct outcome){PLAN_WAITS, "its bridge has not marked it as finished"};
	case JUDGE_WAIT:
		return (struct outcome){PLAN_WAITS, "waits for its sidecar or its account"};
	case JUDGE_NO_MAP:
		return (struct outcome){PLAN_WAITS, "its AccountMap= cannot be read"};
	case JUDGE_LEFT:
		return (struct outcome){
				PLAN_IGNORED, "was discarded by its bridge (Discarded=leave)"};
	case JUDGE_DELETE:
		return (struct outcome){
				PLAN_DELETED, "was discarded by its bridge (Discarded=delete)"};
	default:
		return r < 0 ? (struct outcome){PLAN_UNREADABLE, error_text(r)}
			     : (struct outcome){PLAN_REFUSED,
					       source_refusal((enum source_outcome)r)};
	}
}

/* Without a lease nobody knows whether somebody writes; the intake then waits for longer. */
static int planning_claim(struct planning *p, struct source *source)
{
	int r = source_claim(source);

	if (r == SOURCE_UNLEASED && !p->unleased)
		p->sink->warn(p->sink->context,
				"files cannot be leased (by this user, or on this filesystem): "
				"files that are still being written are not recognised");
	p->unleased |= r == SOURCE_UNLEASED;
	return r == SOURCE_UNLEASED ? 0 : r;
}

static int planning_judge(struct planning *p, const char *path, struct judge_file *file,
		struct bundle **bundle)
{
	struct spool *spool = &p->spool;
	int64_t wait_us;
	int r = judge_find(spool, path, file);

	if (r == 0)
		r = judge_marks(spool, file);
	if (r == 0)
		r = planning_claim(p, &file->source);
	if (r != 0)
		return r;
	int64_t changed_us = judge_changed_us(&file->source.identity, p->now_us);
	return judge_gather(spool, file, changed_us ? changed_us : p->now_us,
			p->now_us + SETTLED_US, bundle, &wait_us);
}

static void planning_recording(struct planning *p, const char *path, const struct stat *st)
{
	struct judge_file file = {.source = SOURCE_NONE};
	struct bundle *bundle = NULL;
	int r = planning_judge(p, path, &file, &bundle);
	struct outcome outcome = outcome_of(r);
	const char *account = bundle ? bundle->account : NULL;

	if (r == -ENOMEM)
		p->r = r;
	if (bundle && !account)
		outcome.reason = "has no account: goes to the quarantine";
	else if (bundle && bundle->discarded)
		outcome.reason = "was discarded by its bridge, and is sealed (Discarded=seal)";
	p->sink->file(p->sink->context, &(struct plan_file){.path = path,
							.fate = outcome.fate,
							.account = account,
							.reason = outcome.reason,
							.bytes = (uint64_t)st->st_size,
							.recording = true});
	if (bundle && plan_beside_seal(&p->beside, bundle) < 0)
		p->r = -ENOMEM;
	bundle_free(bundle);
	source_close(&file.source);
}

/* ---- The walk ---- */

static void on_plan_directory(void *context, const char *path, int fd)
{
}

static void on_plan_file(void *context, const char *path, const struct stat *st)
{
	struct planning *p = context;
	struct pattern_match match;
	char buf[PATH_MAX];
	const char *own = aside_path(path, buf);

	switch (profile_classify(p->spool.profile, own, &match)) {
	case PROFILE_RECORDING:
		planning_recording(p, path, st);
		break;
	case PROFILE_FOREIGN:
		planning_tell(p, path, st, PLAN_REFUSED, "matches no pattern of its profile");
		break;
	case PROFILE_PROMPT:
		planning_tell(p, path, st, PLAN_IGNORED, "is played by the bridge");
		break;
	case PROFILE_BESIDE:
		if (plan_beside_add(&p->beside, path, (uint64_t)st->st_size,
				    profile_may_be(p->spool.profile, PROFILE_SIDECARS, own)) < 0)
			p->r = -ENOMEM;
		break;
	}
}

static void on_plan_refused(
		void *context, const char *path, const struct stat *st, enum source_outcome why)
{
	planning_tell(context, path, st, why == SOURCE_UNREADABLE ? PLAN_UNREADABLE : PLAN_REFUSED,
			source_refusal(why));
}

static void on_plan_left(void *context, const char *path, const struct stat *st, enum scan_left why)
{
	if (why == SCAN_LEFT_EMPTY)
		planning_tell(context, path, st, PLAN_WAITS, outcome_of(SOURCE_EMPTY).reason);
	else
		planning_tell(context, path, st, PLAN_IGNORED,
				S_ISDIR(st->st_mode) ? "is a folder that is left alone for its name"
						     : "is unfinished or hidden, by its name");
}

static void on_plan_notice(void *context, const struct notice *notice)
{
	const struct planning *p = context;

	p->sink->warn(p->sink->context, notice->text);
}

static int planning_walk(struct planning *p)
{
	const struct scan_sink sink = {.directory = on_plan_directory,
			.file = on_plan_file,
			.refused = on_plan_refused,
			.left = on_plan_left,
			.context = p};
	struct scan *scan;
	int r = scan_start(p->spool.root_fd, "", &sink, &scan);

	if (r < 0)
		return r;
	while (p->r == 0 && scan_step(scan, STEP_ENTRIES) == SCAN_MORE)
		;
	scan_free(scan);
	return p->r;
}

/* ---- The whole ---- */

static int planning_open(struct planning *p, const struct plan_setup *setup, struct reason *reason)
{
	struct spool_setup spool = {
			.config = setup->spool, .tools = &p->tools, .candidates = CANDIDATES};
	const char *path = setup->spool->path;
	int r = config_profile_of(setup->config, setup->spool, &spool.profile);

	if (r < 0)
		return reason_set(reason, -RE_CONFIG, "there is no profile %s",
				setup->spool->profile);
	r = spool_init(&p->spool, &spool, reason);
	if (r < 0)
		return r;
	p->spool.root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return p->spool.root_fd < 0 ? reason_set_error(reason, -errno, "%s", path) : 0;
}

int plan_make(const struct plan_setup *setup, struct reason *reason)
{
	struct planning p = {.sink = &setup->sink,
			.now_us = clock_now_us(setup->clock),
			.tools = {.clock = setup->clock,
					.reported = seen_new(REPORTED),
					.notices = {.post = on_plan_notice, .context = &p}},
			.spool = {.root_fd = -1}};
	int r = p.tools.reported ? planning_open(&p, setup, reason) : -ENOMEM;

	if (r == 0) {
		r = planning_walk(&p);
		if (r < 0)
			reason_set_error(reason, r, "%s", setup->spool->path);
	}
	if (r == 0)
		plan_beside_tell(&p.beside, &setup->sink);
	plan_beside_clear(&p.beside);
	spool_free(&p.spool);
	seen_free(p.tools.reported);
	return r;
}
