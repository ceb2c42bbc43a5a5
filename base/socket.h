/* Unix sockets with long paths, descriptor passing and peer credentials. Linux only. */
#pragma once

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Binds and listens on path (any length: bound through its directory's descriptor). type is
 * SOCK_STREAM or SOCK_SEQPACKET; the socket is non-blocking and close-on-exec. A dead socket left
 * at the path is replaced, a live one is -RE_BUSY, anything else there is -EEXIST. Returns the
 * descriptor or -errno. */
int socket_listen(const char *path, int type, mode_t mode);

/* Connects (blocking socket). Returns the descriptor or -errno. */
int socket_connect(const char *path, int type);

/* Kernel-attested peer of a connected socket (SO_PEERCRED). */
struct peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};
int socket_peer(int fd, struct peer *ret_peer);

/* Whether the peer's process had this group when it connected (SO_PEERCRED, SO_PEERGROUPS).
 * 1 yes, 0 no, or -errno. */
int socket_peer_in_group(int fd, gid_t gid);

/* One sendmsg(2)/recvmsg(2) with up to SOCKET_FDS_MAX descriptors.
 *
 * socket_send returns the count of bytes taken, or -errno (-EAGAIN on a full non-blocking socket).
 * The descriptors stay the caller's; they travel with the first byte. socket_recv returns the count
 * of bytes (0 at end of stream), or -errno. Received descriptors are close-on-exec and the
 * caller's; more than fit is -RE_PROTOCOL, all closed. A cut datagram is -EMSGSIZE. */
#define SOCKET_FDS_MAX 4
struct socket_fds {
	int fd[SOCKET_FDS_MAX];
	size_t count;
};
ssize_t socket_send(int fd, const void *data, size_t len, const struct socket_fds *fds_or_null);
ssize_t socket_recv(int fd, void *buf, size_t len, struct socket_fds *ret_fds);

/* Closes what is left in it and empties it. */
void socket_fds_close(struct socket_fds *fds);
