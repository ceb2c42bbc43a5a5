/* recsealctl spool plan: what would become of every file of a spool. It needs no service, and
 * changes nothing. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/table.h"
#include "daemon/common/config/config_load.h"
#include "daemon/common/config/config_path.h"
#include "daemon/intake/plan/plan.h"

#define PAGE_ROWS 256 /* aligned together */
/* As the CLI names what has no account. No account is called so: its name would be printable. */
#define NO_ACCOUNT "(quarantine)"

struct tally {
	int64_t files, bytes;
};

struct plan_report {
	const struct config_spool *spool;
	bool configured, verbose, json;
	struct tally fates[PLAN_FATES];
	json_t *accounts; /* by printable name: [files, bytes]; "": none */
	json_t *warnings;
	struct output_array files;
	struct table *table;
	size_t rows;
	bool failed; /* out of memory */
};

static void tally_add(struct tally *tally, uint64_t bytes)
{
	tally->files++;
	tally->bytes += (int64_t)bytes;
}

/* ---- One file ---- */

static void report_add_account(struct plan_report *r, const char *account, uint64_t bytes)
{
	json_t *sums = json_object_get(r->accounts, account);
	struct tally tally = {.files = json_integer_value(json_array_get(sums, 0)),
			.bytes = json_integer_value(json_array_get(sums, 1))};

	tally_add(&tally, bytes);
	r->failed |= json_object_set_new(r->accounts, account,
				     json_pack("[I, I]", (json_int_t)tally.files,
						     (json_int_t)tally.bytes)) < 0;
}

static void report_print_json(struct plan_report *r, const struct plan_file *file, const char *path,
		const char *account)
{
	json_t *o = json_pack("{s:s, s:s, s:s?, s:s?, s:I, s:b}", "path", path, "fate",
			plan_fate_name(file->fate), "account", account, "reason", file->reason,
			"bytes", (json_int_t)file->bytes, "recording", (int)file->recording);

	r->failed |= !o;
	/* Not before: a plan that cannot begin prints nothing. */
	if (o && !r->files.open)
		output_array_begin_in("files");
	if (o)
		output_array_add(&r->files, o);
	json_decref(o);
}

static void report_print_row(struct plan_report *r, const struct plan_file *file, const char *path,
		const char *account)
{
	bool taken = file->fate == PLAN_TAKEN && file->recording;
	char size[OUTPUT_BYTES];

	output_bytes((int64_t)file->bytes, size);
	const char *const cells[] = {plan_fate_name(file->fate),
			account ? account
			: taken ? NO_ACCOUNT
				: NULL,
			size, path, file->reason};
	r->failed |= table_row(r->table, cells) < 0;
	if (++r->rows % PAGE_ROWS == 0)
		table_flush(r->table, stdout);
}

static void on_planned_file(void *context, const struct plan_file *file)
{
	struct plan_report *r = context;
	_cleanup_free_ char *path = text_printable(file->path, strlen(file->path));
	_cleanup_free_ char *account =
			file->account ? text_printable(file->account, strlen(file->account)) : NULL;

	if (!path || (file->account && !account)) {
		r->failed = true;
		return;
	}
	tally_add(&r->fates[file->fate], file->bytes);
	if (file->fate == PLAN_TAKEN && file->recording)
		report_add_account(r, account ? account : "", file->bytes);
	if (r->json)
		report_print_json(r, file, path, account);
	else if (r->verbose)
		report_print_row(r, file, path, account);
}

static void on_plan_warning(void *context, const char *text)
{
	struct plan_report *r = context;
	_cleanup_free_ char *safe = text_printable(text, strlen(text));

	r->failed |= !safe || json_array_append_new(r->warnings, json_string(safe)) < 0;
}

/* ---- The whole ---- */

static json_t *fates_json(const struct plan_report *r)
{
	json_t *fates = json_object();

	for (int i = 0; i < PLAN_FATES; i++)
		json_object_set_new(fates, plan_fate_name((enum plan_fate)i),
				json_pack("{s:I, s:I}", "files", (json_int_t)r->fates[i].files,
						"bytes", (json_int_t)r->fates[i].bytes));
	return fates;
}

static json_t *accounts_json(const struct plan_report *r)
{
	json_t *accounts = json_array(), *sums;
	const char *name;

	json_object_foreach(r->accounts, name, sums) json_array_append_new(accounts,
			json_pack("{s:s?, s:O, s:O}", "account", *name ? name : NULL, "files",
					json_array_get(sums, 0), "bytes", json_array_get(sums, 1)));
	return accounts;
}

