#include "storage/tpm2/root_tpm2_nv.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/secret.h"
#include "storage/tpm2/root_tpm2_session.h"

/* See root_tpm2.h for what is there and what is not. */
#define INDEX_ATTRIBUTES                                                                           \
	(TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA |                                    \
			(TPM2_NT_ORDINARY << TPMA_NV_TPM2_NT_SHIFT))
#define NONE3 ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE
/* What the libraries leave on the stack when they encrypt and decrypt. */
#define STACK_BYTES (64 * 1024)

struct root_tpm2_nv {
	struct root_tpm2_session session;
	ESYS_TR index[ROOT_SLOTS];
};

/* The connection. */

int root_tpm2_nv_open(const char *tcti, uint32_t timeout_ms, struct reason *reason,
		struct root_tpm2_nv **ret_nv)
{
	struct root_tpm2_nv *nv = calloc(1, sizeof(*nv));

	if (!nv)
		return -ENOMEM;
	for (unsigned i = 0; i < ROOT_SLOTS; i++)
		nv->index[i] = ESYS_TR_NONE;
	int r = root_tpm2_session_open(&nv->session, tcti, timeout_ms, reason);
	if (r < 0)
		root_tpm2_nv_close(nv);
	else
		*ret_nv = nv;
	return r;
}

struct root_tpm2_nv *root_tpm2_nv_close(struct root_tpm2_nv *nv)
{
	if (!nv)
		return NULL;
	root_tpm2_session_close(&nv->session);
	free(nv);
	return NULL;
}

const struct root_tpm2_identity *root_tpm2_nv_identity(const struct root_tpm2_nv *nv)
{
	return &nv->session.identity;
}

bool root_tpm2_nv_lost(const struct root_tpm2_nv *nv)
{
	return nv->session.esys.lost;
}

void root_tpm2_nv_begin(struct root_tpm2_nv *nv, uint32_t timeout_ms, struct reason *reason)
{
	nv->session.esys.deadline_ms = root_tpm2_esys_now_ms() + timeout_ms;
	nv->session.esys.reason = reason;
}

void root_tpm2_nv_end(struct root_tpm2_nv *nv)
{
	nv->session.esys.reason = NULL;
}

int64_t root_tpm2_nv_now_ms(void)
{
	return root_tpm2_esys_now_ms();
}

int root_tpm2_nv_start(struct root_tpm2_nv *nv, struct root_tpm2_locator *locator, bool pin)
{
	return root_tpm2_session_start(&nv->session, locator, pin);
}

/* Indices. */

static TSS2_RC set_auth(struct root_tpm2_nv *nv, ESYS_TR handle, const void *auth, size_t len)
{
	_cleanup_secret_ TPM2B_AUTH *value = secret_new(sizeof(*value));

	if (!value)
		return TSS2_ESYS_RC_MEMORY;
	if (len > sizeof(value->buffer))
		return TSS2_ESYS_RC_BAD_SIZE;
	value->size = (uint16_t)len;
	memcpy(value->buffer, auth, len);
	return nv->session.esys.api.Esys_TR_SetAuth(nv->session.esys.context, handle, value);
}

static TSS2_RC set_owner_auth(struct root_tpm2_nv *nv, const char *owner_auth)
{
	return owner_auth ? set_auth(nv, ESYS_TR_RH_OWNER, owner_auth, strlen(owner_auth))
			  : TSS2_RC_SUCCESS;
}

int root_tpm2_nv_is_free(struct root_tpm2_nv *nv, uint32_t handle)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;
	TSS2_RC rc = ROOT_TPM2_ESYS_RUN(&nv->session.esys, Esys_GetCapability,
			(NONE3, TPM2_CAP_HANDLES, handle, 1), (&more, &data));

	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&nv->session.esys, rc, "list the TPM's NV indices");
	bool taken = data->data.handles.count > 0 && data->data.handles.handle[0] == handle;
	nv->session.esys.api.Esys_Free(data);
	return !taken;
}

static TSS2_RC define_index(
		struct root_tpm2_nv *nv, const struct root_tpm2_locator *locator, unsigned slot)
{
	const TPM2B_NV_PUBLIC public = {.nvPublic = {.nvIndex = locator->index[slot],
							.nameAlg = TPM2_ALG_SHA256,
							.attributes = INDEX_ATTRIBUTES,
							.dataSize = ROOT_IMAGE_BYTES}};
	_cleanup_secret_ TPM2B_AUTH *auth = secret_new(sizeof(*auth));

