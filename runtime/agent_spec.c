/* SPDX-License-Identifier: MIT */
/* agent_spec.c - an agent's specification: one table of keys, each with its reader. L2; any thread. */
#include "runtime/agent_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/mem.h"
#include "lib/parse.h"

const char *agent_mode_name(enum agent_mode m)
{
	static const char *const names[] = {"persistent", "ephemeral", "scheduled", "event_driven",
					    "external"};
	return names[m];
}

const char *agent_priority_name(enum agent_priority p)
{
	static const char *const names[] = {"Low", "Normal", "High", "Critical"};
	return names[p];
}

/* ---- small readers ---- */

static int bad(struct err *e, const struct value *v, const char *key, const char *want)
{
	return err_at(e, ERR_AGENT_SPEC, v->line, "line %u: '%s' must be %s, not a %s", v->line, key,
		      want, value_type_name(v->type));
}

/* The scalar as text; numbers too, as the user may leave out quotes. */
static int scalar(const struct value *v, const char *key, const char *want, char out[static 64],
		  struct err *e)
{
	if (v->type == VALUE_STRING && v->string.len < 64)
		memcpy(out, v->string.data, v->string.len + 1);
	else if (v->type == VALUE_INT)
		snprintf(out, 64, "%lld", (long long)v->integer);
	else if (v->type == VALUE_REAL)
		snprintf(out, 64, "%.17g", v->real);
	else if (v->type == VALUE_BOOL)
		snprintf(out, 64, "%s", v->boolean ? "true" : "false");
	else
		return bad(e, v, key, want);
	return 0;
}

/* Put the line and key in front of a parse_* failure. */
static int located(struct err *e, const struct value *v, const char *key)
{
	int r = err_wrap(e, "line %u: '%s'", v->line, key);
	if (e) {
		e->code = ERR_AGENT_SPEC;
		e->line = v->line;
	}
	return r < 0 ? r : -EINVAL;
}

static int text(const struct value *v, const char *key, char **ret, struct err *e)
{
	if (v->type != VALUE_STRING)
		return bad(e, v, key, "a string");
	free(*ret);
	*ret = strdup(v->string.data);
	return *ret ? 0 : err_set(e, ERR_SYS_MEMORY, "no memory for the spec");
}

static int choice(const struct value *v, const char *key, const char *const *names, size_t n,
		  int *ret, struct err *e)
{
	char word[64], all[200] = "";
	int r = scalar(v, key, "a word", word, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(word, names[i]) == 0) {
			*ret = (int)i;
			return 0;
		}
		size_t len = strlen(all);
		snprintf(all + len, sizeof all - len, "%s%s", i ? ", " : "", names[i]);
	}
	return err_at(e, ERR_AGENT_SPEC, v->line, "line %u: '%s' is not a %s; one of %s", v->line,
		      word, key, all);
}

static int strings(const struct value *v, const char *key, char ***ret, struct err *e)
{
	if (v->type != VALUE_LIST)
		return bad(e, v, key, "a list of strings");
	char **list = calloc(v->list.n + 1, sizeof *list);
	for (size_t i = 0; list && i < v->list.n; i++) {
		char word[64];
		const struct value *item = &v->list.items[i];
		int r = 0;
		if (item->type == VALUE_STRING)
			r = text(item, key, &list[i], e);
		else if ((r = scalar(item, key, "a list of strings", word, e)) == 0)
			list[i] = strdup(word);
		if (r < 0) {
			while (i)
				free(list[--i]);
			free(list);
			return r;
		}
	}
	*ret = list;
	return list ? 0 : err_set(e, ERR_SYS_MEMORY, "no memory for the spec");
}

/* ---- keys ---- */

#define READER(name) static int name(struct agent_spec *s, const struct value *v, struct err *e)

READER(read_name)
{
	int r = text(v, "name", &s->name, e);
	if (r == 0 && !name_ok(s->name, strlen(s->name)))
		r = err_at(e, ERR_AGENT_NAME, v->line,
			   "line %u: name '%s' may hold letters, digits, '.', '_' and '-' only",
			   v->line, s->name);
	return r;
}

