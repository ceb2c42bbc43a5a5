#include "daemon/intake/source/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sodium.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "daemon/intake/source/source.h"

/* Since Linux 6.9, in <linux/fs.h>. */
struct origin_uuid {
	uint8_t len;
	uint8_t uuid[ORIGIN_UUID_MAX];
};
#define ORIGIN_GET_UUID _IOR(0x15, 0, struct origin_uuid)

static void origin_find_uuid(int fd, struct origin *origin)
{
	struct origin_uuid answer = {0};

	if (ioctl(fd, ORIGIN_GET_UUID, &answer) < 0 || answer.len > ORIGIN_UUID_MAX)
		return;
	origin->uuid_len = answer.len;
	memcpy(origin->uuid, answer.uuid, answer.len);
}

static int origin_find_filesystem(int fd, struct origin *origin)
{
	struct statfs sf;

	if (fstatfs(fd, &sf) < 0)
		return -errno;
	origin->type = (uint64_t)sf.f_type;
	origin_find_uuid(fd, origin);
	/* XFS makes it of the device number. */
	if (origin->type != XFS_SUPER_MAGIC || origin->uuid_len == 0)
		memcpy(&origin->fsid, &sf.f_fsid, sizeof(origin->fsid));
	return 0;
}

static int64_t origin_time_ns(const struct statx_timestamp *t)
{
	/* Unsigned, for a filesystem that hands out absurd times. */
	return (int64_t)((uint64_t)t->tv_sec * 1000000000U + t->tv_nsec);
}

static int origin_find_file(int fd, struct origin *origin)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return -errno;
	origin->inode = st.stx_ino;
	origin->size = st.stx_size;
	if (st.stx_mask & STATX_BTIME)
		origin->born_ns = origin_time_ns(&st.stx_btime);
	if (origin->born_ns == 0)
		origin->mtime_ns = origin_time_ns(&st.stx_mtime);
	if (origin->fsid == 0 && origin->uuid_len == 0)
		origin->device = makedev(st.stx_dev_major, st.stx_dev_minor);
	return 0;
}

int origin_find(int fd, struct origin *ret_origin)
{
	struct origin origin = {0};
	int r = origin_find_filesystem(fd, &origin);

	if (r == 0)
		r = origin_find_file(fd, &origin);
	if (r < 0)
		return r;
	origin.firm = origin.born_ns != 0 && source_leases_are_sound(fd);
	*ret_origin = origin;
	return 0;
}

static void origin_hash_number(crypto_generichash_state *state, uint64_t number)
{
	uint8_t bytes[8];

	put_le64(bytes, number);
	crypto_generichash_update(state, bytes, sizeof(bytes));
}

static void origin_hash_in(const char *domain, const struct origin *origin, const char *spool,
		uint8_t ret_hash[static ORIGIN_HASH_BYTES])
{
	const uint64_t numbers[] = {origin->type, origin->fsid, origin->device, origin->uuid_len,
			origin->inode, origin->size, (uint64_t)origin->born_ns,
			(uint64_t)origin->mtime_ns};
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, ORIGIN_HASH_BYTES);
	crypto_generichash_update(&state, (const uint8_t *)domain, strlen(domain) + 1);
	crypto_generichash_update(&state, (const uint8_t *)spool, strlen(spool) + 1);
	for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
		origin_hash_number(&state, numbers[i]);
	crypto_generichash_update(&state, origin->uuid, sizeof(origin->uuid));
	crypto_generichash_final(&state, ret_hash, ORIGIN_HASH_BYTES);
}

void origin_hash(const struct origin *origin, const char *spool,
		uint8_t ret_hash[static ORIGIN_HASH_BYTES])
{
	origin_hash_in("recseal.org/v2/source", origin, spool, ret_hash);
}

void origin_hash_folder(const struct origin *origin, const char *spool,
		uint8_t ret_hash[static ORIGIN_HASH_BYTES])
{
	struct origin folder = *origin;

	folder.size = 0;
	folder.mtime_ns = 0;
	origin_hash_in("recseal.org/v1/folder", &folder, spool, ret_hash);
}
