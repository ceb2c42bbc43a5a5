/* The age v1 payload: STREAM in 64 KiB ChaCha20-Poly1305 chunks (C2SP age specification, "Payload";
 * Hoang, Reyhanitabar, Rogaway, Vizar, CRYPTO 2015).
 *
 * Payload bytes in a file: 16-byte nonce, then chunks. Each chunk is up to 65536 bytes of plaintext
 * plus a 16-byte tag; the nonce is an 11-byte big-endian counter and a final flag. The final chunk
 * may be short, and is empty only when the whole payload is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "crypto/age_header.h"

#define AGE_CHUNK_BYTES         65536
#define AGE_TAG_BYTES           16
#define AGE_SEALED_CHUNK_BYTES  (AGE_CHUNK_BYTES + AGE_TAG_BYTES)
#define AGE_PAYLOAD_NONCE_BYTES 16
#define AGE_PAYLOAD_KEY_BYTES   32

/* HKDF-SHA256(file key, payload nonce, "payload"). */
void age_stream_payload_key(const uint8_t file_key[static AGE_FILE_KEY_BYTES],
		const uint8_t nonce[static AGE_PAYLOAD_NONCE_BYTES],
		uint8_t ret_key[static AGE_PAYLOAD_KEY_BYTES]);

/* Sealed size of a payload without its nonce, for this many plaintext bytes; and the reverse, which
 * is -RE_PAYLOAD for sizes that no plaintext has. */
uint64_t age_stream_sealed_bytes(uint64_t plain_bytes);
int age_stream_plain_bytes(uint64_t sealed_bytes, uint64_t *ret_plain_bytes);

/* Seals one chunk: len bytes of plain (exactly AGE_CHUNK_BYTES unless final) into len +
 * AGE_TAG_BYTES bytes of ret_sealed. The buffers must not overlap. */
void age_stream_seal_chunk(const uint8_t key[static AGE_PAYLOAD_KEY_BYTES], uint64_t counter,
		bool final, const uint8_t *plain, size_t len, uint8_t *ret_sealed);

/* Opens one chunk of sealed_len bytes into sealed_len - AGE_TAG_BYTES bytes. 0, or -RE_PAYLOAD, and
 * then nothing was written that may be used. */
int age_stream_open_chunk(const uint8_t key[static AGE_PAYLOAD_KEY_BYTES], uint64_t counter,
		bool final, const uint8_t *sealed, size_t sealed_len, uint8_t *ret_plain);

/* Whether a chunk would open, without opening it: nothing of its plaintext is made. Costs less than
 * half of opening. 0, or -RE_PAYLOAD. */
int age_stream_check_chunk(const uint8_t key[static AGE_PAYLOAD_KEY_BYTES], uint64_t counter,
		bool final, const uint8_t *sealed, size_t sealed_len);

/* Whether two chunks, sealed under two keys at the same place of two payloads, hold the same
 * plaintext: 1, 0; -RE_PAYLOAD when one of them would not open. Neither plaintext comes into
 * memory: the two key streams are combined first, and turn the one ciphertext into what the other
 * must be. sealed_len is the length of both. */
int age_stream_same_chunk(const uint8_t key_a[static AGE_PAYLOAD_KEY_BYTES],
		const uint8_t *sealed_a, const uint8_t key_b[static AGE_PAYLOAD_KEY_BYTES],
		const uint8_t *sealed_b, uint64_t counter, bool final, size_t sealed_len);

/* Opens a payload front to back from a pipe or file (descriptor positioned after the payload
 * nonce), handing each verified piece to sink, in order. A piece is handed on only once its own tag
 * verified; the bytes released before a failure are exactly the chunks before the bad one. 0;
 * -RE_PAYLOAD when damaged, truncated or extended; -errno; or sink's own negative result. */
typedef int (*age_sink)(void *context, const uint8_t *plain, size_t len);
int age_stream_open_payload(int fd, const uint8_t key[static AGE_PAYLOAD_KEY_BYTES], age_sink sink,
		void *context);

/* Random access to a payload in a regular file. age_range_open() checks the size and opens the
 * final chunk first, so that a truncated or extended file is refused before any byte is released.
 * The descriptor is borrowed and must outlive the reader. The key is copied into secret memory. 0;
 * -RE_PAYLOAD; -errno; -ENOMEM. */
struct age_range;
int age_range_open(int fd, off_t payload_offset /* after the nonce */,
		const uint8_t key[static AGE_PAYLOAD_KEY_BYTES], struct age_range **ret_range);
struct age_range *age_range_free(struct age_range *range);
uint64_t age_range_plain_bytes(const struct age_range *range);

/* Reads up to len plaintext bytes at offset; short only at the end. -RE_PAYLOAD, -errno. */
int age_range_read(
		struct age_range *range, void *buf, size_t len, uint64_t offset, size_t *ret_len);
