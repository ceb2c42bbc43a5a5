/* Root slots, and the file that holds them. */
#include "tests/unit/support/folder_fixture.h"

#include <errno.h>
#include <sodium.h>
#include <sys/stat.h>

#include "base/error.h"
#include "storage/root/root.h"

#define FILE_BYTES (3 * 4096)

static const struct root_record sample = {.epoch = UINT64_C(0x0102030405060708),
		.key = {1},
		.top_digest = {2},
		.anchor = {3}};

static void fill(struct root_record *record)
{
	*record = sample;
	randombytes_buf(record->key, sizeof(record->key));
	randombytes_buf(record->top_digest, sizeof(record->top_digest));
	randombytes_buf(record->anchor, sizeof(record->anchor));
}

static void test_a_record_round_trips(void **state)
{
	struct root_record in, out = {.epoch = 0};
	uint8_t image[ROOT_IMAGE_BYTES];

	fill(&in);
	root_record_encode(&in, image);
	assert_int_equal(root_record_decode(image, &out), 0);
	assert_int_equal(out.epoch, in.epoch);
	assert_memory_equal(out.key, in.key, sizeof(in.key));
	assert_memory_equal(out.top_digest, in.top_digest, sizeof(in.top_digest));
	assert_memory_equal(out.anchor, in.anchor, sizeof(in.anchor));
}

