/* SPDX-License-Identifier: MIT */
/* agent_spec.c - an agent's specification as a whole: every key read once, what belongs together, and the command
 * that follows. L2; any thread. */
#include "runtime/agent_spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/suggest.h"
#include "runtime/agent_spec_i.h"

const char *agent_mode_name(enum agent_mode m)
{
	static const char *const names[] = {"persistent", "ephemeral", "scheduled", "event_driven", "external"};
	return names[m];
}

const char *agent_priority_name(enum agent_priority p)
{
	static const char *const names[] = {"Low", "Normal", "High", "Critical"};
	return names[p];
}

#define RUNTIMES 7
const struct spec_runtime spec_runtimes[RUNTIMES] = {
	{"python3", "python3", "-c", ".py"}, {"python", "python3", "-c", ".py"},
	{"node", "node", "-e", ".js"},	     {"bash", "bash", "-c", ".sh"},
	{"sh", "sh", "-c", ".sh"},	     {"perl", "perl", "-e", ".pl"},
	{"ruby", "ruby", "-e", ".rb"},
};
const char spec_runtime_words[] = "python3 python node bash sh perl ruby";

/* ---- keys ---- */

bool agent_spec_key(size_t i, char ret[static 64])
{
	for (const struct spec_key *k = spec_keys; k->key; k++) {
		if (i-- == 0)
			return snprintf(ret, 64, "%s", k->key) > 0;
		for (const char *w = k->below ? k->below : ""; *w; w += strcspn(w, " "), w += strspn(w, " "))
			if (i-- == 0)
				return snprintf(ret, 64, "%s.%.*s", k->key, (int)strcspn(w, " "), w) > 0;
	}
	return false;
}

/* All keys, separated by spaces. */
static void all_keys(char out[static 400])
{
	size_t n = 0;
	out[0] = 0;
	for (const struct spec_key *k = spec_keys; k->key && n < 400; k++)
		n += (size_t)snprintf(out + n, 400 - n, "%s%s", n ? " " : "", k->key);
}

static int unknown_key(struct spec_reader *r, const struct value_member *m)
{
	char known[400];
	all_keys(known);
	return spec_unknown(r, m, "", known);
}

static int read_member(struct spec_reader *r, struct value_member *m, const struct spec_key **seen, size_t *n)
{
	const struct spec_key *k = spec_keys;
	while (k->key && strcmp(k->key, m->key) != 0)
		k++;
	if (!k->key)
		return unknown_key(r, m);
	for (size_t i = 0; i < *n; i++)
		if (seen[i]->read == k->read)
			return spec_wrong(r, m->line, "'%s' and '%s' are two names of one thing: leave one of them",
					  seen[i]->key, k->key);
	seen[(*n)++] = k;
	return k->read(r, &m->value);
}

/* ---- the whole ---- */

/* What is missing may still follow; what contradicts itself may not. */
static int incomplete(struct spec_reader *r, const char *what)
{
	r->curable = !r->s->closed;
	return err_set(r->e, ERR_AGENT_SPEC, "%s", what);
}

static int contradiction(struct spec_reader *r, bool may_change, const char *what)
{
	r->curable = may_change && !r->s->closed;
	return err_set(r->e, ERR_AGENT_SPEC, "%s", what);
}

static int check_mode(struct spec_reader *r)
{
	struct agent_spec *s = r->s;
	if (s->mode == MODE_SCHEDULED && !s->interval_ms)
		return incomplete(r, "a scheduled agent needs 'interval', like 5m");
	if (s->mode == MODE_EVENT_DRIVEN && !s->topic)
		return incomplete(r, "an event_driven agent needs 'topic', an event's type like agent.failed");
	if (s->mode != MODE_SCHEDULED && s->interval_ms)
		return contradiction(r, !r->mode_given, "'interval' is for execution_mode scheduled");
	if (s->mode != MODE_EVENT_DRIVEN && s->topic)
		return contradiction(r, !r->mode_given, "'topic' is for execution_mode event_driven");
	if (s->mode != MODE_PERSISTENT && r->restart_given)
		return contradiction(r, !r->mode_given, "'restart' is for execution_mode persistent");
	if (s->mode == MODE_PERSISTENT && !r->restart_given)
		s->restart.policy = RESTART_ON_FAILURE;
	return 0;
}

/* What holds its program must be of its tier, and nothing said of it may be without effect. */
static int check_sandbox(struct spec_reader *r)
{
	const struct agent_spec *s = r->s;
	if (s->profile && s->tier == TIER_NONE)
		return contradiction(r, !s->tier_given, "'sandbox_profile' is for a tier that has a sandbox, not for None");
	if (s->network_given && s->tier == TIER_NONE)
		return contradiction(r, !s->tier_given, "'network' is for a tier that has a sandbox, not for None, which has the "
				     "machine's");
	if (s->destinations && s->network != NETWORK_RESTRICTED)
		return contradiction(r, true, "'network.allowed_destinations' is for `access_mode: Restricted`");
	if (s->image && !(s->driver && s->driver->images))
		return contradiction(r, !s->driver, "'sandbox_image' is for `sandbox_driver: docker` or podman");
	if (s->driver && s->driver->tier != s->tier)
		return contradiction(r, !s->tier_given, "'sandbox_driver' is of another tier than 'tier'");
	return 0;
}

