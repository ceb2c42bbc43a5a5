/* recsealctl play: the original bytes of one recording, to a new file or to standard output. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/output_file.h"
#include "cli/sealed_object.h"
#include "cli/session.h"

static int write_plain(void *context, const uint8_t *plain, size_t len)
{
	return io_write_all(*(const int *)context, plain, len);
}

/* A damaged chunk in the middle of the recording, or a write that failed. */
static enum cli_exit explain_incomplete(
		const char *id, const char *file, int r, uint64_t done_bytes)
{
	const char *target = file ? file : "standard output";

	if (r != -RE_PAYLOAD) {
		output_error("%s: copying to %s failed: %s", id, target, error_text(r));
	} else if (file) {
		output_error("%s is damaged after %" PRIu64 " bytes; %s was not created. The "
			     "bytes before the damage are authentic: play to standard output "
			     "to keep them",
				id, done_bytes, file);
	} else {
		output_error("%s is damaged: the %" PRIu64 " bytes written so far are authentic "
			     "but incomplete",
				id, done_bytes);
	}
	return CLI_ERROR;
}

static enum cli_exit explain_unopened(const char *id, int r)
{
	if (r == -RE_PAYLOAD)
		output_error("%s: the sealed object is damaged, cut short or extended; nothing "
			     "was written",
				id);
	else if (r == -ENOMEM)
		output_error("%s: no memory can be locked for the key; raise the limit (ulimit -l)",
				id);
	else
		output_error("%s: cannot open the sealed object: %s", id, error_text(r));
	return CLI_ERROR;
}

static enum cli_exit open_recording(const struct arguments *arguments, const char *reason,
		struct sealed_object **ret_object)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	_cleanup_reply_ struct varlink_reply reply = {0};
	const char *id = arguments->operands[0];
	enum cli_exit e = session_open(arguments, &client);

	if (e == CLI_DONE)
		e = control_call(client, CONTROL_INTERFACE "OpenRecording",
				json_pack("{s:s, s:s, s:s}", "id", id, "purpose", "play", "reason",
						reason),
				&reply);
	if (e != CLI_DONE)
		return e;
	int r = sealed_object_open(&reply, ret_object);
	if (r == -RE_PROTOCOL)
		return control_nonsense("OpenRecording");
	return r < 0 ? explain_unopened(id, r) : CLI_DONE;
}

/* Copies the whole recording to a descriptor; file is NULL for standard output. */
static enum cli_exit copy_recording(const struct arguments *arguments, const char *reason, int fd,
		const char *file, uint64_t *ret_bytes)
{
	struct sealed_object *object = NULL;
	enum cli_exit e = open_recording(arguments, reason, &object);

	if (e != CLI_DONE)
		return e;
	int r = sealed_object_read(object, write_plain, &fd, ret_bytes);
	sealed_object_free(object);
	return r < 0 ? explain_incomplete(arguments->operands[0], file, r, *ret_bytes) : CLI_DONE;
}

static enum cli_exit print_played(
		const struct arguments *arguments, const char *file, uint64_t bytes)
{
	if (!command_json(arguments))
		return CLI_DONE;
	json_t *result = json_pack("{s:s, s:s, s:I}", "recording", arguments->operands[0], "file",
			file, "bytes", (json_int_t)bytes);
	if (!result)
		return output_oom();
	output_json(result);
	json_decref(result);
	return CLI_DONE;
}

static enum cli_exit play_to_file(
		const struct arguments *arguments, const char *reason, const char *path)
{
	struct output_file file;
	uint64_t bytes = 0;
	enum cli_exit e = output_file_open(path, &file);

	if (e != CLI_DONE)
		return e;
	e = copy_recording(arguments, reason, file.fd, path, &bytes);
	if (e == CLI_DONE)
		e = output_file_publish(&file);
	output_file_close(&file);
	return e == CLI_DONE ? print_played(arguments, path, bytes) : e;
}

static enum cli_exit play_to_stdout(const struct arguments *arguments, const char *reason)
{
	uint64_t bytes = 0;

	if (command_json(arguments)) {
		output_error("play --json needs -o FILE: standard output carries the recording");
		return CLI_USAGE;
	}
	if (isatty(STDOUT_FILENO)) {
		output_error("a recording does not belong on a terminal; give -o FILE, or pipe it "
			     "to a player");
		return CLI_USAGE;
	}
	return copy_recording(arguments, reason, STDOUT_FILENO, NULL, &bytes);
}

enum cli_exit cmd_play(const struct arguments *arguments)
{
	const char *reason = command_reason(arguments);
	const char *path = arguments->options->value[OPTION_OUTPUT];

	if (!reason || !command_utf8("recording", arguments->operands[0]) ||
			!command_utf8("reason", reason) ||
			(path && command_json(arguments) && !command_utf8("file", path)))
		return CLI_USAGE;
	return path ? play_to_file(arguments, reason, path) : play_to_stdout(arguments, reason);
}
