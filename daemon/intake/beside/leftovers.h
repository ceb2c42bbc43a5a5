/* A look for plaintext of one account in a spool, for the plan and the statement of a shred: every
 * file counts, whatever its name and kind, whether it waits, is being written, is ignored or
 * refused. Whose a file is gets decided as for sealing (bundle_account()). A file that the profile
 * knows nothing of is taken to be the account's when the account's name stands in its path; what is
 * left is counted as files of which nobody can tell whose they are.
 *
 * The look is made in steps, with bounded memory: only the first files are listed, the others are
 * counted. It runs in the spool's thread. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "daemon/intake/spool/seen.h"
#include "daemon/intake/spool/spool.h"

#define LEFTOVERS_TIME_US (5 * INT64_C(1000000)) /* for a spool */

/* What is looked for. The strings are its own. */
struct leftovers_question {
	uint8_t *account;
	size_t account_len;
	char *spool, *path; /* NULL: every file, in every spool */
};
struct leftovers_question *leftovers_question_free(struct leftovers_question *question);

/* For one more spool. NULL when out of memory. */
struct leftovers_question *leftovers_question_copy(const struct leftovers_question *question);

struct leftovers;

/* Begins a look; takes the question. settled: states of files that are sealed and could not be
 * removed yet. Both it and the spool are borrowed. NULL when out of memory. */
struct leftovers *leftovers_begin(struct spool *spool, struct leftovers_question *question,
		const struct seen *settled, int64_t now_us);

/* Looks at up to `entries` more. 1: there are more; 0: the look has ended. now_us as above. */
int leftovers_step(struct leftovers *leftovers, unsigned entries, int64_t now_us);

/* The message `found` (intake_wire.h), without "look" and "left". NULL when out of memory. */
json_t *leftovers_report(const struct leftovers *leftovers);

struct leftovers *leftovers_free(struct leftovers *leftovers);
