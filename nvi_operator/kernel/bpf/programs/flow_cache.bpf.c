// SPDX-License-Identifier: GPL-2.0-only
/*
 * The flow cache: later packets of an established flow skip both passes.
 *
 * fc_in, at the ingress of each interface of the gateway, looks a packet up by its addresses, ports and
 * in-interface; on a hit it rewrites the packet and redirects it to its out-interface. Everything else goes the
 * slow way, through both passes. fc_out, at the egress of the same interfaces, sees what became of a packet that
 * went the slow way, and remembers it: the cache never decides anything by itself, it repeats what the kernel did.
 *
 *	fc_in --- hit ----------------------------------------------------------> egress
 *	  '------ slow: a slot describes the packet --> both passes --> fc_out --> egress
 *	                                                                '-- learn or renew
 *
 * What keeps it true:
 *
 * - tc_index, out of reach of nft and FIB rules, carries the slot's number through both passes. A packet without
 *   TAG_FIRST was not seen by fc_in on its first pass: the gateway's own, or one that already took the fast way.
 * - A door per direction: nothing is inserted before a packet of the other direction has left the gateway, and
 *   not before learn_after packets after it. Floods without answers neither insert nor evict entries.
 * - Each entry ends at its deadline. It is then suspended, not deleted: all packets go the slow way until the last
 *   one sent there has come out, so that none overtakes another, and what is dropped on the way renews nothing.
 * - Generations: counters that user space increments when something changed. An entry is good while those of the
 *   whole gateway and of both its interfaces are what they were.
 * - An entry is as wide as the largest packet that came out: MTUs of routes, locked or not, need no other care.
 * - A packet that leaves with the translation that another flow's entry has (a NAT port used again) suspends that
 *   entry.
 *
 * fc_out goes before every other program at its egress, because those also see the packets that take the fast
 * way: what they drop or rewrite stays dropped or rewritten.
 *
 * Entries, keys, slots and reasons are described for user space in kernel/bpf/flow_cache.py.
 */
#include "flow_cache_doors.bpf.h"
#include "flow_cache_entries.bpf.h"

/* ------------------------------------------------------------------ ingress */

/* A slot for a packet that goes the slow way: its number, or 0. */
static __always_inline __u32 take_slot(struct slot **taken, __u32 now)
{
	__u32 zero = 0, index;
	struct cpu *cpu = bpf_map_lookup_elem(&fc_cpu, &zero);
	struct slot *slot;

	if (!cpu)
		return 0;
	index = (bpf_get_smp_processor_id() * cpu_slots + (++cpu->next_slot & (cpu_slots - 1))) & (SLOTS - 1);
	slot = bpf_map_lookup_elem(&fc_slots, &index);
	if (!slot || !index)
		return 0;
	if (slot->busy && is_before(now, slot->busy)) {
		count(&fc_counters, NO_SLOT);
		return 0;
	}
	slot->busy = (now + SLOT_LIFE) | 1;
	*taken = slot;
	return index;
}

static __always_inline int slow(struct __sk_buff *skb, __u32 tag, __u32 reason)
{
	skb->tc_index = tag;
	count(&fc_counters, reason);
	return TC_ACT_UNSPEC;		/* TC_ACT_OK would set tc_index */
}

/* What the addresses change in a sum of 16-bit words; 0 if nothing. */
static __always_inline __u32 difference(const __u32 *key, const __be32 *address, const int words)
{
	__u64 diff = 0;

#pragma unroll
	for (int i = 0; i < 2 * words; i++)
		diff += (__u64)(__u32)~key[i] + address[i];
	diff = fold(diff);
	return diff == 0xffff ? 0 : diff;
}

