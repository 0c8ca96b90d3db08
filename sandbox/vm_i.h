/* SPDX-License-Identifier: MIT */
/* vm_i.h - between vm.c and vm_start.c: the shim of one microVM. L1; single-threaded. */
#pragma once

#include "sandbox/shim.h"
#include "sandbox/vm.h"

struct output {
	bool regular, closing;
	size_t len;
	char data[VM_WINDOW]; /* not yet written */
};

struct vm {
	const struct spawn_start *start;
	struct sandbox_layers layers;
	uint64_t id;
	int report, signals, port, log;
	char warm[VM_WARM_PATH]; /* where its waiting guest is kept, or to be kept: */
	int saving, ram, qmp;	 /* saving -1: it is not to be */
	bool restored;		 /* it began there */
	int stdio[3]; /* -1: closed */
	pid_t box, qemu;
	uint64_t ready_by; /* 0: it is */
	bool started, told, over, ending;
	struct vm_ended end; /* told: as the guest says, or what its output came to */
	struct vm_failed failed;
	const char *wrong; /* the guest broke the rules */
	char *queue; /* to the guest */
	size_t queued, sent;
	uint32_t away; /* of standard input, not acknowledged */
	struct output out[3];
	struct vm_reader in;
};

/* Tell the guest what to run. */
void vm_say_run(struct vm *v);
/* Until its program has ended and what it wrote is written, or something is wrong: with QEMU, the guest, the spawner. */
void vm_serve(struct vm *v);
/* Why it never ran. */
void vm_why_not(const struct vm *v, struct err *e);
uint64_t vm_clock_ms(void); /* of a clock that only runs forward */
