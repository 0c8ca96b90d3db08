/* SPDX-License-Identifier: MIT */
/* parse.h - strict parsing of numbers, sizes, durations and names. L0; any thread.
 * Each takes the whole string: leading or trailing characters, overflow and values outside
 * [min, max] are refused with TEXT_003 and a sentence that says what would be accepted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct err *e);
/* The number that s begins with, of a text that we wrote or the kernel did; 0 when there is none. */
uint64_t parse_leading_u64(const char *s);
int parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret, struct err *e);
int parse_double(const char *s, double min, double max, double *ret, struct err *e); /* no nan/inf */
int parse_bool(const char *s, bool *ret, struct err *e); /* true false yes no on off 1 0 */
/* "512", "512MB", "8 GiB", "1k": bytes. k/K/KB/KiB etc. all mean powers of 1024. */
int parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct err *e);
/* "60s", "5m", "1h30m", "250ms", "2d", "90" (seconds): milliseconds. */
int parse_duration_ms(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct err *e);

/* The shortest text that parse_duration_ms reads back ("60s", "1h30m", "250ms"). */
void format_duration_ms(uint64_t ms, char out[static 32]);

/* The shortest text that parse_double reads back as v, with a point or an exponent ("1.0", "0.1", "1e+20"). */
void format_double(double v, char out[static 32]);

/* Names of agents and other objects: 1 to 100 bytes of [A-Za-z0-9._-], not starting with '.' or
 * '-', so that a name is also a safe file name and needs no quoting in a shell. */
#define NAME_LEN_MAX 100
bool name_ok(const char *s, size_t len);
