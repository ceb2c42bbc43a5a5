/* recseald: takes finished recordings out of the spools and seals them. See recseald(8). */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/reason.h"
#include "base/secret.h"
#include "daemon/common/config/config.h"
#include "daemon/common/config/config_load.h"
#include "daemon/common/event.h"
#include "daemon/common/service.h"
#include "daemon/intake/intake.h"

#define SPOOLS_MAX 64

enum exit_code {
	EXIT_DONE,
	EXIT_ERROR,
	EXIT_USAGE,
};

static const char *arg_config;
static const char *arg_state;
static const char *arg_spools[SPOOLS_MAX];
static size_t arg_n_spools;
static bool arg_check_config;

static void recseald_print_help(FILE *to)
{
	fputs("Usage: recseald [OPTION]...\n"
	      "Takes finished recordings out of the spools and seals them.\n\n"
	      "  --config FILE        read FILE instead of " SYSCONFDIR "/recseal/recseal.conf\n"
	      "  --state DIR          keep everything below DIR\n"
	      "  --spool [NAME=]PATH  a spool (also beside those of the configuration)\n"
	      "  --check-config       check the configuration, and exit\n"
	      "  --help, --version\n\n"
	      "Exit status: 0 done, 1 error, 2 wrong usage.\n",
			to);
}

static int recseald_usage_error(const char *what, const char *argument)
{
	fprintf(stderr, "recseald: %s%s; see recseald --help\n", what, argument);
	return EXIT_USAGE;
}

enum option_id { OPT_CONFIG = 1, OPT_STATE, OPT_SPOOL, OPT_CHECK, OPT_HELP, OPT_VERSION };

static const struct option options[] = {
		{"config", required_argument, NULL, OPT_CONFIG},
		{"state", required_argument, NULL, OPT_STATE},
		{"spool", required_argument, NULL, OPT_SPOOL},
		{"check-config", no_argument, NULL, OPT_CHECK},
		{"help", no_argument, NULL, OPT_HELP},
		{"version", no_argument, NULL, OPT_VERSION},
		{0},
};

/* -1: go on; else the code to exit with. */
static int recseald_parse_arguments(int argc, char **argv)
{
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case OPT_CONFIG:
			arg_config = optarg;
			break;
		case OPT_STATE:
			arg_state = optarg;
			break;
		case OPT_SPOOL:
			if (arg_n_spools == SPOOLS_MAX)
				return recseald_usage_error("too many spools: ", optarg);
			arg_spools[arg_n_spools++] = optarg;
			break;
		case OPT_CHECK:
			arg_check_config = true;
			break;
		case OPT_HELP:
			recseald_print_help(stdout);
			return EXIT_DONE;
		case OPT_VERSION:
			puts("recseald " VERSION);
			return EXIT_DONE;
		default: /* getopt_long() has printed the mistake */
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		return recseald_usage_error("unexpected argument ", argv[optind]);
	return -1;
}

static int recseald_load_config(struct reason *reason, struct config **ret_config)
{
	struct config *config;
	int r = arg_state ? config_load_embedded(arg_state, arg_config, reason, &config)
			  : config_load(arg_config, reason, &config);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < arg_n_spools; i++)
		r = config_load_spool(config, arg_spools[i], reason);
	if (r == 0)
		r = config_check(config, reason);
	if (r == 0 && config->n_spools == 0)
		r = reason_add_line(reason, -RE_CONFIG,
				"recseald: no spool: add a [spool NAME] section with Path=, or "
				"--spool PATH");
	if (r < 0) {
		config_free(config);
		return r;
	}
	*ret_config = config;
	return 0;
}

struct recseald {
	struct intake *intake;
	struct service *service;
};

static void on_stop_signal(void *context)
{
	struct recseald *d = context;

	intake_stop(d->intake);
}

/* Only now: the watchdog is fed while the last seals finish. */
static void on_intake_stopped(void *context)
{
	struct recseald *d = context;

	d->service = service_stop(d->service);
}

static int recseald_run(const struct config *config, struct reason *reason)
{
	struct recseald d = {0};
	uv_loop_t *loop = uv_default_loop();
	const struct intake_setup setup = {
			.loop = loop,
			.config = config,
			.clock = &clock_system,
			.stopped = on_intake_stopped,
			.context = &d,
	};
	int r = intake_start(&setup, reason, &d.intake);

	if (r < 0)
		return r;
	r = service_start(loop, on_stop_signal, &d, &d.service);
	/* The loop runs in both cases: a stop needs it as well. */
	if (r < 0) {
		reason_set_error(reason, r, "preparing signals and watchdog");
		intake_stop(d.intake);
	} else {
		event_log(LOG_INFO, EVENT_STARTED, NULL,
				"recseald " VERSION ": watching %zu spool%s", config->n_spools,
				config->n_spools == 1 ? "" : "s");
		service_ready(d.service, "watching the spools");
	}
	uv_run(loop, UV_RUN_DEFAULT);
	intake_free(d.intake);
	uv_loop_close(loop);
	return r;
}

/* Frees what JSON was made in. The messages have sidecars, which say who spoke with whom. */
static void recseald_free_wiped(void *memory)
{
	if (memory)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

/* Before any thread exists. */
static int recseald_prepare_process(struct reason *reason)
{
	/* Descriptors that whoever started us left open are not for the probe, which would refuse
	 * to run with them. */
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	/* source.c opens what it has checked by way of it. */
	if (access("/proc/self/fd", F_OK) < 0)
		return reason_set_error(reason, -errno, "/proc/self/fd is needed (mount /proc)");
	json_set_alloc_funcs(malloc, recseald_free_wiped);
	int r = secret_process_init();
	return r < 0 ? reason_set_error(reason, r, "protecting the memory of keys") : 0;
}

static void recseald_free_config(struct config **config)
{
	config_free(*config);
}

int main(int argc, char **argv)
{
	_cleanup_(recseald_free_config) struct config *config = NULL;
	struct reason reason = {0};
	int code = recseald_parse_arguments(argc, argv);

	if (code >= 0)
		return code;
	event_init("recseald");
	int r = recseald_load_config(&reason, &config);
	if (r < 0)
		fprintf(stderr, "%s\n", reason_text(&reason, r));
	if (r < 0 || arg_check_config)
		return r < 0 ? EXIT_ERROR : EXIT_DONE;
	r = recseald_prepare_process(&reason);
	if (r == 0)
		r = recseald_run(config, &reason);
	if (r < 0)
		event_log(LOG_ERR, EVENT_PLAIN, NULL, "cannot run: %s", reason_text(&reason, r));
	return r < 0 ? EXIT_ERROR : EXIT_DONE;
}