READER(read_id)
{
	return text(v, "id", &s->id, e);
}

READER(read_interval)
{
	char word[64];
	int r = scalar(v, "interval", "a duration", word, e);
	if (r == 0 && parse_duration_ms(word, 1000, 366ull * 86400000, &s->interval_ms, e) < 0)
		r = located(e, v, "interval");
	return r;
}

READER(read_mode)
{
	static const char *const names[] = {"persistent", "ephemeral", "scheduled", "event_driven",
					    "external", "EventDriven"};
	int m = 0, r;
	const struct value *scheduled = value_get(v, "scheduled");
	if (scheduled && v->map.n == 1 && value_get(scheduled, "interval")) {
		s->mode = MODE_SCHEDULED;
		return read_interval(s, value_get(scheduled, "interval"), e);
	}
	r = choice(v, "execution_mode", names, ARRAY_LEN(names), &m, e);
	if (r == 0)
		s->mode = m == 5 ? MODE_EVENT_DRIVEN : (enum agent_mode)m;
	if (r == 0 && s->mode == MODE_EXTERNAL)
		r = err_at(e, ERR_AGENT_SPEC, v->line,
			   "line %u: execution_mode external is not served by this build", v->line);
	return r;
}

READER(read_tier)
{
	static const char *const names[] = {"None", "Tier1", "Tier2", "Tier3"};
	int t = 0, r;
	if (v->type == VALUE_NULL) /* `tier: null` and `tier:` are no choice */
		return bad(e, v, "tier", "one of None, Tier1, Tier2, Tier3");
	r = choice(v, "tier", names, ARRAY_LEN(names), &t, e);
	s->tier = (enum sandbox_tier)t;
	s->tier_given = true;
	return r;
}

READER(read_priority)
{
	static const char *const names[] = {"Low", "Normal", "High", "Critical"};
	int p = PRIORITY_NORMAL, r = choice(v, "priority", names, ARRAY_LEN(names), &p, e);
	s->priority = (enum agent_priority)p;
	return r;
}

READER(read_capabilities)
{
	return strings(v, "capabilities", &s->capabilities, e);
}

READER(read_policies)
{
	return strings(v, "policies", &s->policies, e);
}

READER(read_metadata)
{
	(void)s; /* free-form; it stays in the text */
	return v->type == VALUE_MAP ? 0 : bad(e, v, "metadata", "a map");
}

READER(read_limits)
{
	if (v->type != VALUE_MAP)
		return bad(e, v, "resource_limits", "a map");
	for (size_t i = 0; i < v->map.n; i++) {
		const struct value_member *m = &v->map.members[i];
		char word[64];
		int r = scalar(&m->value, m->key, "a number", word, e);
		if (r < 0)
			return r;
		if (strcmp(m->key, "idle_timeout") == 0)
			s->idle_timeout_given = true;
		if (agent_limit_set(&s->limits, m->key, word, e) < 0)
			return located(e, &m->value, "resource_limits");
	}
	return 0;
}

READER(read_restart)
{
	static const char *const names[] = {"never", "on-failure", "always"};
	int p = 0, r = 0;
	if (v->type == VALUE_STRING) {
		r = choice(v, "restart", names, 3, &p, e);
		s->restart.policy = (enum restart_policy)p;
		return r;
	}
	if (v->type != VALUE_MAP)
		return bad(e, v, "restart", "a map");
	for (size_t i = 0; r == 0 && i < v->map.n; i++) {
		const struct value_member *m = &v->map.members[i];
		char word[64];
		uint64_t n;
		if ((r = scalar(&m->value, m->key, "a word", word, e)) < 0)
			return r;
		if (strcmp(m->key, "policy") == 0) {
			r = choice(&m->value, "restart.policy", names, 3, &p, e);
			s->restart.policy = (enum restart_policy)p;
		} else if (strcmp(m->key, "max_restarts") == 0) {
			r = parse_u64(word, 0, 1000000, &n, e);
			s->restart.max_restarts = (unsigned)n;
		} else if (strcmp(m->key, "window") == 0) {
			r = parse_duration_ms(word, 1, 86400000, &s->restart.window_ms, e);
		} else {
			return err_at(e, ERR_AGENT_SPEC, m->line,
				      "line %u: unknown key 'restart.%s'; known: policy, "
				      "max_restarts, window", m->line, m->key);
		}
		if (r < 0 && e && e->line == 0)
			return located(e, &m->value, m->key);
	}
	return r;
}

