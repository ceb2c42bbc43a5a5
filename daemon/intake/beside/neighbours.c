#include "daemon/intake/beside/neighbours.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/intake/beside/manifest.h"
#include "daemon/intake/source/beneath.h"
#include "daemon/intake/spool/scan.h"

#define ENTRIES_MAX 4096 /* among more, a shared sidecar stays */

struct walk {
	const struct neighbours *n;
	bool deep;
	unsigned entries;
};

/* Whether a recording has this sidecar, which is the profile's i-th, by its own place. */
static bool leads_to(const struct neighbours *n, size_t i, const char *path,
		const struct pattern_match *match)
{
	_cleanup_free_ char *place = NULL;
	bool at_markers;
	int r = profile_locate(n->profile, PROFILE_SIDECARS, i, path, match, &place, &at_markers);

	return r == -ENOMEM || (r == 0 && !at_markers && strcmp(place, n->sidecar->path) == 0);
}

static bool is_user(const struct neighbours *n, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct pattern_match match;

	if (strcmp(path, n->path) == 0 ||
			profile_classify(n->profile, path, &match) != PROFILE_RECORDING)
		return false;
	if (profile_sidecar_is_pattern(n->profile, n->place) && manifest_names(n->sidecar, name))
		return true;
	for (size_t i = 0; i < profile_count(n->profile, PROFILE_SIDECARS); i++) {
		if (!profile_sidecar_is_pattern(n->profile, i) && leads_to(n, i, path, &match))
			return true;
	}
	return false;
}

static bool search(struct walk *walk, int fd, const char *folder, unsigned depth);

static bool search_folder(
		struct walk *walk, int dir_fd, const char *name, const char *path, unsigned depth)
{
	_cleanup_free_ char *folder = NULL;

	if (!walk->deep || !scan_takes_directory(name))
		return false;
	int fd = beneath_open(dir_fd, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0) /* most are files */
		return fd != -ENOTDIR && fd != -ENOENT && fd != -ELOOP;
	if (asprintf(&folder, "%s/", path) < 0 || depth == SCAN_DEPTH_MAX) {
		close(fd);
		return true;
	}
	return search(walk, fd, folder, depth + 1);
}

static bool search_entry(
		struct walk *walk, int dir_fd, const char *folder, const char *name, unsigned depth)
{
	_cleanup_free_ char *path = NULL;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	if (++walk->entries > ENTRIES_MAX)
		return true;
	if (asprintf(&path, "%s%s", folder, name) < 0) {
		path = NULL;
		return true;
	}
	return is_user(walk->n, path) || search_folder(walk, dir_fd, name, path, depth);
}

/* Takes the descriptor. folder ends with a slash, or is empty. */
static bool search(struct walk *walk, int fd, const char *folder, unsigned depth)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool found = !dir;

	if (!dir && fd >= 0)
		close(fd);
	while (!found && (entry = readdir(dir)))
		found = search_entry(walk, dirfd(dir), folder, entry->d_name, depth);
	if (dir)
		closedir(dir);
	return found;
}

bool neighbours_need(const struct neighbours *n)
{
	enum profile_sharing sharing = profile_sidecar_sharing(n->profile, n->place);
	struct walk walk = {.n = n, .deep = sharing == PROFILE_SHARED_IN_SPOOL};
	const char *slash = strrchr(n->path, '/');
	_cleanup_free_ char *folder = NULL;

	if (sharing == PROFILE_UNSHARED)
		return false;
	folder = walk.deep || !slash ? strdup("") : strndup(n->path, (size_t)(slash - n->path) + 1);
	if (!folder)
		return true;
	int fd = beneath_open(walk.deep ? n->root_fd : n->parent_fd, ".", O_RDONLY | O_DIRECTORY);
	return search(&walk, fd, folder, 0);
}
