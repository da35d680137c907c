// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fast path: an established flow's packets leave from the ingress hook.
 *
 * The hook is the last one there: what foreign tc programs, nft chains of the
 * netdev family and flowtables do to a packet, they do to all of them. The
 * egress sees them all as well.
 */

#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <net/dst.h>
#include <net/ip6_route.h>
#include <net/neighbour.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_acct.h>
#include <net/netfilter/nf_conntrack_l4proto.h>
#include <net/netfilter/nf_conntrack_timeout.h>
#include <net/route.h>

#include "compat.h"
#include "flow_cache.h"
#include "flow_packet.h"

/* __NVI_FLOW_COUNTERS if there is nothing against it. */
static enum nvi_flow_counter nvi_parse4(struct sk_buff *skb,
					struct nvi_packet *packet)
{
	const struct nvi_ports *ports;
	const struct iphdr *iph;

	if (!pskb_may_pull(skb, sizeof(*iph) + sizeof(struct udphdr)))
		return NVI_FLOW_MALFORMED;

	iph = ip_hdr(skb);
	if (iph->protocol != IPPROTO_TCP && iph->protocol != IPPROTO_UDP)
		return NVI_FLOW_OTHER_PROTOCOL;
	if (iph->version != 4)
		return NVI_FLOW_MALFORMED;
	if (iph->ihl != sizeof(*iph) / 4)
		return NVI_FLOW_OPTIONS;
	if (ip_is_fragment(iph))
		return NVI_FLOW_FRAGMENT;

	ports = (const struct nvi_ports *)(iph + 1);
	packet->key.family = NFPROTO_IPV4;
	packet->key.v4.saddr = iph->saddr;
	packet->key.v4.daddr = iph->daddr;
	packet->key.v4.sport = ports->source;
	packet->key.v4.dport = ports->dest;
	packet->key.v4.in = skb->dev->ifindex << 8 | iph->protocol;
	packet->protocol = iph->protocol;
	packet->dscp = iph->tos & ~INET_ECN_MASK;
	packet->ttl = iph->ttl;
	packet->len = ntohs(iph->tot_len);	/* 0 in BIG TCP */

	return __NVI_FLOW_COUNTERS;
}

static enum nvi_flow_counter nvi_parse6(struct sk_buff *skb,
					struct nvi_packet *packet)
{
	const struct nvi_ports *ports;
	const struct ipv6hdr *ip6h;

	if (!pskb_may_pull(skb, sizeof(*ip6h) + sizeof(struct udphdr)))
		return NVI_FLOW_MALFORMED;

	ip6h = ipv6_hdr(skb);
	if (ip6h->nexthdr == NEXTHDR_FRAGMENT)
		return NVI_FLOW_FRAGMENT;
	if (ip6h->nexthdr != IPPROTO_TCP && ip6h->nexthdr != IPPROTO_UDP)
		return NVI_FLOW_OTHER_PROTOCOL;
	if (ip6h->version != 6 || !ip6h->payload_len)
		return NVI_FLOW_MALFORMED;

	ports = (const struct nvi_ports *)(ip6h + 1);
	packet->key.family = NFPROTO_IPV6;
	packet->key.v6.saddr = ip6h->saddr;
	packet->key.v6.daddr = ip6h->daddr;
	packet->key.v6.sport = ports->source;
	packet->key.v6.dport = ports->dest;
	packet->key.v6.in = skb->dev->ifindex << 8 | ip6h->nexthdr;
	packet->protocol = ip6h->nexthdr;
	packet->dscp = ipv6_get_dsfield(ip6h) & ~INET_ECN_MASK;
	packet->ttl = ip6h->hop_limit;
	packet->len = sizeof(*ip6h) + ntohs(ip6h->payload_len);

	return __NVI_FLOW_COUNTERS;
}

static enum nvi_flow_counter nvi_parse(struct sk_buff *skb,
				       struct nvi_packet *packet)
{
	enum nvi_flow_counter slow;
	unsigned int offset;

	if (skb->protocol == htons(ETH_P_IP))
		slow = nvi_parse4(skb, packet);
	else
		slow = nvi_parse6(skb, packet);
	if (slow != __NVI_FLOW_COUNTERS)
		return slow;

	offset = nvi_transport_offset(packet->key.family);
	skb_set_transport_header(skb, offset);	/* as ip_rcv() will */
	packet->headers_len = offset + sizeof(struct udphdr);
	packet->tcp_control = false;

	if (packet->protocol == IPPROTO_TCP) {
		packet->headers_len = offset + sizeof(struct tcphdr);
		if (!pskb_may_pull(skb, packet->headers_len))
			return NVI_FLOW_MALFORMED;
		packet->tcp_control = tcp_flag_word(skb_network_header(skb) + offset) &
				      (TCP_FLAG_SYN | TCP_FLAG_FIN | TCP_FLAG_RST);
	}

	if (packet->len < packet->headers_len || packet->len > skb->len)
		return NVI_FLOW_MALFORMED;

	return __NVI_FLOW_COUNTERS;
}