/* As the slow way would do it. */
static __always_inline int fast(struct __sk_buff *skb, struct packet *p, const __u32 *key, struct entry *entry,
				const int words)
{
	const __u32 hops = (entry->state & STATE_HOPS) / STATE_HOP, diff = difference(key, addresses_in(entry), words);
	const bool tcp = p->protocol == IPPROTO_TCP;
	const __u64 flags = tcp ? 0 : BPF_F_MARK_MANGLED_0;
	const __u32 check = ETH_HLEN + l3_length(words) + (tcp ? 16 : 6);
	__be32 ports = ports_of(p), *address;
	__u32 way = entry->state & STATE_WAY;
	struct total *total;
	void *data, *end;

	entry->packets++;
	entry->bytes += p->length;
	total = bpf_map_lookup_elem(&fc_totals, &way);
	if (total) {
		total->packets++;
		total->bytes += p->length;
	}

	/* By the helper, which knows whether the sum is still to be made by a card. */
	if (diff) {
		const __u64 pseudo = flags | BPF_F_PSEUDO_HDR;

		/* The sum of a whole IPv6 packet stays the same: there is no header sum to make up for it. */
		if (words == IPV4 || bpf_l4_csum_replace(skb, check, 0, diff, pseudo | BPF_F_IPV6))
			bpf_l4_csum_replace(skb, check, 0, diff, pseudo);
	}
	if (ports != entry->ports)
		bpf_l4_csum_replace(skb, check, ports, entry->ports, flags | sizeof(ports));

	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	p->eth = data;
	p->l3 = data + ETH_HLEN;
	p->l4 = p->l3 + l3_length(words);
	if ((void *)(p->udp + 1) > end)
		return TC_ACT_SHOT;	/* the helpers made it shorter: cannot be */
#pragma unroll
	for (int i = 0; i < ETH_ALEN; i++)
		((__u16 *)p->eth)[i] = entry->mac[i];
	if (words == IPV4) {
		p->ip->ttl -= hops;	/* the upper byte of its word */
		p->ip->check = ~fold((__u32)(__u16)~p->ip->check + diff + (__u16)~bpf_htons(hops << 8));
		address = (__be32 *)&p->ip->saddr;
	} else {
		p->ip6->hop_limit -= hops;
		address = (__be32 *)&p->ip6->saddr;
	}
#pragma unroll
	for (int i = 0; i < 2 * words; i++)
		address[i] = addresses_in(entry)[i];
	*(__be32 *)p->l4 = entry->ports;
	skb->mark = entry->mark;
	skb->priority = entry->priority;
	skb->tc_index = 0;
	/* As on the slow way, or queues that go by the hash let packets of the two ways overtake each other. */
	if (skb->hash)
		bpf_set_hash_invalid(skb);
	return bpf_redirect(oif_of(entry), 0);
}

static __always_inline int ingress(struct __sk_buff *skb, const int words)
{
	__u32 key[KEY_WORDS(IPV6)], now, index, reason, sent = 0;
	struct packet p;
	struct entry *entry;
	struct slot *slot = NULL;
	int odd = parse(skb, words, &p);
	__u32 tag;
	__u64 hash;

	if (odd >= 0)
		return slow(skb, 0, odd);
	key_of(key, &p, skb->ifindex, words);
	entry = entry_of(key, words);
	hash = hash_of(key, words);
	tag = TAG_FIRST | TAG_HASH | (hash & (SLOTS - 1));
	if (p.flags & TCP_FIN_SYN_RST) {
		if (entry)
			end(key, entry, words);
		return slow(skb, tag, TCP_CONTROL);
	}
	/* Only scans send these, and firewalls have rules for them. */
	if (p.protocol == IPPROTO_TCP && !(p.flags & TCP_ACK))
		return slow(skb, tag, TCP_CONTROL);
	if (!entry) {
		if (!admitted(hash, skb->ifindex))
			return slow(skb, tag, UNKNOWN);
		now = jiffies();
		if (!may_learn(now))
			return slow(skb, tag, UNKNOWN);
		reason = LEARNING;
	} else {
		now = jiffies();
		if (entry->state & STATE_SUSPENDED) {
			reason = SUSPENDED;
		} else if (entry->generation != generation(skb->ifindex, oif_of(entry))) {
			reason = INVALIDATED;
		} else if (entry->time - now > LONGEST) {
			reason = EXPIRED;
		} else if ((entry->place ^ p.tos) & DSCP) {
			reason = DSCP_DIFFERS;
		} else if (size_of(skb, &p, words) > entry->size) {
			reason = TOO_BIG;
		} else if (p.ttl <= (entry->state & STATE_HOPS) / STATE_HOP) {
			return slow(skb, tag, TTL_LOW);
		} else {
			return fast(skb, &p, key, entry, words);
		}
		suspend(entry, now);
		/* MTUs may have changed since; else the largest packet stays what it was. */
		if (reason == INVALIDATED || reason == EXPIRED)
			entry->size = 0;
		sent = ++entry->sent;
	}

	index = take_slot(&slot, now);
	if (!slot)
		return slow(skb, tag, reason);
	slot->generation = generation_at(0) + generation_of(skb->ifindex);
#pragma unroll
	for (int i = 0; i < KEY_WORDS(words); i++)
		slot->key[i] = key[i];
	slot->length = p.length;
	slot->sent = sent;
	slot->ttl = p.ttl;
	slot->tos = p.tos;
	slot->words = words;
	slot->print = print_of(skb, &p, words);
	return slow(skb, TAG_FIRST | index, reason);
}

