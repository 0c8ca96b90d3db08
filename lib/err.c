/* SPDX-License-Identifier: MIT */
/* err.c - errors by value; the table behind the codes. L0; any thread. */
#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	const char *text;
	int eno;
} codes[ERR_CODE_COUNT] = {
	[ERR_NONE] = {"OK", "no error", 0},
#define ERR(sym, code, eno, text) [ERR_##sym] = {code, text, eno},
#include "lib/err_codes.def"
#undef ERR
};

static void fill(struct err *e, enum err_code code, int eno, unsigned line, const char *fmt,
		 va_list ap)
{
	e->code = code;
	e->eno = eno;
	e->line = line;
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	if (e) {
		va_list ap;
		va_start(ap, fmt);
		fill(e, code, codes[code].eno, 0, fmt, ap);
		va_end(ap);
	}
	return -codes[code].eno;
}

int err_at(struct err *e, enum err_code code, unsigned line, const char *fmt, ...)
{
	if (e) {
		va_list ap;
		va_start(ap, fmt);
		fill(e, code, codes[code].eno, line, fmt, ap);
		va_end(ap);
	}
	return -codes[code].eno;
}

int err_sys(struct err *e, enum err_code code, int eno, const char *fmt, ...)
{
	if (e) {
		va_list ap;
		va_start(ap, fmt);
		fill(e, code, eno, 0, fmt, ap);
		va_end(ap);
		size_t n = strlen(e->msg);
		snprintf(e->msg + n, sizeof e->msg - n, ": %s", strerrordesc_np(eno) ? strerrordesc_np(eno) : "unknown error");
	}
	return -eno;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	if (!e)
		return -EIO;
	char old[sizeof e->msg];
	memcpy(old, e->msg, sizeof old);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	va_end(ap);
	size_t n = strlen(e->msg);
	snprintf(e->msg + n, sizeof e->msg - n, ": %s", old);
	return -e->eno;
}

const char *err_code_name(enum err_code code)
{
	return codes[code].name;
}

const char *err_code_text(enum err_code code)
{
	return codes[code].text;
}

int err_code_errno(enum err_code code)
{
	return codes[code].eno;
}

enum err_code err_code_find(const char *name)
{
	for (int i = 1; i < ERR_CODE_COUNT; i++)
		if (strcmp(codes[i].name, name) == 0)
			return (enum err_code)i;
	return ERR_NONE;
}
