/* Root slots in a TPM: what shows on the wire and in memory, ways to reach a TPM, and the parts
 * that need none. */
#include "tests/unit/storage/tpm2/tpm2_fixture.h"

#include <sys/stat.h>
#include <termios.h>

#include "base/secret.h"
#include "storage/tpm2/root_tpm2_kind.h"

static void test_nothing_readable_on_the_wire(void **state)
{
	uint8_t image[ROOT_IMAGE_BYTES],
			stir[12 + 128] = {0x80, 1, 0, 0, 0, sizeof(stir), 0, 0, 1, 0x46, 0, 128};
	struct root_tpm2_locator place;
	uint64_t writes;
	struct erasure_fixture s;
	int fd;

	open_scene(state, &s);
	random_image(image);
	assert_int_equal(put(&s, 0, image), 0);
	assert_int_equal(put(&s, 1, image), 0);
	assert_slot(&s, 0, image);
	assert_slot(&s, 1, image);
	assert_int_equal(reopen(&s, NULL, 0, false), 0);
	assert_slot(&s, 0, image);
	assert_false(swtpm_tap_saw(&s.tap, image, sizeof(image)));
	assert_int_equal(root_tpm2_locator_read(s.folder->fd, &place, &fd, &writes), 0);
	close(fd);
	assert_false(swtpm_tap_saw(&s.tap, place.auth[0], sizeof(place.auth)));
	/* The control: the same bytes as an unencrypted parameter (TPM2_StirRandom) are seen. */
	memcpy(stir + 12, image, 128);
	assert_int_equal(swtpm_command(s.tap.port, stir, sizeof(stir)), 0);
	assert_true(swtpm_tap_saw(&s.tap, image, sizeof(image)));
	close_scene(&s);
}

static void test_an_owner_with_a_password(void **state)
{
	/* TPM2_HierarchyChangeAuth of the owner, authorised with the empty password. */
	static const char password[] = "owner's secret";
	uint8_t change[29 + 14] = {0x80, 2, 0, 0, 0, sizeof(change), 0, 0, 1, 0x29, 0x40, 0, 0, 1,
			0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 14};
	struct root_tpm2_options options = {.owner_auth = password};
	struct erasure_fixture s;

	open_scene(state, &s);
	assert_int_equal(removed(&s, NULL), 0);
	memcpy(change + 29, password, 14);
	assert_int_equal(swtpm_command(s.tpm.port, change, sizeof(change)), 0);
	options.tcti = s.tap.tcti;
	assert_int_equal(reopen(&s, s.tap.tcti, 0, true), -EKEYREJECTED);
	assert_non_null(strstr(s.reason.text, "owner's authorisation"));
	assert_int_equal(entries(s.folder, false), 0);
	assert_int_equal(root_tpm2_create(s.folder->fd, &options, &s.root), 0);
	assert_int_equal(reopen(&s, NULL, 0, false), 0); /* needs it no more */
	assert_slot(&s, 0, zeros);
	assert_int_equal(removed(&s, NULL), -EKEYREJECTED);
	assert_int_equal(root_tpm2_remove(s.folder->fd, &options), 0);
	assert_int_equal(entries(s.folder, false), 0);
	assert_false(swtpm_tap_saw(&s.tap, (const uint8_t *)password, 14));
	close_scene(&s);
}

static void test_no_tpm(void **state)
{
	struct erasure_fixture s = {.folder = *state};

	if (!available)
		skip();
	assert_int_equal(reopen(&s, "/dev/null/tpm", 0, true), -ENODEV);
	assert_int_equal(reopen(&s, "/nowhere/tpmrm0", 0, true), -ENODEV);
	assert_non_null(strstr(s.reason.text, "there is no TPM device /nowhere/tpmrm0"));
	assert_int_equal(reopen(&s, "swtpm:host=127.0.0.1,port=1", 0, true), -ENODEV);
	assert_non_null(strstr(s.reason.text, "swtpm:host=127.0.0.1,port=1"));
	assert_int_equal(reopen(&s, "nosuchtcti:x", 0, true), -ENODEV);
	assert_int_equal(reopen(&s, "../evil.so:x", 0, true), -EINVAL);
	assert_int_equal(reopen(&s, "./evil", 0, true), -EINVAL);
	assert_int_equal(entries(s.folder, false), 0);
}

