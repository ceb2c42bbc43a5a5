/* Folders of a spool that nothing is left in (EmptyFolders=remove): each would keep a watch, and
 * its name may be that of a shredded account.
 *
 * Only rmdir() removes them, so that a folder that is not empty any more stays, whoever fills it in
 * the meantime. A bridge makes a folder some time before it writes to it: only a folder that has
 * not changed for long enough goes, and that is sooner when the bridge has had its recording there
 * already. The spool itself never goes: a scan does not call it empty. */
#include <errno.h>
#include <fcntl.h>
#include <syslog.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/intake/spool/spool.h"

#define KEY_BYTES 16

static void folder_key(const struct stat *folder, uint8_t key[static KEY_BYTES])
{
	put_le64(key, folder->st_dev);
	put_le64(key + 8, folder->st_ino);
}

void spool_folder_emptied(struct spool *spool, int folder_fd)
{
	uint8_t key[KEY_BYTES];
	struct stat st;

	if (!spool->config->remove_empty || folder_fd < 0 || fstat(folder_fd, &st) < 0)
		return;
	folder_key(&st, key);
	seen_add(spool->emptied, key, sizeof(key));
}

/* How long this folder must not have changed. */
static int64_t folder_wait_us(const struct spool *spool, const struct stat *folder)
{
	int64_t settle_us = spool->config->settle_us;
	uint8_t key[KEY_BYTES];

	folder_key(folder, key);
	int64_t wait_us = seen_has(spool->emptied, key, sizeof(key)) ? SPOOL_EMPTIED_US
								     : SPOOL_EMPTY_US;
	return wait_us > settle_us ? wait_us : settle_us;
}

/* Whether the name still leads to this folder. */
static bool folder_is_named(int parent_fd, const char *name, const struct stat *folder)
{
	struct stat st;

	return fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0 &&
	       S_ISDIR(st.st_mode) && st.st_dev == folder->st_dev && st.st_ino == folder->st_ino;
}

static void report_not_removed(struct spool *spool, int r)
{
	if (outage_failed(&spool->emptying, monotonic_us()) > 0)
		spool_notify(spool, LOG_WARNING, EVENT_SPOOL_TROUBLE,
				"spool %s: empty folders cannot be removed (EmptyFolders=remove): "
				"%s",
				spool->config->name, error_text(r));
}

void spool_folder_empty(
		struct spool *spool, int parent_fd, const char *name, const struct stat *folder)
{
	struct source_identity identity;

	source_identify(folder, &identity);
	int64_t age_us = clock_now_us(spool->tools->clock) - source_changed_us(&identity);
	if (!spool->config->remove_empty || age_us < folder_wait_us(spool, folder) ||
			!folder_is_named(parent_fd, name, folder))
		return;
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0) {
		spool->folders_removed++;
		outage_over(&spool->emptying);
		/* The folder above may be empty now, and was in use by the same bridge. */
		spool_folder_emptied(spool, parent_fd);
		return;
	}
	/* Filled, mounted on or gone in the meantime: as it should be. */
	if (errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY && errno != ENOENT &&
			errno != ENOTDIR)
		report_not_removed(spool, -errno);
}
