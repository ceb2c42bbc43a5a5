#include "daemon/keeper/vault/clock_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BOOT_ID_FILE  "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_CHARS 36

static int64_t machine_boot_us(void *context)
{
	struct timespec t;

	(void)context;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

/* A process may be shown another clock than the kernel's, as libfaketime does: the kernel's word
 * is then about another clock. */
static int machine_synchronised(void *context)
{
	struct timex timex = {.modes = 0};

	(void)context;
	int state = adjtimex(&timex);
	if (state < 0 || state == TIME_ERROR || (timex.status & STA_UNSYNC))
		return 0;
	int64_t fraction_us =
			timex.status & STA_NANO ? timex.time.tv_usec / 1000 : timex.time.tv_usec;
	int64_t kernel_us = (int64_t)timex.time.tv_sec * US_PER_S + fraction_us;
	return llabs(clock_now_us(&clock_system) - kernel_us) < US_PER_S;
}

/* "f9adee03-e634-4db6-8668-830c5ca9d46a" */
static int machine_parse_boot_id(const char *text, uint8_t ret_id[static CLOCK_BOOT_ID_BYTES])
{
	for (size_t i = 0; i < CLOCK_BOOT_ID_BYTES; i++) {
		char byte[3] = "", *end;
		text += *text == '-';
		memcpy(byte, text, 2);
		ret_id[i] = (uint8_t)strtoul(byte, &end, 16);
		if (end != byte + 2)
			return -EINVAL;
		text += 2;
	}
	return 0;
}

static int machine_read_boot_id(const char *path, uint8_t ret_id[static CLOCK_BOOT_ID_BYTES])
{
	char text[BOOT_ID_CHARS + 1] = "";
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, BOOT_ID_CHARS);
	if (n < 0)
		return -errno;
	return n == BOOT_ID_CHARS ? machine_parse_boot_id(text, ret_id) : -EINVAL;
}

/* The unit's ProcSubset= hides the kernel's file, so systemd passes it as a credential. */
static int machine_read_credential(uint8_t ret_id[static CLOCK_BOOT_ID_BYTES])
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	_cleanup_free_ char *path = NULL;

	if (!folder || asprintf(&path, "%s/boot_id", folder) < 0) {
		path = NULL;
		return -ENOENT;
	}
	return machine_read_boot_id(path, ret_id);
}

void clock_machine_system(struct clock_machine *ret_machine)
{
	struct clock_machine machine = {.wall = clock_system,
			.boot = {.now_us = machine_boot_us},
			.synchronised = machine_synchronised};

	if (machine_read_credential(machine.boot_id) < 0 &&
			machine_read_boot_id(BOOT_ID_FILE, machine.boot_id) < 0)
		randombytes_buf(machine.boot_id, sizeof(machine.boot_id));
	*ret_machine = machine;
}
