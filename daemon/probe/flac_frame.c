#include "daemon/probe/flac_frame.h"

#include <string.h>

#include "base/bytes.h"

int flac_frame_info(const uint8_t p[static FLAC_STREAMINFO_BYTES], struct flac_info *ret_info)
{
	struct flac_info info = {
			.block_samples = get_be16(p + 2),
			.sample_rate = get_be32(p + 10) >> 12,
			.channels = (p[12] >> 1 & 7) + 1u,
			.bits = ((p[12] & 1u) << 4 | p[13] >> 4) + 1u,
			.total_samples = get_be64(p + 10) & UINT64_C(0xfffffffff),
			.fixed_block = get_be16(p) == get_be16(p + 2),
	};

	if (info.block_samples < 16 || info.sample_rate == 0 || info.bits < 4)
		return 1;
	*ret_info = info;
	return 0;
}

/* x^16 + x^15 + x^2 + 1, most significant bit first. */
static const uint16_t crc16_table[256] = {0x0000, 0x8005, 0x800f, 0x000a, 0x801b, 0x001e, 0x0014,
		0x8011, 0x8033, 0x0036, 0x003c, 0x8039, 0x0028, 0x802d, 0x8027, 0x0022, 0x8063,
		0x0066, 0x006c, 0x8069, 0x0078, 0x807d, 0x8077, 0x0072, 0x0050, 0x8055, 0x805f,
		0x005a, 0x804b, 0x004e, 0x0044, 0x8041, 0x80c3, 0x00c6, 0x00cc, 0x80c9, 0x00d8,
		0x80dd, 0x80d7, 0x00d2, 0x00f0, 0x80f5, 0x80ff, 0x00fa, 0x80eb, 0x00ee, 0x00e4,
		0x80e1, 0x00a0, 0x80a5, 0x80af, 0x00aa, 0x80bb, 0x00be, 0x00b4, 0x80b1, 0x8093,
		0x0096, 0x009c, 0x8099, 0x0088, 0x808d, 0x8087, 0x0082, 0x8183, 0x0186, 0x018c,
		0x8189, 0x0198, 0x819d, 0x8197, 0x0192, 0x01b0, 0x81b5, 0x81bf, 0x01ba, 0x81ab,
		0x01ae, 0x01a4, 0x81a1, 0x01e0, 0x81e5, 0x81ef, 0x01ea, 0x81fb, 0x01fe, 0x01f4,
		0x81f1, 0x81d3, 0x01d6, 0x01dc, 0x81d9, 0x01c8, 0x81cd, 0x81c7, 0x01c2, 0x0140,
		0x8145, 0x814f, 0x014a, 0x815b, 0x015e, 0x0154, 0x8151, 0x8173, 0x0176, 0x017c,
		0x8179, 0x0168, 0x816d, 0x8167, 0x0162, 0x8123, 0x0126, 0x012c, 0x8129, 0x0138,
		0x813d, 0x8137, 0x0132, 0x0110, 0x8115, 0x811f, 0x011a, 0x810b, 0x010e, 0x0104,
		0x8101, 0x8303, 0x0306, 0x030c, 0x8309, 0x0318, 0x831d, 0x8317, 0x0312, 0x0330,
		0x8335, 0x833f, 0x033a, 0x832b, 0x032e, 0x0324, 0x8321, 0x0360, 0x8365, 0x836f,
		0x036a, 0x837b, 0x037e, 0x0374, 0x8371, 0x8353, 0x0356, 0x035c, 0x8359, 0x0348,
		0x834d, 0x8347, 0x0342, 0x03c0, 0x83c5, 0x83cf, 0x03ca, 0x83db, 0x03de, 0x03d4,
		0x83d1, 0x83f3, 0x03f6, 0x03fc, 0x83f9, 0x03e8, 0x83ed, 0x83e7, 0x03e2, 0x83a3,
		0x03a6, 0x03ac, 0x83a9, 0x03b8, 0x83bd, 0x83b7, 0x03b2, 0x0390, 0x8395, 0x839f,
		0x039a, 0x838b, 0x038e, 0x0384, 0x8381, 0x0280, 0x8285, 0x828f, 0x028a, 0x829b,
		0x029e, 0x0294, 0x8291, 0x82b3, 0x02b6, 0x02bc, 0x82b9, 0x02a8, 0x82ad, 0x82a7,
		0x02a2, 0x82e3, 0x02e6, 0x02ec, 0x82e9, 0x02f8, 0x82fd, 0x82f7, 0x02f2, 0x02d0,
		0x82d5, 0x82df, 0x02da, 0x82cb, 0x02ce, 0x02c4, 0x82c1, 0x8243, 0x0246, 0x024c,
		0x8249, 0x0258, 0x825d, 0x8257, 0x0252, 0x0270, 0x8275, 0x827f, 0x027a, 0x826b,
		0x026e, 0x0264, 0x8261, 0x0220, 0x8225, 0x822f, 0x022a, 0x823b, 0x023e, 0x0234,
		0x8231, 0x8213, 0x0216, 0x021c, 0x8219, 0x0208, 0x820d, 0x8207, 0x0202};

