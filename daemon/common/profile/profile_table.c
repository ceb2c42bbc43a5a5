/* The bridges that recseal knows. To add one, add a row: profile.h says what its texts mean.
 * recseal.conf(5) says the same to operators, who can write a [profile NAME] of their own. */
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/common/profile/profile.h"

#define AUDIO                                                                                      \
	".(wav|WAV|wav49|gsm|ul|ulaw|al|alaw|pcm|g722|g729|ilbc|sln|sln16|sln48|raw|"              \
	"PCMU|PCMA|G722|L16|ogg|opus|mp3|flac|amr|mp4|mkv|webm)"

static const struct profile_text profiles[] = {
		/* The first folder below the spool is the account. */
		{.name = "directory", .files = "/{account}/** **", .accounts = "{account}"},

		/* FreeSWITCH (mod_dptools record_session, mod_conference) writes in place, and
		 * leaves a placeholder of 0 bytes first:
		 * <domain>/archive/2026/Nov/23/<uuid>.wav, or <conference>_<time>.wav. */
		{.name = "freeswitch",
				.files = "/{domain}/archive/{year:4d}/{month:3}/{day:2d}/**" AUDIO
					 " /{domain}/archive/**" AUDIO " {conference}_{time}" AUDIO
					 " **" AUDIO,
				.accounts = "{domain} {conference}",
				.recorded = "{year}-{month}-{day} {time}"},

		/* ConfBridge writes confbridge-<name>-<epoch>.wav in place. MixMonitor writes
		 * whatever name the dialplan gives, so the spool's Account= must say whose those
		 * are. */
		{.name = "asterisk",
				.files = "confbridge-{conference}-{epoch:d}" AUDIO " **" AUDIO,
				.accounts = "{conference}",
				.recorded = "{epoch}"},

		/* rtpengine writes <call id>-<random>-<stream>.wav in place, and goes on in -1,
		 * -2 after a change of format. Its own <call id>-<random>.meta lies in its
		 * spool, not in the output folder (Markers=), grows while the call lasts and is
		 * gone at its end: no sidecar. A .meta.DISCARD marks a call whose recording
		 * nobody wants. */
		{.name = "rtpengine",
				.files = "{call}-{random:16}-{stream}.(wav|mp3|spx) "
					 "*.(wav|mp3|spx|pcap)",
				.ignore = "*.meta *.meta.DISCARD",
				.discard = "/{call}-{random}.meta.DISCARD"},

		/* Jibri's ffmpeg writes <session>/<call>_<time>.mp4 in place; metadata.json
		 * comes when the capture has ended. */
		{.name = "jibri",
				.files = "{call}_{time}.(mp4|mkv|webm) *.(mp4|mkv|webm)",
				.finished = "metadata.json",
				.sidecars = "metadata.json",
				.accounts = "{call}",
				.recorded = "{time}"},

		/* BigBlueButton records with FreeSWITCH, <room>-<created>-<time>.opus, and needs
		 * these originals until they are in its raw archive. A meeting's .norecord means
		 * that nobody pressed record. */
		{.name = "bbb",
				.files = "{room:40}-{created:13d}-{time:d}.(opus|wav|ogg|webm) "
					 "/{room:40}-{created:13d}/audio/**.(opus|wav|ogg|webm) "
					 "**.(opus|wav|ogg|webm)",
				.finished = "/status/archived/{room}-{created}.done",
				.discard = "/status/archived/{room}-{created}.norecord",
				.accounts = "{room}",
				.recorded = "{time} {created}",
				.markers = "/var/bigbluebutton/recording"},

		/* Janus: the AudioBridge's mix, and .mjr streams of its participants and of the
		 * VideoRoom. Their room is taken from the name only when it is a number: what
		 * follows may be a participant's own choice. With record_tmp_ext=tmp Janus gives
		 * the file its name shortly before it closes the file. */
		{.name = "janus",
				.files = "janus-audioroom-{room}-{time:16d}.wav "
					 "janus-audioroom-{room}-{time:10d}.wav "
					 "janus-audioroom-{room:d}.wav "
					 "audiobridge-{room:d}-user-*-{time:16d}*.mjr "
					 "videoroom-{room:d}-user-*-{time:16d}*.mjr "
					 "audiobridge-{room:d}-user-*.mjr "
					 "videoroom-{room:d}-user-*.mjr *.(wav|mjr)",
				.accounts = "{room}",
				.recorded = "{time}"},

		/* LiveKit's egress copies <room>-<2006-01-02T150405>.mp4 to its final name. The
		 * manifest comes last and is optional; it is named after the egress, not after
		 * the file, and found by its content. */
		{.name = "livekit",
				.files = "{room}-{date:10}T{clock:6d}.(mp4|ogg|mp3|webm) "
					 "*.(mp4|ogg|mp3|webm)",
				.ignore = "*.json",
				.sidecars = "EG_*.json",
				.sidecar_wait_us = 10 * US_PER_S,
				.accounts = "{room} {meta.room_name}",
				.recorded = "{date}T{clock}"},
};

const struct profile_text *profile_builtin_at(size_t i)
{
	return i < ELEMENTSOF(profiles) ? &profiles[i] : NULL;
}

const struct profile_text *profile_builtin(const char *name)
{
	for (size_t i = 0; i < ELEMENTSOF(profiles); i++) {
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	}
	return NULL;
}
