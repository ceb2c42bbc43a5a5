/* The wire between recseald and recseal-probe.
 *
 * recseald starts one `recseal-probe` with a SOCK_SEQPACKET socket as descriptor 3. For every file
 * it sends one datagram, a le32 job number and a le32 timeout in milliseconds, with the file's
 * descriptor (read-only) beside it. The probe server forks a child per file; the child has the file
 * as fd 0, a pipe as fd 1 and nothing else, and confines itself (rlimits, Landlock where the kernel
 * has it, seccomp) before it reads a byte. The server answers with one PROBE_RESULT_BYTES record; a
 * child that dies, hangs or writes nonsense yields `unprobed`. Several children may run at once;
 * answers come in any order.
 *
 * A job counts from the request to its answer; the server works on up to PROBE_JOBS_MAX and leaves
 * further requests unread, so a client that wants its own deadlines keeps to that number.
 *
 * Record: magic "RSPR", le32 version, le32 job, le32 condition, le32 channels, le32 sample rate,
 * le64 frames (PROBE_FRAMES_UNKNOWN when not known), format[32] and damage[96], both NUL-padded
 * printable ASCII, le64 recoverable bytes. The reader checks every field. */
#pragma once

#include <stdint.h>

#define PROBE_SOCKET_FD      3
#define PROBE_REQUEST_BYTES  8
#define PROBE_JOBS_MAX       8
#define PROBE_RESULT_BYTES   168
#define PROBE_WIRE_VERSION   2
#define PROBE_FORMAT_BYTES   32
#define PROBE_DAMAGE_BYTES   96
#define PROBE_FRAMES_UNKNOWN UINT64_MAX
/* What no real file exceeds: libsndfile writes up to 1024 channels and 655350 Hz. */
#define PROBE_CHANNELS_MAX    1024
#define PROBE_SAMPLE_RATE_MAX 10000000

enum probe_condition {
	PROBE_OK,
	PROBE_DAMAGED,  /* recognised, but its header and its data disagree; damage says how */
	PROBE_EMPTY,    /* recognised, and holds no audio */
	PROBE_UNPROBED, /* not recognised, or the probe failed; damage may say why */
	PROBE_CONDITIONS,
};

struct probe_result {
	uint32_t job;
	enum probe_condition condition;
	/* 0: not known. Without channels, sample_rate is the clock of packets or of video, by which
	 * frames are counted. */
	uint32_t channels, sample_rate;
	uint64_t frames;
	char format[PROBE_FORMAT_BYTES]; /* "wav/pcm_s16le", "flac", ... or "" */
	char damage[PROBE_DAMAGE_BYTES];
	/* Of a damaged file: how many bytes of audio are there all the same, its own headers not
	 * counted; 0: none, or not known. frames counts the same audio where it can be counted. */
	uint64_t recoverable_bytes;
};

/* A result that is only a sentence about why nothing is known; the text is cut to fit. */
void probe_wire_set_unprobed(struct probe_result *ret_result, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

void probe_wire_encode_result(
		const struct probe_result *result, uint8_t ret_record[static PROBE_RESULT_BYTES]);

/* -RE_PROTOCOL for any field out of range: strings must be printable ASCII with nothing but NULs
 * after their end, frames below 2^63 or PROBE_FRAMES_UNKNOWN, recoverable bytes below 2^63. */
int probe_wire_decode_result(
		const uint8_t record[static PROBE_RESULT_BYTES], struct probe_result *ret_result);

/* "ok", "damaged", "empty", "unprobed". Static storage. */
const char *probe_wire_condition_name(enum probe_condition condition);
