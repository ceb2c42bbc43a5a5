/* A filesystem for the scenarios: shows a folder, until it is told to hang. Then every call waits for
 * as long as the switch, a file outside, is there.
 *
 *     hanging_fs FOLDER SWITCH MOUNTPOINT */
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char *folder, *hang_switch;

static const char *real_path(const char *path, char buf[static PATH_MAX])
{
	while (access(hang_switch, F_OK) == 0)
		usleep(20000);
	snprintf(buf, PATH_MAX, "%s%s", folder, path);
	return buf;
}

static int result(int r)
{
	return r < 0 ? -errno : r;
}

static int fs_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	char buf[PATH_MAX];

	int r = result(lstat(real_path(path, buf), st));
	/* So that touch -d makes a file old: without leases a new one has to rest for a minute. */
	st->st_ctim = st->st_mtim;
	return r;
}

static int fs_readdir(const char *path, void *to, fuse_fill_dir_t fill, off_t offset,
		struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	char buf[PATH_MAX];
	DIR *dir = opendir(real_path(path, buf));
	const struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		fill(to, entry->d_name, NULL, 0, 0);
	closedir(dir);
	return 0;
}

static int fs_open(const char *path, struct fuse_file_info *fi)
{
	char buf[PATH_MAX];
	int fd = open(real_path(path, buf), fi->flags & (O_ACCMODE | O_APPEND | O_TRUNC));

	fi->fh = (uint64_t)fd;
	return fd < 0 ? -errno : 0;
}

static int fs_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	char buf[PATH_MAX];
	int fd = open(real_path(path, buf), O_RDWR | O_CREAT | O_EXCL, mode);

	fi->fh = (uint64_t)fd;
	return fd < 0 ? -errno : 0;
}

static int fs_read(const char *path, char *to, size_t n, off_t offset, struct fuse_file_info *fi)
{
	char buf[PATH_MAX];

	real_path(path, buf);
	return result((int)pread((int)fi->fh, to, n, offset));
}

static int fs_write(const char *path, const char *from, size_t n, off_t offset,
		struct fuse_file_info *fi)
{
	char buf[PATH_MAX];

	real_path(path, buf);
	return result((int)pwrite((int)fi->fh, from, n, offset));
}

static int fs_flush(const char *path, struct fuse_file_info *fi)
{
	char buf[PATH_MAX];

	real_path(path, buf);
	return 0;
}

static int fs_fsync(const char *path, int data_only, struct fuse_file_info *fi)
{
	char buf[PATH_MAX];

	real_path(path, buf);
	return result(fsync((int)fi->fh));
}

static int fs_release(const char *path, struct fuse_file_info *fi)
{
	return result(close((int)fi->fh));
}

static int fs_unlink(const char *path)
{
	char buf[PATH_MAX];

	return result(unlink(real_path(path, buf)));
}

static int fs_mkdir(const char *path, mode_t mode)
{
	char buf[PATH_MAX];

	return result(mkdir(real_path(path, buf), mode));
}

static int fs_rename(const char *from, const char *to, unsigned flags)
{
	char buf[PATH_MAX], other[PATH_MAX];

	return result(renameat2(
			AT_FDCWD, real_path(from, buf), AT_FDCWD, real_path(to, other), flags));
}

static int fs_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi)
{
	char buf[PATH_MAX];

	return result(utimensat(AT_FDCWD, real_path(path, buf), times, AT_SYMLINK_NOFOLLOW));
}

static int fs_statfs(const char *path, struct statvfs *st)
{
	char buf[PATH_MAX];

	return result(statvfs(real_path(path, buf), st));
}

static void *fs_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	config->use_ino = 1;
	config->attr_timeout = config->entry_timeout = 0;
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct fuse_operations operations = {.init = fs_init,
			.getattr = fs_getattr,
			.readdir = fs_readdir,
			.open = fs_open,
			.create = fs_create,
			.read = fs_read,
			.write = fs_write,
			.flush = fs_flush,
			.fsync = fs_fsync,
			.release = fs_release,
			.unlink = fs_unlink,
			.mkdir = fs_mkdir,
			.rename = fs_rename,
			.utimens = fs_utimens,
			.statfs = fs_statfs};
	char *arguments[] = {argv[0], "-f", argc > 3 ? argv[3] : NULL, NULL};

	if (argc != 4) {
		fprintf(stderr, "usage: %s FOLDER SWITCH MOUNTPOINT\n", argv[0]);
		return 2;
	}
	folder = argv[1];
	hang_switch = argv[2];
	return fuse_main(3, arguments, &operations, NULL);
}
