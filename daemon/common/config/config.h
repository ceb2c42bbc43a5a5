/* The configuration of both daemons: /etc/recseal/recseal.conf, then recseal.conf.d/<any>.conf by
 * name, or the embedded default below a state directory.
 *
 * `Key=value` in sections; an unknown section, an unknown or repeated key, and a bad value are
 * fatal, with file and line. A later file may go on with a section, but no key is given twice, not
 * even in two files: what holds is what any one line says. Keys:
 *
 *     [spool NAME]   Path=  Profile=directory  Class=default  Settle=1s  StaleAfter=12h LowSpace=5%
 *                    Account=  Markers=  (the profile's)  Ignore=  AccountMap=  Discarded=seal
 *                    Wipe=no  EmptyFolders=keep  SidecarWait=(the profile's)  FirstStart=wait
 *     [profile NAME] Files=  Ignore=  Rewritten=  Finished=  Unfinished=  Discard=  Account=
 *                    Sidecar=  SidecarWait=0  Markers=  Recorded=
 *                    (daemon/common/profile/profile.h)
 *     [class NAME]   Keep=  From=sealed     ("default" is 30d unless it is given)
 *     [keeper]       State=/var/lib/recseal-keeper  Objects=/var/lib/recseal/objects
 *                    Sockets=/run/recseal  Intake=recseal (user)
 *                    Viewers=recseal-viewer  Operators=recseal-operator
 *                    Officers=recseal-officer (groups)
 *                    Root=file  TpmDevice=/dev/tpmrm0
 *                    EpochInterval=(0 with a file, 1h with a TPM)
 *                    AwayLimit=7d
 *                    RequireAssurance=(file, virtual-tpm, fw-tpm or hw-tpm)
 *                    LowSpace=5%  Verify=full
 *     [intake]       Jobs=16  Rescan=60s  ProbeTimeout=10s  Probe=(program)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/period.h"
#include "base/reason.h"
#include "daemon/common/config/config_name.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/common/profile/profile.h"

#define CONFIG_SPOOLS_MAX 64 /* one message reports on all (intake_wire.h) */

struct config_class {
	char *name;
	struct period keep;      /* one second to 1000 years */
	bool keep_from_recorded; /* From=recorded: not from the sealing (expiry.h) */
	char *origin;
};

/* A [profile NAME]; texts that were not given are NULL. */
struct config_profile {
	char *name;
	char *files, *ignore, *rewritten, *finished, *unfinished, *discard, *account, *sidecars,
			*markers, *recorded;
	int64_t sidecar_wait_us;
	char *origin;
};

struct config {
	struct config_spool *spools;
	size_t n_spools;
	struct config_profile *profiles;
	size_t n_profiles;
	struct config_class *classes; /* always contains "default" */
	size_t n_classes;
	char *keeper_dir; /* keeper.db, root.slots, lock */
	char *objects_dir;
	char *socket_dir;                     /* control, intake */
	char *intake_user;                    /* NULL: the keeper's own user */
	char *viewers, *operators, *officers; /* group names */
	char *root;                           /* "file" or "tpm2" */
	char *tpm_device; /* a device or TCTI string; NULL: what root.tpm2 says, or /dev/tpmrm0 */
	int64_t epoch_interval_us;    /* between expiries; -1: by where the root is */
	int64_t away_limit_us;        /* a root mirror is away before it may be given up */
	char *require_assurance;      /* a label of root.h; NULL: none */
	bool verify_ends;             /* Verify=ends: before the plaintext goes, see ingest.h */
	unsigned objects_low_percent; /* the watermark of the objects' filesystem; 0: none */
	unsigned jobs;                /* recordings in progress at once */
	int64_t rescan_us, probe_timeout_us;
	char *probe_program; /* NULL: beside the daemon */
	bool embedded;       /* below a --state directory */
};

/* The built-in settings, without any spool, profile or class. NULL: no memory. */
struct config *config_new(void);
struct config *config_free(struct config *config);

/* Adds a spool, class or profile with default settings, which belongs to config. origin says where
 * it comes from, for messages. 0, -ENOMEM. */
int config_new_spool(struct config *config, const char *name, const char *origin);
int config_new_class(struct config *config, const char *name, const char *origin);
int config_new_profile(struct config *config, const char *name, const char *origin);

/* Checks what only the whole can tell: classes exist; no spool is in another, or shares ground with
 * the state, objects or sockets; no duplicates. To be called once the last spool is added. Each
 * problem is one line of the reason. 0, -RE_CONFIG, -ENOMEM. */
int config_check(const struct config *config, struct reason *reason);

const struct config_class *config_find_class(const struct config *config, const char *name);

/* The spool's profile with the spool's own settings, for profile_compile(); its texts are the
 * configuration's. -ENOENT when there is no profile of that name. */
int config_profile_of(const struct config *config, const struct config_spool *spool,
		struct profile_text *ret_text);
