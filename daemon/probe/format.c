#include "daemon/probe/format.h"

#include <sndfile.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/cleanup.h"

struct name {
	int value;
	const char *text;
};

static const struct name containers[] = {
		{SF_FORMAT_WAV, "wav"},
		{SF_FORMAT_WAVEX, "wav"},
		{SF_FORMAT_RF64, "rf64"},
		{SF_FORMAT_W64, "w64"},
		{SF_FORMAT_AIFF, "aiff"},
		{SF_FORMAT_AU, "au"},
		{SF_FORMAT_CAF, "caf"},
		{SF_FORMAT_FLAC, "flac"},
		{SF_FORMAT_OGG, "ogg"},
		{SF_FORMAT_MPEG, "mp3"},
};

/* The byte order, where there is one, follows. */
static const struct name codecs[] = {
		{SF_FORMAT_PCM_S8, "pcm_s8"},
		{SF_FORMAT_PCM_U8, "pcm_u8"},
		{SF_FORMAT_PCM_16, "pcm_s16"},
		{SF_FORMAT_PCM_24, "pcm_s24"},
		{SF_FORMAT_PCM_32, "pcm_s32"},
		{SF_FORMAT_FLOAT, "pcm_f32"},
		{SF_FORMAT_DOUBLE, "pcm_f64"},
		{SF_FORMAT_ULAW, "ulaw"},
		{SF_FORMAT_ALAW, "alaw"},
		{SF_FORMAT_IMA_ADPCM, "ima_adpcm"},
		{SF_FORMAT_MS_ADPCM, "ms_adpcm"},
		{SF_FORMAT_GSM610, "gsm"},
		{SF_FORMAT_G721_32, "g721"},
		{SF_FORMAT_G723_24, "g723_24"},
		{SF_FORMAT_G723_40, "g723_40"},
		{SF_FORMAT_NMS_ADPCM_16, "nms_adpcm_16"},
		{SF_FORMAT_NMS_ADPCM_24, "nms_adpcm_24"},
		{SF_FORMAT_NMS_ADPCM_32, "nms_adpcm_32"},
		{SF_FORMAT_VORBIS, "vorbis"},
		{SF_FORMAT_OPUS, "opus"},
		{SF_FORMAT_ALAC_16, "alac"},
		{SF_FORMAT_ALAC_20, "alac"},
		{SF_FORMAT_ALAC_24, "alac"},
		{SF_FORMAT_ALAC_32, "alac"},
		{SF_FORMAT_MPEG_LAYER_I, "layer1"},
		{SF_FORMAT_MPEG_LAYER_II, "layer2"},
};

static const char *find_name(const struct name *names, size_t n, int value)
{
	for (size_t i = 0; i < n; i++) {
		if (names[i].value == value)
			return names[i].text;
	}
	return NULL;
}

static bool big_endian(int sf_format)
{
	int container = sf_format & SF_FORMAT_TYPEMASK;

	switch (sf_format & SF_FORMAT_ENDMASK) {
	case SF_ENDIAN_LITTLE:
		return false;
	case SF_ENDIAN_BIG:
		return true;
	default:
		return container == SF_FORMAT_AIFF || container == SF_FORMAT_AU ||
		       container == SF_FORMAT_CAF;
	}
}

static const char *byte_order(int sf_format)
{
	switch (sf_format & SF_FORMAT_SUBMASK) {
	case SF_FORMAT_PCM_16:
	case SF_FORMAT_PCM_24:
	case SF_FORMAT_PCM_32:
	case SF_FORMAT_FLOAT:
	case SF_FORMAT_DOUBLE:
		return big_endian(sf_format) ? "be" : "le";
	default:
		return "";
	}
}

static bool container_says_all(int sf_format)
{
	return (sf_format & SF_FORMAT_TYPEMASK) == SF_FORMAT_FLAC ||
	       sf_format == (SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III);
}

void format_name(int sf_format, char ret_name[static PROBE_FORMAT_BYTES])
{
	const char *container = find_name(
			containers, ELEMENTSOF(containers), sf_format & SF_FORMAT_TYPEMASK);
	const char *codec = find_name(codecs, ELEMENTSOF(codecs), sf_format & SF_FORMAT_SUBMASK);

	if (container_says_all(sf_format)) {
		snprintf(ret_name, PROBE_FORMAT_BYTES, "%s", container);
		return;
	}
	snprintf(ret_name, PROBE_FORMAT_BYTES, "%s/%s%s", container ? container : "other",
			codec ? codec : "other", byte_order(sf_format));
}
