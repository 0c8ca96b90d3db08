/* SPDX-License-Identifier: MIT */
/* event.c - the event feed: the journal's records as JSON lines, in files that tail -f can follow and to
 * subscribers. A line is published once its record is in the journal's file, so what was seen once stays
 * true. Lines are gathered and written once per turn of the loop, or when somebody asks for the file. L2;
 * loop thread only. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/runtime_i.h"

#define FEED_MAX (256u << 10) /* bytes gathered before they are written within a turn */

struct event { /* whose record is not in the file yet */
	struct event *next;
	uint64_t seq;
	uint32_t serial; /* of the agent that it is about, 0: none */
	bool first;	 /* the agent's creation, which its own feed does not hold */
	char type[48];
	size_t len; /* of line, with its line feed */
	char line[];
};

static void events_path(const struct runtime *rt, char *out, size_t cap)
{
	snprintf(out, cap, "%s/events", rt->state_dir);
}

/* Sequence of the last whole line of a feed, 0: none; *ret_at is where that line begins. Half a line behind
 * it is cut. */
static uint64_t last_line_of(int fd, off_t *ret_at)
{
	static char tail[2 * EVENT_LINE_MAX];
	struct stat st;
	*ret_at = 0;
	if (fstat(fd, &st) < 0 || st.st_size == 0)
		return 0;
	off_t from = st.st_size > (off_t)sizeof tail ? st.st_size - (off_t)sizeof tail : 0;
	ssize_t n = pread(fd, tail, sizeof tail, from);
	char *end = n > 0 ? memrchr(tail, '\n', (size_t)n) : NULL;
	if (!end)
		return 0;
	char *start = memrchr(tail, '\n', (size_t)(end - tail));
	start = start ? start + 1 : tail;
	json_t *line = json_loadb(start, (size_t)(end - start), 0, NULL);
	uint64_t seq = (uint64_t)json_integer_value(json_object_get(line, "seq"));
	json_decref(line);
	*ret_at = from + (start - tail);
	off_t whole = from + (end - tail) + 1;
	if (whole < st.st_size && ftruncate(fd, whole) < 0)
		return seq;
	return seq;
}

static uint64_t last_seq_of(int fd)
{
	off_t at;
	return last_line_of(fd, &at);
}

/* A power cut may take records and leave the lines that told of them: their numbers are given out again, so
 * those lines go. */
void events_cut(struct runtime *rt, uint64_t last)
{
	off_t at;
	while (rt->events_seq > last) {
		rt->events_seq = last_line_of(rt->events_fd, &at);
		if (rt->events_seq > last && ftruncate(rt->events_fd, at) < 0)
			return;
	}
}

