/* Asks the keeper which spools may be taken from, and hands its answers to their threads
 * (spool/spool_first.c). On the intake's loop. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "daemon/intake/lane.h"
#include "daemon/intake/peers/keeper_link.h"

/* Sends the questions that the threads have posted since the last call. */
void admission_ask(struct lane *lanes, size_t n, struct keeper_link *link);

/* A new connection: sends every question again, since another keeper may be there. */
void admission_ask_all(struct lane *lanes, size_t n, struct keeper_link *link);

/* The connection is gone: no spool has an answer any more. */
void admission_lost(struct lane *lanes, size_t n);

/* An answer. -RE_PROTOCOL. */
int admission_answer(struct lane *lanes, size_t n, const json_t *message);
