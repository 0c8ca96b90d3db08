/* SPDX-License-Identifier: MIT */
/* agent_text.c - what the tree shows of an agent. L2; loop thread only. */
#include <string.h>

#include "runtime/profiles.h"
#include "runtime/runtime_i.h"
#include "sandbox/spec.h"

int agent_render_error(struct runtime *rt, struct agent *a, struct buf *out)
{
	(void)rt;
	return a->error ? buf_printf(out, "%s\n", a->error) : 0;
}

int agent_render_tier(struct runtime *rt, struct agent *a, struct buf *out)
{
	(void)rt;
	return buf_printf(out, "%s\n", sandbox_tier_name((enum sandbox_tier)a->tier));
}

static pid_t process_pid(const struct agent *a)
{
	const struct run *p = a->live ? a->live->process : NULL;
	return p && p->active ? p->pid : 0;
}

int agent_render_pid(struct runtime *rt, struct agent *a, struct buf *out)
{
	(void)rt;
	return process_pid(a) ? buf_printf(out, "%d\n", process_pid(a)) : 0;
}

int agent_render_limit(struct runtime *rt, struct agent *a, const char *key, struct buf *out)
{
	struct agent_spec *s = NULL;
	struct agent_limits l = {0};
	(void)rt;
	if (a->limits)
		return agent_limit_get(a->limits, key, out);
	if (agent_spec_of(a, &s, NULL) == 0)
		l = s->limits;
	agent_spec_free(s);
	return agent_limit_get(&l, key, out);
}

/* ---- usage ---- */

enum usage_key { CPU, WALL, MEMORY, PEAK, PIDS, READ_MB, WRITE_MB, TOTAL, FAILED };
const char *const agent_usage_keys[] = {"cpu_seconds",	  "wall_seconds",  "memory_mb",
					"memory_peak_mb", "pids",	   "disk_read_mb",
					"disk_write_mb",  "runs_total",	   "runs_failed",
					NULL};

int agent_render_usage(struct runtime *rt, struct agent *a, const char *key, struct buf *out)
{
	(void)rt;
	double v[READ_MB + 2] = {[CPU] = (double)a->cpu_ns / 1e9,
				 [WALL] = (double)a->wall_ns / 1e9,
				 [PEAK] = (double)a->memory_peak / 1048576};
	for (size_t i = 0; a->live && i < a->live->runs_n; i++) {
		const struct run *r = a->live->runs[i];
		if (!r->active)
			continue;
		double peak = (double)r->usage.memory_peak_bytes / 1048576;
		v[CPU] += (double)r->usage.cpu_ns / 1e9;
		v[WALL] += r->started_ms ? (double)clock_since_ms(r->started_ms) / 1e3 : 0;
		v[MEMORY] += (double)r->usage.memory_bytes / 1048576;
		v[PEAK] = peak > v[PEAK] ? peak : v[PEAK];
		v[PIDS] += (double)r->usage.pids;
		v[READ_MB] += (double)r->usage.disk_read_bytes / 1e6;
		v[WRITE_MB] += (double)r->usage.disk_write_bytes / 1e6;
	}
	for (int k = 0; agent_usage_keys[k]; k++) {
		if (strcmp(agent_usage_keys[k], key) != 0)
			continue;
		if (k == TOTAL || k == FAILED)
			return buf_printf(out, "%u\n", k == TOTAL ? a->runs_total : a->runs_failed);
		return buf_printf(out, k == PIDS ? "%.0f\n" : "%.3f\n", v[k]);
	}
	return 0;
}

/* ---- status ---- */

void render_limits_by(const struct runtime *rt, struct buf *out)
{
	static const char *const by[] = {"rlimit", "cgroup_v1", "cgroup_v2"};
	buf_printf(out, "limits_by %s\n", by[rt->caps.cgroup_version]);
}

