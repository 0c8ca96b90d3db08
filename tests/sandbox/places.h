/* SPDX-License-Identifier: MIT */
/* places.h - runs one group of tests again in each place a spawner may have to live in: as this user, as an
 * ordinary user, with cgroup v1 only, with no cgroup at all, and in a chroot. $TEST_PLACE picks one by its name,
 * `all`, or `others`: all but the first. Without it tests run as they are started. */
#pragma once

#include <dirent.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"

#define PLACE_UID 64321 /* of nobody on this machine */

struct place {
	const char *name;
	bool (*enter)(void); /* false: cannot be had here */
};

static inline bool place_here(void)
{
	return true;
}

static inline bool place_user(void)
{
	return geteuid() == 0 && setgid(PLACE_UID) == 0 && setuid(PLACE_UID) == 0 &&
	       access(SYMBI_BIN_DIR "/symbi-spawn", X_OK) == 0; /* a build below /root is closed to it */
}

static inline bool place_own_mounts(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static inline bool place_without(const char *dir)
{
	return place_own_mounts() && umount2(dir, MNT_DETACH) == 0;
}

static inline bool place_v1(void)
{
	return place_without("/sys/fs/cgroup/unified");
}

static inline bool place_no_cgroup(void)
{
	return place_without("/sys/fs/cgroup");
}

static inline bool place_show(const char *name, const char *root)
{
	char from[512], to[512], target[512];
	struct stat st;
	snprintf(from, sizeof from, "/%s", name);
	snprintf(to, sizeof to, "%s/%s", root, name);
	if (lstat(from, &st) < 0)
		return false;
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlink(from, target, sizeof target - 1);
		target[n > 0 ? n : 0] = 0;
		return symlink(target, to) == 0;
	}
	return !S_ISDIR(st.st_mode) || (mkdir(to, 0755) == 0 && mount(from, to, NULL, MS_BIND | MS_REC, NULL) == 0);
}

/* All that is in / below a directory, which is no mount itself. */
static inline bool place_chroot(void)
{
	if (!place_own_mounts() || mount("root", "/mnt", "tmpfs", 0, "mode=755") < 0 || mkdir("/mnt/root", 0755) < 0)
		return false;
	DIR *d = opendir("/");
	bool ok = d;
	for (struct dirent *e; ok && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, "mnt") != 0)
			ok = place_show(e->d_name, "/mnt/root");
	if (d)
		closedir(d);
	return ok && chroot("/mnt/root") == 0 && chdir("/") == 0;
}

static const struct place places[] = {
	{"as it is", place_here},
	{"ordinary user", place_user},
	{"cgroup v1 only", place_v1},
	{"no cgroup, as root", place_no_cgroup},
	{"chroot", place_chroot},
};

static inline bool place_picked(size_t i)
{
	const char *only = getenv("TEST_PLACE");
	if (!only)
		return i == 0;
	return strcmp(only, "all") == 0 || strcmp(only, places[i].name) == 0 ||
	       (strcmp(only, "others") == 0 && i > 0);
}

/* Run `tests` in each place, in a process of its own. The exit status for main. */
static inline int places_run(int (*tests)(const char *place))
{
	int failed = 0, ran = 0;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		if (!place_picked(i))
			continue;
		fflush(NULL);
		pid_t pid = fork();
		if (pid == 0) {
			if (!places[i].enter()) {
				printf("skipped: place '%s' cannot be had here\n", places[i].name);
				exit(77);
			}
			exit(tests(places[i].name) ? 1 : 0);
		}
		int status = 0;
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			return 1;
		failed |= !WIFEXITED(status) || (WEXITSTATUS(status) && WEXITSTATUS(status) != 77);
		ran += WIFEXITED(status) && WEXITSTATUS(status) != 77;
	}
	return failed ? 1 : ran ? 0 : 77;
}
