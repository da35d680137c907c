// SPDX-License-Identifier: GPL-2.0-only
/*
 * At an interface's ingress: no packet comes in with one of the gateway's own
 * addresses as its source.
 *
 * accept_local lets such packets in, because those of stage 2 may have such a
 * source; the table's anti-spoof guard (ruleset/raw.py) refuses those of stage
 * 1. This program does the same when the table is gone. Every packet passes it
 * twice, so the cheapest question comes first. A packet that passes is left to
 * the filters behind.
 */
#include "nvi.bpf.h"

#define IPV4_SOURCE 12
#define IPV6_SOURCE 8
#define VLAN_ID 0x0fff

struct vlan_tag {
	__be16 tci;
	__be16 protocol;
};

/*
 * An IPv4 address is ::ffff:a.b.c.d, which ip6_rcv_core() never takes as a
 * source.
 */
struct address {
	__be32 word[4];
};

/*
 * Which sources need not be looked up: of 2,048 sorts of addresses those that
 * none of the gateway's own is of. Without these bits all are looked up.
 */
#define STRANGER_BITS 11
const volatile __u8 strangers[(1 << STRANGER_BITS) / 8] = {};

/* The gateway's own addresses; the number of entries is set at load. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address);
	__type(value, __u32);
	__uint(max_entries, 64);
} nvi_addresses SEC(".maps");

enum reason { SPOOFED, REASONS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, REASONS);
} nvi_refused SEC(".maps");

static __always_inline int is_stranger(const struct address *address)
{
	__u32 bit = address->word[0] ^ address->word[1] ^ address->word[2] ^
		    address->word[3];

	bit = bit * 0x9e3779b1 >> (32 - STRANGER_BITS);
	return strangers[bit / 8] >> bit % 8 & 1;
}

static __always_inline int is_vlan(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) ||
	       protocol == bpf_htons(ETH_P_8021AD);
}

static __always_inline int refuse(enum reason reason)
{
	count(&nvi_refused, reason);
	return TC_ACT_SHOT;
}

SEC("tc")
int nvi_ingress(struct __sk_buff *skb)
{
	struct address source = {};
	__be16 protocol = skb->protocol;
	__u32 network = 0;

	/* Stage 2, received again on its in-interface. */
	if (skb->mark & stage_mask)
		return TC_ACT_UNSPEC;

	/*
	 * The frame of a VLAN belongs to another interface. That of a priority
	 * tag only (VLAN 0) is the interface's own: the kernel takes that tag
	 * off behind this program, and a second one
	 * (__netif_receive_skb_core()).
	 */
	if (skb->vlan_present) {
		if (skb->vlan_tci & VLAN_ID)
			return TC_ACT_UNSPEC;
		if (is_vlan(protocol)) {
			struct vlan_tag tag;

			if (load(skb, 0, &tag, sizeof(tag)) ||
			    tag.tci & bpf_htons(VLAN_ID))
				return TC_ACT_UNSPEC;
			/*
			 * Three tags, two of them empty: nothing sends that,
			 * and its source would not be found.
			 */
			if (is_vlan(tag.protocol))
				return refuse(SPOOFED);
			protocol = tag.protocol;
			network = sizeof(tag);
		}
	}

	if (protocol == bpf_htons(ETH_P_IP)) {
		source.word[2] = bpf_htonl(0xffff);
		if (load(skb, network + IPV4_SOURCE, &source.word[3], 4))
			return TC_ACT_UNSPEC;
	} else if (protocol == bpf_htons(ETH_P_IPV6)) {
		if (load(skb, network + IPV6_SOURCE, &source, sizeof(source)))
			return TC_ACT_UNSPEC;
	} else {
		return TC_ACT_UNSPEC;
	}
	if (is_stranger(&source) ||
	    !bpf_map_lookup_elem(&nvi_addresses, &source))
		return TC_ACT_UNSPEC;

	/*
	 * What the gateway sent to a group and the kernel loops back
	 * (dev_loopback_xmit()).
	 */
	if (skb->pkt_type == PACKET_LOOPBACK)
		return TC_ACT_UNSPEC;
	return refuse(SPOOFED);
}
