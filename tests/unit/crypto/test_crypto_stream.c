#include "crypto/age_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "tests/unit/support/crypto_fixture.h"

#define LARGEST (3 * AGE_CHUNK_BYTES + 5)

static const size_t sizes[] = {0, 1, AGE_CHUNK_BYTES - 1, AGE_CHUNK_BYTES, AGE_CHUNK_BYTES + 1,
		3 * AGE_CHUNK_BYTES, LARGEST};
static const uint8_t key[AGE_PAYLOAD_KEY_BYTES] = "a payload key of thirty-two byte";

/* A payload with room for one chunk more than it has. */
struct payload {
	uint8_t *plain, *sealed;
	size_t plain_len, sealed_len;
};

static struct payload payload_new(size_t len)
{
	struct payload p = {.plain_len = len, .sealed_len = age_stream_sealed_bytes(len)};
	size_t done = 0, at = 0;

	p.plain = malloc(len ? len : 1);
	p.sealed = calloc(1, p.sealed_len + AGE_SEALED_CHUNK_BYTES);
	fill(p.plain, len, 1);
	for (uint64_t counter = 0; done < len || counter == 0; counter++) {
		size_t n = len - done < AGE_CHUNK_BYTES ? len - done : AGE_CHUNK_BYTES;
		age_stream_seal_chunk(
				key, counter, done + n == len, p.plain + done, n, p.sealed + at);
		done += n;
		at += n + AGE_TAG_BYTES;
	}
	assert_int_equal(at, p.sealed_len);
	return p;
}

static void payload_free(struct payload *p)
{
	free(p->plain);
	free(p->sealed);
}

/* A sink that compares with what is right, and counts. */
struct release {
	const struct payload *payload;
	size_t len;
};

static int compare(void *context, const uint8_t *plain, size_t len)
{
	struct release *release = context;

	assert_true(release->len + len <= release->payload->plain_len);
	assert_memory_equal(plain, release->payload->plain + release->len, len);
	release->len += len;
	return 0;
}

/* Opens sealed bytes front to back; what is released must be right, and this much of it. */
static int open_stream(const struct payload *p, size_t sealed_len, size_t want_released)
{
	_cleanup_close_ int fd = file_of(p->sealed, sealed_len);
	struct release release = {.payload = p};
	int r = age_stream_open_payload(fd, key, compare, &release);

	assert_int_equal(release.len, want_released);
	return r;
}

static int open_range(const struct payload *p, size_t sealed_len)
{
	_cleanup_close_ int fd = file_of(p->sealed, sealed_len);
	struct age_range *range = NULL;
	int r = age_range_open(fd, 0, key, &range);

	assert_true((r == 0) == !!range);
	age_range_free(range);
	return r;
}

static void test_sizes(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
		_cleanup_(payload_free) struct payload p = payload_new(sizes[i]);
		assert_int_equal(open_stream(&p, p.sealed_len, p.plain_len), 0);
		assert_int_equal(open_range(&p, p.sealed_len), 0);
	}
}

static void test_arithmetic(void **state)
{
	uint64_t plain = 0;

	for (uint64_t n = 0; n <= LARGEST; n++) {
		assert_int_equal(age_stream_plain_bytes(age_stream_sealed_bytes(n), &plain), 0);
		assert_int_equal(plain, n);
	}
	assert_int_equal(age_stream_sealed_bytes(0), 16);
	assert_int_equal(age_stream_sealed_bytes(AGE_CHUNK_BYTES), AGE_CHUNK_BYTES + 16);
	assert_int_equal(age_stream_sealed_bytes(AGE_CHUNK_BYTES + 1), AGE_CHUNK_BYTES + 33);

	plain = 77;
	for (uint64_t n = 0; n < AGE_TAG_BYTES; n++)
		assert_int_equal(age_stream_plain_bytes(n, &plain), -RE_PAYLOAD);
	for (uint64_t n = 1; n <= AGE_TAG_BYTES; n++)
		assert_int_equal(age_stream_plain_bytes(AGE_SEALED_CHUNK_BYTES + n, &plain),
				-RE_PAYLOAD);
	assert_int_equal(plain, 77);
}

