/* By which numbers a file is found again after a restart: of its filesystem, of the file in it, and
 * of its birth. The keeper gets a hash of them, as a hint what the file may have been sealed as.
 *
 * Nothing here is evidence. Two volumes repeat inode numbers; clones repeat all; a filesystem
 * without inode numbers of its own (FUSE, vfat) makes them up and starts again after each mount.
 * Whether two files are one is decided by their content, by the keeper. Where these numbers change
 * without need, a file is sealed once more.
 *
 *     filesystem  type and UUID (FS_IOC_GETFSUUID, Linux 6.9), and f_fsid of statfs(2), by which
 *                 btrfs tells its subvolumes apart; the device number, which may change with a
 *                 reboot, only where there is neither
 *     file        inode and size
 *     birth       statx(2)'s stx_btime, which nobody can set, and which neither chmod nor rename
 *                 changes; mtime where there is none. Not ctime: chmod, chown, an access list
 *                 and a hard link that comes and goes all change it, and the content decides
 *
 * No name is among them: the hash outlives a shred, and must not let anybody confirm a guess. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORIGIN_UUID_MAX   16
#define ORIGIN_HASH_BYTES 32

struct origin {
	uint64_t type, fsid, device; /* device: 0 unless it is needed */
	uint8_t uuid[ORIGIN_UUID_MAX];
	size_t uuid_len;
	uint64_t inode, size;
	int64_t born_ns, mtime_ns; /* mtime: 0 if it has a birth */
	/* A filesystem of this machine, with births: no two of its files, not even one after the
	 * other, have the same inode and birth. */
	bool firm;
};

/* fd is open for reading. -errno. */
int origin_find(int fd, struct origin *ret_origin);

/* BLAKE2b-256 of the spool's name and the origin. */
void origin_hash(const struct origin *origin, const char *spool,
		uint8_t ret_hash[static ORIGIN_HASH_BYTES]);

/* The same for the folder of a spool, without what changes with its files: size and times. */
void origin_hash_folder(const struct origin *origin, const char *spool,
		uint8_t ret_hash[static ORIGIN_HASH_BYTES]);
