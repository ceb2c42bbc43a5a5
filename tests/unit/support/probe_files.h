/* Files for the probe's tests, in memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A file of these bytes. The caller closes it; a failure fails the test. */
int file_of(const void *bytes, size_t len);

/* Bytes under construction. */
struct builder {
	uint8_t bytes[65536];
	size_t len;
};
void put_id(struct builder *builder, const char *id);
void put_u16(struct builder *builder, uint16_t value);
void put_u32(struct builder *builder, uint32_t value);
void put_u64(struct builder *builder, uint64_t value);
void put_fill(struct builder *builder, uint8_t value, size_t len);
void put_noise(struct builder *builder, size_t len);

/* "RIFF" with this size, "WAVE", a PCM fmt chunk (mono, 8 kHz, 16 bits), "data" with this size. */
void put_wav(struct builder *builder, uint32_t riff_size, uint32_t data_size);

/* Writes `frames` frames of mono 8 kHz audio through libsndfile in another process, which closes
 * the file, or dies by SIGKILL before. sf_format as in SF_INFO. */
enum writer_end { WRITER_CLOSES, WRITER_DIES };
int file_written(int sf_format, unsigned frames, enum writer_end end);
