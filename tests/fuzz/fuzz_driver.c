/* Runs a fuzz target without libFuzzer: the files named as arguments; or, without any, every file
 * of its corpus and, from each, the same mutations every time. The corpus of fuzz_NAME and of its
 * negative control fuzz_NAME_control is tests/fuzz/corpus/NAME below $srcdir.
 *
 * The negative control has a planted bug: the same run must then find something. */
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

#define CORPUS_DIR      "tests/fuzz/corpus"
#define PROGRAM_PREFIX  "fuzz_"
#define CONTROL_SUFFIX  "_control"
#define MUTATIONS       8000 /* of all files together */
#define INPUT_MAX_BYTES 65536
#define HARD_ERROR      99 /* to automake: not a finding, but no test either */

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
static void run_mutations(const struct input *seed, struct dice *dice, int mutations)
{
	static struct input in;

	for (int i = 0; i < mutations; i++) {
		memcpy(in.bytes, seed->bytes, seed->len);
		in.len = seed->len;
		for (size_t n = roll(dice, 4) + 1; n > 0; n--)
			mutate(&in, dice);
		LLVMFuzzerTestOneInput(in.bytes, in.len);
	}
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int run_folder(int dir_fd)
{
	static struct input seed;
	struct dirent **entries;
	int n = scandirat(dir_fd, ".", &entries, is_input, alphasort), read = 0;

	for (int i = 0; i < n; i++) {
		struct dice dice = {.state = (uint64_t)i};
		if (load(dir_fd, entries[i]->d_name, &seed) == 0 && seed.len > 0) {
			LLVMFuzzerTestOneInput(seed.bytes, seed.len);
			run_mutations(&seed, &dice, MUTATIONS / n);
			read++;
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	if (read > 0)
		printf("%d files, %d mutations of each\n", read, MUTATIONS / n);
	return read;
}

static int run_corpus(const char *name)
{
	const char *srcdir = getenv("srcdir");
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/" CORPUS_DIR "/%s", srcdir ? srcdir : ".", name) < 0)
		return HARD_ERROR;
	_cleanup_close_ int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd >= 0 && run_folder(dir_fd) > 0)
		return 0;
	fprintf(stderr, "no corpus in %s\n", path);
	return HARD_ERROR;
}

/* The run happens in a child, which must die of what it finds. */
static int run_control(const char *name)
{
	int status;

	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		_exit(run_corpus(name));
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return HARD_ERROR;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
		return 0;
	fprintf(stderr, "the planted bug was not found\n");
	return WIFEXITED(status) && WEXITSTATUS(status) == HARD_ERROR ? HARD_ERROR : 1;
}

/* Takes the suffix of a negative control off the name; false for any other name. */
static bool cut_control_suffix(char *name)
{
	size_t len = strlen(name), suffix = strlen(CONTROL_SUFFIX);

	if (len <= suffix || strcmp(name + len - suffix, CONTROL_SUFFIX) != 0)
		return false;
	name[len - suffix] = '\0';
	return true;
}

int main(int argc, char **argv)
{
	const char *program = program_invocation_short_name;

	LLVMFuzzerInitialize(&argc, &argv);
	if (argc > 1)
		return run_files(argc - 1, argv + 1);
	if (strncmp(program, PROGRAM_PREFIX, strlen(PROGRAM_PREFIX)) != 0) {
		fprintf(stderr, "%s: the name tells the corpus, and must begin with %s\n", program,
				PROGRAM_PREFIX);
		return HARD_ERROR;
	}
	_cleanup_free_ char *name = strdup(program + strlen(PROGRAM_PREFIX));
	if (!name)
		return HARD_ERROR;
	return cut_control_suffix(name) ? run_control(name) : run_corpus(name);
}
