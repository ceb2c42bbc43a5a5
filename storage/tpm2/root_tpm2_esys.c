#include "storage/tpm2/root_tpm2_esys.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#define ESYS_LIBRARY    "libtss2-esys.so.0"
#define TCTILDR_LIBRARY "libtss2-tctildr.so.0"
#define DEVICE_TCTI     "device:"

#define PAUSE_FIRST_MS 20
#define PAUSE_LAST_MS  500

int64_t root_tpm2_esys_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Libraries. */

static int load_call(
		struct root_tpm2_esys *esys, void *library, const char *name, void *ret_function)
{
	void *function = dlsym(library, name);

	if (!function)
		return reason_set(esys->reason, -ELIBACC,
				"the TPM libraries are too old: they have no %s", name);
	memcpy(ret_function, &function, sizeof(function));
	return 0;
}

static void *load_library(struct root_tpm2_esys *esys, const char *name)
{
	/* They stay: libcrypto, which comes with them, cannot be unloaded safely. */
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!library)
		(void)reason_set(esys->reason, -ELIBACC,
				"a root in a TPM needs the library %s, which cannot be loaded "
				"(%s): install libtss2-esys and libtss2-tctildr",
				name, dlerror());
	return library;
}

static int load_libraries(struct root_tpm2_esys *esys)
{
	struct root_tpm2_esys_api *api = &esys->api;
	void *library;
	int r = 0;

	/* A trace log would hold the root; and errors are said by us. */
	if (setenv("TSS2_LOG", "all+none", 1) < 0)
		return -errno;
	library = load_library(esys, ESYS_LIBRARY);
	if (!library)
		return -ELIBACC;
#define LOAD(name)                                                                                 \
	if (r == 0)                                                                                \
		r = load_call(esys, library, #name, &api->name);
	ROOT_TPM2_ESYS_CALLS(LOAD)
	library = r == 0 ? load_library(esys, TCTILDR_LIBRARY) : NULL;
	if (!library)
		return -ELIBACC;
	LOAD(Tss2_TctiLdr_Initialize)
	LOAD(Tss2_TctiLdr_Finalize)
#undef LOAD
	return r;
}

/* Connecting. */

/* The name of a TCTI is part of a library's name, and nothing else. */
static bool is_tcti(const char *tcti)
{
	size_t len = strspn(tcti, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len > 0 && (tcti[len] == ':' || tcti[len] == '\0');
}

/* The TCTIs have one code for every reason; the device itself tells more. */
static int try_device(struct root_tpm2_esys *esys, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd >= 0)
		return 0;
	switch (errno) {
	case EACCES:
	case EPERM:
		return reason_set(esys->reason, -EACCES,
				"the TPM device %s may not be opened by this user: add it to the "
				"group that owns the device (tss, usually)",
				path);
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return reason_set(esys->reason, -ENODEV,
				"there is no TPM device %s: is the TPM switched on in the "
				"firmware, and visible to this service?",
				path);
	case EBUSY:
		return reason_set(esys->reason, -EBUSY,
				"the TPM device %s is in use: give one with a resource manager, "
				"such as /dev/tpmrm0",
				path);
	default:
		return reason_set(esys->reason, -ENODEV, "cannot open the TPM device %s: %s", path,
				strerror(errno));
	}
}

static int connect_tcti(struct root_tpm2_esys *esys, const char *tcti)
{
	bool device = strncmp(tcti, DEVICE_TCTI, strlen(DEVICE_TCTI)) == 0;

	if (!is_tcti(tcti))
		return reason_set(esys->reason, -EINVAL,
				"\"%s\" is no TPM device: give a path, such as /dev/tpmrm0, or "
				"NAME:CONF",
				tcti);
	int r = device ? try_device(esys, tcti + strlen(DEVICE_TCTI)) : 0;
	if (r < 0)
		return r;
	TSS2_RC rc = esys->api.Tss2_TctiLdr_Initialize(tcti, &esys->tcti);
	if (rc != TSS2_RC_SUCCESS) {
		esys->tcti = NULL;
		return reason_set(esys->reason, -ENODEV, "no TPM answers at %s (0x%08x)", tcti, rc);
	}
	return 0;
}

int root_tpm2_esys_open(struct root_tpm2_esys *esys, const char *tcti, int64_t deadline_ms,
		struct reason *reason)
{
	*esys = (struct root_tpm2_esys){.deadline_ms = deadline_ms, .reason = reason};
	int r = load_libraries(esys);

	if (r == 0)
		r = connect_tcti(esys, tcti);
	if (r < 0)
		return r;
	TSS2_RC rc = esys->api.Esys_Initialize(&esys->context, esys->tcti, NULL);
	return rc == TSS2_RC_SUCCESS ? 0 : root_tpm2_esys_error(esys, rc, "prepare the TPM");
}

void root_tpm2_esys_close(struct root_tpm2_esys *esys)
{
	if (esys->context)
		esys->api.Esys_Finalize(&esys->context);
	if (esys->tcti)
		esys->api.Tss2_TctiLdr_Finalize(&esys->tcti);
	esys->context = NULL;
	esys->tcti = NULL;
}

/* Running commands. */

static int64_t left_ms(struct root_tpm2_esys *esys)
{
	int64_t left = esys->deadline_ms - root_tpm2_esys_now_ms();

	return left > 0 ? left : 0;
}

void root_tpm2_esys_limit(struct root_tpm2_esys *esys)
{
	esys->api.Esys_SetTimeout(esys->context, (int32_t)left_ms(esys));
}

bool root_tpm2_esys_pending(struct root_tpm2_esys *esys, TSS2_RC rc)
{
	return rc != TSS2_RC_SUCCESS && (rc & TSS2_RC_LAYER_MASK) != TSS2_TPM_RC_LAYER &&
	       (rc & ~TSS2_RC_LAYER_MASK) == TSS2_BASE_RC_TRY_AGAIN && left_ms(esys) > 0;
}

static bool is_busy(TSS2_RC code)
{
	return code == TPM2_RC_RETRY || code == TPM2_RC_YIELDED || code == TPM2_RC_TESTING ||
	       code == TPM2_RC_NV_RATE || code == TPM2_RC_NV_UNAVAILABLE;
}

bool root_tpm2_esys_again(struct root_tpm2_esys *esys, TSS2_RC rc)
{
	int64_t pause = PAUSE_FIRST_MS << (esys->rejections < 10 ? esys->rejections : 10);

	if (pause > PAUSE_LAST_MS)
		pause = PAUSE_LAST_MS;
	if (!is_busy(root_tpm2_esys_tpm_code(rc)) || left_ms(esys) <= pause)
		return false;
	esys->rejections++;
	struct timespec span = {.tv_nsec = pause * 1000000};
	nanosleep(&span, NULL);
	return true;
}

/* What went wrong. */

TSS2_RC root_tpm2_esys_tpm_code(TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK, code = rc & ~TSS2_RC_LAYER_MASK;

	/* The kernel's resource manager passes TPM codes on in layers of its own. */
	if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER &&
			layer != TSS2_RESMGR_RC_LAYER)
		return 0;
	return code & TPM2_RC_FMT1 ? code & (TPM2_RC_FMT1 | 0x3f) : code & 0xfff;
}

