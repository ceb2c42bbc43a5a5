/* daemon/common/service: readiness, watchdog, signals, passed sockets. systemd is a datagram socket
 * here. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <uv.h>

#include "base/socket.h"
#include "daemon/common/service.h"
#include "tests/unit/support/folder_fixture.h"

struct life {
	uv_loop_t loop;
	struct service *service;
	int notify_fd;
	int stops;
	char told[512]; /* all notifications, a semicolon after each */
};

/* Binds the socket that NOTIFY_SOCKET names. */
static void listen_notify(struct life *life, struct folder *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", f->path);
	life->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(life->notify_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
}

static const char *told(struct life *life)
{
	char message[256];

	for (ssize_t n; (n = recv(life->notify_fd, message, sizeof(message) - 1, 0)) >= 0;) {
		message[n] = '\0';
		strcat(strcat(life->told, message), ";");
	}
	return life->told;
}

static void on_stop(void *context)
{
	struct life *life = context;

	life->stops++;
}

static void begin(struct life *life, struct folder *f)
{
	memset(life, 0, sizeof(*life));
	listen_notify(life, f);
	assert_int_equal(uv_loop_init(&life->loop), 0);
	assert_int_equal(service_start(&life->loop, on_stop, life, &life->service), 0);
}

static void end(struct life *life)
{
	life->service = service_stop(life->service);
	assert_null(life->service);
	uv_run(&life->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&life->loop), 0); /* nothing is left on it */
	close(life->notify_fd);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
}

static void test_notifications(void **state)
{
	struct life life;

	begin(&life, *state);
	service_ready(life.service, "epoch 3");
	service_status(life.service, "%d sealed", 5);
	assert_string_equal(told(&life), "READY=1\nSTATUS=epoch 3;STATUS=5 sealed;");
	service_stop(life.service);
	assert_non_null(strstr(told(&life), ";STOPPING=1;"));
	life.service = NULL;
	end(&life);
}

/* Without systemd nothing is told to anybody, and nothing fails. */
static void test_without_systemd(void **state)
{
	struct life life;

	begin(&life, *state);
	unsetenv("NOTIFY_SOCKET");
	service_ready(life.service, "up");
	service_status(life.service, "fine");
	end(&life);
	assert_string_equal(life.told, "");
}

static void check_signal(struct folder *f, int signal_number)
{
	struct life life;

	begin(&life, f);
	assert_int_equal(raise(signal_number), 0);
	while (life.stops == 0)
		uv_run(&life.loop, UV_RUN_ONCE);
	/* impatience does not stop it twice */
	raise(SIGTERM);
	raise(SIGINT);
	for (int i = 0; i < 3; i++)
		uv_run(&life.loop, UV_RUN_NOWAIT);
	assert_int_equal(life.stops, 1);
	assert_int_equal(raise(SIGPIPE), 0); /* and this is survived */
	end(&life);
	unlinkat(f->fd, "notify", 0);
}

static void test_signals(void **state)
{
	check_signal(*state, SIGTERM);
	check_signal(*state, SIGINT);
}

static void on_kick(uv_timer_t *timer)
{
	struct life *life = timer->data;

	if (strstr(told(life), "WATCHDOG=1;WATCHDOG=1;"))
		uv_timer_stop(timer);
}

/* Petted from the loop, again and again; a loop that does not turn pets nobody. */
static void test_watchdog(void **state)
{
	struct life life;
	uv_timer_t poll;

	setenv("WATCHDOG_USEC", "20000", 1);
	begin(&life, *state);
	usleep(50000);
	assert_string_equal(told(&life), "");
	uv_timer_init(&life.loop, &poll);
	poll.data = &life;
	uv_timer_start(&poll, on_kick, 1, 1);
	while (uv_is_active((uv_handle_t *)&poll))
		uv_run(&life.loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&poll, NULL);
	end(&life);
}

/* The interval is meant for another process, or there is none. */
static void test_no_watchdog(void **state)
{
	struct life life;

	setenv("WATCHDOG_USEC", "2000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	begin(&life, *state);
	usleep(10000);
	uv_run(&life.loop, UV_RUN_NOWAIT);
	assert_string_equal(told(&life), "");
	end(&life);
	unsetenv("WATCHDOG_PID");
}

/* In a child, since the descriptors must be 3 and 4. Returns its exit status. */
static int child_listens(const char *names)
{
	pid_t child = fork();

	if (child == 0) {
		char pid[16];
		int fds[2];
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 || dup2(fds[0], 50) < 0 ||
				dup2(fds[1], 51) < 0 || dup2(50, 3) < 0 || dup2(51, 4) < 0)
			_exit(90);
		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "2", 1);
		setenv("LISTEN_FDNAMES", names, 1);
		int control = service_listen_fd("control"), intake = service_listen_fd("intake");
		if (service_listen_fd("other") != -ENOENT)
			_exit(91);
		for (int fd = 3; fd <= 4; fd++) {
			if (fd != control && fd != intake)
				continue;
			if (!(fcntl(fd, F_GETFL) & O_NONBLOCK) ||
					!(fcntl(fd, F_GETFD) & FD_CLOEXEC))
				_exit(92);
		}
		_exit((control > 0 ? 10 * control : 0) + (intake > 0 ? intake : 0));
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_listen_fds(void **state)
{
	assert_int_equal(service_listen_fd("control"), -ENOENT);
	assert_int_equal(child_listens("control:intake"), 34);
	assert_int_equal(child_listens("intake:control"), 43);
	assert_int_equal(child_listens("unknown:intake"), 4);
	assert_int_equal(child_listens("a:b"), 0);
}

static void test_stop_null(void **state)
{
	assert_null(service_stop(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_folder(test_notifications),
			in_folder(test_without_systemd),
			in_folder(test_signals),
			in_folder(test_watchdog),
			in_folder(test_no_watchdog),
			cmocka_unit_test(test_listen_fds),
			cmocka_unit_test(test_stop_null),
	};

	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
