/* The messages themselves, and a ring of those that wait for room in the socket. */
#include "daemon/keeper/ingest/intake_replies.h"

#include <errno.h>
#include <fcntl.h>

#include "daemon/common/wire/intake_wire.h"

static int duplicate(const struct socket_fds *fds, struct socket_fds *ret_fds)
{
	struct socket_fds copies = {.count = 0};

	for (size_t i = 0; fds && i < fds->count; i++) {
		int copy = fcntl(fds->fd[i], F_DUPFD_CLOEXEC, 3);
		if (copy < 0) {
			int r = -errno;
			socket_fds_close(&copies);
			return r;
		}
		copies.fd[copies.count++] = copy;
	}
	*ret_fds = copies;
	return 0;
}

static int reply_keep(struct intake_replies *replies, json_t *message, const struct socket_fds *fds)
{
	size_t last = (replies->first + replies->count) % INTAKE_REPLIES_MAX;
	struct intake_reply *reply = &replies->waiting[last];

	if (replies->count == INTAKE_REPLIES_MAX)
		return -ENOBUFS;
	/* The caller closes its own as soon as it returns. */
	int r = duplicate(fds, &reply->fds);
	if (r < 0)
		return r;
	reply->message = json_incref(message);
	replies->count++;
	return 0;
}

int intake_replies_send(struct intake_replies *replies, int fd, json_t *message,
		const struct socket_fds *fds)
{
	/* Replies keep their order: none overtakes one that waits. */
	int r = replies->count > 0 ? -EAGAIN : intake_wire_send(fd, message, fds);

	return r == -EAGAIN ? reply_keep(replies, message, fds) : r;
}

static void reply_drop_first(struct intake_replies *replies)
{
	struct intake_reply *reply = &replies->waiting[replies->first];

	json_decref(reply->message);
	socket_fds_close(&reply->fds);
	replies->first = (replies->first + 1) % INTAKE_REPLIES_MAX;
	replies->count--;
}

int intake_replies_flush(struct intake_replies *replies, int fd)
{
	while (replies->count > 0) {
		struct intake_reply *reply = &replies->waiting[replies->first];
		int r = intake_wire_send(fd, reply->message, &reply->fds);
		if (r < 0)
			return r == -EAGAIN ? 0 : r;
		reply_drop_first(replies);
	}
	return 0;
}

void intake_replies_clear(struct intake_replies *replies)
{
	while (replies->count > 0)
		reply_drop_first(replies);
}

json_t *intake_replies_failed(int64_t job, const char *why, bool retry)
{
	return json_pack("{s:s, s:I, s:s, s:b}", "op", "failed", "job", (json_int_t)job, "error",
			why, "retry", retry);
}

json_t *intake_replies_committed(int64_t job, const uint8_t ulid[static ULID_BYTES])
{
	char id[ULID_TEXT_CHARS + 1];

	ulid_format(ulid, id);
	return json_pack("{s:s, s:I, s:s}", "op", "committed", "job", (json_int_t)job, "recording",
			id);
}

json_t *intake_replies_already(int64_t job, const uint8_t ulid[static ULID_BYTES], bool sidecars)
{
	char id[ULID_TEXT_CHARS + 1];

	ulid_format(ulid, id);
	return json_pack("{s:s, s:I, s:s, s:b}", "op", "already", "job", (json_int_t)job,
			"recording", id, "sidecars", sidecars);
}

json_t *intake_replies_begun(int64_t job, const struct ingest_start *start)
{
	char id[ULID_TEXT_CHARS + 1];

	ulid_format(start->recording_id, id);
	return json_pack("{s:s, s:I, s:s, s:o, s:o}", "op", "begun", "job", (json_int_t)job,
			"recording", id, "header",
			intake_wire_base64(start->header, start->header_bytes), "nonce",
			intake_wire_base64(start->nonce, AGE_PAYLOAD_NONCE_BYTES));
}
