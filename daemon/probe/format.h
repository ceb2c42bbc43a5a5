/* Names of libsndfile's formats, as the catalog keeps them. */
#pragma once

#include "daemon/common/wire/probe_wire.h"

/* "wav/pcm_s16le", "ogg/opus"; the container alone where it decides the codec ("flac", "mp3"). */
void format_name(int sf_format, char ret_name[static PROBE_FORMAT_BYTES]);
