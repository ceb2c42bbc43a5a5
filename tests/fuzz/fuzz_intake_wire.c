/* Fuzz target: the wire between intake and keeper. A datagram is received as either end does; the
 * keeper then reads it as a request to seal, and the intake would take its bytes. */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/common/config/config_name.h"
#include "daemon/common/config/config_path.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/keeper/ingest/intake_request.h"

static int sockets[2];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int room = 4 * INTAKE_MESSAGE_MAX;

	FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
				     sockets) == 0);
	FUZZ_REQUIRE(setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0);
	return 0;
}

static void read_request(const json_t *message)
{
	struct intake_request request;
	int r = intake_request_read(message, &request);

	FUZZ_REQUIRE(r == 0 || r == -RE_PROTOCOL);
	if (r < 0)
		return;
	const struct ingest_request *ingest = &request.ingest;
	FUZZ_REQUIRE(ingest->path_len > 0 &&
			strlen((const char *)ingest->path) == ingest->path_len);
	FUZZ_REQUIRE(config_name_is_valid(ingest->spool) && config_name_is_valid(ingest->class));
	FUZZ_REQUIRE(ingest->recorded_us >= 0 && ingest->recorded_us <= INTAKE_TIME_MAX_US);
	FUZZ_REQUIRE(ingest->plain_bytes <= INT64_MAX);
	FUZZ_REQUIRE(ingest->probe.channels <= PROBE_CHANNELS_MAX);
	FUZZ_REQUIRE(ingest->probe.sample_rate <= PROBE_SAMPLE_RATE_MAX);
	FUZZ_REQUIRE(ingest->probe.frames <= INTAKE_FRAMES_MAX ||
			ingest->probe.frames == PROBE_FRAMES_UNKNOWN);
	FUZZ_REQUIRE(recordings_check_sidecars(ingest->sidecars) == 0);
	intake_request_clear(&request);
}

static void read_spool(const json_t *message)
{
	struct spool_question question;
	int r = intake_request_spool(message, &question);

	FUZZ_REQUIRE(r == 0 || r == -RE_PROTOCOL);
	if (r < 0)
		return;
	FUZZ_REQUIRE(config_name_is_valid(question.name));
	FUZZ_REQUIRE(question.files >= -1 && question.files <= INTAKE_COUNT_MAX);
	FUZZ_REQUIRE(question.recordings >= 0 && question.bytes >= 0);
	FUZZ_REQUIRE(question.files >= 0 || !question.empty);
}

static void read_bytes(const json_t *message, const char *key, size_t max)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t len = 0;
	int r = intake_wire_bytes(message, key, max, &bytes, &len);

	FUZZ_REQUIRE(r == -RE_PROTOCOL || (r == 0 && len <= max && bytes[len] == '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct socket_fds fds = {.count = 0};
	json_t *message;

	if (size == 0 || send(sockets[0], data, size, 0) != (ssize_t)size)
		return 0;
	int r = intake_wire_receive(sockets[1], &message, &fds);
	FUZZ_REQUIRE(r == 0 || r == -RE_PROTOCOL);
	FUZZ_REQUIRE(fds.count == 0);
	if (r < 0)
		return 0;
	FUZZ_REQUIRE(size <= INTAKE_MESSAGE_MAX);
	read_request(message);
	read_spool(message);
	read_bytes(message, "header", 64);
	read_bytes(message, "nonce", 16);
	json_decref(message);
	return 0;
}