/* The nonce, byte for byte, against libsodium directly. */
static void test_chunk_nonce(void **state)
{
	static const uint8_t nonce[2][12] = {
			{0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0}, {0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1}};
	uint8_t plain[100], got[116], want[116], opened[100];

	fill(plain, sizeof(plain), 2);
	for (int final = 0; final < 2; final++) {
		age_stream_seal_chunk(key, 0x0102030405060708, final, plain, sizeof(plain), got);
		crypto_aead_chacha20poly1305_ietf_encrypt(
				want, NULL, plain, sizeof(plain), NULL, 0, NULL, nonce[final], key);
		assert_memory_equal(got, want, sizeof(got));
		assert_int_equal(age_stream_open_chunk(key, 0x0102030405060708, final, got,
						 sizeof(got), opened),
				0);
		assert_memory_equal(opened, plain, sizeof(plain));
		assert_int_equal(age_stream_open_chunk(key, 0x0102030405060708, !final, got,
						 sizeof(got), opened),
				-RE_PAYLOAD);
		assert_int_equal(age_stream_open_chunk(key, 0x0102030405060709, final, got,
						 sizeof(got), opened),
				-RE_PAYLOAD);
	}
}

static void test_payload_key(void **state)
{
	uint8_t file_key[AGE_FILE_KEY_BYTES], nonce[AGE_PAYLOAD_NONCE_BYTES], prk[32], want[32],
			got[AGE_PAYLOAD_KEY_BYTES];

	fill(file_key, sizeof(file_key), 3);
	fill(nonce, sizeof(nonce), 4);
	age_stream_payload_key(file_key, nonce, got);
	crypto_auth_hmacsha256_state hmac;
	crypto_auth_hmacsha256_init(&hmac, nonce, sizeof(nonce));
	crypto_auth_hmacsha256_update(&hmac, file_key, sizeof(file_key));
	crypto_auth_hmacsha256_final(&hmac, prk);
	crypto_auth_hmacsha256(want, (const uint8_t *)"payload\x01", 8, prk);
	assert_memory_equal(got, want, sizeof(want));
}

/* Cut at and around every chunk boundary: whole chunks before the cut are released, nothing else,
 * and the range reader releases nothing at all. */
static void test_truncation(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
		_cleanup_(payload_free) struct payload p = payload_new(sizes[i]);
		for (size_t b = 0; b <= p.sealed_len; b += AGE_SEALED_CHUNK_BYTES)
			for (int d = -17; d <= 17; d++) {
				size_t cut = b + (size_t)d, chunks = cut / AGE_SEALED_CHUNK_BYTES;
				if ((d < 0 && b == 0) || cut >= p.sealed_len)
					continue;
				assert_int_equal(open_stream(&p, cut, chunks * AGE_CHUNK_BYTES),
						-RE_PAYLOAD);
				assert_int_equal(open_range(&p, cut), -RE_PAYLOAD);
			}
	}
}

static void test_extension(void **state)
{
	static const size_t more[] = {1, 15, 16, 17, AGE_SEALED_CHUNK_BYTES};

	for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
		_cleanup_(payload_free) struct payload p = payload_new(sizes[i]);
		/* A short final chunk is spoilt by what follows; a full one is seen first. */
		size_t released = p.plain_len - p.plain_len % AGE_CHUNK_BYTES;
		for (size_t m = 0; m < ELEMENTSOF(more); m++) {
			assert_int_equal(open_stream(&p, p.sealed_len + more[m], released),
					-RE_PAYLOAD);
			assert_int_equal(open_range(&p, p.sealed_len + more[m]), -RE_PAYLOAD);
		}
	}
}