static bool nvi_exceeds_mtu(const struct sk_buff *skb, unsigned int len,
			    unsigned int mtu)
{
	if (len <= mtu)
		return false;

	return !skb_is_gso(skb) || !skb_gso_validate_network_len(skb, mtu);
}

/* Why this packet takes the slow path; NVI_FLOW_HIT if it does not. */
static enum nvi_flow_counter nvi_flow_judge(struct nvi_flow_cache *cache,
					    const struct nvi_flow *flow,
					    struct dst_entry **dst,
					    const struct sk_buff *skb,
					    const struct nvi_packet *packet)
{
	u32 in_ifindex = skb->dev->ifindex;
	bool ipv4 = flow->family == NFPROTO_IPV4;
	unsigned int mtu;
	u32 cookie = 0;

	if (!nvi_conntrack_is_live(flow->ct))
		return NVI_FLOW_ENDED;
	if (nvi_has_xfrm_policies(cache->net) || skb_sec_path(skb))
		return NVI_FLOW_XFRM;

	/* What is read of an active entry was written before. */
	if (!smp_load_acquire(&flow->active))
		return NVI_FLOW_SUSPENDED;
	if (READ_ONCE(flow->gen) !=
	    READ_ONCE(cache->gen[0]) + nvi_flow_gen_of(cache, in_ifindex) +
	    nvi_flow_gen_of(cache, flow->path->out))
		return NVI_FLOW_INVALIDATED;
	if ((s32)((u32)jiffies - READ_ONCE(flow->when)) > 0)
		return NVI_FLOW_EXPIRED;
#ifdef CONFIG_NF_CONNTRACK_MARK
	if (READ_ONCE(flow->ct->mark) != flow->ct_mark)
		return NVI_FLOW_CONNTRACK;
#endif

	*dst = rcu_dereference(flow->dst);
	if (!ipv4)
		cookie = READ_ONCE(container_of(flow, struct nvi_flow6,
						flow)->dst_cookie);
	if (!dst_check(*dst, cookie) ||
	    (!ipv4 && !READ_ONCE(cache->net->ipv6.devconf_all->forwarding)))
		return NVI_FLOW_ROUTE;

	if (packet->dscp != flow->dscp)
		return NVI_FLOW_DSCP_DIFFERS;
	if (packet->ttl <= flow->hops)
		return NVI_FLOW_TTL_LOW;
	mtu = ipv4 ? ip_dst_mtu_maybe_forward(*dst, true) :
		     ip6_dst_mtu_maybe_forward(*dst, true);
	if (nvi_exceeds_mtu(skb, packet->len, mtu))
		return NVI_FLOW_TOO_BIG;

	return NVI_FLOW_HIT;
}

/* As the slow path would have: once a jiffy is often enough. */
static void nvi_flow_refresh(struct nvi_flow *flow, struct net *net)
{
	const unsigned int *timeouts;
	struct nf_conn *ct = flow->ct;
	unsigned int timeout;
	u32 now = nfct_time_stamp;

	if (READ_ONCE(flow->used) == now)
		return;
	WRITE_ONCE(flow->used, now);

	if (test_bit(IPS_FIXED_TIMEOUT_BIT, &ct->status))
		return;

	timeouts = nf_ct_timeout_lookup(ct);
	if (flow->protocol == IPPROTO_TCP) {
		if (!timeouts)
			timeouts = nf_tcp_pernet(net)->timeouts;
		timeout = READ_ONCE(timeouts[TCP_CONNTRACK_ESTABLISHED]);
	} else {
		if (!timeouts)
			timeouts = nf_udp_pernet(net)->timeouts;
		timeout = test_bit(IPS_ASSURED_BIT, &ct->status) ?
			  READ_ONCE(timeouts[UDP_CT_REPLIED]) :
			  READ_ONCE(timeouts[UDP_CT_UNREPLIED]);
	}

	if ((s32)(now + timeout - READ_ONCE(ct->timeout)) > 0)
		WRITE_ONCE(ct->timeout, now + timeout);
}

static void nvi_flow_account(struct nvi_flow *flow, unsigned int len)
{
	struct pcpu_sw_netstats *stats = this_cpu_ptr(flow->path->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->tx_packets);
	u64_stats_add(&stats->tx_bytes, len);
	u64_stats_update_end(&stats->syncp);

	/* Of one flow: it is received by one CPU at a time. */
	WRITE_ONCE(flow->packets, flow->packets + 1);
	WRITE_ONCE(flow->bytes, flow->bytes + len);
	nf_ct_acct_update(flow->ct, flow->dir, len);
}

static void nvi_flow_xmit(struct sk_buff *skb, struct dst_entry *dst,
			  u8 family)
{
	struct neighbour *neigh;
	bool is_v6gw = false;

	if (family == NFPROTO_IPV4) {
		struct rtable *rt = container_of(dst, struct rtable, dst);

		neigh = ip_neigh_for_gw(rt, skb, &is_v6gw);
	} else {
		struct rt6_info *rt = container_of(dst, struct rt6_info, dst);

		neigh = ip_neigh_gw6(skb->dev,
				     rt6_nexthop(rt, &ipv6_hdr(skb)->daddr));
	}

	if (IS_ERR(neigh))
		kfree_skb_reason(skb, SKB_DROP_REASON_NEIGH_CREATEFAIL);
	else
		neigh_output(neigh, skb, is_v6gw);
}

