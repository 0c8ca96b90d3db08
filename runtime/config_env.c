/* SPDX-License-Identifier: MIT */
/* config_env.c - settings from environment variables: SYMBI_NAME and SYMBIONT_NAME alike. L2; loop thread. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/suggest.h"
#include "runtime/config_i.h"

#define NAME_MAX_LEN 128

/* Variables with our prefix that are no settings: where keys are, what agents and tests are given. */
static const char *const others[] = {"KEY", "MASTER_KEY", "MASTER_KEY_FILE", "AGENT", "AGENT_ID",
				     "RUN", "LONG", "VM_IMAGE"};

/* NAME of "SYMBI_NAME=value" and "SYMBIONT_NAME=value"; NULL for any other variable. */
static const char *without_prefix(const char *variable)
{
	return strncmp(variable, "SYMBI_", 6) == 0      ? variable + 6
	       : strncmp(variable, "SYMBIONT_", 9) == 0 ? variable + 9
							: NULL;
}

/* Calls fn with each name of row i, without its prefix, or '=' and the whole name; true when fn said so. */
static bool any_name(size_t i, bool (*fn)(void *arg, const char *name), void *arg)
{
	char name[NAME_MAX_LEN];
	const char *p = config_items[i].env;
	for (size_t n; (n = strcspn(p, " ")) > 0; p += n, p += strspn(p, " ")) {
		snprintf(name, sizeof name, "%.*s", (int)n, p);
		if (fn(arg, name))
			return true;
	}
	size_t n = 0;
	for (p = config_items[i].key; *p && n + 1 < sizeof name; p++)
		name[n++] = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
	name[n] = 0;
	return fn(arg, name);
}

static bool is_name_of(const char *name, const char *variable)
{
	size_t n = strlen(name);
	return variable && strncmp(variable, name, n) == 0 && variable[n] == '=';
}

static bool name_matches(void *variable, const char *name)
{
	return *name == '=' ? is_name_of(name + 1, variable)
			    : is_name_of(name, without_prefix(variable));
}

static size_t find_variable(const char *variable)
{
	size_t i = 0;
	while (i < CONFIG_ITEMS && !any_name(i, name_matches, (void *)(uintptr_t)variable))
		i++;
	return i;
}

bool draft_env_concerns(const char *variable)
{
	return without_prefix(variable) || find_variable(variable) < CONFIG_ITEMS;
}

static bool name_near(void *near, const char *name)
{
	suggest_try(near, name + (*name == '='));
	return false;
}

static int warn_unknown(struct draft *d, const char *variable, struct err *e)
{
	const char *rest = without_prefix(variable);
	char name[NAME_MAX_LEN];
	struct suggest near;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (is_name_of(others[i], rest))
			return 0;
	snprintf(name, sizeof name, "%.*s", (int)strcspn(rest, "="), rest);
	suggest_init(&near, name);
	for (size_t i = 0; i < CONFIG_ITEMS; i++)
		any_name(i, name_near, &near);
	int prefix = (int)(rest - variable);
	const char *best = suggest_best(&near);
	return draft_warn(d,
			  strings_format("environment: '%.*s%s' is no setting%s%.*s%s%s", prefix,
					 variable, name, best ? "; did you mean '" : "",
					 best ? prefix : 0, variable, best ? best : "",
					 best ? "'?" : ""),
			  e);
}

static int put_variable(struct draft *d, const char *variable, struct err *e)
{
	struct setting n;
	const char *value = strchr(variable, '=');
	size_t i = find_variable(variable);
	if (!value || !value[1]) /* `SYMBI_X= command` unsets */
		return 0;
	if (i == CONFIG_ITEMS)
		return warn_unknown(d, variable, e);
	autofree char *origin = strings_format("environment %.*s", (int)(value - variable),
					       variable);
	int r = origin ? setting_from_text(i, value + 1, origin, 0, d->rank, &n, e)
		       : err_set(e, ERR_SYS_MEMORY, "no memory for the configuration");
	return r < 0 ? r : draft_put(d, i, &n, 0, e);
}

int draft_env(struct draft *d, char *const *envp, struct err *e)
{
	int r = 0;
	for (; r == 0 && *envp; envp++)
		r = put_variable(d, *envp, e);
	return r;
}