READER(read_command)
{
	if (v->type != VALUE_LIST || v->list.n == 0)
		return bad(e, v, "command", "a list: the program and its arguments");
	return strings(v, "command", &s->argv, e);
}

READER(read_runtime)
{
	return text(v, "runtime", &s->runtime, e);
}

READER(read_code)
{
	return text(v, "code", &s->code, e);
}

READER(read_workdir)
{
	int r = text(v, "workdir", &s->workdir, e);
	if (r == 0 && s->workdir[0] != '/')
		r = err_at(e, ERR_AGENT_SPEC, v->line, "line %u: 'workdir' must be an absolute path",
			   v->line);
	return r;
}

READER(read_topic)
{
	return text(v, "topic", &s->topic, e);
}

READER(read_env)
{
	if (v->type != VALUE_MAP)
		return bad(e, v, "env", "a map");
	s->env = calloc(v->map.n + 1, sizeof *s->env);
	for (size_t i = 0; s->env && i < v->map.n; i++) {
		const struct value_member *m = &v->map.members[i];
		char word[64];
		const char *val = m->value.type == VALUE_STRING ? m->value.string.data : word;
		int r = val == word ? scalar(&m->value, m->key, "a string", word, e) : 0;
		if (r < 0)
			return r;
		if (!*m->key || strchr(m->key, '='))
			return err_at(e, ERR_AGENT_SPEC, m->line,
				      "line %u: '%s' is not a variable's name", m->line, m->key);
		if (asprintf(&s->env[i], "%s=%s", m->key, val) < 0)
			return err_set(e, ERR_SYS_MEMORY, "no memory for the spec");
	}
	return s->env ? 0 : err_set(e, ERR_SYS_MEMORY, "no memory for the spec");
}

READER(read_later)
{
	(void)s;
	return err_at(e, ERR_AGENT_SPEC, v->line,
		      "line %u: agents made of a model or of DSL source do not run in this build; "
		      "use command, or runtime and code", v->line);
}

static const struct {
	const char *key;
	int (*read)(struct agent_spec *s, const struct value *v, struct err *e);
} keys[] = {
	{"name", read_name},
	{"id", read_id},
	{"execution_mode", read_mode},
	{"security_tier", read_tier},
	{"tier", read_tier},
	{"resource_limits", read_limits},
	{"capabilities", read_capabilities},
	{"policies", read_policies},
	{"metadata", read_metadata},
	{"priority", read_priority},
	{"restart", read_restart},
	{"command", read_command},
	{"runtime", read_runtime},
	{"code", read_code},
	{"env", read_env},
	{"workdir", read_workdir},
	{"interval", read_interval},
	{"topic", read_topic},
	{"model", read_later},
	{"system_prompt", read_later},
	{"tools", read_later},
	{"dsl", read_later},
	{"dsl_source", read_later},
	{"source", read_later},
};

/* ---- the whole ---- */

static int unknown_key(const struct value_member *m, struct err *e)
{
	char all[300] = "";
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		size_t n = strlen(all);
		if (keys[i].read != read_later)
			snprintf(all + n, sizeof all - n, "%s%s", n ? ", " : "", keys[i].key);
	}
	return err_at(e, ERR_AGENT_SPEC, m->line, "line %u: unknown key '%s'; known: %s", m->line,
		      m->key, all);
}

static int read_member(struct agent_spec *s, const struct value_member *m, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(keys[i].key, m->key) == 0)
			return keys[i].read(s, &m->value, e);
	return unknown_key(m, e);
}

