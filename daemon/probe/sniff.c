#include "daemon/probe/sniff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/probe/audio.h"
#include "daemon/probe/conclude.h"
#include "daemon/probe/format.h"
#include "daemon/probe/media.h"
#include "daemon/probe/riff.h"
#include "daemon/probe/sized.h"

/* A header of any format fits; more bytes than this, and no frames, is audio unaccounted for. */
#define HEADER_MAX_BYTES 4096
/* Frames of MPEG in a row that are taken for a recording where nothing else says so. */
#define BARE_FRAMES_MIN 16

/* A header may say anything, and libsndfile repeats some of it unchecked: 0 is "not known". */
static uint32_t clamp_count(int64_t value, int64_t most)
{
	return value > 0 && value <= most ? (uint32_t)value : 0;
}

static void take_facts(const struct audio *audio, struct probe_result *result)
{
	result->channels = clamp_count(audio->info.channels, PROBE_CHANNELS_MAX);
	result->sample_rate = clamp_count(audio->info.samplerate, PROBE_SAMPLE_RATE_MAX);
	result->frames = audio_frames(audio);
	format_name(audio->info.format, result->format);
}

/* Facts of the header itself, when libsndfile would not open the file. */
static void take_riff_facts(const struct riff *riff, struct probe_result *result)
{
	result->channels = clamp_count(riff->channels, PROBE_CHANNELS_MAX);
	result->sample_rate = clamp_count(riff->sample_rate, PROBE_SAMPLE_RATE_MAX);
	riff_format_name(riff, result->format);
}

/* The length: libsndfile believes the header, and of a codec in blocks knows no last one that is
 * not full. */
static uint64_t count_riff(struct source *source, const struct riff *riff)
{
	uint64_t end = riff->state == RIFF_EXCESS ? source->size_bytes
						  : riff->audio_at + riff->present_bytes;
	struct mpeg mpeg;

	if (!riff->mpeg)
		return riff_present_frames(riff);
	if (mpeg_scan(source, riff->audio_at, end, &mpeg) != 0 || mpeg.gave_up ||
			mpeg.free_format || mpeg.sample_rate != riff->sample_rate)
		return PROBE_FRAMES_UNKNOWN;
	return riff_fact_frames(riff, mpeg.samples, 2 * (uint64_t)mpeg.frame_samples);
}

/* What the header claims of the audio, and what is there. why: libsndfile's reason not to open it,
 * or NULL. */
static void conclude_claim(enum riff_state state, uint64_t claimed_bytes, uint64_t present_bytes,
		const char *why, struct probe_result *result)
{
	switch (state) {
	case RIFF_COMPLETE:
		if (why)
			conclude_verdict(result, PROBE_UNPROBED, "%s", why);
		else
			conclude_ok(result);
		break;
	case RIFF_NO_AUDIO:
		result->frames = 0;
		conclude_verdict(result, PROBE_EMPTY, "header only, no audio");
		break;
	case RIFF_UNCLOSED:
		conclude_damaged(result, present_bytes,
				"never closed: header gives no size, %" PRIu64
				" bytes of audio follow",
				present_bytes);
		break;
	case RIFF_CUT:
		conclude_damaged(result, present_bytes,
				"header claims %" PRIu64 " bytes of audio, %" PRIu64 " are there",
				claimed_bytes, present_bytes);
		break;
	case RIFF_EXCESS:
		conclude_damaged(result, present_bytes,
				"header claims only %" PRIu64 " bytes of audio, %" PRIu64
				" are there",
				claimed_bytes, present_bytes);
		break;
	case RIFF_BROKEN:
		conclude_verdict(result, PROBE_DAMAGED, "broken header: no audio can be found");
		break;
	}
}

static void sniff_riff(struct source *source, const struct riff *riff, const struct audio *audio,
		const char *why, struct probe_result *result)
{
	uint64_t frames = count_riff(source, riff);

	if (!audio->file || riff->mpeg)
		take_riff_facts(riff, result);
	if (riff->state != RIFF_COMPLETE || riff->mpeg || frames != PROBE_FRAMES_UNKNOWN)
		result->frames = frames;
	conclude_claim(riff->state, riff->claimed_bytes, riff->present_bytes,
			audio->file ? NULL : why, result);
}

