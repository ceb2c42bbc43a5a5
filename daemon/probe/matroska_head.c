/* What the head of a segment says: how long a tick is, and which tracks there are. */
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/matroska.h"

#define DEFAULT_TICK_NS 1000000
#define TICK_NS_MAX     UINT64_C(1000000000)
#define SPAN_NS_MAX     UINT64_C(1000000000000)
#define SLACK_NS        INT64_C(1000000000) /* no block is longer */
#define DEFAULT_RATE    8000                /* RFC 9559 section 5.1.4.1.29 */
#define FRAME_TICKS_MIN 4                   /* of which a tick's error tells a count of frames */

enum {
	ID_SEEK = 0x4dbb,
	ID_SEEK_POSITION = 0x53ac,
	ID_TICK = 0x2ad7b1,
	ID_DURATION = 0x4489,
	ID_TRACK = 0xae,
	ID_TRACK_NUMBER = 0xd7,
	ID_TRACK_TYPE = 0x83,
	ID_CODEC = 0x86,
	ID_FRAME_NS = 0x23e383,
	ID_DELAY_NS = 0x56aa,
	ID_AUDIO = 0xe1,
	ID_RATE = 0xb5,
	ID_OUTPUT_RATE = 0x78b5,
	ID_CHANNELS = 0x9f,
	ID_BITS = 0x6264,
};

enum { TYPE_VIDEO = 1, TYPE_AUDIO = 2 };

void matroska_head_init(struct matroska_head *ret_head)
{
	*ret_head = (struct matroska_head){.tick_ns = DEFAULT_TICK_NS};
}

struct matroska_track *matroska_head_track(struct matroska_head *head, uint64_t number)
{
	for (size_t i = 0; i < head->n_tracks; i++) {
		if (head->tracks[i].number == number)
			return &head->tracks[i];
	}
	return NULL;
}

/* A writer that can seek leaves a Void where the duration goes. A zero means nothing: Firefox
 * writes it, and never seeks. */
static void take_info(struct source *source, const struct ebml_element *element, void *context)
{
	struct matroska_head *head = context;
	uint64_t tick_ns;

	switch (element->id) {
	case ID_TICK:
		tick_ns = ebml_uint(source, element);
		if (tick_ns > 0 && tick_ns <= TICK_NS_MAX)
			head->tick_ns = tick_ns;
		break;
	case ID_DURATION:
		head->duration_ticks = ebml_float(source, element);
		if (!isfinite(head->duration_ticks) || head->duration_ticks < 0)
			head->duration_ticks = 0;
		break;
	case MATROSKA_VOID:
		head->reserved = true;
		break;
	}
}

static void take_audio_field(
		struct source *source, const struct ebml_element *element, void *context)
{
	struct matroska_track *track = context;
	double rate;

	switch (element->id) {
	case ID_RATE:
	case ID_OUTPUT_RATE:
		rate = ebml_float(source, element);
		if (!(rate >= 1 && rate <= PROBE_SAMPLE_RATE_MAX))
			break;
		if (element->id == ID_RATE)
			track->coded_rate = rate;
		if (rate > track->sample_rate)
			track->sample_rate = rate;
		break;
	case ID_CHANNELS:
		track->channels = (uint32_t)ebml_uint(source, element);
		break;
	case ID_BITS:
		track->sample_bits = (uint32_t)ebml_uint(source, element);
		break;
	}
}

static void read_codec_id(struct source *source, const struct ebml_element *element,
		struct matroska_track *track)
{
	size_t len = sizeof(track->codec) - 1;

	if (element->size < len)
		len = (size_t)element->size;
	memset(track->codec, 0, sizeof(track->codec));
	(void)source_read(source, track->codec, len, element->at);
}

static uint64_t read_span_ns(struct source *source, const struct ebml_element *element)
{
	uint64_t span_ns = ebml_uint(source, element);

	return span_ns <= SPAN_NS_MAX ? span_ns : 0;
}

static void take_track_field(
		struct source *source, const struct ebml_element *element, void *context)
{
	struct matroska_track *track = context;

	switch (element->id) {
	case ID_TRACK_NUMBER:
		track->number = ebml_uint(source, element);
		break;
	case ID_TRACK_TYPE:
		track->audio = ebml_uint(source, element) == TYPE_AUDIO;
		track->video = ebml_uint(source, element) == TYPE_VIDEO;
		break;
	case ID_CODEC:
		read_codec_id(source, element, track);
		break;
	case ID_FRAME_NS:
		track->frame_ns = read_span_ns(source, element);
		break;
	case ID_DELAY_NS:
		track->delay_ns = read_span_ns(source, element);
		break;
	case ID_AUDIO:
		ebml_each(source, element->at, ebml_end(element), take_audio_field, track);
		break;
	}
}

