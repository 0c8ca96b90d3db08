/* SPDX-License-Identifier: MIT */
/* bench_tiers.c - what each driver that this machine has costs, beside what does the same without us: a start until its end
 * of a static program and of Python, starts a second, memory of a sandbox that sleeps, system calls inside. usage:
 * bench_tiers [ROUNDS]
 *
 * Beside a driver stands the least that makes the same kind of sandbox: posix_spawn and bubblewrap beside proc; the bare
 * runtime with a bundle of its own beside crun, runc and runsc; the engine's own command beside docker and podman. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/parse.h"
#include "measure.h"
#include "sandbox/proctree.h"
#include "spawner.h"

#define SLEEPERS 30
#define BURST	 100

static struct spawner b;
static unsigned rounds = 20;

/* ---- what it is measured beside ---- */

/* A root of directories and links, as distributions have it, and what is bound over them. */
static const char *const links[][2] = {{"bin", "usr/bin"}, {"lib", "usr/lib"}, {"lib64", "usr/lib64"}, {"sbin", "usr/sbin"}};

static void make_bundle(char *const *argv, char ret[static PATH_MAX])
{
	static unsigned n;
	char path[PATH_MAX + 32];
	snprintf(ret, PATH_MAX, "%s/bundle%u", b.scratch.dir, n++);
	mkdir(ret, 0755);
	snprintf(path, sizeof path, "%s/rootfs", ret);
	mkdir(path, 0755);
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		snprintf(path, sizeof path, "%s/rootfs/%s", ret, links[i][0]);
		if (symlink(links[i][1], path) < 0)
			die("%s", path);
	}
	json_t *args = json_array();
	for (char *const *a = argv; *a; a++)
		json_array_append_new(args, json_string(*a));
	json_t *c = json_pack(
		"{ss s{ss sb} ss s{sb s{si si} so s[s] ss sb} s[{ss ss ss} {ss ss ss} {ss ss ss s[ss]} {ss ss ss s[ss]}] "
		"s{s[{ss}{ss}{ss}{ss}{ss}]}}",
		"ociVersion", "1.0.2", "root", "path", "rootfs", "readonly", 0, "hostname", "floor", "process", "terminal", 0,
		"user", "uid", BOXED_UID, "gid", BOXED_UID, "args", args, "env", "PATH=/usr/bin:/bin", "cwd", "/",
		"noNewPrivileges", 1, "mounts", "destination", "/proc", "type", "proc", "source", "proc", "destination", "/dev",
		"type", "tmpfs", "source", "tmpfs", "destination", "/usr", "type", "bind", "source", "/usr", "options", "rbind",
		"ro", "destination", b.cwd, "type", "bind", "source", b.cwd, "options", "rbind", "rw", "linux", "namespaces",
		"type", "pid", "type", "mount", "type", "network", "type", "ipc", "type", "uts");
	snprintf(path, sizeof path, "%s/config.json", ret);
	if (!c || json_dump_file(c, path, 0) < 0)
		die("%s", path);
	json_decref(c);
}

static double bare_runtime_us(const char *name, char *const *argv)
{
	static unsigned n;
	char bundle[PATH_MAX], line[2 * PATH_MAX];
	make_bundle(argv, bundle);
	/* As our shim has it: without cgroup hierarchies at which they balk. */
	snprintf(line, sizeof line,
		 "for d in /sys/fs/cgroup/*; do case $d in */devices) ;; *) umount -l \"$d\" 2>/dev/null ;; esac; done; "
		 "exec %s --root '%s/state' %s run --bundle '%s' floor-%d-%u",
		 name, b.scratch.dir,
		 strcmp(name, "runsc") == 0  ? "--ignore-cgroups --network=none --overlay=false --platform=ptrace"
		 : strcmp(name, "crun") == 0 ? "--cgroup-manager=disabled"
					     : "",
		 bundle, getpid(), n++);
	char *shell[] = {"unshare", "-m", "sh", "-c", line, NULL};
	return process_us(shell, 1);
}

/* podman has no client here that asks the same service. */
static double docker_us(char *const *argv)
{
	const char *host = getenv("DOCKER_HOST");
	char *words[32] = {"docker", "-H", (char *)(host ? host : "unix:///run/docker.sock"), "run", "--rm", "--network", "none",
			   "--read-only", "--log-driver", "none", "-v", "/usr:/usr:ro"};
	char work[2 * PATH_MAX], line[2 * PATH_MAX];
	size_t n = 12;
	static char image[64];
	if (!*image) { /* of ours: one is there once a start of ours has been */
		snprintf(line, sizeof line, "docker -H '%s' images -q 'localhost/symbi-root-*' 2>/dev/null | head -n 1", words[2]);
		FILE *f = popen(line, "r");
		if (f && !fgets(image, sizeof image, f))
			*image = 0;
		if (f)
			pclose(f);
		image[strcspn(image, "\n")] = 0;
	}
	if (!*image)
		return -1;
	snprintf(work, sizeof work, "%s:%s", b.cwd, b.cwd);
	words[n++] = "-v";
	words[n++] = work;
	words[n++] = image;
	for (char *const *a = argv; *a && n + 1 < ARRAY_LEN(words); a++)
		words[n++] = *a;
	return process_us(words, 1);
}

