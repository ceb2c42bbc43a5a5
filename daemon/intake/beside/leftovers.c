#include "daemon/intake/beside/leftovers.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/monotonic.h"
#include "base/text.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/intake/beside/bundle.h"
#include "daemon/intake/source/aside.h"

#define PATH_BYTES_ALL 32768 /* of the files that are listed: they go into one message */
#define SHOWN_PATH_MAX 1024  /* of the spool's own path */

struct leftovers {
	struct spool *spool;
	struct leftovers_question *question;
	const struct seen *settled;
	struct scan *scan;
	int64_t now_us;   /* wall clock */
	int64_t until_us; /* monotonic */
	int64_t files, unknown, unreadable;
	json_t *entries;
	size_t path_bytes;
	char why[INTAKE_WORDS_MAX]; /* the look has not met everything; "": it has */
};

struct leftovers_question *leftovers_question_free(struct leftovers_question *question)
{
	if (!question)
		return NULL;
	if (question->account)
		sodium_memzero(question->account, question->account_len);
	free(question->account);
	free(question->spool);
	free(question->path);
	free(question);
	return NULL;
}

struct leftovers_question *leftovers_question_copy(const struct leftovers_question *question)
{
	struct leftovers_question *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	copy->account_len = question->account_len;
	copy->account = malloc(question->account_len + 1);
	copy->spool = question->spool ? strdup(question->spool) : NULL;
	copy->path = question->path ? strdup(question->path) : NULL;
	if (!copy->account || (question->spool && !copy->spool) || (question->path && !copy->path))
		return leftovers_question_free(copy);
	memcpy(copy->account, question->account, question->account_len);
	return copy;
}

struct leftovers *leftovers_free(struct leftovers *leftovers)
{
	if (!leftovers)
		return NULL;
	scan_free(leftovers->scan);
	leftovers_question_free(leftovers->question);
	json_decref(leftovers->entries);
	free(leftovers);
	return NULL;
}

/* ---- Whose a file is ---- */

static const char *path_own_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The path without what tools put around the name of an unfinished file: ".x.wav", "x.wav.part". */
static void path_strip(char *path)
{
	static const char *const ends[] = {".tmp", ".part"};
	char *name = path + (path_own_name(path) - path);
	size_t dots = strspn(name, "."), len = strlen(name);

	if (dots < len)
		memmove(name, name + dots, len - dots + 1);
	len = strlen(name);
	for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
		size_t n = strlen(ends[i]);
		if (len > n && strcmp(name + len - n, ends[i]) == 0)
			name[len - n] = '\0';
	}
}

static bool byte_is_word(const char *at, const char *begin, const char *end)
{
	return at >= begin && at < end && isalnum((unsigned char)*at);
}

/* Whether the account's name stands in the path, not as a part of a longer word. */
static bool path_has_account(const char *path, const struct leftovers_question *question)
{
	const char *end = path + strlen(path), *at = path;
	size_t len = question->account_len;

	while (len > 0 && (at = memmem(at, (size_t)(end - at), question->account, len))) {
		if (!byte_is_word(at - 1, path, end) && !byte_is_word(at + len, path, end))
			return true;
		at++;
	}
	return false;
}

/* The account as for sealing: 0, -ENOENT when it cannot be told, -errno. */
static int leftover_account(const struct leftovers *leftovers, const char *path,
		const struct source_identity *identity, char **ret_account)
{
	struct spool *spool = leftovers->spool;
	struct pattern_match match;
	char own[PATH_MAX];

	snprintf(own, sizeof(own), "%s", path);
	if (!profile_matches(spool->profile, own, &match)) {
		path_strip(own);
		if (!profile_matches(spool->profile, own, &match))
			return -ENOENT;
	}
	const struct bundle_recording recording = {
			.path = own, .match = &match, .finished_us = source_changed_us(identity)};
	return bundle_account(spool, &recording, leftovers->now_us, ret_account);
}

enum owner { OWNER_OTHER, OWNER_THIS, OWNER_UNKNOWN };

static enum owner leftover_owner(const struct leftovers *leftovers, const char *path,
		const struct source_identity *identity)
{
	const struct leftovers_question *question = leftovers->question;
	_cleanup_free_ char *account = NULL;
	int r = leftover_account(leftovers, path, identity, &account);

	if (r == 0 && strlen(account) == question->account_len &&
			memcmp(account, question->account, question->account_len) == 0)
		return OWNER_THIS;
	if (r == 0)
		return OWNER_OTHER;
	return path_has_account(path, question) ? OWNER_THIS : OWNER_UNKNOWN;
}

/* ---- Why it is there ---- */

static bool path_is_passed_over(const char *path)
{
	/* Folders with a dot in front are not entered. */
	if (path[0] == '.' || strstr(path, "/."))
		return true;
	return !scan_takes_file(path_own_name(path));
}

static void leftover_explain(const struct leftovers *leftovers, const char *path, const char *own,
		const struct stat *st, char ret_why[static INTAKE_WORDS_MAX])
{
	struct source_identity identity;
	struct pattern_match match;
	int outcome = source_classify(st);
	enum profile_kind kind = profile_classify(leftovers->spool->profile, own, &match);

	source_identify(st, &identity);
	if (own == path && path_is_passed_over(path))
		snprintf(ret_why, INTAKE_WORDS_MAX, "its name is ignored: it is not sealed");
	else if (outcome >= SOURCE_SYMLINK)
		snprintf(ret_why, INTAKE_WORDS_MAX, "it %s: it is not sealed",
				source_refusal((enum source_outcome)outcome));
	else if (kind == PROFILE_BESIDE)
		snprintf(ret_why, INTAKE_WORDS_MAX,
				"its name is that of a sidecar, of a marker, or in Ignore=");
	else if (kind == PROFILE_FOREIGN)
		snprintf(ret_why, INTAKE_WORDS_MAX,
				"it matches no pattern of its profile: it is not sealed");
	else if (seen_has(leftovers->settled, &identity, sizeof(identity)))
		snprintf(ret_why, INTAKE_WORDS_MAX, "it is sealed, and could not be removed yet");
	else
		snprintf(ret_why, INTAKE_WORDS_MAX,
				"it is not sealed yet: it is being written, or waits");
}

