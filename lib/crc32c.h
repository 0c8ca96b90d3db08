/* SPDX-License-Identifier: MIT */
/* crc32c.h - CRC-32C (Castagnoli, RFC 3720 appendix B.4), by SSE4.2 where the CPU has it. L0. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* CRC of data; the empty string gives 0. Any thread. */
uint32_t crc32c(const void *data, size_t len);
uint32_t crc32c_portable(const void *data, size_t len); /* the same without the instruction */
