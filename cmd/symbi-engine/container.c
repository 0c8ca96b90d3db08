/* SPDX-License-Identifier: MIT */
/* container.c - a bundle's config.json (OCI runtime specification 1.0) in the words of Docker's API. L4; one thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine.h"
#include "lib/mem.h"
#include "sandbox/oci.h"

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

static bool has(const json_t *list, const char *word)
{
	size_t i;
	json_t *v;
	json_array_foreach(list, i, v)
		if (strcmp(json_string_value(v), word) == 0)
			return true;
	return false;
}

static void add_bind(json_t *to, const char *source, const char *target, bool read_only)
{
	json_array_append_new(to, json_pack("{ss ss ss sb s{ss}}", "Type", "bind", "Source", source, "Target", target, "ReadOnly",
					    (int)read_only, "BindOptions", "Propagation", "rprivate"));
}

/* /etc is the bundle's. Engines lay files of their own over these names unless told what is there. */
static int add_etc(json_t *to, const char *dir)
{
	static const char *const own[] = {"hosts", "hostname", "resolv.conf", "passwd", "group"};
	char path[PATH_MAX], at[64];
	snprintf(path, sizeof path, "%s/rootfs/etc", dir);
	add_bind(to, path, "/etc", true);
	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		snprintf(path, sizeof path, "%s/rootfs/etc/%s", dir, own[i]);
		snprintf(at, sizeof at, "/etc/%s", own[i]);
		autoclose int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
		if (fd < 0)
			return -errno;
		add_bind(to, path, at, true);
	}
	return 0;
}

/* Binds, and of what the kernel makes only what is temporary: /proc and /dev are an engine's own. */
static int add_mounts(const struct engine *g, const json_t *config, const char *dir, json_t *host)
{
	json_t *binds = json_array(), *temporary = json_object(), *m;
	size_t i, k;
	int r = bundle_image(config) ? 0 : add_etc(binds, dir); /* an image has its own */
	json_array_foreach(json_object_get(config, "mounts"), i, m) {
		const char *type = text(m, "type"), *at = text(m, "destination");
		const json_t *options = json_object_get(m, "options");
		if (strcmp(type, "bind") == 0) {
			add_bind(binds, text(m, "source"), at, has(options, "ro"));
		} else if (strcmp(type, "tmpfs") == 0 && strcmp(at, "/dev") != 0) {
			char line[256] = "";
			json_t *o;
			json_array_foreach(options, k, o) {
				size_t n = strlen(line);
				if (engine_is_podman(g) && strncmp(json_string_value(o), "nr_inodes=", 10) == 0)
					continue; /* it knows no such option */
				snprintf(line + n, sizeof line - n, "%s%s", n ? "," : "", json_string_value(o));
			}
			json_object_set_new(temporary, at, json_string(line));
		}
	}
	if (engine_is_podman(g)) { /* else it puts some of any size over these */
		json_object_set(temporary, "/var/tmp", json_object_get(temporary, "/tmp"));
		json_object_set_new(temporary, "/run", json_string("ro,nosuid,nodev,noexec,mode=755,size=64k"));
	}
	json_object_set_new(host, "Mounts", binds);
	json_object_set_new(host, "Tmpfs", temporary);
	return r;
}

static json_int_t processes_max(void)
{
	struct rlimit own;
	json_int_t ret = 1 << 15, most = ret;
	FILE *f = fopen("/proc/sys/kernel/pid_max", "re");
	if (f && fscanf(f, "%" JSON_INTEGER_FORMAT, &most) == 1)
		ret = most;
	if (f)
		fclose(f);
	if (getrlimit(RLIMIT_NPROC, &own) == 0 && own.rlim_max < (rlim_t)ret)
		ret = (json_int_t)own.rlim_max;
	return ret;
}

