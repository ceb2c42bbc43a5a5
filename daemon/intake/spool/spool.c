#include "daemon/intake/spool/spool.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/config/config_spool.h"

#define EMPTIED_FOLDERS_MAX 1024             /* so many are known for the shorter wait */
#define NOTICE_BYTES        (PATH_MAX + 512) /* a notice may name the spool's path */

int spool_init(struct spool *spool, const struct spool_setup *setup, struct reason *reason)
{
	const char *name = setup->config->name;

	*spool = (struct spool){.config = setup->config,
			.index = setup->index,
			.tools = setup->tools,
			.profile_text = setup->profile,
			.root_fd = -1};
	spool->free_percent = -1;
	spool->queue = queue_new(setup->candidates);
	spool->emptied = seen_new(EMPTIED_FOLDERS_MAX);
	if (!spool->queue || !spool->emptied)
		return reason_set_error(reason, -ENOMEM, "spool %s", name);
	int r = profile_compile(&spool->profile_text, reason, &spool->profile);
	if (r < 0)
		reason_prefix(reason, "spool %s", name);
	return r;
}

void spool_close(struct spool *spool)
{
	spool->scan = scan_free(spool->scan);
	if (spool->root_fd >= 0)
		close(spool->root_fd);
	spool->root_fd = -1;
}

void spool_free(struct spool *spool)
{
	spool_close(spool);
	spool->queue = queue_free(spool->queue);
	spool->emptied = seen_free(spool->emptied);
	free(spool->real_path);
	spool->real_path = NULL;
	spool->profile = profile_free(spool->profile);
	account_map_clear(&spool->map);
}

/* ---- Notices ---- */

void spool_notify(
		const struct spool *spool, int priority, enum event event, const char *format, ...)
{
	const struct notice_sink *sink = &spool->tools->notices;
	char text[NOTICE_BYTES];
	va_list args;

	if (!sink->post)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sink->post(sink->context, &(struct notice){.priority = priority,
						  .event = event,
						  .spool = spool->config->name,
						  .text = text});
}

void spool_report_already(
		const struct spool *spool, uint64_t inode, uint64_t bytes, const char *recording)
{
	const struct notice_sink *sink = &spool->tools->notices;
	char text[NOTICE_BYTES];

	if (!sink->post)
		return;
	snprintf(text, sizeof(text),
			"spool %s: inode %" PRIu64 ", %" PRIu64
			" bytes, was sealed before as recording %s: all bytes were compared with "
			"it, and the file is removed",
			spool->config->name, inode, bytes, recording);
	sink->post(sink->context, &(struct notice){.priority = LOG_NOTICE,
						  .event = EVENT_ALREADY,
						  .spool = spool->config->name,
						  .recording = recording,
						  .text = text});
}

bool spool_report_refusal(struct spool *spool, uint64_t inode, unsigned kind, const char *what)
{
	const struct refusal refusal = {.spool = spool->index, .inode = inode, .kind = kind};
	enum refusals_verdict verdict = refusals_note(
			&spool->refusals, spool->tools->reported, &refusal, monotonic_us());

	/* By its inode: strangers choose the names, and a name may be personal data. */
	if (verdict == REFUSALS_REPORT || verdict == REFUSALS_REPORT_LAST)
		spool_notify(spool, LOG_WARNING, EVENT_SPOOL_TROUBLE,
				"inode %" PRIu64 " %s: left in place, not sealed (find %s -inum "
				"%" PRIu64 ")%s",
				inode, what, spool->config->path, inode,
				verdict == REFUSALS_REPORT_LAST
						? "; no more of these within the hour"
						: "");
	return verdict != REFUSALS_KNOWN;
}

void spool_refuse(struct spool *spool, uint64_t inode, enum source_outcome why)
{
	/* The scan cannot see that a file may not be read; it is counted where that shows. */
	if (why == SOURCE_UNREADABLE)
		spool->refusals.unreadable++;
	if (spool_report_refusal(spool, inode, why, source_refusal(why)))
		spool->refusals.count++;
}

static void spool_set_last_error(struct spool *spool, const char *why)
{
	/* The field is short (spool.h); the whole text is in the notice. */
	snprintf(spool->last_error, sizeof(spool->last_error), "%.*s",
			(int)sizeof(spool->last_error) - 1, why);
}

void spool_refused_by_keeper(struct spool *spool, uint64_t inode, const char *why)
{
	struct reason reason = {0};

	spool_set_last_error(spool, why);
	reason_set(&reason, 0, "was refused (%s)", why);
	spool_report_refusal(spool, inode, REFUSAL_BY_KEEPER, reason.text);
}

