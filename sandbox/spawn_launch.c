/* SPDX-License-Identifier: MIT */
/* spawn_launch.c - a start request: from its message to a process, directly, below a keeper or in a box. L1; the
 * spawner's single thread. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/box.h"
#include "sandbox/door.h"
#include "sandbox/full.h"
#include "sandbox/oci.h"
#include "sandbox/proctree.h"
#include "sandbox/spawn_server.h"
#include "sandbox/spec.h"
#include "sandbox/vm.h"

static bool read_text(const struct spawn_req *q, int fd, char *text)
{
	size_t have = 0;
	while (have < q->text_len) {
		ssize_t n = pread(fd, text + have, q->text_len - have, (off_t)have);
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

/* A door for what listens in its network; whatever becomes of that, it is no longer ours. */
static int open_door(struct server *s, struct job *j, const struct spawn_start *st, int listener, struct err *e)
{
	int sv[2];
	const struct door_plan plan = {.rules = st->destinations,
				       .ask = st->ask_connects,
				       .bytes_per_s = st->enforce ? st->limits.net_bytes_per_s : 0,
				       .uid = st->uid,
				       .gid = st->gid};
	int r = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0
			? err_sys(e, ERR_SPAWN_FAILED, errno, "a socket for the door of its network")
			: 0;
	if (r == 0) {
		r = door_start(&plan, listener, sv[1], s->mark, e);
		j->talk = sv[0];
		close(sv[1]);
	}
	close(listener);
	if (r < 0)
		return r;
	jobs_add_pid(&s->jobs, j, &j->door, r);
	return 0;
}

/* Who serves its interface is to the job what a door is. */
static int open_wide(struct server *s, struct job *j, pid_t box, struct err *e)
{
	int r = full_start(box, &j->wide, s->mark, e);
	if (r < 0)
		return r;
	jobs_add_pid(&s->jobs, j, &j->door, r);
	return 0;
}

/* The program's pid or -errno. */
static int start_in_box(struct server *s, struct job *j, struct spawn_start *st, struct err *e)
{
	struct box b;
	struct sandbox_layers l;
	if (geteuid() == 0 && st->uid <= 0)
		return err_set(e, ERR_SEC_VIOLATION, "nothing runs as root in a sandbox");
	int r = box_available(&l, e);
	if (r == 0 && !st->allow_degraded)
		r = sandbox_layers_whole(&l, e);
	if (r == 0)
		r = box_filter_init(e);
	if (r == 0)
		r = box_make(st, &b, e);
	if (r < 0)
		return r;
	jobs_add_pid(&s->jobs, j, &j->box, b.pid);
	st->box = &b;
	r = b.door >= 0 ? open_door(s, j, st, b.door, e) : 0;
	if (st->network == NETWORK_FULL)
		r = open_wide(s, j, b.pid, e);
	if (r == 0)
		r = j->pid = spawn_child(st, &j->layers, e);
	close(b.fd);
	close(b.talk);
	if (r < 0)
		kill(b.pid, SIGKILL);
	if (r < 0 && j->door.pid)
		kill(j->door.pid, SIGKILL);
	return r;
}

/* The shim's pid or -errno; what it says later makes the job one that runs. */
static int start_in_container(struct server *s, struct job *j, struct spawn_start *st, const struct sandbox_driver *driver,
			      const struct oci_runtime *rt, struct err *e)
{
	char dir[PATH_MAX];
	struct sandbox_layers l;
	if (st->uid <= 0 || st->gid <= 0)
		return err_set(e, ERR_SEC_VIOLATION, "nothing runs as root in a sandbox");
	int r = driver->available(&l, e);
	if (r < 0)
		return r;
	snprintf(dir, sizeof dir, "%s/" SPAWN_CONTAINERS, s->dir);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", dir);
	snprintf(dir, sizeof dir, "%s/" SPAWN_CONTAINERS "/%llx", s->dir, (unsigned long long)j->id);
	j->shim = true;
	j->runtime = rt;
	j->bundle = strdup(dir);
	if (!j->bundle)
		abort();
	int listener = -1;
	if (st->network == NETWORK_RESTRICTED)
		r = door_namespace(&st->netns, &listener, e);
	if (listener >= 0)
		r = open_door(s, j, st, listener, e);
	if (r == 0)
		r = oci_start(st, rt, &l, dir, j->id, s->reports[1], s->mark, e);
	if (st->netns >= 0)
		close(take_fd(&st->netns));
	if (r < 0 && j->door.pid)
		kill(j->door.pid, SIGKILL);
	return r;
}

/* As start_in_container. */
static int start_in_vm(struct server *s, struct job *j, const struct spawn_start *st, const struct sandbox_driver *driver,
		       struct err *e)
{
	struct sandbox_layers l;
	if (geteuid() == 0 && (st->uid <= 0 || st->gid <= 0))
		return err_set(e, ERR_SEC_VIOLATION, "nothing runs as root in a sandbox");
	int r = driver->available(&l, e);
	if (r == 0 && !st->allow_degraded)
		r = sandbox_layers_whole(&l, e);
	if (r == 0)
		r = box_filter_init(e);
	j->shim = j->vm = true;
	return r < 0 ? r : vm_start(st, &l, j->id, s->reports[1], s->mark, e);
}

