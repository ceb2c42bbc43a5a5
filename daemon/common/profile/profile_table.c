/* The bridges that recseal knows. To add one, add a row: profile.h says what its texts mean.
 * recseal.conf(5) says the same to operators, who can write a [profile NAME] of their own. */
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/common/profile/profile.h"

/* What each bridge calls its files, from its own source, so that no format is left in plaintext. In
 * upper and lower case: bridges take the extension as the dialplan or the request writes it. */

/* Asterisk: .exts of formats/format_<any>.c and addons/format_mp3.c; main/file.c writes a wav49 as
 * .WAV. From opus and wav48 on: formats of modules outside its tree, and what scripts make of a
 * recording after the call. */
#define ASTERISK                                                                                   \
	".(~wav|wav49|wav16|gsm|pcm|ulaw|ul|mu|ulw|alaw|al|alw|au|"                                \
	"sln|slin|raw|sln12|sln16|sln24|sln32|sln44|sln48|sln96|sln192|"                           \
	"g719|g722|g723|g723sf|g726-16|g726-24|g726-32|g726-40|g729|ilbc|siren7|siren14|vox|"      \
	"ogg|spx|spx16|spx32|mp3|h263|h264|opus|wav48|oga|flac|m4a|mp4|mkv|webm)"

/* FreeSWITCH: supported_formats of mod_sndfile.c (those of libsndfile, and its own extras),
 * mod_shout.c, mod_opusfile.c, mod_vlc.c, mod_webm.cpp, mod_fsv.c and mod_av's avformat.c; and
 * mod_native_file.c, which takes the IANA name of every codec: of switch_pcm.c, mod_spandsp,
 * src/mod/codecs, and of the codecs of earlier releases. */
#define FREESWITCH                                                                                 \
	".(~wav|aiff|aif|aifc|au|snd|avr|caf|flac|htk|iff|mat|mpc|m1a|oga|ogg|opus|paf|pvf|"       \
	"rf64|sd2|sds|sf|voc|vox|w64|wve|xi|adpcm|raw|r8|r16|r24|r32|gsm|ul|ulaw|al|alaw|"         \
	"mp3|mpga|mp4|m4a|m4v|mov|mkv|webm|av|fsv|"                                                \
	"pcmu|pcma|l16|dvi4|lpc|g722|g7221|siren|g723|g729|ilbc|speex|spx|silk|isac|celt|amr|"     \
	"amr-wb|awb|bv16|bv32|codec2|g726-16|g726-24|g726-32|g726-40|aal2-g726-16|"                \
	"aal2-g726-24|aal2-g726-32|aal2-g726-40|b64|h261|h263|h264|h265|vp8|vp9|pcm|sln)"

/* rtpengine: output_init() of recording-daemon/output.c knows wav and mp3, daemon/recording.c
 * writes pcap. The others: what a controller that names the file itself may call it (output_dest).
 */
#define RTPENGINE ".(~wav|mp3|spx|ogg|oga|opus|flac|pcap|pcapng)"

/* Jibri: jibri.ffmpeg.recording-extension, which FFmpeg must know; mp4 unless it is set. */
#define JIBRI ".(~mp4|m4v|mov|mkv|webm|flv|ts|avi|m4a|ogg|opus|mp3|wav)"

/* LiveKit egress: FileExtensions of pkg/types/types.go. */
#define LIVEKIT ".(~mp4|ogg|mp3|webm|ivf|raw|ts|m3u8|jpeg)"

/* What callers hear when they reach a mailbox: app_voicemail.c and mod_voicemail.c. */
#define ASTERISK_GREETINGS   "!(unavail|busy|greet|temp)" ASTERISK
#define FREESWITCH_GREETINGS "!greeting_?" FREESWITCH " !recorded_name" FREESWITCH

/* What a domain of FusionPBX is called, other than a folder of conferences: it has a dot. */
#define DOMAIN "/*.*/**"

/* Its archive of calls, by their days. */
#define ARCHIVE "archive/{year:4d}/{month:3}/{day:2d}/**"

