/* SPDX-License-Identifier: MIT */
/* vm.h - programs in a microVM: a kernel of their own, by QEMU, which itself runs in a box as a Tier1 program does. L1;
 * single-threaded.
 *
 * A shim (shim.h) makes the box, starts QEMU in it and talks to the guest's pid 1 (cmd/symbi-guest) over a virtio-serial port.
 * What the guest sees of the machine is what the box shows, by 9p: so a guest that takes QEMU over is where a Tier1 program is.
 * Limits of memory and processes hold inside, by the guest's kernel; around it the job's cgroup holds QEMU. */
#pragma once

#include <limits.h>

#include "sandbox/spawn_child.h"
#include "sandbox/vm_wire.h"

/* ---- vm_image.c: the kernel and what it starts ---- */

#define VM_IMAGE_ENV "SYMBI_VM_IMAGE" /* its directory; else `vm` in the state directory that is the default */
#define VM_KERNEL    "vmlinux"	      /* in it */
#define VM_INITRD    "initrd"
#define VM_FACTS     "image" /* written last: without it there is no image */
#define VM_WARM	     "warm"  /* guests that wait for what to run (vm_warm.c) */

struct vm_image {
	char dir[PATH_MAX];
	char kernel[80]; /* its version */
	char accel[8];	 /* "tcg", or "kvm" where that was asked for when it was made */
};
/* Where it is, or is to be made. */
void vm_image_place(char ret[static PATH_MAX]);
/* The image of this machine. 0, or -ENOENT SEC_002 with what makes one, -EPERM when somebody else than root and we could have
 * written it. */
int vm_image_find(struct vm_image *ret, struct err *e);

/* ---- vm_qemu.c ---- */

#define VM_WORDS 64
struct vm_command { /* argv of QEMU */
	const char *argv[VM_WORDS];
	size_t n, used;
	char text[12288];
	bool full; /* there was no room: cannot be used */
};
/* QEMU for s; what it does with descriptors is still to be added. */
void vm_qemu_command(struct vm_command *c, const struct spawn_start *s, const struct vm_image *image);
/* One more word. */
void vm_word(struct vm_command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define VM_QEMU "/usr/bin/qemu-system-x86_64" /* a box shows /usr */
/* The guest's memory in MiB for a program that may have so much (0: no limit). */
uint32_t vm_memory_mib(uint64_t program_bytes);
/* What the cgroup around QEMU is limited to when the program inside is limited to *l. */
struct sandbox_limits vm_outer_limits(const struct sandbox_limits *l);

extern const struct sandbox_driver vm_qemu;

/* ---- vm_talk.c: frames from a guest, which may say anything ---- */

struct vm_reader { /* zero it */
	size_t have, done;
	char data[2 * sizeof(struct vm_frame) + 2 * VM_WINDOW];
};
/* Add what the descriptor has: bytes read, 0 at the end, -errno. */
ssize_t vm_reader_fill(struct vm_reader *r, int fd);
/* The next whole frame that a guest may send: 1 with its body, good until the next call of either; 0: there is none yet; -EBADMSG:
 * what came is none. */
int vm_reader_next(struct vm_reader *r, struct vm_frame *ret, const char **body);
/* The body of a VM_RUN for s: allocated, *len bytes; NULL when it is too long. */
char *vm_run_text(const struct spawn_start *s, uint64_t time_ns, const uint8_t seed[static VM_SEED], size_t *len);

/* ---- vm_warm.c: a guest that waits is kept, so that later ones begin there ---- */

#define VM_WARM_PATH (PATH_MAX + 40)
/* Where the one lies that a guest so called would be. */
void vm_warm_path(const struct vm_image *image, const struct vm_command *c, char ret[static VM_WARM_PATH]);
/* Fill ram, a file of the guest's size, with the memory of the one that is kept. The rest of it, to be read: a descriptor, or -1: there
 * is none. */
int vm_warm_open(const char *path, int ram);
/* For saving: a descriptor, or -1: another is at it, or it cannot be written there, and the guest is not kept. */
int vm_warm_create(const char *path);
/* Keep the waiting guest of the QEMU whose QMP is at descriptor qmp. false: it did not go on. */
bool vm_warm_save(int qmp, int state, int ram, const char *path);
/* Have QEMU, called with `-incoming defer`, begin with what is kept. false: it cannot. */
bool vm_warm_resume(int qmp, int state);
void vm_warm_forget(const char *path);

/* ---- vm.c ---- */

/* Start a shim that runs s in a microVM. Its pid, or -errno. */
pid_t vm_start(const struct spawn_start *s, const struct sandbox_layers *layers, uint64_t id, int report, uint32_t mark,
	       struct err *e);
