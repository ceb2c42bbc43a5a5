#include "daemon/probe/sniff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/probe/audio.h"
#include "daemon/probe/format.h"
#include "daemon/probe/mp3.h"
#include "daemon/probe/ogg.h"
#include "daemon/probe/riff.h"

/* A header of any format fits; more bytes than this, and no frames, is audio unaccounted for. */
#define HEADER_MAX_BYTES 4096

__attribute__((format(printf, 3, 4))) static void conclude(
	struct probe_result *result, enum probe_condition condition, const char *format, ...)
{
	va_list arguments;

	result->condition = condition;
	va_start(arguments, format);
	vsnprintf(result->damage, sizeof(result->damage), format, arguments);
	va_end(arguments);
}

static void conclude_ok(struct probe_result *result)
{
	if (result->frames == 0)
		conclude(result, PROBE_EMPTY, "header only, no audio");
	else
		conclude(result, PROBE_OK, "%s", "");
}

/* A header may say anything, and libsndfile repeats some of it unchecked: 0 is "not known". */
static uint32_t within(int64_t value, int64_t most)
{
	return value > 0 && value <= most ? (uint32_t)value : 0;
}

static void take_facts(const struct audio *audio, struct probe_result *result)
{
	result->channels = within(audio->info.channels, PROBE_CHANNELS_MAX);
	result->sample_rate = within(audio->info.samplerate, PROBE_SAMPLE_RATE_MAX);
	result->frames = audio_frames(audio);
	format_name(audio->info.format, result->format);
}

/* Facts of the header itself, when libsndfile would not open the file. */
static void take_riff_facts(const struct riff *riff, struct probe_result *result)
{
	result->channels = within(riff->channels, PROBE_CHANNELS_MAX);
	result->sample_rate = within(riff->sample_rate, PROBE_SAMPLE_RATE_MAX);
	snprintf(result->format, sizeof(result->format), "%s", riff->rf64 ? "rf64" : "wav");
}

static void sniff_riff(const struct riff *riff, const struct audio *audio, const char *why,
	struct probe_result *result)
{
	if (!audio->file)
		take_riff_facts(riff, result);
	if (riff->state != RIFF_COMPLETE)
		result->frames = riff_present_frames(riff);
	switch (riff->state) {
	case RIFF_COMPLETE:
		if (audio->file)
			conclude_ok(result);
		else
			conclude(result, PROBE_UNPROBED, "%s", why);
		break;
	case RIFF_NO_AUDIO:
		result->frames = 0;
		conclude(result, PROBE_EMPTY, "header only, no audio");
		break;
	case RIFF_UNCLOSED:
		conclude(result, PROBE_DAMAGED,
			"never closed: header gives no size, %" PRIu64 " bytes of audio follow",
			riff->present_bytes);
		break;
	case RIFF_CUT:
		conclude(result, PROBE_DAMAGED,
			"header claims %" PRIu64 " bytes of audio, %" PRIu64 " are there",
			riff->claimed_bytes, riff->present_bytes);
		break;
	case RIFF_EXCESS:
		conclude(result, PROBE_DAMAGED,
			"header claims only %" PRIu64 " bytes of audio, %" PRIu64 " are there",
			riff->claimed_bytes, riff->present_bytes);
		break;
	case RIFF_BROKEN:
		conclude(result, PROBE_DAMAGED, "broken header: no audio can be found");
		break;
	}
}

static void sniff_ogg(const struct ogg_tail *tail, const struct audio *audio, const char *why,
	struct probe_result *result)
{
	if (!audio->file)
		snprintf(result->format, sizeof(result->format), "ogg");
	if (tail->granule == 0 && tail->whole) {
		result->frames = 0;
		conclude(result, PROBE_EMPTY, "headers only, no audio");
	} else if (!tail->whole) {
		/* libsndfile counts up to whatever page it took for the last. */
		result->frames = PROBE_FRAMES_UNKNOWN;
		conclude(result, PROBE_DAMAGED, "cut off within a page");
	} else if (!audio->file) {
		conclude(result, PROBE_UNPROBED, "%s", why);
	} else if (!tail->end_of_stream) {
		conclude(result, PROBE_DAMAGED,
			"never closed: no end of stream after the last page");
	} else if (result->frames == PROBE_FRAMES_UNKNOWN) {
		conclude(result, PROBE_DAMAGED, "length not known");
	} else {
		conclude_ok(result);
	}
}

