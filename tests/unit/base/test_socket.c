/* base/socket. */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/socket.h"
#include "tests/unit/support/folder_fixture.h"

static void join_path(char *path, size_t size, const struct folder *f, const char *name)
{
	assert_true(snprintf(path, size, "%s/%s", f->path, name) < (int)size);
}

static void test_socket_life(void **state)
{
	struct folder *f = *state;
	char path[128];
	struct stat st;
	struct peer peer;

	join_path(path, sizeof(path), f, "s");
	assert_int_equal(socket_connect(path, SOCK_STREAM), -ENOENT);
	int listener = socket_listen(path, SOCK_STREAM, 0620);
	assert_true(listener >= 0);
	assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(listener, F_GETFL) & O_NONBLOCK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0620);

	_cleanup_close_ int client = socket_connect(path, SOCK_STREAM);
	assert_true(client >= 0);
	assert_int_equal(socket_peer(client, &peer), 0);
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gid, getegid());
	assert_int_equal(socket_peer_in_group(client, getegid()), 1);
	assert_int_equal(socket_peer_in_group(client, 54321), 0);

	/* live: refused, whatever type is asked for; the socket stays */
	assert_int_equal(socket_listen(path, SOCK_STREAM, 0600), -RE_BUSY);
	assert_int_equal(socket_listen(path, SOCK_SEQPACKET, 0600), -RE_BUSY);
	assert_int_equal(stat(path, &st), 0);
	close(listener);

	/* dead: replaced */
	assert_int_equal(socket_connect(path, SOCK_STREAM), -ECONNREFUSED);
	listener = socket_listen(path, SOCK_SEQPACKET, 0600);
	assert_true(listener >= 0);
	close(listener);
}

/* A live server whose queue is full answers nobody at once, and is live all the same. */
static void test_socket_busy(void **state)
{
	struct folder *f = *state;
	char path[128];
	int clients[80];

	join_path(path, sizeof(path), f, "s");
	_cleanup_close_ int listener = socket_listen(path, SOCK_STREAM, 0600);
	assert_int_equal(listen(listener, 0), 0);
	size_t n = 0;
	while (n < ELEMENTSOF(clients) &&
			(clients[n] = socket_connect(path, SOCK_STREAM | SOCK_NONBLOCK)) >= 0)
		n++;
	assert_true(n < ELEMENTSOF(clients));
	assert_int_equal(clients[n], -EAGAIN);
	assert_int_equal(socket_listen(path, SOCK_STREAM, 0600), -RE_BUSY);
	for (size_t i = 0; i < n; i++)
		close(clients[i]);
}

static void test_socket_not_in_the_way(void **state)
{
	struct folder *f = *state;
	char path[128];

	assert_int_equal(durable_create_at(f->fd, "file", "x", 1, 0600), 0);
	join_path(path, sizeof(path), f, "file");
	assert_int_equal(socket_listen(path, SOCK_STREAM, 0600), -EEXIST);
	assert_contents(f, "file", "x");
	assert_int_equal(symlinkat("elsewhere", f->fd, "link"), 0);
	join_path(path, sizeof(path), f, "link");
	assert_int_equal(socket_listen(path, SOCK_STREAM, 0600), -EEXIST);
	join_path(path, sizeof(path), f, "none/s");
	assert_int_equal(socket_listen(path, SOCK_STREAM, 0600), -ENOENT);
}

