/* SPDX-License-Identifier: MIT */
/* oci.h - programs in containers of an OCI runtime (runc, crun, runsc) or of an engine that speaks Docker's API (docker,
 * podman): a bundle made from the start that the spawner would do itself, and a shim that has it run. L1; single-threaded.
 *
 * The shim is the spawner's child and stands for the program: signals to it are handed on, it ends as the program
 * ended, and all that the runtime leaves running is below it and in the job's cgroup. Limits are that cgroup's; the
 * runtimes are kept from making groups of their own, but for runc, which insists on one for devices. A bundle is a
 * directory; with it goes everything that a runtime remembers of its container.
 *
 * An engine's containers are children of its daemon, in groups of its choice. So symbi-init, pid 1 of each, first comes to
 * a socket of the shim's: that tells its pid, the shim moves it into the job's cgroup, and only then hands it the program's
 * own streams. What follows is as for a runtime: the same limits, kill, freeze and usage, and nothing passes through the
 * engine's daemon. symbi-engine (cmd/symbi-engine) translates the bundle into the engine's words. */
#pragma once

#include "sandbox/keeper.h"

struct oci_runtime {
	const char *name;            /* also of its command and its driver */
	const char *const *flags;    /* NULL-ended, before the command word */
	bool gvisor;                 /* a kernel of its own */
	bool own_group;              /* makes a cgroup for devices whatever it is told */
	const char *engine;          /* where its socket lies unless the environment says otherwise; NULL: a runtime */
	const char *engine_env;      /* that variable: unix://PATH */
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

/* ---- oci_engine.c ---- */

#define OCI_STREAMS "streams" /* below a bundle: the socket to which symbi-init comes */
struct oci_guest { /* pid 1 of an engine's container */
	int listener;	      /* -1: it has come */
	int doors[CGROUP_DOORS], doors_n;
	int pidfd;	      /* -1: it has not come, or is gone */
};

/* The socket of an engine, from its variable or where it lies by default. 0, or -EINVAL when the variable names none. */
int oci_engine_socket(const struct oci_runtime *r, char ret[static PATH_MAX], struct err *e);
/* Does somebody listen there? Nobody is waited for: whether it is an engine shows when it is asked for a container. */
int oci_engine_listens(const char *socket, struct err *e);
/* Wait for it below dir: the socket for s->uid. 0 or -errno. */
int oci_guest_expect(struct oci_guest *g, const char *dir, const struct spawn_start *s);
/* It comes: see that at least the layers of *l hold it and its view is s->view, and say there which layers do; put it into the cgroup and give it the
 * streams. 0, or -errno: then it is gone. */
int oci_guest_arrives(struct oci_guest *g, const struct spawn_start *s, const int stdio[3], struct sandbox_layers *l,
		      struct err *e);
void oci_guest_signal(const struct oci_guest *g, int sig);

/* ---- oci_bundle.c ---- */

/* Make the bundle: rootfs, config.json and the file that tells how it went. 0 or -errno. */
int oci_bundle(const struct spawn_start *s, const struct oci_runtime *r, const char *dir, struct err *e);
#define OCI_IMAGE "symbi.image" /* the annotation that names an engine's image, which is the root then */
#define OCI_SYMBI "/symbi" /* in it, a mount in the namespace of who makes the bundle when the start has a view */
/* In the cgroup hierarchy of devices. */
void oci_group_name(const char *dir, char ret[static 32]);

/* ---- drivers, for the registry ---- */

struct sandbox_driver;
extern const struct sandbox_driver oci_crun, oci_runc, oci_runsc, oci_docker, oci_podman;
