/* SPDX-License-Identifier: MIT */
/* profile.c - sandbox profiles: one row for each key. L1. */
#include "sandbox/profile.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/suggest.h"
#include "sandbox/box.h"

enum kind {
	BYTES,     /* given in MB */
	BYTES_S,   /* given in MB/s */
	BITS_S,    /* given in megabits a second */
	CORES,     /* to thousandths */
	COUNT,     /* uint32_t */
	CHILDREN,  /* to processes: the first one too */
	SECONDS,   /* to milliseconds */
	ALLOWED,   /* a switch that turns something off */
	DENIED,    /* absolute paths */
	NETWORK,   /* a mode */
	DESTINATIONS,
	ONLY_TRUE, /* sandboxes do this always */
	ONLY_FALSE,
	NOTHING, /* known, and never enforced */
};

#define P(member) offsetof(struct sandbox_profile, member)
static const struct row {
	const char *section, *key;
	enum kind kind;
	size_t at;
	double least, most;
	const char *why; /* another value cannot be enforced */
} rows[] = {
	{"resources", "max_memory_mb", BYTES, P(limits.memory_bytes), 1, 1 << 24, NULL},
	{"resources", "max_cpu_cores", CORES, P(limits.cpu_millis), 0.01, 4096, NULL},
	{"resources", "max_io_bandwidth_mbps", BYTES_S, P(limits.disk_bytes_per_s), 1, 1000000, NULL},
	{"resources", "max_disk_mb", NOTHING, 0, 0, 0,
	 "no quota holds a working directory; filesystem.max_file_size_mb and max_temp_mb are enforced"},
	{"filesystem", "read_paths", NOTHING, 0, 0, 0,
	 "a sandbox shows the system's programs, read-only, and the working directory"},
	{"filesystem", "write_paths", NOTHING, 0, 0, 0,
	 "in a sandbox the working directory and what is temporary can be written"},
	{"filesystem", "denied_paths", DENIED, 0, 0, 0, NULL},
	{"filesystem", "allow_temp_files", ALLOWED, P(no_temp), 0, 0, NULL},
	{"filesystem", "max_temp_mb", BYTES, P(limits.temp_bytes), 1, 1 << 20, NULL},
	{"filesystem", "max_file_size_mb", BYTES, P(limits.file_bytes), 1, 1 << 24, NULL},
	{"process", "max_child_processes", CHILDREN, P(limits.pids), 0, 1000000, NULL},
	{"process", "max_execution_time_seconds", SECONDS, P(execution_ms), 1, 100000000, NULL},
	{"process", "max_cpu_seconds", COUNT, P(limits.cpu_seconds), 1, 100000000, NULL},
	{"process", "process_priority", COUNT, P(limits.nice), 0, 19, NULL},
	{"process", "allowed_syscalls", NOTHING, 0, 0, 0, "every sandbox has the one filter of system calls of this build"},
	{"network", "access_mode", NETWORK, 0, 0, 0, NULL},
	{"network", "allowed_destinations", DESTINATIONS, 0, 0, 0, NULL},
	{"network", "max_bandwidth_mbps", BITS_S, P(limits.net_bytes_per_s), 1, 1000000, NULL},
	{"security", "strict_syscall_filtering", ONLY_TRUE, 0, 0, 0, "a sandbox always filters system calls"},
	{"security", "disable_debugging", ONLY_TRUE, 0, 0, 0, "in a sandbox nothing is traced by another"},
	{"security", "enable_audit_logging", ONLY_TRUE, 0, 0, 0, "every run is in the journal"},
	{"security", "require_encryption", ONLY_FALSE, 0, 0, 0, "what a program writes is not encrypted"},
};

/* ---- built in ---- */

#define MB (1ull << 20)
static const struct {
	const char *name;
	struct sandbox_profile profile;
} builtin[] = {
	{"secure",
	 {.limits = {.memory_bytes = 4096 * MB,
		     .cpu_millis = 2000,
		     .disk_bytes_per_s = 100 * 1000000,
		     .file_bytes = 64 * MB,
		     .temp_bytes = 64 * MB,
		     .pids = 33,
		     .cpu_seconds = 300,
		     .nice = 10},
	  .execution_ms = 300000,
	  .cpu_given = true,
	  .io_given = true}},
	{"standard",
	 {.limits = {.memory_bytes = 8192 * MB,
		     .cpu_millis = 4000,
		     .file_bytes = 64 * MB,
		     .temp_bytes = 64 * MB,
		     .pids = 256},
	  .execution_ms = 3600000,
	  .cpu_given = true}},
};

