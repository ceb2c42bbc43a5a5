#include "tests/unit/keeper/varlink/varlink_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define BIG_BYTES (1024 * 1024)

/* Streams `left` pieces of `bytes` bytes. */
struct stream {
	struct fixture *fixture;
	json_int_t left;
	size_t bytes;
};

/* Answers after `left` looks, each of which is written to the fixture's log with its mark. */
struct look {
	struct fixture *fixture;
	json_int_t left;
	char mark;
};

static json_t *filler(size_t bytes)
{
	_cleanup_free_ char *text = malloc(bytes + 1);

	memset(text, 'x', bytes);
	text[bytes] = '\0';
	return json_pack("{s:s}", "x", text);
}

static void stream_next(struct varlink_call *call, void *state)
{
	struct stream *stream = state;

	stream->fixture->pieces++;
	if (--stream->left > 0)
		varlink_call_continue(call, filler(stream->bytes));
	else
		varlink_call_reply(call, filler(stream->bytes), NULL);
}

static void stream_free(void *state)
{
	struct stream *stream = state;

	stream->fixture->streams_freed++;
	free(stream);
}

static void stream_free_look(void *state)
{
	struct look *look = state;

	look->fixture->streams_freed++;
	free(look);
}

static const struct varlink_stream stream_ops = {stream_next, stream_free};

static void start_stream(struct fixture *f, struct varlink_call *call)
{
	const json_t *parameters = varlink_call_parameters(call);
	struct stream *stream = calloc(1, sizeof(*stream));

	stream->fixture = f;
	stream->left = json_integer_value(json_object_get(parameters, "pieces"));
	stream->bytes = (size_t)json_integer_value(json_object_get(parameters, "bytes"));
	varlink_call_stream(call, &stream_ops, stream);
}

static void look_next(struct varlink_call *call, void *state)
{
	struct look *look = state;
	struct fixture *f = look->fixture;

	if (f->n_looks < sizeof(f->looks) - 1)
		f->looks[f->n_looks++] = look->mark;
	if (--look->left <= 0)
		varlink_call_reply(call, json_object(), NULL);
}

static const struct varlink_stream look_ops = {look_next, stream_free_look};

static void start_look(struct fixture *f, struct varlink_call *call)
{
	const json_t *parameters = varlink_call_parameters(call);
	const char *mark = json_string_value(json_object_get(parameters, "mark"));
	struct look *look = calloc(1, sizeof(*look));

	look->fixture = f;
	look->left = json_integer_value(json_object_get(parameters, "looks"));
	look->mark = mark ? *mark : '?';
	varlink_call_defer(call, &look_ops, look);
}

static void reply_with_fd(struct varlink_call *call)
{
	const json_t *parameters = varlink_call_parameters(call);
	const json_t *word = json_object_get(parameters, "word");
	json_int_t bytes = json_integer_value(json_object_get(parameters, "bytes"));
	struct socket_fds fds = {.fd = {memfd_create("word", MFD_CLOEXEC)}, .count = 1};

	assert_true(write(fds.fd[0], json_string_value(word), json_string_length(word)) > 0);
	varlink_call_reply(call, filler((size_t)bytes), &fds);
	assert_int_equal(fds.count, 0);
}

static void on_call(void *context, struct varlink_call *call)
{
	struct fixture *f = context;
	const char *method = varlink_call_method(call);

	f->calls++;
	if (strcmp(method, "Echo") == 0)
		varlink_call_reply(call, json_deep_copy(varlink_call_parameters(call)), NULL);
	else if (strcmp(method, "Stream") == 0)
		start_stream(f, call);
	else if (strcmp(method, "Look") == 0)
		start_look(f, call);
	else if (strcmp(method, "Big") == 0)
		varlink_call_reply(call, filler(BIG_BYTES), NULL);
	else if (strcmp(method, "Fd") == 0)
		reply_with_fd(call);
	else if (strcmp(method, "NoMemory") == 0)
		varlink_call_reply(call, NULL, NULL);
	else if (strcmp(method, "Forgetful") != 0)
		varlink_call_method_not_found(call);
}

static unsigned on_lane(void *context, int fd)
{
	struct fixture *f = context;

	return f->next_lane;
}

void start_server(struct fixture *f, const struct varlink_limits *limits)
{
	int fd = socket_listen(f->path, SOCK_STREAM, 0666);

	assert_true(fd >= 0);
	assert_int_equal(varlink_server_start(&f->loop, &f->service, limits, fd, &f->server), 0);
}

void stop_server(struct fixture *f)
{
	f->server = varlink_server_stop(f->server);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	unlink(f->path);
}

void restart_server(struct fixture *f, const struct varlink_limits *limits)
{
	client_close(&f->client);
	stop_server(f);
	start_server(f, limits);
	client_connect(&f->client, &f->loop, f->path);
}

int varlink_fixture_setup(void **state)
{
	static const struct varlink_limits limits = {
			.request_bytes = REQUEST_BYTES, .connections = 8, .patience_ms = 600000};
	struct fixture *f = calloc(1, sizeof(*f));

	f->service = (struct varlink_service){.vendor = "vendor",
			.product = "product",
			.version = "1",
			.url = "https://example.org",
			.interface = "org.example.test",
			.description = "interface org.example.test\n",
			.call = on_call,
			.lane = on_lane,
			.context = f};
	strcpy(f->dir, "/tmp/varlink-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(chmod(f->dir, 0755), 0);
	snprintf(f->path, sizeof(f->path), "%s/socket", f->dir);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	start_server(f, &limits);
	client_connect(&f->client, &f->loop, f->path);
	*state = f;
	return 0;
}

int varlink_fixture_teardown(void **state)
{
	struct fixture *f = *state;

	client_close(&f->client);
	stop_server(f);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	rmdir(f->dir);
	free(f);
	return 0;
}

void assert_echo(struct client *client, int expected)
{
	json_t *reply = client_receive(client, NULL);
	json_int_t n;

	assert_non_null(reply);
	assert_int_equal(json_unpack(reply, "{s:{s:I}}", "parameters", "n", &n), 0);
	assert_int_equal(n, expected);
	assert_null(json_object_get(reply, "continues"));
	json_decref(reply);
}

void send_echo(struct client *client, int n)
{
	char text[128];

	snprintf(text, sizeof(text),
			"{\"method\":\"org.example.test.Echo\",\"parameters\":{\"n\":%d}}", n);
	client_send(client, text);
}

void assert_serving(struct fixture *f)
{
	struct client client;

	client_connect(&client, &f->loop, f->path);
	send_echo(&client, 7);
	assert_echo(&client, 7);
	client_close(&client);
}

void assert_error(json_t *reply, const char *name, const char *key, const char *value)
{
	const char *error, *text = NULL;

	assert_non_null(reply);
	assert_int_equal(json_unpack(reply, "{s:s}", "error", &error), 0);
	assert_string_equal(error, name);
	if (key) {
		assert_int_equal(json_unpack(reply, "{s:{s:s}}", "parameters", key, &text), 0);
		assert_string_equal(text, value);
	}
	json_decref(reply);
}
