/* Fuzz target: Varlink's framing and calls.
 *
 * The input is a stream, sent in pieces whose sizes its first byte gives. The messages that come
 * out are those between its NULs, whatever the pieces; each is read as a call and answered. */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/varlink/varlink_call_internal.h"

#define REQUEST_BYTES 1024

static int sockets[2];
static const struct varlink_service service = {.vendor = "v",
		.product = "p",
		.version = "1",
		.url = "u",
		.interface = "org.example.fuzz",
		.description = "interface org.example.fuzz"};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets) ==
			0);
	return 0;
}

/* Takes what was answered, up to its NUL. */
static void check_answer(struct varlink_io *io)
{
	char answer[4 * REQUEST_BYTES + 4096];
	size_t len = 0;

	FUZZ_REQUIRE(varlink_io_flush(io) == 0 && !io->out);
	for (ssize_t n; (n = read(sockets[0], answer + len, sizeof(answer) - len)) > 0;)
		len += (size_t)n;
	FUZZ_REQUIRE(len > 0 && memchr(answer, 0, len) == answer + len - 1);
	json_t *message = json_loads(answer, JSON_REJECT_DUPLICATES, NULL);
	FUZZ_REQUIRE(json_is_object(json_object_get(message, "parameters")));
	json_decref(message);
}

static void answer_call(struct varlink_io *io, const char *text, size_t len)
{
	struct varlink_call call;
	int r = varlink_call_begin(&call, io, text, len);

	FUZZ_REQUIRE(r == 0 || r == -RE_PROTOCOL);
	if (r < 0)
		return;
	FUZZ_REQUIRE(json_is_object(varlink_call_parameters(&call)) && varlink_call_method(&call));
	varlink_call_introspect(&call, &service);
	FUZZ_REQUIRE(call.answered && !call.broken);
	if (!call.oneway)
		check_answer(io);
	FUZZ_REQUIRE(!io->out);
	varlink_call_end(&call);
}

/* Takes the messages that are whole, which must be the next ones of the stream. False when the
 * connection is to be closed. */
static bool take_messages(struct varlink_io *io, const uint8_t **expected)
{
	const char *text;
	size_t len;
	int r;

	while ((r = varlink_io_take(io, &text, &len)) == 1) {
		FUZZ_REQUIRE(len <= REQUEST_BYTES && strlen(text) == len);
		FUZZ_REQUIRE(memcmp(*expected, text, len + 1) == 0);
		*expected += len + 1;
		answer_call(io, text, len);
	}
	FUZZ_REQUIRE(r == 0 || r == -RE_PROTOCOL);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct varlink_io io = {.fd = sockets[1], .request_bytes = REQUEST_BYTES};
	size_t piece = (size_t)fuzz_byte(&data, &size) + 1, n;
	_cleanup_free_ uint8_t *stream = fuzz_bytes(data, size);
	const uint8_t *expected = stream, *end = stream + size;
	bool open = true;

	for (const uint8_t *at = stream; open && at < end; at += n) {
		n = (size_t)(end - at) < piece ? (size_t)(end - at) : piece;
		FUZZ_REQUIRE(send(sockets[0], at, n, 0) == (ssize_t)n);
		FUZZ_REQUIRE(varlink_io_read(&io) == 0);
		open = take_messages(&io, &expected);
	}
	if (open)
		FUZZ_REQUIRE(!memchr(expected, 0, (size_t)(end - expected)) &&
				varlink_io_partial(&io) == (expected < end));
	varlink_io_clear(&io);
	return 0;
}
