/* SPDX-License-Identifier: MIT */
/* health.c - every lifecycle.state_check_interval each running process is measured: for usage/, and to
 * end what has been idle for longer than its idle_timeout. L2; loop thread only. */
#include <string.h>
#include <sys/stat.h>

#include "lib/parse.h"
#include "runtime/runtime_i.h"

#define IDLE_CPU_NS 5000000u /* less than this between two measurements is no work */

static uint64_t file_bytes(const struct run *r, bool errors)
{
	char path[AGENT_DIR_MAX + 32];
	struct stat st;
	if (r->process)
		agent_file_path(r->rt, r->agent, errors ? AGENT_STDERR : AGENT_STDOUT, path,
				sizeof path);
	else
		run_file_path(r->rt, r, errors ? RUN_STDERR : RUN_OUTPUT, path, sizeof path);
	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

uint64_t output_largest(const struct run *r)
{
	uint64_t out = file_bytes(r, false), err = file_bytes(r, true);
	return out > err ? out : err;
}

static void end_idle(struct run *r, uint64_t ms)
{
	char why[96], t[32];
	format_duration_ms(ms, t);
	snprintf(why, sizeof why, "idle_timeout: no output and no work for %s", t);
	if (r->process)
		r->agent->live->stop_wanted = true; /* not to be restarted by its policy */
	run_end(r, r->process ? ERR_NONE : ERR_SCHED_IDLE, why);
}

void health_measured(struct runtime *rt, struct run *r, const struct sandbox_usage *u)
{
	uint64_t now = clock_mono_ns() / 1000000, out = file_bytes(r, false) + file_bytes(r, true);
	(void)rt;
	if (u->cpu_ns > r->usage.cpu_ns + IDLE_CPU_NS || out != r->output_seen || r->frozen)
		r->busy_ms = now;
	uint64_t peak = r->usage.memory_peak_bytes;
	r->usage = *u;
	if (peak > r->usage.memory_peak_bytes)
		r->usage.memory_peak_bytes = peak;
	r->output_seen = out;
	const struct agent_spec *s = agent_spec_get(r->agent, NULL);
	struct agent_limits l = agent_limits_of(r->agent);
	/* A persistent agent waits for its messages by nature: only an idle_timeout of its own ends it. */
	bool timed = l.idle_timeout_ms &&
		     (!r->process || r->agent->limits || (s && s->idle_timeout_given));
	if (timed && !r->asked_end && now - r->busy_ms > l.idle_timeout_ms)
		end_idle(r, l.idle_timeout_ms);
}

static void check(void *arg)
{
	struct runtime *rt = arg;
	for (struct run *r = rt->active; r && rt->spawn; r = r->active_next)
		sandbox_measure(rt->spawn, run_id(r), NULL);
	if (rt->active)
		health_start(rt);
}

void health_start(struct runtime *rt)
{
	if (!rt->check_timer.place)
		timer_set(&rt->timers, &rt->check_timer,
			  config_ms(rt->config, "lifecycle.state_check_interval"), check, rt);
}
