/* SPDX-License-Identifier: MIT */
/* agent_ctl.c - the words of agents/NAME/ctl. L2; loop thread only. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/parse.h"
#include "runtime/runtime_i.h"

#define LINE_MAX_BYTES 4096

/* A word that is one transition is recorded by that one alone, in the name of who asked; it takes `done`.
 * What the others lead to is recorded as it comes, and the word itself behind it. */
struct asked {
	const struct actor *who;
	struct runtime_done done;
	bool taken;
};

static int not_now(const struct agent *a, const char *word, struct err *e)
{
	return err_set(e, ERR_AGENT_STATE, "'%s' is not possible while agent '%s' is %s", word, a->name,
		       agent_state_name((enum agent_state)a->state));
}

static int do_start(struct agent *a, const char *arg, struct asked *by, struct err *e)
{
	(void)arg, (void)by;
	if (a->state == AGENT_FAILED || a->state == AGENT_TERMINATED) {
		if (a->live)
			a->live->restarts_in_window = 0;
		agent_move(a, AGENT_INITIALIZING, NULL);
		agent_move(a, AGENT_READY, NULL);
	}
	if (a->state == AGENT_SUSPENDED || (a->live && a->live->process))
		return not_now(a, "start", e);
	agent_begin(a);
	return 0;
}

static int do_stop(struct agent *a, const char *arg, struct asked *by, struct err *e)
{
	(void)arg, (void)by, (void)e;
	if (!a->live)
		return 0;
	a->live->stop_wanted = a->live->process != NULL;
	a->live->restart_wanted = false;
	agent_end_all(a, ERR_SCHED_ENDED, "stopped");
	if (a->state == AGENT_SUSPENDED && !a->live->running)
		agent_move(a, AGENT_READY, "stopped");
	return 0;
}

static int do_restart(struct agent *a, const char *arg, struct asked *by, struct err *e)
{
	if (!a->live || !a->live->process)
		return do_start(a, arg, by, e);
	a->live->stop_wanted = false;
	a->live->restart_wanted = true;
	if (a->state == AGENT_SUSPENDED)
		agent_move(a, AGENT_RUNNING, "restart");
	agent_end_all(a, ERR_SCHED_ENDED, "restarted");
	return 0;
}

static void freeze_all(struct agent *a, bool frozen)
{
	for (size_t i = 0; a->live && i < a->live->runs_n; i++)
		if (a->live->runs[i]->active)
			run_freeze(a->live->runs[i], frozen);
}

static int move(struct agent *a, enum agent_state to, struct asked *by, struct err *e)
{
	int r = agent_move_by(a, to, NULL, by->who, by->done, e);
	by->taken = r == 0;
	return r;
}

static int do_suspend(struct agent *a, const char *arg, struct asked *by, struct err *e)
{
	(void)arg;
	if (!agent_may((enum agent_state)a->state, AGENT_SUSPENDED))
		return not_now(a, "suspend", e);
	freeze_all(a, true);
	int r = move(a, AGENT_SUSPENDED, by, e);
	queue_changed(a);
	return r;
}

static int do_resume(struct agent *a, const char *arg, struct asked *by, struct err *e)
{
	(void)arg;
	if (a->state != AGENT_SUSPENDED)
		return not_now(a, "resume", e);
	freeze_all(a, false);
	int r = move(a, a->live && a->live->running ? AGENT_RUNNING : AGENT_READY, by, e);
	queue_changed(a);
	agent_settle(a);
	return r;
}

static int do_terminate(struct agent *a, const char *arg, struct asked *by, struct err *e)
{
	(void)arg, (void)by;
	if (!agent_may((enum agent_state)a->state, AGENT_TERMINATING))
		return not_now(a, "terminate", e);
	int r = agent_move(a, AGENT_TERMINATING, NULL);
	if (r < 0)
		return err_set(e, ERR_JOURNAL_IO, "the journal refuses");
	agent_end_all(a, ERR_SCHED_ENDED, "terminated");
	if (a->state == AGENT_TERMINATING && (!a->live || !a->live->running))
		agent_move(a, AGENT_TERMINATED, NULL);
	return 0;
}

static int signal_of(const char *s)
{
	uint64_t n;
	if (strncmp(s, "SIG", 3) == 0)
		s += 3;
	for (int i = 1; i < NSIG; i++)
		if (sigabbrev_np(i) && strcmp(sigabbrev_np(i), s) == 0)
			return i;
	return parse_u64(s, 1, NSIG - 1, &n, NULL) == 0 ? (int)n : -1;
}

