/* SPDX-License-Identifier: MIT */
/* oci.h - programs in containers of an OCI runtime (runc, crun, runsc): a bundle made from the start that the spawner
 * would do itself, and a shim that has the runtime run it. L1; single-threaded.
 *
 * The shim is the spawner's child and stands for the program: signals to it are handed on, it ends as the program
 * ended, and all that the runtime leaves running is below it and in the job's cgroup. Limits are that cgroup's; the
 * runtimes are kept from making groups of their own, but for runc, which insists on one for devices. A bundle is a
 * directory; with it goes everything that a runtime remembers of its container. */
#pragma once

#include "sandbox/keeper.h"

struct oci_runtime {
	const char *name;            /* also of its command and its driver */
	const char *const *flags;    /* NULL-ended, before the command word */
	bool gvisor;                 /* a kernel of its own */
	bool own_group;              /* makes a cgroup for devices whatever it is told */
};

/* The runtime of a driver, NULL for a driver that is none. */
const struct oci_runtime *oci_runtime_named(const char *name);
/* Where its command lies: among the system's directories alone. 0 or -errno. */
int oci_command(const struct oci_runtime *r, char ret[static PATH_MAX]);

/* Start a shim that runs s by r in the bundle directory dir, which it makes. Its pid, or -errno. What it tells on
 * report: that the program runs, with the shim's pid, or why it does not; never its end, which is the shim's. */
pid_t oci_start(const struct spawn_start *s, const struct oci_runtime *r, const struct sandbox_layers *layers,
		const char *dir, uint64_t id, int report,
		uint32_t mark, struct err *e);
/* The limit of processes for its cgroup when its program may have `pids` (0: no limit): with the shim and symbi-init,
 * before it runs with the runtime's threads too. gVisor's own count always, and each process of its program is several of
 * the machine's. */
uint32_t oci_pids(const struct oci_runtime *r, uint32_t pids, bool running);
/* Remove a bundle directory, and the cgroup of runc's that belongs to it. Nothing of it may run any more. */
void oci_discard(const char *dir);
/* All that are below `base`. */
void oci_discard_all(const char *base);

/* ---- oci_bundle.c ---- */

/* Make the bundle: rootfs, config.json and the file that tells how it went. 0 or -errno. */
int oci_bundle(const struct spawn_start *s, const struct oci_runtime *r, const char *dir, struct err *e);
#define OCI_SYMBI "/symbi" /* in it, a mount in the namespace of who makes the bundle when the start has a view */
/* In the cgroup hierarchy of devices. */
void oci_group_name(const char *dir, char ret[static 32]);

/* ---- drivers, for the registry ---- */

struct sandbox_driver;
extern const struct sandbox_driver oci_crun, oci_runc, oci_runsc;
