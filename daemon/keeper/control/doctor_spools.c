/* The doctor's checks of the spools. It knows only the facts that the intake reports, and the
 * intake is another process: a fact that is missing or of the wrong type counts as not known, never
 * as fine. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/common/config/config.h"
#include "daemon/keeper/control/doctor.h"

#define NUMBER_MAX      INT64_C(1000000000000000000)
#define WATCHES_PERCENT 90
#define OTHERS_WRITE    0002
#define STICKY          01000
#define SILENT_US       (20 * US_PER_S)

/* One spool as reported. */
struct report {
	json_t *checks;
	const struct vault *vault;
	const json_t *spool, *facts;
	int64_t watches; /* of all spools */
	char where[96];
};

static const char *fact_text(const json_t *object, const char *key, const char *otherwise)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : otherwise;
}

/* Never negative. */
static int64_t fact_number(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n < 0 ? 0 : n > NUMBER_MAX ? NUMBER_MAX : n;
}

static void spool_check_owner(const struct report *r)
{
	int64_t mode = fact_number(r->facts, "mode"), uid = fact_number(r->facts, "uid");
	int64_t gid = fact_number(r->facts, "gid");

	if (mode & OTHERS_WRITE)
		doctor_change(r->checks, r->where, "owner",
				mode & STICKY ? "chmod o-w: anybody can put recordings there"
					      : "chmod o-w: anybody can put recordings there, and "
						"take them away",
				"uid %" PRId64 ", gid %" PRId64 ", mode %04" PRIo64
				": writable by all",
				uid, gid, (uint64_t)mode);
	else
		doctor_fine(r->checks, r->where, "owner",
				"uid %" PRId64 ", gid %" PRId64 ", mode %04" PRIo64, uid, gid,
				(uint64_t)mode);
}

static void spool_check_access(const struct report *r)
{
	const char *why = fact_text(r->facts, "no_access", NULL);

	if (why)
		doctor_change(r->checks, r->where, "access",
				"put user recseal into a group that may read and write there "
				"(SupplementaryGroups=), and name the folder in ReadWritePaths=",
				"recseald cannot take recordings away: %s", why);
	else
		doctor_fine(r->checks, r->where, "access", "recseald may read and remove there");
}

static void spool_check_leases(const struct report *r)
{
	const char *filesystem = fact_text(r->facts, "filesystem", "not known");
	const char *leases = fact_text(r->facts, "leases", "");

	if (strcmp(leases, "honoured") == 0 &&
			!json_is_true(json_object_get(r->facts, "unleased"))) {
		doctor_fine(r->checks, r->where, "filesystem",
				"%s: leases show when a recording is finished", filesystem);
	} else if (strcmp(leases, "unsound") == 0) {
		doctor_change(r->checks, r->where, "filesystem",
				"put the spool on a local filesystem: until then a file is taken "
				"once it was quiet for a minute",
				"%s: a lease does not show whether somebody writes", filesystem);
	} else {
		doctor_change(r->checks, r->where, "filesystem",
				"give recseald CAP_LEASE (AmbientCapabilities=), as its unit does: "
				"until then a file is taken once it was quiet for a minute",
				"%s: recseald may not take leases on the bridge's files",
				filesystem);
	}
}

/* What lies in the spool before it is sealed, and in free blocks after it was removed. Destroying a
 * key does nothing about it. */