static void sniff_sized(const struct sized *sized, const struct audio *audio, const char *why,
		struct probe_result *result)
{
	uint32_t block_bytes = audio->file ? audio_block_bytes(audio) : sized->block_bytes;

	if (!audio->file) {
		result->channels = clamp_count(sized->channels, PROBE_CHANNELS_MAX);
		result->sample_rate = clamp_count(sized->sample_rate, PROBE_SAMPLE_RATE_MAX);
		snprintf(result->format, sizeof(result->format), "%s%s", sized->container,
				sized->codec);
	}
	if (sized->state != RIFF_COMPLETE)
		result->frames = block_bytes > 0 ? sized->present_bytes / block_bytes
						 : PROBE_FRAMES_UNKNOWN;
	conclude_claim(sized->state, sized->claimed_bytes, sized->present_bytes,
			audio->file ? NULL : why, result);
}

/* Containers that no scanner here knows: libsndfile opens what a killed writer left of them without
 * a word, so that its word is not enough for "ok". */
static void sniff_other(const struct source *source, struct probe_result *result)
{
	if (result->frames == PROBE_FRAMES_UNKNOWN)
		conclude_verdict(result, PROBE_DAMAGED, "header gives no length");
	else if (result->frames == 0 && source->size_bytes > HEADER_MAX_BYTES)
		conclude_verdict(result, PROBE_DAMAGED,
				"header claims no audio, yet the file has %" PRIu64 " bytes",
				source->size_bytes);
	else if (result->frames == 0)
		conclude_verdict(result, PROBE_EMPTY, "header only, no audio");
	else
		conclude_verdict(result, PROBE_UNPROBED,
				"opens, but whether such a file is whole cannot be told");
}

static void sniff_media(const struct media *media, struct probe_result *result)
{
	snprintf(result->format, sizeof(result->format), "%s", media->format);
	result->channels = clamp_count(media->channels, PROBE_CHANNELS_MAX);
	result->sample_rate = clamp_count(media->sample_rate, PROBE_SAMPLE_RATE_MAX);
	result->frames = media->frames;
	switch (media->state) {
	case MEDIA_WHOLE:
		conclude_verdict(result, PROBE_OK, "%s", "");
		break;
	case MEDIA_EMPTY:
		result->frames = 0;
		conclude_verdict(result, PROBE_EMPTY, "headers only, no media");
		break;
	case MEDIA_UNCLOSED:
		conclude_damaged(result, media->present_bytes,
				"never closed: %s, %" PRIu64 " bytes of media are there",
				media->missing, media->present_bytes);
		break;
	case MEDIA_CUT:
		conclude_damaged(result, media->present_bytes,
				"cut short: %" PRIu64 " bytes of media are there",
				media->present_bytes);
		break;
	case MEDIA_BROKEN:
		conclude_damaged(result, media->present_bytes,
				"broken structure: %" PRIu64 " bytes of media can be found",
				media->present_bytes);
		break;
	case MEDIA_JOINED:
		conclude_damaged(result, media->present_bytes,
				"more follows the end: players may find the first part only");
		break;
	}
}

/* An MP3 that was recorded from the middle of a stream begins within a frame: libsndfile does not
 * open it. Nothing but frames, and so many of them, is no chance. */
static bool sniff_bare_mpeg(struct source *source, struct probe_result *result)
{
	struct mpeg mpeg;

	if (mpeg_scan(source, 0, source->size_bytes, &mpeg) != 0 || mpeg.layer != 3 ||
			mpeg.frames < BARE_FRAMES_MIN || mpeg.foreign_bytes > 0)
		return false;
	snprintf(result->format, sizeof(result->format), "mp3");
	result->channels = mpeg.channels;
	result->sample_rate = mpeg.sample_rate;
	conclude_mpeg(&mpeg, result);
	return true;
}

