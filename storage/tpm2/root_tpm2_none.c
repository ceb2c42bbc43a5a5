/* The `tpm2` provider where the TPM libraries' headers were missing. */
#include "storage/tpm2/root_tpm2.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "storage/tpm2/root_tpm2_locator.h"

static int refuse_tpm2(const struct root_tpm2_options *options)
{
	return reason_set(options->reason, -EOPNOTSUPP,
			"this recseal was built without TPM support (libtss2-dev was missing)");
}

int root_tpm2_create(int dir_fd, const struct root_tpm2_options *options,
		struct root_provider **ret_provider)
{
	return refuse_tpm2(options);
}

int root_tpm2_open(int dir_fd, const struct root_tpm2_options *options,
		struct root_provider **ret_provider)
{
	return refuse_tpm2(options);
}

int root_tpm2_remove(int dir_fd, const struct root_tpm2_options *options)
{
	struct stat st;

	return fstatat(dir_fd, ROOT_TPM2_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 ? refuse_tpm2(options)
									      : 0;
}

uint64_t root_tpm2_writes(const struct root_provider *provider)
{
	return 0;
}
