/* SPDX-License-Identifier: MIT */
/* spawn_state.c - what a spawner leaves in the state directory, and how the next one cleans up after one
 * that was killed. L1; single-threaded.
 *
 *   spawn.lock     locked by the spawner as long as it lives; its pid
 *   spawn.cgroups  the cgroup directories it made, one a line
 * Processes without a cgroup are found by their mark (proctree.h). */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/mem.h"
#include "sandbox/oci.h"
#include "sandbox/proctree.h"
#include "sandbox/spawn_server.h"

#define LOCK_WAIT_MS 5000
#define KILL_ROUNDS  200

struct state {
	char dir[PATH_MAX];
	char group[32]; /* name of its directories in the cgroup hierarchies */
	uint32_t mark;
};

static int state_of(struct state *st, const char *dir, struct err *e)
{
	if (!realpath(dir, st->dir))
		return err_sys(e, ERR_SYS_IO, errno, "state directory '%s'", dir);
	st->mark = crc32c(st->dir, strlen(st->dir));
	snprintf(st->group, sizeof st->group, "symbi-%08x", st->mark);
	return 0;
}

static int open_in(const struct state *st, const char *name, int flags)
{
	autoclose int dir = open(st->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -1 : openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* The lock, held as long as the descriptor is open. */
static int lock(const struct state *st, int wait_ms, struct err *e)
{
	char who[24] = "";
	autoclose int fd = open_in(st, "spawn.lock", O_RDWR | O_CREAT);
	if (fd < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%s/spawn.lock'", st->dir);
	for (int ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; ms += 10) {
		if (errno != EWOULDBLOCK)
			return err_sys(e, ERR_SYS_IO, errno, "'%s/spawn.lock'", st->dir);
		if (ms >= wait_ms) {
			ssize_t n = pread(fd, who, sizeof who - 1, 0);
			who[n > 0 ? strcspn(who, "\n") : 0] = 0;
			return err_sys(
				e, ERR_SPAWN_FAILED, EBUSY,
				"symbi-spawn (pid %s) still runs for state directory '%s': stop "
				"that symbid first",
				*who ? who : "unknown", st->dir);
		}
		usleep(10000);
	}
	return take_fd(&fd);
}

static void record(const struct state *st, const struct cgroup_base *b)
{
	int fd = open_in(st, "spawn.cgroups", O_WRONLY | O_CREAT | O_TRUNC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	if (f) {
		cgroup_base_record(b, f);
		fclose(f);
	} else if (fd >= 0) {
		close(fd);
	}
}

int spawn_server_run(int sock, const char *state_dir, struct err *e)
{
	struct state st;
	static struct server s;
	int r = state_of(&st, state_dir, e);
	if (r < 0)
		return r;
	autoclose int lock_fd = lock(&st, 0, e);
	if (lock_fd < 0)
		return lock_fd;
	if (ftruncate(lock_fd, 0) == 0)
		dprintf(lock_fd, "%d\n", getpid());
	r = server_open(&s, sock, st.group, st.mark, e);
	if (r < 0)
		return r;
	s.dir = st.dir;
	record(&st, s.base);
	server_run(&s);
	server_close(&s);
	autoclose int dir = open(st.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		unlinkat(dir, "spawn.cgroups", 0);
	return 0;
}

/* ---- after one that was killed ---- */

struct sweep {
	const struct state *st;
	int r;
	struct err *e;
};

static void sweep_dir(void *arg, const char *dir)
{
	struct sweep *w = arg;
	const char *name = strrchr(dir, '/');
	if (!name || strcmp(name + 1, w->st->group) != 0)
		return; /* not what we write there */
	int r = cgroup_remove(dir);
	if (r < 0 && r != -EINVAL && w->r == 0)
		w->r = err_sys(w->e, ERR_SPAWN_FAILED, -r, "left by an earlier run: cgroup '%s'",
			       dir);
}

int spawn_server_cleanup(const char *state_dir, struct err *e)
{
	struct state st;
	char line[PATH_MAX];
	int r = state_of(&st, state_dir, e);
	if (r < 0)
		return r;
	autoclose int lock_fd = lock(&st, LOCK_WAIT_MS, e);
	if (lock_fd < 0)
		return lock_fd;
	struct sweep w = {.st = &st, .e = e};
	int fd = open_in(&st, "spawn.cgroups", O_RDONLY);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		sweep_dir(&w, line);
	}
	if (f)
		fclose(f);
	cgroup_base_each(st.group, sweep_dir, &w);
	for (int i = 0; i < KILL_ROUNDS && proctree_kill_marked(st.mark); i++)
		usleep(1000);
	if (w.r == 0 && snprintf(line, sizeof line, "%s/" SPAWN_CONTAINERS, st.dir) < (int)sizeof line)
		oci_discard_all(line);
	autoclose int dir = open(st.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0 && w.r == 0)
		unlinkat(dir, "spawn.cgroups", 0);
	return w.r;
}

/* ---- of one use ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st, (void)type, (void)f;
	remove(path);
	return 0;
}

static int open_up(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)f;
	if (type == FTW_DNR || (type == FTW_D && (st->st_mode & 0700) != 0700))
		chmod(path, 0700);
	return 0;
}

void spawn_server_discard(const char *state_dir)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/" SPAWN_WORK, state_dir);
	nftw(path, open_up, 16, FTW_PHYS | FTW_MOUNT); /* a directory may have been closed to its owner */
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	snprintf(path, sizeof path, "%s/" SPAWN_CONTAINERS, state_dir);
	oci_discard_all(path);
	snprintf(path, sizeof path, "%s/spawn.lock", state_dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/spawn.cgroups", state_dir);
	unlink(path);
	rmdir(state_dir);
}
