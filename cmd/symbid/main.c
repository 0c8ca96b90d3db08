/* SPDX-License-Identifier: MIT */
/* symbid - the daemon. This process is the small parent: it mounts, keeps /dev/fuse and the spawner's
 * socket, and starts the worker again when it dies, so that a crash costs callers nothing. L4. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fs/fuse.h"
#include "fs/keep.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metric.h"
#include "lib/parse.h"
#include "lib/paths.h"
#include "sandbox/sandbox.h"
#include "symbid.h"

static volatile sig_atomic_t stop_wanted;
static volatile pid_t worker_pid;

static void on_signal(int sig)
{
	(void)sig;
	stop_wanted = 1;
	if (worker_pid > 0)
		kill(worker_pid, SIGTERM);
}

/* ---- documentation printed from the tables ---- */

static int render_errors(struct buf *out)
{
	buf_adds(out, "# Errors\n\nPrinted by `symbid --print-errors` from `lib/err_codes.def`.\n\n"
		      "| code | errno | text |\n|-|-|-|\n");
	for (int c = 1; c < ERR_CODE_COUNT; c++)
		buf_printf(out, "| %s | %s | %s |\n", err_code_name((enum err_code)c),
			   strerrorname_np(err_code_errno((enum err_code)c)),
			   err_code_text((enum err_code)c));
	return out->fail;
}

static int print(int (*render)(struct buf *))
{
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	return render(&b) < 0 || fwrite(b.data, 1, b.len, stdout) != b.len;
}

/* ---- the spawner ---- */

static int start_spawner(struct daemon *d, struct err *e)
{
	char self[PATH_MAX], path[PATH_MAX + 16], num[16];
	int sv[2];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(e, ERR_SPAWN_LOST, errno, "the spawner's socket");
	self[n] = 0;
	*strrchr(self, '/') = 0;
	snprintf(path, sizeof path, "%s/symbi-spawn", self);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = dup2(sv[1], 3);
		fcntl(fd, F_SETFD, 0);
		close_range(4, ~0u, 0);
		snprintf(num, sizeof num, "%d", fd);
		execl(path, "symbi-spawn", "--fd", num, "--state", d->state, (char *)NULL);
		_exit(127);
	}
	close(sv[1]);
	if (pid < 0 || access(path, X_OK) < 0)
		return err_sys(e, ERR_SPAWN_LOST, errno, "'%s'", path);
	d->spawn_fd = sv[0];
	return 0;
}

/* ---- the worker, again and again ---- */

static pid_t start_worker(struct daemon *d)
{
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM); /* without its parent nobody would restart it */
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_IGN);
		exit(worker_main(d));
	}
	return pid;
}

static int keep_worker(struct daemon *d)
{
	for (;;) {
		int status = 0;
		struct timespec start, end;
		clock_gettime(CLOCK_MONOTONIC, &start);
		worker_pid = start_worker(d);
		if (worker_pid < 0)
			return 1;
		if (stop_wanted)
			kill(worker_pid, SIGTERM);
		if (d->ready_fd >= 0)
			close(d->ready_fd);
		d->ready_fd = -1;
		while (waitpid(worker_pid, &status, 0) < 0 && errno == EINTR)
			;
		if (stop_wanted || (WIFEXITED(status) && WEXITSTATUS(status) == 3))
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		d->restarts++;
		log_warn("worker.died", "how", WIFSIGNALED(status) ? "signal" : "exit", NULL);
		clock_gettime(CLOCK_MONOTONIC, &end);
		if (end.tv_sec - start.tv_sec < 1 && d->restarts > 50 && d->restarts % 10 == 0)
			usleep(200000); /* a worker that cannot live must not eat the machine */
	}
}