/* A second final chunk, valid on its own, appended to a payload that already ended. */
static void test_two_finals(void **state)
{
	_cleanup_(payload_free) struct payload p = payload_new(AGE_CHUNK_BYTES);

	age_stream_seal_chunk(key, 1, true, p.plain, 5, p.sealed + p.sealed_len);
	size_t len = p.sealed_len + 5 + AGE_TAG_BYTES;
	assert_int_equal(open_stream(&p, len, AGE_CHUNK_BYTES), -RE_PAYLOAD);

	/* The range reader judges by the end alone, and finds the first chunk wrong when read. */
	_cleanup_close_ int fd = file_of(p.sealed, len);
	_cleanup_free_ uint8_t *buf = malloc(AGE_CHUNK_BYTES + 5);
	struct age_range *range;
	size_t n = 77;
	assert_int_equal(age_range_open(fd, 0, key, &range), 0);
	assert_int_equal(age_range_read(range, buf, AGE_CHUNK_BYTES + 5, 0, &n), -RE_PAYLOAD);
	assert_int_equal(n, 77);
	age_range_free(range);
}

/* An empty final chunk after a full one, valid on its own. */
static void test_empty_final(void **state)
{
	_cleanup_(payload_free) struct payload p = payload_new(AGE_CHUNK_BYTES);

	age_stream_seal_chunk(key, 0, false, p.plain, AGE_CHUNK_BYTES, p.sealed);
	age_stream_seal_chunk(key, 1, true, p.plain, 0, p.sealed + p.sealed_len);
	assert_int_equal(open_stream(&p, p.sealed_len + AGE_TAG_BYTES, AGE_CHUNK_BYTES),
			-RE_PAYLOAD);
	assert_int_equal(open_range(&p, p.sealed_len + AGE_TAG_BYTES), -RE_PAYLOAD);
}

static void swap_chunks(struct payload *p, size_t a, size_t b)
{
	uint8_t *x = p->sealed + a * AGE_SEALED_CHUNK_BYTES;
	uint8_t *y = p->sealed + b * AGE_SEALED_CHUNK_BYTES;

	for (size_t i = 0; i < AGE_SEALED_CHUNK_BYTES; i++) {
		uint8_t t = x[i];
		x[i] = y[i];
		y[i] = t;
	}
}

static void test_reordering(void **state)
{
	for (size_t a = 0; a < 3; a++)
		for (size_t b = a + 1; b < 3; b++) {
			_cleanup_(payload_free) struct payload p = payload_new(LARGEST);
			swap_chunks(&p, a, b);
			assert_int_equal(open_stream(&p, p.sealed_len, a * AGE_CHUNK_BYTES),
					-RE_PAYLOAD);
		}
	_cleanup_(payload_free) struct payload p = payload_new(3 * AGE_CHUNK_BYTES);
	swap_chunks(&p, 1, 2);
	assert_int_equal(open_stream(&p, p.sealed_len, AGE_CHUNK_BYTES), -RE_PAYLOAD);
	assert_int_equal(open_range(&p, p.sealed_len), -RE_PAYLOAD);
}

static void test_flips(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
		_cleanup_(payload_free) struct payload p = payload_new(sizes[i]);
		size_t step = p.sealed_len < 100 ? 1 : 4999;
		for (size_t at = 0; at < p.sealed_len; at += step) {
			size_t chunk = at / AGE_SEALED_CHUNK_BYTES;
			p.sealed[at] ^= (uint8_t)(1 << at % 8);
			assert_int_equal(open_stream(&p, p.sealed_len, chunk * AGE_CHUNK_BYTES),
					-RE_PAYLOAD);
			p.sealed[at] ^= (uint8_t)(1 << at % 8);
		}
	}
}

static void test_wrong_key(void **state)
{
	_cleanup_(payload_free) struct payload p = payload_new(1);
	_cleanup_close_ int fd = file_of(p.sealed, p.sealed_len);
	struct release release = {.payload = &p};
	struct age_range *range = NULL;
	uint8_t wrong[AGE_PAYLOAD_KEY_BYTES];

	memcpy(wrong, key, sizeof(wrong));
	wrong[0] ^= 1;
	assert_int_equal(age_stream_open_payload(fd, wrong, compare, &release), -RE_PAYLOAD);
	assert_int_equal(release.len, 0);
	assert_int_equal(age_range_open(fd, 0, wrong, &range), -RE_PAYLOAD);
}

