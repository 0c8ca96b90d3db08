/* SPDX-License-Identifier: MIT */
/* agent_spec_keys.c - the keys of a spec: one row and one reader each. L2; any thread. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/suggest.h"
#include "runtime/agent_spec_i.h"

#define YEAR_MS (366ull * 86400000)

const char *const spec_restart_keys = "policy max_restarts window";
const char *const spec_limit_keys =
	"memory_mb cpu_cores disk_io_mbps network_io_mbps execution_timeout idle_timeout";
static const char capability_words[] = "FileSystem Network Database Computation Communication";

#define READER(name) static int name(struct spec_reader *r, struct value *v)

/* ---- who it is ---- */

READER(read_name)
{
	char open[64];
	const char *file = r->place->name;
	spec_open_word(r, v, open);
	int n = spec_text(r, v, "name", NAME_LEN_MAX, &r->s->name);
	if (n < 0)
		return n;
	const char *name = r->s->name;
	if (!name_ok(name, strlen(name))) {
		r->curable = !*name;
		return err_at(r->e, ERR_AGENT_NAME, v->line,
			      "line %u: name '%s' may hold letters, digits, '.', '_' and '-' only, and not "
			      "begin with '.' or '-'", v->line, name);
	}
	if (!file || strcmp(name, file) == 0)
		return 0;
	r->curable = open[0] && strncmp(file, open, strlen(open)) == 0;
	return err_at(r->e, ERR_AGENT_NAME, v->line, "line %u: the spec's name '%s' is not its file's, '%s'",
		      v->line, name, file);
}

/* Length of the beginning of s that a UUID could have. */
static size_t uuid_part(const char *s)
{
	size_t n = 0;
	while (n < 36 && s[n] &&
	       (n == 8 || n == 13 || n == 18 || n == 23 ? s[n] == '-' : isxdigit((unsigned char)s[n]) != 0))
		n++;
	return n;
}

READER(read_id)
{
	char open[64];
	spec_open_word(r, v, open);
	bool begun = open[0] && !open[uuid_part(open)];
	bool empty = spec_open_empty(r, v);
	int n = spec_text(r, v, "id", 1000, &r->s->id);
	if (n < 0) {
		r->curable = begun || empty;
		return n;
	}
	char *id = r->s->id;
	if (strlen(id) != 36 || uuid_part(id) != 36) {
		r->curable = begun || empty;
		return spec_wrong(r, v->line, "id '%.60s' is no UUID, like "
				  "123e4567-e89b-12d3-a456-426614174000", id);
	}
	for (; *id; id++)
		*id = (char)tolower((unsigned char)*id);
	return 0;
}

READER(read_metadata)
{
	int n = spec_is_map(r, v, "metadata", NULL);
	if (n < 0)
		return n;
	r->s->metadata = malloc(sizeof *v);
	if (!r->s->metadata)
		return spec_no_memory(r);
	*r->s->metadata = *v;
	v->type = VALUE_NULL; /* moved */
	return 0;
}

/* ---- when it runs ---- */

READER(read_interval)
{
	if (r->s->interval_ms)
		return spec_wrong(r, v->line, "'interval' stands twice, here and in execution_mode");
	return spec_duration(r, v, "interval", 1000, YEAR_MS, &r->s->interval_ms);
}

static int one_interval(struct spec_reader *r, struct value_member *m, size_t i)
{
	(void)i;
	return strcmp(m->key, "interval") == 0
		       ? read_interval(r, &m->value)
		       : spec_unknown(r, m, "execution_mode.scheduled", "interval");
}

/* {scheduled: {interval: 5m}} */
static int one_mode(struct spec_reader *r, struct value_member *m, size_t i)
{
	(void)i;
	if (!spec_same_word(m->key, "scheduled"))
		return spec_unknown(r, m, "execution_mode", "scheduled");
	r->s->mode = MODE_SCHEDULED;
	int n = spec_is_map(r, &m->value, "execution_mode.scheduled", "interval");
	return n < 0 ? n : spec_each_member(r, &m->value, one_interval);
}

READER(read_mode)
{
	int mode = 0, n;
	r->mode_given = true;
	if (v->type == VALUE_MAP)
		return spec_each_member(r, v, one_mode);
	n = spec_choice(r, v, "execution_mode", "persistent ephemeral scheduled event_driven external", &mode);
	if (n < 0) {
		r->curable |= spec_begins_key(r, v, "scheduled Scheduled");
		return n;
	}
	r->s->mode = (enum agent_mode)mode;
	if (r->s->mode == MODE_EXTERNAL)
		return spec_wrong(r, v->line, "execution_mode external is for programs that run elsewhere and "
				  "report by heartbeats, which this build does not take");
	return 0;
}

