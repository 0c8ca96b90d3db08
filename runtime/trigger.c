/* SPDX-License-Identifier: MIT */
/* trigger.c - events that start runs of event_driven agents: matched when they happen, started in the
 * loop's next turn, so that no change of state happens within another. L2; loop thread only. */
#include <string.h>

#include "runtime/runtime_i.h"

struct trigger {
	struct trigger *next;
	uint64_t serial;
	size_t len;
	char line[];
};

static bool matches(const char *topic, const char *type)
{
	size_t n = strlen(topic);
	return n && topic[n - 1] == '*' ? strncmp(type, topic, n - 1) == 0 : strcmp(type, topic) == 0;
}

static void triggers_run(void *arg)
{
	struct runtime *rt = arg;
	struct trigger *t = rt->triggers;
	rt->triggers = NULL;
	rt->triggers_end = &rt->triggers;
	for (struct trigger *next; t; t = next) {
		struct agent *a = agent_by_serial(rt, t->serial);
		struct err e = {0};
		next = t->next;
		bool full = a && a->live && a->live->queued >= TRIGGERS_MAX;
		if (full)
			err_set(&e, ERR_SCHED_FAILED,
				"an event was dropped: %d runs of agent '%s' wait already",
				TRIGGERS_MAX, a->name);
		if (a && (full || run_queue(a, &actor_self, t->line, t->len, false, NULL, &e) < 0))
			agent_set_error(a, &e);
		free(t);
	}
}

void trigger_event(struct runtime *rt, const char *type, const struct agent *about,
		   const char *line, size_t len)
{
	if (about && about->mode == MODE_EVENT_DRIVEN)
		return; /* events of such agents start none, or they would feed on each other */
	for (size_t i = 0; i < rt->topics_n; i++) {
		struct agent *a = rt->topics[i];
		if (!matches(a->topic, type))
			continue;
		struct trigger *t = malloc(sizeof *t + len);
		if (!t)
			return;
		*t = (struct trigger){.serial = a->serial, .len = len};
		memcpy(t->line, line, len);
		*rt->triggers_end = t;
		rt->triggers_end = &t->next;
	}
	if (rt->triggers && !rt->trigger_timer.place)
		timer_set(&rt->timers, &rt->trigger_timer, 0, triggers_run, rt);
}

void triggers_close(struct runtime *rt)
{
	for (struct trigger *t; (t = rt->triggers);) {
		rt->triggers = t->next;
		free(t);
	}
}
