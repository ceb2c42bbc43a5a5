#include "storage/tpm2/root_tpm2_session.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

#define NV_BUFFER_DEFAULT 512 /* should the TPM not say */
#define NONE3             ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE
#define LOCAL_DEVICE      "device:/dev/"

/* Connecting. */

static void put_characters(char *text, uint32_t characters)
{
	for (int i = 0; i < 4; i++) {
		char c = (char)(characters >> (24 - 8 * i));
		text[i] = c == '\0' || (c >= ' ' && c <= '~') ? c : '?';
	}
}

static void take_property(struct root_tpm2_session *session, const TPMS_TAGGED_PROPERTY *property)
{
	switch (property->property) {
	case TPM2_PT_MANUFACTURER:
		put_characters(session->identity.manufacturer, property->value);
		break;
	case TPM2_PT_VENDOR_STRING_1:
	case TPM2_PT_VENDOR_STRING_2:
	case TPM2_PT_VENDOR_STRING_3:
	case TPM2_PT_VENDOR_STRING_4:
		put_characters(session->identity.vendor +
						4 * (property->property - TPM2_PT_VENDOR_STRING_1),
				property->value);
		break;
	case TPM2_PT_NV_BUFFER_MAX:
		if (property->value > 0 && property->value <= TPM2_MAX_NV_BUFFER_SIZE)
			session->buffer_bytes = (uint16_t)property->value;
		break;
	}
}

TSS2_RC root_tpm2_session_ask_properties(
		struct root_tpm2_session *session, TPMS_CAPABILITY_DATA **ret_data)
{
	TPMI_YES_NO more;

	return ROOT_TPM2_ESYS_RUN(&session->esys, Esys_GetCapability,
			(NONE3, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FIXED, TPM2_MAX_TPM_PROPERTIES),
			(&more, ret_data));
}

static int ask_identity(struct root_tpm2_session *session)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TSS2_RC rc = root_tpm2_session_ask_properties(session, &data);

	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&session->esys, rc, "ask the TPM what it is");
	for (uint32_t i = 0; i < data->data.tpmProperties.count; i++)
		take_property(session, &data->data.tpmProperties.tpmProperty[i]);
	session->esys.api.Esys_Free(data);
	return 0;
}

int root_tpm2_session_open(struct root_tpm2_session *session, const char *tcti, uint32_t timeout_ms,
		struct reason *reason)
{
	*session = (struct root_tpm2_session){
			.buffer_bytes = NV_BUFFER_DEFAULT, .handle = ESYS_TR_NONE};
	session->identity.local_device = strncmp(tcti, LOCAL_DEVICE, strlen(LOCAL_DEVICE)) == 0 ||
					 strcmp(tcti, "device") == 0 ||
					 strncmp(tcti, "tabrmd", strlen("tabrmd")) == 0;
	session->only_client = strncmp(tcti, "swtpm:", 6) == 0 || strncmp(tcti, "mssim:", 6) == 0;
	session->identity.virtual_machine = root_tpm2_kind_virtual_machine();
	int r = root_tpm2_esys_open(
			&session->esys, tcti, root_tpm2_esys_now_ms() + timeout_ms, reason);
	return r < 0 ? r : ask_identity(session);
}

static TSS2_RC flush_handle(struct root_tpm2_session *session, ESYS_TR handle)
{
	return ROOT_TPM2_ESYS_RUN(&session->esys, Esys_FlushContext, (handle), ());
}

void root_tpm2_session_close(struct root_tpm2_session *session)
{
	session->esys.reason = NULL;
	/* Without a resource manager the TPM would keep it, and has room for three. */
	if (session->handle != ESYS_TR_NONE)
		(void)flush_handle(session, session->handle);
	root_tpm2_esys_close(&session->esys);
}

/* The session. */

#define SALT_ATTRIBUTES                                                                            \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |        \
			TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |     \
			TPMA_OBJECT_DECRYPT)

static const TPMS_ECC_PARMS salt_curve = {
		.symmetric = {.algorithm = TPM2_ALG_AES,
				.keyBits.aes = 128,
				.mode.aes = TPM2_ALG_CFB},
		.scheme.scheme = TPM2_ALG_NULL,
		.curveID = TPM2_ECC_NIST_P256,
		.kdf.scheme = TPM2_ALG_NULL,
};

static TSS2_RC create_salt_key(
		struct root_tpm2_session *session, uint32_t hierarchy, ESYS_TR *ret_key)
{
	const TPM2B_PUBLIC template = {.publicArea = {.type = TPM2_ALG_ECC,
						       .nameAlg = TPM2_ALG_SHA256,
						       .objectAttributes = SALT_ATTRIBUTES,
						       .parameters.eccDetail = salt_curve}};
	const TPM2B_SENSITIVE_CREATE sensitive = {0};
	const TPM2B_DATA outside = {0};
	const TPML_PCR_SELECTION pcrs = {0};
	ESYS_TR parent = hierarchy == TPM2_RH_OWNER ? ESYS_TR_RH_OWNER : ESYS_TR_RH_ENDORSEMENT;

