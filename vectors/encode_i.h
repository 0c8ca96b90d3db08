/* SPDX-License-Identifier: MIT */
/* encode_i.h - float to byte codes, written so that a compiler turns it into the instructions of the function that it is
 * put into. Inside vectors/ only. L1. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "vectors/kernel.h"

#define ROUND_MAGIC 12582912.0f /* 1.5 * 2^23: added to a small float, it leaves the rounded integer in the low bits */

static inline __attribute__((always_inline)) float encode_inline(const float *x, size_t n, uint8_t *code, int32_t *ret_sum)
{
	int32_t top = 0;
	for (size_t i = 0; i < n; i++) { /* the bits of a positive float are ordered as integers are */
		int32_t bits;
		memcpy(&bits, x + i, sizeof bits);
		bits &= 0x7fffffff;
		top = bits > top ? bits : top;
	}
	float most;
	memcpy(&most, &top, sizeof most);
	/* The smallest floats have no inverse that is finite: they count as zero. */
	float inv = most > 1e-30f ? 127.0f / most : 0.0f;
	int32_t sum = 0;
	for (size_t i = 0; i < n; i++) {
		float shifted = x[i] * inv + ROUND_MAGIC;
		int32_t bits;
		memcpy(&bits, &shifted, sizeof bits);
		int32_t c = bits - 0x4b400000;
		sum += c;
		code[i] = (uint8_t)(c + 128);
	}
	for (size_t i = n; i % VEC_PAD; i++)
		code[i] = 128;
	*ret_sum = sum;
	return most > 1e-30f ? most / 127.0f : 0.0f;
}
