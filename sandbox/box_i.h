/* SPDX-License-Identifier: MIT */
/* box_i.h - what makes a program's root, shared by boxes and containers. L1. */
#pragma once

#include "sandbox/box.h"

#define BOX_IMAGE "/run/symbi" /* what start->image names */

/* In pid 1 of a new box: make its file system and make it the root. dir is the working directory, opened, or -1: go by
 * s->cwd, which may be NULL for none. NULL, or the step that failed with errno. */
const char *box_view(const struct spawn_start *s, int dir);
/* The i-th path of the machine, relative to its root, that a box shows as it is, read-only; NULL behind the last. */
const char *box_view_seen(size_t i);
/* The agent's part of Symbi's tree, s->view, as a tree of its own, detached (open_tree); -1 with errno. That a directory
 * is this agent's is in its owner: the name may be another's by now, which is ESTALE. */
int box_take_symbi(const struct spawn_start *s);
/* May cwd be a working directory there? */
bool box_place_ok(const char *cwd);
/* Is our root a directory that is no mount point? pivot_root refuses there; false where the kernel does not say. */
bool box_in_chroot(void);
/* The loopback of this process's network namespace is up from now on; false with errno. Bare system calls. */
bool box_loopback_up(void);

/* ---- box_root.c: paths are relative to root, a directory or AT_FDCWD; false with errno ---- */

/* The directories that path needs, the last component included when `all`. */
bool box_make_dirs(int root, const char *path, bool all);
/* A new file with this text, read-only. */
bool box_put(int root, const char *path, const char *text);
/* /etc with the users, groups and hosts that there are for s. */
bool box_make_etc(int root, const struct spawn_start *s);
/* Begin to show what the machine has at /path: its parents are made, a link is copied. *left is the type of what is
 * still to be mounted there, a directory or file (S_IFMT); 0: nothing, it was a link or is not there. */
bool box_show_link(int root, const char *path, mode_t *left);
/* Size of what is temporary, /tmp and /dev/shm each. */
uint64_t box_temp_bytes(const struct spawn_start *s);
#define BOX_TEMP_INODES 16384

/* A namespace of any kind: no program in a sandbox makes one. <sched.h> */
#define CLONE_NEW_ANY                                                                              \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)

/* Sockets of a sandbox, for both writers of filters (box_filter.c, oci_bundle.c). Unix sockets, and of IPv4 and IPv6 these
 * protocols: not SCTP, MPTCP and their like, which every user can make the kernel load. */
extern const unsigned box_protocols[3];
/* The first i-th option that setsockopt may set: `level` and `name`, or name -1: all of that level. false behind the last. No
 * filters in BPF, no other protocol (TLS) laid over TCP. */
bool box_socket_option(size_t i, unsigned *level, int *name);

/* Between clone and exec: what may be written is cwd and what is temporary, by Landlock of this ABI (1 or more). false
 * with errno. */
bool box_landlock(const struct spawn_start *s, uint32_t abi);
/* The same for a process of ours outside of a box: it may read files, and do nothing else to them. */
bool box_landlock_reading(uint32_t abi);