SEC("tc") int fc_in(struct __sk_buff *skb)
{
	/* A second pass. The mark alone may come from elsewhere, and so may tc_index: over a veth, say. */
	if ((skb->tc_index & TAG_LOOP) && (skb->mark & stage_mask))
		return TC_ACT_UNSPEC;
	if (skb->pkt_type != PACKET_HOST || skb->vlan_present || skb->ifindex >= MAX_IFINDEX)
		return slow(skb, 0, OTHER_PROTOCOL);
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return ingress(skb, IPV4);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return ingress(skb, IPV6);
	return slow(skb, 0, OTHER_PROTOCOL);
}

/* For the gateway's interfaces that take no part: nothing of another gateway's tag shall pass for one's own. */
SEC("tc") int fc_clean_in(struct __sk_buff *skb)
{
	if ((skb->tc_index & TAG_LOOP) && (skb->mark & stage_mask))
		return TC_ACT_UNSPEC;
	return slow(skb, 0, UNCACHED_INTERFACE);
}

/* ------------------------------------------------------------------ egress */

/*
 * A packet leaves on the slow way, and answers to it come by `reverse`. If there is an entry for them that belongs
 * to another flow, conntrack has forgotten that one. Without a slot the packet's own key is not known; `hash`, if there
 * is one, has 12 bits of it.
 */
static __always_inline void check_reuse(const __u32 *key, __u32 hash, const __u32 *reverse, const int words)
{
	struct entry *entry = entry_of(reverse, words);
	__u32 other[KEY_WORDS(IPV6)], differences = 0;

	if (!entry || (entry->state & STATE_SUSPENDED))
		return;
	reverse_key(other, addresses_in(entry), entry->ports, oif_of(entry), reverse[2 * words + 1] & 0xff, words);
	if (hash && !((hash ^ hash_of(other, words)) & (SLOTS - 1))) {
		/* The same flow. The direction that is cached opens no doors, so this one does. */
		open_door(other, oif_of(entry), 1, words);
		return;
	}
	if (key) {
#pragma unroll
		for (int i = 0; i < KEY_WORDS(words); i++)
			differences |= key[i] ^ other[i];
		if (!differences)
			return;
	}
	suspend(entry, jiffies());
	entry = entry_of(other, words);
	if (entry)
		suspend(entry, jiffies());
	count(&fc_counters, REUSED);
}

#ifdef CONNTRACK
#include "conntrack.bpf.h"
#else
#define objection(skb, key, reverse, words)	(-1)	/* there is nothing to ask */
#endif

static __always_inline bool is_same(struct __sk_buff *skb, const struct packet *p, struct entry *entry, __u8 hops,
				    const int words)
{
	const __be32 *address = addresses_of(p, words);
	__u32 differences = (oif_of(entry) ^ skb->ifindex) | (entry->mark ^ skb->mark) |
			    (entry->priority ^ skb->priority) | (entry->ports ^ ports_of(p)) |
			    ((entry->state & STATE_HOPS) ^ hops * STATE_HOP);

#pragma unroll
	for (int i = 0; i < ETH_ALEN; i++)
		differences |= entry->mac[i] ^ ((__u16 *)p->eth)[i];
#pragma unroll
	for (int i = 0; i < 2 * words; i++)
		differences |= addresses_in(entry)[i] ^ address[i];
	return !differences;
}