static double bare_us(const char *driver, char *const *argv)
{
	if (strcmp(driver, "proc") == 0)
		return bubblewrap_us(&b, argv);
	if (strcmp(driver, "docker") == 0)
		return docker_us(argv);
	if (b.tier == TIER_3 || strcmp(driver, "podman") == 0) /* tests/bench/vm.py has QEMU alone */
		return -1;
	return bare_runtime_us(driver, argv);
}

/* ---- a start until its end ---- */

static void measure_starts(const char *what, char *const *argv, double bound)
{
	struct samples ours = {0}, bare = {0}, process = {0};
	char text[96];
	b.argv = argv;
	spawner_us(&b, 1);
	bool has = bare_us(b.driver, argv) > 0;
	unsigned n = b.tier > TIER_1 || strcmp(b.driver, "docker") == 0 || strcmp(b.driver, "podman") == 0 ? (rounds + 3) / 4 : rounds;
	for (unsigned i = 0; i < n; i++) {
		samples_add(&ours, spawner_us(&b, 1) / 1000);
		samples_add(&process, process_us(argv, 1) / 1000);
		if (has)
			samples_add(&bare, bare_us(b.driver, argv) / 1000);
	}
	double mine = samples_median(&ours);
	if (has) {
		snprintf(text, sizeof text, "%s, %s: start to exit, beside %s", b.driver, what,
			 strcmp(b.driver, "proc") == 0 ? "bubblewrap" : "it alone");
		figure_print(&(struct figure){text, "ms", mine, samples_median(&bare), bound > 0 ? GOAL_RATIO_MAX : GOAL_NONE, bound});
	}
	snprintf(text, sizeof text, "%s, %s: beside posix_spawn", b.driver, what);
	figure_print(&(struct figure){text, "ms", mine, samples_median(&process), GOAL_NONE, 0});
	samples_done(&ours);
	samples_done(&bare);
	samples_done(&process);
}

/* ---- many at once; asleep ---- */

static void measure_burst(char *const *argv)
{
	char text[96];
	unsigned n = b.tier > TIER_1 ? 10 : BURST;
	b.argv = argv;
	snprintf(text, sizeof text, "%s: starts a second, %u at once", b.driver, n);
	double floor = strcmp(b.driver, "proc") == 0 ? 0 : -1;
	if (floor == 0) { /* bubblewrap, as many at once as there are processors */
		char line[PATH_MAX];
		snprintf(line, sizeof line,
			 "seq %u | xargs -P %ld -I{} bwrap --unshare-all --die-with-parent --ro-bind /usr /usr --symlink usr/lib /lib "
			 "--symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp --bind %s %s %s",
			 n, sysconf(_SC_NPROCESSORS_ONLN), b.cwd, b.cwd, argv[0]);
		char *shell[] = {"sh", "-c", line, NULL};
		double us = process_us(shell, 1);
		floor = us > 0 ? n / us * 1e6 : 0;
	}
	figure_print(&(struct figure){text, "/s", n / spawner_us(&b, n) * 1e6, floor > 0 ? floor : 0,
				      floor > 0 ? GOAL_RATIO_MIN : GOAL_NONE, 2});
}

static double pss_of(pid_t pid)
{
	char path[64], line[128];
	unsigned long kb = 0;
	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f) && sscanf(line, "Pss: %lu", &kb) != 1)
		;
	if (f)
		fclose(f);
	return (double)kb * 1024;
}

static void add_pss(void *arg, pid_t pid)
{
	*(double *)arg += pss_of(pid);
}

/* Everything below the spawner, and itself, less what it was without them and less the programs themselves. */
static void measure_memory(char *const *sleeper)
{
	char text[96];
	double before = pss_of(b.pid), after = pss_of(b.pid), program;
	unsigned n = b.tier > TIER_1 ? 4 : SLEEPERS;
	uint64_t ids[SLEEPERS];
	pid_t alone = fork();
	if (alone == 0) {
		execv(sleeper[0], sleeper);
		_exit(127);
	}
	proctree_each(b.pid, add_pss, &before);
	b.argv = sleeper;
	b.started = b.ended = 0;
	for (unsigned i = 0; i < n; i++)
		ids[i] = spawner_start(&b);
	while (b.started < n)
		uv_run(&b.loop.uv, UV_RUN_ONCE);
	usleep(300000);
	program = pss_of(alone);
	after = pss_of(b.pid);
	proctree_each(b.pid, add_pss, &after);
	snprintf(text, sizeof text, "%s: memory of one asleep, beyond its program", b.driver);
	figure_print(&(struct figure){text, "MiB", ((after - before) / n - program) / (1 << 20), 0, GOAL_OURS_MAX, 1});
	for (unsigned i = 0; i < n; i++)
		sandbox_kill(b.client, ids[i], NULL);
	spawner_wait(&b, n);
	kill(alone, SIGKILL);
	waitpid(alone, NULL, 0);
}

