"""What bridges and converters write: kinds of files, and how Debian's programs make them.

A kind's command writes {out}, from {wav} (48 kHz), {phone} (8 kHz) or, for a tool that wraps what
another has coded, {made:KIND}. tolerance_s: the length of one frame of its codec, or a few where the
container does not say what of the first and the last of them is played.
"""

from collections import namedtuple

SAMPLE_S = 0.0002  # uncompressed: two samples, for rounding
OPUS_S = 0.0206  # a frame of 20 ms
AAC_S = 2 * 1024 / 48000
MP3_S = 3 * 1152 / 48000
VORBIS_S = 2048 / 48000
FLAC_S = 0.0002
VIDEO_S = 2 / 25

# plain: zeros are silence in it, as in PCM and ADPCM, so that a tail of zeros is no damage.
# labelled: the probe is expected to know its length; otherwise "unprobed" is right, too.
# cut_s: a cut one has a length. Where it is false, "not known" is right.
Kind = namedtuple("Kind", "name ext command tolerance_s plain labelled cut_s")

FF = "ffmpeg -nostdin -loglevel error -y -i {wav} "
FF8 = "ffmpeg -nostdin -loglevel error -y -i {phone} "
AV = ("ffmpeg -nostdin -loglevel error -y -i {wav} -f lavfi -i testsrc=size=160x120:rate=25 -shortest ")
GST = "gst-launch-1.0 -q filesrc location={wav} ! wavparse ! audioconvert ! audioresample ! "
SINK = " ! filesink location={out}"


def pcm(name, ext, command, tolerance_s=SAMPLE_S):
    return Kind(name, ext, command, tolerance_s, True, True, True)


def coded(name, ext, command, tolerance_s, cut_s=True):
    return Kind(name, ext, command, tolerance_s, False, True, cut_s)


def foreign(name, ext, command, tolerance_s):
    return Kind(name, ext, command, tolerance_s, False, False, False)


