/* A software TPM in a folder of its own, for tests; and a tap on the wire to it that keeps every
 * byte and can answer in the TPM's place. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SWTPM_CC_NV_DEFINE      0x12a
#define SWTPM_CC_NV_WRITE       0x137
#define SWTPM_CC_NV_READ        0x14e
#define SWTPM_CC_GET_CAPABILITY 0x17a
#define SWTPM_CC_CREATE_PRIMARY 0x131

struct swtpm {
	char dir[64];
	uint16_t port; /* and the one after it, for control */
	pid_t pid;     /* 0 while it is not running */
	char tcti[64];
};

/* Whether the program and the libraries are here; a message on stderr when not. */
bool swtpm_available(void);

/* Its state survives stop and start; close removes it. */
void swtpm_open(struct swtpm *tpm);
void swtpm_start(struct swtpm *tpm);
void swtpm_stop(struct swtpm *tpm); /* SIGKILL */
void swtpm_close(struct swtpm *tpm);

/* One raw command to the port, in a message of at most 4096 bytes; the response in its place, of
 * the length returned; 0 when nobody answers. */
size_t swtpm_exchange(uint16_t port, uint8_t *message, size_t len);
/* Likewise; only the response code, or 0xffffffff when nobody answers. */
uint32_t swtpm_command(uint16_t port, const void *command, size_t len);

struct swtpm_tap {
	struct swtpm *tpm;
	uint16_t port; /* likewise two */
	char tcti[64];
	int listening[2], wake[2];
	pthread_t thread;
	pthread_mutex_t lock;
	/* What follows under the lock. */
	uint8_t *log; /* everything that passed, both ways */
	size_t log_bytes;
	unsigned commands[0x200]; /* seen, by the low bits of their codes */
	/* Faults: on n commands of this code, after some that pass. */
	uint32_t command;
	unsigned pass, n;
	uint32_t answer;     /* this response code instead of sending it on */
	bool kill;           /* or the TPM is killed first */
	uint32_t buffer_max; /* lies about TPM2_PT_NV_BUFFER_MAX; 0: does not */
};

void swtpm_tap_open(struct swtpm_tap *tap, struct swtpm *tpm);
void swtpm_tap_close(struct swtpm_tap *tap);
/* After `pass` more commands of the code, n of them get this response code; 0: the TPM is killed
 * instead. */
void swtpm_tap_fault(struct swtpm_tap *tap, uint32_t command, unsigned pass, unsigned n,
		uint32_t answer);
unsigned swtpm_tap_count(struct swtpm_tap *tap, uint32_t command);
/* Whether 8 consecutive bytes of these ever passed. */
bool swtpm_tap_saw(struct swtpm_tap *tap, const uint8_t *bytes, size_t len);