/* The session or the index is not what the TPM knows: it was restarted. */
static bool is_reset(TSS2_RC code)
{
	return (code >= TPM2_RC_REFERENCE_H0 && code <= TPM2_RC_REFERENCE_S6) ||
	       code == TPM2_RC_INITIALIZE || code == TPM2_RC_REBOOT || code == TPM2_RC_HANDLE ||
	       code == TPM2_RC_VALUE || code == TPM2_RC_NONCE || code == TPM2_RC_CONTEXT_GAP;
}

struct meaning {
	TSS2_RC code;
	int error;
	const char *text;
};

static const struct meaning meanings[] = {
		{TPM2_RC_LOCKOUT, -EPERM,
				"the TPM is locked against guessing (dictionary-attack lockout): "
				"wait for its recovery time, or clear the lockout with the lockout "
				"password"},
		{TPM2_RC_AUTH_FAIL, -EKEYREJECTED, "the TPM refuses the authorisation value"},
		{TPM2_RC_BAD_AUTH, -EKEYREJECTED, "the TPM refuses the authorisation value"},
		{TPM2_RC_NV_AUTHORIZATION, -EKEYREJECTED,
				"the TPM refuses the authorisation value"},
		{TPM2_RC_NV_RATE, -EBUSY, "the TPM limits the rate of writes against wear"},
		{TPM2_RC_RETRY, -EBUSY, "the TPM is busy"},
		{TPM2_RC_YIELDED, -EBUSY, "the TPM is busy"},
		{TPM2_RC_TESTING, -EBUSY, "the TPM is testing itself"},
		{TPM2_RC_NV_UNAVAILABLE, -EBUSY, "the TPM's memory is not available now"},
		{TPM2_RC_SESSION_MEMORY, -EBUSY,
				"the TPM has no room for a session: another program holds them; "
				"use a device with a resource manager, such as /dev/tpmrm0"},
		{TPM2_RC_SESSION_HANDLES, -EBUSY, "the TPM has no room for a session"},
		{TPM2_RC_OBJECT_MEMORY, -EBUSY,
				"the TPM has no room for a key: another program holds them; use a "
				"device with a resource manager, such as /dev/tpmrm0"},
		{TPM2_RC_MEMORY, -EBUSY, "the TPM is out of memory"},
		{TPM2_RC_NV_SPACE, -ENOSPC, "the TPM has no room for another NV index"},
		{TPM2_RC_NV_DEFINED, -EEXIST, "the NV index exists"},
		{TPM2_RC_NV_LOCKED, -EPERM, "the NV index is locked"},
		{TPM2_RC_NV_RANGE, -RE_CORRUPT, "the NV index is too small"},
		{TPM2_RC_FAILURE, -EIO, "the TPM has failed its self-test and must be restarted"},
		{TPM2_RC_HIERARCHY, -EIO, "the hierarchy is switched off in the firmware"},
};

