/* SPDX-License-Identifier: MIT */
/* agent_spec_net.c - the keys of a spec that say what holds its program: its driver, its network. L2; any thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "runtime/agent_spec_i.h"
#include "sandbox/profile.h"

int spec_read_driver(struct spec_reader *r, struct value *v)
{
	char words[200] = "", open[64];
	size_t n = 0;
	int i = 0;
	for (const struct sandbox_driver *const *d = sandbox_drivers; *d; d++)
		n += (size_t)snprintf(words + n, sizeof words - n, "%s%s", n ? " " : "", (*d)->name);
	spec_open_word(r, v, open);
	int ret = spec_choice(r, v, "sandbox_driver", words, &i);
	if (ret == 0)
		r->s->driver = sandbox_drivers[i];
	return ret;
}

static int destination(struct spec_reader *r, struct value *v, struct buf *list)
{
	struct err why = {0};
	bool open = r->last; /* more of it may follow */
	if (sandbox_destination_read(v, list, &why) == 0)
		return 0;
	r->curable = open;
	return err_at(r->e, ERR_AGENT_SPEC, why.line, "%s", why.msg);
}

static int destinations(struct spec_reader *r, struct value *v)
{
	autobuf struct buf list;
	bool last = r->last;
	buf_init(&list, SANDBOX_DESTINATIONS_MAX - 1);
	if (v->type != VALUE_LIST)
		return spec_wrong_type(r, v, "network.allowed_destinations", "a list of \"HOST:PORT\"");
	for (size_t i = 0; i < v->list.n; i++) {
		r->last = last && i + 1 == v->list.n;
		int n = destination(r, &v->list.items[i], &list);
		if (n < 0)
			return n;
	}
	free(r->s->destinations);
	r->s->destinations = buf_take(&list, NULL);
	return r->s->destinations ? 0 : spec_no_memory(r);
}

static int mode(struct spec_reader *r, struct value *v, const char *key)
{
	int i = 0, n = spec_choice(r, v, key, "None Restricted Full", &i);
	if (n == 0)
		r->s->network = (enum sandbox_network)i;
	return n;
}

static int member(struct spec_reader *r, struct value_member *m, size_t i)
{
	(void)i;
	if (strcmp(m->key, "access_mode") == 0)
		return mode(r, &m->value, "network.access_mode");
	if (strcmp(m->key, "allowed_destinations") == 0)
		return destinations(r, &m->value);
	return spec_unknown(r, m, "network", spec_network_keys);
}

const char *const spec_network_keys = "access_mode allowed_destinations";

int spec_read_network(struct spec_reader *r, struct value *v)
{
	r->s->network_given = true;
	if (v->type == VALUE_MAP)
		return spec_each_member(r, v, member);
	int n = mode(r, v, "network");
	if (n < 0)
		r->curable |= spec_begins_key(r, v, spec_network_keys);
	return n;
}
