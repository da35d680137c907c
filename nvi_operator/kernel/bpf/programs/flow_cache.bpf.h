/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flow cache's options, reasons, structures and maps, as kernel/bpf/flow_cache.py reads them in user space.
 */
#ifndef FLOW_CACHE_BPF_H
#define FLOW_CACHE_BPF_H

#include <stdbool.h>
#include "nvi.bpf.h"

#define TAG_LOOP	0x8000u		/* the device has seen the packet: its second pass */
#define TAG_FIRST	0x4000u		/* fc_in has seen it on its first pass */
#define TAG_HASH	0x2000u		/* without a slot: the low 12 bits are of the key's hash */
#define SLOTS		4096u		/* the low 12 bits of tc_index; slot 0 is none */
#define SLOT_LIFE	256u		/* jiffies: by then a packet was dropped */

/*
 * Time is the low half of jiffies, because a helper for the clock costs more than all other checks of a hit. How many
 * jiffies make a second, each CPU finds out (interval()); until then they are taken for the longest there are.
 */
#define SLOWEST_HZ	100u
#define FASTEST_HZ	1000u
#define LONGEST		(60u * FASTEST_HZ)	/* a deadline further off is one of 49 days ago */

#define MAX_IFINDEX	(1u << 24)	/* a key has 24 bits for it */
#define GENERATIONS	257		/* [0] of the gateway, then of interfaces, by the low byte of the ifindex */
#define WAYS		1024u		/* pairs of interfaces that are counted apart */
#define WAY_PROBES	8

#define IPV6_MIN_MTU	1280

#ifndef BPF_F_IPV6			/* Linux 6.16, and stable kernels */
#define BPF_F_IPV6	(1ull << 7)
#endif

/* How many 32-bit words an address has; by it the code is made for one family or the other. */
enum { IPV4 = 1, IPV6 = 4 };

/* Options, which user space sets before it loads the object. */
const volatile __u32 door_mask = (1u << 17) - 1;	/* entries of fc_doors - 1, a power of two */
const volatile __u32 cpu_slots = 1024;			/* SLOTS over the number of CPUs, a power of two */
const volatile __u32 learn_after = 6;			/* packets of a direction; at most 14 */
const volatile __u32 interval_ms = 1000;		/* how long an entry lasts unless it is renewed */
const volatile __u32 longest_ms = 10000;		/* the same, when there are many of them */
const volatile __u32 cpu_renewals = 10000;		/* a second; above it the interval is stretched */
const volatile __u32 cpu_learns = 2048;			/* a second; more would evict entries that have just been made */

enum reason {
	/* why a packet went the slow way */
	UNCACHED_INTERFACE,	/* without Ethernet header, or for another reason */
	OTHER_PROTOCOL,		/* neither TCP nor UDP, or not for this host alone */
	OPTIONS,
	FRAGMENT,
	MALFORMED,
	TCP_CONTROL,		/* SYN, FIN or RST, or no ACK */
	UNKNOWN,		/* no entry, and no reason to make one yet */
	LEARNING,
	INVALIDATED,		/* the generation has changed */
	EXPIRED,
	SUSPENDED,		/* an earlier packet is still on the slow way */
	DSCP_DIFFERS,
	TTL_LOW,
	TOO_BIG,
	NO_SLOT,		/* counted besides one of the others */
	/* what happened to entries */
	LEARNED,		/* an entry was made */
	CHANGED,		/* one has another translation or way now */
	RENEWED,
	ENDED,			/* one was deleted: FIN, SYN or RST */
	REUSED,			/* suspended, because another flow may have its translation */
	/* why a packet taught nothing */
	MODIFIED,		/* more than addresses, ports, TTL and MACs were changed on the way */
	UNASSURED,		/* conntrack does not know the flow, or might drop it */
	HELPER,			/* a helper or sequence adjustment looks at each packet */
	REASONS,
};

