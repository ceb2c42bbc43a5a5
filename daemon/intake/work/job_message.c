#include "daemon/intake/work/job_message.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "crypto/age_header.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/intake/source/aside.h"

static json_t *probe_object(const struct probe_result *probe)
{
	json_t *o = json_pack("{s:s}", "condition", probe_wire_condition_name(probe->condition));
	int r = 0;

	if (!o)
		return NULL;
	if (probe->damage[0])
		r |= json_object_set_new(o, "damage", json_string(probe->damage));
	if (probe->recoverable_bytes)
		r |= json_object_set_new(o, "recoverable_bytes",
				json_integer((json_int_t)probe->recoverable_bytes));
	if (probe->format[0])
		r |= json_object_set_new(o, "format", json_string(probe->format));
	if (probe->channels)
		r |= json_object_set_new(o, "channels", json_integer(probe->channels));
	if (probe->sample_rate)
		r |= json_object_set_new(o, "sample_rate", json_integer(probe->sample_rate));
	if (probe->frames <= INT64_MAX)
		r |= json_object_set_new(o, "frames", json_integer((json_int_t)probe->frames));
	if (r < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *account_of(const struct bundle *bundle)
{
	return bundle && bundle->account
			       ? intake_wire_base64(bundle->account, strlen(bundle->account))
			       : json_null();
}

static json_t *sidecars_of(const struct bundle *bundle)
{
	json_t *list = json_array();

	for (size_t i = 0; bundle && i < bundle->n_sidecars; i++) {
		const struct sidecar *s = &bundle->sidecar[i];
		json_t *o = json_pack("{s:o, s:o}", "path",
				intake_wire_base64(s->path, strlen(s->path)), "bytes",
				intake_wire_base64(s->bytes, s->len));
		if (json_array_append_new(list, o) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *job_message_begin(uint32_t job, const struct job_order *order, uint64_t plain_bytes,
		const struct probe_result *probe)
{
	char buf[PATH_MAX];
	const char *path = aside_path(order->candidate->path, buf);

	return json_pack("{s:s, s:I, s:s, s:o, s:o, s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:b}", "op",
			"begin", "job", (json_int_t)job, "spool", order->spool->name, "account",
			account_of(order->bundle), "path", intake_wire_base64(path, strlen(path)),
			"class", order->spool->class, "source",
			intake_wire_base64(order->hash, sizeof(order->hash)), "recorded_us",
			(json_int_t)order->recorded_us, "finished_us",
			(json_int_t)order->finished_us, "plain_bytes", (json_int_t)plain_bytes,
			"probe", probe_object(probe), "sidecars", sidecars_of(order->bundle),
			"discarded", order->bundle && order->bundle->discarded);
}

json_t *job_message_simple(const char *op, uint32_t job)
{
	return json_pack("{s:s, s:I}", "op", op, "job", (json_int_t)job);
}

json_t *job_message_unlinked(uint32_t job, int64_t exposure_us)
{
	return json_pack("{s:s, s:I, s:I}", "op", "unlinked", "job", (json_int_t)job, "exposure_us",
			(json_int_t)exposure_us);
}

/* An object is an empty regular file that we may write to. */
static bool is_object(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && !(flags & O_PATH) &&
	       fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

int job_message_grant(const json_t *message, struct socket_fds *fds, struct job_grant *ret_grant)
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
