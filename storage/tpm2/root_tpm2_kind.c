#include "storage/tpm2/root_tpm2_kind.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "base/cleanup.h"
#include "base/durable.h"

/* Makers of chips. Some that make both (Samsung, Huawei) are missing: when in doubt, the weaker. */
static const char *const chips[] = {
		"ATML", /* Atmel */
		"IFX",  /* Infineon */
		"NSG",  /* NSING */
		"NTC",  /* Nuvoton */
		"NTZ",  /* Nationz */
		"SEAL", /* Wisekey */
		"SNS",  /* Sinosun */
		"STM",  /* STMicroelectronics */
		"WEC",  /* Winbond */
};

/* Microsoft's is firmware on some machines and Hyper-V's on others: in doubt. */
static const char *const firmwares[] = {
		"AMD",
		"INTC", /* Intel PTT */
		"QCOM",
};

/* Vendor strings of software, whoever it says its maker is: libtpms "SW   TPM", the reference
 * simulator "xCG fTPM". */
static const char *const software[] = {"SW ", "xCG", "swtpm", "simulat", "Simulat", "vTPM"};

static bool is_among(const char *name, const char *const names[], size_t n)
{
	size_t len = strlen(name);

	while (len > 0 && name[len - 1] == ' ')
		len--;
	for (size_t i = 0; i < n; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return true;
	}
	return false;
}

static bool mentions_any(const char *text, const char *const words[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strstr(text, words[i]))
			return true;
	}
	return false;
}

const char *root_tpm2_kind(const struct root_tpm2_identity *identity)
{
	if (identity->virtual_machine || !identity->local_device ||
			mentions_any(identity->vendor, software, ELEMENTSOF(software)))
		return "virtual-tpm";
	if (is_among(identity->manufacturer, chips, ELEMENTSOF(chips)))
		return "hw-tpm";
	if (is_among(identity->manufacturer, firmwares, ELEMENTSOF(firmwares)))
		return "fw-tpm";
	return "virtual-tpm";
}

/* CPUID leaf 1, ECX bit 31: never set by a real processor. Asked directly, since /proc/cpuinfo may
 * be out of a service's sight. */
static bool processor_says_so(void)
{
#if defined(__x86_64__) || defined(__i386__)
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & 1U << 31) != 0;
#else
	return access("/proc/device-tree/hypervisor", F_OK) == 0;
#endif
}

static bool firmware_says_so(const char *path)
{
	static const char *const makers[] = {"QEMU", "KVM", "VMware", "VMW", "VirtualBox",
			"innotek", "Xen", "Bochs", "Parallels", "BHYVE", "Hyper-V",
			"Virtual Machine", "Google Compute", "Amazon EC2", "OpenStack",
			"Apple Virtualization", "Alibaba Cloud"};
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[128] = "";
	size_t n = 0;

	if (fd >= 0 && io_pread_full(fd, text, sizeof(text) - 1, 0, &n) < 0)
		n = 0;
	text[n] = '\0';
	return mentions_any(text, makers, ELEMENTSOF(makers));
}

bool root_tpm2_kind_virtual_machine(void)
{
	return processor_says_so() || access("/sys/hypervisor/type", F_OK) == 0 ||
	       firmware_says_so("/sys/class/dmi/id/sys_vendor") ||
	       firmware_says_so("/sys/class/dmi/id/product_name") ||
	       firmware_says_so("/sys/class/dmi/id/bios_vendor");
}
