#include "crypto/age_header.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "crypto/age_stanza.h"
#include "tests/unit/support/crypto_fixture.h"

#define V   "age-encryption.org/v1\n"
#define S   "-> x\n\n"
#define MAC "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define L64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const uint8_t file_key[AGE_FILE_KEY_BYTES] = "YELLOW SUBMARINE";

struct text {
	const char *bytes;
	size_t len;
};
#define TEXT(literal)                                                                              \
	{                                                                                          \
		literal, sizeof(literal) - 1                                                       \
	}

static const struct text accepted[] = {
		TEXT(V S MAC),
		TEXT(V S MAC "payload follows\n"),
		TEXT(V "-> x y z\n\n" MAC),
		TEXT(V "-> !~ #\nAA\n" MAC),
		TEXT(V "-> x\n" L64 "\n\n" MAC),
		TEXT(V "-> x\n" L64 "\n" L64 "\nAAA\n" MAC),
		TEXT(V S S S MAC),
		TEXT(V "-> ---\n\n" MAC),
};

static const struct text refused[] = {
		TEXT(""), TEXT("a"), TEXT(V), TEXT(V MAC), /* no stanza */
		TEXT("age-encryption.org/v2\n" S MAC),     /* version */
		TEXT("age-encryption.org/v1\r\n" S MAC),   /* CR */
		TEXT("age-encryption.org/v1 \n" S MAC),    /* space after the version */
		TEXT("\n" V S MAC),                        /* does not start at once */
		TEXT(V "->\n\n" MAC),                      /* no argument */
		TEXT(V "-> \n\n" MAC),                     /* empty argument */
		TEXT(V "->x\n\n" MAC),                     /* no space */
		TEXT(V "->  x\n\n" MAC),                   /* empty first argument */
		TEXT(V "-> x  y\n\n" MAC),                 /* empty argument between */
		TEXT(V "-> x \n\n" MAC),                   /* empty last argument */
		TEXT(V "-> x\ty\n\n" MAC),                 /* tab */
		TEXT(V "-> x\r\n\n" MAC),                  /* CR */
		TEXT(V "-> x\0y\n\n" MAC),                 /* NUL */
		TEXT(V "-> \x7f\n\n" MAC),                 /* DEL */
		TEXT(V "-> \xc3\xa9\n\n" MAC),             /* UTF-8 */
		TEXT(V "-> x\n" MAC),                      /* no body */
		TEXT(V "-> x\n" L64 "\n" MAC),             /* full line, no final one */
		TEXT(V "-> x\n" L64 "A\n" MAC),            /* 65 columns */
		TEXT(V "-> x\nA\n" MAC),                   /* not a base64 length */
		TEXT(V "-> x\nAAAAA\n" MAC),               /* nor this */
		TEXT(V "-> x\nAB\n" MAC),                  /* not canonical */
		TEXT(V "-> x\nAAB\n" MAC),                 /* not canonical */
		TEXT(V "-> x\nAA==\n" MAC),                /* padding */
		TEXT(V "-> x\nAA-_\n" MAC),                /* another alphabet */
		TEXT(V "-> x\nAA A\n" MAC),                /* space */
		TEXT(V "-> x\nAA\0\n" MAC),                /* NUL */
		TEXT(V "-> x\nAA\r\n" MAC),                /* CR */
		TEXT(V "-> x\nAA\nAA\n" MAC),              /* two short lines */
		TEXT(V "x\n" S MAC),                       /* neither stanza nor end */
		TEXT(V S "\n" MAC),                        /* empty line */
		TEXT(V S "---\n"),                         /* no MAC */
		TEXT(V S "--- \n"),                        /* empty MAC */
		TEXT(V S "---AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
		TEXT(V S "---  AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
		TEXT(V S "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA \n"),
		TEXT(V S "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
		TEXT(V S "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
		TEXT(V S "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\n"),
		TEXT(V S "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"),
		TEXT(V S "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"),
		TEXT(V S "---- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
		TEXT(V S "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), /* no LF */
};

/* Every byte value as one base64 character: exactly the 64 of the alphabet decode. */
static void test_base64_alphabet(void **state)
{
	static const char alphabet[] =
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[] = "AAAA";
	uint8_t bytes[3];

	for (int c = 0; c < 256; c++)
		for (int place = 0; place < 4; place++) {
			const char *at = c ? strchr(alphabet, c) : NULL;
			memcpy(text, "AAAA", 4);
			text[place] = (char)c;
			int r = age_stanza_base64(text, 4, bytes, 3);
			assert_int_equal(r, at ? 0 : -RE_HEADER);
			if (at && place == 3)
				assert_int_equal(bytes[2], at - alphabet);
		}
}

/* Parses a copy in a buffer of exactly that size, so that a read past its end is seen. */
static int parse(const char *bytes, size_t len, struct age_header *ret_header)
{
	_cleanup_free_ uint8_t *copy = malloc(len ? len : 1);

	memcpy(copy, bytes, len);
	return age_header_parse(copy, len, ret_header);
}

static void test_accepted(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(accepted); i++) {
		struct age_header header;
		assert_int_equal(parse(accepted[i].bytes, accepted[i].len, &header), 0);
		const char *mac = strstr(accepted[i].bytes, "\n--- ") + 1;
		assert_int_equal(header.maced_bytes, mac + 3 - accepted[i].bytes);
		assert_int_equal(header.header_bytes, mac + strlen(MAC) - accepted[i].bytes);
		age_header_free(&header);
		assert_null(header.stanzas);
	}
}

static void test_refused(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
		struct age_header header = {.n_stanzas = 77};
		int r = parse(refused[i].bytes, refused[i].len, &header);
		if (r != -RE_HEADER)
			fail_msg("accepted: case %zu: %s", i, refused[i].bytes);
		assert_int_equal(header.n_stanzas, 77);
	}
}

static void test_every_cut(void **state)
{
	const struct text *whole = &accepted[5];
	struct age_header header;

	for (size_t len = 0; len < whole->len; len++)
		assert_int_equal(parse(whole->bytes, len, &header), -RE_HEADER);
}

static void test_contents(void **state)
{
	struct age_header header;

	assert_int_equal(parse(accepted[5].bytes, accepted[5].len, &header), 0);
	assert_int_equal(header.n_stanzas, 1);
	assert_int_equal(header.stanzas[0].body_len, 98);
	for (size_t i = 0; i < 98; i++)
		assert_int_equal(header.stanzas[0].body[i], 0);
	age_header_free(&header);

	assert_int_equal(parse(accepted[2].bytes, accepted[2].len, &header), 0);
	assert_int_equal(header.stanzas[0].n_args, 3);
	assert_string_equal(header.stanzas[0].args[0], "x");
	assert_string_equal(header.stanzas[0].args[1], "y");
	assert_string_equal(header.stanzas[0].args[2], "z");
	assert_ptr_equal(age_header_find(&header, "x"), &header.stanzas[0]);
	assert_null(age_header_find(&header, "y"));
	age_header_free(&header);
}

/* V, then n copies of a text, then MAC. */
static int parse_repeated(const char *head, const char *text, size_t n, const char *tail)
{
	_cleanup_free_ char *all = malloc(strlen(V) + strlen(head) + n * strlen(text) +
					  strlen(tail) + strlen(MAC) + 1);
	struct age_header header;
	char *at = stpcpy(stpcpy(all, V), head);

	for (size_t i = 0; i < n; i++)
		at = stpcpy(at, text);
	at = stpcpy(stpcpy(at, tail), MAC);
	int r = parse(all, (size_t)(at - all), &header);
	if (r == 0)
		age_header_free(&header);
	return r;
}

static void test_caps(void **state)
{
	assert_int_equal(parse_repeated("", S, AGE_STANZAS_MAX, ""), 0);
	assert_int_equal(parse_repeated("", S, AGE_STANZAS_MAX + 1, ""), -RE_HEADER);

	assert_int_equal(parse_repeated("->", " x", AGE_STANZA_ARGS_MAX, "\n\n"), 0);
	assert_int_equal(parse_repeated("->", " x", AGE_STANZA_ARGS_MAX + 1, "\n\n"), -RE_HEADER);

	/* One argument that fills the header to the last byte, then one byte more. */
	size_t rest = strlen(V "-> \n\n" MAC);
	assert_int_equal(parse_repeated("-> ", "x", AGE_HEADER_MAX_BYTES - rest, "\n\n"), 0);
	assert_int_equal(parse_repeated("-> ", "x", AGE_HEADER_MAX_BYTES - rest + 1, "\n\n"),
			-RE_HEADER);
}

static void test_verify(void **state)
{
	char x[] = "x";
	uint8_t body[200], *bytes, wrong[AGE_FILE_KEY_BYTES];
	size_t len;
	struct age_header header;
	const struct age_stanza stanza = {(char *[]){x}, 1, body, sizeof(body)};

	fill(body, sizeof(body), 1);
	assert_int_equal(age_header_build(&stanza, 1, file_key, &bytes, &len), 0);
	assert_int_equal(age_header_parse(bytes, len, &header), 0);
	assert_int_equal(age_header_verify(&header, bytes, file_key), 0);
	for (size_t bit = 0; bit < header.maced_bytes * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(age_header_verify(&header, bytes, file_key), -RE_HEADER_MAC);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < sizeof(header.mac) * 8; bit++) {
		header.mac[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(age_header_verify(&header, bytes, file_key), -RE_HEADER_MAC);
		header.mac[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	memcpy(wrong, file_key, sizeof(wrong));
	wrong[15] ^= 1;
	assert_int_equal(age_header_verify(&header, bytes, wrong), -RE_HEADER_MAC);
	age_header_free(&header);
	free(bytes);
}

/* All body lengths around the line ends come back as they went in. */
static void test_build_and_parse(void **state)
{
	char type[] = "x", argument[] = "~!";
	uint8_t body[150];

	fill(body, sizeof(body), 2);
	for (size_t n = 0; n <= sizeof(body); n++) {
		const struct age_stanza stanzas[] = {
				{(char *[]){type, argument}, 2, body, n},
				{(char *[]){argument}, 1, n ? body : NULL, n},
		};
		struct age_header header;
		uint8_t *bytes;
		size_t len;

		assert_int_equal(age_header_build(stanzas, 2, file_key, &bytes, &len), 0);
		assert_int_equal(age_header_parse(bytes, len, &header), 0);
		assert_int_equal(header.header_bytes, len);
		assert_int_equal(header.n_stanzas, 2);
		assert_int_equal(header.stanzas[0].n_args, 2);
		assert_string_equal(header.stanzas[0].args[1], argument);
		assert_int_equal(header.stanzas[1].body_len, n);
		assert_memory_equal(header.stanzas[0].body, body, n);
		age_header_free(&header);
		free(bytes);
	}
}

static int build(char **args, size_t n_args, size_t body_len, size_t n)
{
	_cleanup_free_ uint8_t *body = calloc(1, body_len ? body_len : 1);
	_cleanup_free_ struct age_stanza *stanzas = calloc(n ? n : 1, sizeof(*stanzas));
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t len;

	for (size_t i = 0; i < n; i++)
		stanzas[i] = (struct age_stanza){args, n_args, body, body_len};
	return age_header_build(stanzas, n, file_key, &bytes, &len);
}

static void test_build_refuses(void **state)
{
	char good[] = "x", empty[] = "", space[] = "x y", lf[] = "x\n", high[] = "\xc3\xa9";
	char *many[AGE_STANZA_ARGS_MAX + 1];

	for (size_t i = 0; i < ELEMENTSOF(many); i++)
		many[i] = good;
	assert_int_equal(build((char *[]){good}, 1, 0, 0), -EINVAL);
	assert_int_equal(build((char *[]){good}, 0, 0, 1), -EINVAL);
	assert_int_equal(build((char *[]){empty}, 1, 0, 1), -EINVAL);
	assert_int_equal(build((char *[]){good, space}, 2, 0, 1), -EINVAL);
	assert_int_equal(build((char *[]){lf}, 1, 0, 1), -EINVAL);
	assert_int_equal(build((char *[]){high}, 1, 0, 1), -EINVAL);
	assert_int_equal(build(many, AGE_STANZA_ARGS_MAX, 0, 1), 0);
	assert_int_equal(build(many, AGE_STANZA_ARGS_MAX + 1, 0, 1), -E2BIG);
	assert_int_equal(build((char *[]){good}, 1, 0, AGE_STANZAS_MAX), 0);
	assert_int_equal(build((char *[]){good}, 1, 0, AGE_STANZAS_MAX + 1), -E2BIG);
	assert_int_equal(build((char *[]){good}, 1, 65536, 1), -E2BIG);
	assert_int_equal(build((char *[]){good}, 1, 47000, 1), 0);
	assert_int_equal(build((char *[]){good}, 1, 47000, 2), -E2BIG);
}

static void test_read(void **state)
{
	static const char file[] = V S MAC "payload";
	_cleanup_close_ int fd = file_of(file, sizeof(file) - 1), bad = file_of(V, strlen(V));
	_cleanup_free_ uint8_t *bytes = NULL;
	struct age_header header;
	int pipe_fds[2];

	assert_int_equal(age_header_read(fd, &header, &bytes), 0);
	assert_int_equal(header.header_bytes, strlen(V S MAC));
	assert_memory_equal(bytes, file, header.header_bytes);
	age_header_free(&header);

	uint8_t *none = NULL;
	assert_int_equal(age_header_read(bad, &header, &none), -RE_HEADER);
	assert_int_equal(age_header_read(-1, &header, &none), -EBADF);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(age_header_read(pipe_fds[0], &header, &none), -ESPIPE);
	assert_null(none);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_base64_alphabet),
			cmocka_unit_test(test_accepted),
			cmocka_unit_test(test_refused),
			cmocka_unit_test(test_every_cut),
			cmocka_unit_test(test_contents),
			cmocka_unit_test(test_caps),
			cmocka_unit_test(test_verify),
			cmocka_unit_test(test_build_and_parse),
			cmocka_unit_test(test_build_refuses),
			cmocka_unit_test(test_read),
	};
	return cmocka_run_group_tests(tests, crypto_setup, NULL);
}
