/* SPDX-License-Identifier: MIT */
/* fuse_mount.c - mounting and unmounting, by the parent process. L3; before any thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/fuse.h"
#include "lib/mem.h"

static int make_dirs(const char *dir, struct err *e)
{
	autofree char *path = strdup(dir);
	for (char *p = path ? path + 1 : NULL; p && *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		mkdir(path, 0755);
		*p = '/';
	}
	if (!path || (mkdir(path, 0755) < 0 && errno != EEXIST))
		return err_sys(e, ERR_SYS_IO, errno, "mount point '%s' cannot be made", dir);
	return 0;
}

/* Detach what is mounted on dir. */
static void detach(const char *dir)
{
	if (geteuid() == 0) {
		umount2(dir, MNT_DETACH);
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", dir, (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* A dead mount answers ENOTCONN to every request; detach it so that a new one can take its place. Asked
 * by statfs: what stat says of a mount's root comes from the kernel's cache for a minute. */
static int detach_dead(const char *dir, struct err *e)
{
	struct statfs st;
	for (int i = 0;
	     i < 8 && statfs(dir, &st) < 0 && (errno == ENOTCONN || errno == ECONNABORTED); i++)
		detach(dir);
	if (statfs(dir, &st) < 0 && errno != ENOENT)
		return err_sys(e, ERR_SYS_IO, errno, "mount point '%s'", dir);
	return 0;
}

static int mount_as_root(const char *dir, int *ret_fd, struct err *e)
{
	char opts[128];
	autoclose int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, ERR_SYS_IO, errno, "/dev/fuse (try: modprobe fuse)");
	snprintf(opts, sizeof opts,
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", fd);
	if (mount("symbi", dir, "fuse.symbi", MS_NOSUID | MS_NODEV, opts) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "mount on '%s'", dir);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int receive_fd(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof control};
	if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fd = -1;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

/* fusermount3 does the mount and sends the descriptor over the socket named by _FUSE_COMMFD. */
static int mount_as_user(const char *dir, int *ret_fd, struct err *e)
{
	int sv[2], status = 0;
	if (access("/dev/fuse", R_OK | W_OK) < 0)
		return err_sys(e, ERR_SYS_IO, errno,
			       "'/dev/fuse' cannot be used by this user (as root: modprobe fuse; "
			       "chmod 666 /dev/fuse)");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "socketpair");
	autoclose int ours = sv[0], theirs = sv[1];
	fcntl(ours, F_SETFD, FD_CLOEXEC);
	pid_t pid = fork();
	if (pid == 0) {
		char num[16];
		snprintf(num, sizeof num, "%d", theirs);
		setenv("_FUSE_COMMFD", num, 1);
		execlp("fusermount3", "fusermount3", "-o",
		       "rw,nosuid,nodev,default_permissions,fsname=symbi,subtype=symbi", "--", dir,
		       (char *)NULL);
		_exit(127);
	}
	close(take_fd(&theirs));
	int fd = pid < 0 ? -1 : receive_fd(ours);
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (fd < 0)
		return err_set(e, ERR_SYS_IO, "fusermount3 could not mount on '%s'%s", dir,
			       WIFEXITED(status) && WEXITSTATUS(status) == 127
				       ? ": it is not installed (apt-get install fuse3)"
				       : "; its message is in the daemon's log");
	*ret_fd = fd;
	return 0;
}

/* ---- below a shared directory ---- */

/* Is dir a mount that passes on what is mounted in it? */
static bool is_shared(const char *dir)
{
	char line[2 * PATH_MAX], at[PATH_MAX];
	bool shared = false;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "%*s %*s %*s %*s %4095s", at) == 1 && strcmp(at, dir) == 0)
			shared = strstr(line, " shared:") != NULL; /* the last one stands on top */
	if (f)
		fclose(f);
	return shared;
}

static int share(const char *dir, struct err *e)
{
	char real[PATH_MAX];
	int r = make_dirs(dir, e);
	if (r < 0 || !realpath(dir, real))
		return r < 0 ? r : err_sys(e, ERR_SYS_IO, errno, "'%s'", dir);
	if (is_shared(real))
		return 0;
	if (mount(real, real, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, real, NULL, MS_SHARED, NULL) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%s' cannot be made a shared mount", dir);
	return 0;
}

int fuse_tree_path(const struct fuse_place *p, char out[PATH_MAX], struct err *e)
{
	int n = p->shared ? snprintf(out, PATH_MAX, "%s/" FUSE_SHARED_NAME, p->shared)
			  : snprintf(out, PATH_MAX, "%s", p->dir);
	return n < PATH_MAX ? 0 : err_sys(e, ERR_SYS_IO, ENAMETOOLONG, "'%.100s...'", out);
}

static int mount_shared(const struct fuse_place *p, int *ret_fd, struct err *e)
{
	char tree[PATH_MAX];
	if (geteuid() != 0)
		return err_sys(e, ERR_SYS_IO, EPERM, "paths.shared: only root can share a mount");
	int r = fuse_tree_path(p, tree, e);
	if (r == 0)
		r = share(p->shared, e);
	if (r == 0)
		r = detach_dead(tree, e);
	if (r == 0)
		r = make_dirs(tree, e);
	if (r == 0)
		r = mount_as_root(tree, ret_fd, e);
	if (r == 0 && mount(tree, p->dir, NULL, MS_BIND, NULL) < 0) {
		r = err_sys(e, ERR_SYS_IO, errno, "bind of '%s' on '%s'", tree, p->dir);
		detach(tree);
		close(*ret_fd);
	}
	return r;
}

/* ---- */

int fuse_mount(const struct fuse_place *p, int *ret_fd, struct err *e)
{
	int r = detach_dead(p->dir, e);
	if (r == 0)
		r = make_dirs(p->dir, e);
	if (r == 0)
		r = p->shared        ? mount_shared(p, ret_fd, e)
		    : geteuid() == 0 ? mount_as_root(p->dir, ret_fd, e)
				     : mount_as_user(p->dir, ret_fd, e);
	if (r == 0)
		fcntl(*ret_fd, F_SETFL, fcntl(*ret_fd, F_GETFL) | O_NONBLOCK);
	return r;
}

void fuse_unmount(const struct fuse_place *p)
{
	char tree[PATH_MAX];
	detach(p->dir);
	if (p->shared && fuse_tree_path(p, tree, NULL) == 0)
		detach(tree);
}

int fuse_read_init(int fd, void *buf, size_t size, struct err *e)
{
	struct pollfd p = {fd, POLLIN, 0};
	ssize_t n = poll(&p, 1, 10000) == 1 ? read(fd, buf, size) : -1;
	const struct fuse_in_header *in = buf;
	if (n < (ssize_t)sizeof *in || in->opcode != FUSE_INIT)
		return err_set(e, ERR_SYS_IO, "the kernel did not greet the new mount");
	return (int)n;
}
