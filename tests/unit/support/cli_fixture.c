#include "tests/unit/support/cli_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pty.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/secret.h"
#include "crypto/age_stream.h"
#include "crypto/rec_stanza.h"

#define ARGUMENTS_MAX 32

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "harness: %s: %s\n", what, strerror(errno));
	abort();
}

struct harness *harness_new(void)
{
	struct harness *h = calloc(1, sizeof(*h));

	require(h && sodium_init() >= 0, "start");
	strcpy(h->dir, "/tmp/recseal-cli-XXXXXX");
	require(mkdtemp(h->dir) != NULL, "mkdtemp");
	snprintf(h->socket, sizeof(h->socket), "%s/control", h->dir);
	snprintf(h->calls, sizeof(h->calls), "%s/calls", h->dir);
	setenv("RECSEAL_SOCKET", h->socket, 1);
	return h;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void stop_keeper(struct harness *h)
{
	if (h->keeper <= 0)
		return;
	kill(h->keeper, SIGKILL);
	waitpid(h->keeper, NULL, 0);
	unlink(h->socket);
	unlink(h->calls);
	h->keeper = 0;
}

struct harness *harness_free(struct harness *h)
{
	stop_keeper(h);
	nftw(h->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(h);
	return NULL;
}

char *harness_path(const struct harness *h, const char *name)
{
	char *path;

	require(asprintf(&path, "%s/%s", h->dir, name) > 0, "path");
	return path;
}

/* ---- the keeper ---- */

/* Reads one call, byte by byte: nothing waits behind it. NULL at the end of the stream. */
static char *read_call(int fd)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	char c = 1;

	while (read(fd, &c, 1) == 1 && c != '\0')
		fputc(c, f);
	fclose(f);
	if (c == '\0')
		return text;
	free(text);
	return NULL;
}

static const struct scripted *find_answer(
		const struct scripted *script, size_t n, bool *used, const char *call)
{
	const struct scripted *found = NULL;

	for (size_t i = 0; i < n; i++) {
		char method[128];
		snprintf(method, sizeof(method), "\"method\":\"org.recseal.control.%s\"",
				script[i].method);
		if (!strstr(call, method))
			continue;
		found = &script[i];
		if (!used[i]) {
			used[i] = true;
			break;
		}
	}
	return found;
}

/* Each line of the replies goes out with its NUL; the first byte carries the descriptors. */
static bool send_answer(int fd, const struct scripted *answer)
{
	const struct socket_fds *fds = &answer->fds;

	if (!answer || !answer->replies)
		return false;
	for (const char *line = answer->replies; *line;) {
		size_t len = strcspn(line, "\n");
		_cleanup_free_ char *message = strndup(line, len);
		for (size_t sent = 0; sent < len + 1;) {
			ssize_t n = socket_send(fd, message + sent, len + 1 - sent, fds);
			if (n < 0)
				return false;
			sent += (size_t)n;
			fds = NULL;
		}
		line += len + (line[len] == '\n');
	}
	return true;
}

static void serve(int fd, FILE *log, const struct scripted *script, size_t n, bool *used)
{
	char *call;

	while ((call = read_call(fd))) {
		fprintf(log, "%s\n", call);
		fflush(log);
		bool go_on = send_answer(fd, find_answer(script, n, used, call));
		free(call);
		if (!go_on)
			return;
	}
}

static _Noreturn void keep(
		int listen_fd, const char *calls, const struct scripted *script, size_t n)
{
	bool used[64] = {false};
	FILE *log = fopen(calls, "w");

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlive a test that crashes */
	require(log && n <= ELEMENTSOF(used), "log");
	fcntl(listen_fd, F_SETFL, 0); /* accept() waits */
	for (;;) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		serve(fd, log, script, n, used);
		close(fd);
	}
}

void harness_keeper(struct harness *h, const struct scripted *script, size_t n)
{
	stop_keeper(h);
	int fd = socket_listen(h->socket, SOCK_STREAM, 0600);

	require(fd >= 0, "listen");
	h->keeper = fork();
	require(h->keeper >= 0, "fork");
	if (h->keeper == 0)
		keep(fd, h->calls, script, n);
	close(fd);
}