static enum cli_exit report_end_json(struct plan_report *r)
{
	_cleanup_free_ char *path = text_printable(r->spool->path, strlen(r->spool->path));
	json_t *rest = json_pack("{s:s?, s:s, s:s, s:o, s:o, s:O}", "spool",
			r->configured ? r->spool->name : NULL, "path", path ? path : "", "profile",
			r->spool->profile, "fates", fates_json(r), "accounts", accounts_json(r),
			"warnings", r->warnings);

	if (!rest)
		return output_oom();
	if (!r->files.open)
		output_array_begin_in("files");
	output_array_end_in(&r->files, rest);
	json_decref(rest);
	return CLI_DONE;
}

static int fates_table(const struct plan_report *r, struct table *table)
{
	int result = 0;

	for (int i = 0; i < PLAN_FATES && result == 0; i++) {
		char files[OUTPUT_BYTES], size[OUTPUT_BYTES];
		snprintf(files, sizeof(files), "%lld", (long long)r->fates[i].files);
		output_bytes(r->fates[i].bytes, size);
		const char *const cells[] = {plan_fate_name((enum plan_fate)i), files, size};
		result = table_row(table, cells);
	}
	return result;
}

static int accounts_table(const struct plan_report *r, struct table *table)
{
	const char *name;
	json_t *sums;
	int result = 0;

	json_object_foreach(r->accounts, name, sums)
	{
		char files[OUTPUT_BYTES], size[OUTPUT_BYTES];
		snprintf(files, sizeof(files), "%lld",
				(long long)json_integer_value(json_array_get(sums, 0)));
		output_bytes(json_integer_value(json_array_get(sums, 1)), size);
		const char *const cells[] = {*name ? name : NO_ACCOUNT, files, size};
		if (result == 0)
			result = table_row(table, cells);
	}
	return result;
}

static int print_sums(const struct plan_report *r, const char *title,
		int (*fill)(const struct plan_report *r, struct table *table))
{
	const struct table_column columns[] = {{title, false}, {"FILES", true}, {"SIZE", true}};
	struct table *table = table_new(columns, ELEMENTSOF(columns));
	int result = table ? fill(r, table) : -ENOMEM;

	if (result == 0) {
		putchar('\n');
		table_flush(table, stdout);
	}
	table_free(table);
	return result;
}

static enum cli_exit report_end_text(struct plan_report *r)
{
	const json_t *warning;
	size_t i;

	table_flush(r->table, stdout);
	if (r->verbose && r->rows > 0)
		putchar('\n');
	printf("%s%s", r->configured ? "Spool " : "Folder ", r->configured ? r->spool->name : "");
	fputs(r->configured ? ", " : "", stdout);
	output_text(stdout, r->spool->path);
	printf(", profile %s. Nothing was changed.\n", r->spool->profile);
	if (print_sums(r, "FATE", fates_table) < 0)
		return output_oom();
	if (json_object_size(r->accounts) > 0 && print_sums(r, "ACCOUNT", accounts_table) < 0)
		return output_oom();
	if (json_array_size(r->warnings) > 0)
		putchar('\n');
	json_array_foreach(r->warnings, i, warning)
			output_fact(stdout, "warning", json_string_value(warning));
	return CLI_DONE;
}

static enum cli_exit report_end(struct plan_report *r)
{
	int64_t unreadable = r->fates[PLAN_UNREADABLE].files;
	enum cli_exit e = r->failed ? output_oom()
			  : r->json ? report_end_json(r)
				    : report_end_text(r);

	if (e != CLI_DONE || unreadable == 0)
		return e;
	output_error("%lld files or folders cannot be read, so the plan is not complete: run it as "
		     "root, or as the user of recseald",
			(long long)unreadable);
	return CLI_ERROR;
}

static enum cli_exit plan_print(const struct config *config, struct plan_report *r)
{
	static const struct table_column columns[] = {{"FATE", false}, {"ACCOUNT", false},
			{"SIZE", true}, {"PATH", false}, {"REASON", false}};
	const struct plan_setup setup = {.config = config,
			.spool = r->spool,
			.clock = &clock_system,
			.sink = {.file = on_planned_file, .warn = on_plan_warning, .context = r}};
	struct reason reason = {""};