READER(read_topic)
{
	bool empty = spec_open_empty(r, v);
	int n = spec_text(r, v, "topic", AGENT_TOPIC_MAX, &r->s->topic);
	if (n < 0)
		return n;
	const char *t = r->s->topic;
	size_t ok = strspn(t, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
	if (*t && (!t[ok] || (t[ok] == '*' && !t[ok + 1])))
		return 0;
	r->curable = empty;
	return spec_wrong(r, v->line, "topic '%s' is no event's type like agent.failed, or its beginning and "
			  "'*'", t);
}

static int restart_member(struct spec_reader *r, struct value_member *m, size_t i)
{
	(void)i;
	struct agent_spec *s = r->s;
	char text[64];
	uint64_t most = 0;
	int policy = 0, n;
	if (strcmp(m->key, "policy") == 0) {
		n = spec_choice(r, &m->value, "restart.policy", "never on-failure always", &policy);
		if (n == 0)
			s->restart.policy = (enum restart_policy)policy;
		return n;
	}
	if (strcmp(m->key, "window") == 0)
		return spec_duration(r, &m->value, "restart.window", 1, 86400000, &s->restart.window_ms);
	if (strcmp(m->key, "max_restarts") != 0)
		return spec_unknown(r, m, "restart", spec_restart_keys);
	n = spec_number(r, &m->value, "restart.max_restarts", text);
	if (n < 0)
		return n;
	if (parse_u64(text, 0, 1000000, &most, r->e) < 0)
		return spec_bad_number(r, &m->value, "restart.max_restarts");
	s->restart.max_restarts = (unsigned)most;
	return 0;
}

READER(read_restart)
{
	int policy = 0, n;
	r->restart_given = true;
	r->s->restart.policy = RESTART_ON_FAILURE;
	if (v->type == VALUE_MAP)
		return spec_each_member(r, v, restart_member);
	n = spec_choice(r, v, "restart", "never on-failure always", &policy);
	if (n < 0)
		r->curable |= spec_begins_key(r, v, spec_restart_keys);
	else
		r->s->restart.policy = (enum restart_policy)policy;
	return n;
}

/* ---- what it may ---- */

READER(read_tier)
{
	int tier = 0, n = spec_choice(r, v, "tier", "None Tier1 Tier2 Tier3", &tier);
	if (n < 0)
		return n;
	r->s->tier = (enum sandbox_tier)tier;
	r->s->tier_given = true;
	return 0;
}

READER(read_degraded)
{
	char open[64];
	if (v->type == VALUE_BOOL) {
		r->s->allow_degraded = v->boolean;
		return 0;
	}
	spec_open_word(r, v, open);
	int n = spec_wrong_type(r, v, "allow_degraded", "true or false");
	r->curable |= open[0] && spec_begins_word(open, "true false");
	return n;
}

READER(read_profile)
{
	bool empty = spec_open_empty(r, v);
	int n = spec_text(r, v, "sandbox_profile", NAME_LEN_MAX, &r->s->profile);
	if (n < 0 || name_ok(r->s->profile, strlen(r->s->profile)))
		return n;
	r->curable = empty;
	return spec_wrong(r, v->line, "sandbox_profile '%s' is no name of a profile", r->s->profile);
}

/* As engines name them: registry, path, tag or digest. */
READER(read_image)
{
	static const char in_names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@";
	bool empty = spec_open_empty(r, v);
	int n = spec_text(r, v, "sandbox_image", SPEC_IMAGE_MAX, &r->s->image);
	const char *name = n < 0 ? NULL : r->s->image;
	if (n < 0 || (*name && name[strspn(name, in_names)] == 0 && !strstr(name, "..") && strchr("-./:@", *name) == NULL))
		return n;
	r->curable = empty;
	return spec_wrong(r, v->line, "sandbox_image '%s' is no name of an image", name);
}

READER(read_priority)
{
	int p = 0, n = spec_choice(r, v, "priority", "Low Normal High Critical", &p);
	if (n == 0)
		r->s->priority = (enum agent_priority)p;
	return n;
}

static int limit(struct spec_reader *r, struct value_member *m, size_t i)
{
	(void)i;
	char text[64], key[100];
	int known = 0;
	while (agent_limit_keys[known] && strcmp(agent_limit_keys[known], m->key) != 0)
		known++;
	if (!agent_limit_keys[known])
		return spec_unknown(r, m, "resource_limits", spec_limit_keys);
	snprintf(key, sizeof key, "resource_limits.%s", m->key);
	if (strcmp(m->key, "idle_timeout") == 0)
		r->s->idle_timeout_given = true;
	int n = spec_number(r, &m->value, key, text);
	if (n < 0)
		return n;
	return agent_limit_set(&r->s->limits, m->key, text, r->e) < 0 ? spec_bad_number(r, &m->value, key) : 0;
}

READER(read_limits)
{
	int n = spec_is_map(r, v, "resource_limits", spec_limit_keys);
	return n < 0 ? n : spec_each_member(r, v, limit);
}

/* A list that strings are moved into; the values of v are counted against its cap first. */
static int new_list(struct spec_reader *r, const struct value *v, const char *key, size_t most, char ***ret)
{
	if (v->type != VALUE_LIST)
		return spec_wrong_type(r, v, key, "a list of strings");
	if (v->list.n > most)
		return spec_wrong(r, v->line, "'%s' has more than %zu items", key, most);
	*ret = calloc(v->list.n + 1, sizeof **ret);
	return *ret ? 0 : spec_no_memory(r);
}

static int take_word(struct spec_reader *r, struct value *v, const char *key, char **ret)
{
	bool empty = spec_open_empty(r, v);
	int n = spec_text(r, v, key, AGENT_WORD_LEN_MAX, ret);
	if (n < 0)
		return n;
	size_t ok = strspn(*ret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@-");
	if (**ret && !(*ret)[ok])
		return 0;
	r->curable = empty;
	return spec_wrong(r, v->line, "'%s': '%s' is no word of letters, digits and . _ : / @ -", key, *ret);
}

/* One of the known capabilities in its spelling; anything else is the user's own, unless it looks like one of the
 * known misspelt: then only {Custom: word} says so. */
static int capability(struct spec_reader *r, struct value *v, size_t i)
{
	char **ret = &r->s->capabilities[i], known[32];
	struct suggest near;
	if (v->type == VALUE_MAP && v->map.n == 1 && spec_same_word(v->map.members[0].key, "Custom"))
		return take_word(r, &v->map.members[0].value, "capabilities", ret);
	if (v->type == VALUE_MAP) {
		r->curable = spec_open_indicator(r, v);
		return spec_wrong(r, v->line, "a capability is a word or {Custom: word}");
	}
	bool open = spec_open_line(r, v);
	int n = take_word(r, v, "capabilities", ret);
	if (n < 0)
		return n;
	suggest_init(&near, *ret);
	for (const char *w = capability_words; *w; w += strcspn(w, " "), w += strspn(w, " ")) {
		snprintf(known, sizeof known, "%.*s", (int)strcspn(w, " "), w);
		if (spec_same_word(*ret, known)) {
			free(*ret);
			*ret = strdup(known);
			return *ret ? 0 : spec_no_memory(r);
		}
		suggest_try(&near, known);
	}
	if (!suggest_best(&near))
		return 0;
	r->curable = open;
	return spec_wrong(r, v->line, "'%s' is no capability%s one of your own is written {Custom: %s}; known: %s",
			  *ret, suggest_text(&near), *ret, capability_words);
}

READER(read_capabilities)
{
	int n = new_list(r, v, "capabilities", AGENT_WORDS_MAX, &r->s->capabilities);
	return n < 0 ? n : spec_each_item(r, v, capability);
}

static int policy(struct spec_reader *r, struct value *v, size_t i)
{
	return take_word(r, v, "policies", &r->s->policies[i]);
}

READER(read_policies)
{
	int n = new_list(r, v, "policies", AGENT_WORDS_MAX, &r->s->policies);
	return n < 0 ? n : spec_each_item(r, v, policy);
}

/* ---- what it runs ---- */

/* Numbers that are written as they are read need no quotes: [sleep, 60]. 1.10 would become 1.1. */
static int take_argument(struct spec_reader *r, struct value *v, const char *key, char **ret)
{
	if (v->type == VALUE_INT)
		return asprintf(ret, "%lld", (long long)v->integer) < 0 ? (*ret = NULL, spec_no_memory(r)) : 0;
	if (v->type != VALUE_REAL && v->type != VALUE_BOOL)
		return spec_text(r, v, key, AGENT_ARG_MAX, ret);
	r->curable = spec_open_line(r, v);
	return spec_wrong(r, v->line, "'%s': write a %s in quotes, so that it stays as it is", key,
			  value_type_name(v->type));
}

static int argument(struct spec_reader *r, struct value *v, size_t i)
{
	bool empty = spec_open_empty(r, v);
	int n = take_argument(r, v, "command", &r->s->argv[i]);
	if (n < 0 || i > 0 || *r->s->argv[0])
		return n;
	r->curable = empty;
	return spec_wrong(r, v->line, "'command' begins with the program, not with an empty word");
}

READER(read_command)
{
	if (v->type != VALUE_LIST)
		return spec_wrong_type(r, v, "command", "a list: the program and its arguments");
	if (v->list.n == 0)
		return spec_wrong(r, v->line, "'command' is empty: it lists the program and its arguments");
	int n = new_list(r, v, "command", AGENT_ARGS_MAX, &r->s->argv);
	return n < 0 ? n : spec_each_item(r, v, argument);
}

READER(read_runtime)
{
	int i = 0, n = spec_choice(r, v, "runtime", spec_runtime_words, &i);
	if (n < 0)
		return n;
	r->s->runtime = strdup(spec_runtimes[i].name);
	return r->s->runtime ? 0 : spec_no_memory(r);
}

READER(read_code)
{
	bool empty = spec_open_empty(r, v);
	int n = spec_text(r, v, "code", VALUE_TEXT_MAX, &r->s->code);
	if (n < 0 || *r->s->code)
		return n;
	r->curable = empty;
	return spec_wrong(r, v->line, "'code' is empty");
}

READER(read_workdir)
{
	bool empty = spec_open_empty(r, v);
	int n = spec_text(r, v, "workdir", AGENT_PATH_MAX, &r->s->workdir);
	if (n < 0 || r->s->workdir[0] == '/')
		return n;
	r->curable = empty;
	return spec_wrong(r, v->line, "'workdir' must be an absolute path");
}

static bool variable_ok(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
	return n && !name[n] && !isdigit((unsigned char)name[0]);
}

static int variable(struct spec_reader *r, struct value_member *m, size_t i)
{
	if (!variable_ok(m->key))
		return spec_wrong(r, m->line, "'%.100s' is no variable's name: letters, digits and '_'", m->key);
	if (strncmp(m->key, "SYMBI_", 6) == 0)
		return spec_wrong(r, m->line, "variable '%.100s': names with SYMBI_ are given by the daemon", m->key);
	char *value = NULL;
	int n = take_argument(r, &m->value, m->key, &value);
	if (n == 0 && asprintf(&r->s->env[i], "%s=%s", m->key, value) < 0) {
		r->s->env[i] = NULL;
		n = spec_no_memory(r);
	}
	free(value);
	if (n == 0 && strlen(r->s->env[i]) > AGENT_ARG_MAX)
		n = spec_wrong(r, m->line, "variable '%.100s' has more than %d bytes", m->key, AGENT_ARG_MAX);
	return n;
}

READER(read_env)
{
	int n = spec_is_map(r, v, "env", NULL);
	if (n < 0)
		return n;
	if (v->map.n > AGENT_ENV_MAX)
		return spec_wrong(r, v->line, "'env' has more than %d variables", AGENT_ENV_MAX);
	r->s->env = calloc(v->map.n + 1, sizeof *r->s->env);
	return r->s->env ? spec_each_member(r, v, variable) : spec_no_memory(r);
}

static int later(struct spec_reader *r, const struct value *v, const char *what)
{
	return spec_wrong(r, v->line, "%s cannot be run by this build; use command, or runtime and code", what);
}

READER(read_model)
{
	return later(r, v, "an agent made of a model");
}

READER(read_dsl)
{
	return later(r, v, "an agent made of DSL source");
}

const struct spec_key spec_keys[] = {
	{"name", read_name, NULL},
	{"id", read_id, NULL},
	{"execution_mode", read_mode, NULL},
	{"interval", read_interval, NULL},
	{"topic", read_topic, NULL},
	{"restart", read_restart, "policy max_restarts window"},
	{"security_tier", read_tier, NULL},
	{"tier", read_tier, NULL},
	{"allow_degraded", read_degraded, NULL},
	{"sandbox_profile", read_profile, NULL},
	{"sandbox_driver", spec_read_driver, NULL},
	{"sandbox_image", read_image, NULL},
	{"network", spec_read_network, "access_mode allowed_destinations"},
	{"resource_limits", read_limits,
	 "memory_mb cpu_cores disk_io_mbps network_io_mbps execution_timeout idle_timeout"},
	{"capabilities", read_capabilities, NULL},
	{"policies", read_policies, NULL},
	{"priority", read_priority, NULL},
	{"metadata", read_metadata, NULL},
	{"command", read_command, NULL},
	{"runtime", read_runtime, NULL},
	{"code", read_code, NULL},
	{"env", read_env, NULL},
	{"workdir", read_workdir, NULL},
	{"model", read_model, NULL},
	{"system_prompt", read_model, NULL},
	{"tools", read_model, NULL},
	{"dsl", read_dsl, NULL},
	{"dsl_source", read_dsl, NULL},
	{"source", read_dsl, NULL},
	{NULL, NULL, NULL},
};