static int open_feed(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void turn_end(uv_prepare_t *p)
{
	struct runtime *rt = p->data;
	if (rt->feed || rt->events.len)
		feed_flush(rt);
}

int events_open(struct runtime *rt, struct err *e)
{
	char path[4096];
	buf_init(&rt->events, 4u << 20);
	rt->triggers_end = &rt->triggers;
	rt->unwritten_end = &rt->unwritten;
	events_path(rt, path, sizeof path);
	rt->events_fd = open_feed(path);
	rt->turn_end = calloc(1, sizeof *rt->turn_end);
	if (rt->events_fd < 0 || !rt->turn_end)
		return err_sys(e, ERR_SYS_IO, errno, "'%s'", path);
	rt->events_seq = last_seq_of(rt->events_fd);
	struct stat st;
	rt->events_size = fstat(rt->events_fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	uv_prepare_init(&rt->loop->uv, rt->turn_end);
	rt->turn_end->data = rt;
	uv_prepare_start(rt->turn_end, turn_end);
	uv_unref((uv_handle_t *)rt->turn_end);
	return 0;
}

static void prepare_closed(uv_handle_t *h)
{
	free(h);
}

void events_close(struct runtime *rt)
{
	if (rt->turn_end)
		uv_close((uv_handle_t *)rt->turn_end, prepare_closed);
	feed_flush(rt);
	buf_done(&rt->events);
	for (struct event *ev; (ev = rt->unwritten);) {
		rt->unwritten = ev->next;
		free(ev);
	}
	if (rt->events_fd >= 0)
		close(rt->events_fd);
}

static void rotate(struct runtime *rt)
{
	char path[4096], old[4100];
	if (rt->events_size < EVENTS_ROTATE)
		return;
	events_path(rt, path, sizeof path);
	snprintf(old, sizeof old, "%s.1", path);
	close(rt->events_fd);
	rename(path, old);
	rt->events_fd = open_feed(path);
	rt->events_size = 0;
}

static void append_to(int fd, struct buf *b)
{
	if (fd >= 0 && b->len && write(fd, b->data, b->len) < 0)
		b->fail = 0; /* a full disk; the journal has the facts, these are copies */
	buf_done(b);
}

static void path_of(const struct agent *a, enum agent_file f, char out[AGENT_DIR_MAX + 16])
{
	static const char *const names[] = {"stdout", "stderr", "log", "events"};
	agent_dir(a, out);
	snprintf(out + strlen(out), 16, "/%s", names[f]);
}

static void flush_agent(struct agent_live *l)
{
	struct {
		struct buf *b;
		enum agent_file f;
	} both[] = {{&l->events, AGENT_EVENTS}, {&l->log, AGENT_LOG}};
	char path[AGENT_DIR_MAX + 16];
	agent_dir_make(l->agent);
	for (int i = 0; i < 2; i++) {
		if (!both[i].b->len)
			continue;
		path_of(l->agent, both[i].f, path);
		autoclose int fd = open_feed(path);
		struct stat st;
		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0) {
			autobuf struct buf head; /* what was shown before there was a file */
			buf_init(&head, 4096);
			agent_render_head(l->agent->rt, l->agent, both[i].f, &head);
			append_to(fd, &head);
		}
		append_to(fd, both[i].b);
	}
}

void feed_flush(struct runtime *rt)
{
	while (rt->feed) {
		struct agent_live *l = rt->feed;
		rt->feed = l->feed_next;
		l->in_feed = false;
		flush_agent(l);
	}
	rt->events_size += rt->events.len;
	append_to(rt->events_fd, &rt->events);
	rotate(rt);
}

static void feed_add(struct agent_live *l)
{
	if (l->in_feed)
		return;
	l->in_feed = true;
	l->feed_next = l->agent->rt->feed;
	l->agent->rt->feed = l;
}

void feed_drop(struct agent_live *l)
{
	struct runtime *rt = l->agent->rt;
	for (struct agent_live **at = l->in_feed ? &rt->feed : NULL; at && *at; at = &(*at)->feed_next)
		if (*at == l) {
			*at = l->feed_next;
			break;
		}
	l->in_feed = false;
}

uint64_t runtime_events_seq(const struct runtime *rt)
{
	return rt->events_seq;
}

int runtime_events_path(struct runtime *rt, char *out, size_t cap)
{
	feed_flush(rt);
	events_path(rt, out, cap);
	return 0;
}

int agent_file_path(struct runtime *rt, struct agent *a, enum agent_file f, char *out, size_t cap)
{
	char path[AGENT_DIR_MAX + 16];
	if (a->live && a->live->in_feed)
		feed_flush(rt);
	path_of(a, f, path);
	snprintf(out, cap, "%s", path);
	return 0;
}

/* ---- lines ---- */

static int line_of(struct buf *b, uint64_t seq, uint64_t time_ms, const char *type,
		   const struct agent *about, const char *more)
{
	buf_printf(b, "{\"seq\":%llu,\"time\":%llu.%03u,\"type\":\"%s\"", (unsigned long long)seq,
		   (unsigned long long)(time_ms / 1000), (unsigned)(time_ms % 1000), type);
	if (about) /* a name holds nothing that JSON would have to escape */
		buf_printf(b, ",\"agent\":\"%s\"", about->name);
	return buf_printf(b, "%s}\n", more);
}

static bool in_agents_file(struct agent *a, uint64_t seq)
{
	char path[AGENT_DIR_MAX + 16];
	path_of(a, AGENT_EVENTS, path);
	autoclose int fd = open(path, O_RDWR | O_CLOEXEC);
	return fd >= 0 && seq <= last_seq_of(fd);
}

static void tell(struct runtime *rt, bool changes, const struct event *ev, const struct agent *about)
{
	for (struct event_sub *s = rt->subs, *next; s; s = next) {
		next = s->next;
		if (s->changes == changes)
			s->fn(s, ev->seq, about, ev->line, ev->len - 1);
	}
}

static void publish(struct runtime *rt, const struct event *ev, struct agent *about)
{
	rt->events_seq = ev->seq;
	buf_add(&rt->events, ev->line, ev->len);
	if (about && !ev->first && (!rt->replaying || !in_agents_file(about, ev->seq))) {
		struct agent_live *l = agent_live(about);
		buf_add(&l->events, ev->line, ev->len);
		feed_add(l);
	}
	if (rt->events.len > FEED_MAX)
		feed_flush(rt);
	if (rt->replaying)
		return;
	tell(rt, false, ev, about);
	trigger_event(rt, ev->type, about, ev->line, ev->len);
}

void events_publish(struct runtime *rt)
{
	uint64_t written = rt->unwritten ? journal_written_seq(rt->journal) : 0;
	for (struct event *ev; (ev = rt->unwritten) && ev->seq <= written;) {
		rt->unwritten = ev->next;
		if (!rt->unwritten)
			rt->unwritten_end = &rt->unwritten;
		publish(rt, ev, ev->serial ? agent_by_serial(rt, ev->serial) : NULL);
		free(ev);
	}
}

static struct event *event_of(const struct facts *f, const struct agent *about, const char *type,
			      const char *more)
{
	autobuf struct buf line;
	buf_init(&line, EVENT_LINE_MAX * 2);
	line_of(&line, f->seq, f->time_ms, type, about, more);
	struct event *ev = malloc(sizeof *ev + line.len);
	if (!ev)
		abort(); /* a feed with a gap would be taken for whole */
	*ev = (struct event){.seq = f->seq,
			     .serial = about ? about->serial : 0,
			     .first = f->type == REC_PUT && f->fresh,
			     .len = line.len};
	snprintf(ev->type, sizeof ev->type, "%s", type);
	memcpy(ev->line, line.data, line.len);
	return ev;
}

void event_emit(struct runtime *rt, const struct facts *f, struct agent *about, const char *type,
		const char *more)
{
	if (f->seq <= rt->events_seq)
		return; /* a replay adds only what is missing */
	struct event *ev = event_of(f, about, type, more);
	if (rt->replaying) {
		publish(rt, ev, about);
		free(ev);
		return;
	}
	tell(rt, true, ev, about);
	*rt->unwritten_end = ev; /* behind those before it, although the writer may be done with it by now */
	rt->unwritten_end = &ev->next;
	events_publish(rt);
}

static int log_line_of(struct buf *b, uint64_t time_ms, const char *text)
{
	char when[32];
	struct tm tm;
	time_t t = (time_t)(time_ms / 1000);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", gmtime_r(&t, &tm));
	return buf_printf(b, "%s.%03uZ %s\n", when, (unsigned)(time_ms % 1000), text);
}

void agent_log(struct agent *a, const char *text)
{
	struct agent_live *l = agent_live(a);
	log_line_of(&l->log, clock_wall_ms(), text);
	feed_add(l);
}

int agent_render_head(struct runtime *rt, const struct agent *a, enum agent_file f, struct buf *out)
{
	(void)rt;
	if (f == AGENT_EVENTS) {
		char more[32];
		snprintf(more, sizeof more, ",\"uid\":%u", a->uid);
		return line_of(out, a->created_seq, a->created_ms, "agent.created", a, more);
	}
	return f == AGENT_LOG ? log_line_of(out, a->created_ms, "Created") : 0;
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
