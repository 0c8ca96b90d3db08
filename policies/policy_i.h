/* SPDX-License-Identifier: MIT */
/* policy_i.h - a parsed rule and the index over rules, shared by the files of policies/. L1. */
#pragma once

#include <errno.h>

#include "lib/map.h"
#include "policies/glob.h"
#include "policies/policy.h"

enum cond_kind { COND_LEVEL, COND_AGENT, COND_TIER, COND_CAPABILITY, COND_METADATA, COND_TIME, COND_WEEKDAY };

struct span {
	uint16_t from, to; /* minutes of the day; from > to goes over midnight */
};

/* Holds when one of its values does. */
struct cond {
	enum cond_kind kind;
	char *key; /* METADATA */
	size_t n;
	struct glob **globs; /* LEVEL to METADATA */
	char **words;	     /* AGENT: the same as texts */
	bool plain;	     /* AGENT: no value has a wildcard */
	struct span *spans;  /* TIME */
	uint8_t weekdays;    /* WEEKDAY: bits, Monday 1 */
};

/* Where a pattern of a network rule points. */
struct net_pattern {
	enum { NET_NOT, NET_NAME, NET_ADDRESS, NET_LOOPBACK } kind; /* NOT: it names no host */
	uint8_t address[16], bits; /* ADDRESS: the first bits of it, IPv4 mapped into IPv6 */
	int port;		   /* -1 any */
};

struct pattern {
	char *text;
	struct glob *glob; /* of the text; NULL: for networks only */
	size_t prefix;	   /* glob_prefix of the text, without a last slash */
	bool plain;	   /* nothing but the prefix */
	bool tree;	   /* the prefix and all below it */
	struct net_pattern net;
	struct glob *host, *path; /* of a host; path NULL: any */
};

struct rule {
	char *name, *reason;
	const char *file;
	unsigned line;
	uint32_t rank; /* smaller is named first */
	int64_t priority;
	enum policy_effect effect;
	uint32_t types, ops; /* bits */
	bool disabled;
	struct cond *conds;
	size_t conds_n;
	struct pattern *patterns;
	size_t patterns_n;
	bool limited; /* `limits` was given */
	struct policy_rate rate;
	struct value *to;
	unsigned char digest[16]; /* of all that it says */
};

/* What holds from one tier to another; zeroed: nothing was said. */
struct comm {
	char *name;
	const char *file;
	unsigned line;
	uint8_t types, requires; /* bits */
	uint32_t per_second, burst;
};
enum { POLICY_TIERS = 4 };

struct rule_index;

struct policy_set {
	char version[65];
	char **files;
	size_t files_n;
	struct rule **rules;
	size_t rules_n, rules_cap;
	struct map names;
	struct rule_index *index; /* index.c */
	struct comm comms[POLICY_TIERS][POLICY_TIERS];
	size_t comms_n;
};

/* ---- read.c: one file's rules into the set ---- */
int policy_read(struct policy_set *s, const char *file, const struct value *v, struct err *e);
int policy_wrong(struct err *e, const char *file, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same of something that is not there yet: more text behind the end could bring it. */
#define POLICY_LACKS (-ENOMSG)
int policy_lacks(struct err *e, const char *file, unsigned line, const char *what);
void rule_free(struct rule *r);

/* ---- cond.c ---- */
/* The conditions of a rule, a list of maps or one map; resource_type goes into r->types. */
int conds_read(struct rule *r, const struct value *v, struct err *e);
void cond_free(struct cond *c);
bool cond_holds(const struct cond *c, const struct policy_request *q);

/* A tier's own name for the seeds' words, which name what implements it; others as they are. */
const char *tier_word(const char *text);

/* ---- comm.c ---- */
int comms_read(struct policy_set *s, const char *file, const struct value *v, struct err *e);
void comms_free(struct policy_set *s);

/* ---- resource.c ---- */
/* Read a pattern of a rule for resources of the types, a bit each. */
int pattern_read(struct pattern *p, const char *text, uint32_t types, struct err *e);
void pattern_free(struct pattern *p);
/* len: of q's resource. deny: the rule forbids, so one of a host's addresses is enough. */
bool pattern_matches(const struct pattern *p, const struct policy_request *q, size_t len, bool deny);
/* By what a network rule is found: the key of a pattern ("": any request may match it), and those of a request, which
 * are at most `most`. */
#define HOST_KEY_MAX 256
void net_key(const struct pattern *p, char out[HOST_KEY_MAX]);
size_t net_keys(const struct policy_request *q, char out[][HOST_KEY_MAX], size_t most);

/* ---- index.c ---- */
int rule_index_build(struct policy_set *s, struct err *e);
void rule_index_free(struct rule_index *x);
/* Does r match q in everything? len: of q's resource. */
bool rule_matches(const struct rule *r, const struct policy_request *q, size_t len);
/* The rule of the smallest rank that matches q among those that decide, or among Audit ones; NULL none. */
const struct rule *rule_index_best(const struct rule_index *x, const struct policy_request *q, bool audit);
