/* SPDX-License-Identifier: MIT */
/* crc32c.c - CRC-32C. L0; any thread. */
#include "lib/crc32c.h"

#include <string.h>

uint32_t crc32c_portable(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint32_t crc = ~0u;
	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0x82f63b78u & -(crc & 1));
	}
	return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t crc = ~0u;
	for (; len >= 8; len -= 8, p += 8) {
		uint64_t word;
		memcpy(&word, p, 8);
		crc = __builtin_ia32_crc32di(crc, word);
	}
	while (len--)
		crc = __builtin_ia32_crc32qi((uint32_t)crc, *p++);
	return ~(uint32_t)crc;
}
#endif

uint32_t crc32c(const void *data, size_t len)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(data, len);
#endif
	return crc32c_portable(data, len);
}