static void spool_check_plaintext(const struct report *r)
{
	const char *at_rest = fact_text(r->facts, "at_rest", "not known");
	const char *wipe = fact_text(r->facts, "wipe", "no");
	bool fails = strcmp(wipe, "fails") == 0;

	if (fails || strcmp(wipe, "does not help") == 0)
		doctor_change(r->checks, r->where, "plaintext",
				fails ? "journalctl -u recseald says why; recseald needs write "
					"permission on the recordings"
				      : "put the spool on tmpfs, ext4 or xfs, or on an encrypted "
					"disk, and remove Wipe=",
				"Wipe=yes %s here: removed recordings stay in free blocks of the "
				"disk",
				wipe);
	else if (strcmp(at_rest, "memory") == 0)
		doctor_fine(r->checks, r->where, "plaintext",
				"lies in memory (tmpfs): in no block of a disk, unless it is "
				"swapped out");
	else if (strcmp(at_rest, "dm-crypt") == 0 || strcmp(at_rest, "fscrypt") == 0)
		doctor_fine(r->checks, r->where, "plaintext",
				"lies encrypted (%s): removed recordings stay in free blocks, "
				"under that key",
				at_rest);
	else if (strcmp(wipe, "yes") == 0)
		doctor_fine(r->checks, r->where, "plaintext",
				"is overwritten before it is removed (Wipe=yes); flash and "
				"journals may keep old blocks");
	else
		doctor_fine(r->checks, r->where, "plaintext",
				"%s: removed recordings stay in free blocks of the disk, also "
				"after a shred; put the spool on tmpfs, on LUKS (cryptsetup) or "
				"into an fscrypt folder%s",
				strcmp(at_rest, "plain") == 0 ? "not encrypted"
							      : "not known to be encrypted",
				strcmp(wipe, "no") == 0 ? ", or set Wipe=yes" : "");
}

static void spool_check_watches(const struct report *r)
{
	int64_t watches = r->watches, max = fact_number(r->facts, "watches_max");
	int64_t unwatched = fact_number(r->facts, "unwatched");
	const char *advice = "raise fs.inotify.max_user_watches (sysctl.d)";

	if (unwatched > 0)
		doctor_change(r->checks, r->where, "watches", advice,
				"%" PRId64
				" directories are not watched, and seen only by a rescan",
				unwatched);
	else if (max > 0 && watches > max / 100 * WATCHES_PERCENT)
		doctor_change(r->checks, r->where, "watches", advice,
				"%" PRId64 " of %" PRId64 " are in use", watches, max);
	else if (max > 0)
		doctor_fine(r->checks, r->where, "watches", "%" PRId64 " of %" PRId64 " are in use",
				watches, max);
	else /* ProcSubset=pid hides the limit; what counts is that none was missing */
		doctor_fine(r->checks, r->where, "watches", "%" PRId64 " are in use, none missing",
				watches);
}

static void spool_tell_class(const struct report *r, const struct config_class *class)
{
	char keep[PERIOD_TEXT_BYTES];

	period_format(&class->keep, keep);
	doctor_fine(r->checks, r->where, "class", "%s: kept for %s from %s", class->name, keep,
			class->keep_from_recorded ? "when it was recorded" : "when it was sealed");
}

static void spool_check_class(const struct report *r)
{
	const char *name = fact_text(r->facts, "class", "");
	const struct config_class *class = config_find_class(r->vault->config, name);

	if (!class)
		doctor_change(r->checks, r->where, "class",
				"have both daemons read one configuration, and restart them",
				"the keeper knows no class %s: nothing of this spool is sealed",
				name);
	else
		spool_tell_class(r, class);
	doctor_fine(r->checks, r->where, "profile", "%s, settle time %.1f s",
			fact_text(r->facts, "profile", "not known"),
			(double)fact_number(r->facts, "settle_us") / US_PER_S);
}

/* Nothing is taken from it, and not for a fault. */
static void spool_tell_held(const struct report *r, const json_t *held)
{
	const char *name = fact_text(r->spool, "name", "?");
	char advice[256];

	snprintf(advice, sizeof(advice),
			"look at recsealctl spool plan %.64s, then recsealctl spool accept %.64s "
			"--reason TEXT",
			name, name);
	doctor_change(r->checks, r->where, "first start", advice,
			"%" PRId64 " files (%" PRId64 " recordings) were in it when the vault met "
			"it first, or came since: nothing is taken until somebody says so",
			fact_number(held, "files"), fact_number(held, "recordings"));
}