/* Known by its first bytes, though libsndfile did not open it. */
static void sniff_unopened(struct source *source, const char *why, struct probe_result *result)
{
	char start[4];

	if (source_read(source, start, sizeof(start), 0) == sizeof(start) &&
			memcmp(start, "fLaC", sizeof(start)) == 0) {
		snprintf(result->format, sizeof(result->format), "flac");
		conclude_verdict(result, PROBE_DAMAGED, "the header is cut or malformed");
	} else if (!sniff_bare_mpeg(source, result)) {
		conclude_verdict(result, PROBE_UNPROBED, "%s", why);
	}
}

static void sniff_opened(
		struct source *source, const struct audio *audio, struct probe_result *result)
{
	struct mpeg mpeg;

	if ((audio->info.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_MPEG &&
			mpeg_scan(source, 0, source->size_bytes, &mpeg) == 0)
		conclude_mpeg(&mpeg, result);
	else
		sniff_other(source, result);
}

static void sniff_container(struct source *source, struct probe_result *result)
{
	_cleanup_(audio_close_p) struct audio audio = {.file = NULL};
	struct reason reason = {""};
	struct riff riff;
	struct sized sized;
	struct ogg ogg;
	struct flac flac;
	struct media media;

	/* libsndfile knows none of these, and takes some for MP3. */
	if (media_scan(source, &media) == 0) {
		sniff_media(&media, result);
		return;
	}
	if (audio_open(&audio, source, &reason) == 0)
		take_facts(&audio, result);
	/* Also where libsndfile opened it: it repairs wrong sizes in silence, so its word that the
	 * file is whole is worth nothing here. */
	if (riff_scan(source, &riff) == 0)
		sniff_riff(source, &riff, &audio, reason.text, result);
	else if (sized_scan(source, &sized) == 0)
		sniff_sized(&sized, &audio, reason.text, result);
	else if (ogg_scan(source, &ogg) == 0)
		conclude_ogg(&ogg, source->size_bytes, audio.file ? NULL : reason.text, result);
	else if (flac_scan(source, &flac) == 0)
		conclude_flac(&flac, result);
	else if (audio.file)
		sniff_opened(source, &audio, result);
	else
		sniff_unopened(source, reason.text, result);
	if (result->condition == PROBE_OK && (result->channels == 0 || result->sample_rate == 0))
		conclude_verdict(result, PROBE_DAMAGED,
				"header gives no plausible sample rate or channels");
}

void sniff(struct source *source, struct probe_result *ret_result)
{
	probe_wire_set_unprobed(ret_result, "%s", "");
	if (source->size_bytes == 0) {
		ret_result->frames = 0;
		conclude_verdict(ret_result, PROBE_EMPTY, "the file has no bytes");
		return;
	}
	sniff_container(source, ret_result);
	/* What was concluded from bytes that could not be had is worth nothing. */
	if (source->error == -EFBIG)
		probe_wire_set_unprobed(ret_result, "too long a search: gave up");
	else if (source->error < 0)
		probe_wire_set_unprobed(
				ret_result, "cannot be read: %s", strerrordesc_np(-source->error));
}

/* The smallest WAV with audio: mono, 8 kHz, 16 bits, one frame. */
static const uint8_t tiny_wav[] = {'R', 'I', 'F', 'F', 38, 0, 0, 0, 'W', 'A', 'V', 'E', 'f', 'm',
		't', ' ', 16, 0, 0, 0, 1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0,
		'd', 'a', 't', 'a', 2, 0, 0, 0, 0, 0};

void sniff_warm_up(void)
{
	_cleanup_close_ int fd = memfd_create("warm-up", MFD_CLOEXEC);
	struct source source;
	struct probe_result result;

	if (fd < 0 || write(fd, tiny_wav, sizeof(tiny_wav)) != sizeof(tiny_wav) ||
			source_init(fd, &source) < 0)
		return; /* only speed is lost */
	sniff(&source, &result);
}
