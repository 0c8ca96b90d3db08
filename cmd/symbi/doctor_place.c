/* SPDX-License-Identifier: MIT */
/* doctor_place.c - directories, programs, settings, and whether a daemon answers. L4. */
#include <errno.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "doctor.h"
#include "lib/mem.h"
#include "lib/paths.h"

#define SPACE_WARN_MB    1024
#define SPACE_MISSING_MB 64 /* the journal's first segments and their reserve */

/* The nearest directory above path that exists, path itself included. */
static void existing(const char *path, char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s", path);
	while (access(out, F_OK) < 0 && strrchr(out, '/')) {
		char *slash = strrchr(out, '/');
		slash[slash == out] = 0;
		if (slash == out)
			break;
	}
}

static void check_state(const struct checkup *c, struct finding *f)
{
	char near[PATH_MAX];
	struct stat st;
	const char *dir = c->where.at.state;
	if (stat(dir, &st) < 0) {
		existing(dir, near);
		bool can = access(near, W_OK | X_OK) == 0;
		finding_set(f, can ? VERDICT_OK : VERDICT_MISSING,
			    can ? NULL : "choose a state directory that you may make: --state DIR",
			    "%s is not there yet; %s", dir,
			    can ? "it will be made" : "you may not make it");
		return;
	}
	if (st.st_uid != geteuid())
		finding_set(f, VERDICT_WARN, "run as its owner, or choose another one: --state DIR",
			    "%s belongs to uid %u", dir, st.st_uid);
	else if (st.st_mode & 022)
		finding_set(f, VERDICT_MISSING,
			    "chmod go-w it: whoever can change it can be the daemon",
			    "%s can be written by others", dir);
	else
		finding_set(f, VERDICT_OK, NULL, "%s", dir);
}

static void check_space(const struct checkup *c, struct finding *f)
{
	char near[PATH_MAX];
	struct statvfs v;
	struct statfs s;
	existing(c->where.at.state, near);
	if (statvfs(near, &v) < 0 || statfs(near, &s) < 0) {
		finding_set(f, VERDICT_WARN, NULL, "%s: %s", near, strerror(errno));
		return;
	}
	unsigned long long mb = (unsigned long long)v.f_bavail * v.f_frsize >> 20;
	bool volatile_fs = s.f_type == TMPFS_MAGIC || s.f_type == RAMFS_MAGIC;
	if (mb < SPACE_MISSING_MB)
		finding_set(f, VERDICT_MISSING, "free some space, or choose another --state DIR",
			    "%llu MiB free below %s", mb, near);
	else if (mb < SPACE_WARN_MB)
		finding_set(f, VERDICT_WARN, "free some space: a full disk stops every change",
			    "%llu MiB free below %s", mb, near);
	else if (volatile_fs)
		finding_set(f, VERDICT_WARN, "a state directory on a disk: --state DIR",
			    "%s is in memory: nothing is kept over a reboot", near);
	else
		finding_set(f, VERDICT_OK, NULL, "%llu MiB free below %s", mb, near);
}

static void check_runtime_dir(const struct checkup *c, struct finding *f)
{
	struct stat st;
	const char *dir = getenv("XDG_RUNTIME_DIR");
	if (geteuid() == 0)
		finding_set(f, VERDICT_OK, NULL, "not needed by root: mount %s, socket %s",
			    c->where.at.mount, c->where.at.socket);
	else if (!dir || !*dir)
		finding_set(f, VERDICT_WARN,
			    "log in by a session manager (loginctl enable-linger), or set it",
			    "XDG_RUNTIME_DIR is not set: mount %s, socket %s", c->where.at.mount,
			    c->where.at.socket);
	else if (stat(dir, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022))
		finding_set(f, VERDICT_MISSING,
			    "it must be there, yours, and written by nobody else",
			    "XDG_RUNTIME_DIR is %s", dir);
	else
		finding_set(f, VERDICT_OK, NULL, "%s: mount %s, socket %s", dir, c->where.at.mount,
			    c->where.at.socket);
}

