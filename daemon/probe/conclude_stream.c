/* The labels of MPEG audio, FLAC and Ogg: what was found by following the file to its end, against
 * what its header claims. */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/probe/conclude.h"

/* Tags behind the audio, which some encoders count in and some do not. */
#define TAGS_MAX_BYTES 4096

/* Whether the bytes that the tag claims are those that are there. */
static bool mpeg_claim_fits(const struct mpeg *mpeg)
{
	return mpeg->claimed_bytes > 0 && mpeg->claimed_bytes <= mpeg->present_bytes &&
	       mpeg->present_bytes - mpeg->claimed_bytes <= TAGS_MAX_BYTES;
}

/* A tag may count its own frame in. */
static bool mpeg_frames_fit(const struct mpeg *mpeg)
{
	return mpeg->frames == mpeg->claimed_frames ||
	       (mpeg->frames + 1 == mpeg->claimed_frames && mpeg_claim_fits(mpeg));
}

/* What no tag contradicts: the frames alone tell. */
static void conclude_untagged(const struct mpeg *mpeg, struct probe_result *result)
{
	if (mpeg->cut)
		conclude_damaged(result, mpeg->present_bytes,
				"cut off within a frame, %" PRIu64 " frames are there",
				mpeg->frames);
	else if (mpeg->foreign_bytes > 0)
		conclude_damaged(result, mpeg->present_bytes - mpeg->foreign_bytes,
				"%" PRIu64 " bytes in it are no audio", mpeg->foreign_bytes);
	else
		conclude_ok(result);
}

static void conclude_tagged(const struct mpeg *mpeg, struct probe_result *result)
{
	uint64_t claimed = mpeg->claimed_frames;
	uint64_t bytes = mpeg->present_bytes - mpeg->foreign_bytes;

	if (mpeg->claimed_bytes > mpeg->present_bytes)
		conclude_damaged(result, bytes,
				"cut short: header claims %" PRIu64 " bytes, %" PRIu64 " are there",
				mpeg->claimed_bytes, mpeg->present_bytes);
	else if (claimed == 0 && !mpeg_claim_fits(mpeg))
		conclude_damaged(result, bytes,
				"header claims only %" PRIu64 " bytes, %" PRIu64 " are there",
				mpeg->claimed_bytes, mpeg->present_bytes);
	else if (claimed == 0)
		conclude_untagged(mpeg, result);
	else if (mpeg_frames_fit(mpeg))
		conclude_ok(result);
	else if (mpeg->frames > claimed)
		conclude_damaged(result, bytes,
				"header claims only %" PRIu64 " frames, %" PRIu64 " are there",
				claimed, mpeg->frames);
	else
		conclude_damaged(result, bytes,
				"header claims %" PRIu64 " frames, %" PRIu64 " are there", claimed,
				mpeg->frames);
}

void conclude_mpeg(const struct mpeg *mpeg, struct probe_result *result)
{
	uint64_t bytes = mpeg->present_bytes - mpeg->foreign_bytes;
	bool counted = !mpeg->gave_up && !mpeg->free_format;

	if (counted)
		result->frames = mpeg->samples;
	else if (!mpeg_claim_fits(mpeg))
		result->frames = PROBE_FRAMES_UNKNOWN;
	if (mpeg->unclosed)
		conclude_damaged(result, bytes,
				"never closed: header gives no length, %" PRIu64 " bytes are there",
				mpeg->present_bytes);
	else if (!counted && mpeg->claimed_bytes > 0 && !mpeg_claim_fits(mpeg))
		conclude_damaged(result, bytes,
				"header claims %" PRIu64 " bytes, %" PRIu64 " are there",
				mpeg->claimed_bytes, mpeg->present_bytes);
	else if (!counted)
		conclude_ok(result);
	else if (!mpeg->tagged && mpeg->frames < 2)
		conclude_verdict(result, PROBE_UNPROBED, "no row of MPEG frames can be found");
	else if (mpeg->tagged)
		conclude_tagged(mpeg, result);
	else
		conclude_untagged(mpeg, result);
}

/* What was swept to its end. */
static void conclude_swept(const struct flac *flac, struct probe_result *result)
{
	uint64_t claimed = flac->info.total_samples;

	result->frames = flac->samples;
	if (claimed == 0 && flac->frames == 0 && flac->broken == 0)
		conclude_verdict(result, PROBE_EMPTY, "header only, no audio");
	else if (claimed == 0)
		conclude_damaged(result, flac->audio_bytes,
				"never closed: header gives no length, %" PRIu64
				" bytes of audio follow",
				flac->audio_bytes);
	else if (flac->samples > claimed)
		conclude_damaged(result, flac->audio_bytes,
				"header claims only %" PRIu64 " samples, %" PRIu64 " are there",
				claimed, flac->samples);
	else if (flac->samples < claimed)
		conclude_damaged(result, flac->audio_bytes,
				"cut short: header claims %" PRIu64 " samples, %" PRIu64
				" are there",
				claimed, flac->samples);
	else if (flac->broken > 0)
		conclude_damaged(result, flac->audio_bytes, "%" PRIu64 " of its frames are spoilt",
				flac->broken);
	else
		conclude_ok(result);
}

