/* The first start on a folder. The keeper decides whether a spool may be taken from
 * (daemon/keeper/ingest/spool_gate.h); until it has said so of this very folder, scans only count,
 * and no candidate is made or looked at.
 *
 *     root opened --spool_first_begin--> not allowed, and the keeper is to be asked
 *     not allowed --a scan ends: spool_first_end_scan--> the same, counted, to be asked again
 *     not allowed --spool_first_answer(yes)--> allowed, and a scan is wanted
 *     allowed --spool_first_answer(no), of another vault--> not allowed, and a scan is wanted
 *
 * A folder counts as empty when all that a scan finds in it has come since it was opened. That is
 * told by births (statx(2)), which nobody can set: where the filesystem records none, every file
 * counts as old. The machine's clock may be wrong: what was born after now is old, too. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>

#include "base/cleanup.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/intake/source/beneath.h"
#include "daemon/intake/spool/spool.h"

#define NS_PER_S INT64_C(1000000000)

/* The clock that filesystems take their times from. */
static int64_t first_now_ns(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

int spool_first_begin(struct spool *spool)
{
	struct origin origin;
	struct spool_first first = {.ask = true};
	int r = origin_find(spool->root_fd, &origin);

	if (r < 0)
		return r;
	origin_hash_folder(&origin, spool->config->name, first.folder);
	first.opened_ns = first_now_ns();
	spool->first = first;
	return 0;
}

void spool_first_begin_scan(struct spool *spool)
{
	spool->first.now = (struct spool_first_count){0};
}

static bool first_is_since(const struct spool *spool, int64_t time_ns)
{
	return time_ns >= spool->first.opened_ns && time_ns <= first_now_ns();
}

/* Whether the file was born since the folder was opened. */
static bool first_is_new(const struct spool *spool, const char *path, const struct stat *st)
{
	struct statx stx;

	/* Most are not: their last change tells, without another call. */
	if (!first_is_since(spool, st->st_ctim.tv_sec * NS_PER_S + st->st_ctim.tv_nsec))
		return false;
	_cleanup_close_ int fd = beneath_open(spool->root_fd, path, O_PATH | O_NOFOLLOW);
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BTIME | STATX_INO, &stx) < 0)
		return false;
	return (stx.stx_mask & STATX_BTIME) && stx.stx_ino == st->st_ino &&
	       first_is_since(spool, stx.stx_btime.tv_sec * NS_PER_S + stx.stx_btime.tv_nsec);
}

void spool_first_meet(struct spool *spool, const char *path, const struct stat *st, bool recording)
{
	struct spool_first_count *now = &spool->first.now;

	if (spool->first.allowed)
		return;
	now->files++;
	now->old += !first_is_new(spool, path, st);
	if (!recording)
		return;
	now->recordings++;
	now->bytes += (uint64_t)st->st_size;
}

/* Once, by its numbers: names may be personal data. */
static void first_tell_held(struct spool *spool)
{
	const struct spool_first_count *found = &spool->first.found;
	const char *name = spool->config->name;

	if (spool->first.told)
		return;
	spool->first.told = true;
	spool_notify(spool, LOG_WARNING, EVENT_SPOOL_HELD,
			"spool %s: %s held %" PRIu64 " files (%" PRIu64
			" recordings) when this vault met it first: nothing is taken from it until "
			"an operator or officer says so. To do: look at recsealctl spool plan %s, "
			"then recsealctl spool accept %s --reason TEXT",
			name, spool->config->path, found->files, found->recordings, name, name);
}

void spool_first_end_scan(struct spool *spool)
{
	struct spool_first *first = &spool->first;

	if (first->allowed)
		return;
	first->found = first->now;
	first->counted = true;
	first->empty |= first->found.old == 0;
	first->ask = true;
}

static void first_allow(struct spool *spool)
{
	struct spool_first *first = &spool->first;

	if (first->allowed)
		return;
	first->allowed = true;
	first->held = false;
	/* What was only counted is scanned again. */
	spool->scan = scan_free(spool->scan);
	spool->scan_wanted = true;
	if (first->told)
		spool_notify(spool, LOG_NOTICE, EVENT_SPOOL_HELD,
				"spool %s may be taken from: its recordings are sealed now",
				spool->config->name);
	first->told = false;
}

void spool_first_answer(
		struct spool *spool, const uint8_t folder[static ORIGIN_HASH_BYTES], bool may)
{
	struct spool_first *first = &spool->first;

	if (spool->root_fd < 0 || memcmp(first->folder, folder, sizeof(first->folder)) != 0)
		return;
	if (may) {
		first_allow(spool);
		return;
	}
	if (first->allowed || !first->counted)
		spool->scan_wanted = true;
	/* Nothing was counted while it was allowed. */
	first->counted &= !first->allowed;
	first->allowed = false;
	first->held = first->counted;
	if (first->held)
		first_tell_held(spool);
}

bool spool_first_is_held(const struct spool *spool)
{
	return spool->root_fd >= 0 && spool->first.held;
}

json_t *spool_first_question(const struct spool *spool)
{
	const struct spool_first *first = &spool->first;
	const struct spool_first_count *found = &first->found;
	json_t *question = json_pack("{s:s, s:s, s:o, s:s}", "op", "spool", "spool",
			spool->config->name, "folder",
			intake_wire_base64(first->folder, sizeof(first->folder)), "first",
			spool->config->first_take ? "take" : "wait");

	if (question && first->counted) {
		json_object_set_new(question, "empty", json_boolean(first->empty));
		json_object_set_new(question, "files", json_integer((json_int_t)found->files));
		json_object_set_new(question, "recordings",
				json_integer((json_int_t)found->recordings));
		json_object_set_new(question, "bytes", json_integer((json_int_t)found->bytes));
	}
	return question;
}
