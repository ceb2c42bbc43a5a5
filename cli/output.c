#include "cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

char *output_safe(const char *text)
{
	char *safe = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&safe, &size);

	if (!f)
		return NULL;
	for (;;) {
		size_t len = strcspn(text, "\\");
		_cleanup_free_ char *piece = text_printable(text, len);
		if (piece)
			fputs(piece, f);
		text += len;
		if (!*text)
			break;
		fputc(*text++, f);
	}
	if (fclose(f) != 0) {
		free(safe);
		return NULL;
	}
	return safe;
}

void output_text(FILE *f, const char *text)
{
	_cleanup_free_ char *safe = output_safe(text);

	fputs(safe ? safe : "(out of memory)", f);
}

void output_error(const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	fflush(stdout);
	fputs("recsealctl: ", stderr);
	output_text(stderr, text ? text : "out of memory");
	fputc('\n', stderr);
}

enum cli_exit output_oom(void)
{
	output_error("out of memory");
	return CLI_ERROR;
}

#define FACT_COLUMNS 16

void output_fact(FILE *f, const char *label, const char *value)
{
	if (!value)
		return;
	fprintf(f, "  %-*s", FACT_COLUMNS, label);
	output_text(f, value);
	fputc('\n', f);
}

void output_factf(FILE *f, const char *label, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	output_fact(f, label, text ? text : "(out of memory)");
}

void output_bytes(int64_t bytes, char ret_text[static OUTPUT_BYTES])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double scaled = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		output_count(bytes, "byte", ret_text);
		return;
	}
	/* 1023.95 would round to "1024.0" */
	while (scaled >= 1023.95 && unit + 1 < ELEMENTSOF(units)) {
		scaled /= 1024;
		unit++;
	}
	snprintf(ret_text, OUTPUT_BYTES, "%.1f %s", scaled, units[unit]);
}

void output_count(int64_t n, const char *noun, char ret_text[static OUTPUT_BYTES])
{
	snprintf(ret_text, OUTPUT_BYTES, "%" PRId64 " %s%s", n, noun, n == 1 ? "" : "s");
}

/* Whatever a peer sends, the casts below stay defined. */
static double bound_seconds(double seconds)
{
	const double most = 1e12;

	return seconds >= 0 && seconds < most ? seconds : seconds >= most ? most : 0;
}

void output_length(double seconds, char ret_text[static OUTPUT_BYTES])
{
	int64_t s = (int64_t)(bound_seconds(seconds) + 0.5);

	if (s < 3600)
		snprintf(ret_text, OUTPUT_BYTES, "%" PRId64 ":%02" PRId64, s / 60, s % 60);
	else
		snprintf(ret_text, OUTPUT_BYTES, "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600,
				s / 60 % 60, s % 60);
}

void output_wait(double seconds, char ret_text[static OUTPUT_BYTES])
{
	double s = bound_seconds(seconds);

	if (s < 10)
		snprintf(ret_text, OUTPUT_BYTES, "%.1f s", s);
	else if (s < 120)
		snprintf(ret_text, OUTPUT_BYTES, "%.0f s", s);
	else if (s < 2 * 3600)
		snprintf(ret_text, OUTPUT_BYTES, "%.0f min", s / 60);
	else if (s < 2 * 86400)
		snprintf(ret_text, OUTPUT_BYTES, "%.1f h", s / 3600);
	else
		snprintf(ret_text, OUTPUT_BYTES, "%.1f days", s / 86400);
}

static size_t dump_flags(size_t flags)
{
	return flags | JSON_PRESERVE_ORDER | (isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0);
}

enum cli_exit output_json(const json_t *value)
{
	json_dumpf(value, stdout, dump_flags(JSON_INDENT(2)));
	putchar('\n');
	return CLI_DONE;
}

void output_array_add(struct output_array *array, const json_t *value)
{
	fputs(array->open ? ",\n  " : "[\n  ", stdout);
	array->open = true;
	json_dumpf(value, stdout, dump_flags(JSON_COMPACT));
}

void output_array_end(struct output_array *array)
{
	puts(array->open ? "\n]" : "[]");
	array->open = false;
}

void output_array_begin_in(const char *key)
{
	printf("{\"%s\": ", key);
}

void output_array_end_in(struct output_array *array, const json_t *others)
{
	fputs(array->open ? "\n], " : "[], ", stdout);
	array->open = false;
	json_dumpf(others, stdout, dump_flags(JSON_EMBED));
	puts("}");
}

enum cli_exit output_finish(enum cli_exit e)
{
	int failed = fflush(stdout) != 0 ? errno : 0;

	if (!failed && !ferror(stdout))
		return e;
	output_error("cannot write to standard output: %s",
			failed ? strerror(failed) : "an earlier write failed");
	return e == CLI_DONE ? CLI_ERROR : e;
}
