/* The probe server as the client starts it, but with the misbehaving judge. It serves only if it
 * was started as it should be: no environment, no descriptor but 0 to 3. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/support/probe_judge.h"

int main(void)
{
	if (environ && environ[0])
		return 3;
	for (int fd = 0; fd < 1024; fd++) {
		if ((fcntl(fd, F_GETFD) >= 0) != (fd <= PROBE_SOCKET_FD))
			return 4;
	}
	return server_run(PROBE_SOCKET_FD, &(struct probe_judge){probe_test_judge, NULL}) < 0;
}