struct feeder {
	const struct payload *payload;
	int fd;
};

/* Writes in pieces of odd sizes, so that reads come back short. */
static void *feed(void *context)
{
	struct feeder *feeder = context;
	const struct payload *p = feeder->payload;
	size_t done = 0, n = 1;

	while (done < p->sealed_len) {
		n = n % 9973 + 131;
		if (n > p->sealed_len - done)
			n = p->sealed_len - done;
		if (io_write_all(feeder->fd, p->sealed + done, n) < 0)
			break;
		done += n;
	}
	close(feeder->fd);
	return NULL;
}

static void test_pipe(void **state)
{
	_cleanup_(payload_free) struct payload p = payload_new(LARGEST);
	struct release release = {.payload = &p};
	struct feeder feeder = {.payload = &p};
	pthread_t thread;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	feeder.fd = fds[1];
	assert_int_equal(pthread_create(&thread, NULL, feed, &feeder), 0);
	assert_int_equal(age_stream_open_payload(fds[0], key, compare, &release), 0);
	assert_int_equal(release.len, p.plain_len);
	pthread_join(thread, NULL);
	close(fds[0]);
}

static int refuse_second(void *context, const uint8_t *plain, size_t len)
{
	return ++*(int *)context == 2 ? -ENOSPC : 0;
}

static void test_errors_are_forwarded(void **state)
{
	_cleanup_(payload_free) struct payload p = payload_new(LARGEST);
	_cleanup_close_ int fd = file_of(p.sealed, p.sealed_len);
	struct age_range *range = NULL;
	int calls = 0, fds[2];

	assert_int_equal(age_stream_open_payload(fd, key, refuse_second, &calls), -ENOSPC);
	assert_int_equal(calls, 2);
	assert_int_equal(age_stream_open_payload(-1, key, refuse_second, &calls), -EBADF);
	assert_int_equal(age_range_open(-1, 0, key, &range), -EBADF);
	assert_int_equal(age_range_open(fd, -1, key, &range), -RE_PAYLOAD);
	assert_int_equal(age_range_open(fd, (off_t)p.sealed_len + 1, key, &range), -RE_PAYLOAD);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(age_range_open(fds[0], 0, key, &range), -EINVAL);
	close(fds[0]);
	close(fds[1]);
	assert_null(range);
	assert_null(age_range_free(NULL));
}

/* A file with the payload at an offset; reads at random places against the plaintext. */
static void test_ranges(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
		_cleanup_(payload_free) struct payload p = payload_new(sizes[i]);
		_cleanup_close_ int fd = memfd_create("range", MFD_CLOEXEC);
		_cleanup_free_ uint8_t *buf = malloc(LARGEST + 100);
		struct age_range *range;
		uint32_t random[400];

		fill(random, sizeof(random), 5);
		assert_int_equal(io_pwrite_all(fd, p.sealed, p.sealed_len, 1234), 0);
		assert_int_equal(age_range_open(fd, 1234, key, &range), 0);
		assert_int_equal(age_range_plain_bytes(range), p.plain_len);
		for (size_t k = 0; k < ELEMENTSOF(random); k += 2) {
			uint64_t offset = random[k] % (p.plain_len + 20);
			size_t len = random[k + 1] % (k % 8 ? 5000 : LARGEST + 100), got;
			size_t left = offset < p.plain_len ? p.plain_len - offset : 0;
			assert_int_equal(age_range_read(range, buf, len, offset, &got), 0);
			assert_int_equal(got, len < left ? len : left);
			if (got > 0)
				assert_memory_equal(buf, p.plain + offset, got);
		}
		size_t got = 77;
		assert_int_equal(age_range_read(range, buf, 1, UINT64_MAX, &got), 0);
		assert_int_equal(got, 0);
		assert_int_equal(age_range_read(range, buf, LARGEST + 100, 0, &got), 0);
		assert_int_equal(got, p.plain_len);
		assert_memory_equal(buf, p.plain, got);
		age_range_free(range);
	}
}

