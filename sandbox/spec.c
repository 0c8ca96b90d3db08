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
#include "sandbox/box.h"
#include "sandbox/full.h"
#include "sandbox/net_rules.h"
#include "sandbox/oci.h"
#include "sandbox/vm.h"

#define SYSTEM_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

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

static const char *const network_names[NETWORKS] = {"None", "Restricted", "Full"};

const char *sandbox_network_name(enum sandbox_network n)
{
	return network_names[n];
}

int sandbox_network_parse(const char *s, enum sandbox_network *ret)
{
	for (size_t i = 0; i < NETWORKS; i++)
		if (strcmp(s, network_names[i]) == 0) {
			*ret = (enum sandbox_network)i;
			return 0;
		}
	return -EINVAL;
}

/* Programs differ in which of them they heed. What is inside is not asked of the proxy. */
const char *const sandbox_proxy_env[] = {
	"http_proxy=" SANDBOX_PROXY,	"https_proxy=" SANDBOX_PROXY,	"all_proxy=" SANDBOX_PROXY,
	"no_proxy=localhost,127.0.0.1,::1", "HTTP_PROXY=" SANDBOX_PROXY, "HTTPS_PROXY=" SANDBOX_PROXY,
	"ALL_PROXY=" SANDBOX_PROXY,	"NO_PROXY=localhost,127.0.0.1,::1", NULL};

static int native_available(struct sandbox_layers *ret, struct err *e)
{
	(void)e;
	*ret = (struct sandbox_layers){.active = LAYER_BIT(LAYER_NO_NEW_PRIVS)};
	return 0;
}

static const struct sandbox_driver native = {
	.name = "native",
	.tier = TIER_NONE,
	.networks = 1u << NETWORK_NONE, /* of no meaning: it has the machine's */
	.doc = "no wall: allow-list, limits, working directory, clean environment",
	.available = native_available,
};

static const struct sandbox_driver proc = {
	.name = "proc",
	.tier = TIER_1,
	.networks = 1u << NETWORK_NONE | 1u << NETWORK_RESTRICTED | 1u << NETWORK_FULL,
	.doc = "namespaces, a root of its own, seccomp, Landlock, no network but what is asked for, never root",
	.available = box_available,
};
const struct sandbox_driver *const sandbox_drivers[] = {&native, &proc, &oci_crun, &oci_runc, &oci_docker, &oci_podman, &oci_runsc, &vm_qemu,
							NULL};

_Static_assert(ARRAY_LEN(sandbox_drivers) == SANDBOX_DRIVERS + 1, "each driver has a number");

uint32_t sandbox_driver_number(const struct sandbox_driver *d)
{
	uint32_t n = 0;
	while (sandbox_drivers[n] != d)
		n++;
	return n;
}

void sandbox_drivers_try(void)
{
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++)
		(*d)->available(&(struct sandbox_layers){0}, &(struct err){0});
}

/* Can it run here? */
static int usable(const struct sandbox_driver *d, bool degraded, struct err *e)
{
	struct sandbox_layers l = {0};
	int r = d->available(&l, e);
	return r < 0 || degraded ? r : sandbox_layers_whole(&l, e);
}

int sandbox_driver_find(enum sandbox_tier tier, const char *name, bool degraded,
			const struct sandbox_driver **ret, struct err *e)
{
	int r = 0;
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++) {
		struct err why = {0};
		if ((*d)->tier != tier || (name ? strcmp((*d)->name, name) != 0 : (*d)->by_name))
			continue;
		if (usable(*d, degraded, &why) == 0) {
			if (ret)
				*ret = *d;
			return 0;
		}
		r = err_set(e, ERR_SEC_TIER, "tier '%s' cannot be had: %s", sandbox_tier_name(tier),
			    why.msg);
	}
	if (r < 0)
		return r;
	if (name)
		return err_set(e, ERR_SEC_TIER, "tier '%s' has no driver '%s'",
			       sandbox_tier_name(tier), name);
	return err_set(
		e, ERR_SEC_TIER,
		"tier '%s' cannot be had: this build has no driver for it; `tier: None` runs "
		"without a wall where security.allow_native_execution permits it",
		sandbox_tier_name(tier));
}

int sandbox_tier_available(enum sandbox_tier tier, bool degraded, struct err *e)
{
	return sandbox_driver_find(tier, NULL, degraded, NULL, e);
}

static const char *env_path(const struct sandbox_spec *s)
{
	for (const char *const *p = s->envp; p && *p; p++)
		if (strncmp(*p, "PATH=", 5) == 0)
			return *p + 5;
	return SYSTEM_PATH;
}

/* The file that NAME means: as it is when it holds a slash, else found in path. Resolved, a file, and one
 * that somebody may execute. 0 or -errno. */
