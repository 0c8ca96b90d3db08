/* SPDX-License-Identifier: MIT */
/* vm_wire.h - what a microVM's host (vm.c) and its guest's pid 1 (cmd/symbi-guest) say to each other. L1; stands alone.
 *
 * A stream of frames: a struct vm_frame, then `len` bytes. Both ends are of one build and one machine: structs are their
 * own format. Each end keeps at most VM_WINDOW bytes of a standard stream on the way until they are acknowledged, so a
 * stream that nobody reads holds up no other one, nor a signal. */
#pragma once

#include <stdint.h>

#define VM_PORT		"/dev/vport0p1" /* in the guest */
#define VM_WINDOW	65536u
#define VM_TEXT_MAX	(4u << 20) /* strings of a start */
#define VM_FRAME_MAX	(VM_TEXT_MAX + 4096u)
#define VM_SEED		64
#define VM_VERSION	1

enum vm_what {
	/* to the guest */
	VM_RUN = 1, /* struct vm_run and its strings: program, cwd, argv..., envp..., each ended by NUL */
	VM_SIGNAL,  /* int32_t */
	/* both ways */
	VM_DATA,  /* of stream `stream` */
	VM_ACK,	  /* uint32_t: so many bytes of the stream have been passed on */
	VM_CLOSE, /* no more data, or nobody takes it any more */
	/* to the host */
	VM_READY,   /* uint32_t VM_VERSION: waiting for VM_RUN */
	VM_STARTED,
	VM_FAILED,  /* struct vm_failed: the program never ran; the end */
	VM_ENDED,   /* struct vm_ended: all that it wrote was sent before; the end */
};

struct vm_frame {
	uint16_t what, stream; /* 0 1 2 of VM_DATA, VM_ACK, VM_CLOSE */
	uint32_t len;
};

struct vm_run {
	uint32_t argc, envc, symbi, no_temp;
	uint32_t uid, gid, pids, cpu_seconds; /* 0: no limit, as the rest */
	uint64_t memory_bytes, file_bytes, temp_bytes, time_ns;
	uint32_t temp_inodes, files, files_max, unused;
	uint8_t seed[VM_SEED]; /* of its random numbers */
};

struct vm_failed {
	int32_t eno;
	uint32_t ours; /* not the program's execve: step says what */
	char step[56];
};

struct vm_ended {
	int32_t status; /* as by wait */
	uint32_t unused;
	uint64_t oom_kills, pids_refused;
};
