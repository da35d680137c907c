// SPDX-License-Identifier: GPL-2.0-only
/*
 * At an interface's egress: nothing leaves untranslated, even without the
 * table and the FIB rules.
 *
 * It decides by addresses, in one map of prefixes (kinds/egress_guard.py), of
 * which the longest match counts:
 *
 * - A source of this uplink leaves, but for the gateway's own answers that end
 *   a flow, a TCP reset or an ICMP destination unreachable, without the stage
 *   bit, which the table gives them: without the table the gateway answers for
 *   addresses that it translates otherwise, and connections that outlive the
 *   table's absence would end.
 * - A packet of the gateway itself leaves with any source but an inside one or
 *   one of another uplink; IPv6 neighbour discovery and multicast whatever the
 *   source.
 * - A forwarded packet leaves with the stage bit if a rule of the spec has its
 *   bit at source and destination.
 *
 * At an inside interface only the first question is asked: its map has the
 * sources of all uplinks, and lets the rest leave.
 *
 * Most packets have a source of which the answer is known without the map: a
 * few networks are constants. The map says the same of them.
 */
#include "nvi.bpf.h"

#define IPV4_FRAGMENT 6
#define IPV4_PROTOCOL 9
#define IPV4_SOURCE 12
#define IPV4_DESTINATION 16
#define IPV6_NEXT_HEADER 6
#define IPV6_SOURCE 8
#define IPV6_DESTINATION 24
#define IPV6_HEADER 40

#define FRAGMENT_OFFSET 0x1fff
#define TCP_FLAGS 13
#define TCP_RST 4
#define ICMP_UNREACHABLE 3
#define ICMP_FRAGMENTATION_NEEDED 4
#define ICMPV6_UNREACHABLE 1
#define ICMPV6_ROUTER_SOLICITATION 133
#define ICMPV6_NEIGHBOUR_SOLICITATION 135
#define ICMPV6_NEIGHBOUR_ADVERTISEMENT 136

/* Whose a source is: Standing in kinds/egress_guard.py. */
enum { OWN = 1, INSIDE = 2, OTHER = 4, FREE = 8 };

enum side { SOURCE, DESTINATION };

/*
 * struct bpf_lpm_trie_key: the length in bits, then what is matched: side and
 * family in one byte, and an address.
 */
struct key {
	__u32 length;
	__u8 side;
	__u8 address[16];
	__u8 unused[3];
};

struct prefix {
	__u32 standing;
	__u32 rules; /* one bit each */
};

/* IPv4 as ::ffff:a.b.c.d, in network order. */
union address {
	__be32 word[4];
	__u64 half[2];
};

struct network {
	union address address, mask;
};

/* OWN, and no longer prefix lies within. */
#define OWN_NETWORKS 8
const volatile struct network own[OWN_NETWORKS] = {};
const volatile __u32 own_networks = 0;

/* The family has no other OWN, and what is not OWN is FREE. */
const volatile _Bool rest_is_free4 = 0, rest_is_free6 = 0;

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct key);
	__type(value, struct prefix);
	__uint(max_entries, 1 << 17);
} nvi_prefixes SEC(".maps");

enum reason { UNTRANSLATED, FOREIGN, WRONG_UPLINK, RESET, REASONS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, REASONS);
} nvi_refused SEC(".maps");

static __always_inline int refuse(enum reason reason)
{
	count(&nvi_refused, reason);
	return TC_ACT_SHOT;
}

static __always_inline int is_ipv4(struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IP);
}

/* The prefix of an address of the packet; none also without a whole header. */
static __always_inline struct prefix *look_up(struct __sk_buff *skb,
					      enum side side)
{
	struct key key = {};
	long failed;

	if (is_ipv4(skb)) {
		key.length = 8 + 32;
		key.side = 2 * side;
		failed = load(skb, side == SOURCE ? IPV4_SOURCE : IPV4_DESTINATION,
			      key.address, 4);
	} else {
		key.length = 8 + 128;
		key.side = 2 * side + 1;
		failed = load(skb, side == SOURCE ? IPV6_SOURCE : IPV6_DESTINATION,
			      key.address, 16);
	}
	return failed ? NULL : bpf_map_lookup_elem(&nvi_prefixes, &key);
}

static __always_inline int is_in(const union address *address,
				 const volatile struct network *network)
{
	const volatile union address *first = &network->address;
	const volatile union address *mask = &network->mask;
	__u64 differences;

	differences = (address->half[0] & mask->half[0]) ^ first->half[0];
	differences |= (address->half[1] & mask->half[1]) ^ first->half[1];
	return !differences;
}

