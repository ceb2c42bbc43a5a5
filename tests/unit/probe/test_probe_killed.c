/* The judgement on what real programs leave behind: sox, ffmpeg and flac, finished, killed with
 * SIGKILL in the middle of a recording, and cut short afterwards. A program that is not installed
 * is passed over with a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <signal.h>
#include <sndfile.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/probe/flac.h"
#include "daemon/probe/media.h"
#include "daemon/probe/mpeg.h"
#include "daemon/probe/ogg.h"
#include "daemon/probe/sized.h"
#include "daemon/probe/sniff.h"
#include "tests/unit/support/folder_fixture.h"
#include "tests/unit/support/probe_files.h"

#define RATE           8000
#define CLOSED_SAMPLES (20 * RATE)
#define KILL_AT_BYTES  60000 /* of output: past every header, and what is reserved for one */
#define FED_MAX_BYTES  (64 << 20)
#define PIECE_SAMPLES  1024
#define ARGS_MAX       20

extern char **environ;

/* One writer of one format. %s in options is where the file goes. PCM: every byte counts. */
struct writer {
	const char *file; /* its name decides the format */
	const char *format;
	bool pcm, timed; /* timed: a killed one's length is known */
	bool unopened;   /* libsndfile does not open even a closed one */
	const char *options[ARGS_MAX];
};

#define RAW_SOX "-q", "-t", "raw", "-r", "8000", "-e", "signed", "-b", "16", "-c", "1", "-"
#define RAW_FFMPEG                                                                                 \
	"-nostdin", "-loglevel", "error", "-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "-"
#define RAW_FLAC                                                                                   \
	"-s", "--force-raw-format", "--endian=little", "--sign=signed", "--channels=1",            \
			"--bps=16", "--sample-rate=8000", "-o", "%s", "-"

static const struct writer sox[] = {
		{"a.wav", "wav/pcm_s16le", true, true, false, {"sox", RAW_SOX, "%s"}},
		{"a.w64", "w64/pcm_s16le", true, true, false, {"sox", RAW_SOX, "%s"}},
		{"a.aiff", "aiff/pcm_s16be", true, true, false, {"sox", RAW_SOX, "%s"}},
		{"a.au", "au/pcm_s16be", true, true, false, {"sox", RAW_SOX, "%s"}},
		{"a.caf", "caf/pcm_s16be", true, true, false, {"sox", RAW_SOX, "%s"}},
		{"a.flac", "flac", false, true, false, {"sox", RAW_SOX, "%s"}},
		{"a.ogg", "ogg/vorbis", false, true, false, {"sox", RAW_SOX, "%s"}},
};

static const struct writer ffmpeg[] = {
		{"a.wav", "wav/pcm_s16le", true, true, false, {"ffmpeg", RAW_FFMPEG, "%s"}},
		{"rf64.wav", "rf64/pcm_s16le", true, true, false,
				{"ffmpeg", RAW_FFMPEG, "-rf64", "always", "%s"}},
		{"a.w64", "w64/pcm_s16le", true, true, false, {"ffmpeg", RAW_FFMPEG, "%s"}},
		{"a.aiff", "aiff/pcm_s16be", true, true, false, {"ffmpeg", RAW_FFMPEG, "%s"}},
		{"a.au", "au/pcm_s16be", true, true, false, {"ffmpeg", RAW_FFMPEG, "%s"}},
		{"a.caf", "caf/pcm_s16be", true, true, false, {"ffmpeg", RAW_FFMPEG, "%s"}},
		{"a.flac", "flac", false, true, false, {"ffmpeg", RAW_FFMPEG, "%s"}},
		{"a.ogg", "ogg/vorbis", false, true, false,
				{"ffmpeg", RAW_FFMPEG, "-c:a", "libvorbis", "%s"}},
		{"a.opus", "ogg/opus", false, true, false,
				{"ffmpeg", RAW_FFMPEG, "-c:a", "libopus", "%s"}},
		{"a.mp3", "mp3", false, true, false, {"ffmpeg", RAW_FFMPEG, "%s"}},
		{"a.mp4", "mp4", false, false, false, {"ffmpeg", RAW_FFMPEG, "-c:a", "aac", "%s"}},
		{"a.webm", "webm", false, true, false,
				{"ffmpeg", RAW_FFMPEG, "-c:a", "libopus", "%s"}},
		{"a.mka", "matroska", false, true, false,
				{"ffmpeg", RAW_FFMPEG, "-c:a", "libopus", "%s"}},
};

