/* SPDX-License-Identifier: MIT */
/* guest.h - the parts of symbi-guest, pid 1 of a microVM. L4; single-threaded. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "sandbox/vm_wire.h"

struct guest {
	int port;    /* to the host */
	int signals; /* SIGCHLD */
	struct vm_run run;
	char *program, *cwd, **argv, **envp; /* of the program, in the memory of the frame that brought them */
	pid_t pid;
	int stream[3];	    /* our ends of its pipes; -1: closed */
	char in[VM_WINDOW]; /* on the way to its standard input */
	size_t in_len;
	bool in_closed;	   /* no more will come */
	uint32_t away[3];  /* bytes sent that are not acknowledged yet */
	bool ended;	   /* the program did: */
	struct vm_ended end;
};

/* ---- place.c: each ends the guest with VM_FAILED where it cannot do its part ---- */

/* Load the modules of the image, in their order, and open the port once it is there. */
void place_open_port(struct guest *g);
/* What does not depend on what is to be run: a guest is kept as it is behind this (sandbox/vm_warm.c). */
void place_prepare(struct guest *g);
/* The file systems that the program sees, at ROOT; its limits, clock and random numbers. */
void place_make(struct guest *g);
#define ROOT  "/r"
#define GROUP "/cg/program"
/* What the group counted. */
void place_counts(struct vm_ended *ret);
/* Let go what was written and is still in memory. */
void place_leave(const struct guest *g);

/* ---- program.c ---- */

/* Start it: VM_STARTED, or VM_FAILED and the end. */
void program_start(struct guest *g);
/* Reap. When it was the program that ended, end all that it left. */
void program_reap(struct guest *g);

/* ---- main.c ---- */

void guest_send(const struct guest *g, enum vm_what what, int stream, const void *data, uint32_t len);
/* Say that the program cannot be started, and wait for the end. */
_Noreturn void guest_fail(const struct guest *g, int eno, const char *step);
