/* Bridge profiles: which files of a spool are recordings, whose they are, which files mark them as
 * finished or as not wanted, and what lies beside them.
 *
 * A profile is a row of texts: of profile_table.c, or of a [profile NAME] section. All but files
 * are lists separated by blanks, and may be NULL. Patterns are those of pattern.h; templates are
 * the same, with the values of the recording's groups put in. A template without / is a name in the
 * recording's own folder; "a/b" is a path from there; "/a/b" one from the markers' folder, or from
 * the spool when there is none. Besides the groups, {name} is the recording's own name and {stem}
 * the same without its last extension. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reason.h"
#include "daemon/common/profile/pattern.h"
#include "daemon/common/profile/profile_template.h"

#define PROFILE_SIDECARS_MAX 4
#define PROFILE_LIST_MAX     16

struct profile_text {
	const char *name;
	/* Patterns of recordings: the first that matches counts. "!pattern" is one of files that
	 * the bridge plays to its callers, and that are no recordings. */
	const char *files;
	const char *ignore;     /* patterns of what else the bridge leaves; not reported */
	const char *ignore_too; /* the same, of the spool */
	const char *rewritten;  /* patterns of recordings written again and again in a call */
	const char *finished;   /* templates: a recording is finished once one of these is there */
	const char *unfinished; /* templates: it is not finished while one of these is there */
	const char *discard;    /* templates: the bridge wants it thrown away */
	/* Templates of files that are sealed with the recording and removed with it. One with a *
	 * is a pattern of names in the recording's folder; the file counts whose content names the
	 * recording. */
	const char *sidecars;
	/* Templates: the first whose values are all there is the account. {meta.key} is a member
	 * of a sidecar; {meta.key:path} and {meta.key:host} are those parts of one that is a URL.
	 */
	const char *accounts;
	/* Templates: the first that is a time (profile_time.h) is when it was recorded. */
	const char *recorded;
	const char *markers;     /* a folder, absolute */
	int64_t sidecar_wait_us; /* how long a finished recording waits for a missing sidecar */
};

/* By name; NULL. */
const struct profile_text *profile_builtin(const char *name);
/* The i-th, from 0; NULL after the last. */
const struct profile_text *profile_builtin_at(size_t i);

struct profile;

/* The text is borrowed, and must outlive the profile. 0; -ENOMEM; -RE_CONFIG with a reason
 * like "Files=(wav: has a bracket ...". */
int profile_compile(const struct profile_text *text, struct reason *reason,
		struct profile **ret_profile);
struct profile *profile_free(struct profile *profile);

const struct profile_text *profile_text_of(const struct profile *profile);

enum profile_kind {
	PROFILE_RECORDING,
	PROFILE_BESIDE,  /* a marker, a sidecar, or to be ignored */
	PROFILE_PROMPT,  /* the bridge plays it: a greeting, music, an announcement */
	PROFILE_FOREIGN, /* nothing the profile knows */
};

/* What a path below the spool is; the groups' values with PROFILE_RECORDING. */
enum profile_kind profile_classify(
		const struct profile *profile, const char *path, struct pattern_match *ret_match);

/* Whether a path matches a pattern of what is ignored, or of what is written again and again. */
bool profile_is_ignored(const struct profile *profile, const char *path);
bool profile_is_rewritten(const struct profile *profile, const char *path);
/* Whether the path matches Files=, also one that is passed over because of something else. */
bool profile_matches(
		const struct profile *profile, const char *path, struct pattern_match *ret_match);

enum profile_list {
	PROFILE_FINISHED,
	PROFILE_UNFINISHED,
	PROFILE_DISCARD,
	PROFILE_SIDECARS,
	PROFILE_LISTS,
};

/* Whether the path may be one of these, of some recording. */
bool profile_may_be(const struct profile *profile, enum profile_list list, const char *path);

size_t profile_count(const struct profile *profile, enum profile_list list);

/* Where the i-th of a list is for a recording: malloc'd, relative to the markers' folder when
 * *ret_at_markers, else to the spool. 0; -ENOENT when a value is missing, or leads out of the
 * folder of a sidecar; -ENOMEM. */
int profile_locate(const struct profile *profile, enum profile_list list, size_t i,
		const char *path, const struct pattern_match *match, char **ret_place,
		bool *ret_at_markers);

/* Whether the i-th sidecar is a pattern, of names that say nothing of the recording; and whether a
 * file's own name matches it. */
bool profile_sidecar_is_pattern(const struct profile *profile, size_t i);
bool profile_sidecar_matches(const struct profile *profile, size_t i, const char *name);

/* Which other recordings may have the same i-th sidecar. */
enum profile_sharing {
	PROFILE_UNSHARED,
	PROFILE_SHARED_IN_FOLDER, /* those beside it */
	PROFILE_SHARED_IN_SPOOL,
};
enum profile_sharing profile_sidecar_sharing(const struct profile *profile, size_t i);

/* The account's name, malloc'd. 0; -ENOENT: no template has all its values; -ENOMEM. */
int profile_account(const struct profile *profile, const char *path,
		const struct pattern_match *match, profile_template_meta meta, void *context,
		char **ret_account);

/* When it was recorded, by its name. 0; -ENOENT: the name does not tell; -ENOMEM. */
int profile_recorded(const struct profile *profile, const char *path,
		const struct pattern_match *match, int64_t *ret_us);

/* Whether profile_account() would ask for a meta. */
bool profile_needs_meta(const struct profile *profile);
