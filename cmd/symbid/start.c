/* SPDX-License-Identifier: MIT */
/* start.c - what the parent makes once and keeps for all workers: the locked state directory, the
 * spawner, the mount, the socket. L4; before any thread. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/api.h"
#include "fs/fuse.h"
#include "fs/keep.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/parse.h"
#include "sandbox/sandbox.h"
#include "symbid.h"

#define LOCK_WAIT_MS 50

/* ---- the log ---- */

int open_log(const struct daemon *d, struct err *e)
{
	if (!d->log)
		return 0;
	autoclose int fd = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "log file '%s'", d->log);
	return 0;
}

/* ---- the state directory ---- */

static int make_dirs(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s", dir);
	for (char *p = path + 1; *path && (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(path, 0755);
		*p = '/';
	}
	/* 0711: agents that run as other users reach their own directories below it. */
	if (mkdir(path, 0711) < 0 && errno != EEXIST)
		return err_sys(e, ERR_SYS_IO, errno, "state directory '%s' cannot be made", dir);
	return 0;
}

/* Whoever can change names in the state directory can be the daemon. */
static int check_state(const char *dir, struct err *e)
{
	struct stat st;
	if (stat(dir, &st) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "state directory '%s'", dir);
	if (!S_ISDIR(st.st_mode))
		return err_sys(e, ERR_SYS_IO, ENOTDIR, "state directory '%s'", dir);
	if (st.st_uid != geteuid())
		return err_set(e, ERR_SEC_VIOLATION,
			       "state directory '%s' belongs to uid %u, not to uid %u; choose "
			       "another one with --state",
			       dir, st.st_uid, geteuid());
	if (st.st_mode & 022)
		return err_set(e, ERR_SEC_VIOLATION,
			       "state directory '%s' can be written by others; chmod go-w '%s'",
			       dir, dir);
	return 0;
}

int prepare_state(const struct daemon *d, struct err *e)
{
	int r = make_dirs(d->state, e);
	return r < 0 ? r : check_state(d->state, e);
}

static pid_t lock_owner(int fd)
{
	char text[32] = "";
	uint64_t pid;
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	return parse_u64(text, 1, INT_MAX, &pid, NULL) == 0 ? (pid_t)pid : 0;
}

/* The lock is held by the parent and its worker. After a kill -9 of the parent its worker still ends
 * what runs, so that it is waited for; a daemon that is alive is not. */
static int lock_state(struct daemon *d, struct err *e)
{
	char path[PATH_MAX], text[32];
	snprintf(path, sizeof path, "%s/lock", d->state);
	autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", path);
	uint64_t grace = config_ms(d->config, "lifecycle.termination_timeout") + 10000;
	for (uint64_t waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_WAIT_MS) {
		pid_t pid = lock_owner(fd);
		if (waited > grace || (pid && kill(pid, 0) == 0))
			return err_sys(
				e, ERR_SYS_IO, EBUSY,
				"state directory '%s' is in use by symbid, pid %d; stop it with "
				"`symbi down`, or choose another one with --state",
				d->state, pid);
		if (waited == 0)
			log_info("start.waits", "for", "the last worker to end", NULL);
		nanosleep(&(struct timespec){.tv_nsec = LOCK_WAIT_MS * 1000000}, NULL);
	}
	int n = snprintf(text, sizeof text, "%d\n", getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", path);
	d->lock_fd = take_fd(&fd);
	return 0;
}

/* ---- the spawner ---- */

int start_spawner(struct daemon *d, struct err *e)
{
	int fd = spawn_server_start(d->state, &d->files, false, &d->spawner, e);
	if (fd < 0)
		return fd;
	if (d->spawn_fd >= 0)
		close(d->spawn_fd);
	d->spawn_fd = fd;
	return 0;
}

/* ---- the mount ---- */

/* A live FUSE mount on dir is another daemon's; a dead one is replaced by fuse_mount. */
static int check_mount(const char *dir, struct err *e)
{
	char up[PATH_MAX + 4];
	struct stat here, above;
	struct statfs fs;
	snprintf(up, sizeof up, "%s/..", dir);
	if (stat(dir, &here) < 0 || stat(up, &above) < 0 || statfs(dir, &fs) < 0 ||
	    here.st_dev == above.st_dev || fs.f_type != FUSE_SUPER_MAGIC)
		return 0;
	return err_sys(
		e, ERR_SYS_IO, EBUSY,
		"a FUSE file system is mounted on '%s' already; stop its daemon with `symbi down "
		"--mount %s`, or choose another place with --mount",
		dir, dir);
}

static int start_mount(struct daemon *d, struct err *e)
{
	char tree[PATH_MAX];
	int r = check_mount(d->mount, e);
	if (r == 0)
		r = fuse_tree_path(&d->place, tree, e);
	if (r == 0)
		r = check_mount(tree, e);
	if (r == 0)
		r = d->keep_fd = keep_create(e);
	if (r >= 0)
		r = fuse_mount(&d->place, &d->fuse_fd, e);
	if (r == 0)
		r = d->init_len = fuse_read_init(d->fuse_fd, d->init, sizeof d->init, e);
	return r < 0 ? r : 0;
}

/* ---- the socket ---- */

static int parse_group(const char *text, gid_t *ret, struct err *e)
{
	uint64_t n;
	*ret = (gid_t)-1;
	if (!*text)
		return 0;
	const struct group *g = getgrnam(text);
	if (!g && parse_u64(text, 0, UINT32_MAX - 1, &n, NULL) < 0)
		return err_set(e, ERR_CONFIG_INVALID, "socket.group: there is no group '%s'", text);
	*ret = g ? g->gr_gid : (gid_t)n;
	return 0;
}

static int start_socket(struct daemon *d, struct err *e)
{
	gid_t group = 0;
	mode_t mode = (mode_t)config_u64(d->config, "socket.mode");
	int r = parse_group(config_str(d->config, "socket.group"), &group, e);
	return r < 0 ? r : api_listen(d->socket, mode, group, &d->listen_fd, e);
}

/* ---- all of it ---- */

/* Every connection and open file of the tree is a descriptor of the worker. */
static void raise_files(struct daemon *d)
{
	if (getrlimit(RLIMIT_NOFILE, &d->files) < 0)
		return;
	struct rlimit all = {d->files.rlim_max, d->files.rlim_max};
	setrlimit(RLIMIT_NOFILE, &all);
}

int start_all(struct daemon *d, struct err *e)
{
	raise_files(d);
	int r = lock_state(d, e);
	if (r < 0)
		return r;
	sandbox_drivers_try(); /* the worker, forked later, answers at once */
	r = spawn_server_cleanup(d->state, e);
	if (r == 0)
		r = start_spawner(d, e);
	if (r == 0 && d->mount)
		r = start_mount(d, e);
	if (r == 0)
		r = start_socket(d, e);
	if (r < 0)
		stop_all(d);
	return r;
}

void stop_all(struct daemon *d)
{
	if (d->listen_fd >= 0)
		api_unlisten(d->socket, take_fd(&d->listen_fd));
	if (d->fuse_fd >= 0) {
		fuse_unmount(&d->place);
		close(take_fd(&d->fuse_fd));
		close(take_fd(&d->keep_fd));
	}
	if (d->spawn_fd >= 0)
		close(take_fd(&d->spawn_fd)); /* the spawner ends everything, then itself */
	if (d->spawner > 0)
		waitpid(d->spawner, NULL, 0);
	d->spawner = 0;
}
