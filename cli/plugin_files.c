#include "cli/plugin_files.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "crypto/age_stanza.h"

#define COMMAND_ARGS 3 /* "recipient-stanza", FILE_INDEX, TYPE */

static int parse_index(const char *text, uint64_t *ret_index)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -RE_PROTOCOL;
	errno = 0;
	unsigned long long index = strtoull(text, &end, 10);
	if (errno || *end)
		return -RE_PROTOCOL;
	*ret_index = index;
	return 0;
}

/* The last file, or a new one after it: indexes never go back. */
static int find_file(struct plugin_files *files, uint64_t index, struct plugin_file **ret_file)
{
	struct plugin_file *last = files->n > 0 ? &files->files[files->n - 1] : NULL;

	if (last && last->index == index) {
		*ret_file = last;
		return 0;
	}
	if ((last && last->index > index) || files->n == PLUGIN_FILES_MAX)
		return -RE_PROTOCOL;
	struct plugin_file *grown = reallocarray(files->files, files->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	files->files = grown;
	*ret_file = &grown[files->n++];
	**ret_file = (struct plugin_file){.index = index};
	return 0;
}

/* A copy of a stanza without its first skip arguments; there are more. */
static int copy_stanza(const struct age_stanza *from, size_t skip, struct age_stanza *ret_stanza)
{
	size_t room = 0;

	for (size_t i = skip; i < from->n_args; i++)
		room += strlen(from->args[i]) + 1;
	char *line = malloc(room);
	if (!line)
		return -ENOMEM;
	char *out = line;
	for (size_t i = skip; i < from->n_args; i++) {
		out = stpcpy(out, from->args[i]);
		*out++ = ' ';
	}
	int r = age_stanza_new(line, room - 1, from->body_len, ret_stanza);
	free(line);
	if (r == 0)
		memcpy(ret_stanza->body, from->body, from->body_len);
	return r;
}

static int take_rec(struct plugin_file *file, const struct age_stanza *command, size_t index)
{
	const struct age_stanza untyped = {
			.args = command->args + COMMAND_ARGS,
			.n_args = command->n_args - COMMAND_ARGS,
			.body = command->body,
			.body_len = command->body_len,
	};
	struct rec_stanza rec;

	file->n_rec++;
	file->rec_index = index;
	if (file->n_rec > 1)
		return 0;
	file->rec_malformed = rec_stanza_parse(&untyped, &rec) < 0;
	return file->rec_malformed ? 0 : copy_stanza(command, COMMAND_ARGS, &file->rec);
}

static void take_tag(struct plugin_file *file, const struct age_stanza *command, size_t index)
{
	file->n_tag++;
	file->tag_index = index;
	file->tag_malformed = command->n_args != COMMAND_ARGS;
	rec_stanza_hash_tag(command->body, command->body_len, file->tag_hash);
}

int plugin_files_add(struct plugin_files *files, const struct age_stanza *command)
{
	struct plugin_file *file;
	uint64_t index;

	if (command->n_args < COMMAND_ARGS)
		return -RE_PROTOCOL;
	int r = parse_index(command->args[1], &index);
	if (r == 0)
		r = find_file(files, index, &file);
	if (r < 0)
		return r;
	size_t stanza_index = file->n_stanzas++;
	if (strcmp(command->args[2], REC_STANZA_TYPE) == 0)
		return take_rec(file, command, stanza_index);
	if (strcmp(command->args[2], TAG_STANZA_TYPE) == 0)
		take_tag(file, command, stanza_index);
	return 0;
}

void plugin_files_clear(struct plugin_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		age_stanza_free(&files->files[i].rec);
	free(files->files);
	*files = (struct plugin_files){0};
}

const char *plugin_file_problem(const struct plugin_file *file, size_t *ret_stanza_index)
{
	*ret_stanza_index = file->n_rec > 0 ? file->rec_index : file->tag_index;
	if (file->n_rec == 0)
		return file->n_tag > 0 ? "the file has a tag of recseal but no key stanza" : NULL;
	if (file->n_rec > 1)
		return "the file has more than one key stanza of recseal";
	if (file->rec_malformed)
		return "the file's key stanza of recseal is malformed";
	if (file->n_tag == 0)
		return "the file's tag of recseal is missing: its key cannot be unwrapped without";
	*ret_stanza_index = file->tag_index;
	if (file->n_tag > 1)
		return "the file has more than one tag of recseal";
	return file->tag_malformed ? "the file's tag of recseal is malformed" : NULL;
}
