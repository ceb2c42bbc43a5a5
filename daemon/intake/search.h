/* The keeper asks which files in the spools hold plaintext of an account (the message `look`): each
 * spool's thread looks, and the answers go back as they come. A spool that does not answer in time
 * is named as not looked at.
 *
 * At most one search at a time: a new question takes the place of the one before. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "daemon/intake/lane.h"
#include "daemon/intake/peers/keeper_link.h"

struct search {
	bool under_way;
	json_int_t number; /* the keeper's, of the question */
	int64_t until_us;  /* monotonic */
	size_t left;       /* spools that have not answered */
	bool *answered;    /* each of them; NULL before the first question */
};

/* Whether the message is a question. */
bool search_is_question(const json_t *message);

/* Asks every lane. -RE_PROTOCOL for a message that is wrong; -ENOMEM. */
int search_begin(struct search *search, struct lane *lanes, size_t n_lanes, const json_t *message);

/* Sends the answers that there are, and, when the time is over, answers for the spools that have
 * none. Call when a lane has something, and every few seconds. */
void search_answer(struct search *search, struct lane *lanes, size_t n_lanes,
		struct keeper_link *link);

/* Nobody waits for an answer any more. */
void search_end(struct search *search);