/* A device file: a terminal whose other end passes commands on to the TPM, until it stalls. */
struct device {
	char path[64];
	int master, slave;
	uint16_t port;
	_Atomic bool stalled;
	pthread_t thread;
};

static bool read_exactly(int fd, uint8_t *bytes, size_t len)
{
	for (size_t n = 0; n < len;) {
		ssize_t r = read(fd, bytes + n, len - n);
		if (r <= 0)
			return false;
		n += (size_t)r;
	}
	return true;
}

static void *pass_on(void *argument)
{
	struct device *device = argument;
	uint8_t message[4096];

	while (read_exactly(device->master, message, 10)) {
		size_t len = (size_t)message[4] << 8 | message[5];
		if (len < 10 || len > sizeof(message) ||
				!read_exactly(device->master, message + 10, len - 10))
			break;
		if (device->stalled)
			continue;
		len = swtpm_exchange(device->port, message, len);
		assert_int_equal(io_write_all(device->master, message, len), 0);
	}
	return NULL;
}

static void open_device(struct device *device, uint16_t port)
{
	struct termios raw;

	*device = (struct device){.port = port};
	device->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (device->master < 0 || grantpt(device->master) < 0 || unlockpt(device->master) < 0)
		skip();
	snprintf(device->path, sizeof(device->path), "%s", ptsname(device->master));
	device->slave = open(device->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_equal(tcgetattr(device->slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(device->slave, TCSANOW, &raw), 0);
	assert_int_equal(pthread_create(&device->thread, NULL, pass_on, device), 0);
}

static void close_device(struct device *device)
{
	close(device->slave); /* the last one: the thread's read fails */
	pthread_join(device->thread, NULL);
	close(device->master);
}

static void test_a_device_that_stops_answering(void **state)
{
	uint8_t image[ROOT_IMAGE_BYTES], back[ROOT_IMAGE_BYTES];
	struct device device;
	struct erasure_fixture s;

	open_scene(state, &s);
	random_image(image);
	open_device(&device, s.tpm.port);
	assert_int_equal(reopen(&s, device.path, 2000, false), 0);
	assert_string_equal(s.root->assurance, "virtual-tpm");
	assert_int_equal(put(&s, 0, image), 0);
	assert_slot(&s, 0, image);
	device.stalled = true;
	assert_int_equal(put(&s, 1, image), -ETIMEDOUT);
	assert_non_null(strstr(s.reason.text, "does not answer"));
	assert_true(get(&s, 0, back) < 0);
	device.stalled = false;
	assert_slot(&s, 0, image);
	assert_slot(&s, 1, zeros);
	device.stalled = true;
	assert_true(reopen(&s, device.path, 2000, false) < 0);
	close_device(&device);
	assert_int_equal(reopen(&s, device.path, 2000, false), -ENODEV);
	close_scene(&s);
}

/* What is left in this process's memory. */

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Places that hold 16 bytes whose complement is given: so that asking leaves no copy. */
static unsigned copies_in(const uint8_t *from, const uint8_t *to, const uint8_t inverse[static 16])
{
	unsigned n = 0;

	for (const uint8_t *p = from; p + 16 <= to; p++) {
		size_t i = 0;
		while (i < 16 && (p[i] ^ inverse[i]) == 0xff)
			i++;
		n += i == 16;
	}
	return n;
}

static unsigned copies(const uint8_t inverse[static 16])
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long from, to;
	char line[512], access[8];
	unsigned n = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		assert_int_equal(sscanf(line, "%lx-%lx %7s", &from, &to, access), 3);
		if (strncmp(access, "rw", 2) == 0)
			n += copies_in((const uint8_t *)from, (const uint8_t *)to, inverse);
	}
	fclose(maps);
	return n;
}

/* But for the last 16 bytes: they are still in the vector register they were copied with, which any
 * call may put on the stack; in life they belong to the checksum. */
static unsigned pieces_left(const uint8_t inverse[static ROOT_IMAGE_BYTES])
{
	unsigned n = 0;

	for (size_t i = 0; i + 32 <= ROOT_IMAGE_BYTES; i += 16)
		n += copies(inverse + i);
	return n;
}

static void test_no_traces_in_memory(void **state)
{
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);
	uint8_t inverse[ROOT_IMAGE_BYTES];
	struct erasure_fixture s;

#ifdef SANITIZED
	skip(); /* what was freed is kept */