static __always_inline void learn(struct __sk_buff *skb, const struct packet *p, const __u32 *key, __u8 hops,
				  bool known, __u32 now, const int words)
{
	struct {
		struct entry entry;
		__be32 address[2 * IPV6];
	} made = {};
	const __be32 *address = addresses_of(p, words);
	__u32 iif = key[2 * words + 1] >> 8;

	made.entry.time = now;
	made.entry.place = skb->ifindex << 8 | p->tos;
	made.entry.mark = skb->mark;
	made.entry.priority = skb->priority;
	made.entry.ports = ports_of(p);
#pragma unroll
	for (int i = 0; i < ETH_ALEN; i++)
		made.entry.mac[i] = ((__u16 *)p->eth)[i];
#pragma unroll
	for (int i = 0; i < 2 * words; i++)
		made.address[i] = address[i];
	/* The next packet shows that none is on the slow way any more. */
	made.entry.state = way_of(iif, skb->ifindex) | hops * STATE_HOP | STATE_SUSPENDED;
	/* Exactly: what was made and neither ended nor is there has been evicted. */
	if (!bpf_map_update_elem(flows(words), key, &made, known ? BPF_EXIST : BPF_NOEXIST))
		count(&fc_counters, known ? CHANGED : LEARNED);
}

static __always_inline void egress(struct __sk_buff *skb, __u32 tag, const int words)
{
	__u32 key[KEY_WORDS(IPV6)], reverse[KEY_WORDS(IPV6)], now, index = tag & (SLOTS - 1), size;
	struct slot *slot = NULL;
	struct packet p;
	struct entry *entry;
	__u8 hops;
	int reason;

	if (parse(skb, words, &p) >= 0)
		return;
	reverse_key(reverse, addresses_of(&p, words), ports_of(&p), skb->ifindex, p.protocol, words);
	if (!(p.flags & TCP_FIN_SYN_RST))
		open_door(reverse, skb->ifindex, 0, words);
	if (index && !(tag & TAG_HASH))
		slot = bpf_map_lookup_elem(&fc_slots, &index);
	/* Not this packet's any more, when it was held for longer than slots are. */
	if (!slot || !slot->busy || slot->words != words || slot->length != p.length ||
	    slot->print != print_of(skb, &p, words)) {
		if (slot)
			count(&fc_counters, MODIFIED);
		check_reuse(NULL, tag & TAG_HASH ? tag : 0, reverse, words);
		return;
	}
	slot->busy = 0;
#pragma unroll
	for (int i = 0; i < KEY_WORDS(words); i++)
		key[i] = slot->key[i];

	hops = slot->ttl - p.ttl;
	entry = entry_of(key, words);
	if (slot->tos != p.tos || hops == 0 || hops > 2) {
		check_reuse(key, 0, reverse, words);
		count(&fc_counters, MODIFIED);
		return;
	}
	/* What changed while the packet was on its way, it may not have seen. */
	if (slot->generation != generation_at(0) + generation_of(key[2 * words + 1] >> 8))
		return;

	now = jiffies();
	if (!entry || !is_same(skb, &p, entry, hops, words)) {
		check_reuse(key, 0, reverse, words);
		reason = objection(skb, key, reverse, words);
		close_door(key, words);
		if (reason >= 0) {
			count(&fc_counters, reason);
			return;
		}
		learn(skb, &p, key, hops, entry, now, words);
		return;
	}
	/* Is it the last one that was sent? Should that one be lost, 2 jiffies are longer than the way. */
	if (slot->sent != (__u16)entry->sent && now - entry->time < 2)
		return;
	size = size_of(skb, &p, words);
	if (words == IPV6 && size < IPV6_MIN_MTU)
		size = IPV6_MIN_MTU;
	if (size > entry->size)
		entry->size = size;
	entry->place = skb->ifindex << 8 | p.tos;
	entry->generation = generation(key[2 * words + 1] >> 8, skb->ifindex);
	entry->time = now + interval(now);
	entry->state &= ~STATE_SUSPENDED;
	count(&fc_counters, RENEWED);
}

SEC("tc") int fc_out(struct __sk_buff *skb)
{
	__u32 tag = skb->tc_index;

	if (!tag)
		return TC_ACT_UNSPEC;
	skb->tc_index = 0;		/* so that nothing of it reaches another gateway over a veth */
	if (!(tag & TAG_FIRST))
		return TC_ACT_UNSPEC;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		egress(skb, tag, IPV4);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		egress(skb, tag, IPV6);
	return TC_ACT_UNSPEC;
}

SEC("tc") int fc_clean_out(struct __sk_buff *skb)
{
	if (skb->tc_index)
		skb->tc_index = 0;
	return TC_ACT_UNSPEC;
}
