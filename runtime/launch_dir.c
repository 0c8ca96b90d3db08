/* SPDX-License-Identifier: MIT */
/* launch_dir.c - whom a run's program runs as, the directory it works in, and long code as a file there. L2; loop thread
 * only. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/parse.h"
#include "runtime/runtime_i.h"

/* Whom its program runs as. In a sandbox under root that is somebody who owns nothing else, not even by chance: what
 * gets out has no more rights than that. */
void run_ids(const struct agent *a, enum sandbox_tier tier, uid_t *uid, gid_t *gid)
{
	bool root = geteuid() == 0;
	*uid = (uid_t)-1;
	*gid = (gid_t)-1;
	if (root && tier != TIER_NONE) {
		*uid = *gid = BOXED_UID_FIRST + a->serial;
	} else if (root && a->uid != 0) {
		*uid = a->uid;
		*gid = a->gid;
	}
}

void agent_view_ids(const struct agent *a, uid_t *uid, gid_t *gid)
{
	run_ids(a, TIER_1, uid, gid);
	if (*uid == (uid_t)-1) {
		*uid = geteuid();
		*gid = getegid();
	}
}

/* native_execution.working_directory. The place that everybody has by default can be only one user's. */
void run_base_dir(const struct runtime *rt, char *out, size_t cap)
{
	static const char shared[] = "/tmp/symbiont-native";
	const char *base = config_str(rt->config, "native_execution.working_directory");
	if (geteuid() == 0 || strcmp(base, shared) != 0)
		snprintf(out, cap, "%s", base);
	else
		snprintf(out, cap, "%s-%u", shared, geteuid());
}

/* The agent's own directory, below that: its path and the directory opened. */
static int own_dir(const struct agent *a, enum sandbox_tier tier, char *out, size_t cap, struct err *e)
{
	char base[4096];
	run_base_dir(a->rt, base, sizeof base);
	char name[NAME_LEN_MAX + 32];
	uid_t uid;
	gid_t gid;
	run_ids(a, tier, &uid, &gid);
	if (tier == TIER_NONE)
		snprintf(name, sizeof name, "%u-%s", a->uid, a->name);
	else /* of a uid that no later agent of this name will have */
		snprintf(name, sizeof name, "%u-%s.%u", a->uid, a->name, a->serial);
	snprintf(out, cap, "%s/%s", base, name);
	return sandbox_workdir(base, name, uid, gid, e);
}

/* Its working directory: the spec's, else its own, opened in *ret_fd (the caller closes it). */
int run_cwd(const struct agent *a, const struct agent_spec *s, char *out, size_t cap, int *ret_fd,
	    struct err *e)
{
	if (s->workdir) {
		snprintf(out, cap, "%s", s->workdir);
		return 0;
	}
	int fd = own_dir(a, s->tier, out, cap, e);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

/* Code that is too long for an argument, as a file in the agent's own directory: put in place whole, as what
 * runs still reads its predecessor. The directory is the agent's, who may have put anything there. */
int run_code(const struct agent *a, const struct agent_spec *s, char *path, size_t cap,
	     struct err *e)
{
	char dir[4200], name[32];
	autoclose int d = own_dir(a, s->tier, dir, sizeof dir, e);
	if (d < 0)
		return d;
	snprintf(name, sizeof name, "code%s", s->code_suffix);
	snprintf(path, cap, "%s/%s", dir, name);
	unlinkat(d, ".code.new", 0);
	autoclose int fd = openat(d, ".code.new", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				  0600);
	size_t len = strlen(s->code), done = 0;
	ssize_t n = 0;
	while (fd >= 0 && done < len && (n = write(fd, s->code + done, len - done)) > 0)
		done += (size_t)n;
	uid_t uid;
	gid_t gid;
	run_ids(a, s->tier, &uid, &gid);
	if (fd >= 0 && done == len && (uid == (uid_t)-1 || fchown(fd, uid, gid) == 0) &&
	    renameat(d, ".code.new", d, name) == 0)
		return 0;
	int r = err_sys(e, ERR_SYS_IO, errno, "'%s' for the code of agent '%s'", path, a->name);
	unlinkat(d, ".code.new", 0);
	return r;
}
