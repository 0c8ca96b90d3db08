/* SPDX-License-Identifier: MIT */
/* errors.c - the failed operations of each user, and of each agent in its view, newest last. L2; loop thread only. */
#include <string.h>

#include "runtime/runtime_i.h"

/* In a view whoever looks is its agent: agents of one daemon that is not root's are all of its user. */
static struct user_errors *errors_of(struct runtime *rt, const struct actor *who, bool make)
{
	uid_t uid = who->view ? 0 : who->uid;
	for (struct user_errors *u = rt->errors; u; u = u->next)
		if (u->uid == uid && u->view == who->view)
			return u;
	struct user_errors *u = make ? calloc(1, sizeof *u) : NULL;
	if (!u)
		return NULL;
	u->uid = uid;
	u->view = who->view;
	buf_init(&u->text, ERRORS_MAX);
	u->next = rt->errors;
	rt->errors = u;
	return u;
}

static void drop_oldest(struct buf *b, size_t until)
{
	size_t at = 0;
	while (at < b->len && b->len - at > until) {
		char *nl = memchr(b->data + at, '\n', b->len - at);
		at = nl ? (size_t)(nl - b->data) + 1 : b->len;
	}
	memmove(b->data, b->data + at, b->len - at);
	b->len -= at;
}

void errors_record(struct runtime *rt, const struct actor *who, const char *path, const char *op,
		   struct agent *about, const struct err *e)
{
	autobuf struct buf b;
	uint64_t now = clock_wall_ms();
	buf_init(&b, 16u << 10);
	buf_printf(&b, "{\"time\":%llu.%03u,\"uid\":%u,\"pid\":%d,\"op\":\"%s\",\"path\":",
		   (unsigned long long)(now / 1000), (unsigned)(now % 1000), who->uid, who->pid, op);
	buf_json_string(&b, path, strlen(path));
	buf_printf(&b, ",\"errno\":\"%s\",\"code\":\"%s\",\"line\":%u,\"message\":",
		   strerrorname_np(e->eno) ? strerrorname_np(e->eno) : "EIO", err_code_name(e->code),
		   e->line);
	buf_json_string(&b, e->msg, strlen(e->msg));
	buf_adds(&b, "}\n");
	struct user_errors *u = errors_of(rt, who, true);
	if (u && !b.fail) {
		if (u->text.len + b.len > ERRORS_MAX) /* in one go, so that it is not done each time */
			drop_oldest(&u->text, ERRORS_MAX / 2);
		buf_add(&u->text, b.data, b.len);
	}
	if (about)
		agent_set_error(about, e);
}

int errors_render(struct runtime *rt, const struct actor *who, struct buf *out)
{
	struct user_errors *u = errors_of(rt, who, false);
	return u ? buf_add(out, u->text.data, u->text.len) : 0;
}

void errors_forget(struct runtime *rt, uint32_t view)
{
	for (struct user_errors **at = &rt->errors, *u; (u = *at);) {
		if (u->view != view) {
			at = &u->next;
			continue;
		}
		*at = u->next;
		buf_done(&u->text);
		free(u);
	}
}

void errors_close(struct runtime *rt)
{
	for (struct user_errors *u; (u = rt->errors);) {
		rt->errors = u->next;
		buf_done(&u->text);
		free(u);
	}
}
