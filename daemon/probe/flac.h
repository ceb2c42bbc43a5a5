/* Where the audio of a FLAC file begins (RFC 9639 section 8). */
#pragma once

#include <stdint.h>

#include "daemon/probe/source.h"

/* Bytes after the last metadata block; 0 when it is not found. */
uint64_t flac_audio_bytes(struct source *source);
