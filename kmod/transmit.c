// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transmission: a packet of the first pass is received again on the interface
 * it came in by.
 */

#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <net/checksum.h>
#include <net/dropreason.h>
#include <net/netfilter/nf_conntrack.h>

#include "compat.h"
#include "device.h"
#include "flow_cache.h"

static void nvi_count_drop(struct net_device *dev, enum nvi_drop drop)
{
	struct nvi_priv *priv = netdev_priv(dev);
	struct nvi_drop_stats *stats = this_cpu_ptr(priv->drops);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->packets[drop]);
	u64_stats_update_end(&stats->syncp);
}

static netdev_tx_t nvi_drop(struct sk_buff *skb, struct net_device *dev,
			    enum nvi_drop drop, enum skb_drop_reason reason)
{
	nvi_count_drop(dev, drop);
	kfree_skb_reason(skb, reason);

	return NETDEV_TX_OK;
}

static enum skb_drop_reason nvi_check_ip(struct sk_buff *skb)
{
	unsigned int hlen, version;

	switch (skb->protocol) {
	case htons(ETH_P_IP):
		hlen = sizeof(struct iphdr);
		version = 4;
		break;
	case htons(ETH_P_IPV6):
		hlen = sizeof(struct ipv6hdr);
		version = 6;
		break;
	default:
		return SKB_DROP_REASON_UNHANDLED_PROTO;
	}

	if (skb_network_offset(skb) || !pskb_network_may_pull(skb, hlen))
		return SKB_DROP_REASON_HDR_TRUNC;
	if (ip_hdr(skb)->version != version)
		return SKB_DROP_REASON_IP_INHDR;

	return SKB_NOT_DROPPED_YET;
}

/*
 * Nothing else stops a packet that repeats the first pass: with TTL
 * compensation not even its TTL.
 *
 * A packet on its second pass is untracked. A rule that sets a conntrack zone
 * makes it trackable again, hence the tag as a second sign: no Netfilter or
 * FIB rule can write it (a tc filter can). Each device draws its own tag,
 * because the tag survives a veth and a second gateway may be behind it.
 */
static bool nvi_is_second_pass(const struct nvi_priv *priv,
			       const struct sk_buff *skb)
{
	enum ip_conntrack_info ctinfo;

	nf_ct_get(skb, &ctinfo);
	return ctinfo == IP_CT_UNTRACKED || skb->tc_index == priv->loop_tag;
}

/*
 * A bridge port is not an in-interface: the bridge consumes what its ports
 * receive and drops frames without a source address. Packets name a port only
 * where a flowtable is attached to it.
 */
static struct net_device *nvi_in_device(struct net_device *dev,
					const struct sk_buff *skb, u32 config)
{
	struct net_device *in_dev;
	int ifindex;

	if (config & NVI_F_SKB_IIF)
		ifindex = skb->skb_iif;
	else
		ifindex = skb->mark & ~nvi_stage_mask(config);

	if (!ifindex)
		return dev;

	in_dev = dev_get_by_index_rcu(dev_net(dev), ifindex);
	return in_dev && netif_is_bridge_port(in_dev) ? NULL : in_dev;
}

static int nvi_compensate_ttl(struct sk_buff *skb)
{
	if (skb->protocol == htons(ETH_P_IP)) {
		struct iphdr *iph;

		if (skb_ensure_writable(skb, skb_network_offset(skb) +
					     sizeof(*iph)))
			return -ENOMEM;

		iph = ip_hdr(skb);
		if (iph->ttl < 255) {
			csum_replace2(&iph->check, htons(iph->ttl << 8),
				      htons((iph->ttl + 1) << 8));
			iph->ttl++;
		}
	} else {
		struct ipv6hdr *ip6h;

		if (skb_ensure_writable(skb, skb_network_offset(skb) +
					     sizeof(*ip6h)))
			return -ENOMEM;

		ip6h = ipv6_hdr(skb);
		if (ip6h->hop_limit < 255) {
			skb_forward_csum(skb);
			ip6h->hop_limit++;
		}
	}

	return 0;
}