	r->accounts = json_object();
	r->warnings = json_array();
	r->table = table_new(columns, ELEMENTSOF(columns));
	if (!r->accounts || !r->warnings || !r->table)
		return output_oom();
	int result = plan_make(&setup, &reason);
	if (result == 0)
		return report_end(r);
	output_error("%s", reason_text(&reason, result));
	return CLI_ERROR;
}

/* ---- Which spool ---- */

static void config_free_p(struct config **config)
{
	config_free(*config);
}

/* Without a configuration there are the built-in profiles all the same. */
static enum cli_exit plan_load_config(
		const struct arguments *arguments, bool needed, struct config **ret_config)
{
	const char *path = arguments->options->value[OPTION_CONFIG];
	struct reason reason = {""};
	int r = config_load(path, &reason, ret_config);

	if (r == -ENOENT && !path && !needed) {
		*ret_config = config_new();
		return *ret_config ? CLI_DONE : output_oom();
	}
	if (r == 0 && needed)
		r = config_check(*ret_config, &reason);
	if (r == 0)
		return CLI_DONE;
	output_error("%s", reason_text(&reason, r));
	return CLI_ERROR;
}

static const struct config_spool *spool_find(
		const struct config *config, const char *name, const char *path)
{
	for (size_t i = 0; i < config->n_spools; i++) {
		const struct config_spool *s = &config->spools[i];
		if (strcmp(path ? s->path : s->name, path ? path : name) == 0)
			return s;
	}
	return NULL;
}

/* A folder that is not configured yet, as if it were a spool with this profile. */
static enum cli_exit spool_make(struct config *config, const char *path, const char *profile)
{
	_cleanup_free_ char *copy = strdup(path), *profile_copy = strdup(profile);

	if (!copy || !profile_copy || config_new_spool(config, "plan", "spool plan") < 0)
		return output_oom();
	struct config_spool *spool = &config->spools[config->n_spools - 1];
	free(spool->profile);
	spool->path = TAKE_PTR(copy);
	spool->profile = TAKE_PTR(profile_copy);
	return CLI_DONE;
}

static enum cli_exit plan_find_path(
		struct config *config, const struct arguments *arguments, struct plan_report *r)
{
	const char *profile = arguments->options->value[OPTION_PROFILE];
	_cleanup_free_ char *path = config_path_absolute(arguments->operands[0]);

	if (!path) {
		output_error("%s: %s", arguments->operands[0], strerror(errno));
		return CLI_ERROR;
	}
	r->spool = profile ? NULL : spool_find(config, NULL, path);
	r->configured = r->spool != NULL;
	if (r->configured)
		return CLI_DONE;
	if (!profile) {
		output_error("%s is not the Path= of a configured spool; name its bridge with "
			     "--profile",
				path);
		return CLI_USAGE;
	}
	enum cli_exit e = spool_make(config, path, profile);
	if (e == CLI_DONE)
		r->spool = &config->spools[config->n_spools - 1];
	return e;
}

static enum cli_exit plan_find_name(const struct config *config, const struct arguments *arguments,
		struct plan_report *r)
{
	const char *name = arguments->operands[0];

	if (options_given(arguments->options, OPTION_PROFILE)) {
		output_error("a configured spool has its profile; --profile is for a folder: write "
			     "./%s if that is one",
				name);
		return CLI_USAGE;
	}
	r->spool = spool_find(config, name, NULL);
	r->configured = true;
	if (r->spool)
		return CLI_DONE;
	output_error("no spool %s is configured; for a folder write ./%s and --profile", name,
			name);
	return CLI_NOT_FOUND;
}

enum cli_exit cmd_spool_plan(const struct arguments *arguments)
{
	__attribute__((cleanup(config_free_p))) struct config *config = NULL;
	struct plan_report r = {.verbose = options_given(arguments->options, OPTION_VERBOSE),
			.json = command_json(arguments)};
	bool named = !strchr(arguments->operands[0], '/');
	enum cli_exit e = plan_load_config(arguments, named, &config);

	/* Somebody opens a file for writing while its lease is held, for a moment. */
	signal(SIGIO, SIG_IGN);
	if (e == CLI_DONE)
		e = named ? plan_find_name(config, arguments, &r)
			  : plan_find_path(config, arguments, &r);
	if (e == CLI_DONE)
		e = plan_print(config, &r);
	table_free(r.table);
	json_decref(r.accounts);
	json_decref(r.warnings);
	return e;
}
