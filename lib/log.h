/* SPDX-License-Identifier: MIT */
/* log.h - one line per fact, logfmt or JSON, to a descriptor. L0; any thread.
 * L0 and L1 never log above debug: they return errors. A message is an event name ("agent.start")
 * and key/value pairs, ended by NULL: log_info("agent.start", "agent", name, "pid", pid_text, NULL)
 * Values are strings; one longer than 1000 bytes is cut, marked by an ellipsis. Never pass a secret. */
#pragma once

#include <stdbool.h>

#include "lib/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* fd is borrowed; color and time are chosen by `json` alone. Before the call: stderr, info. */
void log_init(int fd, enum log_level min, bool json);
int log_level_parse(const char *s, enum log_level *ret); /* debug info warn error; 0 or -EINVAL */
void log_line(enum log_level level, const char *event, ...) __attribute__((sentinel));
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
/* event with code= and error= from e. */
void log_err(enum log_level level, const char *event, const struct err *e, const char *key,
	     const char *value);
