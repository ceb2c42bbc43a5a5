#include "tests/unit/keeper/ingest/intake_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/secret.h"
#include "daemon/common/wire/intake_wire.h"

#define TURNS_MAX 100000 /* of a loop that makes no progress: a hang is a failure */

/* One turn of the server's loop, then a millisecond for the kernel. */
static void turn(struct intake_peer *peer, short events, int *turns)
{
	struct pollfd p = {.fd = peer->fd, .events = events};

	uv_run(&peer->loop, UV_RUN_NOWAIT);
	poll(&p, 1, 1);
	assert_true(++*turns < TURNS_MAX);
}

int intake_peer_second(struct intake_peer *peer)
{
	int fd = socket_connect(peer->path, SOCK_SEQPACKET);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

int intake_peer_setup(void **state)
{
	struct intake_peer *peer = calloc(1, sizeof(*peer));

	vault_fixture_open(&peer->vault);
	snprintf(peer->path, sizeof(peer->path), "%s/intake", peer->vault.dir);
	assert_int_equal(uv_loop_init(&peer->loop), 0);
	int fd = socket_listen(peer->path, SOCK_SEQPACKET, 0666);
	assert_true(fd >= 0);
	assert_int_equal(intake_server_start(&peer->loop, &peer->vault.vault->ingest, fd, geteuid(),
					 &vault_fixture_observer, &peer->server),
			0);
	peer->fd = intake_peer_second(peer);
	*state = peer;
	return 0;
}

int intake_peer_teardown(void **state)
{
	struct intake_peer *peer = *state;

	socket_fds_close(&peer->fds);
	if (peer->fd >= 0)
		close(peer->fd);
	assert_null(intake_server_stop(peer->server));
	uv_run(&peer->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&peer->loop), 0);
	vault_fixture_close(&peer->vault);
	free(peer);
	return 0;
}

void intake_peer_disconnect(struct intake_peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
	for (int i = 0; i < 20; i++)
		uv_run(&peer->loop, UV_RUN_NOWAIT);
}

void intake_peer_connect(struct intake_peer *peer, bool greet)
{
	intake_peer_disconnect(peer);
	peer->fd = intake_peer_second(peer);
	if (!greet)
		return;
	intake_peer_send(peer,
			json_pack("{s:s, s:i}", "op", "hello", "version", INTAKE_WIRE_VERSION));
	json_t *hello = intake_peer_expect(peer, "hello", -1);
	assert_int_equal(
			json_integer_value(json_object_get(hello, "version")), INTAKE_WIRE_VERSION);
	json_decref(hello);
}

void intake_peer_send_raw(struct intake_peer *peer, const void *bytes, size_t len)
{
	ssize_t n;

	for (int turns = 0; (n = socket_send(peer->fd, bytes, len, NULL)) == -EAGAIN;)
		turn(peer, POLLOUT, &turns);
	assert_true(n == (ssize_t)len || n == -EPIPE || n == -ECONNRESET);
}

void intake_peer_send(struct intake_peer *peer, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);

	assert_non_null(text);
	json_decref(message);
	intake_peer_send_raw(peer, text, strlen(text));
	free(text);
}

json_t *intake_peer_receive(struct intake_peer *peer)
{
	json_t *message;
	int r;

	socket_fds_close(&peer->fds);
	for (int turns = 0; (r = intake_wire_receive(peer->fd, &message, &peer->fds)) == -EAGAIN;)
		turn(peer, POLLIN, &turns);
	assert_true(r == 0 || r == -ECONNRESET || r == -EPIPE);
	return r == 0 ? message : NULL;
}

json_t *intake_peer_expect(struct intake_peer *peer, const char *op, json_int_t job)
{
	json_t *message = intake_peer_receive(peer);

	if (!message)
		fail_msg("the connection was closed, where %s was to come", op);
	assert_string_equal(json_string_value(json_object_get(message, "op")), op);
	if (job >= 0)
		assert_int_equal(json_integer_value(json_object_get(message, "job")), job);
	return message;
}

void intake_peer_expect_closed(struct intake_peer *peer)
{
	json_t *message = intake_peer_receive(peer);

	if (message)
		fail_msg("an answer: %s", json_dumps(message, JSON_COMPACT));
	intake_peer_connect(peer, true);
}

json_t *intake_peer_begin(json_int_t job)
{
	uint8_t source[INTAKE_SOURCE_BYTES];

	randombytes_buf(source, sizeof(source));
	return json_pack("{s:s, s:I, s:s, s:o, s:o, s:s, s:o, s:i, s:i, s:i,"
			 " s:{s:s, s:s, s:s, s:i, s:i, s:i}, s:[], s:b, s:b}",
			"op", "begin", "job", job, "spool", "bridge", "account",
			intake_wire_base64("alice", 5), "path",
			intake_wire_base64("alice/a.wav", 11), "class", "default", "source",
			intake_wire_base64(source, sizeof(source)), "recorded_us", 1000,
			"finished_us", 2000, "plain_bytes", 10, "probe", "condition", "ok",
			"damage", "", "format", "wav/pcm_s16le", "channels", 1, "sample_rate", 8000,
			"frames", 5, "sidecars", "discarded", false, "firm", true);
}

void intake_peer_write(struct intake_peer *peer, const json_t *begun, size_t bytes)
{
	uint8_t key[AGE_PAYLOAD_KEY_BYTES], *header, *nonce;
	size_t header_bytes, nonce_bytes;

	assert_int_equal(peer->fds.count, 2);
	assert_int_equal(secret_from_fd(peer->fds.fd[1], key, sizeof(key)), 0);
	assert_int_equal(intake_wire_bytes(begun, "header", 65536, &header, &header_bytes), 0);
	assert_int_equal(intake_wire_bytes(begun, "nonce", AGE_PAYLOAD_NONCE_BYTES, &nonce,
					 &nonce_bytes),
			0);
	assert_int_equal(nonce_bytes, AGE_PAYLOAD_NONCE_BYTES);
	struct ingest_start start = {.header = header,
			.header_bytes = header_bytes,
			.nonce = nonce,
			.payload_key = key,
			.object_fd = peer->fds.fd[0]};
	vault_fixture_write(&start, bytes);
	free(header);
	free(nonce);
}