const struct sandbox_profile *sandbox_profile_builtin(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(builtin); i++)
		if (strcmp(builtin[i].name, name) == 0)
			return &builtin[i].profile;
	return NULL;
}

/* ---- reading ---- */

struct reading {
	struct sandbox_profile *p;
	bool curable; /* of the failure */
	struct err *e;
};

static int wrong(struct reading *r, const struct row *row, const struct value *v, const char *want)
{
	r->curable = v->type == VALUE_NULL;
	return err_at(r->e, ERR_SEC_PROFILE, v->line, "line %u: '%s.%s' must be %s", v->line, row->section, row->key, want);
}

static int not_enforced(struct reading *r, const struct row *row, const struct value *v, const char *why)
{
	return err_at(r->e, ERR_SEC_VIOLATION, v->line, "line %u: '%s.%s' cannot be enforced so: %s", v->line, row->section,
		      row->key, why);
}

static const struct number {
	double scale; /* of what is written to what is meant */
	bool wide;    /* uint64_t, else uint32_t */
	unsigned more;
} numbers[] = {
	[BYTES] = {1 << 20, true, 0},   [BYTES_S] = {1000000, true, 0}, [SECONDS] = {1000, true, 0},
	[BITS_S] = {125000, true, 0},
	[CORES] = {1000, false, 0}, [COUNT] = {1, false, 0},        [CHILDREN] = {1, false, 1},
};

static int read_number(struct reading *r, const struct row *row, const struct value *v)
{
	char want[80];
	const struct number *as = &numbers[row->kind];
	void *to = (char *)r->p + row->at;
	bool real = row->kind == CORES;
	double n = v->type == VALUE_INT ? (double)v->integer : v->type == VALUE_REAL && real ? v->real : -1;
	snprintf(want, sizeof want, "a %snumber from %g to %.0f", real ? "" : "whole ", row->least, row->most);
	if (!(n >= row->least && n <= row->most))
		return wrong(r, row, v, want);
	uint64_t meant = (uint64_t)(n * as->scale + 0.5) + as->more;
	if (as->wide)
		*(uint64_t *)to = meant;
	else
		*(uint32_t *)to = (uint32_t)meant;
	r->p->cpu_given |= row->kind == CORES;
	r->p->io_given |= row->kind == BYTES_S;
	return 0;
}

static int read_denied(struct reading *r, const struct row *row, const struct value *v)
{
	char why[200], shown[64];
	if (v->type != VALUE_LIST)
		return wrong(r, row, v, "a list of absolute paths");
	for (size_t i = 0; i < v->list.n; i++) {
		const struct value *item = &v->list.items[i];
		const char *path = item->type == VALUE_STRING ? item->string.data : "";
		size_t len = strlen(path);
		if (*path != '/' || (len > 1 && path[len - 1] == '/') || strstr(path, "//") || strstr(path, "/.") ||
		    (item->type == VALUE_STRING && len != item->string.len))
			return wrong(r, row, item, "a list of absolute paths, like /srv/keys, without '.' and '..'");
		if (box_shows(path, shown)) {
			snprintf(why, sizeof why, "every sandbox shows '%s'", shown);
			return not_enforced(r, row, item, why);
		}
		if (r->p->denied_len + len + 1 > sizeof r->p->denied)
			return wrong(r, row, item, "shorter: there are too many paths");
		memcpy(r->p->denied + r->p->denied_len, path, len + 1);
		r->p->denied_len += len + 1;
	}
	return 0;
}

static int read_network(struct reading *r, const struct row *row, const struct value *v)
{
	const char *word = v->type == VALUE_STRING ? v->string.data : "";
	if (sandbox_network_parse(word, &r->p->network) < 0)
		return wrong(r, row, v, "one of None Restricted Full");
	return 0;
}

static int read_destinations(struct reading *r, const struct row *row, const struct value *v)
{
	autobuf struct buf list;
	buf_init(&list, sizeof r->p->destinations - 1);
	if (v->type != VALUE_LIST)
		return wrong(r, row, v, "a list of \"HOST:PORT\" or {host: HOST, port: PORT}");
	for (size_t i = 0; i < v->list.n; i++) {
		int n = sandbox_destination_read(&v->list.items[i], &list, r->e);
		if (n < 0)
			return n;
	}
	memcpy(r->p->destinations, list.data, list.len + 1);
	return 0;
}

