/* recseal-probe: what is in this file? Started by recseald; see daemon/common/wire/probe_wire.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/sandbox.h"
#include "daemon/probe/server.h"
#include "daemon/probe/sniff.h"

/* In the child: confine, and only then look. The file's size is no byte of it. */
static int judge_file(void *context, unsigned timeout_ms, struct probe_result *ret_result)
{
	const struct sandbox *sandbox = context;
	struct source source;
	int source_r = source_init(STDIN_FILENO, &source);
	/* The limit of processor time is for a child whose server no longer watches it. */
	int r = sandbox_enter_child(sandbox, timeout_ms / 1000 + 2);

	if (r < 0)
		return r;
	if (source_r < 0)
		probe_wire_set_unprobed(
				ret_result, "cannot be read: %s", strerrordesc_np(-source_r));
	else
		sniff(&source, ret_result);
	return 0;
}

/* Descriptors 0 to 2 lead nowhere but must be taken, and none but the socket is to be open. */
static int check_descriptors(void)
{
	int type, fd;
	socklen_t len = sizeof(type);

	if (getsockopt(PROBE_SOCKET_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return -errno;
	if (type != SOCK_SEQPACKET)
		return -EPROTOTYPE;
	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	return close_range(PROBE_SOCKET_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

static int run_probe(void)
{
	_cleanup_(sandbox_free_p) struct sandbox *sandbox = NULL;
	int r = check_descriptors();

	if (r < 0)
		return r;
	r = sandbox_new(&sandbox);
	if (r < 0)
		return r;
	sniff_warm_up();
	r = sandbox_enter_server(sandbox);
	if (r < 0)
		return r;
	return server_run(PROBE_SOCKET_FD, &(struct probe_judge){judge_file, sandbox});
}

int main(int argc, char **argv)
{
	if (argc != 1) {
		fprintf(stderr, "recseal-probe is started by recseald, with a socket on "
				"descriptor 3\n");
		return 2;
	}
	int r = run_probe();
	if (r < 0)
		fprintf(stderr, "recseal-probe: %s\n", error_text(r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
