/* SPDX-License-Identifier: MIT */
/* spec.c - tiers, drivers, and the checks on a spec before anything starts. L1. */
#include "sandbox/spec.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"

static const char *const tier_names[] = {"None", "Tier1", "Tier2", "Tier3"};

const char *sandbox_tier_name(enum sandbox_tier t)
{
	return tier_names[t];
}

int sandbox_tier_parse(const char *s, enum sandbox_tier *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(tier_names); i++)
		if (strcasecmp(s, tier_names[i]) == 0) {
			*ret = (enum sandbox_tier)i;
			return 0;
		}
	return -EINVAL;
}

static int native_available(struct err *e)
{
	(void)e;
	return 0;
}

static const struct sandbox_driver native = {
	.name = "native",
	.tier = TIER_NONE,
	.doc = "no wall: allow-list, limits, working directory, clean environment",
	.available = native_available,
};
const struct sandbox_driver *const sandbox_drivers[] = {&native, NULL};

int sandbox_tier_available(enum sandbox_tier tier, struct err *e)
{
	int r = err_set(e, ERR_SEC_TIER,
			"tier '%s' cannot be had: this build has no driver for it; `tier: None` runs "
			"without a wall where security.allow_native_execution permits it",
			sandbox_tier_name(tier));
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++)
		if ((*d)->tier == tier && (r = (*d)->available(e)) == 0)
			return 0;
	return r;
}

static const char *env_path(const struct sandbox_spec *s)
{
	for (const char *const *p = s->envp; p && *p; p++)
		if (strncmp(*p, "PATH=", 5) == 0)
			return *p + 5;
	return "/usr/local/bin:/usr/bin:/bin";
}

/* The file that NAME means: as it is when it holds a slash, else found in path. Resolved. */
static bool resolve(const char *name, const char *path, char out[PATH_MAX])
{
	struct stat st;
	char dirs[4096], full[PATH_MAX];
	if (strchr(name, '/'))
		return realpath(name, out) && stat(out, &st) == 0 && S_ISREG(st.st_mode);
	snprintf(dirs, sizeof dirs, "%s", path);
	char *save = NULL;
	for (char *d = strtok_r(dirs, ":", &save); d; d = strtok_r(NULL, ":", &save)) {
		snprintf(full, sizeof full, "%s/%s", d, name);
		if (realpath(full, out) && access(out, X_OK) == 0 && stat(out, &st) == 0 &&
		    S_ISREG(st.st_mode))
			return true;
	}
	return false;
}

int sandbox_spec_check(enum sandbox_tier tier, const struct sandbox_spec *s, char program[PATH_MAX],
		       struct err *e)
{
	char allowed[PATH_MAX];
	int r = sandbox_tier_available(tier, e);
	if (r < 0)
		return r;
	if (!s->argv || !s->argv[0] || !*s->argv[0])
		return err_set(e, ERR_SPAWN_FAILED, "there is no program to run");
	if (!resolve(s->argv[0], env_path(s), program))
		return err_sys(e, ERR_SPAWN_FAILED, ENOENT, "program '%s'", s->argv[0]);
	for (const char *const *a = s->allow; a && *a; a++)
		if (resolve(*a, env_path(s), allowed) && strcmp(allowed, program) == 0)
			return 0;
	if (!s->allow)
		return 0;
	return err_set(e, ERR_SEC_VIOLATION,
		       "'%s' is not in native_execution.allowed_executables", program);
}
