/* SPDX-License-Identifier: MIT */
/* paths.c - where things are when nobody says. L0. */
#include "lib/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void paths_default(struct paths *ret)
{
	const char *run = getenv("XDG_RUNTIME_DIR"), *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	ret->shared[0] = 0;
	if (geteuid() == 0) {
		snprintf(ret->mount, sizeof ret->mount, "/symbi");
		snprintf(ret->shared, sizeof ret->shared, "/run/symbi/mnt");
		snprintf(ret->state, sizeof ret->state, "/var/lib/symbi");
		snprintf(ret->socket, sizeof ret->socket, "/run/symbi/symbi.sock");
		return;
	}
	if (run && *run) {
		snprintf(ret->mount, sizeof ret->mount, "%s/symbi", run);
		snprintf(ret->socket, sizeof ret->socket, "%s/symbi.sock", run);
	} else {
		snprintf(ret->mount, sizeof ret->mount, "/tmp/symbi-%u/symbi", geteuid());
		snprintf(ret->socket, sizeof ret->socket, "/tmp/symbi-%u/symbi.sock", geteuid());
	}
	if (state && *state)
		snprintf(ret->state, sizeof ret->state, "%s/symbi", state);
	else
		snprintf(ret->state, sizeof ret->state, "%s/.local/state/symbi", home ? home : "/tmp");
}

int paths_beside(const char *name, char ret[static PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);
	ret[n > 0 ? n : 0] = 0;
	char *slash = strrchr(ret, '/');
	if (n < 0 || !slash)
		return n < 0 ? -errno : -ENOENT;
	size_t left = (size_t)(PATH_MAX - (slash + 1 - ret));
	if ((size_t)snprintf(slash + 1, left, "%s", name) >= left)
		return -ENAMETOOLONG;
	return access(ret, X_OK) < 0 ? -errno : 0;
}
