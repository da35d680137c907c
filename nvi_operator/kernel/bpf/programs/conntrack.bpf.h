/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What conntrack says of a flow, by kernel functions that exist since Linux 5.18 and need BTF.
 *
 * Its fields are read by bpf_probe_read_kernel(): for each direct read of a kernel's structure the verifier searches
 * all types of the kernel (btf_nested_type_is_trusted() in 6.18), which took two thirds of loading.
 */
#ifndef CONNTRACK_BPF_H
#define CONNTRACK_BPF_H

#include <bpf/bpf_core_read.h>
#include "packet.bpf.h"

#define IPS_ASSURED	(1ul << 2)	/* linux/netfilter/nf_conntrack_common.h */
#define IPS_DYING	(1ul << 9)

/* Parts of the kernel's structures; libbpf finds the places (CO-RE). */
enum nf_ct_ext_id {
	NF_CT_EXT_HELPER,
	NF_CT_EXT_SEQADJ,
};

struct nf_ct_ext {
	__u8 offset[1];
} __attribute__((preserve_access_index));

struct nf_conn {
	unsigned long status;
	struct nf_ct_ext *ext;
} __attribute__((preserve_access_index));

/* The first 12 bytes, which every kernel takes. Without a zone: answers are in none (ruleset/raw.py). */
struct bpf_ct_opts {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 tuple_size,
				  struct bpf_ct_opts *opts, __u32 opts_size) __ksym;
void bpf_ct_release(struct nf_conn *conn) __ksym;

static __always_inline struct nf_conn *find_conn(struct __sk_buff *skb, const __u32 *key, const int words)
{
	struct bpf_ct_opts opts = { .netns_id = BPF_F_CURRENT_NETNS, .l4proto = key[2 * words + 1] & 0xff };
	__u32 tuple[2 * IPV6 + 1];

	/* struct bpf_sock_tuple: addresses and ports, as in a key. */
#pragma unroll
	for (int i = 0; i < 2 * words + 1; i++)
		tuple[i] = key[i];
	return bpf_skb_ct_lookup(skb, (struct bpf_sock_tuple *)tuple, (2 * words + 1) * sizeof(tuple[0]), &opts,
				 sizeof(opts));
}

static __always_inline bool has_extension(const struct nf_ct_ext *ext, __u64 id)
{
	__u8 offset = 0;

	bpf_core_read(&offset, sizeof(offset), (void *)ext + bpf_core_field_offset(struct nf_ct_ext, offset) + id);
	return offset;
}

/* A reason not to learn the flow whose packets come in by `key` and whose answers come in by `reverse`, or -1. */
static __always_inline int objection(struct __sk_buff *skb, const __u32 *key, const __u32 *reverse, const int words)
{
	struct nf_conn *conn = find_conn(skb, key, words);
	struct nf_ct_ext *ext;
	unsigned long status;
	int reason = -1;

	/* One of the two is what conntrack expects of answers: of a tenant's flow, the only one outside of a zone. */
	if (!conn)
		conn = find_conn(skb, reverse, words);
	if (!conn)
		return UNASSURED;
	/* What is not assured, conntrack drops when its table is full, and its NAT port may be another flow's then. */
	status = BPF_CORE_READ(conn, status);
	if ((status & (IPS_ASSURED | IPS_DYING)) != IPS_ASSURED)
		reason = UNASSURED;
	ext = BPF_CORE_READ(conn, ext);
	if (ext && (has_extension(ext, bpf_core_enum_value(enum nf_ct_ext_id, NF_CT_EXT_HELPER)) ||
		    has_extension(ext, bpf_core_enum_value(enum nf_ct_ext_id, NF_CT_EXT_SEQADJ))))
		reason = HELPER;
	bpf_ct_release(conn);
	return reason;
}

#endif