/* The place may name its interpreter by path: native_execution.default_executable. */
static int find_runtime(struct spec_reader *r, size_t *ret)
{
	struct suggest near;
	const char *name = basename(r->s->runtime);
	suggest_init(&near, name);
	for (size_t i = 0; i < RUNTIMES; i++) {
		if (strcmp(spec_runtimes[i].name, name) == 0) {
			*ret = i;
			return 0;
		}
		suggest_try(&near, spec_runtimes[i].name);
	}
	return err_set(r->e, ERR_AGENT_SPEC, "runtime '%.60s' is not known%s; one of: %s", r->s->runtime,
		       suggest_text(&near), spec_runtime_words);
}

/* Short code is an argument; long code is for a file, as the kernel takes no argument above 128 KiB. */
static int make_argv(struct spec_reader *r, size_t i)
{
	struct agent_spec *s = r->s;
	bool in_file = strlen(s->code) > AGENT_ARG_MAX;
	const char *program = strchr(s->runtime, '/') ? s->runtime : spec_runtimes[i].program;
	s->argv = calloc(4, sizeof *s->argv);
	if (!s->argv || !(s->argv[0] = strdup(program)) ||
	    !(s->argv[1] = strdup(in_file ? "" : spec_runtimes[i].flag)))
		return spec_no_memory(r);
	if (!in_file && !(s->argv[2] = strdup(s->code)))
		return spec_no_memory(r);
	s->code_arg = in_file ? 1 : 0;
	s->code_suffix = spec_runtimes[i].suffix;
	return 0;
}

static int check_program(struct spec_reader *r)
{
	struct agent_spec *s = r->s;
	size_t i = 0;
	if (s->argv && (s->runtime || s->code))
		return contradiction(r, false, "a spec says what to run either by 'command' or by 'code', not by "
					       "both");
	if (s->argv)
		return 0;
	if (!s->code)
		return incomplete(r, s->runtime ? "'runtime' runs 'code', which is missing"
						: "a spec says what to run: by 'command', or by 'runtime' and 'code'");
	if (!s->runtime && !(s->runtime = strdup(r->place->runtime ? r->place->runtime : "bash")))
		return spec_no_memory(r);
	int n = find_runtime(r, &i);
	return n < 0 ? n : make_argv(r, i);
}

/* `-` and `--` begin the line `---`. */
static bool begins_mark(const struct spec_reader *r)
{
	const char *nl = r->len ? memrchr(r->text, '\n', r->len) : NULL, *line = nl ? nl + 1 : r->text;
	size_t left = (size_t)(r->text + r->len - line);
	return r->f == VALUE_YAML && (left == 1 || left == 2) && strncmp(line, "---", left) == 0;
}

static int not_a_map(struct spec_reader *r, const struct value *v)
{
	char keys[400];
	all_keys(keys);
	r->curable = r->f == VALUE_YAML && (v->type == VALUE_NULL || spec_begins_key(r, v, keys) || begins_mark(r));
	return err_at(r->e, ERR_AGENT_SPEC, v->line, "line %u: a spec is a map of keys, not a %s", v->line,
		      value_type_name(v->type));
}

static int read_all(struct spec_reader *r, struct value *v)
{
	const struct spec_key *seen[32];
	size_t seen_n = 0;
	if (v->type != VALUE_MAP)
		return not_a_map(r, v);
	for (size_t i = 0; i < v->map.n; i++) {
		r->last = i + 1 == v->map.n;
		r->curable = false;
		int n = read_member(r, &v->map.members[i], seen, &seen_n);
		if (n < 0)
			return n;
	}
	r->curable = false;
	int n = check_sandbox(r);
	if (n == 0)
		n = check_mode(r);
	return n < 0 ? n : check_program(r);
}

static struct agent_spec *new_spec(const struct agent_spec_place *place)
{
	struct agent_spec *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->mode = MODE_EPHEMERAL;
	s->tier = place->tier;
	s->priority = PRIORITY_NORMAL;
	s->limits = (struct agent_limits){512, 1.0, 100, 100, 3600000, 300000};
	s->restart.max_restarts = place->max_restarts;
	s->restart.window_ms = 60000;
	return s;
}

int agent_spec_read(enum value_format f, const char *text, size_t len,
		    const struct agent_spec_place *place, struct agent_spec **ret, bool *unfinished,
		    struct err *e)
{
	struct value *v = NULL;
	bool more = false;
	struct spec_reader r = {.place = place, .f = f, .text = text, .len = len, .last = true, .e = e};
	int n = value_parse(f, text, len, &v, &more, e);
	more = more || begins_mark(&r);
	if (n == 0) {
		r.last_line = 1;
		for (const char *p = text; (p = memchr(p, '\n', (size_t)(text + len - p))); p++)
			r.last_line++;
		r.s = new_spec(place);
		if (r.s)
			r.s->closed = spec_no_key_follows(&r);
		n = r.s ? read_all(&r, v) : spec_no_memory(&r);
		more = r.curable;
		value_free(v);
	}
	if (unfinished)
		*unfinished = n < 0 && more;
	if (n < 0)
		agent_spec_free(r.s);
	else
		*ret = r.s;
	return n;
}

int agent_spec_parse(enum value_format f, const char *text, size_t len,
		     enum sandbox_tier default_tier, struct agent_spec **ret, bool *unfinished, struct err *e)
{
	struct agent_spec_place place = {.tier = default_tier, .max_restarts = 3};
	return agent_spec_read(f, text, len, &place, ret, unfinished, e);
}

static void free_list(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

void agent_spec_free(struct agent_spec *s)
{
	if (!s)
		return;
	free(s->id);
	free(s->name);
	free(s->runtime);
	free(s->code);
	free(s->workdir);
	free(s->topic);
	free_list(s->capabilities);
	free_list(s->policies);
	free(s->profile);
	free(s->image);
	free(s->destinations);
	free_list(s->argv);
	free_list(s->env);
	value_free(s->metadata);
	free(s);
}
