/* age-plugin-recseal: opens sealed recordings with the stock age command, as far as the keeper lets
 * the caller (C2SP age-plugin). */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/secret.h"
#include "cli/control.h"
#include "cli/exit.h"
#include "cli/options.h"
#include "cli/plugin_identity.h"

static const char *arg_state_machine;

#define BASE64 sodium_base64_VARIANT_ORIGINAL

/* {"args": [...], "body": base64, "tag_sha256": base64}; NULL when out of memory. */
static json_t *unwrap_parameters(const struct age_stanza *rec, const uint8_t *tag_hash)
{
	char body[sodium_base64_ENCODED_LEN(REC_WRAPPED_BYTES, BASE64)];
	char tag[sodium_base64_ENCODED_LEN(TAG_HASH_BYTES, BASE64)];
	json_t *args = json_array();

	for (size_t i = 0; i < rec->n_args; i++)
		json_array_append_new(args, json_string(rec->args[i]));
	sodium_bin2base64(body, sizeof(body), rec->body, rec->body_len, BASE64);
	sodium_bin2base64(tag, sizeof(tag), tag_hash, TAG_HASH_BYTES, BASE64);
	return json_pack("{s:o, s:s, s:s}", "args", args, "body", body, "tag_sha256", tag);
}

/* The file key beside a reply. */
static int take_key(const struct varlink_reply *reply, uint8_t *ret_file_key)
{
	json_int_t index;

	if (json_unpack(reply->parameters, "{s:I}", "key_fd", &index) < 0 || index < 0 ||
			index >= (json_int_t)reply->fds.count)
		return -RE_PROTOCOL;
	return secret_from_fd(reply->fds.fd[index], ret_file_key, AGE_FILE_KEY_BYTES);
}

/* Whether an error is about the recording, or about everything we might ask. */
static int denied_or_failed(const struct varlink_reply *reply)
{
	enum cli_exit e = control_error_exit(reply);

	return e == CLI_ERROR ? PLUGIN_UNWRAP_FAILED : PLUGIN_UNWRAP_DENIED;
}

/* One call on a connection of its own: files are few, and the last failure costs no later file. */
static int unwrap(void *context, const struct age_stanza *rec,
		const uint8_t tag_hash[static TAG_HASH_BYTES],
		uint8_t ret_file_key[static AGE_FILE_KEY_BYTES], char **ret_problem)
{
	const char *path = context;
	struct varlink_client *client = NULL;
	struct varlink_reply reply = {0};
	int r = varlink_connect(path, &client);

	if (r < 0) {
		*ret_problem = control_connect_problem(path, r);
		return PLUGIN_UNWRAP_FAILED;
	}
	r = varlink_call(client, CONTROL_INTERFACE "UnwrapFileKey",
			unwrap_parameters(rec, tag_hash), &reply);
	varlink_client_free(client);
	if (r == VARLINK_REPLIED)
		r = take_key(&reply, ret_file_key);
	if (r < 0) {
		*ret_problem = control_broken_problem(r);
		r = PLUGIN_UNWRAP_FAILED;
	} else if (r == VARLINK_FAILED) {
		*ret_problem = control_error_problem(&reply);
		r = denied_or_failed(&reply);
	}
	varlink_reply_clear(&reply);
	return r;
}

static const char *socket_path(void)
{
	const struct options none = {0};

	return options_socket(&none);
}

static int run_identity(struct plugin_stream *stream)
{
	char *path = strdup(socket_path());

	if (!path)
		return -ENOMEM;
	const struct plugin_unwrap via_keeper = {.unwrap = unwrap, .context = path};
	int r = plugin_identity_run(stream, &via_keeper);
	free(path);
	return r;
}

static enum cli_exit run(void)
{
	struct plugin_stream stream;
	int r;

	plugin_stream_init(&stream, STDIN_FILENO, STDOUT_FILENO);
	if (strcmp(arg_state_machine, "identity-v1") == 0) {
		r = run_identity(&stream);
	} else if (strcmp(arg_state_machine, "recipient-v1") == 0) {
		r = plugin_recipient_refuse(&stream);
	} else {
		fprintf(stderr, "age-plugin-recseal: unknown state machine; it knows identity-v1\n");
		return CLI_USAGE;
	}
	plugin_stream_clear(&stream);
	if (r < 0)
		fprintf(stderr, "age-plugin-recseal: %s\n", error_text(r));
	return r < 0 ? CLI_ERROR : CLI_DONE;
}

static void print_help(FILE *f)
{
	fputs("Usage: age -d -j recseal FILE\n\n"
	      "Opens recordings that recseal sealed. age starts this program; it asks the keeper\n"
	      "for the recording's file key, and the keeper decides.\n\n"
	      "  --age-plugin=identity-v1  speak the age plugin protocol on stdin and stdout\n"
	      "  -h, --help                show this help\n"
	      "  -V, --version             show the version\n\n"
	      "RECSEAL_SOCKET names the keeper's control socket, by an absolute path\n"
	      "(" OPTIONS_DEFAULT_SOCKET ").\n",
			f);
}

enum {
	PARSED_RUN,
	PARSED_DONE,
	PARSED_WRONG,
};

static int parse_arguments(int argc, char **argv)
{
	static const struct option long_options[] = {
			{"age-plugin", required_argument, NULL, 'p'},
			{"help", no_argument, NULL, 'h'},
			{"version", no_argument, NULL, 'V'},
			{0},
	};

	for (int c; (c = getopt_long(argc, argv, "hV", long_options, NULL)) != -1;) {
		switch (c) {
		case 'p':
			arg_state_machine = optarg;
			break;
		case 'h':
			print_help(stdout);
			return PARSED_DONE;
		case 'V':
			puts("age-plugin-recseal " VERSION);
			return PARSED_DONE;
		default:
			return PARSED_WRONG;
		}
	}
	if (arg_state_machine && optind == argc)
		return PARSED_RUN;
	print_help(stderr);
	return PARSED_WRONG;
}

int main(int argc, char **argv)
{
	int parsed = parse_arguments(argc, argv);

	if (parsed != PARSED_RUN)
		return parsed == PARSED_DONE ? CLI_DONE : CLI_USAGE;
	/* A client that is gone is an error code of write(2). */
	signal(SIGPIPE, SIG_IGN);
	int r = secret_process_init();
	if (r < 0) {
		fprintf(stderr, "age-plugin-recseal: cannot make this process fit to hold keys: %s\n",
				error_text(r));
		return CLI_ERROR;
	}
	return run();
}
