#include "tests/unit/support/swtpm.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"

#define HEADER_BYTES  10
#define MESSAGE_BYTES 4096
#define WINDOW        8
#define NV_BUFFER_MAX 0x12c /* TPM2_PT_NV_BUFFER_MAX */

/* What a TCTI that cannot connect forgets to free; asked by the leak sanitizer. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:Tss2_Tcti_Swtpm_Init\n";
}

bool swtpm_available(void)
{
	static const char *const libraries[] = {
			"libtss2-esys.so.0", "libtss2-tctildr.so.0", "libtss2-tcti-swtpm.so.0"};

	for (size_t i = 0; i < ELEMENTSOF(libraries); i++) {
		if (!dlopen(libraries[i], RTLD_NOW | RTLD_NODELETE)) {
			fprintf(stderr, "no TPM to test with: %s\n", dlerror());
			return false;
		}
	}
	if (system("command -v swtpm >/dev/null") != 0) {
		fprintf(stderr, "no TPM to test with: swtpm is not installed\n");
		return false;
	}
	return true;
}

/* Sockets. */

static int bound(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
			.sin_port = htons(port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Two free ports in a row, bound. */
static uint16_t bind_pair(int ret_fds[static 2])
{
	for (;;) {
		struct sockaddr_in address;
		socklen_t len = sizeof(address);
		ret_fds[0] = bound(0);
		assert_true(ret_fds[0] >= 0);
		getsockname(ret_fds[0], (struct sockaddr *)&address, &len);
		uint16_t port = ntohs(address.sin_port);
		ret_fds[1] = port < 65535 ? bound(port + 1) : -1;
		if (ret_fds[1] >= 0)
			return port;
		close(ret_fds[0]);
	}
}

static int connected(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
			.sin_port = htons(port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_be32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* A whole command or response; 0 at the end of the stream. */
static size_t receive(int fd, uint8_t message[static MESSAGE_BYTES])
{
	size_t size;

	if (recv(fd, message, HEADER_BYTES, MSG_WAITALL) != HEADER_BYTES)
		return 0;
	size = be32(message + 2);
	if (size < HEADER_BYTES || size > MESSAGE_BYTES)
		return 0;
	if (size > HEADER_BYTES && recv(fd, message + HEADER_BYTES, size - HEADER_BYTES,
						   MSG_WAITALL) != (ssize_t)(size - HEADER_BYTES))
		return 0;
	return size;
}

size_t swtpm_exchange(uint16_t port, uint8_t *message, size_t len)
{
	_cleanup_close_ int fd = connected(port);

	return fd >= 0 && send(fd, message, len, MSG_NOSIGNAL) == (ssize_t)len
			       ? receive(fd, message)
			       : 0;
}

uint32_t swtpm_command(uint16_t port, const void *command, size_t len)
{
	uint8_t message[MESSAGE_BYTES];

	memcpy(message, command, len);
	return swtpm_exchange(port, message, len) > 0 ? be32(message + 6) : UINT32_MAX;
}

/* The TPM. */

void swtpm_open(struct swtpm *tpm)
{
	int fds[2];

	*tpm = (struct swtpm){.dir = "/tmp/recseal-swtpm.XXXXXX"};
	assert_non_null(mkdtemp(tpm->dir));
	tpm->port = bind_pair(fds);
	close(fds[0]);
	close(fds[1]);
	snprintf(tpm->tcti, sizeof(tpm->tcti), "swtpm:host=127.0.0.1,port=%u", tpm->port);
	swtpm_start(tpm);
}

static void run(struct swtpm *tpm)
{
	char state[96], server[96], control[96];

	snprintf(state, sizeof(state), "dir=%s", tpm->dir);
	snprintf(server, sizeof(server), "type=tcp,port=%u,bindaddr=127.0.0.1", tpm->port);
	snprintf(control, sizeof(control), "type=tcp,port=%u,bindaddr=127.0.0.1", tpm->port + 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server,
			"--ctrl", control, "--flags", "not-need-init,startup-clear", NULL);
	_exit(127);
}

void swtpm_start(struct swtpm *tpm)
{
	int fd = -1;

	tpm->pid = fork();
	assert_true(tpm->pid >= 0);
	if (tpm->pid == 0)
		run(tpm);
	while (fd < 0) {
		fd = connected(tpm->port + 1);
		assert_int_equal(waitpid(tpm->pid, NULL, WNOHANG), 0);
		usleep(2000);
	}
	close(fd);
}

void swtpm_stop(struct swtpm *tpm)
{
	if (tpm->pid > 0) {
		kill(tpm->pid, SIGKILL);
		waitpid(tpm->pid, NULL, 0);
	}
	tpm->pid = 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void swtpm_close(struct swtpm *tpm)
{
	swtpm_stop(tpm);
	nftw(tpm->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* The tap. */

static void keep(struct swtpm_tap *tap, const uint8_t *bytes, size_t len)
{
	tap->log = realloc(tap->log, tap->log_bytes + len);
	if (!tap->log)
		abort();
	memcpy(tap->log + tap->log_bytes, bytes, len);
	tap->log_bytes += len;
}

/* Whether the fault strikes this command, and how. */
static bool strikes(struct swtpm_tap *tap, uint32_t command, uint32_t *ret_answer, bool *ret_kill)
{
	tap->commands[command % ELEMENTSOF(tap->commands)]++;
	if (tap->n == 0 || tap->command != command)
		return false;
	if (tap->pass > 0) {
		tap->pass--;
		return false;
	}
	tap->n--;
	*ret_answer = tap->answer;
	*ret_kill = tap->kill;
	return true;
}

static size_t answer(struct swtpm_tap *tap, int upstream, uint8_t message[static MESSAGE_BYTES],
		size_t len)
{
	static const uint8_t property[4] = {0, 0, 1, NV_BUFFER_MAX & 0xff};
	uint32_t code = 0;
	bool die = false;

	pthread_mutex_lock(&tap->lock);
	keep(tap, message, len);
	bool struck = strikes(tap, be32(message + 6), &code, &die);
	uint32_t buffer_max = tap->buffer_max;
	pthread_mutex_unlock(&tap->lock);
	if (struck && die) {
		swtpm_stop(tap->tpm);
		return 0;
	}
	if (struck) {
		memcpy(message, (const uint8_t[]){0x80, 0x01, 0, 0, 0, HEADER_BYTES}, 6);
		put_be32(message + 6, code);
		return HEADER_BYTES;
	}
	if (upstream < 0 || send(upstream, message, len, MSG_NOSIGNAL) != (ssize_t)len)
		return 0;
	bool capability = be32(message + 6) == SWTPM_CC_GET_CAPABILITY;
	len = receive(upstream, message);
	uint8_t *found = capability && buffer_max && len ? memmem(message, len, property, 4) : NULL;
	if (found)
		put_be32(found + 4, buffer_max);
	return len;
}

static void serve_commands(struct swtpm_tap *tap, int fd)
{
	_cleanup_close_ int upstream = connected(tap->tpm->port);
	uint8_t message[MESSAGE_BYTES];
	size_t len;

	while ((len = receive(fd, message)) > 0) {
		len = answer(tap, upstream, message, len);
		pthread_mutex_lock(&tap->lock);
		keep(tap, message, len);
		pthread_mutex_unlock(&tap->lock);
		if (len == 0 || send(fd, message, len, MSG_NOSIGNAL) != (ssize_t)len)
			return;
	}
}

/* Control: bytes both ways, until either end closes. */
static void serve_control(struct swtpm_tap *tap, int fd)
{
	_cleanup_close_ int upstream = connected(tap->tpm->port + 1);
	struct pollfd fds[2] = {{fd, POLLIN, 0}, {upstream, POLLIN, 0}};
	uint8_t bytes[MESSAGE_BYTES];

	while (upstream >= 0 && poll(fds, 2, -1) > 0) {
		for (int i = 0; i < 2; i++) {
			if (!fds[i].revents)
				continue;
			ssize_t n = read(fds[i].fd, bytes, sizeof(bytes));
			if (n <= 0 || send(fds[1 - i].fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
				return;
		}
	}
}

static void *serve(void *argument)
{
	struct swtpm_tap *tap = argument;
	struct pollfd fds[3] = {{tap->listening[0], POLLIN, 0}, {tap->listening[1], POLLIN, 0},
			{tap->wake[0], POLLIN, 0}};

	while (poll(fds, 3, -1) > 0 && !fds[2].revents) {
		for (int i = 0; i < 2; i++) {
			if (!fds[i].revents)
				continue;
			_cleanup_close_ int fd = accept4(fds[i].fd, NULL, NULL, SOCK_CLOEXEC);
			if (i == 0)
				serve_commands(tap, fd);
			else
				serve_control(tap, fd);
		}
	}
	return NULL;
}

void swtpm_tap_open(struct swtpm_tap *tap, struct swtpm *tpm)
{
	*tap = (struct swtpm_tap){.tpm = tpm};
	tap->port = bind_pair(tap->listening);
	snprintf(tap->tcti, sizeof(tap->tcti), "swtpm:host=127.0.0.1,port=%u", tap->port);
	assert_int_equal(listen(tap->listening[0], 8), 0);
	assert_int_equal(listen(tap->listening[1], 8), 0);
	assert_int_equal(pipe(tap->wake), 0);
	pthread_mutex_init(&tap->lock, NULL);
	assert_int_equal(pthread_create(&tap->thread, NULL, serve, tap), 0);
}

void swtpm_tap_close(struct swtpm_tap *tap)
{
	assert_int_equal(write(tap->wake[1], "", 1), 1);
	pthread_join(tap->thread, NULL);
	for (int i = 0; i < 2; i++) {
		close(tap->listening[i]);
		close(tap->wake[i]);
	}
	free(tap->log);
}

void swtpm_tap_fault(
		struct swtpm_tap *tap, uint32_t command, unsigned pass, unsigned n, uint32_t code)
{
	pthread_mutex_lock(&tap->lock);
	tap->command = command;
	tap->pass = pass;
	tap->n = n;
	tap->answer = code;
	tap->kill = code == 0;
	pthread_mutex_unlock(&tap->lock);
}

unsigned swtpm_tap_count(struct swtpm_tap *tap, uint32_t command)
{
	pthread_mutex_lock(&tap->lock);
	unsigned n = tap->commands[command % ELEMENTSOF(tap->commands)];
	pthread_mutex_unlock(&tap->lock);
	return n;
}

bool swtpm_tap_saw(struct swtpm_tap *tap, const uint8_t *bytes, size_t len)
{
	bool saw = false;

	pthread_mutex_lock(&tap->lock);
	for (size_t i = 0; i + WINDOW <= len && !saw; i++)
		saw = memmem(tap->log, tap->log_bytes, bytes + i, WINDOW) != NULL;
	pthread_mutex_unlock(&tap->lock);
	return saw;
}
