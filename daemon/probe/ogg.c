#include "daemon/probe/ogg.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/ogg_page.h"
#include "daemon/probe/sweep.h"

/* Of bytes that only look like pages, so many are summed before the file is taken for hostile. */
#define SPOILT_MAX_BYTES (UINT64_C(64) << 20)

/* Streams that may run beside each other, and their pages be told from strays. */
#define STREAMS_MAX 32

/* One stream of the chain. */
struct link {
	struct ogg_codec codec;
	uint32_t serial, sequence;     /* the sequence number that is to follow */
	uint32_t packets;              /* behind the first one, that ended */
	uint32_t packet_samples;       /* of the last packet */
	uint32_t serials[STREAMS_MAX]; /* of all that began with it */
	unsigned streams;
	bool beginning; /* its first pages are read: streams beside each other begin there */
	bool closed, has_audio, unsure;
	bool gap;            /* pages are missing before the next one */
	uint64_t start, end; /* of its clock */
	uint64_t missing;    /* of its clock, on pages that are missing */
};

struct chain {
	struct ogg *ogg;
	struct link link;
	bool unsure; /* of a link so far */
};

/* The samples of the packets that end on the page. Of a packet that began on an earlier page, Opus
 * does not tell here: it is as long as the last. */
static uint64_t page_samples(struct link *link, const struct ogg_page *page)
{
	struct ogg_packet packet = {.next_segment = 0};
	uint64_t samples = 0;

	while (ogg_page_packet(page, &packet)) {
		if (packet.begins)
			link->packet_samples =
					ogg_codec_samples(&link->codec, packet.bytes, packet.len);
		if (packet.ends) {
			samples += link->packet_samples;
			link->packets++;
		}
	}
	return samples;
}

/* A stream may have been recorded from its middle on: its clock does not begin at 0. */
static void start_clock(struct link *link, uint64_t granule, uint64_t samples)
{
	bool exact = link->codec.exact || link->codec.kind == OGG_CODEC_OPUS;

	link->has_audio = true;
	link->start = granule > samples ? granule - samples : 0;
	if (link->start > 0 && !exact)
		link->unsure = true;
}

static void take_audio(struct chain *chain, const struct ogg_page *page)
{
	struct link *link = &chain->link;
	uint64_t samples = page_samples(link, page);
	bool exact = link->codec.exact || link->codec.kind == OGG_CODEC_OPUS;

	/* Headers have position 0, and -1 is for a page on which no packet ends. */
	if (page->granule == 0 || page->granule == OGG_PAGE_NO_GRANULE)
		return;
	uint64_t granule = (uint64_t)page->granule, step = granule - link->end;
	if (page->granule < 0 || (link->has_audio && granule < link->end)) {
		link->unsure = true;
		chain->ogg->gaps++;
		return;
	}
	if (!link->has_audio)
		start_clock(link, granule, samples);
	else if (link->gap)
		link->missing += !exact ? step : step > samples ? step - samples : 0;
	link->gap = false;
	link->end = granule;
}

/* At the sample rate of the first link. What no header claims is claimed as it is. */
static void add_frames(struct ogg *ogg, uint64_t samples, const struct link *link)
{
	uint64_t rate = ogg->codec.sample_rate, clock = link->codec.clock;
	uint64_t claimed = link->codec.claimed > 0 ? link->codec.claimed : samples;

	ogg->frames += samples * rate / clock;
	ogg->claimed_frames += claimed * rate / clock;
}

/* Adds a link that has come to its end. */
static void close_link(struct chain *chain)
{
	struct ogg *ogg = chain->ogg;
	const struct link *link = &chain->link;
	uint64_t samples = link->end - link->start, left_out = link->codec.skip + link->missing;

	if (link->codec.kind == OGG_CODEC_NONE)
		return;
	ogg->last_open = !link->closed;
	ogg->open_links += !link->closed;
	/* One packet behind the headers may be empty, to end the stream. */
	if (!link->has_audio && link->codec.headers > 0 && link->packets > link->codec.headers + 1)
		ogg->unplaced = chain->unsure = true;
	chain->unsure |= link->unsure;
	samples = samples > left_out ? samples - left_out : 0;
	if (samples > INT64_MAX / PROBE_SAMPLE_RATE_MAX || ogg->frames > INT64_MAX / 2 ||
			ogg->codec.sample_rate > PROBE_SAMPLE_RATE_MAX)
		chain->unsure = true;
	else
		add_frames(ogg, samples, link);
}

/* A page that begins a stream: of the next link, or beside one that begins with it. */
static void begin_stream(struct chain *chain, const struct ogg_page *page)
{
	struct ogg_packet packet = {.next_segment = 0};
	struct ogg_codec codec;

	if (!chain->link.beginning) {
		close_link(chain);
		chain->link = (struct link){.beginning = true};
		chain->ogg->links++;
	} else {
		chain->ogg->beside = true;
	}
	if (chain->link.streams < STREAMS_MAX)
		chain->link.serials[chain->link.streams++] = page->serial;
	if (chain->link.codec.kind != OGG_CODEC_NONE || !ogg_page_packet(page, &packet) ||
			ogg_codec_read(packet.bytes, packet.len, &codec) != 0)
		return;
	chain->link.codec = codec;
	chain->link.serial = page->serial;
	chain->link.sequence = page->sequence + 1;
	if (chain->ogg->codec.kind == OGG_CODEC_NONE)
		chain->ogg->codec = codec;
}

