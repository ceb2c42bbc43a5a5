/* The stanzas an age client sends to a plugin, file by file: of ours, what is needed to unwrap. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/rec_stanza.h"

#define PLUGIN_FILES_MAX 1024

struct plugin_file {
	uint64_t index;   /* the client's number for it */
	size_t n_stanzas; /* of any type */
	size_t n_rec, n_tag;
	size_t rec_index, tag_index; /* among the file's stanzas: of the last one of that type */
	bool rec_malformed, tag_malformed;
	struct age_stanza rec; /* args without the type */
	uint8_t tag_hash[TAG_HASH_BYTES];
};

struct plugin_files {
	struct plugin_file *files;
	size_t n;
};

/* Takes a `recipient-stanza FILE_INDEX TYPE ARGS...` command. -RE_PROTOCOL when it is malformed,
 * its index goes back, or there are too many files; -ENOMEM. */
int plugin_files_add(struct plugin_files *files, const struct age_stanza *command);
void plugin_files_clear(struct plugin_files *files);

/* What is wrong with this file's stanzas of ours (static text), and with which of them; NULL when
 * they are in order, or when it has none. */
const char *plugin_file_problem(const struct plugin_file *file, size_t *ret_stanza_index);
