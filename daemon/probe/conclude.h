/* From what a scanner found to the label: condition, length, and a sentence on what is wrong. */
#pragma once

#include <stdint.h>

#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/flac.h"
#include "daemon/probe/mpeg.h"
#include "daemon/probe/ogg.h"

/* Sets condition and sentence. */
void conclude_verdict(struct probe_result *result, enum probe_condition condition,
		const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for what is damaged, and holds this much audio all the same. */
void conclude_damaged(struct probe_result *result, uint64_t recoverable_bytes, const char *format,
		...) __attribute__((format(printf, 3, 4)));

/* ok; empty when the result's length is 0. */
void conclude_ok(struct probe_result *result);

/* In conclude_stream.c: containers that a scanner has followed to their end. Each sets format,
 * channels, rate and length as well.
 *
 * libsndfile's own count (result->frames), where it has opened the file, is that of a header; it
 * stands for what is too long to be followed, if that header agrees with the file's size. */
void conclude_mpeg(const struct mpeg *mpeg, struct probe_result *result);
void conclude_flac(const struct flac *flac, struct probe_result *result);

/* why: the reason of libsndfile not to open it, or NULL. */
void conclude_ogg(const struct ogg *ogg, uint64_t size_bytes, const char *why,
		struct probe_result *result);