/* ---- The walk ---- */

/* Two paths of one file: a private name (aside.h) counts as the file's own. */
static bool leftover_is_wanted(const struct leftovers *leftovers, const char *own)
{
	return !leftovers->question->path || strcmp(leftovers->question->path, own) == 0;
}

static void leftover_list(struct leftovers *leftovers, const char *path, const char *own,
		const struct stat *st)
{
	char why[INTAKE_WORDS_MAX];
	size_t len = strlen(path);

	leftovers->files++;
	if (json_array_size(leftovers->entries) == INTAKE_FOUND_MAX ||
			leftovers->path_bytes + len > PATH_BYTES_ALL)
		return;
	leftover_explain(leftovers, path, own, st, why);
	json_t *entry = json_pack("{s:o, s:s}", "path", intake_wire_base64(path, len), "why", why);
	if (json_array_append_new(leftovers->entries, entry) == 0)
		leftovers->path_bytes += len;
}

static void on_leftover(void *context, const char *path, const struct stat *st)
{
	struct leftovers *leftovers = context;
	struct source_identity identity;
	char buf[PATH_MAX];
	const char *own = aside_path(path, buf);

	/* Without bytes there is no plaintext; and what is no file has none of its own. */
	if (!S_ISREG(st->st_mode) || st->st_size == 0 || !leftover_is_wanted(leftovers, own))
		return;
	source_identify(st, &identity);
	/* Asked for by its path: it is the recording's own, whosoever it would be now. */
	if (leftovers->question->path) {
		leftover_list(leftovers, path, own, st);
		return;
	}
	switch (leftover_owner(leftovers, own, &identity)) {
	case OWNER_THIS:
		leftover_list(leftovers, path, own, st);
		break;
	case OWNER_UNKNOWN:
		leftovers->unknown++;
		break;
	case OWNER_OTHER:
		break;
	}
}

static void on_leftover_folder(void *context, const char *path, int fd)
{
}

static void on_leftover_refused(
		void *context, const char *path, const struct stat *st, enum source_outcome why)
{
	struct leftovers *leftovers = context;

	leftovers->unreadable++;
}

struct leftovers *leftovers_begin(struct spool *spool, struct leftovers_question *question,
		const struct seen *settled, int64_t now_us)
{
	struct leftovers *leftovers = calloc(1, sizeof(*leftovers));
	json_t *entries = json_array();

	if (!leftovers || !entries) {
		json_decref(entries);
		free(leftovers);
		leftovers_question_free(question);
		return NULL;
	}
	*leftovers = (struct leftovers){.spool = spool,
			.question = question,
			.settled = settled,
			.now_us = now_us,
			.until_us = monotonic_us() + LEFTOVERS_TIME_US,
			.entries = entries};
	const struct scan_sink sink = {.directory = on_leftover_folder,
			.file = on_leftover,
			.refused = on_leftover_refused,
			.context = leftovers};
	if (question->spool && strcmp(question->spool, spool->config->name) != 0)
		return leftovers; /* nothing is looked for here */
	if (spool->root_fd < 0 || scan_start_all(spool->root_fd, &sink, &leftovers->scan) < 0)
		snprintf(leftovers->why, sizeof(leftovers->why), "its folder is not there");
	return leftovers;
}

int leftovers_step(struct leftovers *leftovers, unsigned entries, int64_t now_us)
{
	leftovers->now_us = now_us;
	if (!leftovers->scan)
		return 0;
	bool late = monotonic_us() >= leftovers->until_us;
	if (!late && scan_step(leftovers->scan, entries) != 0)
		return 1;
	if (late)
		snprintf(leftovers->why, sizeof(leftovers->why),
				"the look took longer than %d s and was ended",
				(int)(LEFTOVERS_TIME_US / US_PER_S));
	leftovers->scan = scan_free(leftovers->scan);
	if (!*leftovers->why && leftovers->unreadable > 0)
		snprintf(leftovers->why, sizeof(leftovers->why),
				"%lld folders or files in it cannot be read",
				(long long)leftovers->unreadable);
	return 0;
}

/* The end of the path, when it is long. */
static json_t *leftovers_path(const char *path)
{
	size_t len = strlen(path);
	_cleanup_free_ char *safe = len > SHOWN_PATH_MAX
						    ? text_printable(path + len - SHOWN_PATH_MAX,
								      SHOWN_PATH_MAX)
						    : text_printable(path, len);

	return safe ? json_string(safe) : NULL;
}

json_t *leftovers_report(const struct leftovers *leftovers)
{
	const struct config_spool *config = leftovers->spool->config;

	return json_pack("{s:s, s:s, s:o, s:b, s:s*, s:I, s:I, s:O}", "op", "found", "spool",
			config->name, "path", leftovers_path(config->path), "complete",
			!*leftovers->why, "why", *leftovers->why ? leftovers->why : NULL, "files",
			(json_int_t)leftovers->files, "unknown", (json_int_t)leftovers->unknown,
			"entries", leftovers->entries);
}
