#include "cli/plugin_identity.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "cli/plugin_files.h"
#include "crypto/age_stanza.h"

#define INDEX_CHARS 24

/* What the client said in phase 1. */
struct request {
	struct plugin_files files;
	bool *identity_known; /* for each identity, in order: is it ours? */
	size_t n_identities;
};

#define IDENTITIES_MAX 1024

static void request_clear(struct request *request)
{
	plugin_files_clear(&request->files);
	free(request->identity_known);
}

static int add_identity(struct request *request, const struct age_stanza *command)
{
	if (command->n_args != 2 || request->n_identities == IDENTITIES_MAX)
		return -RE_PROTOCOL;
	bool *known = reallocarray(
			request->identity_known, request->n_identities + 1, sizeof(*known));
	if (!known)
		return -ENOMEM;
	known[request->n_identities++] = strcasecmp(command->args[1], PLUGIN_IDENTITY) == 0;
	request->identity_known = known;
	return 0;
}

/* One command of phase 1. Unknown commands are ignored: clients send some on purpose (grease). */
static int take_command(struct request *request, const struct age_stanza *command)
{
	if (strcmp(command->args[0], "add-identity") == 0)
		return add_identity(request, command);
	if (strcmp(command->args[0], "recipient-stanza") == 0)
		return plugin_files_add(&request->files, command);
	return 0;
}

/* Phase 1: the client's commands up to `done`. request NULL: ignore them all. */
static int read_commands(struct plugin_stream *stream, struct request *request)
{
	for (;;) {
		struct age_stanza command;
		int r = plugin_stanza_read(stream, &command);
		if (r < 0)
			return r;
		bool done = strcmp(command.args[0], "done") == 0;
		if (!done && request)
			r = take_command(request, &command);
		age_stanza_free(&command);
		if (r < 0 || done)
			return r;
	}
}

static bool is_response(const char *type)
{
	return strcmp(type, "ok") == 0 || strcmp(type, "fail") == 0 ||
	       strcmp(type, "unsupported") == 0;
}

/* Sends a command of phase 2 and waits for a response; what the response says does not matter. */
static int send_command(struct plugin_stream *stream, const char *const args[], size_t n_args,
		const void *body, size_t body_len)
{
	struct age_stanza response;
	int r = plugin_stanza_write(stream, args, n_args, body, body_len);

	if (r == 0)
		r = plugin_stanza_read(stream, &response);
	if (r < 0)
		return r;
	bool known = is_response(response.args[0]);
	age_stanza_free(&response);
	return known ? 0 : -RE_PROTOCOL;
}

static int send_done(struct plugin_stream *stream)
{
	return plugin_stanza_write(stream, (const char *const[]){"done"}, 1, NULL, 0);
}

static int send_internal_error(struct plugin_stream *stream, const char *text)
{
	const char *const args[] = {"error", "internal"};

	return send_command(stream, args, ELEMENTSOF(args), text, strlen(text));
}

static int send_stanza_error(struct plugin_stream *stream, uint64_t file_index, size_t stanza_index,
		const char *text)
{
	char file[INDEX_CHARS], stanza[INDEX_CHARS];
	const char *const args[] = {"error", "stanza", file, stanza};

	snprintf(file, sizeof(file), "%llu", (unsigned long long)file_index);
	snprintf(stanza, sizeof(stanza), "%zu", stanza_index);
	return send_command(stream, args, ELEMENTSOF(args), text, strlen(text));
}

/* One error for each identity that is not ours; how many there were. */
static int send_identity_errors(struct plugin_stream *stream, const struct request *request)
{
	static const char text[] = "this identity is not one of recseal; "
				   "use age -d -j recseal, or " PLUGIN_IDENTITY;
	int n_errors = 0;

	for (size_t i = 0; i < request->n_identities; i++) {
		char index[INDEX_CHARS];
		const char *const args[] = {"error", "identity", index};
		if (request->identity_known[i])
			continue;
		snprintf(index, sizeof(index), "%zu", i);
		int r = send_command(stream, args, ELEMENTSOF(args), text, strlen(text));
		if (r < 0)
			return r;
		n_errors++;
	}
	return n_errors;
}

static int send_file_key(struct plugin_stream *stream, uint64_t file_index, const uint8_t *file_key)
{
	char index[INDEX_CHARS];
	const char *const args[] = {"file-key", index};

	snprintf(index, sizeof(index), "%llu", (unsigned long long)file_index);
	return send_command(stream, args, ELEMENTSOF(args), file_key, AGE_FILE_KEY_BYTES);
}

/* Asks for one file's key and hands it on, or the reason why not. After PLUGIN_UNWRAP_FAILED it is
 * pointless to ask for the other files. */
static int unwrap_file(struct plugin_stream *stream, const struct plugin_unwrap *unwrap,
		const struct plugin_file *file)
{
	_cleanup_secret_ uint8_t *file_key = secret_new(AGE_FILE_KEY_BYTES);
	struct reason reason = {0};

	if (!file_key)
		return -ENOMEM;
	int r = unwrap->unwrap(unwrap->context, &file->rec, file->tag_hash, file_key, &reason);
	if (r == 0)
		return send_file_key(stream, file->index, file_key);
	if (r < 0)
		return r;
	if (r == PLUGIN_UNWRAP_DENIED)
		return send_stanza_error(stream, file->index, file->rec_index, reason.text);
	int sent = send_internal_error(stream, reason.text);
	return sent < 0 ? sent : r;
}

static int answer_file(struct plugin_stream *stream, const struct plugin_unwrap *unwrap,
		const struct plugin_file *file)
{
	size_t index = 0;
	const char *problem = plugin_file_problem(file, &index);

	if (problem)
		return send_stanza_error(stream, file->index, index, problem);
	return file->n_rec == 1 ? unwrap_file(stream, unwrap, file) : 0;
}

/* Phase 2. With an invalid identity nothing may be unwrapped. */
static int answer_request(struct plugin_stream *stream, const struct plugin_unwrap *unwrap,
		const struct request *request)
{
	int r = send_identity_errors(stream, request);

	if (r == 0 && request->n_identities > 0) {
		for (size_t i = 0; r == 0 && i < request->files.n; i++)
			r = answer_file(stream, unwrap, &request->files.files[i]);
	}
	return r < 0 ? r : send_done(stream);
}

/* A client that has seen an error, or all it wanted, may close the connection before the end. */
static int forgive_hangup(int r)
{
	return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

int plugin_identity_run(struct plugin_stream *stream, const struct plugin_unwrap *unwrap)
{
	struct request request = {0};
	int r = read_commands(stream, &request);

	if (r == 0)
		r = forgive_hangup(answer_request(stream, unwrap, &request));
	request_clear(&request);
	return r;
}

int plugin_identity_refuse_recipient(struct plugin_stream *stream)
{
	int r = read_commands(stream, NULL);

	if (r == 0)
		r = send_internal_error(stream,
				"nothing can be encrypted to recseal: recordings are "
				"sealed by recseald, under keys that can be destroyed");
	if (r == 0)
		r = send_done(stream);
	return forgive_hangup(r);
}
