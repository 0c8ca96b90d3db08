/* SPDX-License-Identifier: MIT */
/* event.c - the event feed: the journal's records as JSON lines in files that tail -f can follow, and
 * to subscribers; and the errors of each user. L2; loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/runtime_i.h"

int runtime_events_path(struct runtime *rt, char *out, size_t cap)
{
	snprintf(out, cap, "%s/events", rt->state_dir);
	return 0;
}

/* Sequence of the last whole line, so that a replay adds only what is missing. */
static uint64_t last_seq_of(int fd)
{
	char tail[8192];
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_size == 0)
		return 0;
	off_t from = st.st_size > (off_t)sizeof tail ? st.st_size - (off_t)sizeof tail : 0;
	ssize_t n = pread(fd, tail, sizeof tail, from);
	char *end = n > 0 ? memrchr(tail, '\n', (size_t)n) : NULL;
	if (!end)
		return 0;
	char *start = memrchr(tail, '\n', (size_t)(end - tail));
	json_t *line = json_loadb(start ? start + 1 : tail, (size_t)(end - (start ? start + 1 : tail)),
				  0, NULL);
	uint64_t seq = (uint64_t)json_integer_value(json_object_get(line, "seq"));
	json_decref(line);
	/* Half a line behind it was being written when the daemon was killed. */
	if (ftruncate(fd, from + (end - tail) + 1) < 0)
		return seq;
	return seq;
}

int event_open(struct runtime *rt, struct err *e)
{
	char path[4096];
	runtime_events_path(rt, path, sizeof path);
	rt->events_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (rt->events_fd < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", path);
	rt->events_seq = last_seq_of(rt->events_fd);
	return 0;
}

static void rotate(struct runtime *rt)
{
	struct stat st;
	char path[4096], old[4200];
	if (fstat(rt->events_fd, &st) < 0 || st.st_size < EVENTS_MAX)
		return;
	runtime_events_path(rt, path, sizeof path);
	snprintf(old, sizeof old, "%s.1", path);
	close(rt->events_fd);
	rename(path, old);
	rt->events_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void append_line(int fd, const struct buf *line)
{
	if (fd >= 0 && write(fd, line->data, line->len) < 0)
		return; /* the record is in the journal; the feed is a copy of it */
}

void event_emit(struct runtime *rt, uint64_t seq, uint64_t time_ms, const char *type,
		struct agent *about, json_t *more)
{
	autobuf struct buf b;
	const char *key;
	json_t *v;
	if (seq <= rt->events_seq)
		return;
	buf_init(&b, 64 << 10);
	buf_printf(&b, "{\"seq\":%llu,\"time\":%llu.%03u,\"type\":\"%s\",\"agent\":\"%s\"",
		   (unsigned long long)seq, (unsigned long long)(time_ms / 1000),
		   (unsigned)(time_ms % 1000), type, about->name);
	json_object_foreach(more, key, v) {
		autofree char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
		buf_printf(&b, ",\"%s\":%s", key, text ? text : "null");
	}
	buf_adds(&b, "}\n");
	rt->events_seq = seq;
	append_line(rt->events_fd, &b);
	if (rt->replaying)
		return;
	rotate(rt);
	char path[4096];
	agent_file_path(rt, about, AGENT_EVENTS, path, sizeof path);
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	append_line(fd, &b);
	for (struct event_sub *s = rt->subs, *next; s; s = next) {
		next = s->next;
		s->fn(s, seq, about, b.data, b.len - 1);
	}
	event_trigger(rt, type, about, b.data, b.len);
}

void event_subscribe(struct runtime *rt, struct event_sub *s)
{
	s->next = rt->subs;
	s->pprev = &rt->subs;
	if (s->next)
		s->next->pprev = &s->next;
	rt->subs = s;
}

void event_unsubscribe(struct event_sub *s)
{
	if (!s->pprev)
		return;
	*s->pprev = s->next;
	if (s->next)
		s->next->pprev = s->pprev;
	s->pprev = NULL;
}

/* ---- errors ---- */

static struct user_errors *errors_of(struct runtime *rt, uid_t uid, bool make)
{
	for (struct user_errors *u = rt->errors; u; u = u->next)
		if (u->uid == uid)
			return u;
	struct user_errors *u = make ? calloc(1, sizeof *u) : NULL;
	if (!u)
		return NULL;
	u->uid = uid;
	buf_init(&u->text, ERRORS_MAX);
	u->next = rt->errors;
	rt->errors = u;
	return u;
}

void errors_record(struct runtime *rt, const struct actor *who, const char *path, const char *op,
		   struct agent *about, const struct err *e)
{
	autobuf struct buf b;
	uint64_t now = clock_wall_ms();
	buf_init(&b, 16 << 10);
	buf_printf(&b, "{\"time\":%llu.%03u,\"uid\":%u,\"pid\":%d,\"op\":\"%s\",\"path\":",
		   (unsigned long long)(now / 1000), (unsigned)(now % 1000), who->uid, who->pid, op);
	buf_json_string(&b, path, strlen(path));
	buf_printf(&b, ",\"errno\":\"%s\",\"code\":\"%s\",\"line\":%u,\"message\":",
		   strerrorname_np(e->eno), err_code_name(e->code), e->line);
	buf_json_string(&b, e->msg, strlen(e->msg));
	buf_adds(&b, "}\n");
	struct user_errors *u = errors_of(rt, who->uid, true);
	if (u && !b.fail) {
		while (u->text.len + b.len > ERRORS_MAX) { /* oldest whole lines go */
			char *nl = memchr(u->text.data, '\n', u->text.len);
			size_t n = nl ? (size_t)(nl - u->text.data) + 1 : u->text.len;
			memmove(u->text.data, u->text.data + n, u->text.len - n);
			u->text.len -= n;
		}
		buf_add(&u->text, b.data, b.len);
	}
	if (about)
		agent_set_error(about, e);
}

int errors_render(struct runtime *rt, const struct actor *who, struct buf *out)
{
	struct user_errors *u = errors_of(rt, who->uid, false);
	return u ? buf_add(out, u->text.data, u->text.len) : 0;
}