static int resolve(const char *name, const char *path, char out[PATH_MAX])
{
	struct stat st;
	char full[PATH_MAX];
	int r = -ENOENT;
	if (strchr(name, '/')) {
		if (!realpath(name, out) || stat(out, &st) < 0)
			return -errno;
		if (!S_ISREG(st.st_mode))
			return S_ISDIR(st.st_mode) ? -EISDIR : -EACCES;
		return st.st_mode & 0111 ? 0 : -EACCES;
	}
	for (const char *p = path; p; p = strchr(p, ':') ? strchr(p, ':') + 1 : NULL) {
		int len = (int)strcspn(p, ":");
		if (*p != '/' || /* a relative or empty part would depend on where the daemon stands */
		    (size_t)snprintf(full, sizeof full, "%.*s/%s", len, p, name) >= sizeof full)
			continue;
		int tried = resolve(full, NULL, out);
		if (tried == 0)
			return 0;
		if (tried == -EACCES)
			r = tried;
	}
	return r;
}

/* An entry is looked up in the system's PATH, never in the agent's, which could lead it anywhere. */
static bool allowed(const char *const *allow, const char *program)
{
	char path[PATH_MAX];
	for (; *allow; allow++)
		if (resolve(*allow, SYSTEM_PATH, path) == 0 && strcmp(path, program) == 0)
			return true;
	return false;
}

int sandbox_network_available(const struct sandbox_driver *d, enum sandbox_network n, struct err *e)
{
	if (!(d->networks & 1u << n))
		return err_set(e, ERR_SEC_VIOLATION, "network %s cannot be had of driver '%s' of tier '%s'", network_names[n],
			       d->name, sandbox_tier_name(d->tier));
	return n == NETWORK_FULL ? full_available(e) : 0;
}

/* A network that cannot be given is refused, never another one given. */
static int check_network(const struct sandbox_driver *d, const struct sandbox_spec *s, struct err *e)
{
	struct net_rules *rules = NULL;
	int r = sandbox_network_available(d, s->network, e);
	if (r == 0 && s->network == NETWORK_RESTRICTED)
		r = net_rules_read(s->destinations ? s->destinations : "", &rules, e);
	net_rules_free(rules);
	return r;
}

/* What is in an image its engine alone knows. */
static int check_image(const struct sandbox_driver *d, const struct sandbox_spec *s, char program[PATH_MAX], struct err *e)
{
	if (!d->images)
		return err_set(e, ERR_SEC_VIOLATION, "image '%s': driver '%s' has no images, docker and podman have", s->image, d->name);
	if (s->allow)
		return err_set(e, ERR_SEC_VIOLATION, "image '%s': what is in it cannot be held against a list of allowed programs",
			       s->image);
	if ((size_t)snprintf(program, PATH_MAX, "%s", s->argv[0]) >= PATH_MAX)
		return err_sys(e, ERR_SPAWN_FAILED, ENAMETOOLONG, "program");
	return 0;
}

int sandbox_spec_check(enum sandbox_tier tier, const struct sandbox_spec *s, char program[PATH_MAX],
		       struct err *e)
{
	const struct sandbox_driver *d = NULL;
	int r = sandbox_driver_find(tier, s->driver, s->allow_degraded, &d, e);
	if (r == 0)
		r = check_network(d, s, e);
	if (r < 0)
		return r;
	if (!s->argv || !s->argv[0] || !*s->argv[0])
		return err_set(e, ERR_SPAWN_FAILED, "there is no program to run");
	if (s->cwd_fd <= 0 && (!s->cwd || *s->cwd != '/'))
		return err_set(e, ERR_SPAWN_FAILED,
			       "working directory '%s' is not an absolute path",
			       s->cwd ? s->cwd : "");
	if ((s->uid == (uid_t)-1) !=
	    (s->gid == (gid_t)-1)) /* half a change keeps the daemon's rights */
		return err_set(e, ERR_SEC_VIOLATION,
			       "user and group of a program are changed together");
	bool root = geteuid() == 0;
	if (tier != TIER_NONE && (s->uid == (uid_t)-1 || s->uid == 0) == root)
		return err_set(e, ERR_SEC_VIOLATION,
			       "a program in a sandbox has a uid of its own, and never root's");
	if (s->image)
		return check_image(d, s, program, e);
	char full[PATH_MAX];
	const char *name = s->argv[0];
	if (*name != '/' && strchr(name, '/')) { /* as exec would take it, from its directory */
		int n = snprintf(full, sizeof full, "%s/%s", s->cwd ? s->cwd : "", name);
		name = n < (int)sizeof full ? full : "/";
	}
	r = resolve(name, env_path(s), program);
	if (r < 0)
		return err_sys(e, ERR_SPAWN_FAILED, -r, "program '%s'", s->argv[0]);
	if (!s->allow || allowed(s->allow, program))
		return 0;
	return err_set(e, ERR_SEC_VIOLATION, "'%s' is not in native_execution.allowed_executables",
		       program);
}
