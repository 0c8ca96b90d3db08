/* SPDX-License-Identifier: MIT */
/* cgroup.h - groups of processes behind one interface for cgroup v1, v2 and a mix of both. L1; used by
 * the spawner's single thread.
 *
 * Each controller is used where it can be written: in the unified hierarchy when it is delegated there,
 * else in its own v1 hierarchy. Kill and freeze use v2's cgroup.kill and cgroup.freeze, which need no
 * controller, else v1's freezer. */
#pragma once

#include <sys/types.h>

#include "sandbox/sandbox.h"

struct cgroup_base;
struct cgroup;

/* Find what can be written and make the directory `name` in each hierarchy. Never fails for want of
 * cgroups: caps say what is missing. NULL only when there is no memory. */
struct cgroup_base *cgroup_base_open(const char *name, struct sandbox_caps *ret);
void cgroup_base_close(struct cgroup_base *b); /* kills and removes all */
/* Remove and kill what a spawner of this name left behind. */
void cgroup_base_cleanup(const char *name);

/* A group, new or used again. NULL when there are no cgroups. */
struct cgroup *cgroup_get(struct cgroup_base *b);
void cgroup_put(struct cgroup *g); /* must be empty of processes */
int cgroup_limit(struct cgroup *g, const struct sandbox_limits *l); /* best effort per controller */
/* Descriptor for clone3's CLONE_INTO_CGROUP, -1 when the unified hierarchy cannot be used. */
int cgroup_clone_fd(const struct cgroup *g);
/* In the child, between clone and exec: join the other hierarchies. 0 or -errno. */
int cgroup_join(const struct cgroup *g);
void cgroup_kill(struct cgroup *g);
int cgroup_freeze(struct cgroup *g, bool frozen);
bool cgroup_empty(const struct cgroup *g);
bool cgroup_oom(struct cgroup *g); /* since cgroup_limit */
void cgroup_usage(const struct cgroup *g, struct sandbox_usage *ret);