static int run(struct daemon *d, struct err *e)
{
	int r = 0;
	d->fuse_fd = d->spawn_fd = d->keep_fd = -1;
	if (mkdir(d->state, 0711) < 0 && errno != EEXIST)
		return err_sys(e, ERR_SYS_IO, errno, "state directory '%s'", d->state);
	r = spawn_server_cleanup(d->state, e);
	if (r == 0)
		r = start_spawner(d, e);
	if (r == 0 && d->mount)
		r = d->keep_fd = keep_create(e);
	if (r >= 0 && d->mount) {
		r = fuse_mount(d->mount, &d->fuse_fd, e);
		if (r == 0)
			r = d->init_len = fuse_read_init(d->fuse_fd, d->init, sizeof d->init, e);
	}
	if (r < 0) {
		if (d->fuse_fd >= 0)
			fuse_unmount(d->mount);
		return r;
	}
	struct sigaction sa = {.sa_handler = on_signal};
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	int status = keep_worker(d);
	if (d->mount)
		fuse_unmount(d->mount);
	return status;
}

static const struct option options[] = {
	{"mount", required_argument, 0, 'm'},	{"state", required_argument, 0, 's'},
	{"config", required_argument, 0, 'c'},	{"allow-native", no_argument, 0, 'a'},
	{"no-fuse", no_argument, 0, 'n'},	{"ready-fd", required_argument, 0, 'r'},
	{"print-tree", no_argument, 0, 'T'},	{"print-errors", no_argument, 0, 'E'},
	{"print-config", no_argument, 0, 'C'},	{"print-metrics", no_argument, 0, 'M'},
	{"version", no_argument, 0, 'v'},	{"help", no_argument, 0, 'h'},
	{0, 0, 0, 0},
};

static void usage(FILE *f)
{
	fputs("usage: symbid [--mount DIR] [--state DIR] [--config FILE]... [--allow-native]\n"
	      "              [--no-fuse] [--ready-fd N]\n"
	      "       symbid --print-tree | --print-errors | --print-config | --print-metrics\n"
	      "Serves in the foreground; `symbi up` starts it in the background.\n", f);
}

/* Returns the exit status, or -1 to go on. */
static int parse(int argc, char **argv, struct daemon *d, struct err *e)
{
	uint64_t n;
	int o;
	if (config_load_env(d->config, environ, e) < 0)
		return 1;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'm': d->mount = optarg; break;
		case 's': free(d->state); d->state = strdup(optarg); break;
		case 'n': d->mount = NULL; break;
		case 'T': return print(tree_render_doc);
		case 'E': return print(render_errors);
		case 'C': return print(config_doc);
		case 'M': return print(metric_render_doc);
		case 'v': puts("symbid " SYMBI_VERSION); return 0;
		case 'h': usage(stdout); return 0;
		case 'a':
			config_set(d->config, "security.allow_native_execution", "true",
				   "--allow-native", e);
			break;
		case 'c':
			if (config_load_file(d->config, optarg, e) < 0)
				return 1;
			break;
		case 'r':
			if (parse_u64(optarg, 3, 65535, &n, e) < 0)
				return 2;
			d->ready_fd = (int)n;
			fcntl(d->ready_fd, F_SETFD, FD_CLOEXEC);
			break;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return 2;
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct err e = {0};
	struct paths p;
	struct daemon d = {.ready_fd = -1};
	paths_default(&p);
	d.mount = p.mount;
	d.state = strdup(p.state);
	if (config_new(&d.config, &e) < 0)
		return 1;
	int r = parse(argc, argv, &d, &e);
	if (r == -1) {
		enum log_level level = LOG_LEVEL_INFO;
		log_level_parse(config_str(d.config, "logging.level"), &level);
		log_init(STDERR_FILENO, level,
			 strcmp(config_str(d.config, "logging.format"), "json") == 0);
		r = run(&d, &e);
	}
	if (e.code != ERR_NONE) {
		fprintf(stderr, "symbid: %s %s\n", err_code_name(e.code), e.msg);
		if (d.ready_fd >= 0)
			dprintf(d.ready_fd, "%s %s\n", err_code_name(e.code), e.msg);
	}
	config_free(d.config);
	free(d.state);
	return r < 0 ? 1 : r;
}
