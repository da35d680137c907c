// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the cache learns: a packet is described as it comes in (nvi_flow_watch),
 * tied to its conntrack entry between the passes (nvi_flow_handed_back), and
 * compared when it leaves (nvi_flow_postrouting).
 */

#include <linux/hash.h>
#include <linux/netdevice.h>
#include <linux/random.h>
#include <net/ip6_fib.h>
#include <net/l3mdev.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_helper.h>
#include <net/netfilter/nf_conntrack_seqadj.h>
#include <net/route.h>

#include "flow_cache.h"
#include "flow_packet.h"

/*
 * After this many jiffies no packet of a suspended flow is thought to be on
 * its way any more: the latest one may have been dropped.
 */
#define NVI_FLOW_ON_THE_WAY	2

static struct nvi_slot *nvi_flow_slot(struct nvi_flow_cache *cache,
				      const struct sk_buff *skb)
{
	return &cache->slots[hash_ptr(skb, ilog2(NVI_FLOW_SLOTS))];
}

/* Keeps the headers of a packet on its way to the slow path. */
void nvi_flow_watch(struct nvi_flow_cache *cache, const struct sk_buff *skb,
		    const struct nvi_key *key, unsigned int headers_len)
{
	struct nvi_slot *slot = nvi_flow_slot(cache, skb);
	struct nvi_watched *watched = &slot->watched;

	spin_lock_bh(&slot->lock);
	watched->skb = skb;
	/* Before the rules see the packet; pairs with ..._invalidate(). */
	watched->epoch = smp_load_acquire(&cache->epoch);
	watched->headers_len = headers_len;
	watched->partial = skb->ip_summed == CHECKSUM_PARTIAL;
	watched->handed_back = false;
	watched->key = *key;
	memcpy(watched->headers, skb_network_header(skb), headers_len);
	spin_unlock_bh(&slot->lock);
}

/* The key of packets that conntrack knows as @ct in direction @dir. */
static void nvi_key_of(struct nvi_key *key, const struct nf_conn *ct,
		       enum ip_conntrack_dir dir, const struct net_device *in)
{
	const struct nf_conntrack_tuple *tuple = &ct->tuplehash[dir].tuple;
	u32 in_key = in->ifindex << 8 | tuple->dst.protonum;

	key->family = tuple->src.l3num;
	if (key->family == NFPROTO_IPV4) {
		key->v4.saddr = tuple->src.u3.ip;
		key->v4.daddr = tuple->dst.u3.ip;
		key->v4.sport = tuple->src.u.all;
		key->v4.dport = tuple->dst.u.all;
		key->v4.in = in_key;
	} else {
		key->v6.saddr = tuple->src.u3.in6;
		key->v6.daddr = tuple->dst.u3.in6;
		key->v6.sport = tuple->src.u.all;
		key->v6.dport = tuple->dst.u.all;
		key->v6.in = in_key;
	}
}

static bool nvi_key_equal(const struct nvi_key *one,
			  const struct nvi_key *other)
{
	if (one->family != other->family)
		return false;
	if (one->family == NFPROTO_IPV4)
		return !memcmp(&one->v4, &other->v4, sizeof(one->v4));
	return !memcmp(&one->v6, &other->v6, sizeof(one->v6));
}

static bool nvi_conntrack_is_established(const struct nf_conn *ct)
{
	unsigned long needed = IPS_CONFIRMED | IPS_SEEN_REPLY;
	unsigned long status = READ_ONCE(ct->status);

	switch (nf_ct_protonum(ct)) {
	case IPPROTO_TCP:
		needed |= IPS_ASSURED;
		if (READ_ONCE(ct->proto.tcp.state) != TCP_CONNTRACK_ESTABLISHED)
			return false;
		break;
	case IPPROTO_UDP:
		break;
	default:
		return false;
	}

	return (status & needed) == needed &&
	       !(status & (IPS_DYING | IPS_NAT_CLASH | IPS_TEMPLATE));
}