uint16_t flac_frame_crc16(uint16_t crc, uint8_t byte)
{
	return (uint16_t)(crc << 8 ^ crc16_table[crc >> 8 ^ byte]);
}

/* x^8 + x^2 + x + 1. */
static uint8_t head_crc8(const uint8_t *p, size_t len)
{
	uint8_t crc = 0;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (uint8_t)(crc & 0x80 ? crc << 1 ^ 0x07 : crc << 1);
	}
	return crc;
}

/* A number coded as UTF-8 codes characters, up to 36 bits. Its bytes; 0 when malformed. */
static size_t read_number(const uint8_t *p, size_t len, uint64_t *ret_number)
{
	size_t bytes = 1;

	if (len == 0)
		return 0;
	if (p[0] < 0x80) {
		*ret_number = p[0];
		return 1;
	}
	while (bytes < 7 && p[0] & 0x80 >> bytes)
		bytes++;
	if (bytes == 1 || p[0] == 0xff || len < bytes)
		return 0;
	uint64_t number = bytes < 7 ? p[0] & (0x7fu >> bytes) : 0;
	for (size_t i = 1; i < bytes; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		number = number << 6 | (p[i] & 0x3f);
	}
	*ret_number = number;
	return bytes;
}

/* The block's samples by its code; 1: eight bits follow, 2: sixteen, 0: reserved. */
static uint32_t block_of_code(unsigned code)
{
	if (code == 1)
		return 192;
	if (code >= 2 && code <= 5)
		return 144u << code;
	if (code >= 8)
		return 1u << code;
	return code == 0 ? 0 : code - 5;
}

static uint32_t rate_of_code(unsigned code)
{
	static const uint32_t rates[] = {0, 88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000,
			44100, 48000, 96000};

	return code < sizeof(rates) / sizeof(rates[0]) ? rates[code] : 0;
}

/* Rate, channels and bits as the stream has them: a frame may say so, or leave it to the header. */
static bool fits_stream(const uint8_t *p, const struct flac_info *info)
{
	static const uint8_t bits_of_code[] = {0, 8, 12, 0, 16, 20, 24, 32};
	unsigned channels = p[3] >> 4, bits = p[3] >> 1 & 7, rate = p[2] & 15;

	if (rate == 15 || channels > 10 || bits == 3 || p[3] & 1)
		return false;
	if (rate_of_code(rate) != 0 && rate_of_code(rate) != info->sample_rate)
		return false;
	if ((channels < 8 ? channels + 1 : 2) != info->channels)
		return false;
	return bits_of_code[bits] == 0 || bits_of_code[bits] == info->bits;
}

int flac_frame_read(const uint8_t *p, size_t len, const struct flac_info *info,
		struct flac_frame *ret_frame)
{
	struct flac_frame frame;
	size_t at = 4, number_bytes;

	if (len < 6 || p[0] != 0xff || (p[1] & 0xfe) != 0xf8 || !fits_stream(p, info))
		return 1;
	number_bytes = read_number(p + at, len - at, &frame.number);
	at += number_bytes;
	unsigned rate = p[2] & 15;
	uint32_t block = block_of_code(p[2] >> 4);
	size_t block_bytes = block <= 2 ? block : 0, rate_bytes = rate < 12    ? 0
								  : rate == 12 ? 1
									       : 2;
	if (number_bytes == 0 || block == 0 || len < at + block_bytes + rate_bytes + 1)
		return 1;
	if (block_bytes > 0)
		block = (block == 1 ? p[at] : get_be16(p + at)) + 1u;
	at += block_bytes + rate_bytes;
	if (block > info->block_samples || head_crc8(p, at) != p[at])
		return 1;
	frame.samples = block;
	frame.fixed_block = (p[1] & 1) == 0;
	frame.head_bytes = at + 1;
	*ret_frame = frame;
	return 0;
}
