/* What run.sh needs that a shell would be too slow or too coarse for.
 *
 *   bench_tool cipher FILE TIMES             CPU microseconds of ChaCha20-Poly1305 alone over the
 * file's bytes bench_tool copy FROM TO                  copies and fsyncs each file of a folder, in
 * one process bench_tool fill FOLDER COUNT BYTES       makes files bench_tool drain FOLDER COUNT
 * waits until that many names are gone from the folder; prints when the first and the last went,
 * microseconds of the wall clock bench_tool feed FOLDER COUNT RATE BYTES close|rename finishes RATE
 * files a second, by closing them or by renaming them to their names; prints p50, p99 and greatest
 * time from there to the removal of the name, microseconds
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/durable.h"

#define CHUNK_BYTES 65536
#define PATIENCE_US INT64_C(900000000) /* then something is broken */

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "bench_tool: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void sleep_us(int64_t us)
{
	struct timespec span = {us / 1000000, us % 1000000 * 1000};

	if (us > 0)
		nanosleep(&span, NULL);
}

/* ---- The cipher alone ---- */

static uint8_t *read_whole(const char *path, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *bytes;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes || io_pread_full(fd, bytes, (size_t)st.st_size, 0, ret_len) < 0)
		die(path);
	return bytes;
}

static int64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) + u.ru_utime.tv_usec +
	       u.ru_stime.tv_usec;
}

static int cipher(char **args)
{
	static uint8_t sealed[CHUNK_BYTES + crypto_aead_chacha20poly1305_IETF_ABYTES];
	uint8_t key[crypto_aead_chacha20poly1305_IETF_KEYBYTES] = {1};
	uint8_t nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES] = {0};
	size_t len, n;
	_cleanup_free_ uint8_t *plain = read_whole(args[0], &len);
	int64_t start_us = cpu_us();

	for (int i = atoi(args[1]); i > 0; i--) {
		for (size_t at = 0; at < len; at += n) {
			n = len - at < CHUNK_BYTES ? len - at : CHUNK_BYTES;
			sodium_increment(nonce, sizeof(nonce));
			crypto_aead_chacha20poly1305_ietf_encrypt(
					sealed, NULL, plain + at, n, NULL, 0, NULL, nonce, key);
		}
	}
	printf("%jd\n", (intmax_t)(cpu_us() - start_us));
	return 0;
}

/* ---- Copying in one process ---- */

static void copy_one(int from_dir, int to_dir, const char *name)
{
	static uint8_t buf[1 << 20];
	_cleanup_close_ int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int to =
			openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n;

	if (from < 0 || to < 0)
		die(name);
	while ((n = read(from, buf, sizeof(buf))) > 0) {
		if (io_write_all(to, buf, (size_t)n) < 0)
			die(name);
	}
	if (n < 0 || durable_sync(to) < 0)
		die(name);
}

static int copy(char **args)
{
	_cleanup_closedir_ DIR *from = opendir(args[0]);
	_cleanup_close_ int to = open(args[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;

	if (!from || to < 0)
		die("copy");
	while ((entry = readdir(from))) {
		if (entry->d_name[0] != '.')
			copy_one(dirfd(from), to, entry->d_name);
	}
	return 0;
}

/* ---- Files of noise ---- */

/* A WAV file, 16-bit mono at 8 kHz, of `bytes` bytes in all. */
static uint8_t *make_wav(size_t bytes)
{
	static const uint8_t format[] = {'W', 'A', 'V', 'E', 'f', 'm', 't', ' ', 16, 0, 0, 0, 1, 0,
			1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0, 'd', 'a', 't', 'a'};
	uint8_t *wav = malloc(bytes);

	if (bytes < 44 || !wav)
		die("a WAV file");
	memcpy(wav, "RIFF", 4);
	put_le32(wav + 4, (uint32_t)bytes - 8);
	memcpy(wav + 8, format, sizeof(format));
	put_le32(wav + 40, (uint32_t)bytes - 44);
	randombytes_buf(wav + 44, bytes - 44);
	return wav;
}

static void put_file(int dir, const char *name, const uint8_t *bytes, size_t len)
{
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || io_write_all(fd, bytes, len) < 0)
		die(name);
}

static int fill(char **args)
{
	_cleanup_close_ int dir = open(args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t len = (size_t)atol(args[2]);
	_cleanup_free_ uint8_t *wav = make_wav(len);
	char name[32];

	if (dir < 0)
		die(args[0]);
	for (int i = 0; i < atoi(args[1]); i++) {
		snprintf(name, sizeof(name), "%d.wav", i);
		put_file(dir, name, wav, len);
	}
	return 0;
}

/* ---- Watching files go ---- */

static int watch_deletions(const char *folder)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0 || inotify_add_watch(fd, folder, IN_DELETE | IN_MOVE) < 0)
		die(folder);
	return fd;
}

/* The files that were renamed and have not gone yet. */
static struct renamed {
	uint32_t cookie;
	char from[32], to[64];
} renamed[512];

static struct renamed *find_renamed(uint32_t cookie, const char *to)
{
	for (size_t i = 0; i < ELEMENTSOF(renamed); i++) {
		if (to ? strcmp(renamed[i].to, to) == 0 : renamed[i].cookie == cookie)
			return &renamed[i];
	}
	return NULL;
}

