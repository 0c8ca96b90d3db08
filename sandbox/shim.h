/* SPDX-License-Identifier: MIT */
/* shim.h - what the processes share that stand between spawner and program where the program runs elsewhere: in a container
 * (oci.c), in a microVM (vm.c). L1; single-threaded.
 *
 * A shim is the spawner's child and the job's first process. It tells by keeper_reports that the program runs, with its own
 * pid, or why it does not, and ends as the program ended; signals to it are for the program. */
#pragma once

#include "sandbox/keeper.h"

/* Sent to a shim when its spawner dies: it ends everything then. */
#define SHIM_SPAWNER_DIED SIGRTMAX

/* In the new process: into the job's group, out of the spawner's descriptors but s's streams, directory and the n at kept (keeper.h).
 * `spawner` is its pid. NULL, or the step that failed with errno. */
const char *shim_begin(struct spawn_start *s, int *kept, size_t n, pid_t spawner, uint32_t mark, const char *name);
/* A descriptor that reads its signals; all are blocked. -1 with errno. */
int shim_signals(void);
/* What a shim writes into files for its program is under the program's limit of a file's size. */
void shim_limit_files(const struct spawn_start *s);
void shim_report(int fd, const struct keeper_report *r);
/* End as a program that had this status, as by wait. */
_Noreturn void shim_end_as(int status);
