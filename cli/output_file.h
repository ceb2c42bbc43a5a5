/* A new file that appears under its name only when it is complete. */
#pragma once

#include <sys/types.h>

#include "base/durable.h"
#include "cli/exit.h"

struct output_file {
	const char *path; /* borrowed */
	const char *name; /* the part after the last slash */
	int dir_fd, fd;
	char temporary[DURABLE_TEMPORARY_BYTES];
};

/* Opens an unnamed file of mode 0600 in path's directory. Errors are printed. A file that has the
 * name already is an error: it is never replaced. The path is borrowed. */
enum cli_exit output_file_open(const char *path, struct output_file *ret_file);

/* Makes it durable and gives it its name. Errors are printed. */
enum cli_exit output_file_publish(struct output_file *file);

/* Closes the file; without output_file_publish() it is gone. */
void output_file_close(struct output_file *file);
