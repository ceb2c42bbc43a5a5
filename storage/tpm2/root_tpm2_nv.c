#include "storage/tpm2/root_tpm2_nv.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "storage/tpm2/root_tpm2_esys.h"

/* See root_tpm2.h for what is there and what is not. */
#define INDEX_ATTRIBUTES                                                                           \
	(TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA |                                    \
			(TPM2_NT_ORDINARY << TPMA_NV_TPM2_NT_SHIFT))
#define NV_BUFFER_DEFAULT 512 /* should the TPM not say */
#define NONE3             ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE
#define LOCAL_DEVICE      "device:/dev/"
/* What the libraries leave on the stack when they encrypt and decrypt. */
#define STACK_BYTES (64 * 1024)

struct root_tpm2_nv {
	struct root_tpm2_esys esys;
	struct root_tpm2_identity identity;
	uint16_t buffer_bytes; /* TPM2_PT_NV_BUFFER_MAX */
	bool only_client;      /* a simulator's socket: nobody else speaks to this TPM */
	ESYS_TR session;
	ESYS_TR index[ROOT_SLOTS];
};

const char *root_tpm2_nv_trouble(const struct root_tpm2_nv *nv)
{
	return nv->esys.trouble;
}

const struct root_tpm2_identity *root_tpm2_nv_identity(const struct root_tpm2_nv *nv)
{
	return &nv->identity;
}

bool root_tpm2_nv_lost(const struct root_tpm2_nv *nv)
{
	return nv->esys.lost;
}

void root_tpm2_nv_restart_time(struct root_tpm2_nv *nv, uint32_t timeout_ms)
{
	nv->esys.deadline_ms = root_tpm2_esys_now_ms() + timeout_ms;
}

/* Connecting. */

static void put_text(char *text, uint32_t characters)
{
	for (int i = 0; i < 4; i++) {
		char c = (char)(characters >> (24 - 8 * i));
		text[i] = c == '\0' || (c >= ' ' && c <= '~') ? c : '?';
	}
}

static void take_property(struct root_tpm2_nv *nv, const TPMS_TAGGED_PROPERTY *property)
{
	switch (property->property) {
	case TPM2_PT_MANUFACTURER:
		put_text(nv->identity.manufacturer, property->value);
		break;
	case TPM2_PT_VENDOR_STRING_1:
	case TPM2_PT_VENDOR_STRING_2:
	case TPM2_PT_VENDOR_STRING_3:
	case TPM2_PT_VENDOR_STRING_4:
		put_text(nv->identity.vendor + 4 * (property->property - TPM2_PT_VENDOR_STRING_1),
				property->value);
		break;
	case TPM2_PT_NV_BUFFER_MAX:
		if (property->value > 0 && property->value <= TPM2_MAX_NV_BUFFER_SIZE)
			nv->buffer_bytes = (uint16_t)property->value;
		break;
	}
}

static TSS2_RC ask_properties(struct root_tpm2_nv *nv, TPMS_CAPABILITY_DATA **ret_data)
{
	TPMI_YES_NO more;

	return ROOT_TPM2_ESYS_RUN(&nv->esys, Esys_GetCapability,
			(NONE3, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FIXED, TPM2_MAX_TPM_PROPERTIES),
			(&more, ret_data));
}

static int identify(struct root_tpm2_nv *nv)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TSS2_RC rc = ask_properties(nv, &data);

	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&nv->esys, rc, "ask the TPM what it is");
	for (uint32_t i = 0; i < data->data.tpmProperties.count; i++)
		take_property(nv, &data->data.tpmProperties.tpmProperty[i]);
	nv->esys.api.Esys_Free(data);
	return 0;
}