void conclude_flac(const struct flac *flac, struct probe_result *result)
{
	snprintf(result->format, sizeof(result->format), "flac");
	result->channels = flac->info.channels;
	result->sample_rate = flac->info.sample_rate;
	if (!flac->gave_up) {
		conclude_swept(flac, result);
		return;
	}
	result->frames = PROBE_FRAMES_UNKNOWN;
	if (flac->info.total_samples == 0) {
		conclude_damaged(result, flac->audio_bytes, "never closed: header gives no length");
	} else if (flac->broken > 0) {
		conclude_damaged(result, flac->audio_bytes, "%" PRIu64 " of its frames are spoilt",
				flac->broken);
	} else if (!flac->spots_agree) {
		conclude_damaged(result, flac->audio_bytes,
				"its end is not that of the %" PRIu64 " samples its header claims",
				flac->info.total_samples);
	} else {
		result->frames = flac->info.total_samples;
		conclude_ok(result);
	}
}

static void take_ogg_facts(const struct ogg *ogg, struct probe_result *result)
{
	const struct ogg_codec *codec = &ogg->codec;

	snprintf(result->format, sizeof(result->format), "ogg/%s", ogg_codec_name(codec->kind));
	result->channels = codec->channels <= PROBE_CHANNELS_MAX ? codec->channels : 0;
	result->sample_rate = codec->sample_rate <= PROBE_SAMPLE_RATE_MAX ? codec->sample_rate : 0;
	/* Of one Vorbis stream that was recorded from its middle, libsndfile knows the start. */
	if (ogg->frames != PROBE_FRAMES_UNKNOWN || ogg->links > 1 || ogg->gave_up ||
			ogg->gaps > 0 || ogg->strays > 0 || ogg->unplaced ||
			codec->kind != OGG_CODEC_VORBIS)
		result->frames = ogg->frames;
}

/* What closing, chaining and headers tell of pages that are all there. */
static void conclude_pages(const struct ogg *ogg, const char *why, struct probe_result *result)
{
	bool unknown_inside =
			why && !ogg->beside && ogg->links == 1 &&
			(ogg->codec.kind == OGG_CODEC_OPUS || ogg->codec.kind == OGG_CODEC_VORBIS);

	if (result->frames == 0 && ogg->claimed_frames == 0)
		conclude_verdict(result, PROBE_EMPTY, "headers only, no audio");
	else if (ogg->unplaced)
		conclude_damaged(result, ogg->whole_bytes,
				"its pages do not tell the positions of their audio");
	else if (unknown_inside)
		conclude_verdict(result, PROBE_UNPROBED, "%s", why);
	else if (ogg->last_open)
		conclude_damaged(result, ogg->whole_bytes,
				"never closed: no end of stream after the last page");
	else if (ogg->open_links > 0)
		conclude_damaged(result, ogg->whole_bytes,
				"%u of the %u streams in it were never closed", ogg->open_links,
				ogg->links);
	else if (ogg->frames != PROBE_FRAMES_UNKNOWN && ogg->claimed_frames != ogg->frames)
		conclude_damaged(result, ogg->whole_bytes,
				"header claims %" PRIu64 " samples, %" PRIu64 " are there",
				ogg->claimed_frames, result->frames);
	else
		conclude_ok(result);
}

/* Only headers are whole: what there is of the first page of audio can be heard in part. */
static void conclude_no_whole_page(
		const struct ogg *ogg, uint64_t size_bytes, struct probe_result *result)
{
	result->frames = PROBE_FRAMES_UNKNOWN;
	conclude_damaged(result, size_bytes - ogg->whole_bytes,
			"cut off within its first page of audio, %" PRIu64 " bytes are there",
			size_bytes - ogg->whole_bytes);
}

void conclude_ogg(const struct ogg *ogg, uint64_t size_bytes, const char *why,
		struct probe_result *result)
{
	if (ogg->codec.kind == OGG_CODEC_NONE) {
		snprintf(result->format, sizeof(result->format), "ogg");
		result->frames = PROBE_FRAMES_UNKNOWN;
		conclude_verdict(result, PROBE_UNPROBED, "%s",
				why ? why : "no audio stream in it is known");
		return;
	}
	take_ogg_facts(ogg, result);
	if (ogg->strays > 0)
		conclude_damaged(result, ogg->whole_bytes,
				"%u pages in it are of a stream whose beginning is not there",
				ogg->strays);
	else if (result->frames == 0 && ogg->whole_bytes < size_bytes)
		conclude_no_whole_page(ogg, size_bytes, result);
	else if (ogg->whole_bytes < size_bytes)
		conclude_damaged(result, ogg->whole_bytes,
				"cut off within a page, whole up to byte %" PRIu64 " of %" PRIu64,
				ogg->whole_bytes, size_bytes);
	else if (ogg->gaps > 0)
		conclude_damaged(result, ogg->whole_bytes, "pages are missing, in %u place%s",
				ogg->gaps, ogg->gaps == 1 ? "" : "s");
	else
		conclude_pages(ogg, why, result);
}
