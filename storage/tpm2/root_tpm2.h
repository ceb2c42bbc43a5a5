/* The `tpm2` root provider: each slot is an ordinary NV index of a TPM 2.0 (TCG "TPM 2.0 Library
 * Specification", Part 1 section "NV Memory", Part 3 "Non-volatile Storage").
 *
 * Overwriting an ordinary index leaves no old bytes that anybody outside the chip can ask for, and
 * no backup or snapshot of a disk ever holds a root. An index is defined with TPMA_NV_AUTHREAD,
 * AUTHWRITE and NO_DA and nothing else (Part 2, TPMA_NV):
 *   - not OWNERREAD, OWNERWRITE, PPREAD, PPWRITE, POLICYREAD or POLICYWRITE: only the index's own
 *     random authorisation value opens it. The owner can remove an index, never read it;
 *   - NO_DA: the value has 256 random bits, so guessing needs no penalty, and nobody's wrong
 *     guesses, ours or another program's, can lock the keeper out of its root;
 *   - not ORDERLY: a write goes to non-volatile memory before the TPM answers, so it is durable;
 *   - not WRITEALL: a TPM with a small TPM2_PT_NV_BUFFER_MAX takes an image in several writes. A
 *     failure between two of them leaves the slot torn, as struct root_provider_ops allows;
 *   - no WRITEDEFINE, WRITE_STCLEAR, READ_STCLEAR, GLOBALLOCK: nobody can lock it.
 *
 * Every read and write, and every authorisation value, goes through an HMAC session salted to a
 * storage primary key, with AES-128-CFB encryption of the parameters (Part 1, "Session-based
 * encryption"): nothing readable crosses the bus. The salt key's name is pinned when the indices
 * are made, so that an attacker on the bus cannot use a key of his own later; when the indices are
 * made, nobody may sit on the bus.
 *
 * DIR/root.tpm2 (0600) holds where the indices are and their authorisation values. It is no secret
 * of the vault's: without the TPM it reveals nothing, and without it the TPM's slots cannot be
 * opened. It stays valid across epochs, so any backup of it will do.
 *
 * libtss2-esys and libtss2-tctildr (3.0 or later) are loaded at run time, and only here. While the
 * root passes through them it lies in memory of theirs that is not locked; it is wiped after every
 * operation as far as it can be reached. Loading sets TSS2_LOG to none: a trace log would hold the
 * root. Nothing here is thread-safe, and everything blocks until it is done or times out. */
#pragma once

#include "base/reason.h"
#include "storage/root/root.h"

#define ROOT_TPM2_TCTI       "device:/dev/tpmrm0"
#define ROOT_TPM2_TIMEOUT_MS 10000

struct root_tpm2_options {
	/* How to reach the TPM: a path of a device, or a TCTI as tctildr takes it, "name:conf".
	 * NULL or "": as root.tpm2 says, or ROOT_TPM2_TCTI for new ones. */
	const char *tcti;
	/* The owner hierarchy's password, for create and remove; NULL for none. */
	const char *owner_auth;
	/* For each operation as a whole, connecting and retries included; 0: ROOT_TPM2_TIMEOUT_MS.
	 * Where the TCTI cannot wait with a limit (those over sockets do not), an operation lasts
	 * as long as the peer keeps the connection open. */
	uint32_t timeout_ms;
	/* Why a call failed, for the administrator. May be NULL. */
	struct reason *reason;
};

/* Errors of everything below, and of the provider's read() and write():
 *
 *     -EOPNOTSUPP    built without TPM support
 *     -ELIBACC       the libraries are not installed, or too old
 *     -EINVAL        not a TCTI string
 *     -ENODEV        no TPM there, or it went away; connecting was tried once more
 *     -EACCES        the device may not be opened by this user
 *     -ETIMEDOUT     no answer in time
 *     -EBUSY         the TPM asked to come back later until the time was over (TPM_RC_RETRY,
 *                    YIELDED, TESTING, NV_RATE, NV_UNAVAILABLE), or has no room for a session
 *     -EKEYREJECTED  a wrong authorisation value (of an index, or of the owner)
 *     -EPERM         dictionary-attack lockout (TPM_RC_LOCKOUT)
 *     -ENOSPC        no room for an index
 *     -RE_MOVED      another TPM than the one the indices were made in
 *     -RE_NO_ROOT    the indices are not in this TPM: it was cleared
 *     -RE_CORRUPT    root.tpm2 is damaged, or an index is not as it was defined
 *     -RE_MLOCK      no memory for secrets
 *     -EIO           any other failure of the TPM
 *
 * A TPM that was restarted, or replaced its sessions, is connected to again within the operation;
 * one that was away is usable again in the next operation. */

/* Defines two indices at free handles in the owner's range (0x01800000 to 0x01bfffff, TCG "Registry
 * of Reserved TPM 2.0 Handles and Localities"), fills them with zeros and makes root.tpm2. All of
 * it is durable on return. -EEXIST when there is a root.tpm2. A crash or failure in between may
 * leave root.tpm2 with one index or none; root_tpm2_remove() clears that up. */
int root_tpm2_create(int dir_fd, const struct root_tpm2_options *options,
		struct root_provider **ret_provider);

/* Connects and looks that both indices are there and are ours. -ENOENT when there is no root.tpm2.
 * The provider's assurance is "hw-tpm", "fw-tpm" or "virtual-tpm": see root_tpm2_kind.h. */
int root_tpm2_open(int dir_fd, const struct root_tpm2_options *options,
		struct root_provider **ret_provider);

/* Undefines the indices (TPM2_NV_UndefineSpace), then removes root.tpm2, durably. Indices that are
 * not there count as removed, and so does a missing root.tpm2; ones that are not ours are left
 * alone, with -EKEYREJECTED or -RE_CORRUPT. */
int root_tpm2_remove(int dir_fd, const struct root_tpm2_options *options);

/* TPM2_NV_Write commands spent on these two indices since they were made, for the wear of a memory
 * that bears some 100000. Kept in root.tpm2 without a sync: a power loss may forget a few. */
uint64_t root_tpm2_writes(const struct root_provider *provider);