/* What the constants say of the packet's source; 0 if they do not know. */
static __always_inline __u32 standing_by_constants(struct __sk_buff *skb)
{
	union address source = {};

	if (is_ipv4(skb)) {
		source.word[2] = bpf_htonl(0xffff);
		if (load(skb, IPV4_SOURCE, &source.word[3], 4))
			return 0;
	} else if (load(skb, IPV6_SOURCE, &source, sizeof(source))) {
		return 0;
	}
#pragma unroll
	for (__u32 i = 0; i < OWN_NETWORKS; i++)
		if (i < own_networks && is_in(&source, &own[i]))
			return OWN;
	return (is_ipv4(skb) ? rest_is_free4 : rest_is_free6) ? FREE : 0;
}

/* A byte of the packet; 0 behind its end. */
static __always_inline __u8 byte(struct __sk_buff *skb, __u32 offset)
{
	__u8 value = 0;

	load(skb, offset, &value, sizeof(value));
	return value;
}

/* Does this packet of the gateway itself end a flow? */
static __always_inline int ends_flow(struct __sk_buff *skb)
{
	__u32 header = IPV6_HEADER;
	__u8 protocol;

	if (is_ipv4(skb)) {
		__be16 fragment = 0;

		load(skb, IPV4_FRAGMENT, &fragment, sizeof(fragment));
		if (fragment & bpf_htons(FRAGMENT_OFFSET))
			return 0;
		header = (byte(skb, 0) & 0x0f) * 4;
		protocol = byte(skb, IPV4_PROTOCOL);
		if (protocol == IPPROTO_ICMP)
			return byte(skb, header) == ICMP_UNREACHABLE &&
			       byte(skb, header + 1) != ICMP_FRAGMENTATION_NEEDED;
	} else {
		protocol = byte(skb, IPV6_NEXT_HEADER);
		if (protocol == IPPROTO_ICMPV6)
			return byte(skb, header) == ICMPV6_UNREACHABLE;
	}
	return protocol == IPPROTO_TCP && byte(skb, header + TCP_FLAGS) & TCP_RST;
}

/* Neighbour discovery has no extension headers (RFC 6980). */
static __always_inline int is_for_neighbours(struct __sk_buff *skb)
{
	__u8 type;

	if (byte(skb, IPV6_DESTINATION) == 0xff)
		return 1;
	if (byte(skb, IPV6_NEXT_HEADER) != IPPROTO_ICMPV6)
		return 0;
	type = byte(skb, IPV6_HEADER);
	return type == ICMPV6_ROUTER_SOLICITATION ||
	       type == ICMPV6_NEIGHBOUR_SOLICITATION ||
	       type == ICMPV6_NEIGHBOUR_ADVERTISEMENT;
}

SEC("tc")
int nvi_egress(struct __sk_buff *skb)
{
	__u32 standing = 0, rules = 0;
	struct prefix *prefix;

	/* The frame of a VLAN belongs to another interface. */
	if (skb->vlan_present)
		return TC_ACT_UNSPEC;
	if (!is_ipv4(skb) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return TC_ACT_UNSPEC;

	standing = standing_by_constants(skb);
	if (!standing) {
		prefix = look_up(skb, SOURCE);
		if (prefix) {
			standing = prefix->standing;
			rules = prefix->rules;
		}
	}

	if (standing & OWN) {
		if (!skb->ingress_ifindex && !(skb->mark & stage_mask) &&
		    ends_flow(skb))
			return refuse(RESET);
		return TC_ACT_UNSPEC;
	}
	if (standing & FREE)
		return TC_ACT_UNSPEC;

	/*
	 * The gateway's own packet: no interface received it. Tunnels clear
	 * the field, skb_scrub_packet().
	 */
	if (!skb->ingress_ifindex) {
		if (!standing || (!is_ipv4(skb) && is_for_neighbours(skb)))
			return TC_ACT_UNSPEC;
		return refuse(standing & INSIDE ? UNTRANSLATED : WRONG_UPLINK);
	}

	if (skb->mark & stage_mask && rules) {
		prefix = look_up(skb, DESTINATION);
		if (prefix && prefix->rules & rules)
			return TC_ACT_UNSPEC;
	}
	return refuse(standing & INSIDE ? UNTRANSLATED : FOREIGN);
}
