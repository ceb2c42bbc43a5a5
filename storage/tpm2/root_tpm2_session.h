/* An HMAC session with a TPM, salted to a storage key of that TPM: what goes through it is
 * encrypted on the way. For root_tpm2_nv.c; needs the libraries' headers. Functions fail with one
 * of the errors of root_tpm2.h, and say why in the reason of the operation under way. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/tpm2/root_tpm2_esys.h"
#include "storage/tpm2/root_tpm2_kind.h"
#include "storage/tpm2/root_tpm2_locator.h"

struct root_tpm2_session {
	struct root_tpm2_esys esys;
	struct root_tpm2_identity identity;
	uint16_t buffer_bytes; /* TPM2_PT_NV_BUFFER_MAX */
	bool only_client;      /* a simulator's socket: nobody else speaks to this TPM */
	ESYS_TR handle;        /* of the session; ESYS_TR_NONE before it is started */
};

/* Connects to the TCTI within the time and asks what the TPM is. Leaves *session to be closed, on
 * failure too. */
int root_tpm2_session_open(struct root_tpm2_session *session, const char *tcti, uint32_t timeout_ms,
		struct reason *reason);
void root_tpm2_session_close(struct root_tpm2_session *session);

/* See root_tpm2_nv_start(). */
int root_tpm2_session_start(
		struct root_tpm2_session *session, struct root_tpm2_locator *locator, bool pin);

/* Which way the next command's parameter is encrypted: TPMA_SESSION_DECRYPT to the TPM,
 * TPMA_SESSION_ENCRYPT from it, or 0. Depends on the command: the TPM refuses what it cannot do. */
TSS2_RC root_tpm2_session_encrypt(struct root_tpm2_session *session, TPMA_SESSION direction);

/* The TPM's fixed properties; Esys_Free() them. */
TSS2_RC root_tpm2_session_ask_properties(
		struct root_tpm2_session *session, TPMS_CAPABILITY_DATA **ret_data);
