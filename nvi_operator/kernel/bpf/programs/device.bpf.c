// SPDX-License-Identifier: GPL-2.0-only
/*
 * At the egress of the NAT virtual interface: what nvi0's transmit function is
 * for the module.
 *
 * A packet that leaves by the device is received again on the interface it
 * first came in by, so that it takes its second pass. The order of the checks
 * is the contract of both dataplanes.
 *
 * What it cannot know: bpf_redirect() acts after the program has ended, so that
 * a packet for an interface that is down or has just gone counts as
 * reinjected, and is then dropped by the kernel.
 */
#include "nvi.bpf.h"

#define IPV4_TTL 8
#define IPV4_CHECKSUM 10
#define IPV6_HOP_LIMIT 7

/* skb->tc_index of a packet that the device has seen, with the flow cache on. */
#define SEEN 0x8000

/* Where the in-interface is read from: the mark, or skb->ingress_ifindex. */
const volatile _Bool in_interface_in_mark = 0;

/* Give back the hop of the second pass. */
const volatile _Bool hide_hop = 0;

/* skb->tc_index of a packet that the device has seen, with the cache off. */
const volatile __u16 loop_tag = 0;

/* The cache's programs keep tc_index: its highest bit is the device's. */
const volatile _Bool flow_cache = 0;

/* An interface that packets may come in by. */
struct interface {
	__u8 mac[ETH_ALEN];
	__u8 has_mac;
	__u8 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct interface);
	__uint(max_entries, 4096);
} nvi_ports SEC(".maps");

enum reason { REINJECTED, NO_STAGE_BIT, NO_DEVICE, LOOP, OTHER, REASONS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, REASONS);
} nvi_counters SEC(".maps");

static __always_inline int refuse(enum reason reason)
{
	count(&nvi_counters, reason);
	return TC_ACT_SHOT;
}

/* TTL or hop limit + 1, for the one that the second pass takes; 255 stays. */
static __always_inline void one_hop_back(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	__u8 *header = data + ETH_HLEN;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		__be16 *checksum = (void *)(header + IPV4_CHECKSUM);
		__u32 sum;

		if ((void *)(checksum + 1) > end || header[IPV4_TTL] == 255)
			return;
		/* As ip_decrease_ttl() in the other direction (RFC 1624). */
		sum = *checksum + bpf_htons(0xfeff);
		*checksum = sum + (sum >= 0xffff);
		header[IPV4_TTL]++;
	} else {
		__u8 *hop_limit = header + IPV6_HOP_LIMIT;

		if ((void *)(hop_limit + 1) > end || *hop_limit == 255)
			return;
		++*hop_limit;
	}
}

SEC("tc")
int nvi_device(struct __sk_buff *skb)
{
	__u32 index = skb->tc_index;
	__u32 ifindex;

	/*
	 * Here for the second time. tc_index is out of reach of nft and of FIB
	 * rules, which may clear the mark.
	 */
	if (flow_cache ? index & SEEN : index == loop_tag)
		return refuse(LOOP);

	/* Only the mark hook at the end of the table's postrouting sets it. */
	if (!(skb->mark & stage_mask))
		return refuse(NO_STAGE_BIT);

	if (skb->protocol != bpf_htons(ETH_P_IP) &&
	    skb->protocol != bpf_htons(ETH_P_IPV6))
		return refuse(OTHER);

	ifindex = in_interface_in_mark ? skb->mark & ~stage_mask :
					 skb->ingress_ifindex;
	if (ifindex) {
		struct interface *in;

		in = bpf_map_lookup_elem(&nvi_ports, &ifindex);
		if (!in)
			return refuse(NO_DEVICE);
		/*
		 * eth_type_trans() takes a frame with another destination for
		 * another host's. The source stays the device's own address,
		 * by which a tap tells the second pass from the first. For an
		 * interface without Ethernet header bpf_redirect() strips it
		 * (__bpf_redirect_no_mac()).
		 */
		if (in->has_mac) {
			void *data = (void *)(long)skb->data;
			void *end = (void *)(long)skb->data_end;

			if (data + ETH_HLEN > end)
				return refuse(OTHER);
			__builtin_memcpy(data, in->mac, ETH_ALEN);
		}
	} else {
		/*
		 * The gateway's own (ICMP errors) come back in by the device:
		 * the kernel writes its own address as destination where there
		 * is no ARP (arp_constructor(), ndisc_constructor()).
		 */
		ifindex = skb->ifindex;
	}

	if (hide_hop)
		one_hop_back(skb);
	bpf_set_hash_invalid(skb); /* it was that of the addresses before NAT */
	if (in_interface_in_mark)
		skb->mark = stage_mask;
	skb->tc_index = flow_cache ? index | SEEN : loop_tag;
	count(&nvi_counters, REINJECTED);
	/* Drops the route and the conntrack entry, keeps the mark. */
	return bpf_redirect(ifindex, BPF_F_INGRESS);
}