static void test_every_flipped_bit_is_found(void **state)
{
	struct root_record in, out = {.epoch = 5};
	uint8_t image[ROOT_IMAGE_BYTES];

	fill(&in);
	root_record_encode(&in, image);
	for (size_t i = 0; i < 8 * sizeof(image); i++) {
		image[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(root_record_decode(image, &out), -RE_CORRUPT);
		image[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(out.epoch, 5);
	assert_int_equal(root_record_decode(image, &out), 0);
}

static void test_empty_slots_are_no_records(void **state)
{
	uint8_t image[ROOT_IMAGE_BYTES] = {0};
	struct root_record out;

	assert_int_equal(root_record_decode(image, &out), -RE_CORRUPT);
	memset(image, 0xff, sizeof(image));
	assert_int_equal(root_record_decode(image, &out), -RE_CORRUPT);
}

static void test_the_sentence_of_a_file_names_the_epoch(void **state)
{
	char text[256];

	root_assurance_sentence("file", 42, text, sizeof(text));
	assert_non_null(strstr(text, "recovery is possible from any copy of the root file"));
	assert_non_null(strstr(text, "before epoch 42"));
	root_assurance_sentence("file", 42, text, 10);
	assert_int_equal(strlen(text), 9);
}

static struct root_provider *opened(struct folder *f, bool adopt)
{
	struct root_provider *root = NULL;

	assert_int_equal(root_file_open(f->fd, adopt, &root), 0);
	assert_string_equal(root->assurance, "file");
	return root;
}

static int open_result(struct folder *f)
{
	struct root_provider *root = NULL;
	int r = root_file_open(f->fd, false, &root);

	assert_true(r == 0 || !root);
	root_provider_free(root);
	return r;
}

/* A file with the pattern a in slot 0 and b in slot 1. */
static void make_file(struct folder *f, uint8_t a, uint8_t b)
{
	uint8_t image[ROOT_IMAGE_BYTES];
	struct root_provider *root;

	assert_int_equal(root_file_create(f->fd, &root), 0);
	memset(image, a, sizeof(image));
	assert_int_equal(root->ops->write(root, 0, image, NULL), 0);
	memset(image, b, sizeof(image));
	assert_int_equal(root->ops->write(root, 1, image, NULL), 0);
	root_provider_free(root);
}

static void assert_slots(struct folder *f, bool adopt, uint8_t a, uint8_t b)
{
	struct root_provider *root = opened(f, adopt);
	uint8_t image[ROOT_IMAGE_BYTES], expected[ROOT_IMAGE_BYTES];

	memset(expected, a, sizeof(expected));
	assert_int_equal(root->ops->read(root, 0, NULL, image), 0);
	assert_memory_equal(image, expected, sizeof(image));
	memset(expected, b, sizeof(expected));
	assert_int_equal(root->ops->read(root, 1, NULL, image), 0);
	assert_memory_equal(image, expected, sizeof(image));
	root_provider_free(root);
}

static void test_what_is_written_is_read(void **state)
{
	struct root_provider *root = NULL;
	struct folder *f = *state;
	struct stat st;

	assert_int_equal(root_file_open(f->fd, false, &root), -ENOENT);
	make_file(f, 'a', 'b');
	assert_slots(f, false, 'a', 'b');
	assert_int_equal(root_file_create(f->fd, &root), -EEXIST);
	assert_null(root);
	assert_slots(f, false, 'a', 'b');
	assert_int_equal(fstatat(f->fd, "root.slots", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, FILE_BYTES);
}

/* An overwritten image is nowhere in the file. */
static void test_overwriting_leaves_nothing(void **state)
{
	uint8_t image[ROOT_IMAGE_BYTES], bytes[FILE_BYTES];
	struct folder *f = *state;
	size_t n;

	make_file(f, 'a', 'b');
	struct root_provider *root = opened(f, false);
	memset(image, 'c', sizeof(image));
	assert_int_equal(root->ops->write(root, 0, image, NULL), 0);
	root_provider_free(root);
	_cleanup_close_ int fd = openat(f->fd, "root.slots", O_RDONLY | O_CLOEXEC);
	assert_int_equal(io_pread_full(fd, bytes, sizeof(bytes), 0, &n), 0);
	assert_null(memmem(bytes, n, "aaaa", 4));
	assert_non_null(memmem(bytes, n, "bbbb", 4));
	assert_non_null(memmem(bytes, n, "cccc", 4));
}

/* What is removed is overwritten first, whatever its state: another name of the file shows it. */
static void test_removing_overwrites(void **state)
{
	static const off_t sizes[] = {FILE_BYTES, FILE_BYTES - 100, 5000, 4096, FILE_BYTES + 5000};
	uint8_t image[ROOT_IMAGE_BYTES], bytes[2 * FILE_BYTES];
	struct folder *f = *state;
	size_t n;

	assert_int_equal(root_file_remove(f->fd), 0);
	assert_int_equal(root_file_peek(f->fd, 0, image), -ENOENT);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		make_file(f, 'a', 'b');
		assert_int_equal(linkat(f->fd, "root.slots", f->fd, "other", 0), 0);
		_cleanup_close_ int fd = openat(f->fd, "other", O_RDWR | O_CLOEXEC);
		assert_int_equal(ftruncate(fd, sizes[i]), 0);
		assert_int_equal(root_file_peek(f->fd, 0, image), 0);
		assert_int_equal(image[100], 'a');
		assert_int_equal(
				root_file_peek(f->fd, 1, image), sizes[i] < 4300 ? -RE_CORRUPT : 0);
		assert_int_equal(root_file_remove(f->fd), 0);
		assert_int_equal(faccessat(f->fd, "root.slots", F_OK, 0), -1);
		assert_int_equal(io_pread_full(fd, bytes, sizeof(bytes), 0, &n), 0);
		assert_int_equal(n, sizes[i]);
		assert_null(memmem(bytes, n, "aaaa", 4));
		assert_null(memmem(bytes, n, "bbbb", 4));
		assert_int_equal(unlinkat(f->fd, "other", 0), 0);
	}
	/* A link is removed, and what it leads to stays. */
	make_file(f, 'a', 'b');
	assert_int_equal(renameat(f->fd, "root.slots", f->fd, "other"), 0);
	assert_int_equal(symlinkat("other", f->fd, "root.slots"), 0);
	assert_int_equal(root_file_remove(f->fd), 0);
	_cleanup_close_ int fd = openat(f->fd, "other", O_RDONLY | O_CLOEXEC);
	assert_int_equal(io_pread_full(fd, bytes, sizeof(bytes), 0, &n), 0);
	assert_non_null(memmem(bytes, n, "aaaa", 4));
	assert_int_equal(unlinkat(f->fd, "other", 0), 0);
}

/* Copies the file's bytes to another name, as cp does. */
static void copy_file(struct folder *f, const char *from, const char *to)
{
	_cleanup_close_ int in = openat(f->fd, from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = openat(f->fd, to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t bytes[FILE_BYTES];
	size_t n;

	assert_int_equal(io_pread_full(in, bytes, sizeof(bytes), 0, &n), 0);
	assert_int_equal(io_write_all(out, bytes, n), 0);
}

static void test_a_copy_is_recognised(void **state)
{
	struct folder *f = *state;

	make_file(f, 'a', 'b');
	copy_file(f, "root.slots", "copy");
	assert_int_equal(renameat(f->fd, "copy", f->fd, "root.slots"), 0);
	assert_int_equal(open_result(f), -RE_MOVED);
	assert_int_equal(open_result(f), -RE_MOVED); /* asking does not make it so */
	assert_slots(f, true, 'a', 'b');
	assert_slots(f, false, 'a', 'b'); /* adopted for good */
}

/* The same file under its own name again is no copy, and neither is one written over in place: that
 * is for the epoch to find (test_resurrection.c). */
static void test_what_is_not_a_copy(void **state)
{
	struct folder *f = *state;

	make_file(f, 'a', 'b');
	assert_int_equal(renameat(f->fd, "root.slots", f->fd, "away"), 0);
	assert_int_equal(renameat(f->fd, "away", f->fd, "root.slots"), 0);
	assert_int_equal(open_result(f), 0);
	copy_file(f, "root.slots", "copy");
	copy_file(f, "copy", "root.slots");
	assert_int_equal(open_result(f), 0);
}

static void test_wrong_files(void **state)
{
	struct root_provider *root = NULL;
	struct folder *f = *state;

	write_file(f, "root.slots", "");
	assert_int_equal(root_file_open(f->fd, true, &root), -RE_CORRUPT);
	assert_int_equal(unlinkat(f->fd, "root.slots", 0), 0);
	make_file(f, 'a', 'b');
	assert_int_equal(renameat(f->fd, "root.slots", f->fd, "target"), 0);
	assert_int_equal(symlinkat("target", f->fd, "root.slots"), 0);
	assert_int_equal(open_result(f), -ELOOP);
	assert_int_equal(unlinkat(f->fd, "root.slots", 0), 0);
	assert_int_equal(renameat(f->fd, "target", f->fd, "root.slots"), 0);
	_cleanup_close_ int fd = openat(f->fd, "root.slots", O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, FILE_BYTES + 1), 0);
	assert_int_equal(open_result(f), -RE_CORRUPT);
	assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
	assert_int_equal(open_result(f), 0);
	assert_int_equal(ftruncate(fd, FILE_BYTES - 1), 0);
	assert_int_equal(open_result(f), -RE_CORRUPT);
}

/* A crash while a copy is adopted may tear the place block; the slots are whole all the same. */
static void test_a_torn_place_block(void **state)
{
	struct folder *f = *state;

	make_file(f, 'a', 'b');
	_cleanup_close_ int fd = openat(f->fd, "root.slots", O_RDWR | O_CLOEXEC);
	for (off_t at = 0; at < 64; at += 9) {
		uint8_t byte, flipped;
		assert_int_equal(pread(fd, &byte, 1, 2 * 4096 + at), 1);
		flipped = byte ^ 0x10;
		assert_int_equal(pwrite(fd, &flipped, 1, 2 * 4096 + at), 1);
		assert_int_equal(open_result(f), -RE_CORRUPT);
		assert_int_equal(pwrite(fd, &byte, 1, 2 * 4096 + at), 1);
		assert_int_equal(open_result(f), 0);
	}
	assert_int_equal(pwrite(fd, "torn", 4, 2 * 4096 + 20), 4);
	assert_slots(f, true, 'a', 'b');
	assert_int_equal(open_result(f), 0);
}

static int start(void **state)
{
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_a_record_round_trips),
			cmocka_unit_test(test_every_flipped_bit_is_found),
			cmocka_unit_test(test_empty_slots_are_no_records),
			cmocka_unit_test(test_the_sentence_of_a_file_names_the_epoch),
			in_folder(test_what_is_written_is_read),
			in_folder(test_overwriting_leaves_nothing),
			in_folder(test_removing_overwrites),
			in_folder(test_a_copy_is_recognised),
			in_folder(test_what_is_not_a_copy),
			in_folder(test_wrong_files),
			in_folder(test_a_torn_place_block),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
