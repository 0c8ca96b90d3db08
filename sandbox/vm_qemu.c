/* SPDX-License-Identifier: MIT */
/* vm_qemu.c - QEMU's microvm machine: whether it can be had here, how it is called, what it costs. L1. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "sandbox/box_i.h"
#include "sandbox/vm.h"

#define MIB	      (1ull << 20)
#define UNLIMITED_MIB 1024u /* of a program without a limit */
#define KERNEL_MIB    96u   /* of the guest's kernel, pid 1 and page tables; and of each MiB: */
#define KERNEL_SHARE  32u   /* a 32nd, for its table of pages */
#define QEMU_MIB      224u  /* its code, translated code, 9p's buffers */
#define TRANSLATED    "64"  /* MiB of translated code */
#define THREADS	      160u  /* one a processor, its own, 64 that serve files; and the shim */
#define CPUS_MAX      8u

uint32_t vm_memory_mib(uint64_t program_bytes)
{
	uint64_t mib = program_bytes ? (program_bytes + MIB - 1) / MIB : UNLIMITED_MIB;
	mib += KERNEL_MIB + mib / KERNEL_SHARE;
	return (uint32_t)((mib + 15) / 16 * 16);
}

struct sandbox_limits vm_outer_limits(const struct sandbox_limits *l)
{
	struct sandbox_limits outer = *l;
	outer.memory_bytes = (vm_memory_mib(l->memory_bytes) + QEMU_MIB) * MIB;
	outer.pids = THREADS;
	if (l->cpu_seconds) /* inside it is exact; this holds a guest that does not keep it, and the kernel's start */
		outer.cpu_seconds = l->cpu_seconds + 60;
	return outer;
}

/* ---- the command ---- */

void vm_word(struct vm_command *c, const char *fmt, ...)
{
	va_list ap;
	size_t room = sizeof c->text - c->used;
	va_start(ap, fmt);
	int n = vsnprintf(c->text + c->used, room, fmt, ap);
	va_end(ap);
	c->full |= n < 0 || (size_t)n >= room || c->n + 2 > VM_WORDS;
	if (c->full)
		return;
	c->argv[c->n++] = c->text + c->used;
	c->argv[c->n] = NULL;
	c->used += (size_t)n + 1;
}

/* In a list of options a comma is written twice. */
static void quoted(const char *path, char ret[static 2 * PATH_MAX])
{
	size_t n = 0;
	for (; *path && n + 2 < 2 * PATH_MAX; path++) {
		if (*path == ',')
			ret[n++] = ',';
		ret[n++] = *path;
	}
	ret[n] = 0;
}

static void share(struct vm_command *c, const char *tag, const char *path, const char *more)
{
	char name[2 * PATH_MAX];
	quoted(path, name);
	vm_word(c, "-fsdev");
	vm_word(c, "local,id=%s,path=%s,security_model=none,multidevs=remap%s", tag, name, more);
	vm_word(c, "-device");
	vm_word(c, "virtio-9p-device,fsdev=%s,mount_tag=%s", tag, tag);
}

/* The kernel is told what it would else measure: under TCG it measures wrongly, and every second start hangs. */
static void add_kernel(struct vm_command *c, bool kvm)
{
	vm_word(c, "-kernel");
	vm_word(c, "%s/" VM_KERNEL, BOX_IMAGE);
	vm_word(c, "-initrd");
	vm_word(c, "%s/" VM_INITRD, BOX_IMAGE);
	vm_word(c, "-append");
	vm_word(c, "rdinit=/init quiet panic=-1 reboot=t random.trust_cpu=on cryptomgr.notests 8250.nr_uarts=0 i8042.nokbd i8042.noaux "
	       "audit=0 lsm= %s",
	    kvm ? "" : "tsc_early_khz=2000000 lpj=4000000 mitigations=off nopti");
}

void vm_qemu_command(struct vm_command *c, const struct spawn_start *s, const struct vm_image *image)
{
	bool kvm = strcmp(image->accel, "kvm") == 0;
	uint32_t cpus = (s->limits.cpu_millis + 999) / 1000;
	long most = sysconf(_SC_NPROCESSORS_ONLN);
	cpus = cpus > CPUS_MAX ? CPUS_MAX : cpus;
	cpus = most > 0 && cpus > (uint32_t)most ? (uint32_t)most : cpus;
	*c = (struct vm_command){0};
	vm_word(c, "qemu-system-x86_64");
	static const char *const fixed[] = {"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-sandbox",
					    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", "-machine",
					    "microvm,isa-serial=off,memory-backend=ram"};
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		vm_word(c, "%s", fixed[i]);
	vm_word(c, "-accel");
	vm_word(c, "%s", kvm ? "kvm" : "tcg,tb-size=" TRANSLATED);
	vm_word(c, "-cpu");
	vm_word(c, "%s", kvm ? "host" : "max,la57=off,erms=off,fsrm=off");
	vm_word(c, "-smp");
	vm_word(c, "%u", cpus ? cpus : 1);
	vm_word(c, "-m");
	vm_word(c, "%u", vm_memory_mib(s->enforce ? s->limits.memory_bytes : 0));
	add_kernel(c, kvm);
	vm_word(c, "-device");
	vm_word(c, "virtio-serial-device");
	vm_word(c, "-device");
	vm_word(c, "virtserialport,chardev=port,name=symbi,nr=1");
	share(c, "root", "/", ",readonly=on");
	share(c, "work", s->cwd, "");
	share(c, "symbi", s->view ? SANDBOX_SYMBI : BOX_IMAGE, ""); /* every guest has the same devices */
}

/* ---- the driver ---- */

/* KVM is used where who made the image asked for it, and is never tried: a try can hang a machine that nests it badly. */
static int check_accel(const struct vm_image *i, struct err *e)
{
	struct stat st;
	if (strcmp(i->accel, "kvm") != 0)
		return 0;
	if (stat("/dev/kvm", &st) == 0 && (st.st_mode & 06) == 06)
		return 0;
	return err_set(e, ERR_SEC_TIER,
		       "the image in '%s' is for KVM, and there is no /dev/kvm that every user may open: allow it (chmod 666 /dev/kvm), "
		       "or make the image with --accel tcg", i->dir);
}

static int available(struct sandbox_layers *ret, struct err *e)
{
	struct vm_image image;
	int r = box_available(ret, e);
	if (r < 0)
		return r;
	if (access(VM_QEMU, X_OK) < 0)
		return err_set(e, ERR_SEC_TIER, "there is no " VM_QEMU ": install it (Debian: apt-get install qemu-system-x86)");
	r = vm_image_find(&image, e);
	if (r == 0)
		r = check_accel(&image, e);
	ret->active |= LAYER_BIT(LAYER_KERNEL);
	return r;
}

const struct sandbox_driver vm_qemu = {
	.name = "qemu",
	.tier = TIER_3,
	.networks = 1u << NETWORK_NONE,
	.doc = "a microVM by QEMU: a kernel of its own, and around QEMU what holds a program of driver 'proc'",
	.available = available,
};
