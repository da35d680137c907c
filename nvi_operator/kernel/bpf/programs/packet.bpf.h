/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A TCP or UDP packet of either family: where its headers are, and the keys and sums that are made of them.
 */
#ifndef PACKET_BPF_H
#define PACKET_BPF_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "flow_cache.bpf.h"

/* struct iphdr and struct tcphdr have these as bit fields, which differ by byte order. */
#define IPV4_WITHOUT_OPTIONS	0x45
#define IPV4_FRAGMENT		0x3fff	/* more fragments, or an offset */
#define TCP_FLAGS		13
#define TCP_FIN_SYN_RST		0x07
#define TCP_ACK			0x10
#define DSCP			0xfc
#define SHORTEST_FRAME	60		/* Ethernet pads shorter ones */

struct packet {
	struct ethhdr *eth;
	union {
		struct iphdr *ip;
		struct ipv6hdr *ip6;
		void *l3;
	};
	union {
		struct udphdr *udp;
		struct tcphdr *tcp;
		void *l4;
	};
	__u32 length;		/* bytes of the IP packet */
	__u8 protocol, ttl, tos, flags;
};

static __always_inline __u32 l3_length(const int words)
{
	return words == IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

static __always_inline int parse4(struct packet *p)
{
	if (*(__u8 *)p->l3 != IPV4_WITHOUT_OPTIONS)
		return OPTIONS;
	if (p->ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		return FRAGMENT;
	p->length = bpf_ntohs(p->ip->tot_len);
	p->protocol = p->ip->protocol;
	p->ttl = p->ip->ttl;
	p->tos = p->ip->tos;
	return -1;
}

static __always_inline int parse6(struct packet *p)
{
	__u8 next = p->ip6->nexthdr;

	if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS)
		return OPTIONS;
	if (next == IPPROTO_FRAGMENT)
		return FRAGMENT;
	p->length = bpf_ntohs(p->ip6->payload_len) + sizeof(struct ipv6hdr);
	p->protocol = next;
	p->ttl = p->ip6->hop_limit;
	p->tos = bpf_ntohs(*(__be16 *)p->l3) >> 4;
	return -1;
}

/* The reason why the packet cannot be cached, or -1. */
static __always_inline int parse(struct __sk_buff *skb, const int words, struct packet *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	int reason;

	p->eth = data;
	p->l3 = data + ETH_HLEN;
	p->l4 = p->l3 + l3_length(words);
	if ((void *)(p->udp + 1) > end)
		return MALFORMED;
	reason = words == IPV4 ? parse4(p) : parse6(p);
	if (reason >= 0)
		return reason;
	p->flags = 0;
	if (p->protocol == IPPROTO_TCP) {
		if ((void *)(p->tcp + 1) > end)
			return MALFORMED;
		p->flags = ((__u8 *)p->tcp)[TCP_FLAGS];
	} else if (p->protocol != IPPROTO_UDP) {
		return OTHER_PROTOCOL;
	}
	/*
	 * A length of 0 is a packet of more than 64 kB (BIG TCP). What follows the packet in a short frame is
	 * padding, which the kernel would cut off.
	 */
	if (p->length < l3_length(words) + sizeof(struct udphdr) || p->length + ETH_HLEN > skb->len ||
	    (p->length + ETH_HLEN < skb->len && skb->len > SHORTEST_FRAME))
		return MALFORMED;
	return -1;
}

static __always_inline __be32 ports_of(const struct packet *p)
{
	return *(__be32 *)p->l4;
}

static __always_inline __be32 swapped(__be32 ports)
{
	return ports << 16 | ports >> 16;
}

static __always_inline const __be32 *addresses_of(const struct packet *p, const int words)
{
	return words == IPV4 ? (const __be32 *)&p->ip->saddr : (const __be32 *)&p->ip6->saddr;
}

static __always_inline void key_of(__u32 *key, const struct packet *p, __u32 ifindex, const int words)
{
	const __be32 *address = addresses_of(p, words);

#pragma unroll
	for (int i = 0; i < 2 * words; i++)
		key[i] = address[i];
	key[2 * words] = ports_of(p);
	key[2 * words + 1] = ifindex << 8 | p->protocol;
}

/* The key of answers to a packet with these addresses and ports that leaves by the interface. */
static __always_inline void reverse_key(__u32 *key, const __be32 *address, __be32 ports, __u32 oif, __u8 protocol,
					const int words)
{
#pragma unroll
	for (int i = 0; i < words; i++) {
		key[i] = address[words + i];
		key[words + i] = address[i];
	}
	key[2 * words] = swapped(ports);
	key[2 * words + 1] = oif << 8 | protocol;
}

/* How large it is to an MTU: of a GSO packet, one of its segments. */
static __always_inline __u32 size_of(struct __sk_buff *skb, const struct packet *p, const int words)
{
	__u32 headers = l3_length(words);

	if (!skb->gso_size)
		return p->length;
	if (p->protocol == IPPROTO_TCP)
		headers += (((__u8 *)p->tcp)[TCP_FLAGS - 1] >> 4) * 4;
	else
		headers += sizeof(struct udphdr);
	return headers + skb->gso_size;
}

/* What tells the packet from others of its flow, and is left alone by NAT. */
static __always_inline __u64 print_of(struct __sk_buff *skb, const struct packet *p, const int words)
{
	__u64 payload = 0;

	if (p->protocol == IPPROTO_TCP)
		return (__u64)p->tcp->seq << 32 | p->tcp->ack_seq;
	/* By the helper, because the payload need not be linear. A shorter one is not read at all. */
	bpf_skb_load_bytes(skb, ETH_HLEN + l3_length(words) + sizeof(struct udphdr), &payload, sizeof(payload));
	return payload;
}

/* ------------------------------------------------------------------ hashes and sums */

static __always_inline __u64 mix(__u64 a, __u64 b)
{
	__u64 hash = (a * 0x9e3779b97f4a7c15ull) ^ ((b + 0x7f4a7c15ull) * 0xc2b2ae3d27d4eb4full);

	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93ull;
	return hash ^ hash >> 29;
}

static __always_inline __u64 hash_of(const __u32 *key, const int words)
{
	__u64 hash = 0;

#pragma unroll
	for (int i = 0; i < KEY_WORDS(words); i += 2)
		hash = mix((__u64)key[i] << 32 | key[i + 1], hash);
	return hash;
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

#endif