/* Does another subsystem have to see each of its packets? */
static bool nvi_conntrack_needs_all(const struct nf_conn *ct)
{
	const struct nf_conn_help *help = nfct_help(ct);

	return (help && rcu_access_pointer(help->helper)) || nfct_seqadj(ct);
}

/* Conntrack sees some of its packets only. */
static void nvi_flow_relax_window(struct nf_conn *ct)
{
	if (nf_ct_protonum(ct) != IPPROTO_TCP)
		return;

	spin_lock_bh(&ct->lock);
	ct->proto.tcp.seen[0].flags |= IP_CT_TCP_FLAG_BE_LIBERAL;
	ct->proto.tcp.seen[1].flags |= IP_CT_TCP_FLAG_BE_LIBERAL;
	spin_unlock_bh(&ct->lock);
}

static bool nvi_can_cache_from(const struct nvi_flow_cache *cache,
			       const struct net_device *in_dev)
{
	return in_dev != cache->dev && !(in_dev->flags & IFF_LOOPBACK) &&
	       !netif_is_l3_master(in_dev) && !netif_is_l3_slave(in_dev) &&
	       in_dev->ifindex < NVI_FLOW_MAX_IFINDEX;
}

/* Makes an entry that @skb may confirm behind both passes, unless there is one. */
static void nvi_flow_claim(struct nvi_flow_cache *cache,
			   const struct nvi_key *key, const struct sk_buff *skb,
			   struct nf_conn *ct, enum ip_conntrack_dir dir)
{
	struct nvi_flow *flow = nvi_flow_lookup(cache, key);

	if (flow) {
		if (flow->ct != ct || flow->dir != dir)
			nvi_flow_remove(cache, flow, NVI_FLOW_ENDED);
		return;
	}

	nvi_flow_relax_window(ct);
	if (!nvi_flow_add(cache, key, skb, ct, dir))
		nvi_flow_count(cache, NVI_FLOW_FULL);
}

/* Between the passes: the packet still has its conntrack entry. */
void nvi_flow_handed_back(struct nvi_flow_cache *cache,
			  const struct sk_buff *skb, struct net_device *in_dev)
{
	struct nvi_slot *slot = nvi_flow_slot(cache, skb);
	enum ip_conntrack_info ctinfo;
	enum ip_conntrack_dir dir;
	struct nvi_key key;
	struct nf_conn *ct;
	bool watched;

	ct = nf_ct_get(skb, &ctinfo);
	if (!ct || (ctinfo != IP_CT_ESTABLISHED &&
		    ctinfo != IP_CT_ESTABLISHED_REPLY) ||
	    !nvi_conntrack_is_established(ct))
		return;
	if (!nvi_can_cache_from(cache, in_dev)) {
		nvi_flow_count(cache, NVI_FLOW_UNSUPPORTED);
		return;
	}
	if (nvi_conntrack_needs_all(ct)) {
		nvi_flow_count(cache, NVI_FLOW_HELPER);
		return;
	}

	rcu_read_lock();

	if (!nvi_flow_cache_has_port(cache, in_dev))
		goto unlock;

	dir = CTINFO2DIR(ctinfo);
	nvi_key_of(&key, ct, dir, in_dev);

	spin_lock_bh(&slot->lock);
	watched = slot->watched.skb == skb &&
		  nvi_key_equal(&slot->watched.key, &key);
	if (watched)
		slot->watched.handed_back = true;
	spin_unlock_bh(&slot->lock);

	if (watched)
		nvi_flow_claim(cache, &key, skb, ct, dir);
	else
		nvi_flow_knock(cache, &key);
unlock:
	rcu_read_unlock();
}