/* Damage in one chunk does not keep the others from being read; nor is it ever cached. */
static void test_damage_is_local(void **state)
{
	_cleanup_(payload_free) struct payload p = payload_new(LARGEST);
	_cleanup_free_ uint8_t *buf = malloc(LARGEST);
	struct age_range *range;
	size_t got = 77;

	p.sealed[AGE_SEALED_CHUNK_BYTES + 9] ^= 1;
	_cleanup_close_ int fd = file_of(p.sealed, p.sealed_len);
	assert_int_equal(age_range_open(fd, 0, key, &range), 0);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(
				age_range_read(range, buf, 10, AGE_CHUNK_BYTES, &got), -RE_PAYLOAD);
		assert_int_equal(age_range_read(range, buf, 10, AGE_CHUNK_BYTES - 5, &got),
				-RE_PAYLOAD);
		assert_int_equal(age_range_read(range, buf, AGE_CHUNK_BYTES, AGE_CHUNK_BYTES, &got),
				-RE_PAYLOAD);
	}
	assert_int_equal(got, 77);
	assert_int_equal(age_range_read(range, buf, AGE_CHUNK_BYTES, 0, &got), 0);
	assert_memory_equal(buf, p.plain, AGE_CHUNK_BYTES);
	assert_int_equal(age_range_read(range, buf, 100, LARGEST - 100, &got), 0);
	assert_memory_equal(buf, p.plain + LARGEST - 100, 100);

	/* The file shrinks under an open reader. */
	assert_int_equal(ftruncate(fd, AGE_SEALED_CHUNK_BYTES / 2), 0);
	assert_int_equal(age_range_read(range, buf, AGE_CHUNK_BYTES, 0, &got), -RE_PAYLOAD);
	age_range_free(range);
}

/* A chunk passes exactly when it opens. */
static void test_check_agrees_with_open(void **state)
{
	struct payload p = payload_new(300);
	uint8_t plain[300];

	assert_int_equal(age_stream_check_chunk(key, 0, true, p.sealed, p.sealed_len), 0);
	assert_int_equal(age_stream_check_chunk(key, 1, true, p.sealed, p.sealed_len), -RE_PAYLOAD);
	assert_int_equal(
			age_stream_check_chunk(key, 0, false, p.sealed, p.sealed_len), -RE_PAYLOAD);
	assert_int_equal(age_stream_check_chunk(key, 0, true, p.sealed, p.sealed_len - 1),
			-RE_PAYLOAD);
	assert_int_equal(age_stream_check_chunk(key, 0, true, p.sealed, AGE_TAG_BYTES - 1),
			-RE_PAYLOAD);
	for (size_t bit = 0; bit < 8 * p.sealed_len; bit++) {
		p.sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(age_stream_check_chunk(key, 0, true, p.sealed, p.sealed_len),
				-RE_PAYLOAD);
		assert_int_equal(age_stream_open_chunk(key, 0, true, p.sealed, p.sealed_len, plain),
				-RE_PAYLOAD);
		p.sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(age_stream_check_chunk(key, 0, true, p.sealed, p.sealed_len), 0);
	payload_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_check_agrees_with_open),
			cmocka_unit_test(test_sizes),
			cmocka_unit_test(test_arithmetic),
			cmocka_unit_test(test_chunk_nonce),
			cmocka_unit_test(test_payload_key),
			cmocka_unit_test(test_truncation),
			cmocka_unit_test(test_extension),
			cmocka_unit_test(test_two_finals),
			cmocka_unit_test(test_empty_final),
			cmocka_unit_test(test_reordering),
			cmocka_unit_test(test_flips),
			cmocka_unit_test(test_wrong_key),
			cmocka_unit_test(test_pipe),
			cmocka_unit_test(test_errors_are_forwarded),
			cmocka_unit_test(test_ranges),
			cmocka_unit_test(test_damage_is_local),
	};
	return cmocka_run_group_tests(tests, crypto_setup, NULL);
}
