/* SPDX-License-Identifier: MIT */
/* policy.h - who may do what: the seeds' access policies, compiled into a set that decides in a time that hardly grows
 * with the number of rules. docs/POLICY.md is the language's manual. L1; a set never changes once it is made, so any
 * thread may decide by it.
 *
 * The decision: among all rules that match, Deny beats Escalate beats Limit beats Allow; priority and then the order
 * of the text only choose which of equals is named as the reason. Nothing matches: Deny. Audit rules decide nothing,
 * they ask for a record. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/value.h"

#define POLICY_RULES_MAX     100000 /* of a set */
#define POLICY_RESOURCE_MAX  4096   /* bytes of a resource's name */
#define POLICY_ADDRESSES_MAX 16

enum policy_effect { POLICY_DENY, POLICY_ESCALATE, POLICY_LIMIT, POLICY_ALLOW, POLICY_AUDIT, POLICY_EFFECTS };

/* Their words are public, as in `resource_type: File` and `operations: [Read]`. */
enum policy_type {
	POLICY_FILE,
	POLICY_NETWORK,
	POLICY_COMMAND,
	POLICY_DATABASE,
	POLICY_ENVIRONMENT,
	POLICY_AGENT,
	POLICY_SECRET,
	POLICY_TOOL,
	POLICY_TOPIC,
	POLICY_MODEL,
	POLICY_MEMORY,
	POLICY_TIER,
	POLICY_CUSTOM,
	POLICY_TYPES,
};
enum policy_op {
	POLICY_READ,
	POLICY_WRITE,
	POLICY_EXECUTE,
	POLICY_DELETE,
	POLICY_CREATE,
	POLICY_MODIFY,
	POLICY_LIST,
	POLICY_CONNECT,
	POLICY_OPS,
};
const char *policy_effect_word(enum policy_effect f);
const char *policy_type_word(enum policy_type t);
const char *policy_op_word(enum policy_op o);
int policy_effect_find(const char *word, enum policy_effect *ret); /* 0, or -ENOENT; case matters */
int policy_type_find(const char *word, enum policy_type *ret);
int policy_op_find(const char *word, enum policy_op *ret);

struct policy_pair {
	const char *key, *value;
};

/* All borrowed for the call. Texts may be NULL where nothing is known; then no condition over them holds. */
struct policy_request {
	enum policy_type type;
	enum policy_op op;
	const char *resource; /* as policy_path_normal or policy_host_normal gives it, else a plain name */
	/* NETWORK: the addresses that the host resolves to, each as policy_host_normal writes it. */
	const char *const *addresses;
	size_t addresses_n;
	const char *agent, *tier, *security_level;
	const char *const *capabilities;
	size_t capabilities_n;
	const struct policy_pair *metadata;
	size_t metadata_n;
	int64_t time_s; /* since the epoch, for conditions over time of day and weekday, in UTC */
};

struct policy_rate { /* of a token bucket */
	double per_ms, burst;
};

/* Borrowed from the set. */
struct policy_decision {
	enum policy_effect effect; /* never AUDIT */
	bool audit;		   /* an Audit rule matched */
	const char *rule, *file;   /* NULL: no rule matched */
	unsigned line;		   /* of the rule in file */
	const char *reason;	   /* the rule's own text, or NULL */
	const struct policy_rate *rate; /* LIMIT */
	const struct value *to;	    /* ESCALATE: a list of who may decide, or NULL: root */
};

struct policy_source {
	const char *name; /* of the file; its suffix names the format */
	const char *text;
	size_t len;
};

struct policy_set;

/* Compile sources into one set. The texts are not needed afterwards. The caller owns *ret: policy_set_free.
 * One mistake anywhere refuses all: -EINVAL POLICY_002 with file, line and what to write instead; -EFBIG, -ENOMEM. */
int policy_set_new(struct policy_set **ret, const struct policy_source *src, size_t n, struct err *e);
void policy_set_free(struct policy_set *s); /* NULL is fine */
/* Is src right by itself? As policy_set_new; *unfinished is set: true on an -EINVAL that more text behind its end could
 * still cure, else false. */
