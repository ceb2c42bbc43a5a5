#include "daemon/intake/spool/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/intake/source/source.h"

#define MODE_BITS 07777

static json_t *facts_filesystem(int fd)
{
	static const struct {
		unsigned long type;
		const char *name;
	} known[] = {{EXT4_SUPER_MAGIC, "ext4"}, {XFS_SUPER_MAGIC, "xfs"},
			{BTRFS_SUPER_MAGIC, "btrfs"}, {F2FS_SUPER_MAGIC, "f2fs"},
			{TMPFS_MAGIC, "tmpfs"}, {OVERLAYFS_SUPER_MAGIC, "overlayfs"},
			{0x2fc12fc1, "zfs"}, {NFS_SUPER_MAGIC, "nfs"}, {FUSE_SUPER_MAGIC, "fuse"},
			{CIFS_SUPER_MAGIC, "cifs"}, {SMB2_SUPER_MAGIC, "smb"},
			{CEPH_SUPER_MAGIC, "ceph"}, {V9FS_MAGIC, "9p"},
			{MSDOS_SUPER_MAGIC, "vfat"}};
	struct statfs sf;

	if (fstatfs(fd, &sf) < 0)
		return NULL;
	for (size_t i = 0; i < ELEMENTSOF(known); i++) {
		if (known[i].type == (unsigned long)sf.f_type)
			return json_string(known[i].name);
	}
	return json_sprintf("type 0x%lx", (unsigned long)sf.f_type);
}

/* Whether this process may take a lease on files of other users. */
static bool has_cap_lease(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return data[CAP_LEASE / 32].effective & (UINT32_C(1) << (CAP_LEASE % 32));
}

/* On its own files a process may always take leases; the files of a spool are taken to belong to
 * the owner of its folder. */
static const char *facts_leases(int fd, const struct stat *st)
{
	if (!source_leases_are_sound(fd))
		return "unsound";
	return has_cap_lease() || st->st_uid == geteuid() ? "honoured" : "not allowed";
}

static int64_t watches_max(void)
{
	char text[32] = "";
	int fd = open("/proc/sys/fs/inotify/max_user_watches", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? strtoll(text, NULL, 10) : 0;
}

static int facts_set_space(json_t *facts, int fd)
{
	struct statvfs sv;

	if (fstatvfs(fd, &sv) < 0)
		return 0;
	json_int_t unit = (json_int_t)sv.f_frsize;
	int r = json_object_set_new(
			facts, "free_bytes", json_integer((json_int_t)sv.f_bavail * unit));
	return r | json_object_set_new(facts, "total_bytes",
				   json_integer((json_int_t)sv.f_blocks * unit));
}

/* recseald reads recordings and removes their names. The mode of the folder does not tell whether
 * it may: groups, access lists and read-only mounts count as well. */
static int facts_set_access(json_t *facts, int fd)
{
	if (faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	return json_object_set_new(facts, "no_access", json_string(strerrordesc_np(errno)));
}

static int facts_set_root(json_t *facts, const struct spool *spool)
{
	int fd = spool->root_fd;
	struct stat st;

	/* No facts about a directory that is not the spool. */
	if (fd < 0 || fstat(fd, &st) < 0)
		return json_object_set_new(facts, "there", json_false());
	int r = json_object_set_new(facts, "there", json_true());
	r |= json_object_set_new(facts, "uid", json_integer(st.st_uid));
	r |= json_object_set_new(facts, "gid", json_integer(st.st_gid));
	r |= json_object_set_new(facts, "mode", json_integer(st.st_mode & MODE_BITS));
	r |= json_object_set_new(facts, "leases", json_string(facts_leases(fd, &st)));
	json_t *name = facts_filesystem(fd);
	if (name)
		r |= json_object_set_new(facts, "filesystem", name);
	return r | facts_set_access(facts, fd) | facts_set_space(facts, fd);
}

json_t *facts_build(const struct spool *spool)
{
	const struct config_spool *config = spool->config;
	json_t *facts = json_pack("{s:s, s:s, s:I, s:b, s:I, s:I, s:I}", "profile", config->profile,
			"class", config->class, "settle_us", (json_int_t)config->settle_us,
			"unleased", (int)spool->unleased_reported, "watches",
			(json_int_t)watch_count(spool->tools->watch), "watches_max",
			(json_int_t)watches_max(), "unwatched", (json_int_t)spool->unwatched);

	if (facts && facts_set_root(facts, spool) != 0) {
		json_decref(facts);
		return NULL;
	}
	return facts;
}