int root_tpm2_nv_open(const char *tcti, uint32_t timeout_ms, struct root_tpm2_nv **ret_nv)
{
	struct root_tpm2_nv *nv = calloc(1, sizeof(*nv));

	if (!nv)
		return -ENOMEM;
	nv->buffer_bytes = NV_BUFFER_DEFAULT;
	nv->session = ESYS_TR_NONE;
	for (unsigned i = 0; i < ROOT_SLOTS; i++)
		nv->index[i] = ESYS_TR_NONE;
	nv->identity.local_device = strncmp(tcti, LOCAL_DEVICE, strlen(LOCAL_DEVICE)) == 0 ||
				    strcmp(tcti, "device") == 0 ||
				    strncmp(tcti, "tabrmd", strlen("tabrmd")) == 0;
	nv->only_client = strncmp(tcti, "swtpm:", 6) == 0 || strncmp(tcti, "mssim:", 6) == 0;
	nv->identity.virtual_machine = root_tpm2_kind_virtual_machine();
	*ret_nv = nv;
	int r = root_tpm2_esys_open(&nv->esys, tcti, root_tpm2_esys_now_ms() + timeout_ms);
	return r < 0 ? r : identify(nv);
}

static TSS2_RC flush(struct root_tpm2_nv *nv, ESYS_TR handle)
{
	return ROOT_TPM2_ESYS_RUN(&nv->esys, Esys_FlushContext, (handle), ());
}

struct root_tpm2_nv *root_tpm2_nv_close(struct root_tpm2_nv *nv)
{
	if (!nv)
		return NULL;
	/* Without a resource manager the TPM would keep it, and has room for three. */
	if (nv->session != ESYS_TR_NONE)
		(void)flush(nv, nv->session);
	root_tpm2_esys_close(&nv->esys);
	free(nv);
	return NULL;
}

/* The session. */

static const TPM2B_PUBLIC salt_template = {
		.publicArea =
				{
						.type = TPM2_ALG_ECC,
						.nameAlg = TPM2_ALG_SHA256,
						.objectAttributes =
								TPMA_OBJECT_FIXEDTPM |
								TPMA_OBJECT_FIXEDPARENT |
								TPMA_OBJECT_SENSITIVEDATAORIGIN |
								TPMA_OBJECT_USERWITHAUTH |
								TPMA_OBJECT_NODA |
								TPMA_OBJECT_RESTRICTED |
								TPMA_OBJECT_DECRYPT,
						.parameters.eccDetail =
								{
										.symmetric = {.algorithm = TPM2_ALG_AES,
												.keyBits.aes = 128,
												.mode.aes = TPM2_ALG_CFB},
										.scheme.scheme =
												TPM2_ALG_NULL,
										.curveID = TPM2_ECC_NIST_P256,
										.kdf.scheme = TPM2_ALG_NULL,
								},
				},
};

static TSS2_RC create_salt_key(struct root_tpm2_nv *nv, uint32_t hierarchy, ESYS_TR *ret_key)
{
	const TPM2B_SENSITIVE_CREATE sensitive = {0};
	const TPM2B_DATA outside = {0};
	const TPML_PCR_SELECTION pcrs = {0};
	ESYS_TR parent = hierarchy == TPM2_RH_OWNER ? ESYS_TR_RH_OWNER : ESYS_TR_RH_ENDORSEMENT;

	return ROOT_TPM2_ESYS_RUN(&nv->esys, Esys_CreatePrimary,
			(parent, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
					&salt_template, &outside, &pcrs),
			(ret_key, NULL, NULL, NULL, NULL));
}

/* The library has checked that the name is that of the key it salts with. */
static int check_name(struct root_tpm2_nv *nv, ESYS_TR key, struct root_tpm2_place *place, bool pin)
{
	TPM2B_NAME *name;
	TSS2_RC rc = nv->esys.api.Esys_TR_GetName(nv->esys.context, key, &name);
	int r = 0;

	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&nv->esys, rc, "read the name of the TPM's key");
	if (name->size != sizeof(place->salt_name))
		r = root_tpm2_esys_fail(&nv->esys, -EIO, "the name of the TPM's key has %u bytes",
				name->size);
	else if (pin)
		memcpy(place->salt_name, name->name, sizeof(place->salt_name));
	else if (memcmp(place->salt_name, name->name, sizeof(place->salt_name)) != 0)
		r = root_tpm2_esys_fail(&nv->esys, -RE_MOVED,
				"this is not the TPM that the root was put in, or somebody stands between: "
				"its storage key is another one");
	nv->esys.api.Esys_Free(name);
	return r;
}

static TSS2_RC try_session(struct root_tpm2_nv *nv, ESYS_TR salt_key)
{
	static const TPMT_SYM_DEF aes = {
			.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};

	return ROOT_TPM2_ESYS_RUN(&nv->esys, Esys_StartAuthSession,
			(salt_key, ESYS_TR_NONE, NONE3, NULL, TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256),
			(&nv->session));
}