/* ---- system calls inside ---- */

static const char calls[] =
	"#include <fcntl.h>\n#include <stdio.h>\n#include <sys/syscall.h>\n#include <time.h>\n#include <unistd.h>\n"
	"static double ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e9 + t.tv_nsec; }\n"
	"int main(int argc, char **argv) { enum { N = 20000 }; double a = ns(); FILE *f;\n"
	"  for (int i = 0; i < N; i++) syscall(SYS_getppid); double b = ns();\n"
	"  for (int i = 0; i < N; i++) close(open(\"/usr/bin/env\", O_RDONLY)); double c = ns();\n"
	"  f = fopen(argv[argc - 1], \"w\"); if (!f) return 1;\n"
	"  fprintf(f, \"%f %f\\n\", (b - a) / N, (c - b) / N); return fclose(f) != 0; }\n";

static void read_calls(const char *path, double ret[2])
{
	FILE *f = fopen(path, "re");
	if (!f || fscanf(f, "%lf %lf", &ret[0], &ret[1]) != 2)
		die("%s", path);
	fclose(f);
}

static void measure_calls(const char *program)
{
	static const char *const names[2] = {"getppid", "open and close"};
	struct samples ours[2] = {0}, native[2] = {0};
	char text[96], out[PATH_MAX];
	double ns[2];
	snprintf(out, sizeof out, "%s/calls.out", b.cwd);
	char *argv[] = {(char *)program, out, NULL};
	b.argv = argv;
	for (unsigned i = 0; i < 5; i++) {
		spawner_us(&b, 1);
		read_calls(out, ns);
		for (int k = 0; k < 2; k++)
			samples_add(&ours[k], ns[k]);
		unlink(out);
		if (process_us(argv, 1) < 0)
			die("%s", program);
		read_calls(out, ns);
		for (int k = 0; k < 2; k++)
			samples_add(&native[k], ns[k]);
		unlink(out);
	}
	for (int k = 0; k < 2; k++) {
		snprintf(text, sizeof text, "%s: %s inside, beside native", b.driver, names[k]);
		figure_print(&(struct figure){text, "ns", samples_median(&ours[k]), samples_median(&native[k]),
					      k == 1 && strcmp(b.driver, "proc") == 0 ? GOAL_RATIO_MAX : GOAL_NONE, 1.45});
		samples_done(&ours[k]);
		samples_done(&native[k]);
	}
}

int main(int argc, char **argv)
{
	uint64_t n = rounds;
	if (argc > 2 || (argc == 2 && parse_u64(argv[1], 1, 100000, &n, NULL) < 0)) {
		fputs("usage: bench_tiers [ROUNDS]\n", stderr);
		return 2;
	}
	rounds = (unsigned)n;
	spawner_open(&b);
	if (geteuid() == 0 && chown(b.cwd, BOXED_UID, BOXED_UID) < 0)
		die("%s", b.cwd);
	char *nothing[] = {spawner_build(&b, "true-static", "int main(void) { return 0; }\n", "-static"), NULL};
	char *python[] = {"/usr/bin/python3", "-c", "import sys; sys.stderr.write('')", NULL};
	char *sleeper[] = {spawner_build(&b, "asleep", "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n", "-static"), NULL};
	char *caller = spawner_build(&b, "calls", calls, "-static");
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++) {
		struct err e = {0};
		if ((*d)->tier == TIER_NONE)
			continue;
		if ((*d)->available(&(struct sandbox_layers){0}, &e) < 0) {
			fprintf(stderr, "bench_tiers: no %s: %s\n", (*d)->name, e.msg);
			continue;
		}
		b.tier = (*d)->tier;
		b.driver = (*d)->name;
		const char *name = b.driver;
		measure_starts("static program", nothing,
			       strcmp(name, "proc") == 0 ? 0.6 : strcmp(name, "crun") == 0 ? 1.15 : strcmp(name, "runsc") == 0 ? 1.1 : 0);
		measure_starts("Python", python, 0);
		measure_burst(nothing);
		measure_memory(sleeper);
		measure_calls(caller);
	}
	free(nothing[0]);
	free(sleeper[0]);
	free(caller);
	spawner_close(&b);
	return 0;
}
