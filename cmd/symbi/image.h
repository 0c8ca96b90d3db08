/* SPDX-License-Identifier: MIT */
/* image.h - the parts of `symbi sandbox image build`: what microVMs start from (sandbox/vm.h), made of a kernel package of the
 * machine's distribution and our own symbi-guest. L4; one thread. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "lib/buf.h"
#include "lib/err.h"

/* ---- image_unpack.c ---- */

/* Is text[0..len) compressed in a way that we know? */
bool unpack_known(const char *data, size_t len);
/* Decompress it into the empty file `to`, by the system's program for it. 0 or -errno. name is for messages. */
int unpack(const char *data, size_t len, int to, const char *name, struct err *e);
/* Write to `to` the uncompressed kernel that is in the file at path, a bzImage or an ELF file. It must be one that a microVM
 * can start directly (PVH). 0, or -errno SEC_002 with what is missing. */
int unpack_kernel(const char *path, int to, struct err *e);

/* ---- image_modules.c ---- */

struct modules;
struct module { /* uncompressed */
	const char *name; /* with '_' for '-' */
	char *data;
	size_t len;
};
/* Those of one kernel, in the directory MODULES/VERSION. NULL with the reason. */
struct modules *modules_open(const char *dir, struct err *e);
void modules_close(struct modules *m);
/* Call fn for the module `name` and before that for all that it needs, each once in the life of m; what is built into the
 * kernel is passed over. 0 or -errno. */
int modules_each(struct modules *m, const char *name, int (*fn)(void *arg, const struct module *), void *arg, struct err *e);

/* ---- image_cpio.c: an initramfs (Documentation/driver-api/early-userspace/buffer-format.rst of Linux) ---- */

struct cpio {
	FILE *f;
	unsigned inode;
	size_t written;
};
/* mode with its type: a directory has no data. A failure shows in ferror(c->f). */
void cpio_add(struct cpio *c, const char *path, unsigned mode, const char *data, size_t len);
void cpio_end(struct cpio *c);

/* ---- cmd_image.c ---- */

struct command;
/* `symbi sandbox image ...`; argv[0] is "image". The exit status. */
int sandbox_image(const struct command *c, int argc, char **argv);