static void sniff_flac(struct audio *audio, struct probe_result *result)
{
	uint64_t frames = result->frames;
	bool audible = frames != 0 && audio_decodes_at(audio, 0);

	if (frames == PROBE_FRAMES_UNKNOWN && audible) {
		conclude(result, PROBE_DAMAGED, "never closed: header gives no length");
	} else if (frames == PROBE_FRAMES_UNKNOWN) {
		result->frames = 0;
		conclude(result, PROBE_EMPTY, "header only, no audio");
	} else if (frames > 0 && !(audible && audio_decodes_at(audio, frames - 1))) {
		result->frames = PROBE_FRAMES_UNKNOWN;
		conclude(result, PROBE_DAMAGED,
			"cut short: header claims %" PRIu64 " frames, the last is not there",
			frames);
	} else {
		conclude_ok(result);
	}
}

static void sniff_mp3(const struct mp3_head *head, struct probe_result *result)
{
	/* Either way libsndfile's count is a guess, or the claim itself. */
	if (head->unclosed) {
		result->frames = PROBE_FRAMES_UNKNOWN;
		conclude(result, PROBE_DAMAGED,
			"never closed: header gives no length, %" PRIu64 " bytes are there",
			head->present_bytes);
	} else if (head->claimed_bytes > head->present_bytes) {
		result->frames = PROBE_FRAMES_UNKNOWN;
		conclude(result, PROBE_DAMAGED,
			"cut short: header claims %" PRIu64 " bytes, %" PRIu64 " are there",
			head->claimed_bytes, head->present_bytes);
	} else {
		conclude_ok(result);
	}
}

static void sniff_other(const struct source *source, struct probe_result *result)
{
	if (result->frames == PROBE_FRAMES_UNKNOWN)
		conclude(result, PROBE_DAMAGED, "header gives no length");
	else if (result->frames == 0 && source->size_bytes > HEADER_MAX_BYTES)
		conclude(result, PROBE_DAMAGED,
			"header claims no audio, yet the file has %" PRIu64 " bytes",
			source->size_bytes);
	else
		conclude_ok(result);
}

/* Known by its first bytes, though libsndfile did not open it. */
static void sniff_unopened(struct source *source, const char *why, struct probe_result *result)
{
	char start[4];

	if (source_read(source, start, sizeof(start), 0) == sizeof(start) &&
		memcmp(start, "fLaC", sizeof(start)) == 0) {
		snprintf(result->format, sizeof(result->format), "flac");
		conclude(result, PROBE_DAMAGED, "the header is cut or malformed");
	} else {
		conclude(result, PROBE_UNPROBED, "%s", why);
	}
}

static void sniff_opened(struct source *source, struct audio *audio, struct probe_result *result)
{
	struct mp3_head head;

	switch (audio->info.format & SF_FORMAT_TYPEMASK) {
	case SF_FORMAT_FLAC:
		sniff_flac(audio, result);
		break;
	case SF_FORMAT_MPEG:
		if (mp3_scan(source, &head) == 0)
			sniff_mp3(&head, result);
		else
			sniff_other(source, result);
		break;
	default:
		sniff_other(source, result);
	}
}

static void sniff_container(struct source *source, struct probe_result *result)
{
	_cleanup_(audio_close_p) struct audio audio = {.file = NULL};
	char why[PROBE_DAMAGE_BYTES] = "";
	struct riff riff;
	struct ogg_tail tail;

	if (audio_open(&audio, source, why) == 0)
		take_facts(&audio, result);
	if (riff_scan(source, &riff) == 0)
		sniff_riff(&riff, &audio, why, result);
	else if (ogg_scan(source, &tail) == 0)
		sniff_ogg(&tail, &audio, why, result);
	else if (audio.file)
		sniff_opened(source, &audio, result);
	else
		sniff_unopened(source, why, result);
	if (result->condition == PROBE_OK && (result->channels == 0 || result->sample_rate == 0))
		conclude(
			result, PROBE_DAMAGED, "header gives no plausible sample rate or channels");
}

void sniff(struct source *source, struct probe_result *ret_result)
{
	probe_result_unprobed(ret_result, "%s", "");
	if (source->size_bytes == 0) {
		ret_result->frames = 0;
		conclude(ret_result, PROBE_EMPTY, "the file has no bytes");
		return;
	}
	sniff_container(source, ret_result);
	/* What was concluded from bytes that could not be had is worth nothing. */
	if (source->error == -EFBIG)
		probe_result_unprobed(ret_result, "too long a search: gave up");
	else if (source->error < 0)
		probe_result_unprobed(
			ret_result, "cannot be read: %s", strerrordesc_np(-source->error));
}

/* The smallest WAV with audio: mono, 8 kHz, 16 bits, one frame. */
static const uint8_t tiny_wav[] = {'R', 'I', 'F', 'F', 38, 0, 0, 0, 'W', 'A', 'V', 'E', 'f', 'm',
	't', ' ', 16, 0, 0, 0, 1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0, 'd',
	'a', 't', 'a', 2, 0, 0, 0, 0, 0};

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
