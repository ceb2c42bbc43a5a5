#include "daemon/intake/beside/judge.h"

#include <string.h>

#include "daemon/common/config/config_spool.h"
#include "daemon/intake/beside/marks.h"
#include "daemon/intake/source/aside.h"

#define CLOCK_SKEW_US US_PER_S

int judge_find(const struct spool *spool, const char *path, struct judge_file *file)
{
	file->path = aside_path(path, file->buf);
	int r = source_find(spool->root_fd, path, &file->source);

	if (r != 0)
		return r;
	return profile_classify(spool->profile, file->path, &file->match) == PROFILE_RECORDING
			       ? 0
			       : SOURCE_GONE;
}

int64_t judge_changed_us(const struct source_identity *identity, int64_t now_us)
{
	int64_t changed_us = source_changed_us(identity);
	bool sane = changed_us >= JUDGE_EARLIEST_US && changed_us <= now_us + CLOCK_SKEW_US;

	return sane ? changed_us : 0;
}

/* What the operator wants done with a recording that its bridge has discarded. */
static bool spool_discards(const struct spool *spool, const char *word)
{
	return strcmp(spool->config->discarded, word) == 0;
}

int judge_marks(struct spool *spool, struct judge_file *file)
{
	int marks = marks_look(spool, file->path, &file->match);

	if (marks < 0)
		return marks;
	file->discarded = marks == MARKS_DISCARDED;
	if (marks == MARKS_UNFINISHED)
		return JUDGE_UNFINISHED;
	return file->discarded && spool_discards(spool, "leave") ? JUDGE_LEFT : 0;
}

int judge_gather(struct spool *spool, const struct judge_file *file, int64_t finished_us,
		int64_t now_us, struct bundle **ret_bundle, int64_t *ret_wait_us)
{
	const struct bundle_recording recording = {.path = file->path,
			.match = &file->match,
			.discarded = file->discarded,
			.finished_us = finished_us};

	if (file->discarded && spool_discards(spool, "delete"))
		return JUDGE_DELETE;
	int r = bundle_gather(spool, &recording, now_us, ret_bundle, ret_wait_us);
	return r == BUNDLE_WAIT ? JUDGE_WAIT : r == BUNDLE_NO_MAP ? JUDGE_NO_MAP : r;
}
