#include "tests/unit/support/probe_files.h"

#include <signal.h>
#include <sndfile.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/bytes.h"

int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	return fd;
}

static uint8_t *room(struct builder *builder, size_t len)
{
	uint8_t *at = builder->bytes + builder->len;

	assert_true(len <= sizeof(builder->bytes) - builder->len);
	builder->len += len;
	return at;
}

void put_id(struct builder *builder, const char *id)
{
	memcpy(room(builder, 4), id, 4);
}

void put_u16(struct builder *builder, uint16_t value)
{
	uint8_t *at = room(builder, 2);

	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

void put_u32(struct builder *builder, uint32_t value)
{
	put_le32(room(builder, 4), value);
}

void put_u64(struct builder *builder, uint64_t value)
{
	put_le64(room(builder, 8), value);
}

void put_fill(struct builder *builder, uint8_t value, size_t len)
{
	memset(room(builder, len), value, len);
}

void put_noise(struct builder *builder, size_t len)
{
	uint8_t *at = room(builder, len);
	uint32_t x = 2463534242;

	for (size_t i = 0; i < len; i++) {
		/* xorshift (Marsaglia 2003): the same bytes in every run, never printable */
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		at[i] = (uint8_t)(x >> 8) | 0x80;
	}
}

void put_wav(struct builder *builder, uint32_t riff_size, uint32_t data_size)
{
	put_id(builder, "RIFF");
	put_u32(builder, riff_size);
	put_id(builder, "WAVE");
	put_id(builder, "fmt ");
	put_u32(builder, 16);
	put_u16(builder, 1);
	put_u16(builder, 1);
	put_u32(builder, 8000);
	put_u32(builder, 16000);
	put_u16(builder, 2);
	put_u16(builder, 16);
	put_id(builder, "data");
	put_u32(builder, data_size);
}

static void write_audio(int fd, int sf_format, unsigned frames, enum writer_end end)
{
	SF_INFO info = {.samplerate = 8000, .channels = 1, .format = sf_format};
	SNDFILE *file = sf_open_fd(fd, SFM_WRITE, &info, 0);
	short wave[80];

	if (!file)
		_exit(1);
	for (unsigned done = 0; done < frames; done += 80) {
		for (int i = 0; i < 80; i++)
			wave[i] = (short)((i % 20 - 10) * 900 + (int)(done % 977));
		if (sf_writef_short(file, wave, 80) != 80)
			_exit(2);
	}
	if (end == WRITER_DIES)
		raise(SIGKILL);
	_exit(sf_close(file) == 0 ? 0 : 3);
}

int file_written(int sf_format, unsigned frames, enum writer_end end)
{
	int fd = memfd_create("test", MFD_CLOEXEC), status;
	pid_t pid;

	assert_true(fd >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		write_audio(fd, sf_format, frames, end);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (end == WRITER_DIES)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	else
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return fd;
}
