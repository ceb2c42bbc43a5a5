/* Runs a fuzz target without libFuzzer: the files named as arguments; or, without any, every file
 * of the corpus FUZZ_CORPUS below $srcdir and, from each, the same few thousand mutations every
 * time.
 *
 * Built with FUZZ_PLANTED_BUG it is the negative control: the same run must then find something. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "tests/fuzz/fuzz.h"

#define MUTATIONS_PER_FILE 4000
#define INPUT_MAX_BYTES    65536
#define HARD_ERROR         99 /* to automake: not a finding, but no test either */

struct input {
	uint8_t bytes[INPUT_MAX_BYTES];
	size_t len;
};

/* A stream of numbers that is the same on every run. */
struct dice {
	uint64_t state;
};

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014), below limit. */
static size_t roll(struct dice *dice, size_t limit)
{
	uint64_t z = dice->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (size_t)((z ^ z >> 31) % limit);
}

/* Makes room for n bytes at a place, as far as there is any. */
static bool widen(struct input *in, size_t at, size_t n)
{
	if (in->len + n > sizeof(in->bytes))
		return false;
	memmove(in->bytes + at + n, in->bytes + at, in->len - at);
	in->len += n;
	return true;
}

static void cut(struct input *in, size_t at, size_t n)
{
	if (n > in->len - at)
		n = in->len - at;
	memmove(in->bytes + at, in->bytes + at + n, in->len - at - n);
	in->len -= n;
}

static void repeat(struct input *in, size_t at, size_t n)
{
	if (n > in->len - at)
		n = in->len - at;
	if (widen(in, at, n))
		memmove(in->bytes + at, in->bytes + at + n, n);
}

static void mutate(struct input *in, struct dice *dice)
{
	static const char telling[] = "\n\r \t-=>A/+_\x7f\x80\xff";
	uint8_t byte = (uint8_t)telling[roll(dice, sizeof(telling))]; /* NUL is one of them */
	size_t at = roll(dice, in->len + 1);
	bool end = at == in->len;

	switch (roll(dice, 7)) {
	case 0:
		if (!end)
			in->bytes[at] ^= (uint8_t)(1 << roll(dice, 8));
		break;
	case 1:
		if (!end)
			in->bytes[at] = byte;
		break;
	case 2:
		if (widen(in, at, 1))
			in->bytes[at] = byte;
		break;
	case 3:
		cut(in, at, 1);
		break;
	case 4:
		cut(in, at, roll(dice, 200));
		break;
	case 5:
		repeat(in, at, roll(dice, 200));
		break;
	case 6:
		if (!end)
			in->bytes[at] = (uint8_t)roll(dice, 256);
		break;
	}
}

static int load(int dir_fd, const char *name, struct input *ret_input)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return io_pread_full(fd, ret_input->bytes, sizeof(ret_input->bytes), 0, &ret_input->len);
}

static int run_files(int n, char **paths)
{
	static struct input in;

	for (int i = 0; i < n; i++) {
		if (load(AT_FDCWD, paths[i], &in) < 0) {
			fprintf(stderr, "%s cannot be read\n", paths[i]);
			return HARD_ERROR;
		}
		LLVMFuzzerTestOneInput(in.bytes, in.len);
	}
	return 0;
}

/* One to four mutations at a time: most single ones are still near enough to get deep. */
static void run_mutations(const struct input *seed, struct dice *dice)
{
	static struct input in;

	for (int i = 0; i < MUTATIONS_PER_FILE; i++) {
		memcpy(in.bytes, seed->bytes, seed->len);
		in.len = seed->len;
		for (size_t n = roll(dice, 4) + 1; n > 0; n--)
			mutate(&in, dice);
		LLVMFuzzerTestOneInput(in.bytes, in.len);
	}
}

static int run_corpus(void)
{
	static struct input seed;
	const char *srcdir = getenv("srcdir");
	_cleanup_free_ char *path = NULL;
	struct dirent **entries;
	int files = 0;

	if (asprintf(&path, "%s/%s", srcdir ? srcdir : ".", FUZZ_CORPUS) < 0)
		return HARD_ERROR;
	_cleanup_close_ int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int n = dir_fd < 0 ? -1 : scandirat(dir_fd, ".", &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		struct dice dice = {.state = (uint64_t)i};
		if (entries[i]->d_type != DT_DIR && load(dir_fd, entries[i]->d_name, &seed) == 0 &&
				seed.len > 0) {
			LLVMFuzzerTestOneInput(seed.bytes, seed.len);
			run_mutations(&seed, &dice);
			files++;
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	if (files == 0) {
		fprintf(stderr, "no corpus in %s\n", path);
		return HARD_ERROR;
	}
	printf("%d files, %d mutations of each\n", files, MUTATIONS_PER_FILE);
	return 0;
}

#ifdef FUZZ_PLANTED_BUG
/* The run happens in a child, which must die of what it finds. */
static int run_control(void)
{
	int status;

	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		_exit(run_corpus());
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return HARD_ERROR;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
		return 0;
	fprintf(stderr, "the planted bug was not found\n");
	return WIFEXITED(status) && WEXITSTATUS(status) == HARD_ERROR ? HARD_ERROR : 1;
}
#endif

int main(int argc, char **argv)
{
	LLVMFuzzerInitialize(&argc, &argv);
	if (argc > 1)
		return run_files(argc - 1, argv + 1);
#ifdef FUZZ_PLANTED_BUG
	return run_control();
#else
	return run_corpus();
#endif
}