/* Whether to report this of the file: it was not reported before, and not too many were. */
static bool spool_is_news(struct spool *spool, const struct source *source, unsigned kind,
		const char **ret_more)
{
	const struct refusal about = {.spool = spool->index,
			.inode = source->identity.inode,
			.kind = kind,
			.birth = (uint64_t)stale_birth_us(source)};
	enum refusals_verdict verdict = refusals_note(
			&spool->refusals, spool->tools->reported, &about, monotonic_us());

	*ret_more = verdict == REFUSALS_REPORT_LAST ? "; no more of these within the hour" : "";
	return verdict == REFUSALS_REPORT || verdict == REFUSALS_REPORT_LAST;
}

void spool_keeps_changing(struct spool *spool, const struct source *source)
{
	uint64_t inode = source->identity.inode;
	const char *more;

	if (spool_is_news(spool, source, REFUSAL_CHANGING, &more))
		spool_notify(spool, LOG_WARNING, EVENT_STALE,
				"spool %s: inode %" PRIu64
				" is changed each time while it is being sealed: it is tried less "
				"and less often, and lies in plaintext (find %s -inum %" PRIu64
				")%s",
				spool->config->name, inode, spool->config->path, inode, more);
}

/* A number of seconds, minutes or hours, for the journal. */
static void span_write(int64_t span_us, char ret_text[static 32])
{
	int64_t s = span_us / US_PER_S;

	if (s < 120)
		snprintf(ret_text, 32, "%" PRId64 " s", s);
	else if (s < 7200)
		snprintf(ret_text, 32, "%" PRId64 " min", s / 60);
	else
		snprintf(ret_text, 32, "%" PRId64 " h", s / 3600);
}

/* A file that has been there for StaleAfter= is counted as long as it is met, but reported once,
 * however often it goes and comes. True: report it, with how old it is, and what to add. */
static bool spool_meet_old(struct spool *spool, struct stale_files *list,
		const struct source *source, unsigned kind, char age[static 32],
		const char **ret_more)
{
	int64_t now_us = clock_now_us(spool->tools->clock);
	int64_t since_us = stale_since_us(source, now_us);

	if (now_us - since_us < spool->config->stale_after_us)
		return false;
	stale_meet(list, source->identity.inode, since_us, spool->round);
	span_write(now_us - since_us, age);
	return spool_is_news(spool, source, kind, ret_more);
}

void spool_in_progress(struct spool *spool, const struct source *source, bool unfinished)
{
	uint64_t inode = source->identity.inode;
	const char *more;
	char age[32];

	if (!spool_meet_old(spool, &spool->stale, source, REFUSAL_STALE, age, &more))
		return;
	spool_notify(spool, LOG_WARNING, EVENT_STALE,
			"spool %s: inode %" PRIu64
			" was begun %s ago and %s: it lies in plaintext (find %s -inum %" PRIu64
			")%s",
			spool->config->name, inode, age,
			unfinished ? "its bridge has not said that it is finished"
				   : "is still open for writing",
			spool->config->path, inode, more);
}

void spool_ignores(struct spool *spool, const struct source *source)
{
	uint64_t inode = source->identity.inode;
	const char *more;
	char age[32];

	if (!spool_meet_old(spool, &spool->ignored, source, REFUSAL_IGNORED, age, &more))
		return;
	spool_notify(spool, LOG_WARNING, EVENT_STALE,
			"spool %s: inode %" PRIu64
			" has been there for %s and is ignored because of its name: whatever it "
			"holds lies in plaintext (find %s -inum %" PRIu64 ")%s",
			spool->config->name, inode, age, spool->config->path, inode, more);
}

void spool_report_wipe(struct spool *spool, const struct source *source)
{
	if (source->wiped == WIPE_DONE)
		outage_over(&spool->wiping);
	if (source->wiped <= WIPE_DONE)
		return;
	unsigned failures = outage_failed(&spool->wiping, monotonic_us());
	if (failures > 0)
		spool_notify(spool, LOG_WARNING, EVENT_SPOOL_TROUBLE,
				"spool %s: %u recording%s removed without being overwritten "
				"(Wipe=yes): %s",
				spool->config->name, failures, failures > 1 ? "s were" : " was",
				source_wipe_refusal(source->wiped));
}

void spool_sealing_failed(struct spool *spool, const char *why)
{
	unsigned failures = outage_failed(&spool->sealing, monotonic_us());

	spool_set_last_error(spool, why);
	if (failures > 0)
		spool_notify(spool, LOG_ERR, EVENT_SPOOL_TROUBLE,
				"sealing failed %u time%s: %s; the plaintext is kept and tried "
				"again",
				failures, failures > 1 ? "s" : "", why);
}

void spool_sealing_works(struct spool *spool)
{
	spool->last_error[0] = '\0';
	if (outage_over(&spool->sealing))
		spool_notify(spool, LOG_NOTICE, EVENT_PLAIN, "spool %s: sealing works again",
				spool->config->name);
}
