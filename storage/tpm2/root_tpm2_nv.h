/* A TPM as the root provider needs it: a salted session, and NV indices read and written through
 * it. Functions fail with one of the errors of root_tpm2.h, and say why in the reason of the
 * operation under way. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/reason.h"
#include "storage/tpm2/root_tpm2_kind.h"
#include "storage/tpm2/root_tpm2_locator.h"

/* TCG "Registry of Reserved TPM 2.0 Handles and Localities": NV indices of the owner. */
#define ROOT_TPM2_NV_FIRST UINT32_C(0x01800000)
#define ROOT_TPM2_NV_COUNT UINT32_C(0x00400000)

struct root_tpm2_nv;

/* Connects to the TCTI within the time and asks what the TPM is. The first operation is under way
 * then, with this reason. */
int root_tpm2_nv_open(const char *tcti, uint32_t timeout_ms, struct reason *reason,
		struct root_tpm2_nv **ret_nv);
struct root_tpm2_nv *root_tpm2_nv_close(struct root_tpm2_nv *nv);

const struct root_tpm2_identity *root_tpm2_nv_identity(const struct root_tpm2_nv *nv);
/* Whether the last failure was one that a new connection may cure. */
bool root_tpm2_nv_lost(const struct root_tpm2_nv *nv);

/* An operation is under way from begin to end: it has this time, and its calls say why they failed
 * in the reason (NULL: nowhere). */
void root_tpm2_nv_begin(struct root_tpm2_nv *nv, uint32_t timeout_ms, struct reason *reason);
void root_tpm2_nv_end(struct root_tpm2_nv *nv);

/* CLOCK_MONOTONIC. */
int64_t root_tpm2_nv_now_ms(void);

/* Starts the session: TPM2_CreatePrimary (Part 3 section "TPM2_CreatePrimary") of an ECC P-256
 * storage key, the same at every call as long as the hierarchy's seed is; TPM2_StartAuthSession
 * (section "TPM2_StartAuthSession") salted to it. pin: the first time, chooses a hierarchy whose
 * password is empty and fills in hierarchy and salt_name; later -RE_MOVED unless both fit. */
int root_tpm2_nv_start(struct root_tpm2_nv *nv, struct root_tpm2_locator *locator, bool pin);

/* 1 when no index has this handle, 0 when one has (section "TPM2_GetCapability"). */
int root_tpm2_nv_is_free(struct root_tpm2_nv *nv, uint32_t handle);

/* Defines the index of a slot, or undefines it (sections "TPM2_NV_DefineSpace",
 * "TPM2_NV_UndefineSpace"). owner_auth may be NULL. */
int root_tpm2_nv_define(struct root_tpm2_nv *nv, const struct root_tpm2_locator *locator,
		unsigned slot, const char *owner_auth);
int root_tpm2_nv_undefine(struct root_tpm2_nv *nv, unsigned slot, const char *owner_auth);

/* Finds the index of a slot and checks that it is as root_tpm2_nv_define() makes it (section
 * "TPM2_NV_ReadPublic"). -RE_NO_ROOT, -RE_CORRUPT. Needed before what follows. */
int root_tpm2_nv_attach(
		struct root_tpm2_nv *nv, const struct root_tpm2_locator *locator, unsigned slot);

/* One whole image, in pieces as large as the TPM takes (sections "TPM2_NV_Read", "TPM2_NV_Write").
 * Reading an index that was never written gives 1 and no image. *writes counts commands, also those
 * that failed. */
int root_tpm2_nv_read(
		struct root_tpm2_nv *nv, unsigned slot, uint8_t ret_image[static ROOT_IMAGE_BYTES]);
int root_tpm2_nv_write(struct root_tpm2_nv *nv, unsigned slot,
		const uint8_t image[static ROOT_IMAGE_BYTES], uint64_t *writes);
