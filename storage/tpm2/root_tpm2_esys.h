/* A connection to a TPM: the libraries, loaded at run time; commands with a time limit; and what
 * their response codes mean (TPM 2.0 Library Specification, Part 2, section "TPM_RC"; TCG "TSS 2.0
 * Enhanced System API Specification"). For root_tpm2_session.c and root_tpm2_nv.c; needs the
 * libraries' headers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include "base/reason.h"

/* Only the asynchronous calls: the others wait without a limit. */
#define ROOT_TPM2_ESYS_CALLS(CALL)                                                                 \
	CALL(Esys_Initialize)                                                                      \
	CALL(Esys_Finalize)                                                                        \
	CALL(Esys_Free)                                                                            \
	CALL(Esys_SetTimeout)                                                                      \
	CALL(Esys_GetCapability_Async)                                                             \
	CALL(Esys_GetCapability_Finish)                                                            \
	CALL(Esys_CreatePrimary_Async)                                                             \
	CALL(Esys_CreatePrimary_Finish)                                                            \
	CALL(Esys_StartAuthSession_Async)                                                          \
	CALL(Esys_StartAuthSession_Finish)                                                         \
	CALL(Esys_FlushContext_Async)                                                              \
	CALL(Esys_FlushContext_Finish)                                                             \
	CALL(Esys_TR_FromTPMPublic_Async)                                                          \
	CALL(Esys_TR_FromTPMPublic_Finish)                                                         \
	CALL(Esys_TR_GetName)                                                                      \
	CALL(Esys_TR_SetAuth)                                                                      \
	CALL(Esys_TRSess_SetAttributes)                                                            \
	CALL(Esys_NV_DefineSpace_Async)                                                            \
	CALL(Esys_NV_DefineSpace_Finish)                                                           \
	CALL(Esys_NV_UndefineSpace_Async)                                                          \
	CALL(Esys_NV_UndefineSpace_Finish)                                                         \
	CALL(Esys_NV_ReadPublic_Async)                                                             \
	CALL(Esys_NV_ReadPublic_Finish)                                                            \
	CALL(Esys_NV_Read_Async)                                                                   \
	CALL(Esys_NV_Read_Finish)                                                                  \
	CALL(Esys_NV_Write_Async)                                                                  \
	CALL(Esys_NV_Write_Finish)

struct root_tpm2_esys_api {
#define ROOT_TPM2_ESYS_MEMBER(name) __typeof__(name) *name;
	ROOT_TPM2_ESYS_CALLS(ROOT_TPM2_ESYS_MEMBER)
#undef ROOT_TPM2_ESYS_MEMBER
	__typeof__(Tss2_TctiLdr_Initialize) *Tss2_TctiLdr_Initialize;
	__typeof__(Tss2_TctiLdr_Finalize) *Tss2_TctiLdr_Finalize;
};

struct root_tpm2_esys {
	struct root_tpm2_esys_api api;
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *context;
	int64_t deadline_ms;   /* of the operation under way, root_tpm2_esys_now_ms() */
	unsigned rejections;   /* of this command: how often the TPM said to come back later */
	bool lost;             /* a failure after which only a new connection may help */
	struct reason *reason; /* of the operation under way; may be NULL */
};

/* Connects; zeroes *esys first, and leaves it to be closed, on failure too. -ELIBACC, -EINVAL,
 * -ENODEV, -EACCES. The reason is where this and the commands that follow say why they failed. */
int root_tpm2_esys_open(struct root_tpm2_esys *esys, const char *tcti, int64_t deadline_ms,
		struct reason *reason);
void root_tpm2_esys_close(struct root_tpm2_esys *esys);

/* CLOCK_MONOTONIC. */
int64_t root_tpm2_esys_now_ms(void);

/* What a response code means, as -errno, with a reason that begins "cannot <what>: ". Sets lost. */
int root_tpm2_esys_error(struct root_tpm2_esys *esys, TSS2_RC rc, const char *what);

/* The TPM's own code without parameter or handle number, or 0 when the TPM is not who speaks. */
TSS2_RC root_tpm2_esys_tpm_code(TSS2_RC rc);

/* For ROOT_TPM2_ESYS_RUN, all until the deadline: how long to wait for the response; whether to ask
 * for it once more; and whether to send the command once more, after a pause, because the TPM was
 * busy. */
void root_tpm2_esys_limit(struct root_tpm2_esys *esys);
bool root_tpm2_esys_pending(struct root_tpm2_esys *esys, TSS2_RC rc);
bool root_tpm2_esys_again(struct root_tpm2_esys *esys, TSS2_RC rc);

/* Runs one command: the arguments of its Async and of its Finish call, each in parentheses and
 * without the context. Its response code. */
#define ROOT_TPM2_ESYS_RUN(esys, command, async_args, finish_args)                                 \
	({                                                                                         \
		struct root_tpm2_esys *e_ = (esys);                                                \
		TSS2_RC rc_;                                                                       \
		e_->rejections = 0;                                                                \
		do {                                                                               \
			rc_ = e_->api.command##_Async(                                             \
					e_->context, ROOT_TPM2_ESYS_ARGS async_args);              \
			if (rc_ != TSS2_RC_SUCCESS)                                                \
				break;                                                             \
			do {                                                                       \
				root_tpm2_esys_limit(e_);                                          \
				rc_ = e_->api.command##_Finish(                                    \
						e_->context ROOT_TPM2_ESYS_MORE finish_args);      \
			} while (root_tpm2_esys_pending(e_, rc_));                                 \
		} while (root_tpm2_esys_again(e_, rc_));                                           \
		rc_;                                                                               \
	})
#define ROOT_TPM2_ESYS_ARGS(...) __VA_ARGS__
#define ROOT_TPM2_ESYS_MORE(...) __VA_OPT__(, ) __VA_ARGS__