	if (!auth)
		return TSS2_ESYS_RC_MEMORY;
	auth->size = sizeof(locator->auth[slot]);
	memcpy(auth->buffer, locator->auth[slot], sizeof(locator->auth[slot]));
	return ROOT_TPM2_ESYS_RUN(&nv->session.esys, Esys_NV_DefineSpace,
			(ESYS_TR_RH_OWNER, nv->session.handle, ESYS_TR_NONE, ESYS_TR_NONE, auth,
					&public),
			(&nv->index[slot]));
}

int root_tpm2_nv_define(struct root_tpm2_nv *nv, const struct root_tpm2_locator *locator,
		unsigned slot, const char *owner_auth)
{
	TSS2_RC rc = set_owner_auth(nv, owner_auth);

	if (rc == TSS2_RC_SUCCESS)
		rc = root_tpm2_session_encrypt(&nv->session, TPMA_SESSION_DECRYPT);
	if (rc == TSS2_RC_SUCCESS)
		rc = define_index(nv, locator, slot);
	sodium_stackzero(STACK_BYTES);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	nv->index[slot] = ESYS_TR_NONE;
	return root_tpm2_esys_error(&nv->session.esys, rc,
			"define an NV index, with the owner's authorisation");
}

int root_tpm2_nv_undefine(struct root_tpm2_nv *nv, unsigned slot, const char *owner_auth)
{
	TSS2_RC rc = set_owner_auth(nv, owner_auth);

	if (rc == TSS2_RC_SUCCESS)
		rc = root_tpm2_session_encrypt(&nv->session, 0);
	if (rc == TSS2_RC_SUCCESS)
		rc = ROOT_TPM2_ESYS_RUN(&nv->session.esys, Esys_NV_UndefineSpace,
				(ESYS_TR_RH_OWNER, nv->index[slot], nv->session.handle,
						ESYS_TR_NONE, ESYS_TR_NONE),
				());
	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&nv->session.esys, rc,
				"undefine an NV index, with the owner's authorisation");
	nv->index[slot] = ESYS_TR_NONE;
	return 0;
}

static int check_index(struct root_tpm2_nv *nv, uint32_t handle, unsigned slot)
{
	TPM2B_NV_PUBLIC *public = NULL;
	TSS2_RC rc = ROOT_TPM2_ESYS_RUN(&nv->session.esys, Esys_NV_ReadPublic,
			(nv->index[slot], NONE3), (&public, NULL));

	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&nv->session.esys, rc, "look at the root's NV index");
	TPMS_NV_PUBLIC found = public->nvPublic;
	nv->session.esys.api.Esys_Free(public);
	if ((found.attributes & ~TPMA_NV_WRITTEN) != INDEX_ATTRIBUTES ||
			found.nameAlg != TPM2_ALG_SHA256 || found.authPolicy.size != 0 ||
			found.dataSize != ROOT_IMAGE_BYTES)
		return reason_set(nv->session.esys.reason, -RE_CORRUPT,
				"the NV index 0x%08x is not one that recseal made: it has the "
				"attributes 0x%08x and %u bytes",
				handle, found.attributes, found.dataSize);
	return 0;
}

int root_tpm2_nv_attach(
		struct root_tpm2_nv *nv, const struct root_tpm2_locator *locator, unsigned slot)
{
	uint32_t handle = locator->index[slot];
	TSS2_RC rc = ROOT_TPM2_ESYS_RUN(&nv->session.esys, Esys_TR_FromTPMPublic, (handle, NONE3),
			(&nv->index[slot]));

	if (rc != TSS2_RC_SUCCESS)
		nv->index[slot] = ESYS_TR_NONE;
	if (root_tpm2_esys_tpm_code(rc) == TPM2_RC_HANDLE)
		return reason_set(nv->session.esys.reason, -RE_NO_ROOT,
				"the TPM has no NV index 0x%08x: the TPM was cleared, or the index "
				"removed, and the root with it",
				handle);
	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&nv->session.esys, rc, "find the root's NV index");
	int r = check_index(nv, handle, slot);
	if (r < 0)
		return r;
	rc = set_auth(nv, nv->index[slot], locator->auth[slot], sizeof(locator->auth[slot]));
	return rc == TSS2_RC_SUCCESS ? 0
				     : root_tpm2_esys_error(&nv->session.esys, rc,
						       "set an authorisation value");
}