/* Sessions of processes that were killed. A resource manager flushes those; a simulator keeps them
 * until it has no more room. */
static void flush_remains(struct root_tpm2_nv *nv)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;
	ESYS_TR session;

	if (ROOT_TPM2_ESYS_RUN(&nv->esys, Esys_GetCapability,
			    (NONE3, TPM2_CAP_HANDLES, TPM2_LOADED_SESSION_FIRST,
					    TPM2_MAX_CAP_HANDLES),
			    (&more, &data)) != TSS2_RC_SUCCESS)
		return;
	for (uint32_t i = 0; i < data->data.handles.count; i++) {
		uint32_t handle = data->data.handles.handle[i];
		if (ROOT_TPM2_ESYS_RUN(&nv->esys, Esys_TR_FromTPMPublic, (handle, NONE3),
				    (&session)) == TSS2_RC_SUCCESS)
			(void)flush(nv, session);
	}
	nv->esys.api.Esys_Free(data);
}

static int start_session(struct root_tpm2_nv *nv, ESYS_TR salt_key)
{
	TSS2_RC rc = try_session(nv, salt_key);

	if (root_tpm2_esys_tpm_code(rc) == TPM2_RC_SESSION_MEMORY && nv->only_client) {
		flush_remains(nv);
		rc = try_session(nv, salt_key);
	}
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	nv->session = ESYS_TR_NONE;
	return root_tpm2_esys_error(&nv->esys, rc, "start an encrypted session");
}

static TSS2_RC choose_hierarchy(
		struct root_tpm2_nv *nv, struct root_tpm2_place *place, ESYS_TR *ret_key)
{
	place->hierarchy = TPM2_RH_ENDORSEMENT;
	TSS2_RC rc = create_salt_key(nv, place->hierarchy, ret_key);
	TSS2_RC code = root_tpm2_esys_tpm_code(rc);

	if (code == TPM2_RC_BAD_AUTH || code == TPM2_RC_AUTH_FAIL || code == TPM2_RC_HIERARCHY) {
		place->hierarchy = TPM2_RH_OWNER;
		rc = create_salt_key(nv, place->hierarchy, ret_key);
	}
	return rc;
}

int root_tpm2_nv_start(struct root_tpm2_nv *nv, struct root_tpm2_place *place, bool pin)
{
	ESYS_TR key = ESYS_TR_NONE;
	TSS2_RC rc = pin ? choose_hierarchy(nv, place, &key)
			 : create_salt_key(nv, place->hierarchy, &key);

	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&nv->esys, rc, "make the key for an encrypted session");
	int r = check_name(nv, key, place, pin);
	if (r == 0)
		r = start_session(nv, key);
	(void)flush(nv, key);
	return r;
}

/* Which of the two ways is encrypted depends on the command: the TPM refuses what it cannot do. */
static TSS2_RC encrypt(struct root_tpm2_nv *nv, TPMA_SESSION direction)
{
	return nv->esys.api.Esys_TRSess_SetAttributes(nv->esys.context, nv->session,
			direction | TPMA_SESSION_CONTINUESESSION, 0xff);
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
	return nv->esys.api.Esys_TR_SetAuth(nv->esys.context, handle, value);
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
	TSS2_RC rc = ROOT_TPM2_ESYS_RUN(&nv->esys, Esys_GetCapability,
			(NONE3, TPM2_CAP_HANDLES, handle, 1), (&more, &data));

	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&nv->esys, rc, "list the TPM's NV indices");
	bool taken = data->data.handles.count > 0 && data->data.handles.handle[0] == handle;
	nv->esys.api.Esys_Free(data);
	return !taken;
}

