/* The `file` provider: DIR/root.slots, a block per slot and then an origin block.
 *
 *   1. A slot is overwritten in place, in a file that was allocated whole and is never renamed,
 *      copied or truncated here: a rename would leave the old root in the blocks of the old file.
 *   2. A write is durable on return (O_DSYNC). A read asks the medium (O_DIRECT), not the page
 *      cache, where the filesystem allows that.
 *   3. The origin block names the inode and its birth time. No copying tool carries both over, so a
 *      copy that was put back is found (-RE_MOVED) before a root is read from it.
 *   4. Between the caller and the file an image is only in `block`: secret memory, wiped after each
 *      operation.
 *
 * What this cannot promise is in the assurance of "file": blocks that the medium or a snapshot kept
 * from before an overwriting are out of reach. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "base/secret.h"
#include "storage/root/root.h"

/* The file: a block per slot, then the origin block. */
#define FILE_NAME    "root.slots"
#define BLOCK_BYTES  4096
#define ORIGIN_BLOCK ROOT_SLOTS
#define FILE_BYTES   ((ROOT_SLOTS + 1) * BLOCK_BYTES)

/* The origin block: magic, le64 inode, le64 birth seconds, le64 birth nanoseconds, BLAKE2b-256 of
 * these. */
#define ORIGIN_BYTES    32
#define ORIGIN_CHECKSUM 32
static const uint8_t origin_magic[8] = {'R', 'S', 'P', 'L', 'A', 'C', 'E', 1};

struct root_file {
	struct root_provider provider;
	int fd;        /* O_DSYNC: a write is durable on return */
	int direct_fd; /* O_DIRECT, so that reading back asks the medium; -1 where there is none */
	/* Secret, BLOCK_BYTES. Page-aligned, as O_DIRECT needs: sodium_malloc() ends at a page. */
	uint8_t *block;
};

static struct root_file *file_of(struct root_provider *provider)
{
	return (struct root_file *)provider;
}

static int read_block(struct root_file *file, unsigned index)
{
	size_t n;
	int r = -EINVAL;

	if (file->direct_fd >= 0)
		r = io_pread_full(
				file->direct_fd, file->block, BLOCK_BYTES, index * BLOCK_BYTES, &n);
	if (r < 0) {
		posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
		r = io_pread_full(file->fd, file->block, BLOCK_BYTES, index * BLOCK_BYTES, &n);
	}
	return r < 0 ? r : n == BLOCK_BYTES ? 0 : -RE_CORRUPT;
}

static int file_read(struct root_provider *provider, unsigned slot, struct reason *reason,
		uint8_t ret_image[static ROOT_IMAGE_BYTES])
{
	struct root_file *file = file_of(provider);
	int r = read_block(file, slot);

	if (r == 0)
		memcpy(ret_image, file->block, ROOT_IMAGE_BYTES);
	sodium_memzero(file->block, BLOCK_BYTES);
	return r;
}

static int file_write(struct root_provider *provider, unsigned slot,
		const uint8_t image[static ROOT_IMAGE_BYTES], struct reason *reason)
{
	struct root_file *file = file_of(provider);

	memset(file->block, 0, BLOCK_BYTES);
	memcpy(file->block, image, ROOT_IMAGE_BYTES);
	int r = io_pwrite_all(file->fd, file->block, BLOCK_BYTES, slot * BLOCK_BYTES);
	sodium_memzero(file->block, BLOCK_BYTES);
	return r;
}

static void file_free(struct root_provider *provider)
{
	struct root_file *file = file_of(provider);

	if (file->fd >= 0)
		close(file->fd);
	if (file->direct_fd >= 0)
		close(file->direct_fd);
	secret_free(file->block);
	free(file);
}

static const struct root_provider_ops file_ops = {
		.read = file_read, .write = file_write, .free = file_free};

/* What no copying tool carries over: which inode this is, and when it was born. */
static int describe_inode(int fd, uint8_t ret_origin[static ORIGIN_BYTES])
{
	struct statx sx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &sx) < 0)
		return -errno;
	bool born = sx.stx_mask & STATX_BTIME;
	memcpy(ret_origin, origin_magic, sizeof(origin_magic));
	put_le64(ret_origin + 8, sx.stx_ino);
	put_le64(ret_origin + 16, born ? (uint64_t)sx.stx_btime.tv_sec : 0);
	put_le64(ret_origin + 24, born ? sx.stx_btime.tv_nsec : 0);
	return 0;
}

static int write_origin_block(struct root_file *file)
{
	memset(file->block, 0, BLOCK_BYTES);
	int r = describe_inode(file->fd, file->block);
	if (r < 0)
		return r;
	crypto_generichash(file->block + ORIGIN_BYTES, ORIGIN_CHECKSUM, file->block, ORIGIN_BYTES,
			NULL, 0);
	return io_pwrite_all(file->fd, file->block, BLOCK_BYTES, ORIGIN_BLOCK * BLOCK_BYTES);
}