static json_t *ulimits(const json_t *process)
{
	json_t *a = json_array(), *l;
	bool limits_processes = false;
	json_int_t most = processes_max();
	size_t i;
	json_array_foreach(json_object_get(process, "rlimits"), i, l) {
		char name[32];
		snprintf(name, sizeof name, "%s", text(l, "type") + strlen("RLIMIT_"));
		for (char *p = name; *p; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 'a' - 'A') : *p;
		limits_processes |= strcmp(name, "nproc") == 0;
		json_array_append_new(a, json_pack("{ss sO sO}", "Name", name, "Soft", json_object_get(l, "soft"), "Hard",
						   json_object_get(l, "hard")));
	}
	/* Where nothing is said podman asks for more than it may have itself, which is as many as there can be. */
	if (!limits_processes)
		json_array_append_new(a, json_pack("{ss sI sI}", "Name", "nproc", "Soft", most, "Hard", most));
	return a;
}

/* The filter in its own words, which are OCI's; podman reads it from a file. NULL when that cannot be written. */
static json_t *security(const struct engine *g, const json_t *config, const char *dir)
{
	char path[PATH_MAX];
	const json_t *filter = json_object_get(json_object_get(config, "linux"), "seccomp");
	json_t *a = json_pack("[s]", "no-new-privileges");
	autofree char *whole = json_dumps(filter, JSON_COMPACT);
	snprintf(path, sizeof path, "%s/seccomp.json", dir);
	if (whole && engine_is_podman(g) && json_dump_file(filter, path, JSON_COMPACT) == 0)
		json_array_append_new(a, json_sprintf("seccomp=%s", path));
	else if (whole && !engine_is_podman(g))
		json_array_append_new(a, json_sprintf("seccomp=%s", whole));
	if (json_array_size(a) == 2)
		return a;
	json_decref(a);
	return NULL; /* never a container without */
}

static json_t *host_part(const struct engine *g, const json_t *config, const json_t *process, const char *dir, struct err *e)
{
	json_t *host = json_pack("{sb sb ss ss ss s[s] s{ss} so so sb s{ss}}", "AutoRemove", 1, "ReadonlyRootfs", 1, "NetworkMode",
				 "none", "IpcMode", "none", "CgroupnsMode", "private", "CapDrop", "ALL", "LogConfig", "Type",
				 "none", "Ulimits", ulimits(process), "SecurityOpt", security(g, config, dir), "Init", 0,
				 "RestartPolicy", "Name", "no");
	int r = host ? add_mounts(g, config, dir, host) : -ENOMEM;
	if (r == 0)
		return host;
	json_decref(host);
	err_sys(e, ERR_SPAWN_FAILED, -r, "'%s'", dir);
	return NULL;
}

json_t *bundle_read(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	json_error_t at;
	snprintf(path, sizeof path, "%s/config.json", dir);
	json_t *config = json_load_file(path, 0, &at);
	if (!config)
		err_set(e, ERR_SPAWN_FAILED, "'%s': %s", path, at.text);
	return config;
}

const char *bundle_image(const json_t *config)
{
	return json_string_value(json_object_get(json_object_get(config, "annotations"), OCI_IMAGE));
}

json_t *container_of_bundle(const struct engine *g, const json_t *config, const char *dir, const char *image, struct err *e)
{
	const json_t *process = json_object_get(config, "process"), *user = json_object_get(process, "user");
	json_t *host = host_part(g, config, process, dir, e), *ask = NULL;
	if (host)
		ask = json_pack("{ss sO s[] sO so ss ss sb so}", "Image", image, "Entrypoint", json_object_get(process, "args"),
				"Cmd", "Env", json_object_get(process, "env"), "User",
				json_sprintf("%lld:%lld", json_integer_value(json_object_get(user, "uid")),
					     json_integer_value(json_object_get(user, "gid"))),
				"WorkingDir", text(process, "cwd"), "Hostname", text(config, "hostname"), "NetworkDisabled", 1,
				"HostConfig", host);
	if (host && !ask)
		err_set(e, ERR_SPAWN_FAILED, "'%s/config.json' lacks what a container needs", dir);
	return ask;
}
