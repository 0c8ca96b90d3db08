/* SPDX-License-Identifier: MIT */
/* err.h - errors by value: a stable code, an errno and one sentence. L0; any thread.
 *
 * Convention: a function that can fail in more than one way returns 0 or -errno and takes
 * `struct err *e` last. e may be NULL. Success leaves *e untouched. No heap is used, so running
 * out of memory can be reported. A message is lower case, says what is wrong first, puts the
 * subject in 'quotes' and ends without a full stop. */
#pragma once

enum err_code {
	ERR_NONE = 0,
#define ERR(sym, code, eno, text) ERR_##sym,
#include "lib/err_codes.def"
#undef ERR
	ERR_CODE_COUNT,
};

struct err {
	enum err_code code;
	int eno;       /* positive errno */
	unsigned line; /* line of the text that is wrong, 1-based; 0: not about a text */
	char msg[400]; /* the sentence, without the code */
};

/* Fill *e and return -errno, the errno being the code's default. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with an errno of the caller's; ": strerror(eno)" is appended to the sentence. */
int err_sys(struct err *e, enum err_code code, int eno, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same as err_set with the line of the text that is at fault. */
int err_at(struct err *e, enum err_code code, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Put "context: " in front of the sentence. Returns -e->eno, or -EIO when e is NULL. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Public code ("AGENT_001"), its general text, its default errno. Never NULL. */
const char *err_code_name(enum err_code code);
const char *err_code_text(enum err_code code);
int err_code_errno(enum err_code code);

/* The enum value of a public code's name; ERR_NONE when there is none. */
enum err_code err_code_find(const char *name);