static int explain_code(struct root_tpm2_esys *esys, TSS2_RC rc, TSS2_RC code, const char *what)
{
	for (size_t i = 0; i < ELEMENTSOF(meanings); i++) {
		if (meanings[i].code == code)
			return reason_set(esys->reason, meanings[i].error, "cannot %s: %s (0x%03x)",
					what, meanings[i].text, rc);
	}
	return reason_set(esys->reason, -EIO, "cannot %s: the TPM answers with code 0x%03x", what,
			rc);
}

int root_tpm2_esys_error(struct root_tpm2_esys *esys, TSS2_RC rc, const char *what)
{
	TSS2_RC code = root_tpm2_esys_tpm_code(rc), base = rc & ~TSS2_RC_LAYER_MASK;

	if (code != 0) {
		/* Even a rejected authorisation may be another's session by the same number. */
		esys->lost |= is_reset(code) || code == TPM2_RC_AUTH_FAIL ||
			      code == TPM2_RC_BAD_AUTH;
		return explain_code(esys, rc, code, what);
	}
	esys->lost = true;
	if (base == TSS2_BASE_RC_TRY_AGAIN)
		return reason_set(esys->reason, -ETIMEDOUT, "cannot %s: the TPM does not answer",
				what);
	if ((rc & TSS2_RC_LAYER_MASK) == TSS2_TCTI_RC_LAYER)
		return reason_set(esys->reason, -ENODEV, "cannot %s: the TPM is not there (0x%08x)",
				what, rc);
	if (base == TSS2_BASE_RC_RSP_AUTH_FAILED)
		return reason_set(esys->reason, -EIO,
				"cannot %s: the answer is not the TPM's own (its HMAC is wrong)",
				what);
	return reason_set(esys->reason, -EIO, "cannot %s: the TPM library fails with 0x%08x", what,
			rc);
}
