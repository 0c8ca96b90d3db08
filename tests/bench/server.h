/* SPDX-License-Identifier: MIT */
/* server.h - a daemon of the benchmark's own, and the minimal libfuse program beside it, for the time
 * of a measurement. Everything lives in one new directory below $TMPDIR and goes with it. Main
 * thread only. */
#pragma once

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

/* A new directory; removed with all below it by scratch_done, or when the program ends. One at a time;
 * it and every server must live until then (static, or main's). */
struct scratch {
	char dir[PATH_MAX / 4];
};
void scratch_init(struct scratch *s);
void scratch_done(struct scratch *s);

struct server { /* a program that serves a mount or a socket */
	pid_t pid;
	char mount[PATH_MAX / 2]; /* "": none */
	char state[PATH_MAX / 2]; /* symbid only */
	char socket[PATH_MAX / 2];
	uint64_t ready_ns;        /* from its start until it answered */
};

/* Programs lie beside the benchmark: ../bin/symbid, ./floor_fuse, ./floor_http. `name` is the directory's below s;
 * symbid's state directory is kept when the name was used before, so that a start with many agents can
 * be measured. Agents of tier None may run true, sh and cat. */
void symbid_start(struct server *d, const struct scratch *s, const char *name);
void floor_start(struct server *d, const struct scratch *s, unsigned names);
void floor_http_start(struct server *d, const struct scratch *s);
void server_stop(struct server *d); /* SIGTERM, wait, detach the mount if it is still there */
void server_kill(struct server *d); /* SIGKILL to a symbid's parent and worker at once */
pid_t symbid_pid(const struct server *d, const char *key); /* "pid", "worker_pid" of MOUNT/status */

/* Value of a metric of MOUNT/metrics, by its whole name. */
double symbid_metric(const struct server *d, const char *name);

/* Memory of a symbid with its worker and spawner, in bytes. */
struct memory {
	double rss, pss;
};
struct memory symbid_memory(const struct server *d);

/* ---- specs ---- */
#define SPEC_TEXT "command: [\"true\"]\nsecurity_tier: None\n"
/* Make `count` agents named agent000000 ... in the state directory of a daemon that does not run. */
void fill_agents(const struct scratch *s, const char *name, unsigned count);
