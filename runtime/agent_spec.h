/* SPDX-License-Identifier: MIT */
/* agent_spec.h - an agent's specification: text in, checked struct out. L2; any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/value.h"
#include "sandbox/sandbox.h"

enum agent_mode { MODE_PERSISTENT, MODE_EPHEMERAL, MODE_SCHEDULED, MODE_EVENT_DRIVEN, MODE_EXTERNAL };
enum agent_priority { PRIORITY_LOW, PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_CRITICAL };
enum restart_policy { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct agent_limits {
	uint64_t memory_mb;         /* 512 */
	double cpu_cores;           /* 1.0 */
	uint64_t disk_io_mbps;      /* 100 */
	uint64_t network_io_mbps;   /* 100 */
	uint64_t execution_timeout_ms; /* 3600 s; 0: none */
	uint64_t idle_timeout_ms;      /* 300 s; 0: none */
};

struct agent_spec { /* every pointer owned; freed by agent_spec_free */
	char *id;   /* UUID text from the spec, or NULL */
	char *name; /* from the spec, or NULL: the file's name rules */
	enum agent_mode mode; /* default: ephemeral */
	enum sandbox_tier tier;
	bool tier_given;
	bool idle_timeout_given; /* resource_limits.idle_timeout stands in the spec */
	struct agent_limits limits;
	char **capabilities; /* NULL-ended, FileSystem Network Database Computation Communication or own */
	char **policies;     /* NULL-ended */
	struct value *metadata; /* map or NULL */
	enum agent_priority priority; /* Normal */
	struct {
		enum restart_policy policy; /* on-failure for persistent, never otherwise */
		unsigned max_restarts;      /* 3 */
		uint64_t window_ms;         /* 60 s */
	} restart;
	char **argv;          /* what to run, NULL-ended: `command`, or made from runtime + code */
	char *runtime, *code; /* as given, or NULL */
	char **env;           /* "K=V", NULL-ended, from `env` */
	char *workdir;        /* or NULL */
	uint64_t interval_ms; /* scheduled */
	char *topic;          /* event_driven: an event name or its prefix ending in '*' */
};

/* Read and check spec text. Unknown keys, misspelt words and values out of range are refused:
 * -EINVAL AGENT_003 (or TEXT_00x) naming key and line and what would be accepted. *unfinished as
 * in value_parse. default_tier is used when the spec names none. */
int agent_spec_parse(enum value_format f, const char *text, size_t len,
		     enum sandbox_tier default_tier, struct agent_spec **ret, bool *unfinished,
		     struct err *e);
void agent_spec_free(struct agent_spec *s);

const char *agent_mode_name(enum agent_mode m);         /* persistent ephemeral scheduled ... */
const char *agent_priority_name(enum agent_priority p); /* Low Normal High Critical */

/* One limit by key ("memory_mb"): print, and set from text with the same checks as the parser. */
extern const char *const agent_limit_keys[]; /* NULL-ended */
int agent_limit_get(const struct agent_limits *l, const char *key, struct buf *out);
int agent_limit_set(struct agent_limits *l, const char *key, const char *text, struct err *e);
