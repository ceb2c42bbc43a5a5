/* recseal-keeper: holds the keys, the catalog and the objects; serves the intake and the control
 * socket. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/reason.h"
#include "base/secret.h"
#include "base/socket.h"
#include "daemon/common/config/config.h"
#include "daemon/common/config/config_load.h"
#include "daemon/common/event.h"
#include "daemon/common/service.h"
#include "daemon/keeper/control/control.h"
#include "daemon/keeper/erasure/retention.h"
#include "daemon/keeper/erasure/root_move.h"
#include "daemon/keeper/ingest/intake_server.h"
#include "daemon/keeper/ingest_journal.h"
#include "daemon/keeper/open/vault_open.h"
#include "daemon/keeper/open/vault_sweep.h"
#include "daemon/keeper/root/preflight.h"
#include "daemon/keeper/root/root_main.h"
#include "daemon/keeper/space.h"

enum { EXIT_USAGE = 2 };

static const char *arg_config;
static const char *arg_state;
static bool arg_check_config;
static bool arg_move_root;
static uint64_t arg_accept_restored, arg_accept_altered;

static const char help[] =
		"Usage: recseal-keeper [OPTION]...\n"
		"Keeps the keys, the catalog and the objects of a recseal vault.\n"
		"\n"
		"  --config FILE             read FILE instead of " SYSCONFDIR
		"/recseal/recseal.conf\n"
		"  --state DIR               keep everything below DIR: keeper/, objects/, run/\n"
		"  --check-config            check the configuration and exit\n"
		"  --accept-restored=EPOCH   accept a root file that was restored from a copy of "
		"this epoch, and exit\n"
		"  --accept-altered=EPOCH    accept that rows of keeper.db were deleted or put "
		"back, and exit\n"
		"  --move-root               move the root to where the configuration says "
		"(Root=), and exit\n"
		"  --help, --version\n"
		"\n"
		"See recseal-keeper(8).\n";

/* Everything that lives while the keeper runs. */
struct keeper {
	struct config *config;
	struct vault *vault;
	uv_loop_t loop;
	struct service *service;
	struct intake_server *intake;
	struct control *control;
	struct retention *retention;
	struct space *space;
	struct vault_sweep *sweep;
	bool failed;
};

static int keeper_parse_epoch(const char *option, const char *text, uint64_t *ret_epoch)
{
	char *end;

	errno = 0;
	*ret_epoch = strtoull(text, &end, 10);
	if (errno == 0 && !*end && *ret_epoch != 0)
		return 0;
	fprintf(stderr, "recseal-keeper: %s takes an epoch, a number from 1 on; \"%s\" is none\n",
			option, text);
	return -EINVAL;
}

/* 0 to go on, 1 when all is said, -EINVAL. */
static int keeper_parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
			{"config", required_argument, NULL, 'c'},
			{"state", required_argument, NULL, 's'},
			{"check-config", no_argument, NULL, 'C'},
			{"accept-restored", required_argument, NULL, 'a'},
			{"accept-altered", required_argument, NULL, 'A'},
			{"move-root", no_argument, NULL, 'm'},
			{"help", no_argument, NULL, 'h'},
			{"version", no_argument, NULL, 'v'},
			{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'c')
			arg_config = optarg;
		else if (c == 's')
			arg_state = optarg;
		else if (c == 'C')
			arg_check_config = true;
		else if (c == 'a' && keeper_parse_epoch("--accept-restored", optarg,
						     &arg_accept_restored) < 0)
			return -EINVAL;
		else if (c == 'A' && keeper_parse_epoch("--accept-altered", optarg,
						     &arg_accept_altered) < 0)
			return -EINVAL;
		else if (c == 'm')
			arg_move_root = true;
		else if (c == 'h')
			return fputs(help, stdout) < 0 ? -EIO : 1;
		else if (c == 'v')
			return puts("recseal-keeper " VERSION) < 0 ? -EIO : 1;
		else if (c == '?')
			return -EINVAL;
	}
	if (optind < argc)
		fprintf(stderr, "recseal-keeper: unexpected argument \"%s\"; see --help\n",
				argv[optind]);
	return optind < argc ? -EINVAL : 0;
}