static void check_programs(const struct checkup *c, struct finding *f)
{
	(void)c;
	char path[PATH_MAX], absent[64] = "";
	static const char *const names[] = {"symbid", "symbi-spawn", "symbi-init", "symbi-engine"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t len = strlen(absent);
		if (paths_beside(names[i], path) < 0)
			snprintf(absent + len, sizeof absent - len, " %s", names[i]);
	}
	finding_set(f, absent[0] ? VERDICT_MISSING : VERDICT_OK,
		    absent[0] ? "install symbi, symbid, symbi-spawn, symbi-init and symbi-engine into one directory" : NULL,
		    "%s%s%s", dirname(path), absent[0] ? " has no" : "", absent);
}

static bool resolves(const char *name)
{
	char path[PATH_MAX];
	if (strchr(name, '/'))
		return access(name, X_OK) == 0;
	for (const char *p = "/usr/local/bin:/usr/bin:/bin"; *p;) {
		size_t n = strcspn(p, ":");
		snprintf(path, sizeof path, "%.*s/%s", (int)n, p, name);
		if (access(path, X_OK) == 0)
			return true;
		p += n + (p[n] == ':');
	}
	return false;
}

static void check_executables(const struct checkup *c, struct finding *f)
{
	char have[200] = "", absent[200] = "";
	const char *const *list = config_list(c->config, "native_execution.allowed_executables");
	for (; *list; list++) {
		char *to = resolves(*list) ? have : absent;
		size_t n = strlen(to);
		snprintf(to + n, sizeof have - n, "%s%s", n ? " " : "", *list);
	}
	finding_set(f, have[0] ? VERDICT_OK : VERDICT_WARN,
		    have[0] ? NULL : "install one, or change native_execution.allowed_executables",
		    "native agents may run: %s%s%s", have[0] ? have : "nothing that is installed",
		    absent[0] ? "; not installed: " : "", absent);
}

static void check_native(const struct checkup *c, struct finding *f)
{
	bool on = config_bool(c->config, "security.allow_native_execution");
	finding_set(f, VERDICT_OK,
		    on ? NULL
		       : "`symbi up --allow-native`, or security.allow_native_execution = true, "
			 "for trusted agents",
		    "agents of tier None %s", on ? "may run, without isolation" : "may not run");
}

static void check_settings(const struct checkup *c, struct finding *f)
{
	const char *const *w = config_warnings(c->config);
	if (c->config_error.code != ERR_NONE)
		finding_set(f, VERDICT_MISSING,
			    "correct it; `symbi config check` says when it is right", "%s %s",
			    err_code_name(c->config_error.code), c->config_error.msg);
	else if (*w)
		finding_set(f, VERDICT_WARN, NULL, "%s", *w);
	else
		finding_set(f, VERDICT_OK, NULL, "can be read");
}

static void check_daemon(const struct checkup *c, struct finding *f)
{
	struct err e = {0};
	struct client *client = NULL;
	autobuf struct buf text;
	buf_init(&text, 1 << 20);
	int r = client_open(&client, c->where.at.socket, &e);
	if (r == 0)
		r = client_get(client, "health", &text, &e);
	client_close(client);
	text.data[strcspn(text.data, "\n")] = 0;
	if (r == -ECONNREFUSED)
		finding_set(f, VERDICT_OK, "`symbi up` starts it", "none listens on %s",
			    c->where.at.socket);
	else if (r < 0)
		finding_set(f, VERDICT_WARN, NULL, "%s %s", err_code_name(e.code), e.msg);
	else
		finding_set(f, strcmp(text.data, "ok") == 0 ? VERDICT_OK : VERDICT_WARN, NULL,
			    "one listens on %s: %s", c->where.at.socket, text.data);
}

const struct check checks_place[] = {
	{"programs", check_programs},
	{"state directory", check_state},
	{"disk space", check_space},
	{"XDG_RUNTIME_DIR", check_runtime_dir},
	{"settings", check_settings},
	{"native execution", check_native},
	{"executables", check_executables},
	{"daemon", check_daemon},
	{NULL, NULL},
};
