/* The `tpm2` provider where the TPM libraries' headers were missing. */
#include "storage/tpm2/root_tpm2.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int refuse(const struct root_tpm2_options *options)
{
	if (options->errors)
		fprintf(options->errors,
				"this recseal was built without TPM support (libtss2-dev was missing)\n");
	return -EOPNOTSUPP;
}

int root_tpm2_create(int dir_fd, const struct root_tpm2_options *options,
		struct root_provider **ret_provider)
{
	return refuse(options);
}

int root_tpm2_open(int dir_fd, const struct root_tpm2_options *options,
		struct root_provider **ret_provider)
{
	return refuse(options);
}

int root_tpm2_remove(int dir_fd, const struct root_tpm2_options *options)
{
	struct stat st;

	return fstatat(dir_fd, ROOT_TPM2_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 ? refuse(options) : 0;
}

uint64_t root_tpm2_writes(const struct root_provider *provider)
{
	return 0;
}

const char *root_tpm2_trouble(const struct root_provider *provider)
{
	return "";
}
