#include "cli/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/output.h"

/* The directory of a path, and the name in it. Unlike spools, this is the caller's own path: links
 * in it are theirs to follow. */
static int open_directory(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path))
					 : strdup(".");

	if (!dir)
		return -ENOMEM;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_name = slash ? slash + 1 : path;
	return fd;
}

/* Early, so that nobody waits for an hour of audio to learn it. durable_link() decides. */
static int check_free(int dir_fd, const char *name)
{
	struct stat st;

	if (!*name)
		return -EISDIR;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return errno == ENOENT ? 0 : -errno;
}

static enum cli_exit tell(const char *path, int r)
{
	if (r == -EEXIST)
		output_error("%s exists already, and is never replaced: choose another name", path);
	else
		output_error("cannot create %s: %s", path, error_text(r));
	return CLI_ERROR;
}

enum cli_exit output_file_open(const char *path, struct output_file *ret_file)
{
	struct output_file file = {.path = path, .fd = -1};

	file.dir_fd = open_directory(path, &file.name);
	if (file.dir_fd < 0)
		return tell(path, file.dir_fd);
	int r = check_free(file.dir_fd, file.name);
	if (r == 0)
		r = file.fd = durable_unnamed(file.dir_fd, 0600, file.temporary);
	if (r < 0) {
		close(file.dir_fd);
		return tell(path, r);
	}
	*ret_file = file;
	return CLI_DONE;
}

enum cli_exit output_file_publish(struct output_file *file)
{
	int r = durable_sync(file->fd);

	if (r == 0)
		r = durable_link(file->fd, file->dir_fd, file->temporary, file->name);
	if (r < 0)
		return tell(file->path, r);
	file->temporary[0] = '\0';
	r = durable_sync(file->dir_fd);
	return r < 0 ? tell(file->path, r) : CLI_DONE;
}

void output_file_close(struct output_file *file)
{
	durable_forget(file->dir_fd, file->temporary);
	close(file->fd);
	close(file->dir_fd);
}
