/* SPDX-License-Identifier: MIT */
/* parse.c - strict parsing of numbers, sizes, durations and names. L0; any thread. */
#include "lib/parse.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/mem.h"

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct err *e)
{
	uint64_t v = 0;
	const char *p = s;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			break;
	if (p == s || *p || v < min || v > max)
		return err_set(e, ERR_TEXT_VALUE, "'%s' is not a whole number from %llu to %llu", s,
			       (unsigned long long)min, (unsigned long long)max);
	*ret = v;
	return 0;
}

uint64_t parse_leading_u64(const char *s)
{
	uint64_t n = 0;
	for (; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (uint64_t)(*s - '0');
	return n;
}

int parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
	uint64_t v = 0;
	bool negative = *s == '-';
	int r = parse_u64(s + negative, 0, (uint64_t)INT64_MAX + negative, &v, NULL);
	int64_t n = (int64_t)(negative ? 0 - v : v);
	if (r < 0 || n < min || n > max)
		return err_set(e, ERR_TEXT_VALUE, "'%s' is not a whole number from %lld to %lld", s,
			       (long long)min, (long long)max);
	*ret = n;
	return 0;
}

int parse_double(const char *s, double min, double max, double *ret, struct err *e)
{
	char *end;
	errno = 0;
	double v = strtod(s, &end);
	bool plain = *s && s[strspn(s, "0123456789+-.eE")] == 0;
	if (!plain || *end || errno || !isfinite(v) || v < min || v > max)
		return err_set(e, ERR_TEXT_VALUE, "'%s' is not a number from %g to %g", s, min, max);
	*ret = v;
	return 0;
}

int parse_bool(const char *s, bool *ret, struct err *e)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcasecmp(s, yes[i]) == 0 || strcasecmp(s, no[i]) == 0) {
			*ret = strcasecmp(s, yes[i]) == 0;
			return 0;
		}
	}
	return err_set(e, ERR_TEXT_VALUE, "'%s' is not true or false", s);
}

int parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct err *e)
{
	static const char units[] = "KMGT";
	char digits[24];
	uint64_t v = 0;
	size_t n = strspn(s, "0123456789"), space = strspn(s + n, " ");
	const char *unit = s + n + space;
	unsigned shift = 0;
	const char *u = *unit ? strchr(units, toupper((unsigned char)*unit)) : NULL;
	if (u) {
		shift = 10u * (unsigned)(u - units + 1);
		unit++;
		unit += *unit == 'i';
	}
	if (*unit == 'B' || *unit == 'b')
		unit++;
	bool ok = n > 0 && n < sizeof digits && !*unit && (!space || unit > s + n + space);
	snprintf(digits, sizeof digits, "%.*s", (int)n, s);
	if (!ok || parse_u64(digits, 0, UINT64_MAX >> shift, &v, NULL) < 0 || v << shift < min ||
	    v << shift > max)
		return err_set(e, ERR_TEXT_VALUE, "'%s' is not a size like 512MB from %llu to %llu "
			       "bytes", s, (unsigned long long)min, (unsigned long long)max);
	*ret = v << shift;
	return 0;
}

static const struct {
	const char *unit;
	uint64_t ms;
} units_ms[] = {{"ms", 1},	 {"s", 1000},	   {"m", 60000},
		{"h", 3600000}, {"d", 86400000}, {"", 1000}};

/* One "12ms" of a duration; advances *s. */
static bool duration_part(const char **s, bool last_may_be_bare, uint64_t *sum)
{
	uint64_t v = 0;
	char digits[24];
	size_t n = strspn(*s, "0123456789"), letters;
	if (n == 0 || n >= sizeof digits)
		return false;
	snprintf(digits, sizeof digits, "%.*s", (int)n, *s);
	letters = strspn(*s + n, "abcdefghijklmnopqrstuvwxyz");
	for (size_t i = 0; i < ARRAY_LEN(units_ms); i++) {
		if (strlen(units_ms[i].unit) != letters ||
		    strncmp(*s + n, units_ms[i].unit, letters) != 0 ||
		    (letters == 0 && !last_may_be_bare))
			continue;
		if (parse_u64(digits, 0, UINT64_MAX, &v, NULL) < 0 ||
		    __builtin_mul_overflow(v, units_ms[i].ms, &v) ||
		    __builtin_add_overflow(*sum, v, sum))
			return false;
		*s += n + letters;
		return true;
	}
	return false;
}

int parse_duration_ms(const char *s, uint64_t min, uint64_t max, uint64_t *ret, struct err *e)
{
	uint64_t sum = 0;
	const char *p = s;
	bool ok = duration_part(&p, true, &sum);
	while (ok && *p)
		ok = duration_part(&p, false, &sum);
	if (!ok || sum < min || sum > max) {
		char lo[32], hi[32];
		format_duration_ms(min, lo);
		format_duration_ms(max, hi);
		return err_set(e, ERR_TEXT_VALUE, "'%s' is not a duration like 60s or 5m, from %s to "
			       "%s", s, lo, hi);
	}
	*ret = sum;
	return 0;
}

void format_duration_ms(uint64_t ms, char out[static 32])
{
	size_t n = 0;
	uint64_t h = ms / 3600000, m = ms / 60000 % 60, s = ms / 1000 % 60, rest = ms % 1000;
	out[0] = 0;
	if (h)
		n += (size_t)snprintf(out + n, 32 - n, "%lluh", (unsigned long long)h);
	if (m)
		n += (size_t)snprintf(out + n, 32 - n, "%llum", (unsigned long long)m);
	if (s)
		n += (size_t)snprintf(out + n, 32 - n, "%llus", (unsigned long long)s);
	if (rest || n == 0)
		snprintf(out + n, 32 - n, "%llu%s", (unsigned long long)rest, rest ? "ms" : "s");
}

void format_double(double v, char out[static 32])
{
	for (int digits = 6; digits <= 17; digits++) {
		snprintf(out, 32, "%.*g", digits, v);
		if (strtod(out, NULL) == v)
			break;
	}
	size_t n = strlen(out);
	if (!out[strcspn(out, ".e")])
		snprintf(out + n, 32 - n, ".0");
}

bool name_ok(const char *s, size_t len)
{
	if (len < 1 || len > NAME_LEN_MAX || s[0] == '.' || s[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-')
			return false;
	return true;
}
