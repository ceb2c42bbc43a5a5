/* Which kind of TPM this is, from what it says of itself (TPM2_GetCapability, Part 3 section
 * "Capability Commands"; TPM2_PT_MANUFACTURER and TPM2_PT_VENDOR_STRING_1 to 4, Part 2 section
 * "TPM_PT") and from the machine it is in.
 *
 * It is no attestation: who can stand between us and the TPM can make it say anything. */
#pragma once

#include <stdbool.h>

struct root_tpm2_identity {
	char manufacturer[5]; /* TCG "TPM Vendor ID Registry", padded with blanks there */
	char vendor[17];
	bool local_device;    /* reached as a device of this machine's kernel */
	bool virtual_machine; /* this machine is one */
};

/* "hw-tpm": a discrete chip of a maker that makes nothing else; "fw-tpm": firmware of the main
 * processor; "virtual-tpm": software, anything in a virtual machine, and whatever is not known.
 * Static storage. */
const char *root_tpm2_kind(const struct root_tpm2_identity *identity);

/* Whether a hypervisor shows: the processor's flag, or the names in DMI. */
bool root_tpm2_kind_virtual_machine(void);