/* What would be ignored is refused. */
static int check_network(const struct sandbox_profile *p, struct err *e)
{
	if (p->destinations[0] && p->network != NETWORK_RESTRICTED)
		return err_set(e, ERR_SEC_PROFILE, "'network.allowed_destinations' is for `access_mode: Restricted`, not for %s",
			       sandbox_network_name(p->network));
	if (p->limits.net_bytes_per_s && p->network == NETWORK_FULL)
		return err_set(e, ERR_SEC_VIOLATION, "'network.max_bandwidth_mbps' cannot be enforced with `access_mode: Full`");
	return 0;
}

static int read_switch(struct reading *r, const struct row *row, const struct value *v)
{
	if (v->type != VALUE_BOOL)
		return wrong(r, row, v, "true or false");
	if (row->kind == ALLOWED)
		*(bool *)((char *)r->p + row->at) = !v->boolean;
	else if (v->boolean != (row->kind == ONLY_TRUE))
		return not_enforced(r, row, v, row->why);
	return 0;
}

static int read_nothing(struct reading *r, const struct row *row, const struct value *v)
{
	if (v->type == VALUE_LIST && v->list.n == 0) /* asks for nothing */
		return 0;
	return v->type == VALUE_NULL ? wrong(r, row, v, "a value") : not_enforced(r, row, v, row->why);
}

static int (*const readers[])(struct reading *r, const struct row *row, const struct value *v) = {
	[BYTES] = read_number,	   [BYTES_S] = read_number,  [CORES] = read_number,	[COUNT] = read_number,
	[CHILDREN] = read_number,  [SECONDS] = read_number,  [ALLOWED] = read_switch,	[DENIED] = read_denied,
	[NETWORK] = read_network, [BITS_S] = read_number, [DESTINATIONS] = read_destinations,
	[ONLY_TRUE] = read_switch, [ONLY_FALSE] = read_switch, [NOTHING] = read_nothing,
};

static int unknown(struct reading *r, const struct value_member *m, const char *section)
{
	struct suggest near;
	suggest_init(&near, m->key);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!section || strcmp(rows[i].section, section) == 0)
			suggest_try(&near, section ? rows[i].key : rows[i].section);
	return err_at(r->e, ERR_SEC_PROFILE, m->line, "line %u: unknown key '%s%s%.100s'%s", m->line, section ? section : "",
		      section ? "." : "", m->key, suggest_text(&near));
}

static int read_section(struct reading *r, const struct value_member *s)
{
	size_t i = 0;
	while (i < ARRAY_LEN(rows) && strcmp(rows[i].section, s->key) != 0)
		i++;
	if (i == ARRAY_LEN(rows))
		return unknown(r, s, NULL);
	r->curable = s->value.type == VALUE_NULL;
	if (s->value.type != VALUE_MAP)
		return err_at(r->e, ERR_SEC_PROFILE, s->line, "line %u: '%s' is a map of its keys", s->line, s->key);
	for (size_t k = 0; k < s->value.map.n; k++) {
		const struct value_member *m = &s->value.map.members[k];
		for (i = 0; i < ARRAY_LEN(rows); i++)
			if (strcmp(rows[i].section, s->key) == 0 && strcmp(rows[i].key, m->key) == 0)
				break;
		int n = i < ARRAY_LEN(rows) ? readers[rows[i].kind](r, &rows[i], &m->value) : unknown(r, m, s->key);
		if (n < 0)
			return n;
	}
	return 0;
}

int sandbox_profile_read(enum value_format f, const char *text, size_t len, struct sandbox_profile *ret, bool *unfinished,
			 struct err *e)
{
	struct value *v = NULL;
	struct reading r = {.p = ret, .e = e};
	*ret = *sandbox_profile_builtin(SANDBOX_PROFILE_DEFAULT);
	ret->cpu_given = ret->io_given = false;
	int n = value_parse(f, text, len, &v, unfinished, e);
	if (n < 0)
		return n;
	if (v->type != VALUE_MAP) {
		r.curable = v->type == VALUE_NULL;
		n = err_at(e, ERR_SEC_PROFILE, v->line, "a profile has sections: resources, filesystem, process, network, "
			   "security");
	}
	for (size_t i = 0; n == 0 && i < v->map.n; i++)
		n = read_section(&r, &v->map.members[i]);
	if (n == 0 && (n = check_network(ret, e)) < 0)
		r.curable = true; /* another key may follow */
	if (unfinished) /* a word that its line does not end may become another */
		*unfinished = n < 0 && f != VALUE_JSON && (r.curable || !len || text[len - 1] != '\n');
	value_free(v);
	return n;
}

