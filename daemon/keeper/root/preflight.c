#include "daemon/keeper/root/preflight.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/error.h"

#define TEXT_BYTES 4096

struct preflight {
	const char *keeper_dir;
	const char *host;
	preflight_warn warn;
	void *context;
	bool swap;
};

/* The beginning of a small file of the host; "" when it is not there. */
static void read_host(const struct preflight *p, const char *path, char ret_text[static TEXT_BYTES])
{
	char full[PATH_MAX];

	ret_text[0] = '\0';
	if (snprintf(full, sizeof(full), "%s%s", p->host, path) >= (int)sizeof(full))
		return;
	FILE *f = fopen(full, "re");
	if (!f)
		return;
	ret_text[fread(ret_text, 1, TEXT_BYTES - 1, f)] = '\0';
	fclose(f);
}

/* Whether this service may not use swap at all (MemorySwapMax=0 of its unit). */
static bool swap_is_denied(const struct preflight *p)
{
	char text[TEXT_BYTES], path[TEXT_BYTES + 64];

	read_host(p, "/proc/self/cgroup", text);
	const char *group = strstr(text, "0::/");
	if (!group)
		return false;
	/* The limit of the unit's own group; a parent may deny swap as well, which is not looked
	 * at. */
	snprintf(path, sizeof(path), "/sys/fs/cgroup%.*s/memory.swap.max",
			(int)strcspn(group + 3, "\n"), group + 3);
	read_host(p, path, text);
	return strcmp(text, "0\n") == 0;
}

/* The first line is a heading; zram keeps everything in memory. */
static void check_swap(struct preflight *p)
{
	char text[TEXT_BYTES], *rest;

	read_host(p, "/proc/swaps", text);
	if (!strtok_r(text, "\n", &rest))
		return;
	for (char *line; (line = strtok_r(NULL, "\n", &rest));)
		p->swap |= strncmp(line, "/dev/zram", 9) != 0;
	/* A warning only: recordings must be sealed all the same. */
	if (p->swap && !swap_is_denied(p))
		p->warn(p->context,
				"swap is on and this service may use it: keys are locked in "
				"memory, but what was computed with them may be written there. Set "
				"MemorySwapMax=0 for the unit, or turn swap off");
}

static void check_hibernation(const struct preflight *p)
{
	char states[TEXT_BYTES], mode[TEXT_BYTES];

	read_host(p, "/sys/power/state", states);
	read_host(p, "/sys/power/disk", mode);
	/* Without swap there is nowhere to write the image. */
	if (p->swap && strstr(states, "disk") && !strstr(mode, "[disabled]"))
		p->warn(p->context, "this machine can hibernate: an image of its memory, all keys "
				    "included, would be written to disk. Mask hibernate.target, or "
				    "boot with nohibernate");
}

static void check_crash_dumps(const struct preflight *p)
{
	char text[TEXT_BYTES];

	read_host(p, "/sys/kernel/kexec_crash_loaded", text);
	if (text[0] == '1')
		p->warn(p->context,
				"a crash kernel is loaded: the dump of a crashed machine contains "
				"all keys. Disable kdump, or keep its dumps like keys");
}

static const char *copying_filesystem(unsigned long type)
{
	static const struct {
		unsigned long type;
		const char *name;
	} copying[] = {{BTRFS_SUPER_MAGIC, "btrfs"}, {0x2fc12fc1, "ZFS"}, {0xca451a4e, "bcachefs"},
			{F2FS_SUPER_MAGIC, "f2fs"}, {0x3434, "nilfs2"},
			{OVERLAYFS_SUPER_MAGIC, "overlayfs"}, {NFS_SUPER_MAGIC, "NFS"},
			{0x65735546, "FUSE"}};

	for (size_t i = 0; i < ELEMENTSOF(copying); i++) {
		if (copying[i].type == type)
			return copying[i].name;
	}
	return NULL;
}

static void check_filesystem(const struct preflight *p)
{
	struct statfs sf;
	char sentence[256];

	if (statfs(p->keeper_dir, &sf) < 0)
		return;
	const char *name = copying_filesystem((unsigned long)sf.f_type);
	if (!name)
		return;
	snprintf(sentence, sizeof(sentence),
			"the keeper's state is on %s, which may keep what is overwritten: an old "
			"root may survive there. Move it to ext4 or XFS on a plain volume",
			name);
	p->warn(p->context, sentence);
}

/* The origin of an LVM snapshot is a device on top of "<uuid>-real" (device-mapper,
 * Documentation/admin-guide/device-mapper/snapshot.rst). */
static void check_snapshots(const struct preflight *p)
{
	char pattern[PATH_MAX], text[TEXT_BYTES];
	bool found = false;
	struct stat st;
	glob_t paths;

	if (stat(p->keeper_dir, &st) < 0)
		return;
	snprintf(pattern, sizeof(pattern), "%s/sys/dev/block/%u:%u/slaves/*/dm/uuid", p->host,
			major(st.st_dev), minor(st.st_dev));
	if (glob(pattern, 0, NULL, &paths) != 0)
		return;
	for (size_t i = 0; i < paths.gl_pathc; i++) {
		read_host(p, paths.gl_pathv[i] + strlen(p->host), text);
		text[strcspn(text, "\n")] = '\0';
		size_t len = strlen(text);
		found |= len > 5 && strcmp(text + len - 5, "-real") == 0;
	}
	globfree(&paths);
	if (found)
		p->warn(p->context,
				"the volume of the keeper's state has a snapshot: an old root may "
				"be kept in it. Remove the snapshot before the next shred");
}

void preflight_check(const char *keeper_dir, const char *host, preflight_warn warn, void *context)
{
	struct preflight p = {
			.keeper_dir = keeper_dir, .host = host, .warn = warn, .context = context};

	check_swap(&p);
	check_hibernation(&p);
	check_crash_dumps(&p);
	check_filesystem(&p);
	check_snapshots(&p);
}

int preflight_assurance(const struct root *root, struct reason *reason)
{
	const char *required = root->settings.require_assurance;

	if (!required || root_assurance_rank(root->copies->assurance) >=
					 root_assurance_rank(required))
		return 0;
	return reason_set(reason, -RE_REFUSED,
			"RequireAssurance=%s, but the root of this vault is kept with assurance "
			"%s: the keeper does not start. Move the root to a TPM (Root=tpm2, then "
			"recseal-keeper --move-root), or lower RequireAssurance=",
			required, root->copies->assurance);
}