static TSS2_RC define(struct root_tpm2_nv *nv, const struct root_tpm2_place *place, unsigned slot)
{
	const TPM2B_NV_PUBLIC public = {.nvPublic = {.nvIndex = place->index[slot],
							.nameAlg = TPM2_ALG_SHA256,
							.attributes = INDEX_ATTRIBUTES,
							.dataSize = ROOT_IMAGE_BYTES}};
	_cleanup_secret_ TPM2B_AUTH *auth = secret_new(sizeof(*auth));

	if (!auth)
		return TSS2_ESYS_RC_MEMORY;
	auth->size = sizeof(place->auth[slot]);
	memcpy(auth->buffer, place->auth[slot], sizeof(place->auth[slot]));
	return ROOT_TPM2_ESYS_RUN(&nv->esys, Esys_NV_DefineSpace,
			(ESYS_TR_RH_OWNER, nv->session, ESYS_TR_NONE, ESYS_TR_NONE, auth, &public),
			(&nv->index[slot]));
}

int root_tpm2_nv_define(struct root_tpm2_nv *nv, const struct root_tpm2_place *place, unsigned slot,
		const char *owner_auth)
{
	TSS2_RC rc = set_owner_auth(nv, owner_auth);

	if (rc == TSS2_RC_SUCCESS)
		rc = encrypt(nv, TPMA_SESSION_DECRYPT);
	if (rc == TSS2_RC_SUCCESS)
		rc = define(nv, place, slot);
	sodium_stackzero(STACK_BYTES);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	nv->index[slot] = ESYS_TR_NONE;
	return root_tpm2_esys_error(
			&nv->esys, rc, "define an NV index, with the owner's authorisation");
}

int root_tpm2_nv_undefine(struct root_tpm2_nv *nv, unsigned slot, const char *owner_auth)
{
	TSS2_RC rc = set_owner_auth(nv, owner_auth);

	if (rc == TSS2_RC_SUCCESS)
		rc = encrypt(nv, 0);
	if (rc == TSS2_RC_SUCCESS)
		rc = ROOT_TPM2_ESYS_RUN(&nv->esys, Esys_NV_UndefineSpace,
				(ESYS_TR_RH_OWNER, nv->index[slot], nv->session, ESYS_TR_NONE,
						ESYS_TR_NONE),
				());
	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&nv->esys, rc,
				"undefine an NV index, with the owner's authorisation");
	nv->index[slot] = ESYS_TR_NONE;
	return 0;
}

static int check_index(struct root_tpm2_nv *nv, uint32_t handle, unsigned slot)
{
	TPM2B_NV_PUBLIC *public = NULL;
	TSS2_RC rc = ROOT_TPM2_ESYS_RUN(
			&nv->esys, Esys_NV_ReadPublic, (nv->index[slot], NONE3), (&public, NULL));

	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&nv->esys, rc, "look at the root's NV index");
	TPMS_NV_PUBLIC found = public->nvPublic;
	nv->esys.api.Esys_Free(public);
	if ((found.attributes & ~TPMA_NV_WRITTEN) != INDEX_ATTRIBUTES ||
			found.nameAlg != TPM2_ALG_SHA256 || found.authPolicy.size != 0 ||
			found.dataSize != ROOT_IMAGE_BYTES)
		return root_tpm2_esys_fail(&nv->esys, -RE_CORRUPT,
				"the NV index 0x%08x is not one that recseal made: it has the attributes "
				"0x%08x and %u bytes",
				handle, found.attributes, found.dataSize);
	return 0;
}

int root_tpm2_nv_attach(struct root_tpm2_nv *nv, const struct root_tpm2_place *place, unsigned slot)
{
	uint32_t handle = place->index[slot];
	TSS2_RC rc = ROOT_TPM2_ESYS_RUN(
			&nv->esys, Esys_TR_FromTPMPublic, (handle, NONE3), (&nv->index[slot]));

	if (rc != TSS2_RC_SUCCESS)
		nv->index[slot] = ESYS_TR_NONE;
	if (root_tpm2_esys_tpm_code(rc) == TPM2_RC_HANDLE)
		return root_tpm2_esys_fail(&nv->esys, -RE_NO_ROOT,
				"the TPM has no NV index 0x%08x: the TPM was cleared, or the index "
				"removed, and the root with it",
				handle);
	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&nv->esys, rc, "find the root's NV index");
	int r = check_index(nv, handle, slot);
	if (r < 0)
		return r;
	rc = set_auth(nv, nv->index[slot], place->auth[slot], sizeof(place->auth[slot]));
	return rc == TSS2_RC_SUCCESS
			       ? 0
			       : root_tpm2_esys_error(&nv->esys, rc, "set an authorisation value");
}