static const struct profile_text profiles[] = {
		/* The first folder below the spool is the account. */
		{.name = "directory", .files = "/{account}/** **", .accounts = "{account}"},

		/* FreeSWITCH (mod_dptools record_session, mod_conference) writes in place, and
		 * leaves a placeholder of 0 bytes first:
		 * <domain>/archive/2026/Nov/23/<uuid>.wav, or <conference>_<time>.wav. Beside
		 * archive/ FusionPBX keeps the greetings and the music that the domain's callers
		 * hear. */
		{.name = "freeswitch",
				.files = "/{domain}/" ARCHIVE FREESWITCH
					 " /{domain}/archive/**" FREESWITCH " !" DOMAIN FREESWITCH
					 " " FREESWITCH_GREETINGS " {conference}_{time}" FREESWITCH
					 " **" FREESWITCH,
				.accounts = "{domain} {conference}",
				.recorded = "{year}-{month}-{day} {time}"},

		/* FusionPBX: a FreeSWITCH where nothing but archive/ is a recording, whatever its
		 * domains are called. With one domain alone, archive/ may lie in the spool
		 * itself. */
		{.name = "fusionpbx",
				.files = "/{domain}/" ARCHIVE FREESWITCH
					 " /{domain}/archive/**" FREESWITCH " /" ARCHIVE FREESWITCH
					 " /archive/**" FREESWITCH " !**" FREESWITCH,
				.accounts = "{domain}",
				.recorded = "{year}-{month}-{day}"},

		/* ConfBridge writes confbridge-<name>-<epoch>.wav in place. MixMonitor writes
		 * whatever name the dialplan gives, so the spool's Account= must say whose those
		 * are. */
		{.name = "asterisk",
				.files = "confbridge-{conference}-{epoch:d}" ASTERISK
					 " " ASTERISK_GREETINGS " **" ASTERISK,
				.accounts = "{conference}",
				.recorded = "{epoch}"},

		/* rtpengine writes <call id>-<random>-<stream>.wav in place, and goes on in -1,
		 * -2 after a change of format. Its own <call id>-<random>.meta lies in its
		 * spool, not in the output folder (Markers=), grows while the call lasts and is
		 * gone at its end: no sidecar. A .meta.DISCARD marks a call whose recording
		 * nobody wants. */
		{.name = "rtpengine",
				.files = "{call}-{random:16}-{stream}" RTPENGINE " *" RTPENGINE,
				.ignore = "*.meta *.meta.DISCARD",
				.discard = "/{call}-{random}.meta.DISCARD"},

		/* Jibri's ffmpeg writes <session>/<call>_<time>.mp4 in place; metadata.json
		 * comes when the capture has ended, with the meeting's URL. The name has the room
		 * alone, cut off when it is long; the URL has its tenant as well:
		 * https://meet.example.org/<tenant>/<room>. Without it, the folders may tell: a
		 * finalize script may sort sessions by tenant. */
		{.name = "jibri",
				.files = "/{tenant}/{session}/{call}_{time}" JIBRI
					 " {call}_{time}" JIBRI " *" JIBRI,
				.finished = "metadata.json",
				.sidecars = "metadata.json",
				.accounts = "{meta.meeting_url:path} {tenant}/{call} {call}",
				.recorded = "{time}"},

		/* BigBlueButton records with FreeSWITCH, <room>-<created>-<time>.opus, and needs
		 * these originals until they are in its raw archive. A meeting's .norecord means
		 * that nobody pressed record. */
		{.name = "bbb",
				.files = "{room:40}-{created:13d}-{time:d}.(~opus|wav|ogg|webm) "
					 "/{room:40}-{created:13d}/audio/**.(~opus|wav|ogg|webm) "
					 "**.(~opus|wav|ogg|webm)",
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
					 "videoroom-{room:d}-user-*.mjr *.(~wav|mjr)",
				.accounts = "{room}",
				.recorded = "{time}"},

		/* LiveKit's egress copies <room>-<2006-01-02T150405>.mp4 to its final name, or
		 * any name that its filepath template makes, where -<n> says that it was retried.
		 * HLS segments come one by one, <prefix>_<00000>.ts, and so do images; the
		 * playlist is written again after each segment, at least once a minute. The
		 * manifest comes last and is optional; it is named after the egress, not after the
		 * file, found by its content, and the only one to say which room it was. */
		{.name = "livekit",
				.files = "{room}-{date:10}T{clock:6d}" LIVEKIT
					 " {room}-{date:10}T{clock:6d}_*" LIVEKIT
					 " {room}-{date:10}T{clock:6d}-{retry:d}" LIVEKIT
					 " {room}-{date:10}T{clock:6d}-{retry:d}_*" LIVEKIT
					 " *" LIVEKIT,
				.rewritten = "*.(~m3u8)",
				.ignore = "*.json",
				.sidecars = "EG_*.json",
				.sidecar_wait_us = 10 * US_PER_S,
				.accounts = "{meta.room_name} {room}",
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
