/* SPDX-License-Identifier: MIT */
/* log.c - one line per fact, logfmt or JSON, written with one write(2). L0; any thread. */
#include "lib/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/sys.h"

#define LINE_MAX_BYTES	8192
#define VALUE_MAX_BYTES 1000 /* of a value, before quoting */
#define LINE_END_BYTES	2    /* kept for the end of the line */

static atomic_int log_fd = STDERR_FILENO;
static atomic_int log_min = LOG_LEVEL_INFO;
static atomic_bool log_json;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_init(int fd, enum log_level min, bool json)
{
	atomic_store(&log_fd, fd);
	atomic_store(&log_min, (int)min);
	atomic_store(&log_json, json);
}

int log_level_parse(const char *s, enum log_level *ret)
{
	for (int i = 0; i < 4; i++)
		if (strcmp(s, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

/* Is v a word that needs no quotes, and that no terminal takes for a command? */
static bool is_plain(const char *v, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (v[i] <= ' ' || v[i] > '~' || strchr("\"=\\", v[i]))
			return false;
	return len > 0;
}

static void add_value(struct buf *b, const char *v, bool json)
{
	size_t len = strnlen(v, VALUE_MAX_BYTES);
	bool cut = v[len];
	while (cut && len && ((unsigned char)v[len] & 0xc0) == 0x80)
		len--; /* not inside a character */
	if (!json && !cut && is_plain(v, len)) {
		buf_add(b, v, len);
		return;
	}
	buf_json_string(b, v, len);
	if (cut && !b->fail) {
		b->len--;
		buf_adds(b, "\u2026\"");
	}
}

static void add_pair(struct buf *b, const char *key, const char *value, bool json)
{
	size_t before = b->len;
	buf_printf(b, json ? "%s\"%s\":" : "%s%s=", b->len > 1 ? (json ? "," : " ") : "", key);
	add_value(b, value ? value : "", json);
	if (b->fail) { /* no room for it: left out whole */
		b->len = before;
		b->fail = 0;
	}
}

void log_line(enum log_level level, const char *event, ...)
{
	if ((int)level < atomic_load_explicit(&log_min, memory_order_relaxed))
		return;
	autobuf struct buf b;
	char when[48];
	uint64_t now = clock_wall_ms();
	time_t seconds = (time_t)(now / 1000);
	struct tm tm;
	bool json = atomic_load(&log_json);
	gmtime_r(&seconds, &tm);
	size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + n, sizeof when - n, ".%03uZ", (unsigned)(now % 1000));
	buf_init(&b, LINE_MAX_BYTES - LINE_END_BYTES);
	if (json)
		buf_adds(&b, "{");
	add_pair(&b, "time", when, json);
	add_pair(&b, "level", level_names[level], json);
	add_pair(&b, "event", event, json);
	va_list ap;
	va_start(ap, event);
	for (const char *key; (key = va_arg(ap, const char *));)
		add_pair(&b, key, va_arg(ap, const char *), json);
	va_end(ap);
	b.max = LINE_MAX_BYTES;
	buf_adds(&b, json ? "}\n" : "\n");
	if (write(atomic_load(&log_fd), b.data, b.len) < 0)
		return; /* there is nowhere left to say so */
}

void log_err(enum log_level level, const char *event, const struct err *e, const char *key,
	     const char *value)
{
	if (key)
		log_line(level, event, "code", err_code_name(e->code), "error", e->msg, key, value,
			 NULL);
	else
		log_line(level, event, "code", err_code_name(e->code), "error", e->msg, NULL);
}