static void note_event(const struct inotify_event *event,
		void (*gone)(void *context, const char *name), void *context)
{
	struct renamed *r;

	if (event->mask & IN_MOVED_FROM && event->name[0] != '.') {
		if ((r = find_renamed(0, NULL))) {
			r->cookie = event->cookie;
			snprintf(r->from, sizeof(r->from), "%.31s", event->name);
		}
	} else if (event->mask & IN_MOVED_TO) {
		if ((r = find_renamed(event->cookie, NULL)))
			snprintf(r->to, sizeof(r->to), "%.63s", event->name);
	} else if (event->mask & IN_DELETE) {
		r = find_renamed(0, event->name);
		gone(context, r ? r->from : event->name);
		if (r)
			memset(r, 0, sizeof(*r));
	}
}

/* Calls gone() for each file that went since the last call, with its own name where it was renamed
 * just before, as recseal does. */
static void each_deletion(int fd, void (*gone)(void *context, const char *name), void *context)
{
	_Alignas(struct inotify_event) static char buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *event = (const void *)p;
			if (event->mask & IN_Q_OVERFLOW) {
				errno = ENOBUFS;
				die("watching files go");
			}
			note_event(event, gone, context);
			p += sizeof(*event) + event->len;
		}
	}
}

struct drained {
	int count;
	int64_t first_us;
};

static void count_gone(void *context, const char *name)
{
	struct drained *drained = context;

	if (drained->count++ == 0)
		drained->first_us = now_us(CLOCK_REALTIME);
}

static int drain(char **args)
{
	_cleanup_close_ int fd = watch_deletions(args[0]);
	struct drained drained = {0};
	int64_t deadline_us = now_us(CLOCK_MONOTONIC) + PATIENCE_US;

	puts("watching");
	fflush(stdout);
	while (drained.count < atoi(args[1])) {
		sleep_us(2000);
		each_deletion(fd, count_gone, &drained);
		if (now_us(CLOCK_MONOTONIC) > deadline_us) {
			errno = ETIMEDOUT;
			die(args[0]);
		}
	}
	printf("%jd %jd\n", (intmax_t)drained.first_us, (intmax_t)now_us(CLOCK_REALTIME));
	return 0;
}

/* ---- Exposure ---- */

struct feed {
	int dir, count, left;
	const uint8_t *wav;
	size_t len;
	bool by_rename;
	int64_t *times_us; /* of each file: when it was finished, then how long it stayed */
};

static void feed_one(struct feed *feed, int i)
{
	char name[32], temporary[32];

	snprintf(name, sizeof(name), "%d.wav", i);
	snprintf(temporary, sizeof(temporary), ".%d", i);
	put_file(feed->dir, feed->by_rename ? temporary : name, feed->wav, feed->len);
	feed->times_us[i] = now_us(CLOCK_MONOTONIC);
	if (feed->by_rename && renameat(feed->dir, temporary, feed->dir, name) < 0)
		die(name);
}

static void note_exposure(void *context, const char *name)
{
	struct feed *feed = context;
	int i = atoi(name);

	if (i < 0 || i >= feed->count)
		die(name);
	feed->times_us[i] = now_us(CLOCK_MONOTONIC) - feed->times_us[i];
	feed->left--;
}

/* Until the time given, or, with 0, until all are gone. */
static void watch_until(struct feed *feed, int fd, int64_t until_us)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	for (;;) {
		int64_t left_us = until_us ? until_us - now_us(CLOCK_MONOTONIC) : 30000000;
		struct timespec wait = {left_us / 1000000, left_us % 1000000 * 1000};
		if (left_us <= 0 || feed->left == 0)
			return;
		int n = ppoll(&poll_fd, 1, &wait, NULL);
		if (n == 0 && until_us == 0) {
			errno = ETIMEDOUT;
			die("files that stay");
		}
		each_deletion(fd, note_exposure, feed);
	}
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int feed(char **args)
{
	_cleanup_close_ int fd = watch_deletions(args[0]);
	struct feed feed = {.dir = open(args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC),
			.count = atoi(args[1]),
			.left = atoi(args[1]),
			.len = (size_t)atol(args[3]),
			.by_rename = strcmp(args[4], "rename") == 0};
	int64_t start_us = now_us(CLOCK_MONOTONIC), step_us = 1000000 / atoi(args[2]);
	_cleanup_free_ uint8_t *wav = make_wav(feed.len);
	_cleanup_free_ int64_t *times_us = calloc((size_t)feed.count + 1, sizeof(*times_us));

	if (feed.dir < 0 || !times_us)
		die(args[0]);
	feed.wav = wav;
	feed.times_us = times_us;
	for (int i = 0; i < feed.count; i++) {
		feed_one(&feed, i);
		watch_until(&feed, fd, start_us + (i + 1) * step_us);
		sleep_us(start_us + (i + 1) * step_us - now_us(CLOCK_MONOTONIC));
	}
	watch_until(&feed, fd, 0);
	close(feed.dir);
	qsort(times_us, (size_t)feed.count, sizeof(*times_us), by_value);
	printf("%jd %jd %jd\n", (intmax_t)times_us[feed.count / 2],
			(intmax_t)times_us[feed.count * 99 / 100],
			(intmax_t)times_us[feed.count - 1]);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int n_args;
		int (*run)(char **args);
	} commands[] = {
			{"cipher", 2, cipher},
			{"copy", 2, copy},
			{"fill", 3, fill},
			{"drain", 2, drain},
			{"feed", 5, feed},
	};

	if (sodium_init() < 0)
		return 1;
	for (size_t i = 0; argc > 1 && i < ELEMENTSOF(commands); i++) {
		if (strcmp(argv[1], commands[i].name) == 0 && argc == commands[i].n_args + 2)
			return commands[i].run(argv + 2);
	}
	fputs("bench_tool: see the head of tests/bench/bench_tool.c\n", stderr);
	return 2;
}
