/* SPDX-License-Identifier: MIT */
/* symbi - the command line: start and stop the daemon, look at its journal and settings. Agents
 * themselves are files; ls, cat and echo are their command line. L4. */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/journal.h"
#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/paths.h"
#include "runtime/config.h"

static struct paths paths;

static int fail(const struct err *e)
{
	fprintf(stderr, "symbi: %s %s\n", err_code_name(e->code), e->msg);
	return 1;
}

/* ---- up, down, status ---- */

static int wait_ready(int fd)
{
	char line[700];
	ssize_t n = 0, k;
	while ((size_t)n < sizeof line - 1 && (k = read(fd, line + n, sizeof line - 1 - (size_t)n)) > 0)
		n += k;
	line[n] = 0;
	if (strcmp(line, "ok\n") == 0)
		return 0;
	fprintf(stderr, "symbi: symbid did not start: %s", n ? line : "it ended without a word\n");
	return 1;
}

static void make_dirs(const char *dir)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s", dir);
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(path, 0755);
		*p = '/';
	}
	mkdir(path, 0711);
}

static int cmd_up(int argc, char **argv)
{
	char self[PATH_MAX], daemon[PATH_MAX + 16], log[400], num[16];
	const char *state = paths.state, *mount = paths.mount;
	bool foreground = false;
	int p[2], n = 1;
	char **args = calloc((size_t)argc + 4, sizeof *args);
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	if (!args || len < 0 || pipe(p) < 0)
		return 1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--foreground") == 0) {
			foreground = true;
			continue;
		}
		if (i + 1 < argc && strcmp(argv[i], "--state") == 0)
			state = argv[i + 1];
		if (i + 1 < argc && strcmp(argv[i], "--mount") == 0)
			mount = argv[i + 1];
		if (strcmp(argv[i], "--no-fuse") == 0)
			mount = "no mount";
		args[n++] = argv[i];
	}
	self[len] = 0;
	*strrchr(self, '/') = 0;
	snprintf(daemon, sizeof daemon, "%s/symbid", self);
	args[0] = daemon;
	make_dirs(state);
	if (foreground) {
		execv(daemon, args);
		perror(daemon);
		return 1;
	}
	snprintf(num, sizeof num, "%d", p[1]);
	args[n++] = (char *)"--ready-fd";
	args[n++] = num;
	snprintf(log, sizeof log, "%s/symbid.log", state);
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR), out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		setsid();
		close(p[0]);
		dup2(null, 0);
		dup2(out >= 0 ? out : null, 1);
		dup2(out >= 0 ? out : null, 2);
		execv(daemon, args);
		_exit(127);
	}
	close(p[1]);
	free(args);
	int r = wait_ready(p[0]);
	if (r == 0)
		printf("%s\n", mount);
	else
		waitpid(pid, NULL, 0);
	return r;
}

/* A line of MOUNT/status; false when there is no daemon. */
static bool status_key(const char *mount, const char *key, char *out, size_t cap)
{
	char path[PATH_MAX], line[512];
	snprintf(path, sizeof path, "%s/status", mount);
	FILE *f = fopen(path, "re");
	bool found = false;
	while (f && !found && fgets(line, sizeof line, f)) {
		size_t n = strlen(key);
		line[strcspn(line, "\n")] = 0;
		found = strncmp(line, key, n) == 0 && line[n] == ' ';
		if (found)
			snprintf(out, cap, "%.*s", (int)cap - 1, line + n + 1);
	}
	if (f)
		fclose(f);
	return found;
}

static const char *mount_arg(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--mount") == 0)
		return argv[2];
	return argc == 1 ? paths.mount : NULL;
}

static int cmd_down(int argc, char **argv)
{
	char pid[64], path[PATH_MAX];
	const char *mount = mount_arg(argc, argv);
	if (!mount)
		return 2;
	if (!status_key(mount, "pid", pid, sizeof pid)) {
		fprintf(stderr, "symbi: no daemon serves '%s'\n", mount);
		return 1;
	}
	snprintf(path, sizeof path, "%s/ctl", mount);
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "stop\n", 5) != 5) {
		perror("symbi: stop");
		return 1;
	}
	snprintf(path, sizeof path, "/proc/%.32s", pid);
	for (int i = 0; i < 3600 && access(path, F_OK) == 0; i++)
		usleep(10000);
	return access(path, F_OK) == 0;
}