static bool nvi_can_cache_by(const struct nvi_flow_cache *cache,
			     const struct dst_entry *dst,
			     const struct net_device *out)
{
	if (out == cache->dev || netif_is_l3_master(out) ||
	    netif_is_l3_slave(out) || dst->lwtstate || dst_xfrm(dst))
		return false;

	return dst->ops->family != AF_INET ||
	       container_of(dst, const struct rtable, dst)->rt_type == RTN_UNICAST;
}

/* What the passes made of the packet. */
static void nvi_flow_describe(struct nvi_flow *flow, const struct nvi_watched *was,
			      const struct sk_buff *skb)
{
	const void *headers = skb_network_header(skb);
	const struct nvi_ports *ports =
		headers + nvi_transport_offset(flow->family);
	__be32 came, leaves;

	if (flow->family == NFPROTO_IPV4) {
		struct nvi_flow4 *flow4 = container_of(flow, struct nvi_flow4, flow);
		const struct iphdr *iph = headers;

		flow4->saddr = iph->saddr;
		flow4->daddr = iph->daddr;
		flow->dscp = iph->tos & ~INET_ECN_MASK;
		flow->addresses_diff =
			csum_add(nvi_csum_diff(flow4->key.saddr, iph->saddr),
				 nvi_csum_diff(flow4->key.daddr, iph->daddr));
	} else {
		struct nvi_flow6 *flow6 = container_of(flow, struct nvi_flow6, flow);
		const struct ipv6hdr *ip6h = headers;

		flow6->saddr = ip6h->saddr;
		flow6->daddr = ip6h->daddr;
		flow->dscp = ipv6_get_dsfield(ip6h) & ~INET_ECN_MASK;
		flow->addresses_diff =
			csum_add(nvi_csum_diff6(&flow6->key.saddr, &ip6h->saddr),
				 nvi_csum_diff6(&flow6->key.daddr, &ip6h->daddr));
	}

	flow->sport = ports->source;
	flow->dport = ports->dest;
	memcpy(&came, was->headers + nvi_transport_offset(flow->family),
	       sizeof(came));
	memcpy(&leaves, ports, sizeof(leaves));
	flow->ports_diff = nvi_csum_diff(came, leaves);
	flow->ttl_diff = csum_sub(0, (__force __wsum)htons(flow->hops << 8));
	flow->mark = skb->mark;
	flow->priority = skb->priority;
}

/* Would the fast path have made the same of the packet? */
static bool nvi_flow_agrees(const struct nvi_flow *flow,
			    const struct nvi_watched *was,
			    const struct sk_buff *skb)
{
	bool partial = skb->ip_summed == CHECKSUM_PARTIAL;
	u8 headers[NVI_FLOW_HEADERS];

	if (was->partial != partial || skb_headlen(skb) < was->headers_len)
		return false;

	memcpy(headers, was->headers, was->headers_len);
	nvi_rewrite(flow, headers, was->partial);

	return !memcmp(headers, skb_network_header(skb), was->headers_len) &&
	       flow->mark == skb->mark && flow->priority == skb->priority;
}

static u32 nvi_flow_deadline(const struct nvi_flow_cache *cache)
{
	u32 interval = READ_ONCE(cache->interval);

	/* Spread over time, what was learned at once. */
	return (u32)jiffies + interval - get_random_u32() % (interval / 4 + 1);
}