/*
 * Taps of an Ethernet device expect an Ethernet header. Its source address is
 * zero, which tells the second pass from the first.
 */
static int nvi_set_mac_header(struct sk_buff *skb,
			      const struct net_device *in_dev)
{
	struct ethhdr *eth;

	if (in_dev->type != ARPHRD_ETHER && in_dev->type != ARPHRD_LOOPBACK) {
		skb_reset_mac_header(skb);
		return 0;
	}

	if (skb_cow_head(skb, ETH_HLEN))
		return -ENOMEM;

	eth = skb_push(skb, ETH_HLEN);
	skb_reset_mac_header(skb);
	ether_addr_copy(eth->h_dest, in_dev->dev_addr);
	eth_zero_addr(eth->h_source);
	eth->h_proto = skb->protocol;
	__skb_pull(skb, ETH_HLEN);

	return 0;
}

netdev_tx_t nvi_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct nvi_priv *priv = netdev_priv(dev);
	u32 config = READ_ONCE(priv->config);
	u32 stage_mask = nvi_stage_mask(config);
	unsigned int len = skb->len;
	struct nvi_flow_cache *cache;
	enum skb_drop_reason reason;
	struct net_device *in_dev;

	if (nvi_is_second_pass(priv, skb))
		return nvi_drop(skb, dev, NVI_DROP_LOOP, NVI_REASON_LOOP);

	if (!(skb->mark & stage_mask) && (config & NVI_F_REQUIRE_STAGE))
		return nvi_drop(skb, dev, NVI_DROP_NO_STAGE_BIT,
				SKB_DROP_REASON_NETFILTER_DROP);

	reason = nvi_check_ip(skb);
	if (reason)
		return nvi_drop(skb, dev, NVI_DROP_OTHER, reason);

	in_dev = nvi_in_device(dev, skb, config);
	if (!in_dev)
		return nvi_drop(skb, dev, NVI_DROP_NO_DEVICE,
				SKB_DROP_REASON_DEV_READY);
	if (!(in_dev->flags & IFF_UP))
		return nvi_drop(skb, dev, NVI_DROP_DEVICE_DOWN,
				SKB_DROP_REASON_DEV_READY);

	cache = rcu_dereference_bh(priv->flow_cache);
	if (cache)
		nvi_flow_handed_back(cache, skb, in_dev);

	if (((config & NVI_F_TTL_COMPENSATION) && nvi_compensate_ttl(skb)) ||
	    nvi_set_mac_header(skb, in_dev))
		return nvi_drop(skb, dev, NVI_DROP_OTHER,
				SKB_DROP_REASON_NOMEM);

	/*
	 * Make it a packet from the wire: no timestamp, socket, route,
	 * conntrack entry or XDP metadata, PACKET_HOST. Clear ignore_df, or an
	 * IPv6 fragment is fragmented again and lost. The hash is that of the
	 * addresses before NAT, the queue is one of this device.
	 */
	skb_tx_timestamp(skb);
	skb_clear_tstamp(skb);
	skb_orphan(skb);
	skb_scrub_packet(skb, false);
	skb_metadata_clear(skb);
	skb_clear_hash(skb);
	skb_set_queue_mapping(skb, 0);

	if (config & NVI_F_SKB_IIF)
		skb->mark |= stage_mask;
	else
		skb->mark = stage_mask;
	skb->tc_index = priv->loop_tag;
	nf_ct_set(skb, NULL, IP_CT_UNTRACKED);
	skb->dev = in_dev;

	/* Use the backlog: netif_receive_skb() would recurse. It frees what it
	 * drops, with a reason of its own.
	 */
	if (netif_rx(skb) == NET_RX_SUCCESS)
		dev_sw_netstats_tx_add(dev, 1, len);
	else
		nvi_count_drop(dev, NVI_DROP_BACKLOG);

	return NETDEV_TX_OK;
}
