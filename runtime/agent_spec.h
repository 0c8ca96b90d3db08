/* SPDX-License-Identifier: MIT */
/* agent_spec.h - an agent's specification: text in, checked struct out. L2; any thread.
 * docs/SPEC.md is the user's reference. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/value.h"
#include "sandbox/sandbox.h"

#define AGENT_ARG_MAX      131071 /* bytes of one argument or variable: the kernel's MAX_ARG_STRLEN less its NUL */
#define AGENT_ARGS_MAX     1024   /* arguments, the program included */
#define AGENT_ENV_MAX      256    /* variables */
#define AGENT_WORDS_MAX    64     /* capabilities, policies */
#define AGENT_WORD_LEN_MAX 100    /* bytes of one of them */
#define AGENT_TOPIC_MAX    100    /* bytes */
#define AGENT_PATH_MAX     4000   /* bytes of workdir */

enum agent_mode { MODE_PERSISTENT, MODE_EPHEMERAL, MODE_SCHEDULED, MODE_EVENT_DRIVEN, MODE_EXTERNAL };
enum agent_priority { PRIORITY_LOW, PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_CRITICAL };
enum restart_policy { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct agent_limits {
	uint64_t memory_mb;	       /* 512 */
	double cpu_cores;	       /* 1.0 */
	uint64_t disk_io_mbps;	       /* 100 */
	uint64_t network_io_mbps;      /* 100 */
	uint64_t execution_timeout_ms; /* 3600 s; 0: none */
	uint64_t idle_timeout_ms;      /* 300 s; 0: none */
};

struct agent_spec {	      /* every pointer owned; freed by agent_spec_free */
	char *id;	      /* UUID in lower case, or NULL */
	char *name;	      /* from the spec, or NULL: the file's name rules */
	enum agent_mode mode; /* default: ephemeral */
	enum sandbox_tier tier;
	bool tier_given;
	bool allow_degraded;
	char *profile; /* of its sandbox, or NULL: SANDBOX_PROFILE_DEFAULT; only with a tier that has one */
	const struct sandbox_driver *driver; /* by name, or NULL: the best of its tier */
	char *image;			     /* of docker's or podman's that is its root, or NULL */
	bool network_given;
	enum sandbox_network network; /* None; only with a tier that has a sandbox */
	char *destinations;	      /* Restricted: as net_rules_read has them, or NULL */
	bool idle_timeout_given; /* resource_limits.idle_timeout stands in the spec */
	bool closed;		 /* no key can follow in this text (JSON, {...}) */
	struct agent_limits limits;
	char **capabilities;	/* NULL-ended or NULL: FileSystem Network Database Computation Communication, own */
	char **policies;	/* NULL-ended or NULL */
	struct value *metadata; /* map or NULL */
	enum agent_priority priority; /* Normal */
	struct {
		enum restart_policy policy; /* on-failure for persistent, never otherwise */
		unsigned max_restarts;	    /* 3 */
		uint64_t window_ms;	    /* 60 s */
	} restart;
	char **argv;		 /* what to run, NULL-ended: `command`, or made from runtime + code */
	char *runtime;		 /* as given, or the place's; NULL with `command` */
	char *code;		 /* or NULL */
	size_t code_arg;	 /* 0, or: code is longer than an argument may be; argv[code_arg] is "" and
				  * stands for the path of a file with `code`, which who starts the agent writes */
	const char *code_suffix; /* static: what that file's name should end in (".py"); NULL without code */
	char **env;		 /* "K=V", NULL-ended, from `env`; or NULL */
	char *workdir;		 /* or NULL */
	uint64_t interval_ms;	 /* scheduled */
	char *topic;		 /* event_driven: an event name or its prefix ending in '*' */
};

/* What the place that a spec stands in adds to its text. */
struct agent_spec_place {
	enum sandbox_tier tier; /* of a spec that names none */
	const char *runtime;	/* of code that names none; NULL: bash */
	const char *name;	/* the file's name without suffix: `name` must be the same; NULL: any */
	unsigned max_restarts;	/* of a spec that names none */
};

/* Read and check spec text. Unknown keys, misspelt words and values out of range are refused:
 * -EINVAL AGENT_003 (AGENT_004 for the name, TEXT_00x for what does not parse) naming key and line, what
 * would be accepted and the nearest known word. -ENOMEM. *unfinished (may be NULL) is set to true when more
 * text behind the end could still cure the failure: no beginning of a valid text fails without it. */
int agent_spec_read(enum value_format f, const char *text, size_t len,
		    const struct agent_spec_place *place, struct agent_spec **ret, bool *unfinished,
		    struct err *e);
/* The same where only the tier is known: bash, any name, 3 restarts. */
int agent_spec_parse(enum value_format f, const char *text, size_t len,
		     enum sandbox_tier default_tier, struct agent_spec **ret, bool *unfinished,
		     struct err *e);
void agent_spec_free(struct agent_spec *s); /* NULL is fine */

const char *agent_mode_name(enum agent_mode m);		/* persistent ephemeral scheduled ... */
const char *agent_priority_name(enum agent_priority p); /* Low Normal High Critical */

/* Each key that a spec may have ("restart.policy" for what stands in a map), for docs and completion. */
bool agent_spec_key(size_t i, char ret[static 64]); /* false behind the last */

/* One limit by key ("memory_mb"): print with '\n', and set from text with the same checks as the parser. A
 * printed limit reads back as it was. -ENOENT; -EINVAL RESOURCE_002 or TEXT_003. */
extern const char *const agent_limit_keys[]; /* NULL-ended */
int agent_limit_get(const struct agent_limits *l, const char *key, struct buf *out);
int agent_limit_set(struct agent_limits *l, const char *key, const char *text, struct err *e);