void render_enforced(const struct runtime *rt, bool net, struct buf *out)
{
	bool on = config_bool(rt->config, "native_execution.enforce_resource_limits") &&
		  config_bool(rt->config, "resource.enforcement_enabled");
	const struct sandbox_caps *c = &rt->caps;
	bool all = net && c->cpu && c->pids && c->io;
	if (!on)
		buf_adds(out, "enforced execution_timeout idle_timeout\n"
			      "not_enforced memory_mb cpu_cores pids disk_io_mbps network_io_mbps "
			      "(switched off by resource.enforcement_enabled or "
			      "native_execution.enforce_resource_limits)\n");
	else
		buf_printf(out,
			   "enforced execution_timeout idle_timeout output memory_mb%s%s%s%s%s\n"
			   "%s%s%s%s%s%s",
			   c->memory ? "" : "(rlimit)", c->cpu ? " cpu_cores" : "",
			   c->pids ? " pids" : "", c->io ? " disk_io_mbps" : "", net ? " network_io_mbps" : "",
			   all ? "" : "not_enforced", net ? "" : " network_io_mbps", c->cpu ? "" : " cpu_cores", c->pids ? "" : " pids",
			   c->io ? "" : " disk_io_mbps", all ? "" : "\n");
}

static const struct sandbox_driver *driver_of(const struct agent *a, const struct agent_spec *s)
{
	const struct sandbox_driver *d = NULL;
	const char *name = s && s->driver ? s->driver->name : NULL;
	struct err e;
	return sandbox_driver_find((enum sandbox_tier)a->tier, name, true, &d, &e) == 0 ? d : NULL;
}

/* Is what goes over its network limited? By its door, or because there is none. */
static bool render_network(struct runtime *rt, const struct agent_spec *s, struct buf *out)
{
	enum sandbox_network network = NETWORK_FULL;
	autobuf struct buf list;
	buf_init(&list, 2 * SANDBOX_DESTINATIONS_MAX);
	if (s && s->tier != TIER_NONE && run_network(rt, s, &network, &list, NULL) == 0)
		buf_printf(out, "network %s\n", sandbox_network_name(network));
	return network != NETWORK_FULL;
}

/* What holds the program that was started last, as the spawner told it; before the first start what will hold it. */
static void render_layers(const struct agent *a, const struct agent_spec *s, struct buf *out)
{
	char text[SANDBOX_LAYERS_TEXT];
	struct err e;
	struct sandbox_layers l = a->live ? a->live->layers : (struct sandbox_layers){0};
	bool told = l.active != 0;
	const struct sandbox_driver *d = told ? NULL : driver_of(a, s);
	if (!told && (!d || d->available(&l, &e) < 0))
		return;
	sandbox_layers_text(&l, l.active, text);
	buf_printf(out, "%s %s\n", told ? "layers" : "layers_at_start", text);
	sandbox_layers_text(&l, l.missing, text);
	if (l.missing)
		buf_printf(out, "layers_missing %s\n", text);
}

int agent_render_status(struct runtime *rt, struct agent *a, struct buf *out)
{
	const struct agent_live *l = a->live;
	char why[160] = "";
	buf_printf(out, "name %s\nid %s\nstate %s\nmode %s\ntier %s\npriority %s\n", a->name, a->id,
		   agent_state_name((enum agent_state)a->state),
		   agent_mode_name((enum agent_mode)a->mode),
		   sandbox_tier_name((enum sandbox_tier)a->tier),
		   agent_priority_name((enum agent_priority)a->priority));
	if (process_pid(a))
		buf_printf(out, "pid %d\n", process_pid(a));
	buf_printf(out, "owner %u\nruns_total %u\nruns_failed %u\nruns_running %u\nruns_queued %u\n"
			"restarts %u\n",
		   a->uid, a->runs_total, a->runs_failed, l ? l->running : 0, l ? l->queued : 0,
		   l ? l->restarts : 0);
	if (l && l->queued)
		queue_wait_reason(a, why, sizeof why);
	if (why[0])
		buf_printf(out, "waits_for %s\n", why);
	struct agent_spec *s = NULL;
	if (a->tier != TIER_NONE)
		agent_spec_of(a, &s, NULL);
	render_layers(a, s, out);
	bool net = render_network(rt, s, out);
	agent_spec_free(s);
	if (a->tier != TIER_NONE)
		buf_printf(out, "view %s\n", *rt->mount ? SANDBOX_SYMBI : "none (the tree is not mounted)");
	render_enforced(rt, net, out);
	render_limits_by(rt, out);
	if (a->error)
		buf_printf(out, "last_error %s\n", a->error);
	return out->fail;
}