/* ---- writing ---- */

static void render_number(const struct sandbox_profile *p, const struct row *row, struct buf *out)
{
	const struct number *as = &numbers[row->kind];
	const void *at = (const char *)p + row->at;
	uint64_t n = as->wide ? *(const uint64_t *)at : *(const uint32_t *)at;
	char text[32];
	if (!n && row->least > 0)
		return; /* no limit */
	if (row->kind == CORES)
		format_double((double)n / as->scale, text);
	else
		snprintf(text, sizeof text, "%.0f", (double)(n - as->more) / as->scale);
	buf_printf(out, "  %s: %s\n", row->key, text);
}

static void render_denied(const struct sandbox_profile *p, struct buf *out)
{
	const char *end = p->denied + p->denied_len;
	for (const char *d = p->denied; d < end; d += strlen(d) + 1) {
		buf_adds(out, d == p->denied ? "  denied_paths: [" : ", ");
		buf_json_string(out, d, strlen(d));
	}
	buf_adds(out, p->denied_len ? "]\n" : "  denied_paths: []\n");
}

static void render_destinations(const struct sandbox_profile *p, struct buf *out)
{
	const char *d = p->destinations;
	buf_adds(out, "  allowed_destinations: [");
	for (size_t n; (n = strcspn(d, "\n")) > 0; d += n + 1) {
		buf_adds(out, d == p->destinations ? "" : ", ");
		buf_json_string(out, d, n);
	}
	buf_adds(out, "]\n");
}

static void render_row(const struct sandbox_profile *p, const struct row *row, struct buf *out)
{
	switch (row->kind) {
	case BYTES:
	case BYTES_S:
	case BITS_S:
	case CORES:
	case COUNT:
	case CHILDREN:
	case SECONDS: render_number(p, row, out); break;
	case DENIED: render_denied(p, out); break;
	case NETWORK: buf_printf(out, "  %s: %s\n", row->key, sandbox_network_name(p->network)); break;
	case DESTINATIONS: render_destinations(p, out); break;
	case ALLOWED:
		buf_printf(out, "  %s: %s\n", row->key, *(const bool *)((const char *)p + row->at) ? "false" : "true");
		break;
	case ONLY_TRUE: buf_printf(out, "  %s: true\n", row->key); break;
	case ONLY_FALSE: buf_printf(out, "  %s: false\n", row->key); break;
	case NOTHING: break;
	}
}

int sandbox_profile_render(const struct sandbox_profile *p, struct buf *out)
{
	const char *section = "";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].section, section) != 0)
			buf_printf(out, "%s:\n", rows[i].section);
		section = rows[i].section;
		render_row(p, &rows[i], out);
	}
	return out->fail;
}

/* ---- using ---- */

static bool lies_in(const char *path, const char *top)
{
	size_t n = strlen(top);
	return strncmp(path, top, n) == 0 && (!path[n] || path[n] == '/');
}

int sandbox_profile_cwd(const struct sandbox_profile *p, const char *cwd, struct err *e)
{
	for (const char *d = p->denied; d < p->denied + p->denied_len; d += strlen(d) + 1)
		if (lies_in(cwd, d) || lies_in(d, cwd))
			return err_set(e, ERR_SEC_VIOLATION, "working directory '%s': its profile denies '%s'", cwd, d);
	return 0;
}

int sandbox_profile_enforceable(const struct sandbox_profile *p, const struct sandbox_caps *c, struct err *e)
{
	const char *key = p->cpu_given && !c->cpu  ? "resources.max_cpu_cores"
			  : p->io_given && !c->io ? "resources.max_io_bandwidth_mbps"
								 : NULL;
	if (!key)
		return 0;
	return err_set(e, ERR_SEC_TIER, "its profile's %s cannot be enforced here%s%s; `allow_degraded: true` runs it without",
		       key, c->why[0] ? ": " : "", c->why);
}