/* sun_path holds 108 bytes. */
static void test_socket_long_path(void **state)
{
	struct folder *f = *state;
	char name[151], path[512];
	struct stat st;

	memset(name, 'd', 150);
	name[150] = '\0';
	join_path(path, sizeof(path), f, name);
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/control");
	assert_true(strlen(path) > sizeof(((struct sockaddr_un *)0)->sun_path));
	_cleanup_close_ int listener = socket_listen(path, SOCK_STREAM, 0600);
	assert_true(listener >= 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	_cleanup_close_ int client = socket_connect(path, SOCK_STREAM);
	assert_true(client >= 0);
	assert_int_equal(unlink(path), 0);

	/* a name that is too long by itself is said so, not cut */
	join_path(path, sizeof(path), f, name);
	assert_int_equal(socket_connect(path, SOCK_STREAM), -ENAMETOOLONG);
}

static void make_pair(int type, int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
}

static void test_fds_travel(void **state)
{
	int pair[2], pipe_fds[2];
	char buf[16];

	make_pair(SOCK_SEQPACKET, pair);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	struct socket_fds sent = {.fd = {pipe_fds[0], pipe_fds[1]}, .count = 2},
			  got = {.count = 77};
	assert_int_equal(socket_send(pair[0], "hello", 5, &sent), 5);
	assert_int_equal(socket_recv(pair[1], buf, sizeof(buf), &got), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(got.count, 2);
	assert_true(fcntl(got.fd[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(got.fd[1], "x", 1), 1);
	assert_int_equal(read(got.fd[0], buf, 1), 1);
	socket_fds_close(&got);
	assert_int_equal(got.count, 0);
	assert_int_equal(fcntl(pipe_fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC); /* still ours */

	assert_int_equal(socket_send(pair[0], "plain", 5, NULL), 5);
	assert_int_equal(socket_recv(pair[1], buf, sizeof(buf), &got), 5);
	assert_int_equal(got.count, 0);
	socket_fds_close(&sent);
	close(pair[0]);
	assert_int_equal(socket_recv(pair[1], buf, sizeof(buf), &got), 0);
	close(pair[1]);
}

/* Descriptors that are open now: none may be left over by a refused message. */
static int open_fds(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	return n;
}

/* Sends n descriptors past the limit that socket_send() keeps. */
static void send_many(int fd, int n)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * 16)];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {(char[]){'x'}, 1};
	struct msghdr message = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	if (!c)
		abort();
	*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n)};
	for (int i = 0; i < n; i++) {
		int zero = fd;
		memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &zero, sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &message, 0), 1);
}

static void test_fds_limits(void **state)
{
	int pair[2];
	char buf[4];
	struct socket_fds got = {.count = 77};

	make_pair(SOCK_SEQPACKET, pair);
	int before = open_fds();
	send_many(pair[0], SOCKET_FDS_MAX);
	assert_int_equal(socket_recv(pair[1], buf, sizeof(buf), &got), 1);
	assert_int_equal(got.count, SOCKET_FDS_MAX);
	socket_fds_close(&got);
	got.count = 77;
	send_many(pair[0], SOCKET_FDS_MAX + 1);
	assert_int_equal(socket_recv(pair[1], buf, sizeof(buf), &got), -RE_PROTOCOL);
	send_many(pair[0], 16);
	assert_int_equal(socket_recv(pair[1], buf, sizeof(buf), &got), -RE_PROTOCOL);
	assert_int_equal(got.count, 77);
	assert_int_equal(open_fds(), before);

	struct socket_fds too_many = {.count = SOCKET_FDS_MAX + 1};
	assert_int_equal(socket_send(pair[0], "x", 1, &too_many), -EINVAL);
	close(pair[0]);
	close(pair[1]);
}

static void test_datagram_too_long(void **state)
{
	int pair[2], before;
	char buf[4];
	struct socket_fds got = {.count = 77};

	make_pair(SOCK_SEQPACKET, pair);
	before = open_fds();
	struct socket_fds sent = {.fd = {pair[0]}, .count = 1};
	assert_int_equal(socket_send(pair[0], "12345", 5, &sent), 5);
	assert_int_equal(socket_recv(pair[1], buf, sizeof(buf), &got), -EMSGSIZE);
	assert_int_equal(got.count, 77);
	assert_int_equal(open_fds(), before);
	assert_int_equal(socket_send(pair[0], "1234", 4, NULL), 4);
	assert_int_equal(socket_recv(pair[1], buf, sizeof(buf), &got), 4);
	close(pair[0]);
	close(pair[1]);
}

static void test_socket_full_and_broken(void **state)
{
	int pair[2];
	char block[4096] = {0};
	ssize_t n;

	make_pair(SOCK_SEQPACKET | SOCK_NONBLOCK, pair);
	do
		n = socket_send(pair[0], block, sizeof(block), NULL);
	while (n > 0);
	assert_int_equal(n, -EAGAIN);
	close(pair[0]);
	close(pair[1]);

	make_pair(SOCK_STREAM, pair);
	close(pair[1]);
	assert_int_equal(socket_send(pair[0], "x", 1, NULL), -EPIPE); /* and no SIGPIPE */
	close(pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_folder(test_socket_life),
			in_folder(test_socket_busy),
			in_folder(test_socket_not_in_the_way),
			in_folder(test_socket_long_path),
			cmocka_unit_test(test_fds_travel),
			cmocka_unit_test(test_fds_limits),
			cmocka_unit_test(test_datagram_too_long),
			cmocka_unit_test(test_socket_full_and_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