int policy_source_check(const struct policy_source *src, bool *unfinished, struct err *e);

/* SHA-256 of all names and texts, in hex: which set decided. */
const char *policy_set_version(const struct policy_set *s);
size_t policy_set_rules(const struct policy_set *s); /* of both kinds */

void policy_decide(const struct policy_set *s, const struct policy_request *q, struct policy_decision *ret);

/* Every rule that matches q, best first, as lines "EFFECT rule (file:line) reason", then the decision. 0 or -errno of
 * the buffer. */
int policy_explain(const struct policy_set *s, const struct policy_request *q, struct buf *out);

/* Every rule in order of its weight, a line "EFFECT name (file:line) priority N" each. 0 or -errno of the buffer. */
int policy_list(const struct policy_set *s, struct buf *out);

/* What differs from one set to another, a line each: "+ EFFECT name (file:line)" for a rule that is new, "- " for one that is gone, "~ "
 * for one of that name that says something else. How many in *ret_n. 0 or -errno of the buffer. */
int policy_diff(const struct policy_set *from, const struct policy_set *to, size_t *ret_n, struct buf *out);

/* ---- a request in words (asked.c) ---- */

struct policy_words { /* borrowed; NULL: not said */
	const char *type, *op, *resource, *agent, *tier, *level, *address;
};
struct policy_asked {
	struct policy_request q;
	char resource[POLICY_RESOURCE_MAX], address[POLICY_RESOURCE_MAX];
	const char *addresses[1];
};
/* Make the request that w says; its texts stay borrowed from w. Type File and level standard where none is named.
 * -EINVAL POLICY_004 for words that are none, POLICY_003 for a resource that cannot be decided on. */
int policy_asked_make(struct policy_asked *a, const struct policy_words *w, struct err *e);
/* Where w has the word of that key (type operation resource agent tier level address); NULL: no such key. */
const char **policy_words_at(struct policy_words *w, const char *key);

/* ---- messages between tiers (comm.c) ---- */

enum policy_message_type {
	POLICY_MESSAGE_CONTROL,
	POLICY_MESSAGE_DATA,
	POLICY_MESSAGE_EVENT,
	POLICY_MESSAGE_RPC,
	POLICY_MESSAGES,
};
const char *policy_message_word(enum policy_message_type t);
int policy_message_find(const char *word, enum policy_message_type *ret); /* 0 or -ENOENT */

struct policy_message_decision {
	bool allowed;
	bool encryption, signature, audit, filtering; /* what the pair of tiers requires */
	uint32_t per_second, burst;		      /* of a token bucket per sender; 0: no limit */
	const char *rule, *file;		      /* the first row of the pair, NULL: none; borrowed */
	unsigned line;
	const char *why; /* not: a static text */
};
/* May an agent of one tier send to one of the other? From source to destination, not back. Tiers by their names or
 * those of the seeds (docker, gvisor, firecracker); an unknown one is denied. */
void policy_decide_message(const struct policy_set *s, const char *source_tier, const char *destination_tier,
			   enum policy_message_type type, struct policy_message_decision *ret);

/* ---- names of resources, in the one spelling that rules are matched with (resource.c) ---- */

/* An absolute path: doubled slashes, `/./` and a last slash go. Refused with POLICY_003: relative ones, `..` anywhere,
 * longer than POLICY_RESOURCE_MAX. Nothing is decoded, no link is followed: decide on the opened object too. */
int policy_path_normal(const char *path, char out[POLICY_RESOURCE_MAX], struct err *e);

/* host[:port][/path], [v6]:port: lower case, no last dot; an address in any spelling that inet_aton takes (0x7f.1,
 * 2130706433, 017700000001) and IPv4 in IPv6 become dotted, IPv6 gets its shortest form in brackets. */
int policy_host_normal(const char *target, char out[POLICY_RESOURCE_MAX], struct err *e);
