#include "daemon/probe/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/probe/filter.h"

#define SERVER_DESCRIPTORS 64
#define CHILD_DESCRIPTORS  2

struct sandbox {
	struct sock_fprog server, child;
};

int sandbox_new(struct sandbox **ret_sandbox)
{
	_cleanup_(sandbox_free_p) struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
	int r;

	if (!sandbox)
		return -ENOMEM;
	r = filter_server(&sandbox->server);
	if (r == 0)
		r = filter_child(&sandbox->child);
	if (r < 0)
		return r;
	*ret_sandbox = TAKE_PTR(sandbox);
	return 0;
}

struct sandbox *sandbox_free(struct sandbox *sandbox)
{
	if (!sandbox)
		return NULL;
	filter_free(&sandbox->server);
	filter_free(&sandbox->child);
	free(sandbox);
	return NULL;
}

static int limit_resource(__rlimit_resource_t resource, rlim_t most)
{
	struct rlimit now;

	if (getrlimit(resource, &now) < 0)
		return -errno;
	/* Never above what the service was given. */
	if (now.rlim_max < most)
		most = now.rlim_max;
	return setrlimit(resource, &(struct rlimit){most, most}) < 0 ? -errno : 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int forbid_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (!SANDBOX_RELAXED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* struct landlock_ruleset_attr as of ABI 6; headers of the oldest supported system end after the
 * first member. */
struct landlock_rules {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4: bind, connect (TCP) */
	uint64_t scoped;             /* ABI 6: abstract sockets, signals */
};

/* What each ABI version can forbid (landlock(7)); a kernel refuses bits it does not know. */
static struct landlock_rules landlock_everything(long abi, size_t *ret_bytes)
{
	unsigned rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
	struct landlock_rules rules = {.handled_access_fs = (UINT64_C(1) << rights) - 1};

	*ret_bytes = sizeof(rules.handled_access_fs);
	if (abi >= 4) {
		rules.handled_access_net = 3;
		*ret_bytes += sizeof(rules.handled_access_net);
	}
	if (abi >= 6) {
		rules.scoped = 3;
		*ret_bytes += sizeof(rules.scoped);
	}
	return rules;
}

/* Everything Landlock knows is handled, and no rule allows any of it. */
static int forbid_by_landlock(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	_cleanup_close_ int ruleset_fd = -1;
	size_t bytes;

	if (abi < 1)
		return 0; /* not in this kernel, or not switched on: the filter stands alone */
	struct landlock_rules rules = landlock_everything(abi, &bytes);
	ruleset_fd = (int)syscall(SYS_landlock_create_ruleset, &rules, bytes, 0);
	if (ruleset_fd < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0 ? -errno : 0;
}

static int limit_server(void)
{
	int r = limit_resource(RLIMIT_CORE, 0);

	if (r == 0)
		r = limit_resource(RLIMIT_NOFILE, SERVER_DESCRIPTORS);
	return r;
}

int sandbox_enter_server(const struct sandbox *sandbox)
{
	int r = forbid_privileges();

	if (r == 0)
		r = drop_capabilities();
	if (r == 0)
		r = limit_server();
	if (r == 0 && !SANDBOX_RELAXED)
		r = forbid_by_landlock();
	if (r == 0 && !SANDBOX_RELAXED)
		r = filter_install(&sandbox->server);
	return r;
}

static int limit_child(unsigned cpu_s)
{
	int r = limit_resource(RLIMIT_CPU, cpu_s);

	if (r == 0)
		r = limit_resource(RLIMIT_FSIZE, 0);
	if (r == 0)
		r = limit_resource(RLIMIT_NOFILE, CHILD_DESCRIPTORS);
	if (r == 0)
		r = limit_resource(RLIMIT_NPROC, 0);
	if (r == 0)
		r = limit_resource(RLIMIT_CORE, 0);
	if (r == 0 && !SANDBOX_RELAXED)
		r = limit_resource(RLIMIT_AS, SANDBOX_MEMORY_BYTES);
	return r;
}

int sandbox_enter_child(const struct sandbox *sandbox, unsigned cpu_s)
{
	int r = 0;

	if (close_range(STDOUT_FILENO + 1, ~0U, 0) < 0)
		return -errno;
	r = forbid_privileges();
	if (r == 0)
		r = limit_child(cpu_s);
	if (r == 0 && !SANDBOX_RELAXED)
		r = filter_install(&sandbox->child);
	return r;
}
