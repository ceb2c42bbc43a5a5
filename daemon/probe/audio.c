#include "daemon/probe/audio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static sf_count_t on_length(void *context)
{
	const struct audio *audio = context;

	return (sf_count_t)audio->source->size_bytes;
}

/* A position outside the file is no error here, as with lseek(2): reading there finds the end. */
static sf_count_t on_seek(sf_count_t offset, int whence, void *context)
{
	struct audio *audio = context;
	sf_count_t base = 0, target;

	if (whence == SEEK_CUR)
		base = (sf_count_t)audio->position;
	else if (whence == SEEK_END)
		base = (sf_count_t)audio->source->size_bytes;
	if (__builtin_add_overflow(base, offset, &target) || target < 0)
		return -1;
	audio->position = (uint64_t)target;
	return target;
}

static sf_count_t on_read(void *buf, sf_count_t count, void *context)
{
	struct audio *audio = context;

	if (count <= 0)
		return 0;
	size_t n = source_read(audio->source, buf, (size_t)count, audio->position);
	audio->position += n;
	return (sf_count_t)n;
}

static sf_count_t on_write(const void *buf, sf_count_t count, void *context)
{
	return 0;
}

static sf_count_t on_tell(void *context)
{
	const struct audio *audio = context;

	return (sf_count_t)audio->position;
}

int audio_open(struct audio *audio, struct source *source, struct reason *reason)
{
	static SF_VIRTUAL_IO io = {on_length, on_seek, on_read, on_write, on_tell};

	*audio = (struct audio){.source = source};
	audio->file = sf_open_virtual(&io, SFM_READ, &audio->info, audio);
	if (!audio->file)
		return reason_set(reason, -EINVAL, "%s", sf_strerror(NULL));
	return 0;
}

void audio_close(struct audio *audio)
{
	if (audio->file)
		sf_close(audio->file);
	audio->file = NULL;
}

uint64_t audio_frames(const struct audio *audio)
{
	if (audio->info.frames < 0 || audio->info.frames == INT64_MAX)
		return PROBE_FRAMES_UNKNOWN;
	return (uint64_t)audio->info.frames;
}

uint32_t audio_block_bytes(const struct audio *audio)
{
	uint32_t channels = audio->info.channels > 0 && audio->info.channels <= PROBE_CHANNELS_MAX
					    ? (uint32_t)audio->info.channels
					    : 0;

	switch (audio->info.format & SF_FORMAT_SUBMASK) {
	case SF_FORMAT_PCM_S8:
	case SF_FORMAT_PCM_U8:
	case SF_FORMAT_ULAW:
	case SF_FORMAT_ALAW:
		return channels;
	case SF_FORMAT_PCM_16:
		return 2 * channels;
	case SF_FORMAT_PCM_24:
		return 3 * channels;
	case SF_FORMAT_PCM_32:
	case SF_FORMAT_FLOAT:
		return 4 * channels;
	case SF_FORMAT_DOUBLE:
		return 8 * channels;
	default:
		return 0;
	}
}
