/* Looks into the spools, which only the intake opens: which files there hold plaintext of an
 * account? One look at a time; whoever comes second waits until the first has its answer.
 *
 *     idle --ask: `look` to the intake--> asked --`found` for each spool--> complete
 *     asked, complete --forget--> idle
 *
 * What the intake says is hostile until checked, and goes to the caller in the shape of the control
 * interface's SpoolLook. It is kept no longer than until it is taken or forgotten: it has names. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With spool and path (both or none): only the file of that path in that spool. */
struct spool_look_question {
	const uint8_t *account;
	size_t account_len;
	const char *spool; /* NULL: in every spool */
	const uint8_t *path;
	size_t path_len;
};

struct spool_looks {
	uint32_t number; /* of the last look */
	bool asked, complete;
	json_t *found; /* array */
};

/* The message `look`, to be sent. -EBUSY while another look is under way; -ENOMEM. */
int spool_looks_ask(struct spool_looks *looks, const struct spool_look_question *question,
		json_t **ret_message);

/* A message `found`: of an earlier look it is passed over. -RE_PROTOCOL, -ENOMEM. */
int spool_looks_found(struct spool_looks *looks, const json_t *message);

/* Forgets the look, and what was found. */
void spool_looks_forget(struct spool_looks *looks);
