/* SPDX-License-Identifier: MIT */
/* cgroup.h - groups of processes behind one interface for cgroup v1, v2 and a mix of both. L1; used by
 * the spawner's single thread.
 *
 * Each controller is used where it can be written: in the unified hierarchy when it is there and can be
 * handed down, else in its own v1 hierarchy. Kill and freeze use v2's cgroup.kill and cgroup.freeze, which
 * need no controller, else v1's freezer. Without either there are no groups (see keeper.h).
 *
 * A group is used again after its processes are gone: making and removing one costs more than a start. No
 * descriptor is held per group, so thousands of them cost memory only. */
#pragma once

#include <stdio.h>
#include <sys/types.h>

#include "sandbox/sandbox.h"

struct cgroup_base;
struct cgroup;

/* Find what can be written and make the directory `name` in each hierarchy. Never fails for want of
 * cgroups: caps say what is missing. NULL only when there is no memory. */
struct cgroup_base *cgroup_base_open(const char *name, struct sandbox_caps *ret);
/* Write the directories that were made, one a line, for cgroup_remove by somebody later. */
void cgroup_base_record(const struct cgroup_base *b, FILE *f);
void cgroup_base_close(struct cgroup_base *b); /* kills and removes all */

/* Kill everything below the directory dir of a cgroup file system, and remove it with its groups. For what
 * a dead spawner left. 0 when it is gone or never was, -EBUSY when something does not die, -EINVAL when dir
 * is not in a cgroup file system. */
int cgroup_remove(const char *dir);
/* Where cgroup_base_open(name) would make its directories; calls fn for each that exists. */
void cgroup_base_each(const char *name, void (*fn)(void *arg, const char *dir), void *arg);

/* A group, new or used again, with these limits (0: none). *ret is NULL when there are no groups. An error
 * when a limit that caps promise cannot be set. workdir: a descriptor on the disk that disk_bytes_per_s is
 * about, -1: none. */
int cgroup_get(struct cgroup_base *b, const struct sandbox_limits *l, int workdir,
	       struct cgroup **ret, struct err *e);
/* Give it back. One that still has a process (in a system call that does not end) goes with the base. */
void cgroup_put(struct cgroup *g);
int cgroup_limit(struct cgroup *g, const struct sandbox_limits *l, int workdir, struct err *e);
/* In the child, between clone and exec: join all of its hierarchies. 0 or -errno. Only system calls. */
int cgroup_join(const struct cgroup *g);
/* The same for another process, by descriptors that cgroup_doors opened (CLOEXEC, the caller's) for who has not the group's
 * directories: how many, or -errno. */
#define CGROUP_DOORS 8
int cgroup_doors(const struct cgroup *g, int ret[static CGROUP_DOORS]);
int cgroup_join_by(const int *doors, int n, pid_t pid);
void cgroup_kill(struct cgroup *g);
int cgroup_freeze(struct cgroup *g, bool frozen);
void cgroup_each_pid(const struct cgroup *g, void (*fn)(void *arg, pid_t pid), void *arg);
bool cgroup_empty(const struct cgroup *g);
/* Use since cgroup_get; what no controller counts is left 0. Asked for once more when the group is empty,
 * just before cgroup_put, it is not read again there. */
void cgroup_usage(struct cgroup *g, struct sandbox_usage *ret);