/* Images. */

static uint16_t piece_at(struct root_tpm2_nv *nv, size_t at)
{
	size_t left = ROOT_IMAGE_BYTES - at;

	return left < nv->session.buffer_bytes ? (uint16_t)left : nv->session.buffer_bytes;
}

static TSS2_RC read_image_piece(struct root_tpm2_nv *nv, ESYS_TR index, uint16_t at, uint16_t len,
		uint8_t *ret_bytes)
{
	TPM2B_MAX_NV_BUFFER *data = NULL;
	TSS2_RC rc = root_tpm2_session_encrypt(&nv->session, TPMA_SESSION_ENCRYPT);

	if (rc == TSS2_RC_SUCCESS)
		rc = ROOT_TPM2_ESYS_RUN(&nv->session.esys, Esys_NV_Read,
				(index, index, nv->session.handle, ESYS_TR_NONE, ESYS_TR_NONE, len,
						at),
				(&data));
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	if (data->size == len)
		memcpy(ret_bytes, data->buffer, len);
	else
		rc = TSS2_ESYS_RC_MALFORMED_RESPONSE;
	sodium_memzero(data, sizeof(*data));
	nv->session.esys.api.Esys_Free(data);
	return rc;
}

/* The library has one buffer for all commands and responses, and keeps the last decrypted one: a
 * longer response without a secret takes its place. */
static void wipe_traces(struct root_tpm2_nv *nv)
{
	TPMS_CAPABILITY_DATA *data = NULL;

	if (root_tpm2_session_ask_properties(&nv->session, &data) == TSS2_RC_SUCCESS)
		nv->session.esys.api.Esys_Free(data);
	sodium_stackzero(STACK_BYTES);
}

int root_tpm2_nv_read(
		struct root_tpm2_nv *nv, unsigned slot, uint8_t ret_image[static ROOT_IMAGE_BYTES])
{
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);
	TSS2_RC rc = TSS2_RC_SUCCESS;

	if (!image)
		return reason_set(nv->session.esys.reason, -RE_MLOCK, "no memory for secrets");
	for (size_t at = 0; at < ROOT_IMAGE_BYTES && rc == TSS2_RC_SUCCESS; at += piece_at(nv, at))
		rc = read_image_piece(
				nv, nv->index[slot], (uint16_t)at, piece_at(nv, at), image + at);
	wipe_traces(nv);
	if (rc == TSS2_RC_SUCCESS)
		memcpy(ret_image, image, ROOT_IMAGE_BYTES);
	if (root_tpm2_esys_tpm_code(rc) == TPM2_RC_NV_UNINITIALIZED)
		return 1;
	return rc == TSS2_RC_SUCCESS
			       ? 0
			       : root_tpm2_esys_error(&nv->session.esys, rc, "read a root slot");
}

static TSS2_RC write_image_piece(struct root_tpm2_nv *nv, ESYS_TR index, uint16_t at, uint16_t len,
		const uint8_t *bytes)
{
	_cleanup_secret_ TPM2B_MAX_NV_BUFFER *data = secret_new(sizeof(*data));
	TSS2_RC rc = data ? root_tpm2_session_encrypt(&nv->session, TPMA_SESSION_DECRYPT)
			  : TSS2_ESYS_RC_MEMORY;

	if (rc != TSS2_RC_SUCCESS)
		return rc;
	data->size = len;
	memcpy(data->buffer, bytes, len);
	return ROOT_TPM2_ESYS_RUN(&nv->session.esys, Esys_NV_Write,
			(index, index, nv->session.handle, ESYS_TR_NONE, ESYS_TR_NONE, data, at),
			());
}

int root_tpm2_nv_write(struct root_tpm2_nv *nv, unsigned slot,
		const uint8_t image[static ROOT_IMAGE_BYTES], uint64_t *writes)
{
	TSS2_RC rc = TSS2_RC_SUCCESS;

	for (size_t at = 0; at < ROOT_IMAGE_BYTES && rc == TSS2_RC_SUCCESS;
			at += piece_at(nv, at)) {
		rc = write_image_piece(
				nv, nv->index[slot], (uint16_t)at, piece_at(nv, at), image + at);
		++*writes;
	}
	wipe_traces(nv);
	return rc == TSS2_RC_SUCCESS
			       ? 0
			       : root_tpm2_esys_error(&nv->session.esys, rc, "write a root slot");
}
