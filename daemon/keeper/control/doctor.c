#include "daemon/keeper/control/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/secret.h"
#include "daemon/common/config/config.h"
#include "daemon/keeper/control/view.h"
#include "daemon/keeper/erasure/erasure_room.h"
#include "daemon/keeper/ingest/ingest_room.h"
#include "daemon/keeper/root/epoch_slots.h"
#include "daemon/keeper/root/mirrors.h"
#include "daemon/keeper/root/objects_place.h"
#include "daemon/keeper/root/preflight.h"
#include "daemon/keeper/root/root_main.h"
#include "storage/tables/row_mac.h"
#include "storage/tpm2/root_tpm2.h"

#define TEXT_BYTES      1024
#define LOW_PERCENT     5
#define TPM_WRITES_MANY 50000 /* of some 100000 that such memory bears */
#define KEEPER          "keeper"

/* Steals nothing; advice NULL: it is fine. */
static void check_append(json_t *checks, const char *where, const char *what, const char *finding,
		const char *advice)
{
	json_t *check = json_pack("{s:o, s:s, s:b, s:o, s:o*}", "where", view_text(where), "what",
			what, "fine", advice == NULL, "finding", view_text(finding), "advice",
			view_text(advice));

	if (check)
		json_array_append_new(checks, check);
}

