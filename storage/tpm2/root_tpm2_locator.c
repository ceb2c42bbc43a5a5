#include "storage/tpm2/root_tpm2_locator.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "base/secret.h"

#define PLACE_VERSION  1
#define CHECKSUM_BYTES 32

/* Offsets in the file: the locator, its BLAKE2b-256 checksum, then the count of writes (le64, and
 * the same inverted), which alone is ever rewritten. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_LENGTH = 12,
	AT_INDEX = 16,
	AT_HIERARCHY = AT_INDEX + 4 * ROOT_SLOTS,
	AT_AUTH = AT_HIERARCHY + 8,
	AT_NAME = AT_AUTH + ROOT_SLOTS * ROOT_TPM2_LOCATOR_AUTH_BYTES,
	AT_TCTI = AT_NAME + 40,
	AT_CHECKSUM = AT_TCTI + ROOT_TPM2_LOCATOR_TCTI_BYTES,
	LOCATOR_BYTES = AT_CHECKSUM + CHECKSUM_BYTES,
	AT_WRITES = 480,
	FILE_BYTES = AT_WRITES + 16,
};
_Static_assert(LOCATOR_BYTES <= AT_WRITES, "the locator ends before the count");

static const uint8_t magic[8] = {'R', 'S', 'T', 'P', 'M', '2', 0, 1};

static void encode_file(
		const struct root_tpm2_locator *locator, uint8_t ret_bytes[static FILE_BYTES])
{
	memset(ret_bytes, 0, FILE_BYTES);
	memcpy(ret_bytes + AT_MAGIC, magic, sizeof(magic));
	put_le32(ret_bytes + AT_VERSION, PLACE_VERSION);
	put_le32(ret_bytes + AT_LENGTH, LOCATOR_BYTES);
	for (size_t i = 0; i < ROOT_SLOTS; i++)
		put_le32(ret_bytes + AT_INDEX + 4 * i, locator->index[i]);
	put_le32(ret_bytes + AT_HIERARCHY, locator->hierarchy);
	memcpy(ret_bytes + AT_AUTH, locator->auth, sizeof(locator->auth));
	memcpy(ret_bytes + AT_NAME, locator->salt_name, sizeof(locator->salt_name));
	memcpy(ret_bytes + AT_TCTI, locator->tcti, strlen(locator->tcti));
	crypto_generichash(
			ret_bytes + AT_CHECKSUM, CHECKSUM_BYTES, ret_bytes, AT_CHECKSUM, NULL, 0);
	put_le64(ret_bytes + AT_WRITES + 8, ~UINT64_C(0));
}

static int decode_file(const uint8_t bytes[static FILE_BYTES], struct root_tpm2_locator *ret_place)
{
	uint8_t checksum[CHECKSUM_BYTES];

	if (memcmp(bytes + AT_MAGIC, magic, sizeof(magic)) != 0 ||
			get_le32(bytes + AT_VERSION) != PLACE_VERSION ||
			get_le32(bytes + AT_LENGTH) != LOCATOR_BYTES)
		return -RE_CORRUPT;
	crypto_generichash(checksum, sizeof(checksum), bytes, AT_CHECKSUM, NULL, 0);
	if (sodium_memcmp(checksum, bytes + AT_CHECKSUM, sizeof(checksum)) != 0 ||
			bytes[AT_TCTI + ROOT_TPM2_LOCATOR_TCTI_BYTES - 1] != '\0')
		return -RE_CORRUPT;
	for (size_t i = 0; i < ROOT_SLOTS; i++)
		ret_place->index[i] = get_le32(bytes + AT_INDEX + 4 * i);
	ret_place->hierarchy = get_le32(bytes + AT_HIERARCHY);
	memcpy(ret_place->auth, bytes + AT_AUTH, sizeof(ret_place->auth));
	memcpy(ret_place->salt_name, bytes + AT_NAME, sizeof(ret_place->salt_name));
	memcpy(ret_place->tcti, bytes + AT_TCTI, sizeof(ret_place->tcti));
	return 0;
}

/* Named only when it is whole: a crash leaves the file or none. */
static int write_file(int dir_fd, const uint8_t bytes[static FILE_BYTES])
{
	char temporary[DURABLE_TEMPORARY_BYTES];
	_cleanup_close_ int fd = durable_unnamed(dir_fd, 0600, temporary);

	if (fd < 0)
		return fd;
	int r = io_pwrite_all(fd, bytes, FILE_BYTES, 0);
	if (r == 0)
		r = durable_sync(fd);
	if (r == 0)
		r = durable_link(fd, dir_fd, temporary, ROOT_TPM2_FILE);
	if (r < 0)
		durable_forget(dir_fd, temporary);
	return r < 0 ? r : durable_sync(dir_fd);
}

int root_tpm2_locator_create(int dir_fd, const struct root_tpm2_locator *locator)
{
	_cleanup_secret_ uint8_t *bytes = secret_new(FILE_BYTES);

	if (!bytes)
		return -RE_MLOCK;
	encode_file(locator, bytes);
	return write_file(dir_fd, bytes);
}

int root_tpm2_locator_read(
		int dir_fd, struct root_tpm2_locator *ret_place, int *ret_fd, uint64_t *ret_writes)
{
	_cleanup_secret_ uint8_t *bytes = secret_new(FILE_BYTES + 1);
	_cleanup_close_ int fd = openat(
			dir_fd, ROOT_TPM2_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	size_t n;

	if (fd < 0)
		return -errno;
	int r = bytes ? io_pread_full(fd, bytes, FILE_BYTES + 1, 0, &n) : -RE_MLOCK;
	if (r == 0)
		r = n == FILE_BYTES ? decode_file(bytes, ret_place) : -RE_CORRUPT;
	if (r < 0)
		return r;
	uint64_t writes = get_le64(bytes + AT_WRITES);
	*ret_writes = get_le64(bytes + AT_WRITES + 8) == ~writes ? writes : 0;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int root_tpm2_locator_count(int fd, uint64_t writes)
{
	uint8_t bytes[16];

	put_le64(bytes, writes);
	put_le64(bytes + 8, ~writes);
	return io_pwrite_all(fd, bytes, sizeof(bytes), AT_WRITES);
}

int root_tpm2_locator_remove(int dir_fd)
{
	int r = durable_unlink(dir_fd, ROOT_TPM2_FILE);

	return r < 0 ? r : durable_sync(dir_fd);
}