static void launch(struct server *s, struct job *j, struct spawn_start *st, const struct sandbox_driver *driver)
{
	const struct oci_runtime *rt = oci_runtime_named(driver->name);
	bool boxed = driver->tier == TIER_1 && !rt;
	const struct sandbox_limits none = {0};
	struct err e = {0};
	uid_t uid = st->uid >= 0 ? (uid_t)st->uid : geteuid();
	int disk = st->cwd_fd >= 0 ? st->cwd_fd : open(st->cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sandbox_limits most = st->enforce ? st->limits : none;
	if (rt)
		most.pids = oci_pids(rt, most.pids, false);
	if (driver->tier == TIER_3 && st->enforce)
		most = vm_outer_limits(&most);
	int r = cgroup_get(s->base, &most, disk, &j->group, &e);
	st->group = j->group;
	st->memory_by_as = !s->caps.memory;
	if (st->enforce && st->limits.pids && !s->caps.pids && uid != 0)
		st->nproc = proctree_count_uid(uid) + st->limits.pids;
	if (st->enforce)
		j->limits = st->limits;
	if (disk >= 0 && disk != st->cwd_fd)
		close(disk);
	if (r == 0 && rt)
		r = start_in_container(s, j, st, driver, rt, &e);
	else if (r == 0 && driver->tier == TIER_3)
		r = start_in_vm(s, j, st, driver, &e);
	else if (r == 0 && boxed)
		r = start_in_box(s, j, st, &e);
	else if (r == 0 && j->group)
		r = j->pid = spawn_child(st, &j->layers, &e);
	else if (r == 0)
		r = keeper_start(st, j->id, s->reports[1], s->mark, &e);
	if (r < 0) {
		j->pid = 0;
		server_never_ran(s, j, &e);
		return;
	}
	jobs_add_pid(&s->jobs, j, &j->child, r);
	if (j->pid)
		server_queue(s, j, NEWS_STARTED);
}

static const struct err unreadable = {ERR_SPAWN_FAILED, EBADMSG, 0, "the start request cannot be read"};

static struct job *new_job(struct server *s, uint64_t id)
{
	struct job *j = calloc(1, sizeof *j);
	if (!j)
		abort(); /* the parent starts another spawner and everything anew */
	*j = (struct job){.id = id, .started_ns = server_now_ns(), .hold = -1, .talk = -1, .wide = -1};
	if (jobs_add(&s->jobs, j) < 0)
		abort();
	return j;
}

void server_refuse(struct server *s, uint64_t id)
{
	if (!job_by_id(&s->jobs, id))
		server_never_ran(s, new_job(s, id), &unreadable);
}

void server_start(struct server *s, const struct spawn_req *q, char *text, const int *fds)
{
	struct spawn_start st = {.stdio = {s->null, s->null, s->null}, .cwd_fd = -1, .netns = -1};
	int text_fd = -1, hold = -1, *to[SPAWN_FDS] = {&text_fd,     &st.stdio[0], &st.stdio[1],
						       &st.stdio[2], &st.cwd_fd,   &hold};
	struct job *j = job_by_id(&s->jobs, q->id);
	if (j) { /* asked for already: say how it is */
		server_queue(s, j, j->state == JOB_OVER ? NEWS_ENDED : j->pid ? NEWS_STARTED : 0);
		return;
	}
	for (unsigned i = 0; i < SPAWN_FDS; i++)
		if (q->flags & 1u << i)
			*to[i] = *fds++;
	autofree char *own = text_fd >= 0 ? malloc(q->text_len + 1) : NULL;
	autofree char **strings = calloc((size_t)q->argc + q->envc + SPAWN_FIXED + 2, sizeof *strings);
	if (!strings || (text_fd >= 0 && !own))
		abort(); /* as new_job */
	j = new_job(s, q->id);
	if ((own && !read_text(q, text_fd, own)) ||
	    spawn_text_split(own ? own : text, q->text_len, q->argc, q->envc, strings) < 0) {
		server_never_ran(s, j, &unreadable);
		return;
	}
	st.program = strings[0];
	st.cwd = strings[1];
	st.view = *strings[2] ? strings[2] : NULL;
	st.destinations = strings[3];
	st.engine_image = *strings[4] ? strings[4] : NULL;
	st.network = (enum sandbox_network)q->network;
	st.ask_connects = q->flags & SPAWN_ASK;
	st.argv = strings + SPAWN_FIXED;
	st.envp = strings + SPAWN_FIXED + q->argc + 1;
	st.limits = q->limits;
	st.enforce = q->flags & SPAWN_ENFORCE;
	st.allow_degraded = q->flags & SPAWN_DEGRADED;
	st.no_temp = q->flags & SPAWN_NO_TEMP;
	st.uid = q->uid;
	st.gid = q->gid;
	launch(s, j, &st, sandbox_drivers[q->driver]);
	if (hold >= 0 &&
	    j->state == JOB_RUNNING) /* behind the fork: a keeper must not have it too */
		j->hold = fcntl(hold, F_DUPFD_CLOEXEC, 3);
}
