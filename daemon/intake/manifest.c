#include "daemon/intake/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/intake/beneath.h"

#define ENTRIES_MAX 4096 /* of the folder, looked at once */
#define READS_MAX   64

bool manifest_names(const struct sidecar *sidecar, const char *name)
{
	const char *text = (const char *)sidecar->bytes, *end = text + sidecar->len;
	size_t len = strlen(name);

	while ((text = memmem(text, (size_t)(end - text), name, len))) {
		bool begins =
			text > (const char *)sidecar->bytes && (text[-1] == '/' || text[-1] == '"');
		if (begins && text + len < end && text[len] == '"')
			return true;
		text++;
	}
	return false;
}

struct search {
	int root_fd;
	const struct profile *profile;
	size_t i;
	const char *path; /* of the recording */
	size_t folder_len;
	int64_t since_us, now_us, settle_us;
	unsigned reads;
	bool busy;
	struct sidecar *sidecar;
	struct sidecar_about *about;
};

static bool is_candidate(const struct search *s, int dir_fd, const char *name)
{
	struct source_identity identity;
	struct stat st;

	if (!profile_sidecar_matches(s->profile, s->i, name) ||
		fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	source_identify(&st, &identity);
	return source_changed_us(&identity) >= s->since_us;
}

/* 0 when this is the one. */
static int try_candidate(struct search *s, const char *name)
{
	_cleanup_free_ char *path = NULL;
	struct sidecar_about about;

	if (asprintf(&path, "%.*s%s", (int)s->folder_len, s->path, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	s->reads++;
	int r = sidecar_read(s->root_fd, path, s->now_us, s->settle_us, s->sidecar, &about);
	if (r == 0 && !manifest_names(s->sidecar, s->path + s->folder_len)) {
		sidecar_clear(s->sidecar);
		return SIDECAR_MISSING;
	}
	if (r == SIDECAR_BUSY) {
		s->busy = true;
		*s->about = about;
	}
	return r == 0 || r == -ENOMEM ? r : SIDECAR_MISSING;
}

static int search(struct search *s, DIR *dir)
{
	const struct dirent *entry;

	for (unsigned n = 0; n < ENTRIES_MAX && s->reads < READS_MAX; n++) {
		entry = readdir(dir);
		if (!entry)
			break;
		if (!is_candidate(s, dirfd(dir), entry->d_name))
			continue;
		int r = try_candidate(s, entry->d_name);
		if (r != SIDECAR_MISSING)
			return r;
	}
	return s->busy ? SIDECAR_BUSY : SIDECAR_MISSING;
}

int manifest_read(int root_fd, const struct profile *profile, size_t i, const char *path,
	int64_t since_us, int64_t now_us, int64_t settle_us, struct sidecar *ret_sidecar,
	struct sidecar_about *ret_about)
{
	const char *slash = strrchr(path, '/');
	struct search s = {root_fd, profile, i, path, slash ? (size_t)(slash - path) + 1 : 0,
		since_us, now_us, settle_us, 0, false, ret_sidecar, ret_about};
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
	int r = search(&s, dir);
	closedir(dir);
	return r;
}