static void spool_check_files(const struct report *r)
{
	const json_t *held = json_object_get(r->spool, "held");

	int64_t refused = fact_number(r->spool, "refused");
	const char *error = fact_text(r->spool, "last_error", NULL);

	if (refused > 0)
		doctor_change(r->checks, r->where, "files",
				"journalctl -u recseald names them by inode: links, pipes and the "
				"like do not belong into a spool",
				"%" PRId64 " cannot be sealed and stay there", refused);
	if (error)
		doctor_change(r->checks, r->where, "sealing", "see journalctl -u recseald",
				"the last attempt failed: %s", error);
	if (json_is_object(held))
		spool_tell_held(r, held);
	else if (refused == 0 && !error)
		doctor_fine(r->checks, r->where, "files", "%" PRId64 " wait to be sealed",
				fact_number(r->spool, "waiting"));
}

static void spool_check_there(const struct report *r)
{
	spool_check_owner(r);
	spool_check_access(r);
	spool_check_leases(r);
	spool_check_plaintext(r);
	spool_check_watches(r);
	if (fact_number(r->facts, "total_bytes") > 0)
		doctor_space(r->checks, r->where, "the spool",
				(uint64_t)fact_number(r->facts, "free_bytes"),
				(uint64_t)fact_number(r->facts, "total_bytes"));
	spool_check_class(r);
	spool_check_files(r);
}

static bool spool_is_silent(const json_t *spool)
{
	return fact_number(spool, "looked_ago_us") > SILENT_US ||
	       fact_number(spool, "hung_threads") > 0;
}

static void spool_check_all(
		json_t *checks, const struct vault *vault, const json_t *spool, int64_t watches)
{
	struct report r = {.checks = checks,
			.vault = vault,
			.spool = spool,
			.facts = json_object_get(spool, "facts"),
			.watches = watches};

	snprintf(r.where, sizeof(r.where), "spool %.64s", fact_text(spool, "name", "?"));
	if (spool_is_silent(spool))
		doctor_change(checks, r.where, "filesystem",
				"look at its disk, server or mount: other spools are sealed "
				"meanwhile",
				"does not answer: nothing is sealed from it, and the facts about "
				"it are %" PRId64 " s old",
				fact_number(spool, "looked_ago_us") / US_PER_S);
	else if (!json_is_object(r.facts))
		doctor_change(checks, r.where, "report",
				"have recseald and recseal-keeper be of one version",
				"recseald reports nothing about it");
	else if (!json_is_true(json_object_get(r.facts, "there")))
		doctor_change(checks, r.where, "folder",
				"make it, mount it, or correct Path=: nothing is sealed from it",
				"%s cannot be opened", fact_text(spool, "path", "its folder"));
	else
		spool_check_there(&r);
}

/* The kernel's limit is for all watches of a user. */
static int64_t spools_watches(const json_t *spools)
{
	int64_t sum = 0;

	for (size_t i = 0; i < json_array_size(spools); i++) {
		const json_t *facts = json_object_get(json_array_get(spools, i), "facts");
		int64_t watches = fact_number(facts, "watches");
		sum = watches < NUMBER_MAX - sum ? sum + watches : NUMBER_MAX;
	}
	return sum;
}

void doctor_spools(json_t *checks, const struct vault *vault, const json_t *spools_or_null)
{
	if (!spools_or_null) {
		doctor_change(checks, "intake", "connection",
				"start recseald; journalctl -u recseald says why it is not there",
				"recseald is not connected: nothing is being sealed");
		return;
	}
	doctor_fine(checks, "intake", "connection", "recseald is connected");
	if (json_array_size(spools_or_null) == 0)
		doctor_change(checks, "intake", "spools",
				"add a [spool NAME] section with Path=", "there is none");
	int64_t watches = spools_watches(spools_or_null);
	for (size_t i = 0; i < json_array_size(spools_or_null); i++)
		spool_check_all(checks, vault, json_array_get(spools_or_null, i), watches);
}
