/* SPDX-License-Identifier: MIT */
/* cgroup_i.h - between cgroup.c, cgroup_find.c and cgroup_file.c. L1. */
#pragma once

#include "sandbox/cgroup.h"

enum controller { MEMORY, CPU, PIDS, IO, CPUACCT, FREEZER, UNIFIED, CONTROLLERS };

#define DISKS_MAX 8

struct cgroup_base {
	char *path[CONTROLLERS]; /* our directory in its hierarchy; NULL: not to be had */
	int dir[CONTROLLERS];    /* the same, opened; -1: not to be had */
	bool v2[CONTROLLERS];    /* in the unified hierarchy, where it shares UNIFIED's directory */
	bool twice[CONTROLLERS]; /* the same directory as an earlier one's (cpu,cpuacct) */
	struct cgroup *spare;
	unsigned spares, next;
	struct {
		dev_t of;
		char disk[24]; /* "8:0"; "" when there is none */
	} disks[DISKS_MAX];
	unsigned disks_n;
};

/* ---- cgroup_find.c: where groups can be made ---- */

/* Fill path, dir, v2 and twice. */
void cgroup_find(struct cgroup_base *b, const char *name);

/* ---- cgroup_file.c: files of a group; group is its name below dir, "" for dir itself ---- */

int cg_write(int dir, const char *group, const char *file, const char *text); /* 0 or -errno */
int cg_write_num(int dir, const char *group, const char *file, uint64_t n);
/* The text, cut at cap - 1, NUL-ended; its length, or -1 with "" in out. */
ssize_t cg_read(int dir, const char *group, const char *file, char *out, size_t cap);
uint64_t cg_read_num(int dir, const char *group, const char *file);
/* The number behind "key " at a line's start; 0 when there is none. */
uint64_t cg_read_key(int dir, const char *group, const char *file, const char *key);
bool cg_writable(int dir, const char *group, const char *file);
/* Call fn for each process of the group; how many there were. */
unsigned cg_each_pid(int dir, const char *group, void (*fn)(void *arg, pid_t pid), void *arg);
/* The whole disk that holds a file of device dev, as "MAJOR:MINOR"; "" when it is on none. */
void cg_disk_of(dev_t dev, char out[static 24]);
/* Is word one of the words of text, parted by blanks and line ends? */
bool cg_has_word(const char *text, const char *word);