static const struct {
	const char *name, *program, *flag;
} runtimes[] = {
	{"python3", "python3", "-c"}, {"python", "python3", "-c"}, {"node", "node", "-e"},
	{"bash", "bash", "-c"},	      {"sh", "sh", "-c"},	   {"perl", "perl", "-e"},
	{"ruby", "ruby", "-e"},
};

static int make_argv(struct agent_spec *s, struct err *e)
{
	if (s->argv && !s->runtime && !s->code)
		return 0;
	if (s->argv || !s->runtime || !s->code)
		return err_set(e, ERR_AGENT_SPEC,
			       "a spec says what to run either by 'command' or by 'runtime' and "
			       "'code'");
	for (size_t i = 0; i < ARRAY_LEN(runtimes); i++) {
		if (strcmp(runtimes[i].name, s->runtime) != 0)
			continue;
		s->argv = calloc(4, sizeof *s->argv);
		if (!s->argv)
			return err_set(e, ERR_SYS_MEMORY, "no memory for the spec");
		s->argv[0] = strdup(runtimes[i].program);
		s->argv[1] = strdup(runtimes[i].flag);
		s->argv[2] = strdup(s->code);
		return 0;
	}
	return err_set(e, ERR_AGENT_SPEC,
		       "runtime '%s' is not known; one of python3, node, bash, sh, perl, ruby",
		       s->runtime);
}

static int check_whole(struct agent_spec *s, struct err *e)
{
	if (s->mode == MODE_SCHEDULED && !s->interval_ms)
		return err_set(e, ERR_AGENT_SPEC, "a scheduled agent needs 'interval', like 5m");
	if (s->mode == MODE_EVENT_DRIVEN && !s->topic)
		return err_set(e, ERR_AGENT_SPEC,
			       "an event_driven agent needs 'topic', an event's type like agent.failed");
	return make_argv(s, e);
}

int agent_spec_parse(enum value_format f, const char *data, size_t len,
		     enum sandbox_tier default_tier, struct agent_spec **ret, bool *unfinished,
		     struct err *e)
{
	struct value *v = NULL;
	bool more = false;
	int r = value_parse(f, data, len, &v, &more, e);
	if (unfinished)
		*unfinished = more;
	if (r < 0)
		return r;
	struct agent_spec *s = calloc(1, sizeof *s);
	if (!s) {
		value_free(v);
		return err_set(e, ERR_SYS_MEMORY, "no memory for the spec");
	}
	s->mode = MODE_EPHEMERAL;
	s->tier = default_tier;
	s->priority = PRIORITY_NORMAL;
	s->limits = (struct agent_limits){512, 1.0, 100, 100, 3600000, 300000};
	s->restart.policy = RESTART_ON_FAILURE;
	s->restart.max_restarts = 3;
	s->restart.window_ms = 60000;
	if (v->type != VALUE_MAP) {
		/* One word may be the beginning of a key. */
		more = v->type == VALUE_STRING && f == VALUE_YAML && !memchr(data, '\n', len);
		r = err_at(e, ERR_AGENT_SPEC, 1, "a spec is a map of keys, not a %s",
			   value_type_name(v->type));
		if (unfinished)
			*unfinished = more;
	}
	for (size_t i = 0; r == 0 && i < v->map.n; i++) {
		/* The last line of a text that is still being written may be half a word. */
		bool last = i + 1 == v->map.n && len && data[len - 1] != '\n' && f != VALUE_JSON;
		r = read_member(s, &v->map.members[i], e);
		if (r < 0 && unfinished)
			*unfinished = last;
	}
	if (r == 0 && (r = check_whole(s, e)) < 0 && unfinished)
		*unfinished = f != VALUE_JSON; /* more keys may follow */
	value_free(v);
	if (r < 0)
		agent_spec_free(s);
	else
		*ret = s;
	return r;
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
	free_list(s->argv);
	free_list(s->env);
	value_free(s->metadata);
	free(s);
}