static const struct writer flac[] = {
		{"a.flac", "flac", false, true, false, {"flac", RAW_FLAC}},
		{"a.oga", "ogg/flac", false, true, false, {"flac", "--ogg", RAW_FLAC}},
};

/* Has it been started, its standard input is fed here. */
struct process {
	pid_t pid;
	int feed_fd;
	char path[256];
	uint64_t fed_bytes;
	uint32_t noise;
};

static bool installed(const char *program)
{
	char command[64];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	return system(command) == 0;
}

/* What it says itself goes nowhere: a killed one may complain. */
static void start(const struct writer *writer, const char *folder, struct process *process)
{
	posix_spawn_file_actions_t actions;
	char *args[ARGS_MAX + 1] = {NULL};
	int fds[2];

	*process = (struct process){.noise = 2463534242};
	snprintf(process->path, sizeof(process->path), "%s/%s", folder, writer->file);
	for (size_t i = 0; i < ARGS_MAX && writer->options[i]; i++) {
		const char *option = strcmp(writer->options[i], "%s") == 0 ? process->path
									   : writer->options[i];
		assert_non_null(args[i] = strdup(option));
	}
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fds[0], 0), 0);
	assert_int_equal(
			posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0), 0);
	assert_int_equal(posix_spawnp(&process->pid, args[0], &actions, NULL, args, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[0]);
	process->feed_fd = fds[1];
	for (size_t i = 0; i < ARGS_MAX; i++)
		free(args[i]);
}