/* Images. */

static uint16_t piece_at(struct root_tpm2_nv *nv, size_t at)
{
	size_t left = ROOT_IMAGE_BYTES - at;

	return left < nv->buffer_bytes ? (uint16_t)left : nv->buffer_bytes;
}

static TSS2_RC read_piece(struct root_tpm2_nv *nv, ESYS_TR index, uint16_t at, uint16_t len,
		uint8_t *ret_bytes)
{
	TPM2B_MAX_NV_BUFFER *data = NULL;
	TSS2_RC rc = encrypt(nv, TPMA_SESSION_ENCRYPT);

	if (rc == TSS2_RC_SUCCESS)
		rc = ROOT_TPM2_ESYS_RUN(&nv->esys, Esys_NV_Read,
				(index, index, nv->session, ESYS_TR_NONE, ESYS_TR_NONE, len, at),
				(&data));
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	if (data->size == len)
		memcpy(ret_bytes, data->buffer, len);
	else
		rc = TSS2_ESYS_RC_MALFORMED_RESPONSE;
	sodium_memzero(data, sizeof(*data));
	nv->esys.api.Esys_Free(data);
	return rc;
}

/* The library has one buffer for all commands and responses, and keeps the last decrypted one: a
 * longer response without a secret takes its place. */
static void wipe_traces(struct root_tpm2_nv *nv)
{
	TPMS_CAPABILITY_DATA *data = NULL;

	if (ask_properties(nv, &data) == TSS2_RC_SUCCESS)
		nv->esys.api.Esys_Free(data);
	sodium_stackzero(STACK_BYTES);
}

int root_tpm2_nv_read(
		struct root_tpm2_nv *nv, unsigned slot, uint8_t ret_image[static ROOT_IMAGE_BYTES])
{
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);
	TSS2_RC rc = TSS2_RC_SUCCESS;

	if (!image)
		return root_tpm2_esys_fail(&nv->esys, -RE_MLOCK, "no memory for secrets");
	for (size_t at = 0; at < ROOT_IMAGE_BYTES && rc == TSS2_RC_SUCCESS; at += piece_at(nv, at))
		rc = read_piece(nv, nv->index[slot], (uint16_t)at, piece_at(nv, at), image + at);
	wipe_traces(nv);
	if (rc == TSS2_RC_SUCCESS)
		memcpy(ret_image, image, ROOT_IMAGE_BYTES);
	if (root_tpm2_esys_tpm_code(rc) == TPM2_RC_NV_UNINITIALIZED)
		return 1;
	return rc == TSS2_RC_SUCCESS ? 0 : root_tpm2_esys_error(&nv->esys, rc, "read a root slot");
}

static TSS2_RC write_piece(struct root_tpm2_nv *nv, ESYS_TR index, uint16_t at, uint16_t len,
		const uint8_t *bytes)
{
	_cleanup_secret_ TPM2B_MAX_NV_BUFFER *data = secret_new(sizeof(*data));
	TSS2_RC rc = data ? encrypt(nv, TPMA_SESSION_DECRYPT) : TSS2_ESYS_RC_MEMORY;

	if (rc != TSS2_RC_SUCCESS)
		return rc;
	data->size = len;
	memcpy(data->buffer, bytes, len);
	return ROOT_TPM2_ESYS_RUN(&nv->esys, Esys_NV_Write,
			(index, index, nv->session, ESYS_TR_NONE, ESYS_TR_NONE, data, at), ());
}

int root_tpm2_nv_write(struct root_tpm2_nv *nv, unsigned slot,
		const uint8_t image[static ROOT_IMAGE_BYTES], uint64_t *writes)
{
	TSS2_RC rc = TSS2_RC_SUCCESS;

	for (size_t at = 0; at < ROOT_IMAGE_BYTES && rc == TSS2_RC_SUCCESS;
			at += piece_at(nv, at)) {
		rc = write_piece(nv, nv->index[slot], (uint16_t)at, piece_at(nv, at), image + at);
		++*writes;
	}
	wipe_traces(nv);
	return rc == TSS2_RC_SUCCESS ? 0 : root_tpm2_esys_error(&nv->esys, rc, "write a root slot");
}