void doctor_fine(json_t *checks, const char *where, const char *what, const char *format, ...)
{
	char finding[TEXT_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(finding, sizeof(finding), format, arguments);
	va_end(arguments);
	check_append(checks, where, what, finding, NULL);
}

void doctor_change(json_t *checks, const char *where, const char *what, const char *advice,
		const char *format, ...)
{
	char finding[TEXT_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(finding, sizeof(finding), format, arguments);
	va_end(arguments);
	check_append(checks, where, what, finding, advice);
}

void doctor_space(json_t *checks, const char *where, const char *of, uint64_t free_bytes,
		uint64_t total_bytes)
{
	double percent = total_bytes > 0 ? 100.0 * (double)free_bytes / (double)total_bytes : 100;

	if (percent < LOW_PERCENT)
		doctor_change(checks, where, "free space",
				"make room, or give it a larger volume: what cannot be sealed "
				"stays in plaintext",
				"%.1f%% of the filesystem of %s is free (%" PRIu64 " MiB)", percent,
				of, free_bytes >> 20);
	else
		doctor_fine(checks, where, "free space",
				"%.0f%% of the filesystem of %s is free (%" PRIu64 " MiB)", percent,
				of, free_bytes >> 20);
}

/* The slot is read as the next erasure would read it. */
static int doctor_read_root(struct vault *vault, size_t i)
{
	_cleanup_secret_ struct root_record *record = secret_new(sizeof(*record));
	int r = record ? epoch_slot_get(&vault->root, i, vault->root.slot, record) : -RE_MLOCK;

	if (r >= 0 && (r == 0 || record->epoch != vault_epoch(vault)))
		return -RE_CORRUPT;
	return r < 0 ? r : 0;
}

static void doctor_check_copy(json_t *checks, struct vault *vault, size_t i)
{
	const struct root_member *member = &vault->root.copies->member[i];
	/* Read from the medium: a descriptor that is open proves nothing. */
	int r = member->provider ? doctor_read_root(vault, i) : -RE_AWAY;

	if (r == 0 && *member->why_away.text)
		doctor_change(checks, KEEPER, "root",
				"put it back before anything is restarted: without its root the "
				"vault does not open again",
				"%s (%s): %s", member->name, member->location,
				member->why_away.text);
	else if (r == 0)
		doctor_fine(checks, KEEPER, "root", "%s (%s) is readable, epoch %" PRIu64,
				member->name, member->location, vault_epoch(vault));
	else if (r == -RE_AWAY)
		doctor_change(checks, KEEPER, "root",
				"bring it back, or replace it (recsealctl root): nothing is erased "
				"without it",
				"%s (%s) is away: %s", member->name, member->location,
				member->why_away.text);
	else
		doctor_change(checks, KEEPER, "root",
				"see recseal-keeper(8) before anything is restarted: without its "
				"root the vault does not open again",
				"%s (%s) cannot be read: %s", member->name, member->location,
				root_set_reason(vault->root.copies, i, r));
}

static void doctor_check_root(json_t *checks, struct vault *vault)
{
	const char *assurance = vault->root.copies->assurance;

	mirrors_check_paths(&vault->root);
	for (size_t i = 0; i < vault->root.copies->n; i++)
		doctor_check_copy(checks, vault, i);
	if (vault->root.copies->n == 1)
		doctor_fine(checks, KEEPER, "mirror",
				"none: if the root is lost, so is every recording; recsealctl root "
				"add");
	if (root_assurance_rank(assurance) == 0)
		doctor_fine(checks, KEEPER, "assurance",
				"%s: copies of root.slots made before a shred undo it; keep it out "
				"of backups and snapshots, or move it to a TPM (Root=tpm2)",
				assurance);
	else
		doctor_fine(checks, KEEPER, "assurance", "%s", assurance);
}

static void doctor_check_tpm(json_t *checks, const struct vault *vault)
{
	const struct root_provider *own = vault->root.copies->member[0].provider;

	if (!own || root_main_is_file(&vault->root))
		return;
	uint64_t writes = root_tpm2_writes(own);
	if (writes > TPM_WRITES_MANY)
		doctor_change(checks, KEEPER, "TPM wear",
				"lengthen EpochInterval=, and plan for another TPM: move the root "
				"to a file, and to the new one",
				"%" PRIu64 " writes of some 100000 that its memory bears", writes);
	else
		doctor_fine(checks, KEEPER, "TPM wear",
				"%" PRIu64 " writes of some 100000 that its memory bears", writes);
}

/* Sentences of preflight.h end with what to do. */
static void doctor_on_warning(void *context, const char *sentence)
{
	const char *end = strstr(sentence, ". ");

	if (end)
		doctor_change(context, "host", "keys", end + 2, "%.*s", (int)(end - sentence),
				sentence);
	else
		doctor_change(context, "host", "keys", "see recseal(7)", "%s", sentence);
}

/* ProcSubset=pid hides it: what cannot be seen must not pass for not there. */
static bool host_shows_swap(const char *host)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/proc/swaps", host);
	return access(path, R_OK) == 0;
}

static void doctor_check_host(json_t *checks, const struct vault *vault, const char *host)
{
	size_t before = json_array_size(checks);

	preflight_check(vault->config->keeper_dir, host, doctor_on_warning, checks);
	if (json_array_size(checks) == before)
		doctor_fine(checks, "host", "keys",
				"no hibernation, crash dumps, snapshots or copying filesystem "
				"found that could keep them; %s",
				host_shows_swap(host) ? "nor swap"
						      : "swap cannot be seen from within the unit "
							"(MemorySwapMax=0 there keeps them "
							"out of it)");
}

static void doctor_check_folder(json_t *checks, const char *of, const char *path)
{
	struct statvfs sv;

	if (statvfs(path, &sv) < 0) {
		doctor_change(checks, KEEPER, "free space", "see that it is there and mounted",
				"%s cannot be looked at", path);
		return;
	}
	doctor_space(checks, KEEPER, of, (uint64_t)sv.f_bavail * sv.f_frsize,
			(uint64_t)sv.f_blocks * sv.f_frsize);
}

static void doctor_check_reserve(json_t *checks, struct vault *vault)
{
	struct reason reason = {""};

	if (objects_place_check(&vault->root, &reason) < 0)
		doctor_change(checks, KEEPER, "objects", "mount the volume of the objects", "%s",
				reason.text);

	if (erasure_room_take(&vault->root, 1, &reason) == -ENOSPC)
		doctor_change(checks, KEEPER, "reserve",
				"make room: a shred waits until there is some", "%s", reason.text);
	else
		doctor_fine(checks, KEEPER, "reserve", "%.1f MiB are set aside for erasures",
				(double)db_room_left(vault->db) / (1 << 20));
	if (ingest_room_check(&vault->root, 0, 0, &reason) < 0)
		doctor_change(checks, KEEPER, "sealing",
				"make room: recordings wait in their spools until there is some",
				"%s", reason.text);
}

static void doctor_check_clock(json_t *checks, const struct vault *vault)
{
	char text[VAULT_CLOCK_TEXT_BYTES];
	const char *advice;

	if (vault_clock_describe(&vault->clock, text, &advice))
		doctor_fine(checks, KEEPER, "clock", "%s", text);
	else
		doctor_change(checks, KEEPER, "clock", advice, "%s", text);
}

static void doctor_check_erasures(
		json_t *checks, const struct vault *vault, const struct tally *tally)
{
	/* The gravest one first: the others follow from it. */
	if (root_is_stuck(&vault->root))
		doctor_change(checks, KEEPER, "erasures", "restart recseal-keeper",
				"one was interrupted, and only a restart can finish it");
	else if (tally->count[RECORDING_PENDING] > 0)
		doctor_change(checks, KEEPER, "erasures",
				"see what hinders it: recsealctl status, journalctl -u "
				"recseal-keeper",
				"%" PRId64
				" recordings are to be destroyed, and still have their keys",
				tally->count[RECORDING_PENDING]);
	else
		doctor_fine(checks, KEEPER, "erasures", "none is waiting");
	if (vault->root.witness_owed)
		doctor_change(checks, KEEPER, "epoch witness",
				"make room, or make it writable for the keeper",
				"the object folder could not take note of epoch %" PRIu64,
				vault_epoch(vault));
}

static void doctor_check_quarantine(json_t *checks, const struct tally *tally)
{
	if (tally->count[RECORDING_QUARANTINED] > 0)
		doctor_change(checks, KEEPER, "quarantine",
				"see recsealctl list --state quarantined, then quarantine assign "
				"or shred recording",
				"%" PRId64 " recordings belong to no account",
				tally->count[RECORDING_QUARANTINED]);
	else
		doctor_fine(checks, KEEPER, "quarantine", "empty");
}

static void doctor_check_rows(json_t *checks, const struct vault *vault)
{
	const struct row_finding *findings;
	size_t count, n = row_mac_findings(vault->db, &findings, &count);
	char sentence[TEXT_BYTES];
	int64_t done, all;

	for (size_t i = 0; i < n; i++) {
		row_mac_describe(&findings[i], sentence, sizeof(sentence));
		doctor_change(checks, KEEPER, "catalog",
				"keep a copy of the keeper's directory, and restore keeper.db from "
				"a copy made after the last erasure; until then this is not "
				"believed",
				"%s", sentence);
	}
	row_mac_progress(vault->db, &done, &all);
	if (n == 0)
		doctor_fine(checks, KEEPER, "catalog",
				"no row was altered, as far as was looked: %" PRIu64
				" whole rounds since the start, now at %" PRId64 " of %" PRId64
				" rows",
				row_mac_rounds(vault->db), done, all);
}

static void doctor_check_catalog(json_t *checks, struct vault *vault)
{
	struct tally tally;
	int r = catalog_tally_get(vault->db, 0, &tally);

	if (r < 0) {
		doctor_change(checks, KEEPER, "catalog",
				"restore keeper.db from a copy made after the last erasure",
				"it cannot be read: %s", error_text(r));
		return;
	}
	doctor_check_rows(checks, vault);
	doctor_check_erasures(checks, vault, &tally);
	doctor_check_quarantine(checks, &tally);
}

void doctor_keeper(json_t *checks, struct vault *vault, const char *host)
{
	doctor_check_root(checks, vault);
	doctor_check_tpm(checks, vault);
	doctor_check_host(checks, vault, host);
	doctor_check_folder(checks, "the keeper's state", vault->config->keeper_dir);
	doctor_check_folder(checks, "sealed objects", vault->config->objects_dir);
	doctor_check_reserve(checks, vault);
	doctor_check_clock(checks, vault);
	doctor_check_catalog(checks, vault);
}
