#include "daemon/intake/beside/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/intake/source/beneath.h"

#define ENTRIES_MAX 4096 /* of the folder, in one search */
#define READS_MAX   64
#define BYTES_MAX   (4 * SIDECAR_READ_MAX) /* read in one search, about */
#define EARLY_US    (60 * US_PER_S)        /* before its recording: the clock may have been set */

bool manifest_names(const struct sidecar *sidecar, const char *name)
{
	const char *text = (const char *)sidecar->bytes, *end = text + sidecar->len;
	size_t len = strlen(name);

	/* From each quote backwards: strangers write both, and a search for the name may be made to
	 * find it at every byte. */
	for (const char *at = text; (at = memchr(at, '"', (size_t)(end - at))); at++) {
		const char *begin = at - text > (ptrdiff_t)len ? at - len : NULL;
		if (begin && (begin[-1] == '/' || begin[-1] == '"') &&
				memcmp(begin, name, len) == 0)
			return true;
	}
	return false;
}

/* A file that may be the manifest. A folder may hold the manifests of a day, and only a few are
 * read: the ones written nearest to the recording's end, since its own comes right after it. */
struct nearby {
	int64_t away_us;
	char *path;
};

struct search {
	int root_fd;
	const struct profile *profile;
	size_t i;
	const char *path; /* of the recording */
	size_t folder_len;
	int64_t finished_us, now_us, settle_us;
	struct nearby nearby[READS_MAX];
	size_t n;
	size_t bytes; /* read so far */
};

static int nearby_compare(const void *a, const void *b)
{
	int64_t x = ((const struct nearby *)a)->away_us, y = ((const struct nearby *)b)->away_us;

	return x < y ? -1 : x > y;
}

static void search_clear(struct search *s)
{
	while (s->n > 0)
		free(s->nearby[--s->n].path);
}

/* The slot for a file that is so far away: a free one, or that of the farthest file if this one is
 * nearer; else NULL. */
static struct nearby *search_slot(struct search *s, int64_t away_us)
{
	struct nearby *farthest = s->nearby;

	if (s->n < READS_MAX)
		return &s->nearby[s->n++];
	for (size_t i = 1; i < s->n; i++) {
		if (s->nearby[i].away_us > farthest->away_us)
			farthest = &s->nearby[i];
	}
	if (farthest->away_us <= away_us)
		return NULL;
	free(farthest->path);
	return farthest;
}

static int search_consider(struct search *s, int dir_fd, const char *name)
{
	struct source_identity identity;
	struct stat st;

	if (!profile_sidecar_matches(s->profile, s->i, name) ||
			fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	source_identify(&st, &identity);
	int64_t away_us = source_changed_us(&identity) - s->finished_us;
	/* Written before its recording was: about another one. */
	if (away_us < -EARLY_US)
		return 0;
	struct nearby *nearby = search_slot(s, away_us);
	if (!nearby)
		return 0;
	*nearby = (struct nearby){.away_us = away_us};
	if (asprintf(&nearby->path, "%.*s%s", (int)s->folder_len, s->path, name) < 0) {
		nearby->path = NULL; /* undefined after a failed asprintf() */
		return -ENOMEM;
	}
	return 0;
}

static int search_manifests(struct search *s, DIR *dir)
{
	const struct dirent *entry;
	int r = 0;

	for (unsigned n = 0; n < ENTRIES_MAX && r == 0 && (entry = readdir(dir)); n++)
		r = search_consider(s, dirfd(dir), entry->d_name);
	if (r == 0)
		qsort(s->nearby, s->n, sizeof(s->nearby[0]), nearby_compare);
	return r;
}

/* 0 or SIDECAR_LARGE when this file names the recording. */
static int search_try(struct search *s, const char *path, struct sidecar *sidecar,
		struct sidecar_about *ret_about)
{
	int r = sidecar_read(s->root_fd, path, s->now_us, s->settle_us, sidecar, ret_about);

	if (r != 0 && r != SIDECAR_LARGE)
		return r == -ENOMEM || r == SIDECAR_BUSY ? r : SIDECAR_MISSING;
	s->bytes += sidecar->len;
	if (manifest_names(sidecar, s->path + s->folder_len))
		return r;
	sidecar_clear(sidecar);
	return SIDECAR_MISSING;
}

static int search_try_each(
		struct search *s, struct sidecar *sidecar, struct sidecar_about *ret_about)
{
	int found = SIDECAR_MISSING;

	for (size_t i = 0; i < s->n && s->bytes < BYTES_MAX; i++) {
		struct sidecar_about about;
		int r = search_try(s, s->nearby[i].path, sidecar, &about);
		if (r == SIDECAR_LARGE)
			*ret_about = about;
		if (r == 0 || r == -ENOMEM || r == SIDECAR_LARGE)
			return r;
		/* Perhaps it will name the recording; but another one may already. */
		if (r == SIDECAR_BUSY) {
			found = r;
			*ret_about = about;
		}
	}
	return found;
}

int manifest_read(int root_fd, const struct profile *profile, size_t i, const char *path,
		int64_t finished_us, int64_t now_us, int64_t settle_us, struct sidecar *ret_sidecar,
		struct sidecar_about *ret_about)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(search_clear) struct search s = {.root_fd = root_fd,
			.profile = profile,
			.i = i,
			.path = path,
			.folder_len = slash ? (size_t)(slash - path) + 1 : 0,
			.finished_us = finished_us,
			.now_us = now_us,
			.settle_us = settle_us};
	_cleanup_free_ char *folder = slash ? strndup(path, s.folder_len - 1) : strdup(".");

	if (!folder)
		return -ENOMEM;
	int fd = beneath_open(root_fd, folder, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return SIDECAR_MISSING;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	int r = search_manifests(&s, dir);
	closedir(dir);
	return r < 0 ? r : search_try_each(&s, ret_sidecar, ret_about);
}
