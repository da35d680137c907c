/* SPDX-License-Identifier: GPL-2.0-only */
/* What the flow cache does to headers. */
#ifndef _NVI_FLOW_PACKET_H
#define _NVI_FLOW_PACKET_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/dsfield.h>
#include <net/inet_ecn.h>
#include <net/ip.h>

#include "flow_cache.h"

/* A packet whose headers are complete and in the linear part of its skb. */
struct nvi_packet {
	struct nvi_key key;
	unsigned int len;		/* by its IP header, without padding */
	unsigned int headers_len;	/* IP and transport, without TCP options */
	u8 protocol;
	u8 dscp;
	u8 ttl;
	bool tcp_control;		/* SYN, FIN or RST */
};

struct nvi_ports {
	__be16 source, dest;
};

static inline unsigned int nvi_transport_offset(u8 family)
{
	return family == NFPROTO_IPV4 ? sizeof(struct iphdr) :
					sizeof(struct ipv6hdr);
}

static inline __wsum nvi_csum_diff(__be32 from, __be32 to)
{
	return csum_sub((__force __wsum)to, (__force __wsum)from);
}

static inline __wsum nvi_csum_diff6(const struct in6_addr *from,
				    const struct in6_addr *to)
{
	__wsum diff = 0;
	int i;

	for (i = 0; i < 4; i++)
		diff = csum_add(diff, nvi_csum_diff(from->s6_addr32[i],
						    to->s6_addr32[i]));

	return diff;
}

static inline void nvi_csum_apply(__sum16 *sum, __wsum diff)
{
	*sum = csum_fold(csum_add(diff, ~csum_unfold(*sum)));
}

/*
 * As inet_proto_csum_replace_by_diff(). The sum of a @partial packet covers
 * only the pseudo header: the device adds the rest. Zero in UDP means none.
 */
static inline void nvi_rewrite_transport(const struct nvi_flow *flow,
					 void *transport, bool partial)
{
	struct nvi_ports *ports = transport;
	struct tcphdr *tcph = transport;
	struct udphdr *udph = transport;
	bool udp = flow->protocol == IPPROTO_UDP;
	__sum16 *sum = udp ? &udph->check : &tcph->check;

	ports->source = flow->sport;
	ports->dest = flow->dport;

	if (partial) {
		*sum = ~csum_fold(csum_add(flow->addresses_diff,
					   csum_unfold(*sum)));
	} else if (!udp || *sum) {
		nvi_csum_apply(sum, csum_add(flow->addresses_diff,
					     flow->ports_diff));
		if (udp && !*sum)
			*sum = CSUM_MANGLED_0;
	}
}

/* Turns the headers of a packet that came in into those of one that leaves. */
static inline void nvi_rewrite(const struct nvi_flow *flow, void *headers,
			       bool partial)
{
	if (flow->family == NFPROTO_IPV4) {
		const struct nvi_flow4 *flow4 =
			container_of(flow, const struct nvi_flow4, flow);
		struct iphdr *iph = headers;

		iph->ttl -= flow->hops;
		iph->saddr = flow4->saddr;
		iph->daddr = flow4->daddr;
		nvi_csum_apply(&iph->check, csum_add(flow->addresses_diff,
						     flow->ttl_diff));
		nvi_rewrite_transport(flow, iph + 1, partial);
	} else {
		const struct nvi_flow6 *flow6 =
			container_of(flow, const struct nvi_flow6, flow);
		struct ipv6hdr *ip6h = headers;

		ip6h->hop_limit -= flow->hops;
		ip6h->saddr = flow6->saddr;
		ip6h->daddr = flow6->daddr;
		nvi_rewrite_transport(flow, ip6h + 1, partial);
	}
}

#endif /* _NVI_FLOW_PACKET_H */
