/* SPDX-License-Identifier: MIT */
/* oci_engine.c - what a shim does where an engine makes its container: it takes symbi-init into the job's cgroup and gives
 * it the program's streams. L1; single-threaded. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/unixsock.h"
#include "sandbox/oci.h"

int oci_engine_socket(const struct oci_runtime *r, char ret[static PATH_MAX], struct err *e)
{
	const char *told = getenv(r->engine_env), *path = r->engine;
	if (told && *told) {
		if (strncmp(told, "unix:///", 8) != 0)
			return err_set(e, ERR_SEC_TIER, "%s is '%s': only an engine of this machine can run a sandbox, "
				       "unix:///PATH", r->engine_env, told);
		path = told + strlen("unix://");
	}
	if ((size_t)snprintf(ret, PATH_MAX, "%s", path) >= PATH_MAX)
		return err_set(e, ERR_SEC_TIER, "%s: the path of the socket is too long", r->engine_env);
	return 0;
}

/* The socket's address; *dir is to be closed behind its use. */
static int address(const char *path, struct sockaddr_un *a, int *dir)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	return unixsock_name(path, a->sun_path, dir, NULL);
}

int oci_engine_listens(const char *path, struct err *e)
{
	struct sockaddr_un to;
	autoclose int dir = -1;
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd < 0 ? -errno : address(path, &to, &dir);
	if (r == 0 && connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		r = -errno;
	return r == 0 ? 0 : err_set(e, ERR_SEC_TIER, "no engine listens on '%s' (%s): start it, or name its socket", path, strerror(-r));
}

int oci_guest_expect(struct oci_guest *g, const char *dir, const struct spawn_start *s)
{
	char path[PATH_MAX];
	struct sockaddr_un at;
	autoclose int opened = -1;
	snprintf(path, sizeof path, "%s/" OCI_STREAMS, dir);
	g->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = g->listener < 0 ? -errno : address(path, &at, &opened);
	if (r == 0 && (bind(g->listener, (struct sockaddr *)&at, sizeof at) < 0 || chmod(path, 0600) < 0 ||
		       chown(path, (uid_t)s->uid, (gid_t)s->gid) < 0 || listen(g->listener, 1) < 0))
		r = -errno;
	return r;
}

/* ---- what holds it: seen, not believed ---- */

static bool has_own(pid_t pid, const char *kind)
{
	char path[64];
	struct stat its, ours;
	snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kind);
	if (stat(path, &its) < 0)
		return false;
	snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
	return stat(path, &ours) == 0 && its.st_ino != ours.st_ino;
}

static uint32_t seen_in_status(pid_t pid)
{
	char path[64], line[256];
	unsigned long long v, caps = 0;
	uint32_t ret = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "Seccomp: %llu", &v) == 1 && v == 2)
			ret |= LAYER_BIT(LAYER_SECCOMP);
		else if (sscanf(line, "NoNewPrivs: %llu", &v) == 1 && v == 1)
			ret |= LAYER_BIT(LAYER_NO_NEW_PRIVS);
		else if (strncmp(line, "Cap", 3) == 0 && sscanf(line + 7, "%llx", &v) == 1)
			caps |= v;
	}
	if (f)
		fclose(f);
	return f && !caps ? ret | LAYER_BIT(LAYER_NO_CAPS) : ret;
}

static uint32_t layers_of(pid_t pid)
{
	static const struct {
		const char *kind;
		enum sandbox_layer layer;
	} spaces[] = {{"user", LAYER_USER}, {"mnt", LAYER_MOUNT}, {"pid", LAYER_PID},	      {"net", LAYER_NET},
		      {"ipc", LAYER_IPC},   {"uts", LAYER_UTS},	  {"cgroup", LAYER_CGROUP}};
	uint32_t ret = seen_in_status(pid) | LAYER_BIT(LAYER_OWN_UID);
	for (size_t i = 0; i < ARRAY_LEN(spaces); i++)
		if (has_own(pid, spaces[i].kind))
			ret |= LAYER_BIT(spaces[i].layer);
	return ret;
}

static int is_held(pid_t pid, struct sandbox_layers *l, struct err *e)
{
	char text[SANDBOX_LAYERS_TEXT];
	uint32_t seen = layers_of(pid), lacking = l->active & ~seen;
	sandbox_layers_text(l, lacking, text);
	if (lacking)
		return err_set(e, ERR_SEC_TIER, "the engine made a container without what was asked for: %s", text);
	l->active = seen;
	return 0;
}

/* An engine whose mounts are other than ours binds what lies below our mount, and calls that a success. */
static int is_its_view(pid_t pid, const char *view, struct err *e)
{
	char path[64];
	struct stat its, wanted;
	snprintf(path, sizeof path, "/proc/%d/root" SANDBOX_SYMBI, pid);
	if (!view || (stat(path, &its) == 0 && stat(view, &wanted) == 0 && its.st_dev == wanted.st_dev && its.st_ino == wanted.st_ino))
		return 0;
	return err_set(e, ERR_SPAWN_FAILED,
		       "the engine does not see '%s' as we do: start it after symbid, or where mounts are shared with it", view);
}

int oci_guest_arrives(struct oci_guest *g, const struct spawn_start *s, const int stdio[3], struct sandbox_layers *l,
		      struct err *e)
{
	uid_t uid = (uid_t)s->uid;
	struct ucred who;
	socklen_t len = sizeof who;
	autoclose int fd = accept4(g->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0 && errno == EAGAIN)
		return 0;
	int r = fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ? -errno : 0;
	close(take_fd(&g->listener)); /* nobody else runs there before it has its streams */
	if (r < 0)
		return err_sys(e, ERR_SPAWN_FAILED, -r, "symbi-init in the engine's container");
	if (who.uid != uid || who.pid <= 0)
		return err_set(e, ERR_SPAWN_FAILED,
			       "the engine runs its containers as users of its own (uid %d for %d): userns-remap and engines of "
			       "ordinary users cannot be used", (int)who.uid, (int)uid);
	g->pidfd = pidfd_open(who.pid, 0);
	if (g->pidfd >= 0 && (is_held(who.pid, l, e) < 0 || is_its_view(who.pid, s->view, e) < 0)) {
		oci_guest_signal(g, SIGKILL);
		return -1;
	}
	r = g->pidfd < 0 ? -errno : cgroup_join_by(g->doors, g->doors_n, who.pid);
	if (r == 0)
		r = spawn_send(fd, ".", 1, NULL, 0, stdio, 3);
	if (r < 0) {
		oci_guest_signal(g, SIGKILL);
		return err_sys(e, ERR_SPAWN_FAILED, -r, "the engine's container cannot be held by the job's cgroup");
	}
	return 0;
}

void oci_guest_signal(const struct oci_guest *g, int sig)
{
	if (g->pidfd >= 0)
		pidfd_send_signal(g->pidfd, sig, NULL, 0);
}