static int do_kill(struct agent *a, const char *arg, struct asked *by, struct err *e)
{
	(void)by;
	if (!a->live || !a->live->running)
		return err_set(e, ERR_AGENT_STATE, "agent '%s' has no running process", a->name);
	for (size_t i = 0; i < a->live->runs_n; i++)
		if (a->live->runs[i]->active)
			sandbox_signal(a->rt->spawn, run_id(a->live->runs[i]), signal_of(arg), NULL);
	return 0;
}

static int do_message(struct agent *a, const char *arg, struct asked *by, struct err *e)
{
	(void)by;
	char line[LINE_MAX_BYTES + 2];
	int n = snprintf(line, sizeof line, "%s\n", arg);
	ssize_t w = agent_stdin(a->rt, a, line, (size_t)n, e);
	if (w >= 0 && w < n) /* a line below PIPE_BUF goes whole or not at all */
		return err_sys(e, ERR_SYS_IO, EAGAIN, "stdin of agent '%s' is full", a->name);
	return w < 0 ? (int)w : 0;
}

static int do_eof(struct agent *a, const char *arg, struct asked *by, struct err *e)
{
	(void)arg, (void)by;
	if (!a->live || !a->live->process || a->live->stdin_fd < 0)
		return err_set(e, ERR_AGENT_STATE, "agent '%s' has no process that reads", a->name);
	stdin_close(a);
	return sandbox_release(a->rt->spawn, run_id(a->live->process), e);
}

static int check_none(const char *arg, struct err *e)
{
	return *arg ? err_set(e, ERR_AGENT_CTL, "this command takes nothing behind it, not '%s'", arg)
		    : 0;
}

static int check_signal(const char *arg, struct err *e)
{
	return signal_of(arg) < 0
		       ? err_set(e, ERR_AGENT_CTL, "'%s' is no signal; like `kill TERM`", arg)
		       : 0;
}

static int check_text(const char *arg, struct err *e)
{
	return *arg ? 0 : err_set(e, ERR_AGENT_CTL, "message needs a text");
}

static const struct verb {
	const char *word;
	int (*check)(const char *arg, struct err *e);
	int (*run)(struct agent *a, const char *arg, struct asked *by, struct err *e);
} verbs[] = {
	{"start", check_none, do_start},	 {"stop", check_none, do_stop},
	{"suspend", check_none, do_suspend},	 {"resume", check_none, do_resume},
	{"restart", check_none, do_restart},	 {"terminate", check_none, do_terminate},
	{"kill", check_signal, do_kill},	 {"message", check_text, do_message},
	{"eof", check_none, do_eof},
};

static int parse(const char *line, size_t len, const struct verb **ret, char arg[LINE_MAX_BYTES],
		 struct err *e)
{
	if (len >= LINE_MAX_BYTES)
		return err_set(e, ERR_AGENT_CTL, "a command has at most %d characters",
			       LINE_MAX_BYTES - 1);
	const char *space = memchr(line, ' ', len);
	size_t word = space ? (size_t)(space - line) : len;
	snprintf(arg, LINE_MAX_BYTES, "%.*s", (int)(space ? len - word - 1 : 0),
		 space ? space + 1 : "");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strlen(verbs[i].word) == word && memcmp(verbs[i].word, line, word) == 0) {
			*ret = &verbs[i];
			return verbs[i].check(arg, e);
		}
	return err_set(e, ERR_AGENT_CTL,
		       "unknown command '%.*s'; one of start, stop, suspend, resume, restart, "
		       "terminate, kill SIGNAL, message TEXT, eof", (int)(word < 64 ? word : 64), line);
}

int agent_ctl_check(const char *line, size_t len, struct err *e)
{
	const struct verb *v;
	char arg[LINE_MAX_BYTES];
	return parse(line, len, &v, arg, e);
}

int agent_ctl(struct runtime *rt, const struct actor *who, struct agent *a, const char *line,
	      size_t len, struct runtime_done done, struct err *e)
{
	const struct verb *v;
	char arg[LINE_MAX_BYTES];
	int r = parse(line, len, &v, arg, e);
	if (r == 0)
		r = runtime_authorize(rt, who, "agent.control", a->name, a->uid, a->gid, 0600, W_OK, e);
	if (r == 0 && rt->stopping)
		r = err_set(e, ERR_SYS_STOPPING, "the daemon is stopping");
	if (r < 0)
		return r;
	uint32_t serial = a->serial;
	struct asked by = {who, done, false};
	autofree char *name = strdup(a->name);
	r = v->run(a, arg, &by, e);
	if (r < 0 || by.taken)
		return r;
	/* Its states were recorded as they came; this says who asked. A message's text is not ours to
	 * keep. */
	struct facts f = {.type = REC_CTL, .object = name ? name : "", .serial = serial,
			  .command = v->word};
	return record(rt, who, &f, done, e);
}
