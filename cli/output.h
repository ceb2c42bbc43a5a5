/* What recsealctl prints: errors, facts, numbers, JSON, and foreign text made safe for a terminal.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/exit.h"

/* "recsealctl: ..." on stderr, one line, made safe for a terminal. */
void output_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints that there is no memory; always CLI_ERROR. */
enum cli_exit output_oom(void);

/* Foreign text for a terminal, as text_printable() makes it, except that backslashes stay single:
 * the keeper has doubled them already. A string to free(), or NULL when out of memory. */
char *output_safe(const char *text);

/* Prints foreign text, made safe in the same way. */
void output_text(FILE *f, const char *text);

/* "  label         value"; nothing when the value is NULL. */
void output_fact(FILE *f, const char *label, const char *value);
void output_factf(FILE *f, const char *label, const char *format, ...)
		__attribute__((format(printf, 3, 4)));

/* "512 bytes", "3.2 GiB"; "1 recording", "2 recordings". */
#define OUTPUT_BYTES 48
void output_bytes(int64_t bytes, char ret_text[static OUTPUT_BYTES]);
void output_count(int64_t n, const char *noun, char ret_text[static OUTPUT_BYTES]);

/* Length of audio: "0:42", "1:02:03". A wait: "0.4 s", "12 s", "3 min", "5.0 h", "2.1 days". */
void output_length(double seconds, char ret_text[static OUTPUT_BYTES]);
void output_wait(double seconds, char ret_text[static OUTPUT_BYTES]);

/* One JSON value on stdout and a newline; on a terminal in ASCII, since JSON leaves some control
 * characters as they are. Always CLI_DONE; write errors are found by output_finish(). */
enum cli_exit output_json(const json_t *value);

/* A JSON array written as its elements come, so that memory does not grow with it. It opens with
 * the first element, or at the end: a call refused at once prints nothing. */
struct output_array {
	bool open;
};
void output_array_add(struct output_array *array, const json_t *value);
void output_array_end(struct output_array *array);

/* The same as the first member of an object: begin, add, end with the object's other members. */
void output_array_begin_in(const char *key);
void output_array_end_in(struct output_array *array, const json_t *others);

/* Flushes stdout. Returns e; or CLI_ERROR, after an error message, when something could not be
 * written (a full disk). */
enum cli_exit output_finish(enum cli_exit e);
