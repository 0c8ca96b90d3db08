/* SPDX-License-Identifier: MIT */
/* oci_find.c - which OCI runtimes there are, and whether they can be used here. L1; any thread. */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/paths.h"
#include "sandbox/box_i.h"
#include "sandbox/oci.h"

static const char *const no_flags[] = {NULL};
static const char *const crun_flags[] = {"--cgroup-manager=disabled", NULL};
/* Its cgroup is the job's; no program in it reaches a host's socket or pipe that it was not given. */
static const char *const runsc_flags[] = {"--ignore-cgroups", "--network=none", "--overlay=false", NULL};

static const struct oci_runtime runtimes[] = {
	{.name = "crun", .flags = crun_flags},
	{.name = "runc", .flags = no_flags, .own_group = true},
	{.name = "runsc", .flags = runsc_flags, .gvisor = true},
	{.name = "docker", .flags = no_flags, .engine = "/run/docker.sock", .engine_env = "DOCKER_HOST"},
	{.name = "podman", .flags = no_flags, .engine = "/run/podman/podman.sock", .engine_env = "CONTAINER_HOST"},
};

const struct oci_runtime *oci_runtime_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(runtimes); i++)
		if (strcmp(runtimes[i].name, name) == 0)
			return &runtimes[i];
	return NULL;
}

int oci_command(const struct oci_runtime *r, char ret[static PATH_MAX])
{
	if (r->engine)
		return paths_beside("symbi-engine", ret);
	static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(ret, PATH_MAX, "%s/%s", dirs[i], r->name);
		if (access(ret, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

uint32_t oci_pids(const struct oci_runtime *r, uint32_t pids, bool running)
{
	if (!pids)
		return 0;
	if (r->gvisor)
		return 256 + 4 * pids;
	return pids + (running ? 2 : 64);
}

static int no_devices_group(const struct oci_runtime *r, struct err *e)
{
	struct statfs fs;
	if (!r->own_group || access("/sys/fs/cgroup/devices", F_OK) == 0)
		return 0;
	if (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
		return err_set(e, ERR_SEC_TIER,
			       "%s takes its program out of the cgroup that limits it where there is cgroup v2 alone: install crun",
			       r->name);
	return err_set(e, ERR_SEC_TIER, "%s needs the cgroup hierarchy of devices at /sys/fs/cgroup/devices: mount it",
		       r->name);
}

static int available(const char *name, uint32_t more, struct sandbox_layers *ret, struct err *e)
{
	char path[PATH_MAX];
	const struct oci_runtime *r = oci_runtime_named(name);
	if (geteuid() != 0)
		return err_set(e, ERR_SEC_TIER, "%s is run by root's daemon only: run as root", name);
	if (oci_command(r, path) < 0)
		return err_set(e, ERR_SEC_TIER, "there is no %s: install it (Debian: apt-get install %s)", name, name);
	if (box_in_chroot())
		return err_set(e, ERR_SEC_TIER, "%s makes no container in a chroot: make its root a mount point "
			       "(mount --bind DIR DIR) before chroot", name);
	*ret = (struct sandbox_layers){
		.active = LAYER_BIT(LAYER_MOUNT) | LAYER_BIT(LAYER_PID) | LAYER_BIT(LAYER_NET) | LAYER_BIT(LAYER_IPC) |
			  LAYER_BIT(LAYER_UTS) | LAYER_BIT(LAYER_NO_NEW_PRIVS) | LAYER_BIT(LAYER_NO_CAPS) |
			  LAYER_BIT(LAYER_OWN_UID) | more};
	return no_devices_group(r, e);
}

static int engine_available(const char *name, uint32_t more, struct sandbox_layers *ret, struct err *e)
{
	char path[PATH_MAX];
	const struct oci_runtime *r = oci_runtime_named(name);
	if (geteuid() != 0)
		return err_set(e, ERR_SEC_TIER, "%s is asked by root's daemon only: run as root", name);
	int at = oci_engine_socket(r, path, e);
	if (at == 0)
		at = oci_engine_listens(path, e);
	*ret = (struct sandbox_layers){
		.active = LAYER_BIT(LAYER_MOUNT) | LAYER_BIT(LAYER_PID) | LAYER_BIT(LAYER_NET) | LAYER_BIT(LAYER_IPC) |
			  LAYER_BIT(LAYER_UTS) | LAYER_BIT(LAYER_SECCOMP) | LAYER_BIT(LAYER_NO_NEW_PRIVS) |
			  LAYER_BIT(LAYER_NO_CAPS) | LAYER_BIT(LAYER_OWN_UID) | more};
	return at;
}

static int docker_available(struct sandbox_layers *ret, struct err *e)
{
	return engine_available("docker", LAYER_BIT(LAYER_CGROUP), ret, e);
}

static int podman_available(struct sandbox_layers *ret, struct err *e)
{
	return engine_available("podman", 0, ret, e); /* with cgroup v1 it makes no namespace for them */
}

static int crun_available(struct sandbox_layers *ret, struct err *e)
{
	return available("crun", LAYER_BIT(LAYER_CGROUP) | LAYER_BIT(LAYER_SECCOMP), ret, e);
}

static int runc_available(struct sandbox_layers *ret, struct err *e)
{
	return available("runc", LAYER_BIT(LAYER_CGROUP) | LAYER_BIT(LAYER_SECCOMP), ret, e);
}

static int runsc_available(struct sandbox_layers *ret, struct err *e)
{
	return available("runsc", LAYER_BIT(LAYER_KERNEL), ret, e);
}

const struct sandbox_driver oci_crun = {
	.name = "crun",
	.tier = TIER_1,
	.networks = 1u << NETWORK_NONE | 1u << NETWORK_RESTRICTED,
	.by_name = true, /* no Landlock */
	.doc = "a container by crun: namespaces, a root of its own, seccomp, no network or a filtered one, never root",
	.available = crun_available,
};
const struct sandbox_driver oci_runc = {
	.name = "runc",
	.tier = TIER_1,
	.networks = 1u << NETWORK_NONE | 1u << NETWORK_RESTRICTED,
	.by_name = true, /* no Landlock */
	.doc = "a container by runc: namespaces, a root of its own, seccomp, no network or a filtered one, never root",
	.available = runc_available,
};
const struct sandbox_driver oci_runsc = {
	.name = "runsc",
	.tier = TIER_2,
	.networks = 1u << NETWORK_NONE, /* its loopback is its own: no door in it */
	.doc = "gVisor: a kernel in user space between the program and the machine's",
	.available = runsc_available,
};
const struct sandbox_driver oci_docker = {
	.name = "docker",
	.tier = TIER_1,
	.images = true,
	.networks = 1u << NETWORK_NONE,
	.by_name = true, /* no Landlock, and a daemon that is root */
	.doc = "a container by the Docker engine at DOCKER_HOST: namespaces, a root of its own, seccomp, no network, never root",
	.available = docker_available,
};
const struct sandbox_driver oci_podman = {
	.name = "podman",
	.tier = TIER_1,
	.images = true,
	.networks = 1u << NETWORK_NONE,
	.by_name = true, /* no Landlock, and a service that is root */
	.doc = "a container by podman's service at CONTAINER_HOST: namespaces, a root of its own, seccomp, no network, never root",
	.available = podman_available,
};
