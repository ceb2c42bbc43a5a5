/* The judgement: what is in this file, and is it whole?
 *
 * libsndfile says what the audio is; the scanners beside it say whether header and data agree,
 * which libsndfile does not tell because it repairs what it can. Of most containers only headers
 * and the file's end are read. MP3, FLAC and Ogg are read whole, up to SWEEP_MAX_BYTES (sweep.h):
 * nothing but their frames and pages tells how much is there. Meant to run inside the sandbox:
 * source is hostile. */
#pragma once

#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/source.h"

/* Always fills the result (its job field is 0). */
void sniff(struct source *source, struct probe_result *ret_result);

/* Judges a small built-in recording, so that a server that is about to fork has the audio library
 * linked and its tables made. */
void sniff_warm_up(void);
