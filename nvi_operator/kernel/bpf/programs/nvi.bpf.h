/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs share.
 *
 * Options are "const volatile" variables: set before a program is loaded,
 * constant for the verifier, which removes the branches that they rule out.
 * The packet's mark, and what a program does to it, is the contract of both
 * dataplanes (docs/architecture.md).
 */
#ifndef NVI_BPF_H
#define NVI_BPF_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/pkt_cls.h>
#include <linux/stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

/* Hash of the sources, by which a live program is recognised. */
const volatile __u64 build = NVI_BUILD;

/* The bit of the mark that says: translated, on its way to its second pass. */
const volatile __u32 stage_mask = 0;

/* One packet more in a map of per-CPU counters. */
static __always_inline void count(void *counters, __u32 reason)
{
	__u64 *counter = bpf_map_lookup_elem(counters, &reason);

	if (counter)
		*counter += 1;
}

/*
 * Bytes from the network header on, so that interfaces without an Ethernet
 * header need no other program. 0, or an error where the packet is too short.
 */
static __always_inline long load(struct __sk_buff *skb, __u32 offset, void *to,
				 __u32 size)
{
	return bpf_skb_load_bytes_relative(skb, offset, to, size,
					   BPF_HDR_START_NET);
}

#endif
