/* What the tests of recsealctl and the age plugin share: a keeper that answers by script, programs
 * run with their output caught, and sealed objects. Everything lies below a folder of the test's
 * own. Failures of the harness itself abort the test. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/socket.h"

/* A temporary folder; harness_free() removes it with all that is in it, and stops the keeper. */
struct harness {
	char dir[64];
	char socket[96]; /* also in RECSEAL_SOCKET */
	char calls[96];  /* every call the keeper got, a line each */
	pid_t keeper;
};
struct harness *harness_new(void);
struct harness *harness_free(struct harness *harness);

/* dir/name; a string to free(). */
char *harness_path(const struct harness *harness, const char *name);

/* An answer to a method of org.recseal.control; the last one for a method answers for ever. */
struct scripted {
	const char *method;
	const char *replies;   /* JSON texts, a line each; NULL: hang up */
	struct socket_fds fds; /* sent beside the first; the child keeps its own copies */
};
void harness_keeper(struct harness *harness, const struct scripted *script, size_t n);

/* The calls so far, as text to free(). */
char *harness_calls(const struct harness *harness);

struct outcome {
	int status; /* exit status; 128 + signal when it was killed */
	char *out, *err;
	size_t out_len;
};
void outcome_free(struct outcome *outcome);

/* Runs a program, stdin from /dev/null. The list ends with NULL. */
void harness_run(const struct harness *harness, struct outcome *outcome, const char *program, ...)
		__attribute__((sentinel));

/* Runs a program on a terminal, and types the answer once the prompt has been shown (NULL: nothing;
 * then its input stays open). out has all the terminal showed, err is "". */
void harness_terminal(struct outcome *outcome, const char *prompt, const char *answer,
		const char *const argv[]);

/* A sealed recording of len bytes. */
struct sample {
	uint8_t *plain;
	size_t plain_len;
	uint8_t file_key[16];
	uint8_t payload_key[32];
	int object_fd, key_fd, file_key_fd;
	char *path;
	uint64_t payload_offset;
};
void sample_make(
		const struct harness *harness, const char *name, size_t len, struct sample *sample);
void sample_free(struct sample *sample);

/* Flips a bit of the object's byte at offset. */
void sample_damage(const struct sample *sample, off_t offset);

/* The script of OpenRecording for this sample; text lives in buf. */
#define SAMPLE_ID "01kaw5q7v3c2m9x0r8t4e6h1zn"
struct scripted sample_script(const struct sample *sample, char *buf, size_t size);

/* For cmocka: a harness with one sample of six chunks and a bit, and the script that hands it
 * over. */
struct fixture {
	struct harness *harness;
	struct sample sample;
	char script_text[512];
	struct scripted script;
};
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* Flips a bit of a chunk's last byte. */
void fixture_damage_chunk(const struct fixture *fixture, unsigned chunk);
