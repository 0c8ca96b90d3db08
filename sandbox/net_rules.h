/* SPDX-License-Identifier: MIT */
/* net_rules.h - where a program in a restricted network may connect to: an allow-list of hosts and ports. L1; any thread.
 *
 * A rule is HOST:PORT. HOST is a name, `*.NAME` (all names below NAME, not itself), `*` (everything that is somebody's public
 * service), an address, or an address with /BITS, IPv6 in brackets ([2001:db8::]/32:443). PORT is 1 to 65535, or `*`.
 * An address that is special (net_special: loopback, private ...) or the machine's own is let through only where a rule
 * names it as an address, or, for loopback, as `localhost`. */
#pragma once

#include "lib/err.h"
#include "lib/net_host.h"

#define NET_RULES_MAX 1000 /* of a list */
#define NET_RULE_TEXT 288  /* bytes with the NUL */

/* Check one rule and write it as it is compared and shown. 0, or -EINVAL SEC_003 saying what is wrong with it. */
int net_rule_normal(const char *text, char out[static NET_RULE_TEXT], struct err *e);

struct net_rules;
/* Lists of rules, a line each; an empty line begins another list, and what is let through stands in all of them. "": no
 * list, which lets nothing through. 0, -EINVAL SEC_003, -ENOMEM. */
int net_rules_read(const char *text, struct net_rules **ret, struct err *e);
void net_rules_free(struct net_rules *r); /* NULL is fine */
bool net_rules_any(const struct net_rules *r);

/* The rule of the last list that lets host and port through, borrowed, when every list has one; else NULL. Says nothing of
 * what a name's addresses are. */
const char *net_rules_find(const struct net_rules *r, const struct net_host *h, uint16_t port);
/* Does every list name this special address? */
bool net_rules_names(const struct net_rules *r, const uint8_t address[16], uint16_t port);