static int keeper_load_config(struct config **ret_config)
{
	struct config *config;
	struct reason reason = {""};
	int r = arg_state ? config_load_embedded(arg_state, arg_config, &reason, &config)
			  : config_load(arg_config, &reason, &config);

	if (r == 0)
		r = config_check(config, &reason);
	if (r == 0)
		*ret_config = config;
	else
		fprintf(stderr, "%s\n", reason_text(&reason, r));
	return r;
}

/* The floors below report through notices; here, on the top floor, they go to the journal. */
static void keeper_tell(void *context, int priority, enum event event,
		const struct event_fields *fields, const char *text)
{
	event_log(priority, event, fields, "%s", text);
}

/* Says why the vault cannot be opened, in the journal if there is one. */
static void keeper_report_failure(int r, const struct reason *reason)
{
	enum event event = r == -RE_EPOCH || r == -RE_MOVED       ? EVENT_RESURRECTION_REFUSED
			   : r == -RE_NO_ROOT || r == -RE_CORRUPT ? EVENT_KEY_TROUBLE
								  : EVENT_PLAIN;

	event_log(LOG_CRIT, event, NULL, "%s", reason_text(reason, r));
}

static int keeper_open_vault(struct keeper *keeper)
{
	struct vault_setup setup = {.config = keeper->config,
			.notices = {.tell = keeper_tell},
			.accept_restored = arg_accept_restored,
			.accept_altered = arg_accept_altered};
	struct reason reason = {""};
	clock_machine_system(&setup.machine);
	int r = vault_open(&setup, &keeper->vault, &reason);
	if (r == 0 && arg_move_root)
		r = root_move(&keeper->vault->eraser, &reason);
	/* After the move, which may be what the configuration asks for. */
	if (r == 0)
		r = root_main_check(&keeper->vault->root, &reason);
	if (r == 0)
		r = preflight_assurance(&keeper->vault->root, &reason);
	if (r < 0) {
		keeper_report_failure(r, &reason);
		keeper->vault = vault_close(keeper->vault);
	}
	return r;
}

/* The socket that systemd made, or one of our own. Anybody may connect: who may do what is decided
 * by the peer's credentials. */
static int keeper_listen(const struct config *config, const char *name, int type)
{
	_cleanup_free_ char *path = NULL;
	int fd = service_listen_fd(name);

	if (fd != -ENOENT)
		return fd;
	if (asprintf(&path, "%s/%s", config->socket_dir, name) < 0)
		return -ENOMEM;
	fd = socket_listen(path, type, 0666);
	if (fd < 0)
		event_log(LOG_CRIT, EVENT_PLAIN, NULL, "cannot listen on %s: %s", path,
				error_text(fd));
	return fd;
}

static int keeper_intake_uid(const struct config *config, uid_t *ret_uid)
{
	if (!config->intake_user) {
		*ret_uid = geteuid();
		return 0;
	}
	errno = 0;
	const struct passwd *pw = getpwnam(config->intake_user);
	if (!pw) {
		event_log(LOG_CRIT, EVENT_PLAIN, NULL,
				"the intake's user %s does not exist: create it, or set Intake= in "
				"[keeper]",
				config->intake_user);
		return errno ? -errno : -ENOENT;
	}
	*ret_uid = pw->pw_uid;
	return 0;
}

static void keeper_stop(void *context)
{
	struct keeper *keeper = context;

	keeper->control = control_stop(keeper->control);
	keeper->intake = intake_server_stop(keeper->intake);
	keeper->retention = retention_stop(keeper->retention);
	keeper->space = space_stop(keeper->space);
	keeper->sweep = vault_sweep_stop(keeper->sweep);
	keeper->service = service_stop(keeper->service);
}

static void keeper_on_stuck(void *context)
{
	struct keeper *keeper = context;

	event_log(LOG_CRIT, EVENT_KEY_TROUBLE, NULL,
			"only a restart can tell whether root slots and database agree: the keeper "
			"stops now and recovers at its next start");
	keeper->failed = true;
	keeper_stop(keeper);
}

