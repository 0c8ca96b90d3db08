/* SPDX-License-Identifier: MIT */
/* door_talk.c - the door asks and tells who decides. It never waits: what cannot be said now is asked again later, and of
 * what is only told the number is kept. L1. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "sandbox/door_i.h"

#define ASK_MS 60000

static bool say(struct door *d, const struct sandbox_connect *m)
{
	return send(d->talk, m, sizeof *m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof *m;
}

static void describe(const struct conn *c, struct sandbox_connect *m)
{
	*m = (struct sandbox_connect){.port = c->q.port};
	snprintf(m->host, sizeof m->host, "%s", c->q.host.name);
	snprintf(m->rule, sizeof m->rule, "%s", c->rule);
	for (unsigned i = 0; i < c->addresses_n; i++) {
		struct net_host h = {0};
		net_host_of(c->addresses[i], &h);
		snprintf(m->addresses[m->addresses_n++], sizeof m->addresses[0], "%.45s", h.name);
	}
}

static void ask_again(struct conn *c)
{
	struct sandbox_connect m;
	describe(c, &m);
	m.number = c->number;
	c->unsent = !say(c->door, &m);
}

void talk_ask(struct conn *c)
{
	c->number = ++c->door->numbers;
	c->until_ms = uv_now(&c->door->loop) + ASK_MS;
	ask_again(c);
}

void talk_tell(struct conn *c, bool allowed, const char *address, const char *why)
{
	struct door *d = c->door;
	struct sandbox_connect m;
	if (!bucket_take(&d->tells, uv_now(&d->loop), 1)) {
		d->missed++;
		return;
	}
	describe(c, &m);
	m.allowed = allowed;
	m.missed = d->missed;
	if (address) {
		m.addresses_n = 1;
		snprintf(m.addresses[0], sizeof m.addresses[0], "%s", address);
	}
	snprintf(m.why, sizeof m.why, "%s", why ? why : "");
	d->missed = say(d, &m) ? 0 : d->missed + 1;
}

static void each_asking(struct door *d, bool all)
{
	for (struct conn *c = d->conns; c; c = c->next)
		if (c->number && (all || c->unsent))
			ask_again(c);
}

void talk_read(uv_poll_t *watch, int status, int events)
{
	struct door *d = watch->data;
	struct door_answer a;
	ssize_t n = 0;
	(void)events;
	while (status == 0 && (n = recv(d->talk, &a, sizeof a, MSG_DONTWAIT)) > 0) {
		struct conn *c = d->conns;
		if ((size_t)n != sizeof a)
			continue;
		a.rule[sizeof a.rule - 1] = a.why[sizeof a.why - 1] = 0;
		while (c && c->number != a.number)
			c = c->next;
		if (!a.number)
			each_asking(d, true);
		else if (c)
			conn_answered(c, &a);
		each_asking(d, false);
	}
	if (status < 0 || n == 0 || (errno != EAGAIN && errno != EINTR))
		uv_stop(&d->loop); /* the spawner and who listened are gone */
}