KINDS = [
    pcm("sox/wav", "wav", "sox {wav} {out}"),
    pcm("sox/wav-ulaw", "wav", "sox {phone} -e mu-law {out}"),
    pcm("sox/wav-gsm", "wav", "sox {phone} -e gsm-full-rate {out}", 0.041),
    pcm("sox/wav-ima", "wav", "sox {phone} -e ima-adpcm {out}", 0.07),
    pcm("sox/wav-ms", "wav", "sox {phone} -e ms-adpcm {out}", 0.07),
    pcm("sox/w64", "w64", "sox {wav} {out}"),
    pcm("sox/aiff", "aiff", "sox {wav} {out}"),
    pcm("sox/au", "au", "sox {wav} {out}"),
    pcm("sox/caf", "caf", "sox {wav} {out}"),
    coded("sox/flac", "flac", "sox {wav} {out}", FLAC_S, cut_s=False),
    coded("sox/vorbis", "ogg", "sox {wav} {out}", VORBIS_S),

    pcm("ffmpeg/wav", "wav", FF + "{out}"),
    pcm("ffmpeg/rf64", "wav", FF + "-rf64 always {out}"),
    pcm("ffmpeg/w64", "w64", FF + "{out}"),
    pcm("ffmpeg/aiff", "aiff", FF + "{out}"),
    pcm("ffmpeg/au", "au", FF + "{out}"),
    pcm("ffmpeg/caf", "caf", FF + "{out}"),
    pcm("ffmpeg/wav-ima", "wav", FF8 + "-c:a adpcm_ima_wav {out}", 0.26),
    pcm("ffmpeg/wav-ms", "wav", FF8 + "-c:a adpcm_ms {out}", 0.26),
    coded("ffmpeg/flac", "flac", FF + "{out}", FLAC_S, cut_s=False),
    coded("ffmpeg/oga-flac", "oga", FF + "-c:a flac {out}", 0.1),
    coded("ffmpeg/vorbis", "ogg", FF + "-c:a libvorbis {out}", VORBIS_S),
    coded("ffmpeg/opus", "opus", FF + "-c:a libopus {out}", OPUS_S),
    coded("ffmpeg/speex", "spx", FF8 + "-c:a libspeex {out}", 0.041),
    coded("ffmpeg/mp3", "mp3", FF + "-b:a 64k {out}", MP3_S, cut_s=False),
    coded("ffmpeg/mp3-vbr", "mp3", FF + "-q:a 4 {out}", MP3_S, cut_s=False),
    coded("ffmpeg/mp3-no-tag", "mp3", FF + "-b:a 64k -write_xing 0 {out}", MP3_S, cut_s=False),
    coded("ffmpeg/mp4", "mp4", FF + "-c:a aac {out}", AAC_S, cut_s=False),
    coded("ffmpeg/mp4-faststart", "mp4", FF + "-c:a aac -movflags +faststart {out}", AAC_S),
    coded("ffmpeg/mp4-fragments", "mp4",
          FF + "-c:a aac -movflags frag_keyframe+empty_moov -frag_duration 200000 {out}", AAC_S),
    coded("ffmpeg/mp4-dash", "mp4",
          FF + "-c:a aac -movflags dash+delay_moov+frag_every_frame+default_base_moof {out}", AAC_S),
    coded("ffmpeg/mp4-opus", "mp4", FF + "-c:a libopus {out}", OPUS_S, cut_s=False),
    coded("ffmpeg/mp4-flac", "mp4", FF + "-c:a flac -strict -2 -movflags +faststart {out}", 0.1),
    coded("ffmpeg/mp4-video", "mp4", AV + "-c:v mpeg4 -c:a aac -movflags +faststart {out}", VIDEO_S),
    coded("ffmpeg/mp4-video-fragments", "mp4",
          AV + "-c:v mpeg4 -g 25 -c:a aac -movflags frag_keyframe+empty_moov {out}", VIDEO_S),
    coded("ffmpeg/mp4-video-only", "mp4",
          AV + "-map 1:v -t {seconds} -c:v mpeg4 -movflags +faststart {out}", VIDEO_S),
    coded("ffmpeg/m4a-alac", "m4a", FF + "-c:a alac -movflags +faststart {out}", 0.1),
    pcm("ffmpeg/mov-pcm", "mov", FF + "-c:a pcm_s16le -movflags +faststart {out}", 0.022),
    coded("ffmpeg/webm", "webm", FF + "-c:a libopus {out}", OPUS_S),
    coded("ffmpeg/webm-vorbis", "webm", FF + "-c:a libvorbis {out}", VORBIS_S),
    coded("ffmpeg/webm-live", "webm", FF + "-c:a libopus -live 1 {out}", OPUS_S),
    coded("ffmpeg/webm-pipe", "webm", FF + "-c:a libopus -f webm pipe:1 >{out}", OPUS_S),
    coded("ffmpeg/webm-video", "webm", AV + "-c:v libvpx -deadline realtime -c:a libopus {out}", VIDEO_S),
    coded("ffmpeg/webm-video-live", "webm",
          AV + "-c:v libvpx -deadline realtime -c:a libopus -live 1 {out}", VIDEO_S),
    coded("ffmpeg/webm-video-only", "webm",
          AV + "-map 1:v -t {seconds} -c:v libvpx -deadline realtime {out}", VIDEO_S),
    coded("ffmpeg/mka-flac", "mka", FF + "-c:a flac {out}", 0.1),
    coded("ffmpeg/mka-aac", "mka", FF + "-c:a aac {out}", AAC_S),
    coded("ffmpeg/mka-mp3", "mka", FF + "-c:a libmp3lame {out}", MP3_S),
    pcm("ffmpeg/mka-pcm", "mka", FF + "-c:a pcm_s16le {out}", 0.03),
    coded("ffmpeg/mkv-video", "mkv", AV + "-c:v mpeg4 -c:a aac {out}", VIDEO_S),
    foreign("ffmpeg/adts", "aac", FF + "-c:a aac {out}", AAC_S),
    foreign("ffmpeg/ts", "ts", FF + "-c:a aac {out}", AAC_S),

    coded("lame/mp3", "mp3", "lame --quiet -b 64 {wav} {out}", MP3_S, cut_s=False),
    coded("lame/mp3-vbr", "mp3", "lame --quiet -V 4 {wav} {out}", MP3_S, cut_s=False),
    coded("lame/mp3-no-tag", "mp3", "lame --quiet -t -b 64 {wav} {out}", MP3_S, cut_s=False),
    coded("opusenc/opus", "opus", "opusenc --quiet {wav} {out}", OPUS_S),
    coded("oggenc/vorbis", "ogg", "oggenc -Q {wav} -o {out}", VORBIS_S),
    # All of it is one page, so that a cut one has no whole page, and no time.
    coded("speexenc/speex", "spx", "speexenc {phone} {out}", 0.041, cut_s=False),
    coded("flac/flac", "flac", "flac -s {wav} -o {out}", FLAC_S, cut_s=False),
    coded("flac/oga", "oga", "flac -s --ogg {wav} -o {out}", 0.1),

    pcm("gstreamer/wav", "wav", GST + "wavenc" + SINK),
    coded("gstreamer/flac", "flac", GST + "flacenc" + SINK, FLAC_S, cut_s=False),
    coded("gstreamer/opus", "opus", GST + "opusenc ! oggmux" + SINK, OPUS_S),
    coded("gstreamer/vorbis", "ogg", GST + "vorbisenc ! oggmux" + SINK, VORBIS_S),
    coded("gstreamer/mp3", "mp3", GST + "lamemp3enc" + SINK, MP3_S, cut_s=False),
    coded("gstreamer/webm", "webm", GST + "opusenc ! webmmux" + SINK, OPUS_S),
    coded("gstreamer/webm-live", "webm", GST + "opusenc ! webmmux streamable=true" + SINK, OPUS_S),
    coded("gstreamer/mka", "mka", GST + "flacenc ! matroskamux" + SINK, 0.1),
    coded("gstreamer/mp4", "mp4", GST + "opusenc ! mp4mux" + SINK, OPUS_S, cut_s=False),
    coded("gstreamer/mp4-faststart", "mp4", GST + "opusenc ! mp4mux faststart=true" + SINK, OPUS_S),
    coded("gstreamer/mp4-fragments", "mp4", GST + "opusenc ! mp4mux fragment-duration=200" + SINK, OPUS_S),
    coded("gstreamer/mov-aac", "mov", GST + "voaacenc ! qtmux" + SINK, AAC_S, cut_s=False),

    coded("mkvmerge/mka-opus", "mka", "mkvmerge -q -o {out} {made:opusenc/opus}", OPUS_S),
    coded("mkvmerge/mka-vorbis", "mka", "mkvmerge -q -o {out} {made:oggenc/vorbis}", VORBIS_S),
    coded("mkvmerge/mka-flac", "mka", "mkvmerge -q -o {out} {made:flac/flac}", 0.1),
    coded("mkvmerge/mka-mp3", "mka", "mkvmerge -q -o {out} {made:lame/mp3}", MP3_S),
    pcm("mkvmerge/mka-pcm", "mka", "mkvmerge -q -o {out} {made:sox/wav}", 0.05),
    coded("mkvmerge/webm", "webm", "mkvmerge -q --webm -o {out} {made:opusenc/opus}", OPUS_S),
]

# Faults that are known and not mended: kind, forms ("cut zeros"). Such a row does not fail the battery.
KNOWN_FAULTS = {}
