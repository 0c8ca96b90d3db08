/* SPDX-License-Identifier: MIT */
/* doctor_machine.c - what the kernel offers and lets this user use. Each check tries the thing itself
 * where that leaves no trace. L4. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor.h"
#include "lib/mem.h"
#include "sandbox/spec.h"

#define FILES_WANTED 65536

static void check_kernel(const struct checkup *c, struct finding *f)
{
	(void)c;
	struct utsname u;
	unsigned major = 0, minor = 0;
	uname(&u);
	sscanf(u.release, "%u.%u", &major, &minor);
	unsigned version = major * 1000 + minor;
	if (version < 5004)
		finding_set(f, VERDICT_MISSING, "a kernel from 5.4 on is needed (pidfds)", "%s",
			    u.release);
	else if (version < 6009)
		finding_set(
			f, VERDICT_WARN,
			"a kernel from 6.9 on, so that callers do not notice a "
			"crash of the worker",
			"%s has no FUSE_NOTIFY_RESEND: requests that a crashed worker had begun "
			"are lost",
			u.release);
	else
		finding_set(f, VERDICT_OK, NULL, "%s; callers do not notice a crash of the worker",
			    u.release);
}

static void check_fuse(const struct checkup *c, struct finding *f)
{
	(void)c;
	autoclose int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		finding_set(f, VERDICT_OK, NULL, "/dev/fuse can be opened");
	else if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		finding_set(
			f, VERDICT_MISSING,
			"modprobe fuse; in a container --device /dev/fuse. Without it: `symbi up "
			"--no-fuse`, the tree on the socket",
			"/dev/fuse: %s", strerror(errno));
	else
		finding_set(
			f, VERDICT_MISSING,
			"chmod 0666 /dev/fuse, or allow the device to this container. Without it: "
			"`symbi up --no-fuse`, the tree on the socket",
			"/dev/fuse: %s", strerror(errno));
}

static bool in_path(const char *name)
{
	char path[PATH_MAX];
	const char *dirs = getenv("PATH");
	for (const char *p = dirs ? dirs : "/usr/bin:/bin"; *p;) {
		size_t n = strcspn(p, ":");
		snprintf(path, sizeof path, "%.*s/%s", (int)n, p, name);
		if (access(path, X_OK) == 0)
			return true;
		p += n + (p[n] == ':');
	}
	return false;
}

static void check_fusermount(const struct checkup *c, struct finding *f)
{
	(void)c;
	bool there = in_path("fusermount3");
	if (there)
		finding_set(f, VERDICT_OK, NULL, "fusermount3 is installed");
	else if (geteuid() == 0)
		finding_set(f, VERDICT_OK, NULL, "no fusermount3; root mounts without it");
	else
		finding_set(f, VERDICT_MISSING, "apt-get install fuse3",
			    "no fusermount3, by which everybody but root mounts");
}

static bool has_line(const char *path, const char *want)
{
	char line[256];
	bool found = false;
	FILE *file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof line, file)) {
		line[strcspn(line, " \t\r\n#")] = 0;
		found = strcmp(line, want) == 0;
	}
	if (file)
		fclose(file);
	return found;
}

static void check_others(const struct checkup *c, struct finding *f)
{
	(void)c;
	if (geteuid() == 0)
		finding_set(f, VERDICT_OK, NULL, "root's mount is open to all, each by its rights");
	else if (has_line("/etc/fuse.conf", "user_allow_other"))
		finding_set(f, VERDICT_OK, NULL, "user_allow_other is set");
	else
		finding_set(f, VERDICT_WARN,
			    "to let other users in, root adds the line user_allow_other to "
			    "/etc/fuse.conf",
			    "your mount is for you alone");
}

static void check_cgroups(const struct checkup *c, struct finding *f)
{
	(void)c;
	struct sandbox_caps caps;
	sandbox_caps_probe(&caps);
	bool all = caps.memory && caps.cpu && caps.pids && caps.io && caps.freeze && caps.kill;
	char what[160];
	snprintf(what, sizeof what, "version %d:%s%s%s%s%s%s", caps.cgroup_version,
		 caps.memory ? " memory" : "", caps.cpu ? " cpu" : "", caps.pids ? " pids" : "",
		 caps.io ? " io" : "", caps.freeze ? " freeze" : "", caps.kill ? " kill" : "");
	if (all)
		finding_set(f, VERDICT_OK, NULL, "%s", what);
	else if (caps.cgroup_version)
		finding_set(
			f, VERDICT_WARN,
			"boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1) and delegate all "
			"controllers (Delegate=yes)",
			"%s%s%s", what, caps.why[0] ? "; " : "", caps.why);
	else
		finding_set(f, VERDICT_WARN,
			    "run the daemon as root, or as a systemd service or user service with "
			    "Delegate=yes; without it limits are rlimits of single processes",
			    "no group can be made: %s", caps.why);
}

/* In a child, because a namespace cannot be left again. */
static bool can_unshare(void)
{
	int status = 1;
	pid_t pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void check_userns(const struct checkup *c, struct finding *f)
{
	(void)c;
	if (can_unshare())
		finding_set(f, VERDICT_OK, NULL, "user namespaces can be made");
	else
		finding_set(f, VERDICT_WARN,
			    "sysctl user.max_user_namespaces=15000; on Debian also "
			    "kernel.unprivileged_userns_clone=1, on Ubuntu "
			    "kernel.apparmor_restrict_unprivileged_userns=0",
			    "no user namespace can be made: no sandbox without root");
}

static void check_landlock(const struct checkup *c, struct finding *f)
{
	(void)c;
	uint32_t abi = sandbox_landlock_abi();
	int eno = errno;
	if (abi > 0)
		finding_set(f, VERDICT_OK, NULL, "ABI %u", abi);
	else
		finding_set(f, VERDICT_WARN,
			    eno == EOPNOTSUPP
				    ? "boot with landlock in lsm="
				    : "a kernel from 5.13 on with CONFIG_SECURITY_LANDLOCK",
			    "%s; Tier1 is refused but for specs with allow_degraded: true", strerror(eno));
}

static void check_seccomp(const struct checkup *c, struct finding *f)
{
	(void)c;
	unsigned action = SECCOMP_RET_KILL_PROCESS;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		finding_set(f, VERDICT_OK, NULL, "filters that end the whole process");
	else
		finding_set(f, VERDICT_WARN, "a kernel with CONFIG_SECCOMP_FILTER", "%s",
			    strerror(errno));
}

static void check_tiers(const struct checkup *c, struct finding *f)
{
	(void)c;
	char have[900] = "", why[900] = "", layers[SANDBOX_LAYERS_TEXT];
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++) {
		struct err e = {0};
		struct sandbox_layers l = {0};
		size_t n = strlen(have), w = strlen(why);
		int r = (*d)->available(&l, &e);
		sandbox_layers_text(&l, l.active, layers);
		if (r == 0)
			r = sandbox_layers_whole(&l, &e);
		if (r == 0)
			snprintf(have + n, sizeof have - n, "%s%s (%s: %s)", n ? ", " : "",
				 sandbox_tier_name((*d)->tier), (*d)->name, layers);
		else
			snprintf(why + w, sizeof why - w, "%s%s: %.300s", w ? "; " : "", (*d)->name,
				 e.msg);
	}
	finding_set(f, !have[0] ? VERDICT_MISSING : why[0] ? VERDICT_WARN : VERDICT_OK, why, "%s",
		    have[0] ? have : "no driver can be used: nothing can be run");
}