/* ---- programs ---- */

static char *read_file(const char *path, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = malloc(8 << 20);
	size_t len = 0;

	require(text != NULL, "memory");
	if (fd >= 0)
		require(io_pread_full(fd, text, (8 << 20) - 1, 0, &len) == 0, path);
	text[len] = '\0';
	if (ret_len)
		*ret_len = len;
	return text;
}

char *harness_calls(const struct harness *h)
{
	return read_file(h->calls, NULL);
}

void outcome_free(struct outcome *outcome)
{
	free(outcome->out);
	free(outcome->err);
	*outcome = (struct outcome){0};
}

static int wait_status(pid_t pid)
{
	int status;

	require(waitpid(pid, &status, 0) == pid, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static _Noreturn void execute(const char *const argv[])
{
	char *copy[ARGUMENTS_MAX] = {NULL};

	/* A shell ignores it in what it starts in the background, this program perhaps. */
	signal(SIGINT, SIG_DFL);
	for (size_t i = 0; argv[i] && i + 1 < ELEMENTSOF(copy); i++)
		copy[i] = strdup(argv[i]);
	execvp(copy[0], copy);
	_exit(127);
}

static void redirect(const char *path, int flags, int to)
{
	int fd = open(path, flags, 0600);

	if (fd < 0 || dup2(fd, to) < 0)
		_exit(126);
}

void harness_run(const struct harness *h, struct outcome *outcome, const char *program, ...)
{
	_cleanup_free_ char *out = harness_path(h, "stdout"), *err = harness_path(h, "stderr");
	const char *argv[ARGUMENTS_MAX] = {program};
	va_list ap;

	va_start(ap, program);
	for (size_t i = 1; i + 1 < ELEMENTSOF(argv); i++) {
		argv[i] = va_arg(ap, const char *);
		if (!argv[i])
			break;
	}
	va_end(ap);
	pid_t pid = fork();
	require(pid >= 0, "fork");
	if (pid == 0) {
		redirect("/dev/null", O_RDONLY, STDIN_FILENO);
		redirect(out, O_CREAT | O_TRUNC | O_WRONLY, STDOUT_FILENO);
		redirect(err, O_CREAT | O_TRUNC | O_WRONLY, STDERR_FILENO);
		execute(argv);
	}
	outcome->status = wait_status(pid);
	outcome->out = read_file(out, &outcome->out_len);
	outcome->err = read_file(err, NULL);
}

void harness_terminal(struct outcome *outcome, const char *prompt, const char *answer,
		const char *const argv[])
{
	char *shown = calloc(1, 1 << 20);
	size_t len = 0;
	int terminal;
	pid_t pid = forkpty(&terminal, NULL, NULL, NULL);

	require(shown && pid >= 0, "forkpty");
	if (pid == 0)
		execute(argv);
	/* The read ends with EIO once the program has gone. */
	for (ssize_t n; (n = read(terminal, shown + len, (1 << 20) - 1 - len)) > 0;) {
		len += (size_t)n;
		shown[len] = '\0';
		if (answer && strstr(shown, prompt)) {
			require(io_write_all(terminal, answer, strlen(answer)) == 0, "type");
			answer = NULL;
		}
	}
	close(terminal);
	*outcome = (struct outcome){.status = wait_status(pid),
			.out = shown,
			.err = strdup(""),
			.out_len = len};
}

/* ---- sealed objects ---- */

static void seal_payload(const struct sample *sample)
{
	static uint8_t sealed[AGE_SEALED_CHUNK_BYTES];
	size_t at = 0;

	for (uint64_t counter = 0;; counter++) {
		size_t len = sample->plain_len - at;
		bool final = len <= AGE_CHUNK_BYTES;
		if (!final)
			len = AGE_CHUNK_BYTES;
		age_stream_seal_chunk(sample->payload_key, counter, final, sample->plain + at, len,
				sealed);
		require(io_write_all(sample->object_fd, sealed, len + AGE_TAG_BYTES) == 0, "seal");
		at += len;
		if (final)
			return;
	}
}

static void write_header(struct sample *sample)
{
	static const char tag[] = "{\"class\":\"default\",\"id\":\"" SAMPLE_ID "\"}";
	uint8_t nonce[AGE_PAYLOAD_NONCE_BYTES], recording_key[REC_KEY_BYTES];
	struct rec_binding binding;
	_cleanup_free_ uint8_t *header = NULL;
	size_t header_len;

	require(ulid_parse(SAMPLE_ID, binding.recording_id) == 0, "id");
	randombytes_buf(binding.account_handle, sizeof(binding.account_handle));
	randombytes_buf(recording_key, sizeof(recording_key));
	randombytes_buf(nonce, sizeof(nonce));
	require(rec_stanza_build_header(&binding, recording_key, sample->file_key, tag, strlen(tag),
				&header, &header_len) == 0,
			"header");
	age_stream_payload_key(sample->file_key, nonce, sample->payload_key);
	require(io_write_all(sample->object_fd, header, header_len) == 0 &&
					io_write_all(sample->object_fd, nonce, sizeof(nonce)) == 0,
			"object");
	sample->payload_offset = header_len + sizeof(nonce);
}

void sample_make(const struct harness *h, const char *name, size_t len, struct sample *sample)
{
	*sample = (struct sample){.plain = malloc(len + 1), .plain_len = len};
	require(sample->plain != NULL, "memory");
	randombytes_buf(sample->plain, len);
	randombytes_buf(sample->file_key, sizeof(sample->file_key));
	sample->path = harness_path(h, name);
	sample->object_fd = open(sample->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	require(sample->object_fd >= 0, sample->path);
	write_header(sample);
	seal_payload(sample);
	sample->key_fd = secret_to_fd(sample->payload_key, sizeof(sample->payload_key));
	sample->file_key_fd = secret_to_fd(sample->file_key, sizeof(sample->file_key));
	require(sample->key_fd >= 0 && sample->file_key_fd >= 0, "memfd");
}

void sample_free(struct sample *sample)
{
	free(sample->plain);
	free(sample->path);
	close(sample->object_fd);
	close(sample->key_fd);
	close(sample->file_key_fd);
}

void sample_damage(const struct sample *sample, off_t offset)
{
	uint8_t byte;

	require(pread(sample->object_fd, &byte, 1, offset) == 1, "damage");
	byte ^= 4;
	require(pwrite(sample->object_fd, &byte, 1, offset) == 1, "damage");
}

struct scripted sample_script(const struct sample *sample, char *buf, size_t size)
{
	snprintf(buf, size,
			"{\"parameters\":{\"recording\":{\"id\":\"" SAMPLE_ID
			"\",\"plaintext_bytes\":%zu},\"object_fd\":0,\"key_fd\":1,\"payload_offset\":%llu}"
			"}",
			sample->plain_len, (unsigned long long)sample->payload_offset);
	return (struct scripted){
			.method = "OpenRecording",
			.replies = buf,
			.fds = {.fd = {sample->object_fd, sample->key_fd}, .count = 2},
	};
}

int fixture_set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	require(f != NULL, "memory");
	f->harness = harness_new();
	sample_make(f->harness, "object", 6 * AGE_CHUNK_BYTES + 1234, &f->sample);
	f->script = sample_script(&f->sample, f->script_text, sizeof(f->script_text));
	*state = f;
	return 0;
}

int fixture_tear_down(void **state)
{
	struct fixture *f = *state;

	sample_free(&f->sample);
	harness_free(f->harness);
	free(f);
	return 0;
}

void fixture_damage_chunk(const struct fixture *f, unsigned chunk)
{
	sample_damage(&f->sample,
			(off_t)(f->sample.payload_offset +
					(uint64_t)AGE_SEALED_CHUNK_BYTES * (chunk + 1) - 1));
}
