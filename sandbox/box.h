/* SPDX-License-Identifier: MIT */
/* box.h - what stands between a Tier1 program and the machine: namespaces and a file system of its own, and what
 * the program gives up before it is executed. L1; the spawner's single thread.
 *
 * A box is a process, pid 1 of its namespaces, that reaps orphans and does nothing else. The program joins its
 * namespaces but stays the spawner's child, so that its exit, its signals and its pid are what they are without a
 * box. The death of pid 1 is the death of everything in the box, whatever it did to its sessions and parents. */
#pragma once

#include "sandbox/spawn_child.h"

struct box {
	pid_t pid; /* of its pid 1; reaped by the spawner */
	int fd;    /* pidfd */
	int talk;  /* to pid 1 until the program is in; close both then */
	int door;  /* restricted network: what its door serves; -1: none */
};

/* Make one for s: its working directory and program are seen in it, the rest of the machine is not but for the
 * system's programs, read-only. 0, or -errno with the step that failed; no process is left then. */
int box_make(const struct spawn_start *s, struct box *ret, struct err *e);
/* Signals for its pid 1: stop and continue everything in it, where no cgroup can. */
#define BOX_STOP SIGUSR1
#define BOX_CONT SIGUSR2

/* Can boxes be made here, and what is one made of? Makes one, the first time. 0, or -errno with the reason and what to
 * do. */
int box_available(struct sandbox_layers *ret, struct err *e);

/* Does every box show something at path (absolute, without '.' and '..'), above or below it? Its name then. */
bool box_shows(const char *path, char ret[static 64]);

/* ---- between clone and exec, in the spawner's memory: no allocation, bare system calls ---- */

/* Enter the namespaces of a box; below it the next clone is in its pid namespace. false with errno. */
bool box_enter(const struct box *b);
/* The namespaces of a box, as a set of layers. */
uint32_t box_namespaces(void);
/* Before it changes its ids, which takes the right to do so: no execve may give capabilities back. */
void box_drop_bounds(void);
/* After it: give up what a program has no use for: capabilities, and by Landlock everything that the box shows no need for.
 * What it did is added to l. NULL, or the step that failed with errno. */
const char *box_drop(const struct spawn_start *s, struct sandbox_layers *l);

/* ---- box_filter.c: system calls ---- */

/* Build the filter of system calls (syscalls.def), once. 0, or -errno. */
int box_filter_init(struct err *e);
/* Apply it to this process: between clone and exec, last. false with errno. */
bool box_filter_apply(void);