/* What Tier1's own driver can give. */
static void check_network(const struct checkup *c, struct finding *f)
{
	(void)c;
	char have[80] = "";
	struct err e = {0};
	const struct sandbox_driver *d = NULL;
	int r = sandbox_driver_find(TIER_1, "proc", true, &d, &e);
	for (int n = 0; r == 0 && n < NETWORKS; n++)
		if ((r = sandbox_network_available(d, (enum sandbox_network)n, &e)) == 0)
			snprintf(have + strlen(have), sizeof have - strlen(have), "%s%s", n ? " " : "",
				 sandbox_network_name((enum sandbox_network)n));
	finding_set(f, r == 0 ? VERDICT_OK : VERDICT_WARN, r == 0 ? NULL : e.msg, "%s", have[0] ? have : "no Tier1 of our own");
}

static void check_files(const struct checkup *c, struct finding *f)
{
	(void)c;
	struct rlimit r = {0, 0};
	getrlimit(RLIMIT_NOFILE, &r);
	bool enough = r.rlim_max >= FILES_WANTED;
	finding_set(f, enough ? VERDICT_OK : VERDICT_WARN,
		    enough ? NULL
			   : "raise the hard limit: LimitNOFILE= of the service, nofile in "
			     "/etc/security/limits.conf",
		    "%llu open files at most", (unsigned long long)r.rlim_max);
}

const struct check checks_machine[] = {
	{"kernel", check_kernel},
	{"fuse", check_fuse},
	{"fusermount3", check_fusermount},
	{"user_allow_other", check_others},
	{"cgroups", check_cgroups},
	{"user namespaces", check_userns},
	{"landlock", check_landlock},
	{"seccomp", check_seccomp},
	{"sandbox tiers", check_tiers},
	{"sandbox networks", check_network},
	{"open files", check_files},
	{NULL, NULL},
};
