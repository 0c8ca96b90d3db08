/* SPDX-License-Identifier: MIT */
/* vm_talk.c - frames of the port between a microVM and its shim, and the message that says what to run. L1. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/box_i.h"
#include "sandbox/vm.h"

ssize_t vm_reader_fill(struct vm_reader *r, int fd)
{
	r->have -= r->done;
	memmove(r->data, r->data + r->done, r->have);
	r->done = 0;
	ssize_t n = read(fd, r->data + r->have, sizeof r->data - r->have);
	r->have += n > 0 ? (size_t)n : 0;
	return n < 0 ? -errno : n;
}

static bool status_ok(int status)
{
	return WIFEXITED(status) ? (status & ~0xff00) == 0 : status > 0 && status < NSIG;
}

/* What a guest may send, and how long it is. */
static bool frame_ok(const struct vm_frame *f)
{
	switch ((enum vm_what)f->what) {
	case VM_DATA: return (f->stream == 1 || f->stream == 2) && f->len > 0 && f->len <= VM_WINDOW;
	case VM_CLOSE: return f->stream < 3 && f->len == 0;
	case VM_ACK: return f->stream == 0 && f->len == sizeof(uint32_t);
	case VM_READY: return f->len == sizeof(uint32_t);
	case VM_STARTED: return f->len == 0;
	case VM_FAILED: return f->len == sizeof(struct vm_failed);
	case VM_ENDED: return f->len == sizeof(struct vm_ended);
	case VM_RUN:
	case VM_SIGNAL: break;
	}
	return false;
}

static bool body_ok(const struct vm_frame *f, const char *body)
{
	struct vm_ended ended;
	struct vm_failed failed;
	if (f->what == VM_ENDED) {
		memcpy(&ended, body, sizeof ended);
		return status_ok(ended.status);
	}
	if (f->what == VM_FAILED) {
		memcpy(&failed, body, sizeof failed);
		return failed.eno >= 0 && failed.eno < 4096 && memchr(failed.step, 0, sizeof failed.step);
	}
	return true;
}

int vm_reader_next(struct vm_reader *r, struct vm_frame *ret, const char **body)
{
	size_t left = r->have - r->done;
	if (left < sizeof *ret)
		return 0;
	memcpy(ret, r->data + r->done, sizeof *ret);
	if (!frame_ok(ret))
		return -EBADMSG;
	if (left < sizeof *ret + ret->len)
		return 0;
	*body = r->data + r->done + sizeof *ret;
	if (!body_ok(ret, *body))
		return -EBADMSG;
	r->done += sizeof *ret + ret->len;
	return 1;
}

/* ---- what to run ---- */

static size_t strings(char **list, uint32_t *count, char *to)
{
	size_t n = 0;
	*count = 0;
	for (; *list; list++, ++*count) {
		size_t len = strlen(*list) + 1;
		if (to)
			memcpy(to + n, *list, len);
		n += len;
	}
	return n;
}

static void fill(struct vm_run *r, const struct spawn_start *s)
{
	const struct sandbox_limits *l = &s->limits;
	struct spawn_rlimit most[SPAWN_RLIMITS];
	r->symbi = s->view != NULL;
	r->no_temp = s->no_temp;
	r->uid = s->uid >= 0 ? (uint32_t)s->uid : geteuid();
	r->gid = s->gid >= 0 ? (uint32_t)s->gid : getegid();
	r->temp_bytes = box_temp_bytes(s);
	r->temp_inodes = BOX_TEMP_INODES;
	for (size_t i = 0, n = spawn_rlimits(s, most); i < n; i++)
		if (most[i].which == RLIMIT_NOFILE) {
			r->files = (uint32_t)most[i].value.rlim_cur;
			r->files_max = (uint32_t)most[i].value.rlim_max;
		}
	if (!s->enforce)
		return;
	r->pids = l->pids;
	r->cpu_seconds = l->cpu_seconds;
	r->memory_bytes = l->memory_bytes;
	r->file_bytes = l->file_bytes;
}

char *vm_run_text(const struct spawn_start *s, uint64_t time_ns, const uint8_t seed[static VM_SEED], size_t *len)
{
	struct vm_run r = {.time_ns = time_ns};
	char *place[] = {(char *)s->program, (char *)s->cwd, NULL};
	uint32_t two;
	*len = sizeof r + strings(place, &two, NULL);
	*len += strings(s->argv, &r.argc, NULL);
	*len += strings(s->envp, &r.envc, NULL);
	char *text = *len <= VM_TEXT_MAX ? malloc(*len) : NULL;
	if (!text)
		return NULL;
	fill(&r, s);
	memcpy(r.seed, seed, VM_SEED);
	memcpy(text, &r, sizeof r);
	size_t n = sizeof r;
	n += strings(place, &two, text + n);
	n += strings(s->argv, &r.argc, text + n);
	strings(s->envp, &r.envc, text + n);
	return text;
}