static int check_origin_block(struct root_file *file)
{
	uint8_t checksum[ORIGIN_CHECKSUM], here[ORIGIN_BYTES];
	int r = read_block(file, ORIGIN_BLOCK);

	if (r == 0)
		r = describe_inode(file->fd, here);
	if (r < 0)
		return r;
	crypto_generichash(checksum, sizeof(checksum), file->block, ORIGIN_BYTES, NULL, 0);
	if (memcmp(file->block, origin_magic, sizeof(origin_magic)) != 0 ||
			memcmp(checksum, file->block + ORIGIN_BYTES, sizeof(checksum)) != 0)
		return -RE_CORRUPT;
	return memcmp(here, file->block, sizeof(here)) == 0 ? 0 : -RE_MOVED;
}

static int allocate_file(struct root_file **ret_file)
{
	struct root_file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	*file = (struct root_file){.provider = {.ops = &file_ops, .assurance = "file"},
			.fd = -1,
			.direct_fd = -1};
	file->block = secret_new(BLOCK_BYTES);
	if (!file->block) {
		free(file);
		return -RE_MLOCK;
	}
	*ret_file = file;
	return 0;
}

/* On a copy-on-write filesystem an overwrite would leave the old root behind; where the filesystem
 * can be told to write this file in place (btrfs), it is, while the file is still empty. */
static void ask_for_overwrite_in_place(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= FS_NOCOW_FL;
		(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
}

static int fill_new_file(struct root_file *file, int dir_fd)
{
	ask_for_overwrite_in_place(file->fd);
	memset(file->block, 0, BLOCK_BYTES);
	for (unsigned i = 0; i < FILE_BYTES / BLOCK_BYTES; i++) {
		int r = io_pwrite_all(file->fd, file->block, BLOCK_BYTES, i * BLOCK_BYTES);
		if (r < 0)
			return r;
	}
	int r = write_origin_block(file);
	if (r == 0)
		r = durable_sync(file->fd);
	return r < 0 ? r : durable_sync(dir_fd);
}

int root_file_create(int dir_fd, struct root_provider **ret_provider)
{
	struct root_file *file;
	int r = allocate_file(&file);

	if (r < 0)
		return r;
	file->fd = openat(dir_fd, FILE_NAME,
			O_CREAT | O_EXCL | O_RDWR | O_DSYNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = file->fd < 0 ? -errno : fill_new_file(file, dir_fd);
	if (r < 0) {
		file_free(&file->provider);
		return r;
	}
	file->direct_fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
	*ret_provider = &file->provider;
	return 0;
}

static int check_file(struct root_file *file, bool adopt)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size != FILE_BYTES)
		return -RE_CORRUPT;
	int r = check_origin_block(file);
	/* A torn origin block is adopted too: a crash may have torn it when it was rewritten, and
	 * the slots do not depend on it. */
	return adopt && (r == -RE_MOVED || r == -RE_CORRUPT) ? write_origin_block(file) : r;
}

int root_file_open(int dir_fd, bool adopt, struct root_provider **ret_provider)
{
	struct root_file *file;
	int r = allocate_file(&file);

	if (r < 0)
		return r;
	file->fd = openat(dir_fd, FILE_NAME, O_RDWR | O_DSYNC | O_CLOEXEC | O_NOFOLLOW);
	if (file->fd < 0)
		r = -errno;
	if (r == 0) {
		file->direct_fd = openat(
				dir_fd, FILE_NAME, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
		r = check_file(file, adopt);
	}
	if (r < 0) {
		file_free(&file->provider);
		return r;
	}
	*ret_provider = &file->provider;
	return 0;
}

int root_file_peek(int dir_fd, unsigned slot, uint8_t ret_image[static ROOT_IMAGE_BYTES])
{
	_cleanup_close_ int fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t n;

	if (fd < 0)
		return -errno;
	int r = io_pread_full(fd, ret_image, ROOT_IMAGE_BYTES, (off_t)slot * BLOCK_BYTES, &n);
	return r < 0 ? r : n == ROOT_IMAGE_BYTES ? 0 : -RE_CORRUPT;
}

static int overwrite_file(int fd)
{
	uint8_t noise[BLOCK_BYTES];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	for (off_t at = 0; at < st.st_size; at += BLOCK_BYTES) {
		off_t left = st.st_size - at;
		randombytes_buf(noise, sizeof(noise));
		int r = io_pwrite_all(
				fd, noise, left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES, at);
		if (r < 0)
			return r;
	}
	return durable_sync(fd);
}

int root_file_remove(int dir_fd)
{
	_cleanup_close_ int fd =
			openat(dir_fd, FILE_NAME, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? -errno : overwrite_file(fd);

	if (r == -ENOENT)
		return 0;
	if (r == 0 || r == -ELOOP || r == -ENXIO) /* a link, a FIFO: nothing of ours */
		r = durable_unlink(dir_fd, FILE_NAME);
	return r < 0 ? r : durable_sync(dir_fd);
}

int root_file_check(const struct root_provider *provider, int dir_fd)
{
	const struct root_file *file = (const struct root_file *)provider;
	struct stat here, there;

	if (provider->ops != &file_ops)
		return 0;
	if (fstat(file->fd, &here) < 0 ||
			fstatat(dir_fd, FILE_NAME, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return here.st_dev == there.st_dev && here.st_ino == there.st_ino ? 0 : -ENOENT;
}