static unsigned int nvi_flow_forward(struct nvi_flow_cache *cache,
				     struct nvi_flow *flow,
				     struct dst_entry *dst,
				     struct sk_buff *skb,
				     const struct nvi_packet *packet)
{
	struct net_device *out = READ_ONCE(dst->dev);

	if (pskb_trim_rcsum(skb, packet->len) ||
	    skb_ensure_writable(skb, packet->headers_len) ||
	    skb_cow_head(skb, LL_RESERVED_SPACE(out)))
		return NF_DROP;

	nvi_flow_count(cache, NVI_FLOW_HIT);
	nvi_flow_refresh(flow, cache->net);
	nvi_flow_account(flow, packet->len);

	nvi_rewrite(flow, skb_network_header(skb),
		    skb->ip_summed == CHECKSUM_PARTIAL);

	/* What both passes would have left of it. */
	skb_forward_csum(skb);
	skb_clear_tstamp(skb);
	skb_clear_hash(skb);
	skb_orphan(skb);
	skb_dst_drop(skb);
	skb_dst_set_noref(skb, dst);
	memset(skb->cb, 0, sizeof(skb->cb));
	skb->mark = flow->mark;
	skb->priority = flow->priority;
	skb->tc_index = 0;
	skb->dev = out;

	nvi_flow_xmit(skb, dst, flow->family);

	return NF_STOLEN;
}

/*
 * From now on all its packets take the slow path, until the latest of them has
 * come out: none overtakes another.
 */
static void nvi_flow_suspend(struct nvi_flow *flow, const struct sk_buff *skb)
{
	if (READ_ONCE(flow->active)) {
		WRITE_ONCE(flow->when, (u32)jiffies);
		WRITE_ONCE(flow->active, false);
	}
	WRITE_ONCE(flow->newest, skb);
}

/*
 * Conntrack has not seen the sequence numbers of the fast path, and would not
 * believe the reset.
 */
static void nvi_flow_forget_window(struct nf_conn *ct)
{
	spin_lock_bh(&ct->lock);
	ct->proto.tcp.seen[0].flags &= ~IP_CT_TCP_FLAG_MAXACK_SET;
	ct->proto.tcp.seen[1].flags &= ~IP_CT_TCP_FLAG_MAXACK_SET;
	spin_unlock_bh(&ct->lock);
}

unsigned int nvi_flow_ingress(void *priv, struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	struct nvi_port *port = priv;
	struct nvi_flow_cache *cache = port->cache;
	enum nvi_flow_counter slow;
	struct nvi_packet packet;
	struct dst_entry *dst;
	struct nvi_flow *flow;

	if (skb->protocol != htons(ETH_P_IP) &&
	    skb->protocol != htons(ETH_P_IPV6))
		return NF_ACCEPT;
	/*
	 * On its second pass it is untracked. Other devices than those that
	 * conntrack sees get it later: of a VLAN, of a bridge.
	 */
	if (skb_get_nfct(skb) || skb->pkt_type != PACKET_HOST ||
	    skb_vlan_tag_present(skb) || netif_is_bridge_port(skb->dev))
		return NF_ACCEPT;

	slow = nvi_parse(skb, &packet);
	if (slow != __NVI_FLOW_COUNTERS)
		goto slow;

	flow = nvi_flow_lookup(cache, &packet.key);
	if (packet.tcp_control) {
		if (flow) {
			nvi_flow_forget_window(flow->ct);
			nvi_flow_remove(cache, flow, NVI_FLOW_ENDED);
		}
		slow = NVI_FLOW_TCP_CONTROL;
		goto slow;
	}
	if (!flow) {
		slow = NVI_FLOW_UNKNOWN;
		if (nvi_flow_door_is_open(cache, &packet.key)) {
			nvi_flow_watch(cache, skb, &packet.key,
				       packet.headers_len);
			slow = NVI_FLOW_LEARNING;
		}
		goto slow;
	}

	slow = nvi_flow_judge(cache, flow, &dst, skb, &packet);
	switch (slow) {
	case NVI_FLOW_HIT:
		return nvi_flow_forward(cache, flow, dst, skb, &packet);
	case NVI_FLOW_ENDED:
		nvi_flow_remove(cache, flow, NVI_FLOW_ENDED);
		slow = NVI_FLOW_CONNTRACK;
		break;
	case NVI_FLOW_SUSPENDED:
	case NVI_FLOW_INVALIDATED:
	case NVI_FLOW_EXPIRED:
	case NVI_FLOW_CONNTRACK:
	case NVI_FLOW_ROUTE:
		nvi_flow_suspend(flow, skb);
		nvi_flow_watch(cache, skb, &packet.key, packet.headers_len);
		break;
	default:
		break;
	}
slow:
	nvi_flow_count(cache, slow);

	return NF_ACCEPT;
}
