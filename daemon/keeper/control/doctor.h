/* The checks of `recsealctl doctor`: what is fine, and what could be set up better, each with where
 * it is and what to do. The doctor judges and never repairs.
 *
 * Checks are an array of the interface's type Check. The keeper examines itself and its host. It
 * knows a spool only by the facts that the intake reports (intake_wire.h). The intake is another
 * process, so a fact that is missing or of the wrong type counts as not known. */
#pragma once

#include <jansson.h>

#include "daemon/keeper/open/vault.h"

/* Appends checks of the keeper: root, host, space, clock, pending erasures. host as for
 * preflight_check(). Reads the root once, which may take as long as an operation of the TPM. */
void doctor_keeper(json_t *checks, struct vault *vault, const char *host);

/* Appends checks of the spools in an intake's report; NULL: no intake is connected. */
void doctor_spools(json_t *checks, const struct vault *vault, const json_t *spools_or_null);

/* One check. where: "keeper", "spool NAME"; what: a word or two. Texts are made printable. */
void doctor_fine(json_t *checks, const char *where, const char *what, const char *format, ...)
		__attribute__((format(printf, 4, 5)));
/* advice: what to do. */
void doctor_change(json_t *checks, const char *where, const char *what, const char *advice,
		const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Appends a check of a filesystem: fine, or nearly full. */
void doctor_space(json_t *checks, const char *where, const char *of, uint64_t free_bytes,
		uint64_t total_bytes);
