/* Goal: what we seal, the stock `age` command opens, and the other way round. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/age_identity.h"
#include "crypto/age_stream.h"
#include "tests/unit/support/crypto_fixture.h"

static const size_t sizes[] = {0, 1, AGE_CHUNK_BYTES - 1, AGE_CHUNK_BYTES, AGE_CHUNK_BYTES + 1,
		3 * AGE_CHUNK_BYTES, 5 * AGE_CHUNK_BYTES + 777};

/* A folder of our own, the keys in it, and what is known of them. */
struct place {
	char path[64];
	char identity[128];
	uint8_t secret[AGE_X25519_BYTES], public[AGE_X25519_BYTES];
};

/* Runs a shell command in the place; its exit status, or 128. stderr goes to the test's log. */
static int run(const struct place *place, const char *command)
{
	_cleanup_free_ char *line = NULL;

	assert_true(asprintf(&line, "cd '%s' && %s", place->path, command) > 0);
	int status = system(line);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int open_at(const struct place *place, const char *name, int flags)
{
	_cleanup_free_ char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", place->path, name) > 0);
	int fd = open(path, flags | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

/* The key file that age-keygen wrote: comments, then one line of identity. */
static void read_identity(struct place *place)
{
	_cleanup_close_ int fd = open_at(place, "key", O_RDONLY);
	char text[1024];
	size_t len;

	assert_int_equal(io_pread_full(fd, text, sizeof(text) - 1, 0, &len), 0);
	text[len] = '\0';
	const char *at = strstr(text, "AGE-SECRET-KEY-1");
	assert_non_null(at);
	snprintf(place->identity, sizeof(place->identity), "%.*s", (int)strcspn(at, "\n"), at);
	assert_int_equal(age_x25519_identity_parse(place->identity, place->secret), 0);
	crypto_scalarmult_curve25519_base(place->public, place->secret);
}

static int setup(void **state)
{
	static struct place place = {.path = "/tmp/recseal-interop-XXXXXX"};

	assert_int_equal(crypto_setup(state), 0);
	assert_non_null(mkdtemp(place.path));
	assert_int_equal(run(&place, "age-keygen -o key 2>/dev/null"), 0);
	read_identity(&place);
	*state = &place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;

	return run(place, "rm -rf \"$PWD\"");
}

static uint8_t *plain_new(size_t len)
{
	uint8_t *plain = malloc(len ? len : 1);

	fill(plain, len, 1);
	return plain;
}

/* Writes "sealed": header, nonce, chunks. */
static void seal(const struct place *place, const uint8_t *plain, size_t len)
{
	_cleanup_close_ int fd = open_at(place, "sealed", O_WRONLY | O_CREAT | O_TRUNC);
	uint8_t file_key[AGE_FILE_KEY_BYTES], nonce[AGE_PAYLOAD_NONCE_BYTES],
			key[AGE_PAYLOAD_KEY_BYTES], *header;
	_cleanup_free_ uint8_t *chunk = malloc(AGE_SEALED_CHUNK_BYTES);
	struct age_stanza stanza;
	size_t header_len;

	randombytes_buf(file_key, sizeof(file_key));
	randombytes_buf(nonce, sizeof(nonce));
	assert_int_equal(age_x25519_wrap(place->public, file_key, &stanza), 0);
	assert_int_equal(age_header_build(&stanza, 1, file_key, &header, &header_len), 0);
	assert_int_equal(io_write_all(fd, header, header_len), 0);
	assert_int_equal(io_write_all(fd, nonce, sizeof(nonce)), 0);
	age_stream_payload_key(file_key, nonce, key);
	for (uint64_t done = 0, counter = 0; done < len || counter == 0; counter++) {
		size_t n = len - done < AGE_CHUNK_BYTES ? len - done : AGE_CHUNK_BYTES;
		age_stream_seal_chunk(key, counter, done + n == len, plain + done, n, chunk);
		assert_int_equal(io_write_all(fd, chunk, n + AGE_TAG_BYTES), 0);
		done += n;
	}
	age_stanza_free(&stanza);
	free(header);
}

static void assert_file(
		const struct place *place, const char *name, const uint8_t *want, size_t len)
{
	_cleanup_close_ int fd = open_at(place, name, O_RDONLY);
	_cleanup_free_ uint8_t *got = malloc(len + 1);
	size_t n;

	assert_int_equal(io_pread_full(fd, got, len + 1, 0, &n), 0);
	assert_int_equal(n, len);
	assert_memory_equal(got, want, len);
}

static int decrypt_with_age(const struct place *place)
{
	return run(place, "age -d -i key sealed >opened");
}

static void test_age_opens_ours(void **state)
{
	const struct place *place = *state;

	for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
		_cleanup_free_ uint8_t *plain = plain_new(sizes[i]);
		seal(place, plain, sizes[i]);
		assert_int_equal(decrypt_with_age(place), 0);
		assert_file(place, "opened", plain, sizes[i]);
	}
}

/* Negative control: age does refuse what is damaged. */
static void test_age_refuses_damage(void **state)
{
	const struct place *place = *state;
	_cleanup_free_ uint8_t *plain = plain_new(100);
	struct stat st;
	uint8_t last;
	size_t n;

	seal(place, plain, 100);
	_cleanup_close_ int fd = open_at(place, "sealed", O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(io_pread_full(fd, &last, 1, st.st_size - 1, &n), 0);
	last ^= 1;
	assert_int_equal(io_pwrite_all(fd, &last, 1, st.st_size - 1), 0);
	assert_int_not_equal(decrypt_with_age(place), 0);
}

static int collect(void *context, const uint8_t *plain, size_t len)
{
	return io_write_all(*(int *)context, plain, len);
}

/* Opens "sealed" into "opened". */
static void unseal(const struct place *place)
{
	_cleanup_close_ int in = open_at(place, "sealed", O_RDONLY);
	_cleanup_close_ int out = open_at(place, "opened", O_WRONLY | O_CREAT | O_TRUNC);
	_cleanup_free_ uint8_t *bytes = NULL;
	_cleanup_(age_header_free) struct age_header header = {0};
	uint8_t file_key[AGE_FILE_KEY_BYTES], nonce[AGE_PAYLOAD_NONCE_BYTES],
			key[AGE_PAYLOAD_KEY_BYTES];
	size_t n;

	assert_int_equal(age_header_read(in, &header, &bytes), 0);
	assert_int_equal(age_x25519_unwrap(place->secret, &header, file_key), 0);
	assert_int_equal(age_header_verify(&header, bytes, file_key), 0);
	assert_int_equal(
			io_pread_full(in, nonce, sizeof(nonce), (off_t)header.header_bytes, &n), 0);
	assert_int_equal(n, sizeof(nonce));
	age_stream_payload_key(file_key, nonce, key);
	assert_true(lseek(in, (off_t)(header.header_bytes + sizeof(nonce)), SEEK_SET) > 0);
	assert_int_equal(age_stream_open_payload(in, key, collect, &out), 0);
}

static void test_we_open_theirs(void **state)
{
	const struct place *place = *state;
	_cleanup_free_ char *recipient = NULL;

	assert_int_equal(age_x25519_recipient_format(place->public, &recipient), 0);
	for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
		_cleanup_free_ uint8_t *plain = plain_new(sizes[i]);
		_cleanup_free_ char *command = NULL;
		_cleanup_close_ int fd = open_at(place, "plain", O_WRONLY | O_CREAT | O_TRUNC);
		assert_int_equal(io_write_all(fd, plain, sizes[i]), 0);
		assert_true(asprintf(&command, "age -r %s -o sealed plain", recipient) > 0);
		assert_int_equal(run(place, command), 0);
		unseal(place);
		assert_file(place, "opened", plain, sizes[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_age_opens_ours),
			cmocka_unit_test(test_age_refuses_damage),
			cmocka_unit_test(test_we_open_theirs),
	};
	if (system("command -v age age-keygen >/dev/null") != 0) {
		print_message("skipped: there is no `age` command (Debian package age)\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
