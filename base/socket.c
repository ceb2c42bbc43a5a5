#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

/* sun_path holds 108 bytes; "/proc/self/fd/N/name" reaches a socket below any path. */
static int address_of(const char *path, struct sockaddr_un *ret_address, int *ret_dir_fd)
{
	_cleanup_free_ char *for_dir = strdup(path), *for_base = strdup(path);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (!for_dir || !for_base)
		return -ENOMEM;
	int dir_fd = open(dirname(for_dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir_fd,
			basename(for_base));
	if (n >= (int)sizeof(address.sun_path)) {
		close(dir_fd);
		return -ENAMETOOLONG;
	}
	*ret_address = address;
	*ret_dir_fd = dir_fd;
	return 0;
}

/* Removes a socket that nobody listens on. Only a refused connection says so: a live socket may
 * also be of another type, or too busy to answer at once. */
static int remove_dead_socket(const char *path, int type)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	_cleanup_close_ int fd = socket_connect(path, type | SOCK_NONBLOCK);
	if (fd >= 0 || fd == -EPROTOTYPE || fd == -EAGAIN)
		return -RE_BUSY;
	if (fd != -ECONNREFUSED && fd != -ENOENT)
		return fd;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int socket_listen(const char *path, int type, mode_t mode)
{
	_cleanup_close_ int fd = -1, dir_fd = -1;
	struct sockaddr_un address;
	int r = remove_dead_socket(path, type);

	if (r == 0)
		r = address_of(path, &address, &dir_fd);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* The mode of the inode is set before anybody can connect: listen() comes last. */
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
			chmod(address.sun_path, mode) < 0 || listen(fd, 64) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int socket_connect(const char *path, int type)
{
	_cleanup_close_ int fd = -1, dir_fd = -1;
	struct sockaddr_un address;
	int r = address_of(path, &address, &dir_fd);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int socket_peer(int fd, struct peer *ret_peer)
{
	struct ucred credentials;
	socklen_t len = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) < 0)
		return -errno;
	*ret_peer = (struct peer){credentials.pid, credentials.uid, credentials.gid};
	return 0;
}

int socket_peer_in_group(int fd, gid_t gid)
{
	struct peer peer;
	gid_t groups[1024];
	socklen_t len = sizeof(groups);
	int r = socket_peer(fd, &peer);

	if (r < 0)
		return r;
	if (peer.gid == gid)
		return 1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return -errno;
	for (size_t i = 0; i < len / sizeof(gid_t); i++) {
		if (groups[i] == gid)
			return 1;
	}
	return 0;
}

ssize_t socket_send(int fd, const void *data, size_t len, const struct socket_fds *fds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * SOCKET_FDS_MAX)];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fds && fds->count > SOCKET_FDS_MAX)
		return -EINVAL;
	if (fds && fds->count > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fds->count);
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fds->count);
		memcpy(CMSG_DATA(c), fds->fd, sizeof(int) * fds->count);
	}
	for (;;) {
		ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
		if (n >= 0 || errno != EINTR)
			return n < 0 ? -errno : n;
	}
}

static void collect_fds(struct msghdr *message, struct socket_fds *ret_fds)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int received;
			memcpy(&received, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (ret_fds->count < SOCKET_FDS_MAX)
				ret_fds->fd[ret_fds->count++] = received;
			else
				close(received);
		}
	}
}

ssize_t socket_recv(int fd, void *buf, size_t len, struct socket_fds *ret_fds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * SOCKET_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct msghdr message = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes)};
	struct socket_fds fds = {.count = 0};
	ssize_t n;

	do
		n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	collect_fds(&message, &fds);
	if (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
		socket_fds_close(&fds);
		return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : -RE_PROTOCOL;
	}
	*ret_fds = fds;
	return n;
}

void socket_fds_close(struct socket_fds *fds)
{
	for (size_t i = 0; i < fds->count; i++) {
		if (fds->fd[i] >= 0)
			close(fds->fd[i]);
	}
	fds->count = 0;
}