static int keeper_serve(struct keeper *keeper)
{
	_cleanup_close_ int intake_fd = -1, control_fd = -1;
	uid_t uid = 0;
	int r = keeper_intake_uid(keeper->config, &uid);

	if (r < 0)
		return r;
	/* Only now, with the vault open: until then clients wait in the backlog, or fail to
	 * connect. */
	intake_fd = keeper_listen(keeper->config, "intake", SOCK_SEQPACKET);
	control_fd = keeper_listen(keeper->config, "control", SOCK_STREAM);
	if (intake_fd < 0 || control_fd < 0)
		return intake_fd < 0 ? intake_fd : control_fd;
	r = intake_server_start(&keeper->loop, &keeper->vault->ingest, intake_fd, uid,
			&ingest_journal, &keeper->intake);
	if (r < 0)
		return r;
	TAKE_FD(intake_fd);
	r = control_start(&keeper->loop, keeper->vault, keeper->intake, TAKE_FD(control_fd),
			&keeper->control);
	if (r < 0)
		return r;
	r = vault_sweep_start(&keeper->loop, keeper->vault, &keeper->sweep);
	if (r < 0)
		return r;
	r = space_start(&keeper->loop, keeper->vault, &keeper->space);
	if (r < 0)
		return r;
	const struct retention_setup retention = {.eraser = &keeper->vault->eraser,
			.clock = &keeper->vault->clock,
			.watch = &keeper->vault->watch,
			.epoch_interval_us = keeper->config->epoch_interval_us,
			.stuck = keeper_on_stuck,
			.context = keeper};
	return retention_start(&keeper->loop, &retention, &keeper->retention);
}

static void keeper_on_warning(void *context, const char *sentence)
{
	event_log(LOG_WARNING, EVENT_PLAIN, NULL, "%s", sentence);
}

static void keeper_announce(struct keeper *keeper)
{
	struct event_fields fields = {.epoch = (int64_t)vault_epoch(keeper->vault)};
	char sentence[256];

	root_assurance_sentence(keeper->vault->root.copies->assurance, vault_epoch(keeper->vault),
			sentence, sizeof(sentence));
	event_log(LOG_INFO, EVENT_STARTED, &fields,
			"vault open at epoch %" PRIu64 ", assurance %s: %s",
			vault_epoch(keeper->vault), keeper->vault->root.copies->assurance,
			sentence);
	/* After the start: a warning must not keep recordings waiting. */
	preflight_check(keeper->config->keeper_dir, "", keeper_on_warning, NULL);
	service_ready(keeper->service, "serving");
}

static int keeper_run(struct keeper *keeper)
{
	int r = keeper_open_vault(keeper);

	if (r < 0)
		return r;
	/* The move is done and durable; serving is for the next start. */
	if (arg_move_root) {
		printf("The root is kept with assurance %s, at epoch %" PRIu64 ".\n",
				keeper->vault->root.copies->assurance, vault_epoch(keeper->vault));
		keeper->vault = vault_close(keeper->vault);
		return 0;
	}
	if (arg_accept_restored || arg_accept_altered) {
		printf("%s accepted, at epoch %" PRIu64 ". Start recseal-keeper as usual.\n",
				arg_accept_altered ? "The rows of keeper.db are"
						   : "The root file is",
				vault_epoch(keeper->vault));
		keeper->vault = vault_close(keeper->vault);
		return 0;
	}
	uv_loop_init(&keeper->loop);
	r = service_start(&keeper->loop, keeper_stop, keeper, &keeper->service);
	if (r == 0)
		r = keeper_serve(keeper);
	if (r == 0)
		keeper_announce(keeper);
	else
		keeper_stop(keeper);
	uv_run(&keeper->loop, UV_RUN_DEFAULT);
	uv_loop_close(&keeper->loop);
	keeper->vault = vault_close(keeper->vault);
	return r < 0 ? r : keeper->failed ? -EIO : 0;
}

int main(int argc, char **argv)
{
	struct keeper keeper = {0};
	int r = keeper_parse_arguments(argc, argv);

	if (r != 0)
		return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;
	event_init("recseal-keeper");
	/* It may come of a lease (object_own.h), and would end the process. */
	signal(SIGIO, SIG_IGN);
	r = secret_process_init();
	if (r < 0) {
		event_log(LOG_CRIT, EVENT_PLAIN, NULL, "cannot protect secrets in this process: %s",
				error_text(r));
		return EXIT_FAILURE;
	}
	if (keeper_load_config(&keeper.config) < 0)
		return EXIT_FAILURE;
	r = arg_check_config ? 0 : keeper_run(&keeper);
	config_free(keeper.config);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
