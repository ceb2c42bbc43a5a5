#include "daemon/intake/work/job_grant.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "crypto/age_header.h"
#include "daemon/common/wire/intake_wire.h"

/* An object is an empty regular file that this process may write to. */
static bool is_object(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && !(flags & O_PATH) &&
	       fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

int job_grant_read(const json_t *message, struct socket_fds *fds, struct job_grant *ret_grant)
{
	_cleanup_free_ uint8_t *nonce = NULL;
	struct job_grant grant = {.object_fd = -1, .key_fd = -1};
	size_t nonce_len;

	if (fds->count != 2 || !is_object(fds->fd[0]))
		return -RE_PROTOCOL;
	int r = intake_wire_bytes(message, "nonce", AGE_PAYLOAD_NONCE_BYTES, &nonce, &nonce_len);
	if (r < 0)
		return r;
	if (nonce_len != AGE_PAYLOAD_NONCE_BYTES)
		return -RE_PROTOCOL;
	memcpy(grant.nonce, nonce, nonce_len);
	r = intake_wire_bytes(
			message, "header", AGE_HEADER_MAX_BYTES, &grant.header, &grant.header_len);
	if (r < 0)
		return r;
	/* The descriptors last, when nothing can fail any more: until now the caller closes them.
	 * The key's is checked by seal_run(), which reads it. */
	grant.object_fd = TAKE_FD(fds->fd[0]);
	grant.key_fd = TAKE_FD(fds->fd[1]);
	*ret_grant = grant;
	return 0;
}

void job_grant_release(struct job_grant *grant)
{
	if (grant->object_fd >= 0)
		close(grant->object_fd);
	if (grant->key_fd >= 0)
		close(grant->key_fd);
	free(grant->header);
	*grant = (struct job_grant){.object_fd = -1, .key_fd = -1};
}