static bool page_is_stray(const struct link *link, const struct ogg_page *page)
{
	for (unsigned i = 0; i < link->streams; i++) {
		if (link->serials[i] == page->serial)
			return false;
	}
	return true;
}

static void take_page(struct chain *chain, const struct ogg_page *page)
{
	struct link *link = &chain->link;

	if (page->flags & OGG_PAGE_BEGINS_STREAM)
		begin_stream(chain, page);
	else
		link->beginning = false;
	/* Without the beginning of its stream, nothing tells what a page holds. */
	if (page_is_stray(link, page)) {
		chain->ogg->strays++;
		return;
	}
	if (link->serial != page->serial || link->codec.kind == OGG_CODEC_NONE)
		return;
	if (!(page->flags & OGG_PAGE_BEGINS_STREAM)) {
		if (page->sequence != link->sequence) {
			link->gap = true;
			chain->ogg->gaps++;
		}
		link->sequence = page->sequence + 1;
		take_audio(chain, page);
	}
	if (page->flags & OGG_PAGE_ENDS_STREAM)
		link->closed = true;
}

/* Where, from this offset on, something begins as a page does; the end when nothing does. */
static uint64_t find_capture(struct sweep *sweep, uint64_t at)
{
	size_t len = 1;

	while (len > 0) {
		const uint8_t *p = sweep_at(sweep, at, OGG_PAGE_MAX_BYTES, &len);
		const uint8_t *found = memmem(p, len, "OggS", 4);
		if (found)
			return at + (uint64_t)(found - p);
		/* Its first three bytes may be the last ones here. */
		if (at + len >= sweep->source->size_bytes || len < 4)
			break;
		at += len - 3;
	}
	return sweep->source->size_bytes;
}

static void walk_pages(struct sweep *sweep, struct chain *chain)
{
	uint64_t at = 0, spoilt_bytes = 0, size = sweep->source->size_bytes;
	struct ogg_page page;
	bool lost = false;

	while (at < size && !sweep->gave_up && spoilt_bytes < SPOILT_MAX_BYTES) {
		size_t len;
		const uint8_t *p = sweep_at(sweep, at, OGG_PAGE_MAX_BYTES, &len);
		if (ogg_page_read(p, len, &page) == OGG_PAGE_WHOLE) {
			/* Sequence numbers tell of it within a link, not between links. */
			chain->ogg->gaps += lost && (page.flags & OGG_PAGE_BEGINS_STREAM);
			lost = false;
			take_page(chain, &page);
			at += page.bytes;
			chain->ogg->whole_bytes = at;
		} else {
			spoilt_bytes += len < OGG_PAGE_MAX_BYTES ? len : OGG_PAGE_MAX_BYTES;
			lost = true;
			at = find_capture(sweep, at + 1);
		}
	}
	if (at < size)
		chain->ogg->gave_up = true;
}

/* How a file ends that is too long to be swept. A page that also ends where the file does is no
 * chance. */
static void read_last_page(struct source *source, struct ogg *ogg)
{
	_cleanup_free_ uint8_t *buf = malloc(OGG_PAGE_MAX_BYTES);
	size_t len = OGG_PAGE_MAX_BYTES;
	struct ogg_page page;

	if (!buf || source->size_bytes < len ||
			source_read(source, buf, len, source->size_bytes - len) < len)
		return;
	for (size_t at = len - OGG_PAGE_HEAD_BYTES; at > 0; at--) {
		if (memcmp(buf + at, "OggS", 4) != 0 ||
				ogg_page_read(buf + at, len - at, &page) != OGG_PAGE_WHOLE ||
				page.bytes != len - at)
			continue;
		ogg->whole_bytes = source->size_bytes;
		ogg->last_open = !(page.flags & OGG_PAGE_ENDS_STREAM);
		ogg->open_links = ogg->last_open;
		return;
	}
}

int ogg_scan(struct source *source, struct ogg *ret_ogg)
{
	_cleanup_(sweep_end) struct sweep sweep = {.window = NULL};
	struct ogg ogg = {.links = 0};
	struct chain chain = {.ogg = &ogg};
	uint8_t start[4];

	if (source_read(source, start, sizeof(start), 0) < sizeof(start) ||
			memcmp(start, "OggS", 4) != 0 || sweep_start(source, &sweep) < 0)
		return 1;
	walk_pages(&sweep, &chain);
	close_link(&chain);
	if (ogg.whole_bytes == 0)
		return 1;
	ogg.gave_up |= sweep.gave_up;
	if (ogg.gave_up)
		read_last_page(source, &ogg);
	if (chain.unsure || ogg.gave_up || ogg.strays > 0)
		ogg.frames = PROBE_FRAMES_UNKNOWN;
	*ret_ogg = ogg;
	return 0;
}