static int cmd_status(int argc, char **argv)
{
	char path[PATH_MAX], line[512];
	const char *mount = mount_arg(argc, argv);
	if (!mount)
		return 2;
	snprintf(path, sizeof path, "%s/status", mount);
	FILE *f = fopen(path, "re");
	if (!f) {
		fprintf(stderr, "symbi: no daemon serves '%s'\n", mount);
		return 1;
	}
	while (fgets(line, sizeof line, f))
		fputs(line, stdout);
	fclose(f);
	return 0;
}

/* ---- config, journal ---- */

static int cmd_config(int argc, char **argv)
{
	struct err e = {0};
	struct config *c = NULL;
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	bool check = argc == 3 && strcmp(argv[1], "check") == 0;
	if (!check && !(argc >= 2 && strcmp(argv[1], "show") == 0 && argc <= 3))
		return 2;
	int r = config_new(&c, &e);
	if (r == 0 && argc == 3)
		r = config_load_file(c, argv[2], &e);
	if (r == 0 && !check)
		r = config_load_env(c, environ, &e);
	if (r == 0 && !check && config_render(c, &b) == 0)
		fwrite(b.data, 1, b.len, stdout);
	config_free(c);
	return r < 0 ? fail(&e) : 0;
}

static int cat_record(void *arg, const struct journal_record *rec)
{
	(void)arg;
	printf("{\"seq\":%" PRIu64 ",\"time_ms\":%" PRIu64 ",\"type\":%u,\"uid\":%u,\"pid\":%u,"
	       "\"object\":\"%s\",\"body\":%.*s}\n",
	       rec->seq, rec->time_ms, rec->type, rec->uid, rec->pid, rec->object,
	       (int)rec->body_len, rec->body);
	return 0;
}

static int cmd_journal(int argc, char **argv)
{
	struct err e = {0};
	struct journal_stat st = {0};
	char dir[PATH_MAX];
	const char *state = argc == 4 && strcmp(argv[2], "--state") == 0 ? argv[3] : paths.state;
	if (argc != 2 && argc != 4)
		return 2;
	snprintf(dir, sizeof dir, "%s/journal", state);
	bool cat = strcmp(argv[1], "cat") == 0;
	if (!cat && strcmp(argv[1], "verify") != 0 && strcmp(argv[1], "stat") != 0)
		return 2;
	if (journal_scan(dir, cat ? cat_record : NULL, NULL, &st, &e) < 0)
		return fail(&e);
	if (cat)
		return 0;
	printf("records %" PRIu64 "\nfirst_seq %" PRIu64 "\nlast_seq %" PRIu64 "\nsegments %" PRIu64
	       "\nbytes %" PRIu64 "\ntorn %s\nhead ",
	       st.records, st.first_seq, st.last_seq, st.segments, st.bytes, st.torn ? "yes" : "no");
	for (size_t i = 0; i < sizeof st.head; i++)
		printf("%02x", st.head[i]);
	putchar('\n');
	return 0;
}

static int cmd_help(int argc, char **argv);

static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *usage, *help;
} commands[] = {
	{"up", cmd_up,
	 "[--mount DIR] [--state DIR] [--config FILE]... [--allow-native] [--no-fuse] [--foreground]",
	 "start the daemon and print where it is mounted"},
	{"down", cmd_down, "[--mount DIR]", "stop the daemon and everything it runs"},
	{"status", cmd_status, "[--mount DIR]", "the daemon's state"},
	{"config", cmd_config, "show [FILE] | check FILE", "settings and where they come from"},
	{"journal", cmd_journal, "cat | verify | stat [--state DIR]",
	 "read the journal with every check; works without the daemon"},
	{"help", cmd_help, "", "this text"},
};

static int cmd_help(int argc, char **argv)
{
	(void)argc, (void)argv;
	puts("usage: symbi COMMAND ...\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  %-8s %s\n           %s\n", commands[i].name, commands[i].usage,
		       commands[i].help);
	return 0;
}

int main(int argc, char **argv)
{
	paths_default(&paths);
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("symbi " SYMBI_VERSION);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return cmd_help(0, NULL);
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, argv[1]) == 0) {
			int r = commands[i].fn(argc - 1, argv + 1);
			if (r == 2)
				fprintf(stderr, "usage: symbi %s %s\n", commands[i].name,
					commands[i].usage);
			return r;
		}
	fprintf(stderr, "symbi: unknown command; `symbi help` lists them\n");
	return 2;
}