static void nvi_flow_confirm(struct nvi_flow_cache *cache,
			     struct nvi_flow *flow, const struct nvi_watched *was,
			     const struct sk_buff *skb, int in, int out)
{
	struct dst_entry *dst = skb_dst(skb), *old;
	struct nvi_path *path = NULL;
	bool is_new = !flow->path;
	u32 ct_mark = 0;
	u32 gen;

	if (is_new) {
		path = nvi_path_get(cache, in, out);
		if (!path) {
			nvi_flow_count(cache, NVI_FLOW_FULL);
			return;
		}
	}

	spin_lock_bh(&cache->lock);

	if (is_new && flow->path)	/* by another CPU meanwhile */
		goto unlock;

	if (is_new) {
		flow->hops = cache->hops;
		nvi_flow_describe(flow, was, skb);
	}

#ifdef CONFIG_NF_CONNTRACK_MARK
	ct_mark = READ_ONCE(flow->ct->mark);
#endif
	if (is_new)
		flow->ct_mark = ct_mark;

	if (!nvi_flow_agrees(flow, was, skb) || flow->ct_mark != ct_mark ||
	    (!is_new && (flow->path->in != in || flow->path->out != out))) {
		nvi_flow_count(cache, NVI_FLOW_MODIFIED);
		spin_unlock_bh(&cache->lock);
		nvi_path_put(path);
		nvi_flow_remove(cache, flow, NVI_FLOW_ENDED);
		nvi_flow_close_door(cache, &was->key);
		return;
	}

	/* Is another packet behind this one? */
	if (READ_ONCE(flow->newest) != skb &&
	    (u32)jiffies - READ_ONCE(flow->when) <= NVI_FLOW_ON_THE_WAY)
		goto unlock;

	gen = READ_ONCE(cache->gen[0]) + nvi_flow_gen_of(cache, in) +
	      nvi_flow_gen_of(cache, out);
	smp_rmb();	/* pairs with nvi_flow_cache_invalidate() */
	if (READ_ONCE(cache->epoch) != was->epoch || !dst_hold_safe(dst))
		goto unlock;

	old = rcu_replace_pointer(flow->dst, dst, lockdep_is_held(&cache->lock));
	dst_release(old);	/* its memory lasts for a grace period */
	if (flow->family == NFPROTO_IPV6)
		WRITE_ONCE(container_of(flow, struct nvi_flow6, flow)->dst_cookie,
			   rt6_get_cookie(container_of(dst, struct rt6_info, dst)));
	if (is_new) {
		flow->path = path;
		path = NULL;
	}
	WRITE_ONCE(flow->gen, gen);
	WRITE_ONCE(flow->when, nvi_flow_deadline(cache));
	smp_store_release(&flow->active, true);	/* pairs with nvi_flow_judge() */
	nvi_flow_count(cache, is_new ? NVI_FLOW_LEARNED : NVI_FLOW_RENEWED);
unlock:
	spin_unlock_bh(&cache->lock);
	nvi_path_put(path);
}

/* Behind both passes, and all rules. */
unsigned int nvi_flow_postrouting(void *priv, struct sk_buff *skb,
				  const struct nf_hook_state *state)
{
	struct nvi_flow_cache *cache = priv;
	struct nvi_watched was;
	struct net_device *in;
	struct nvi_slot *slot;
	struct nvi_flow *flow;

	if (skb_get_nfct(skb) != IP_CT_UNTRACKED)
		return NF_ACCEPT;

	slot = nvi_flow_slot(cache, skb);
	if (READ_ONCE(slot->watched.skb) != skb)
		return NF_ACCEPT;

	spin_lock_bh(&slot->lock);
	was = slot->watched;
	if (was.skb == skb)
		WRITE_ONCE(slot->watched.skb, NULL);
	spin_unlock_bh(&slot->lock);
	if (was.skb != skb || !was.handed_back)
		return NF_ACCEPT;

	in = dev_get_by_index_rcu(cache->net, skb->skb_iif);
	if (!in || !nvi_can_cache_from(cache, in))
		return NF_ACCEPT;
	if (!nvi_can_cache_by(cache, skb_dst(skb), state->out) ||
	    nvi_has_xfrm_policies(cache->net)) {
		nvi_flow_count(cache, NVI_FLOW_UNSUPPORTED);
		return NF_ACCEPT;
	}

	flow = nvi_flow_lookup(cache, &was.key);
	if (flow)
		nvi_flow_confirm(cache, flow, &was, skb, in->ifindex,
				 state->out->ifindex);

	return NF_ACCEPT;
}