	return ROOT_TPM2_ESYS_RUN(&session->esys, Esys_CreatePrimary,
			(parent, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
					&template, &outside, &pcrs),
			(ret_key, NULL, NULL, NULL, NULL));
}

/* The library has checked that the name is that of the key it salts with. */
static int check_salt_name(struct root_tpm2_session *session, ESYS_TR key,
		struct root_tpm2_locator *locator, bool pin)
{
	TPM2B_NAME *name;
	TSS2_RC rc = session->esys.api.Esys_TR_GetName(session->esys.context, key, &name);
	int r = 0;

	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(&session->esys, rc, "read the name of the TPM's key");
	if (name->size != sizeof(locator->salt_name))
		r = reason_set(session->esys.reason, -EIO, "the name of the TPM's key has %u bytes",
				name->size);
	else if (pin)
		memcpy(locator->salt_name, name->name, sizeof(locator->salt_name));
	else if (memcmp(locator->salt_name, name->name, sizeof(locator->salt_name)) != 0)
		r = reason_set(session->esys.reason, -RE_MOVED,
				"this is not the TPM that the root was put in, or somebody stands "
				"between: its storage key is another one");
	session->esys.api.Esys_Free(name);
	return r;
}

static TSS2_RC try_session(struct root_tpm2_session *session, ESYS_TR salt_key)
{
	static const TPMT_SYM_DEF aes = {
			.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};

	return ROOT_TPM2_ESYS_RUN(&session->esys, Esys_StartAuthSession,
			(salt_key, ESYS_TR_NONE, NONE3, NULL, TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256),
			(&session->handle));
}

/* Sessions of processes that were killed. A resource manager flushes those; a simulator keeps them
 * until it has no more room. */
static void flush_remains(struct root_tpm2_session *session)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;
	ESYS_TR stale;

	if (ROOT_TPM2_ESYS_RUN(&session->esys, Esys_GetCapability,
			    (NONE3, TPM2_CAP_HANDLES, TPM2_LOADED_SESSION_FIRST,
					    TPM2_MAX_CAP_HANDLES),
			    (&more, &data)) != TSS2_RC_SUCCESS)
		return;
	for (uint32_t i = 0; i < data->data.handles.count; i++) {
		uint32_t handle = data->data.handles.handle[i];
		if (ROOT_TPM2_ESYS_RUN(&session->esys, Esys_TR_FromTPMPublic, (handle, NONE3),
				    (&stale)) == TSS2_RC_SUCCESS)
			(void)flush_handle(session, stale);
	}
	session->esys.api.Esys_Free(data);
}

static int start_session(struct root_tpm2_session *session, ESYS_TR salt_key)
{
	TSS2_RC rc = try_session(session, salt_key);

	if (root_tpm2_esys_tpm_code(rc) == TPM2_RC_SESSION_MEMORY && session->only_client) {
		flush_remains(session);
		rc = try_session(session, salt_key);
	}
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	session->handle = ESYS_TR_NONE;
	return root_tpm2_esys_error(&session->esys, rc, "start an encrypted session");
}

static TSS2_RC choose_hierarchy(struct root_tpm2_session *session,
		struct root_tpm2_locator *locator, ESYS_TR *ret_key)
{
	locator->hierarchy = TPM2_RH_ENDORSEMENT;
	TSS2_RC rc = create_salt_key(session, locator->hierarchy, ret_key);
	TSS2_RC code = root_tpm2_esys_tpm_code(rc);

	if (code == TPM2_RC_BAD_AUTH || code == TPM2_RC_AUTH_FAIL || code == TPM2_RC_HIERARCHY) {
		locator->hierarchy = TPM2_RH_OWNER;
		rc = create_salt_key(session, locator->hierarchy, ret_key);
	}
	return rc;
}

int root_tpm2_session_start(
		struct root_tpm2_session *session, struct root_tpm2_locator *locator, bool pin)
{
	ESYS_TR key = ESYS_TR_NONE;
	TSS2_RC rc = pin ? choose_hierarchy(session, locator, &key)
			 : create_salt_key(session, locator->hierarchy, &key);

	if (rc != TSS2_RC_SUCCESS)
		return root_tpm2_esys_error(
				&session->esys, rc, "make the key for an encrypted session");
	int r = check_salt_name(session, key, locator, pin);
	if (r == 0)
		r = start_session(session, key);
	(void)flush_handle(session, key);
	return r;
}

TSS2_RC root_tpm2_session_encrypt(struct root_tpm2_session *session, TPMA_SESSION direction)
{
	return session->esys.api.Esys_TRSess_SetAttributes(session->esys.context, session->handle,
			direction | TPMA_SESSION_CONTINUESESSION, 0xff);
}
