#include "storage/root/root.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"

#define IMAGE_VERSION  1
#define CHECKSUM_BYTES 32

/* Offsets in an image. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_LENGTH = 12,
	AT_EPOCH = 16,
	AT_KEY = 24,
	AT_TOP = AT_KEY + ROOT_KEY_BYTES,
	AT_ANCHOR = AT_TOP + ROOT_DIGEST_BYTES,
	AT_END = AT_ANCHOR + ROOT_DIGEST_BYTES,
	AT_CHECKSUM = ROOT_IMAGE_BYTES - CHECKSUM_BYTES,
};
_Static_assert(AT_END <= AT_CHECKSUM, "a root record fits its image");

static const uint8_t magic[8] = {'R', 'S', 'R', 'O', 'O', 'T', 0, 1};

void root_record_encode(
		const struct root_record *record, uint8_t ret_image[static ROOT_IMAGE_BYTES])
{
	memset(ret_image, 0, ROOT_IMAGE_BYTES);
	memcpy(ret_image + AT_MAGIC, magic, sizeof(magic));
	put_le32(ret_image + AT_VERSION, IMAGE_VERSION);
	put_le32(ret_image + AT_LENGTH, ROOT_IMAGE_BYTES);
	put_le64(ret_image + AT_EPOCH, record->epoch);
	memcpy(ret_image + AT_KEY, record->key, ROOT_KEY_BYTES);
	memcpy(ret_image + AT_TOP, record->top_digest, ROOT_DIGEST_BYTES);
	memcpy(ret_image + AT_ANCHOR, record->anchor, ROOT_DIGEST_BYTES);
	crypto_generichash(
			ret_image + AT_CHECKSUM, CHECKSUM_BYTES, ret_image, AT_CHECKSUM, NULL, 0);
}

int root_record_decode(const uint8_t image[static ROOT_IMAGE_BYTES], struct root_record *ret_record)
{
	uint8_t checksum[CHECKSUM_BYTES];

	if (memcmp(image + AT_MAGIC, magic, sizeof(magic)) != 0 ||
			get_le32(image + AT_VERSION) != IMAGE_VERSION ||
			get_le32(image + AT_LENGTH) != ROOT_IMAGE_BYTES)
		return -RE_CORRUPT;
	crypto_generichash(checksum, sizeof(checksum), image, AT_CHECKSUM, NULL, 0);
	if (sodium_memcmp(checksum, image + AT_CHECKSUM, sizeof(checksum)) != 0)
		return -RE_CORRUPT;
	ret_record->epoch = get_le64(image + AT_EPOCH);
	memcpy(ret_record->key, image + AT_KEY, ROOT_KEY_BYTES);
	memcpy(ret_record->top_digest, image + AT_TOP, ROOT_DIGEST_BYTES);
	memcpy(ret_record->anchor, image + AT_ANCHOR, ROOT_DIGEST_BYTES);
	return 0;
}

static const struct {
	const char *label, *sentence; /* before the epoch's number */
} assurances[] = {
		{"file", "recovery is possible from any copy of the root file, or of its "
			 "physical blocks, made before epoch "},
		{"virtual-tpm", "recovery is possible from any copy of the virtual TPM's "
				"state, which the host of this machine keeps, made before "
				"epoch "},
		{"fw-tpm", "recovery is possible for whoever can read the firmware TPM's "
			   "flash memory with what it held before epoch "},
		{"hw-tpm", "recovery takes an attack on the TPM chip itself that brings "
			   "back what it held before epoch "},
};

int root_assurance_rank(const char *assurance)
{
	for (size_t i = 0; i < ELEMENTSOF(assurances); i++) {
		if (strcmp(assurance, assurances[i].label) == 0)
			return (int)i;
	}
	return -1;
}

const char *root_assurance_label(const char *assurance)
{
	int rank = root_assurance_rank(assurance);

	return rank < 0 ? NULL : assurances[rank].label;
}

void root_assurance_sentence(const char *assurance, uint64_t epoch, char *ret_text, size_t len)
{
	int rank = root_assurance_rank(assurance);

	snprintf(ret_text, len, "%s%" PRIu64,
			rank < 0 ? "nothing is known of where the root is kept, epoch "
				 : assurances[rank].sentence,
			epoch);
}

struct root_provider *root_provider_free(struct root_provider *provider)
{
	if (provider)
		provider->ops->free(provider);
	return NULL;
}
