/* SPDX-License-Identifier: MIT */
/* net_host.h - hosts of a network in the one spelling that they are compared in, and which addresses are nobody's public
 * service. L0; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_HOST_TEXT 256 /* a name of at most 253 bytes, or an address */

struct net_host {
	char name[NET_HOST_TEXT]; /* lower case, no last dot; an address in its shortest form, IPv6 without brackets */
	bool is_address;
	uint8_t address[16]; /* IPv4 mapped into IPv6 */
};

/* A name (letters, digits, '-', '_', '.'), or an address in any spelling that a resolver takes for one: 0x7f.1,
 * 2130706433, 017700000001, ::ffff:127.0.0.1, with or without brackets. 0, or -EINVAL for what is neither; an address with
 * a zone (fe80::1%eth0) is not. */
int net_host_read(const char *text, size_t len, struct net_host *ret);
/* host:port, host alone where a default port is given (0: none is), IPv6 in brackets. 0, -EINVAL. */
int net_target_read(const char *text, size_t len, uint16_t port_else, struct net_host *ret, uint16_t *ret_port);
/* An IPv4 address in any of the spellings that inet_aton takes, and with it every resolver. */
bool net_v4_read(const char *text, uint8_t ret[16]);
bool net_is_v4(const uint8_t address[16]);
/* The host of these 16 bytes. */
void net_host_of(const uint8_t address[16], struct net_host *ret);
/* "host:port", IPv6 in brackets. */
#define NET_TARGET_TEXT (NET_HOST_TEXT + 8)
void net_target_text(const struct net_host *h, uint16_t port, char out[static NET_TARGET_TEXT]);
/* As struct sockaddr_in or sockaddr_in6, into and from 16 bytes. */
struct sockaddr;
bool net_address_of(const struct sockaddr *sa, uint8_t ret[16]); /* false: of another family */

/* The same in the first `bits` of 128? */
bool net_same_bits(const uint8_t a[16], const uint8_t b[16], unsigned bits);

/* What makes an address nobody's public service, in a word ("loopback", "private", "metadata" ...); NULL: nothing. IPv4 that
 * is wrapped into IPv6 (mapped, 6to4, NAT64, Teredo) is judged by what it wraps. */
const char *net_special(const uint8_t address[16]);