#endif
	open_scene(state, &s);
	random_image(image);
	for (size_t i = 0; i < sizeof(inverse); i++)
		inverse[i] = image[i] ^ 0xff;
	assert_int_equal(pieces_left(inverse), 11); /* the control: ours is found */
	assert_int_equal(put(&s, 0, image), 0);
	sodium_memzero(image, ROOT_IMAGE_BYTES);
	assert_int_equal(pieces_left(inverse), 0);
	assert_int_equal(get(&s, 0, image), 0);
	sodium_memzero(image, ROOT_IMAGE_BYTES);
	assert_int_equal(pieces_left(inverse), 0);
	close_scene(&s);
}

/* Without a TPM. */

static void test_kinds(void **state)
{
	static const struct {
		const char *manufacturer, *vendor;
		bool device, machine;
		const char *kind;
	} cases[] = {
			{"IFX ", "SLB9670", true, false, "hw-tpm"},
			{"IFX", "SLB9670", true, false, "hw-tpm"},
			{"STM ", "", true, false, "hw-tpm"},
			{"NTC", "NPCT75x", true, false, "hw-tpm"},
			{"IFX ", "SLB9670", true, true, "virtual-tpm"},
			{"IFX ", "SLB9670", false, false, "virtual-tpm"},
			{"INTC", "Intel", true, false, "fw-tpm"},
			{"AMD", "AMD", true, false, "fw-tpm"},
			{"AMD ", "AMD", true, true, "virtual-tpm"},
			{"QCOM", "", true, false, "fw-tpm"},
			{"MSFT", "", true, false, "virtual-tpm"},
			{"IBM", "SW   TPM", true, false, "virtual-tpm"},
			{"INTC", "SW   TPM", true, false, "virtual-tpm"},
			{"GOOG", "vTPM", true, false, "virtual-tpm"},
			{"AMZN", "", true, false, "virtual-tpm"},
			{"IF", "", true, false, "virtual-tpm"},
			{"", "", true, false, "virtual-tpm"},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct root_tpm2_identity identity = {.local_device = cases[i].device,
				.virtual_machine = cases[i].machine};
		strcpy(identity.manufacturer, cases[i].manufacturer);
		strcpy(identity.vendor, cases[i].vendor);
		assert_string_equal(root_tpm2_kind(&identity), cases[i].kind);
	}
}

static void test_places(void **state)
{
	struct root_tpm2_locator in = {.index = {0x01812345, 0x018fffff},
			.hierarchy = 0x4000000b,
			.tcti = "device:/dev/x"};
	struct folder *f = *state;
	struct root_tpm2_locator out;
	uint64_t writes = 9;
	int fd;

	randombytes_buf(in.auth, sizeof(in.auth));
	randombytes_buf(in.salt_name, sizeof(in.salt_name));
	assert_int_equal(root_tpm2_locator_read(f->fd, &out, &fd, &writes), -ENOENT);
	assert_int_equal(root_tpm2_locator_create(f->fd, &in), 0);
	assert_int_equal(root_tpm2_locator_create(f->fd, &in), -EEXIST);
	assert_int_equal(root_tpm2_locator_read(f->fd, &out, &fd, &writes), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_int_equal(writes, 0);
	assert_int_equal(root_tpm2_locator_count(fd, UINT64_C(0x1122334455667788)), 0);
	close(fd);
	assert_int_equal(root_tpm2_locator_read(f->fd, &out, &fd, &writes), 0);
	assert_true(writes == UINT64_C(0x1122334455667788));
	for (off_t at = 0; at < 448; at += 3) {
		uint8_t byte, flipped;
		int again;
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		flipped = byte ^ 4;
		assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
		int r = root_tpm2_locator_read(f->fd, &out, &again, &writes);
		if (r == 0)
			close(again);
		assert_int_equal(r, at < 424 ? -RE_CORRUPT : 0);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	assert_int_equal(ftruncate(fd, 400), 0);
	close(fd);
	assert_int_equal(root_tpm2_locator_read(f->fd, &out, &fd, &writes), -RE_CORRUPT);
	assert_int_equal(root_tpm2_locator_remove(f->fd), 0);
	assert_int_equal(root_tpm2_locator_remove(f->fd), 0);
	assert_int_equal(entries(f, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_kinds),
			in_folder(test_places),
			in_folder(test_nothing_readable_on_the_wire),
			in_folder(test_an_owner_with_a_password),
			in_folder(test_no_tpm),
			in_folder(test_a_device_that_stops_answering),
			in_folder(test_no_traces_in_memory),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