/*
 * Keys are arrays of words: source and destination address, both ports, and the in-interface with the protocol
 * (ifindex << 8 | protocol). The in-interface stands for the tenant.
 */
#define KEY_WORDS(words)	(2 * (words) + 2)

/* 56 bytes, so that an element of fc_flows4 has two cache lines: 48 of the kernel's, key, entry, addresses. */
struct entry {
	__u32 time;		/* the deadline; since when, if it is suspended; in jiffies */
	union {
		__u32 generation;
		__u32 sent;	/* packets that went the slow way since it is suspended */
	};
	__u32 place;		/* out-interface << 8 | TOS */
	__u32 mark;
	__u32 priority;
	__be32 ports;		/* as they leave */
	__u16 mac[ETH_ALEN];	/* destination and source, as they leave */
	__u16 size;		/* bytes of the largest IP packet that came out */
	__u16 state;
	__u64 packets, bytes;	/* that took the fast way */
};				/* then source and destination, as they leave */

#define STATE_WAY	0x03ff	/* index of fc_ways and fc_totals */
#define STATE_HOPS	0x3000	/* by which both passes decrease the TTL */
#define STATE_HOP	0x1000	/* one of them */
#define STATE_SUSPENDED	0x8000

struct entry4 {
	struct entry entry;
	__be32 address[2 * IPV4];
};

struct entry6 {
	struct entry entry;
	__be32 address[2 * IPV6];
};

struct slot {
	__u64 print;		/* of what NAT leaves alone */
	__u32 key[KEY_WORDS(IPV6)];
	__u32 busy;		/* until then; 0: free */
	__u32 generation;	/* of the gateway and the in-interface, when the packet came */
	__u16 length;
	__u16 sent;
	__u8 ttl, tos, words, pad;
};

struct total {
	__u64 packets, bytes;
};

struct cpu {
	__u64 began;		/* when the window began, of CLOCK_MONOTONIC, in nanoseconds */
	__u32 window;		/* the same, in jiffies */
	__u32 renewals;		/* since then */
	__u32 interval;		/* of an entry, in jiffies */
	__u32 hz;		/* jiffies a second */
	__u32 next_slot;
	__u32 learns;		/* entries that may be made now */
	__u32 learned;		/* when that was counted last, in jiffies */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u32[KEY_WORDS(IPV4)]);
	__type(value, struct entry4);
	__uint(max_entries, 1 << 16);
} fc_flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u32[KEY_WORDS(IPV6)]);
	__type(value, struct entry6);
	__uint(max_entries, 1 << 16);
} fc_flows6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1 << 17);
} fc_doors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct slot);
	__uint(max_entries, SLOTS);
} fc_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, GENERATIONS);
	__uint(map_flags, BPF_F_MMAPABLE);
} fc_generations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);		/* in-interface << 32 | out-interface; 0: not used */
	__uint(max_entries, WAYS);
} fc_ways SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct total);
	__uint(max_entries, WAYS);
} fc_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, REASONS);
} fc_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct cpu);
	__uint(max_entries, 1);
} fc_cpu SEC(".maps");

static __always_inline __u32 jiffies(void)
{
	return bpf_jiffies64();
}

static __always_inline bool is_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

static __always_inline __u32 generation_at(__u32 index)
{
	__u32 *generation = bpf_map_lookup_elem(&fc_generations, &index);

	return generation ? *generation : 0;
}

static __always_inline __u32 generation_of(__u32 ifindex)
{
	return generation_at(1 + (ifindex & 0xff));
}

/* Each only grows, so that their sum is the same only if all are. */
static __always_inline __u32 generation(__u32 iif, __u32 oif)
{
	return generation_at(0) + generation_of(iif) + generation_of(oif);
}

static __always_inline void *flows(const int words)
{
	return words == IPV4 ? (void *)&fc_flows4 : (void *)&fc_flows6;
}

#endif
