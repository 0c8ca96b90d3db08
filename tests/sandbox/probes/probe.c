/* SPDX-License-Identifier: MIT */
/* probe.c - tries to get out of what it is run in, each way in a process of its own, and says which led somewhere. Static,
 * so that it runs in any root. Nothing that it does harms a machine that has no wall: where only a right is asked for, the
 * value that is there is written again, or an argument is wrong behind the check of the right.
 *
 *   probe FACT=VALUE...      a line "CLASS NAME open|closed" for each; `probe --list` says what each is; without=CLASS,
 *                            only=NAME
 *   probe --leave|--stay WORD    a process that should not be there any more later
 * CLASS: E an effect on the machine or sight of it, S a part of the kernel that programs have no need of, L a limit that is
 * not there, C a control: must be open, else nothing is shown by the others. Facts: see fact(). */
#include "probe.h"

#define SECONDS 20 /* for one probe */

static char **facts;

const char *fact(const char *name)
{
	size_t n = strlen(name);
	for (char **f = facts; *f; f++)
		if (strncmp(*f, name, n) == 0 && (*f)[n] == '=')
			return *f + n + 1;
	return "";
}

static const struct probe {
	char class;
	const char *name, *doc;
	bool (*attempt)(void);
} probes[] = {
#define PROBE(c, n, d) {#c[0], #n, d, n},
#include "probes.def"
#undef PROBE
};

static bool succeeds(const struct probe *p)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		alarm(SECONDS);
		setpgid(0, 0);
		_exit(p->attempt() ? 0 : 1);
	}
	if (pid < 0)
		return false;
	waitpid(pid, &status, 0);
	kill(-pid, SIGKILL);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What must end with its sandbox: a process that has left its session and its parent and hears no signal. */
static void leave_one(void)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			signal(SIGTERM, SIG_IGN);
			signal(SIGHUP, SIG_IGN);
			sleep(120);
		}
		_exit(0);
	}
	wait(NULL);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--leave") == 0) /* the other argument is what it is found by */
		return leave_one(), 0;
	if (argc == 3 && strcmp(argv[1], "--stay") == 0)
		return leave_one(), puts("up"), fflush(stdout), sleep(120), 0;
	bool list = argc == 2 && strcmp(argv[1], "--list") == 0;
	facts = argv + 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	const char *only = list ? "" : fact("only"), *without = list ? "" : fact("without");
	for (size_t i = 0; i < COUNT(probes); i++) {
		if ((*only && strcmp(only, probes[i].name) != 0) || *without == probes[i].class)
			continue;
		printf("%c %s %s\n", probes[i].class, probes[i].name,
		       list ? probes[i].doc : succeeds(&probes[i]) ? "open" : "closed");
	}
	return 0;
}
