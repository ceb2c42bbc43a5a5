/* The root of the key tree: one 32-byte key in an erasable slot.
 *
 * Two slots, so that the next epoch's root is written beside the present one before that is
 * overwritten. A provider only stores images; what is in them is the same for all. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reason.h"

#define ROOT_SLOTS        2
#define ROOT_KEY_BYTES    32
#define ROOT_DIGEST_BYTES 32
#define ROOT_IMAGE_BYTES  192

/* Lives in secret memory. */
struct root_record {
	uint64_t epoch;
	uint8_t key[ROOT_KEY_BYTES];
	uint8_t top_digest[ROOT_DIGEST_BYTES]; /* of the rows sealed under this root when it was
						  made */
	uint8_t anchor[ROOT_DIGEST_BYTES];     /* vault id and audit head of that moment */
};

/* Image: magic "RSROOT\0\1", le32 version, le32 length, le64 epoch, key, top digest, anchor, zero
 * padding, BLAKE2b-256 checksum of all before it. decode: 0, or -RE_CORRUPT (a cleared or torn
 * slot). */
void root_record_encode(
		const struct root_record *record, uint8_t ret_image[static ROOT_IMAGE_BYTES]);
int root_record_decode(
		const uint8_t image[static ROOT_IMAGE_BYTES], struct root_record *ret_record);

struct root_provider;

struct root_provider_ops {
	/* Both work on whole images in secret memory. write() is durable on return, and the old
	 * image is no longer in the slot; it may leave the slot torn on failure. read() comes from
	 * the medium, not from a cache, as far as the system allows. -errno; the reason stays empty
	 * where that says all there is. */
	int (*read)(struct root_provider *provider, unsigned slot, struct reason *reason,
			uint8_t ret_image[static ROOT_IMAGE_BYTES]);
	int (*write)(struct root_provider *provider, unsigned slot,
			const uint8_t image[static ROOT_IMAGE_BYTES], struct reason *reason);
	void (*free)(struct root_provider *provider);
};

struct root_provider {
	const struct root_provider_ops *ops;
	const char *assurance; /* "file", ... */
};

/* Labels in order of strength: "file" 0, "virtual-tpm" 1, "fw-tpm" 2, "hw-tpm" 3; -1 for no
 * label. */
int root_assurance_rank(const char *assurance);
/* The label itself, in static storage; NULL for no label. */
const char *root_assurance_label(const char *assurance);

/* What the label means, in one sentence, with the epoch filled in. Into a buffer of len bytes. */
void root_assurance_sentence(const char *assurance, uint64_t epoch, char *ret_text, size_t len);

/* The `file` provider: DIR/root.slots, two 4096-byte slots written in place with O_DSYNC, and a
 * origin block that names the very inode it was made as (number and birth time). create makes a new
 * file (-EEXIST when there is one). Otherwise -ENOENT, -RE_CORRUPT for a wrong size, -RE_MOVED when
 * the file is a copy; with adopt set, a copy is accepted and its origin block rewritten. */
int root_file_create(int dir_fd, struct root_provider **ret_provider);
int root_file_open(int dir_fd, bool adopt, struct root_provider **ret_provider);
/* Whether DIR/root.slots is still the very file that this `file` provider has open: 0, or -ENOENT
 * when it was removed, or another is there. 0 for other providers. */
int root_file_check(const struct root_provider *provider, int dir_fd);
/* The image in a slot of DIR/root.slots, whoever's file that is and however damaged the rest of
 * it: only to see what would be lost with it. -ENOENT, -RE_CORRUPT when the file is too short,
 * -errno. */
int root_file_peek(int dir_fd, unsigned slot, uint8_t ret_image[static ROOT_IMAGE_BYTES]);
/* Overwrites all of DIR/root.slots with random bytes, whatever its state, and only then removes it:
 * what is damaged may still hold a root. Durable on return; a missing file is success. -errno. */
int root_file_remove(int dir_fd);
struct root_provider *root_provider_free(struct root_provider *provider);