/* Noise, so that nothing compresses it away. Blocks until the writer takes it. */
static void feed(struct process *process)
{
	short piece[PIECE_SAMPLES];

	for (size_t i = 0; i < PIECE_SAMPLES; i++) {
		process->noise ^= process->noise << 13;
		process->noise ^= process->noise >> 17;
		process->noise ^= process->noise << 5;
		piece[i] = (short)((int)(process->noise % 8000) - 4000);
	}
	for (size_t done = 0; done < sizeof(piece);) {
		ssize_t n = write(process->feed_fd, (char *)piece + done, sizeof(piece) - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
	process->fed_bytes += sizeof(piece);
}

static void write_closed(const struct writer *writer, const char *folder, char *ret_path)
{
	struct process process;
	int status;

	start(writer, folder, &process);
	while (process.fed_bytes < 2 * CLOSED_SAMPLES)
		feed(&process);
	close(process.feed_fd);
	assert_int_equal(waitpid(process.pid, &status, 0), process.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	strcpy(ret_path, process.path);
}

/* Killed as soon as enough has reached the file, wherever it is then. Returns what it was fed. */
static uint64_t write_killed(const struct writer *writer, const char *folder, char *ret_path)
{
	struct process process;
	struct stat st = {.st_size = 0};
	int status;

	start(writer, folder, &process);
	while (st.st_size < KILL_AT_BYTES) {
		feed(&process);
		assert_true(process.fed_bytes < FED_MAX_BYTES);
		if (stat(process.path, &st) < 0)
			st.st_size = 0;
	}
	assert_int_equal(kill(process.pid, SIGKILL), 0);
	assert_int_equal(waitpid(process.pid, &status, 0), process.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(process.feed_fd);
	strcpy(ret_path, process.path);
	return process.fed_bytes;
}

static struct probe_result judge(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct source source;
	struct probe_result result;

	assert_true(fd >= 0);
	assert_int_equal(source_init(fd, &source), 0);
	sniff(&source, &result);
	return result;
}

static void expect(const struct writer *writer, const char *how, const struct probe_result *result,
		enum probe_condition condition)
{
	bool same_format = strncmp(result->format, writer->format, strlen(writer->format)) == 0;

	if (result->condition != condition || !same_format)
		fail_msg("%s %s %s: %s %s (%s)", how, writer->options[0], writer->file,
				probe_wire_condition_name(result->condition), result->format,
				result->damage);
}

static void check_killed(
		const struct writer *writer, const struct probe_result *result, uint64_t fed_bytes)
{
	expect(writer, "killed", result, PROBE_DAMAGED);
	assert_true(strlen(result->damage) > 0);
	/* At least all but what was reserved for a header, and never more than was put in. */
	assert_true(result->recoverable_bytes > KILL_AT_BYTES / 2);
	if (writer->pcm) {
		assert_in_range(result->recoverable_bytes, KILL_AT_BYTES - 8192, fed_bytes);
		assert_int_equal(result->frames, result->recoverable_bytes / 2);
		assert_int_equal(result->sample_rate, RATE);
		assert_int_equal(result->channels, 1);
	}
	if (writer->timed)
		assert_in_range(result->frames, 1, fed_bytes / 2);
	else
		assert_true(result->frames == PROBE_FRAMES_UNKNOWN);
}

static void check_writer(const struct writer *writer, const char *folder)
{
	char path[256];
	struct stat st;
	uint64_t fed_bytes = write_killed(writer, folder, path);
	struct probe_result result = judge(path);
	check_killed(writer, &result, fed_bytes);
	assert_int_equal(unlink(path), 0);

	write_closed(writer, folder, path);
	result = judge(path);
	expect(writer, "closed", &result, writer->unopened ? PROBE_UNPROBED : PROBE_OK);
	assert_true(writer->unopened || strcmp(result.damage, "") == 0);
	assert_int_equal(result.recoverable_bytes, 0);
	if (writer->pcm || writer->timed)
		assert_in_range(result.frames, CLOSED_SAMPLES, CLOSED_SAMPLES + PIECE_SAMPLES);

	/* A copy that stopped half way. */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size / 2), 0);
	result = judge(path);
	expect(writer, "cut", &result, PROBE_DAMAGED);
	assert_true(strlen(result.damage) > 0);
	assert_int_equal(unlink(path), 0);
}

static void check_writers(void **state, const struct writer *writers, size_t n)
{
	const struct folder *folder = *state;
	const char *program = writers[0].options[0];

	if (!installed(program)) {
		print_message("%s is not installed: what it leaves is not tried\n", program);
		skip();
	}
	for (size_t i = 0; i < n; i++)
		check_writer(&writers[i], folder->path);
}

static void test_sox(void **state)
{
	check_writers(state, sox, ELEMENTSOF(sox));
}

static void test_ffmpeg(void **state)
{
	check_writers(state, ffmpeg, ELEMENTSOF(ffmpeg));
}

static void test_flac(void **state)
{
	check_writers(state, flac, ELEMENTSOF(flac));
}

/* Fragments keep their own index, and the file has no end: one that was killed ends within one. */
static void test_fragments(void **state)
{
	static const struct writer writer = {"a.mp4", "mp4", false, false, false,
			{"ffmpeg", RAW_FFMPEG, "-c:a", "aac", "-movflags",
					"frag_keyframe+empty_moov", "-frag_duration", "100000",
					"%s"}};
	const struct folder *folder = *state;
	char path[256];
	struct stat st;

	if (!installed("ffmpeg"))
		skip();
	write_closed(&writer, folder->path, path);
	struct probe_result result = judge(path);
	expect(&writer, "closed", &result, PROBE_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 300), 0); /* within the last fragments */
	result = judge(path);
	expect(&writer, "cut", &result, PROBE_DAMAGED);
	assert_in_range(result.recoverable_bytes, st.st_size / 2, st.st_size - 300);
}

/* Janus's dumps, by its record.c; the scenario with a real Janus has real ones. */
static void put_packet(struct builder *b, uint32_t time_ms, uint16_t len)
{
	put_id(b, "MEET");
	put_u32(b, __builtin_bswap32(time_ms));
	put_u16(b, __builtin_bswap16(len));
	put_noise(b, len);
}

static struct probe_result judge_built(const struct builder *b, size_t len)
{
	_cleanup_close_ int fd = file_of(b->bytes, len);
	struct source source;
	struct probe_result result;

	assert_int_equal(source_init(fd, &source), 0);
	sniff(&source, &result);
	return result;
}

/* Returns where the packets begin. */
static size_t put_mjr(struct builder *b)
{
	static const char about[] = "{\"t\": \"a\", \"c\": \"opus\", \"s\": 1, \"u\": 2}";

	put_id(b, "MJR0");
	put_id(b, "0002");
	put_u16(b, __builtin_bswap16(sizeof(about) - 1));
	memcpy(b->bytes + b->len, about, sizeof(about) - 1);
	b->len += sizeof(about) - 1;
	size_t head = b->len;
	for (uint32_t i = 0; i < 100; i++)
		put_packet(b, 20 * i, (uint16_t)(60 + i));
	return head;
}

static void test_mjr(void **state)
{
	struct builder b = {.len = 0};
	struct probe_result result;
	size_t head = put_mjr(&b);

	result = judge_built(&b, b.len);
	assert_int_equal(result.condition, PROBE_OK);
	assert_string_equal(result.format, "mjr/opus");
	assert_int_equal(result.sample_rate, 48000);
	assert_int_equal(result.frames, 99 * 20 * 48);
	for (size_t len = head + 1; len < b.len; len += 7) {
		result = judge_built(&b, len);
		assert_true(result.condition == PROBE_DAMAGED || result.condition == PROBE_OK);
		assert_true(result.recoverable_bytes <= len - head);
	}
	result = judge_built(&b, b.len - 1);
	assert_int_equal(result.condition, PROBE_DAMAGED);
	assert_int_equal(result.recoverable_bytes, b.len - head - (10 + 159));
	result = judge_built(&b, head);
	assert_int_equal(result.condition, PROBE_EMPTY);
	result = judge_built(&b, head - 5);
	assert_int_equal(result.condition, PROBE_EMPTY);
}

/* Every prefix of what a real writer made is judged without a reading past its end, and none but
 * the whole is "ok": the control that the closed ones above are not merely never found out. */
static void test_every_cut(void **state)
{
	static const int sf_formats[] = {SF_FORMAT_W64 | SF_FORMAT_PCM_16,
			SF_FORMAT_AIFF | SF_FORMAT_PCM_16, SF_FORMAT_AU | SF_FORMAT_PCM_16,
			SF_FORMAT_CAF | SF_FORMAT_PCM_16};

	for (size_t i = 0; i < ELEMENTSOF(sf_formats); i++) {
		_cleanup_close_ int fd = file_written(sf_formats[i], 160, WRITER_CLOSES);
		struct builder b;
		ssize_t len = pread(fd, b.bytes, sizeof(b.bytes), 0);
		assert_true(len > 0);
		for (size_t cut = 0; cut < (size_t)len; cut++) {
			struct probe_result result = judge_built(&b, cut);
			if (result.condition == PROBE_OK)
				fail_msg("%s cut to %zu of %zd bytes is ok", result.format, cut,
						len);
		}
		assert_int_equal(judge_built(&b, (size_t)len).condition, PROBE_OK);
	}
}

/* Some bytes of the file's beginning or end are others: any verdict will do that never finds more
 * audio than the file has bytes, and comes before the search is given up. */
static void mutate(const struct builder *whole, uint32_t *noise, struct builder *ret_mutant)
{
	static const uint8_t extremes[] = {0x00, 0xff, 0x7f, 0x80, 0x01};

	*ret_mutant = *whole;
	for (unsigned n = 0; n < 3; n++) {
		*noise ^= *noise << 13;
		*noise ^= *noise >> 17;
		*noise ^= *noise << 5;
		size_t reach = whole->len < 600 ? whole->len : 600;
		size_t at = (*noise >> 8) % reach;
		if (*noise & 1)
			at = whole->len - 1 - at;
		ret_mutant->bytes[at] = *noise & 2 ? extremes[(*noise >> 2) % sizeof(extremes)]
						   : (uint8_t)(*noise >> 24);
	}
}

/* Our scanners alone: what libsndfile and the decoders below it make of it is not ours to test
 * here, and the sandbox's to contain. */
static void scan_mutant(struct source *source)
{
	struct media media;
	struct sized sized;
	struct riff riff;
	struct flac frames;
	struct mpeg mpeg;
	struct ogg pages;

	if (media_scan(source, &media) == 0)
		assert_true(media.present_bytes <= source->size_bytes);
	if (sized_scan(source, &sized) == 0)
		assert_true(sized.present_bytes <= source->size_bytes);
	if (riff_scan(source, &riff) == 0)
		assert_true(riff.present_bytes <= source->size_bytes);
	if (ogg_scan(source, &pages) == 0)
		assert_true(pages.whole_bytes <= source->size_bytes);
	if (flac_scan(source, &frames) == 0)
		assert_true(frames.audio_bytes <= source->size_bytes);
	if (mpeg_scan(source, 0, source->size_bytes, &mpeg) == 0)
		assert_true(mpeg.present_bytes <= source->size_bytes);
}

static void try_mutants(const struct builder *whole)
{
	struct builder mutant;
	struct source source;
	uint32_t noise = 88172645;

	for (unsigned i = 0; i < 3000; i++) {
		mutate(whole, &noise, &mutant);
		_cleanup_close_ int fd = file_of(mutant.bytes, mutant.len);
		assert_int_equal(source_init(fd, &source), 0);
		scan_mutant(&source);
		assert_int_equal(source.error, 0);
	}
}

static void try_mutants_of(const struct writer *writer, const char *folder)
{
	struct builder b = {.len = 0};
	char path[256];

	write_closed(writer, folder, path);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = pread(fd, b.bytes, sizeof(b.bytes), 0);
	assert_true(len > 0);
	b.len = (size_t)len; /* the rest is cut */
	try_mutants(&b);
	assert_int_equal(unlink(path), 0);
}

static void test_mutants(void **state)
{
	static const int sf_formats[] = {SF_FORMAT_W64 | SF_FORMAT_PCM_16,
			SF_FORMAT_AIFF | SF_FORMAT_PCM_16, SF_FORMAT_AU | SF_FORMAT_PCM_16,
			SF_FORMAT_CAF | SF_FORMAT_PCM_16, SF_FORMAT_RF64 | SF_FORMAT_PCM_16};
	const struct folder *folder = *state;
	struct builder b = {.len = 0};

	put_mjr(&b);
	try_mutants(&b);
	for (size_t i = 0; i < ELEMENTSOF(sf_formats); i++) {
		_cleanup_close_ int fd = file_written(sf_formats[i], 800, WRITER_CLOSES);
		ssize_t len = pread(fd, b.bytes, sizeof(b.bytes), 0);
		assert_true(len > 0);
		b.len = (size_t)len;
		try_mutants(&b);
	}
	for (size_t i = 0; installed("ffmpeg") && i < ELEMENTSOF(ffmpeg); i++)
		try_mutants_of(&ffmpeg[i], folder->path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_folder(test_sox),
			in_folder(test_ffmpeg),
			in_folder(test_flac),
			in_folder(test_fragments),
			cmocka_unit_test(test_mjr),
			cmocka_unit_test(test_every_cut),
			in_folder(test_mutants),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("probe_killed", tests, NULL, NULL);
}