static void take_track(struct source *source, const struct ebml_element *element, void *context)
{
	struct matroska_head *head = context;
	struct matroska_track track = {.channels = 1};

	if (element->id != ID_TRACK || head->n_tracks == ELEMENTSOF(head->tracks))
		return;
	ebml_each(source, element->at, ebml_end(element), take_track_field, &track);
	if (track.coded_rate < 1)
		track.coded_rate = DEFAULT_RATE;
	if (track.sample_rate < 1)
		track.sample_rate = DEFAULT_RATE;
	if (!matroska_head_track(head, track.number))
		head->tracks[head->n_tracks++] = track;
}

/* GStreamer writes the list of where things are before it knows that. */
static void take_seek_entry(
		struct source *source, const struct ebml_element *element, void *context)
{
	struct matroska_head *head = context;

	if (element->id == ID_SEEK)
		ebml_each(source, element->at, ebml_end(element), take_seek_entry, head);
	else if (element->id == ID_SEEK_POSITION && ebml_uint(source, element) == UINT64_MAX)
		head->reserved = true;
}

void matroska_head_take(struct source *source, const struct ebml_element *element, bool first,
		struct matroska_head *head)
{
	if (element->id == MATROSKA_VOID && first)
		head->reserved = true;
	else if (element->id == MATROSKA_SEEK_HEAD)
		ebml_each(source, element->at, ebml_end(element), take_seek_entry, head);
	else if (element->id == MATROSKA_INFO)
		ebml_each(source, element->at, ebml_end(element), take_info, head);
	else if (element->id == MATROSKA_TRACKS)
		ebml_each(source, element->at, ebml_end(element), take_track, head);
}

/* Times are rounded to ticks, of a millisecond mostly; frames of one length one after the other are
 * not. So a time that is within a tick of a whole count of frames is meant to be that. */
static int64_t round_to_frames(const struct matroska_head *head, const struct matroska_track *track,
		uint64_t frame_ns)
{
	uint64_t span_ns = (uint64_t)(track->last.time_ns - track->first.time_ns);

	if (frame_ns < FRAME_TICKS_MIN * head->tick_ns)
		return track->last.time_ns;
	uint64_t rounded_ns = (span_ns + frame_ns / 2) / frame_ns * frame_ns;
	uint64_t off_ns = rounded_ns > span_ns ? rounded_ns - span_ns : span_ns - rounded_ns;
	return off_ns <= head->tick_ns ? track->first.time_ns + (int64_t)rounded_ns
				       : track->last.time_ns;
}

/* Where neither codec nor group tell how long the last block plays: until where the head says that
 * all ends, or as long for each frame as the block before it. */
static uint64_t guess_span_ns(struct source *source, const struct matroska_track *track,
		const struct matroska_span *span, int64_t head_ns)
{
	int64_t last_ns = track->last.time_ns, gap_ns = last_ns - track->before.time_ns;
	struct matroska_span before;

	if (head_ns > last_ns && head_ns - last_ns <= SLACK_NS)
		return (uint64_t)(head_ns - last_ns);
	if (!track->before.found || gap_ns > SLACK_NS)
		return 0;
	matroska_block_span(source, track, &track->before, &before);
	return (uint64_t)gap_ns / before.frames * span->frames;
}

/* Where the track's last block ends. head_ns: where the head says that all ends, or 0. */
static int64_t track_end_ns(struct source *source, const struct matroska_head *head,
		const struct matroska_track *track, int64_t head_ns)
{
	struct matroska_span span;
	int64_t last_ns = track->last.time_ns, end_ns;

	matroska_block_span(source, track, &track->last, &span);
	if (span.block_ns == 0)
		span.block_ns = guess_span_ns(source, track, &span, head_ns);
	if (track->audio)
		last_ns = round_to_frames(head, track, span.frame_ns);
	if (span.block_ns > SPAN_NS_MAX ||
			__builtin_add_overflow(last_ns, (int64_t)span.block_ns, &end_ns))
		return last_ns;
	return end_ns > (int64_t)track->delay_ns ? end_ns - (int64_t)track->delay_ns : 0;
}

static int64_t head_end_ns(const struct matroska_head *head)
{
	double ns = head->duration_ticks * (double)head->tick_ns;

	return ns < (double)(INT64_MAX / 2) ? (int64_t)ns : 0;
}

int matroska_head_length(struct source *source, const struct matroska_head *head, bool whole,
		uint64_t *ret_length_ns)
{
	int64_t begin_ns = INT64_MAX, end_ns = 0, head_ns = whole ? head_end_ns(head) : 0;
	bool found = false;

	for (size_t i = 0; i < head->n_tracks; i++) {
		const struct matroska_track *track = &head->tracks[i];
		if (!track->last.found || (!track->audio && !track->video))
			continue;
		int64_t track_ns = track_end_ns(source, head, track, head_ns);
		found = true;
		begin_ns = track->first.time_ns < begin_ns ? track->first.time_ns : begin_ns;
		end_ns = track_ns > end_ns ? track_ns : end_ns;
	}
	if (!found)
		return 1;
	*ret_length_ns = end_ns > begin_ns ? (uint64_t)(end_ns - begin_ns) : 0;
	return 0;
}
