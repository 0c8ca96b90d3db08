/* SPDX-License-Identifier: MIT */
/* store_agents.c - the documents of agents/: specs. L3; loop thread only. */
#include <string.h>

#include "fs/store.h"
#include "lib/value.h"

static bool show(struct agent *a, struct stored *ret)
{
	if (a)
		*ret = (struct stored){agent_file_name(a), (uint32_t)agent_serial(a), agent_uid(a),    agent_gid(a),
				       agent_mode_bits(a), agent_text_len(a),	     agent_mtime_ms(a)};
	return a;
}

static struct agent *of_name(struct runtime *rt, const char *file)
{
	const char *dot = strrchr(file, '.');
	return dot ? agent_find(rt, file, (size_t)(dot - file)) : NULL;
}

static bool find(struct runtime *rt, const char *file, struct stored *ret)
{
	struct agent *a = of_name(rt, file);
	return a && strcmp(agent_file_name(a), file) == 0 && show(a, ret);
}

static bool by_serial(struct runtime *rt, uint32_t serial, struct stored *ret)
{
	return show(agent_by_serial(rt, serial), ret);
}

static bool next(struct runtime *rt, uint32_t after, struct stored *ret)
{
	return show(agent_next(rt, after), ret);
}

static int gone(struct err *e)
{
	return err_set(e, ERR_AGENT_NOT_FOUND, "the agent is gone");
}

static int text(struct runtime *rt, uint32_t serial, struct buf *out, struct err *e)
{
	struct agent *a = agent_by_serial(rt, serial);
	return a ? agent_text(rt, a, out, e) : gone(e);
}

static int may_begin(struct runtime *rt, const char *file, struct err *e)
{
	struct agent *a = of_name(rt, file);
	if (a)
		return err_set(e, ERR_AGENT_EXISTS, "agent '%s' exists, its spec is '%s'", agent_name(a),
			       agent_file_name(a));
	if (agent_count(rt) >= config_u64(runtime_config(rt), "lifecycle.max_agents"))
		return err_set(e, ERR_RESOURCE_SHORT, "lifecycle.max_agents: %zu agents exist", agent_count(rt));
	return 0;
}

static int put(struct runtime *rt, const struct actor *who, const char *file, const char *data, size_t len,
	       struct runtime_done done, struct err *e)
{
	return agent_put(rt, who, file, data, len, false, done, e);
}

static int delete(struct runtime *rt, const struct actor *who, uint32_t serial, struct runtime_done done,
		  struct err *e)
{
	struct agent *a = agent_by_serial(rt, serial);
	return a ? agent_delete(rt, who, a, done, e) : gone(e);
}

static int move(struct runtime *rt, const struct actor *who, uint32_t serial, const char *new_file,
		struct runtime_done done, struct err *e)
{
	struct agent *a = agent_by_serial(rt, serial);
	return a ? agent_rename(rt, who, a, new_file, true, done, e) : gone(e);
}

static int chattr(struct runtime *rt, const struct actor *who, uint32_t serial, uid_t uid, gid_t gid, mode_t mode,
		  struct runtime_done done, struct err *e)
{
	struct agent *a = agent_by_serial(rt, serial);
	return a ? agent_chown(rt, who, a, uid, gid, mode, done, e) : gone(e);
}

const struct fs_store fs_store_agents = {
	.thing = "a spec",
	.events = "agent.",
	.is_name = value_file_name_ok,
	.find = find,
	.by_serial = by_serial,
	.next = next,
	.text = text,
	.may_begin = may_begin,
	.check = agent_check,
	.put = put,
	.remove = delete,
	.rename = move,
	.chattr = chattr,
};
