/* DIR/root.tpm2: where the root's NV indices are, and what opens them. */
#pragma once

#include <stdint.h>

#include "storage/root/root.h"

#define ROOT_TPM2_FILE "root.tpm2"

#define ROOT_TPM2_LOCATOR_AUTH_BYTES 32
#define ROOT_TPM2_LOCATOR_NAME_BYTES 34  /* TPM2B_NAME of an object: le16 algorithm, SHA-256 */
#define ROOT_TPM2_LOCATOR_TCTI_BYTES 256 /* with its end */

/* Lives in secret memory. */
struct root_tpm2_locator {
	uint32_t index[ROOT_SLOTS]; /* NV handles */
	uint8_t auth[ROOT_SLOTS][ROOT_TPM2_LOCATOR_AUTH_BYTES];
	uint32_t hierarchy; /* of the salt key: TPM2_RH_ENDORSEMENT or TPM2_RH_OWNER */
	uint8_t salt_name[ROOT_TPM2_LOCATOR_NAME_BYTES];
	char tcti[ROOT_TPM2_LOCATOR_TCTI_BYTES];
};

/* A new file, durable on return, 0600. -EEXIST, -errno, -RE_MLOCK. */
int root_tpm2_locator_create(int dir_fd, const struct root_tpm2_locator *locator);

/* -ENOENT, -RE_CORRUPT, -RE_MLOCK, -errno. ret_fd is for root_tpm2_locator_count() and the caller's
 * to close; ret_writes is what was counted last, 0 when the count is damaged. */
int root_tpm2_locator_read(
		int dir_fd, struct root_tpm2_locator *ret_place, int *ret_fd, uint64_t *ret_writes);

/* Notes the count of writes; not synced. -errno. */
int root_tpm2_locator_count(int fd, uint64_t writes);

/* Durably; a file that is not there is success. */
int root_tpm2_locator_remove(int dir_fd);
