// SPDX-License-Identifier: GPL-2.0-only
/*
 * NAT virtual interface: packets that are routed to it are received again on
 * the interface that they first came in by.
 *
 * A packet takes two passes through the stack. On the first it is routed to
 * this device and translated on the way there; on the second, untracked, it is
 * routed by its addresses after NAT. A route may thus depend on the translated
 * source, which the kernel chooses only after routing.
 *
 * The idea is dog250's of 2013.
 */

#include <linux/bitfield.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/random.h>
#include <linux/u64_stats_sync.h>
#include <net/addrconf.h>
#include <net/checksum.h>
#include <net/ip_tunnels.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/rtnetlink.h>

#include <linux/if_nvi.h>

#include "compat.h"

#define NVI_VERSION		"0.1.0"
#define NVI_MTU			(64 * 1024)	/* the first pass cuts no packet */
#define NVI_TAG_MASK		0xfff0	/* sch_gred reads the lowest four bits */
#define NVI_FEATURES		(NETIF_F_SG | NETIF_F_FRAGLIST |	\
				 NETIF_F_HIGHDMA | NETIF_F_HW_CSUM |	\
				 NETIF_F_RXCSUM | NETIF_F_SCTP_CRC |	\
				 NETIF_F_GSO_SOFTWARE | NETIF_F_GSO_ENCAP_ALL)

enum nvi_verdict {
	NVI_REINJECTED,
	NVI_LOOP,
	NVI_NO_STAGE_BIT,
	NVI_NO_DEVICE,
	NVI_DEVICE_DOWN,
	NVI_BACKLOG,
	NVI_OTHER,
	__NVI_VERDICTS
};

static const char nvi_verdict_names[__NVI_VERDICTS][ETH_GSTRING_LEN] = {
	[NVI_REINJECTED]	= "reinjected",
	[NVI_LOOP]		= "loop",
	[NVI_NO_STAGE_BIT]	= "no_stage_bit",
	[NVI_NO_DEVICE]		= "no_device",
	[NVI_DEVICE_DOWN]	= "device_down",
	[NVI_BACKLOG]		= "backlog",
	[NVI_OTHER]		= "other",
};

struct nvi_stats {
	u64_stats_t packets[__NVI_VERDICTS];
	u64_stats_t bytes[__NVI_VERDICTS];
	struct u64_stats_sync syncp;
};

#define NVI_F_SKB_IIF		BIT(0)
#define NVI_F_TTL_COMPENSATION	BIT(1)
#define NVI_F_REQUIRE_STAGE	BIT(2)
#define NVI_STAGE_BIT		GENMASK(12, 8)	/* its number */
#define NVI_CONFIG		(NVI_F_REQUIRE_STAGE | \
				 FIELD_PREP(NVI_STAGE_BIT, 31))

/*
 * The configuration is one word, because transmission reads it without a lock
 * while it is written under RTNL: no packet sees half of a change.
 */
struct nvi_priv {
	u32 config;
	u16 loop_tag;
	struct nvi_stats __percpu *stats;
};

static u32 nvi_stage_mask(u32 config)
{
	return BIT(FIELD_GET(NVI_STAGE_BIT, config));
}

static void nvi_count(struct nvi_priv *priv, enum nvi_verdict verdict,
		      unsigned int len)
{
	struct nvi_stats *stats = this_cpu_ptr(priv->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->packets[verdict]);
	u64_stats_add(&stats->bytes[verdict], len);
	u64_stats_update_end(&stats->syncp);
}

static bool nvi_is_ip(struct sk_buff *skb)
{
	if (skb_network_offset(skb))
		return false;

	switch (skb->protocol) {
	case htons(ETH_P_IP):
		return pskb_network_may_pull(skb, sizeof(struct iphdr)) &&
		       ip_hdr(skb)->version == 4;
	case htons(ETH_P_IPV6):
		return pskb_network_may_pull(skb, sizeof(struct ipv6hdr)) &&
		       ipv6_hdr(skb)->version == 6;
	default:
		return false;
	}
}

/*
 * Nothing else stops a packet that takes the first pass over and over: with
 * TTL compensation not even its TTL.
 *
 * Being untracked is what the second pass is known by. A rule there that sets a
 * conntrack zone makes the packet trackable again, hence the tag, which no
 * Netfilter or FIB rule can write (a tc filter can). It is drawn for each
 * device, since it survives a veth, and there may be a second gateway behind
 * that.
 */
static bool nvi_is_second_pass(const struct nvi_priv *priv,
			       const struct sk_buff *skb)
{
	enum ip_conntrack_info ctinfo;

	nf_ct_get(skb, &ctinfo);
	return ctinfo == IP_CT_UNTRACKED || skb->tc_index == priv->loop_tag;
}

/*
 * A bridge takes whatever its ports receive, and would drop a frame without a
 * source. Only a flowtable on the port makes that the in-interface.
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
 * Taps of an Ethernet device expect a frame of it. The zero source tells them
 * the second pass from the first.
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

static enum nvi_verdict nvi_reinject(struct sk_buff *skb,
				     struct net_device *dev)
{
	struct nvi_priv *priv = netdev_priv(dev);
	u32 config = READ_ONCE(priv->config);
	u32 stage_mask = nvi_stage_mask(config);
	struct net_device *in_dev;

	if (nvi_is_second_pass(priv, skb))
		return NVI_LOOP;

	if (!(skb->mark & stage_mask) && (config & NVI_F_REQUIRE_STAGE))
		return NVI_NO_STAGE_BIT;

	if (!nvi_is_ip(skb))
		return NVI_OTHER;

	in_dev = nvi_in_device(dev, skb, config);
	if (!in_dev)
		return NVI_NO_DEVICE;
	if (!(in_dev->flags & IFF_UP))
		return NVI_DEVICE_DOWN;

	if ((config & NVI_F_TTL_COMPENSATION) && nvi_compensate_ttl(skb))
		return NVI_OTHER;
	if (nvi_set_mac_header(skb, in_dev))
		return NVI_OTHER;

	/*
	 * As new as from the wire: no route, no conntrack entry, no leave to
	 * be fragmented again (an IPv6 fragment would be, and get lost), and
	 * PACKET_HOST. The hash was that of the addresses before NAT, the
	 * queue one of this device's.
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

	/* Through the backlog: a direct call would recurse. It frees what it
	 * does not take.
	 */
	return netif_rx(skb) == NET_RX_SUCCESS ? NVI_REINJECTED : NVI_BACKLOG;
}

static netdev_tx_t nvi_xmit(struct sk_buff *skb, struct net_device *dev)
{
	enum nvi_verdict verdict;
	unsigned int len = skb->len;

	verdict = nvi_reinject(skb, dev);
	nvi_count(netdev_priv(dev), verdict, len);
	if (verdict != NVI_REINJECTED && verdict != NVI_BACKLOG)
		kfree_skb(skb);

	return NETDEV_TX_OK;
}

static int nvi_dev_init(struct net_device *dev)
{
	struct nvi_priv *priv = netdev_priv(dev);

	priv->stats = netdev_alloc_pcpu_stats(struct nvi_stats);
	if (!priv->stats)
		return -ENOMEM;

	do {
		priv->loop_tag = get_random_u32() & NVI_TAG_MASK;
	} while (!priv->loop_tag);	/* that of every packet from the wire */

	return 0;
}

/* When it comes up, since a move to another namespace makes the IPv6 half anew. */
static int nvi_dev_open(struct net_device *dev)
{
	struct inet6_dev *idev = __in6_dev_get(dev);

	/* Nobody is on the other end of a link-local address. */
	if (idev)
		WRITE_ONCE(idev->cnf.addr_gen_mode, IN6_ADDR_GEN_MODE_NONE);

	return 0;
}

static void nvi_read(const struct nvi_priv *priv, enum nvi_verdict verdict,
		     u64 *packets, u64 *bytes)
{
	unsigned int start;
	int cpu;

	*packets = 0;
	*bytes = 0;
	for_each_possible_cpu(cpu) {
		const struct nvi_stats *stats = per_cpu_ptr(priv->stats, cpu);
		u64 p, b;

		do {
			start = u64_stats_fetch_begin(&stats->syncp);
			p = u64_stats_read(&stats->packets[verdict]);
			b = u64_stats_read(&stats->bytes[verdict]);
		} while (u64_stats_fetch_retry(&stats->syncp, start));

		*packets += p;
		*bytes += b;
	}
}

static void nvi_get_stats64(struct net_device *dev,
			    struct rtnl_link_stats64 *stats)
{
	const struct nvi_priv *priv = netdev_priv(dev);
	enum nvi_verdict verdict;
	u64 packets, bytes;

	nvi_read(priv, NVI_REINJECTED, &stats->tx_packets, &stats->tx_bytes);
	for (verdict = NVI_REINJECTED + 1; verdict < __NVI_VERDICTS; verdict++) {
		nvi_read(priv, verdict, &packets, &bytes);
		stats->tx_dropped += packets;
	}
}

static const struct net_device_ops nvi_netdev_ops = {
	.ndo_init		= nvi_dev_init,
	.ndo_open		= nvi_dev_open,
	.ndo_start_xmit		= nvi_xmit,
	.ndo_get_stats64	= nvi_get_stats64,
};

static int nvi_get_sset_count(struct net_device *dev, int sset)
{
	return sset == ETH_SS_STATS ? __NVI_VERDICTS : -EOPNOTSUPP;
}

static void nvi_get_strings(struct net_device *dev, u32 sset, u8 *data)
{
	if (sset == ETH_SS_STATS)
		memcpy(data, nvi_verdict_names, sizeof(nvi_verdict_names));
}

static void nvi_get_ethtool_stats(struct net_device *dev,
				  struct ethtool_stats *stats, u64 *data)
{
	enum nvi_verdict verdict;
	u64 bytes;

	for (verdict = 0; verdict < __NVI_VERDICTS; verdict++)
		nvi_read(netdev_priv(dev), verdict, &data[verdict], &bytes);
}

static const struct ethtool_ops nvi_ethtool_ops = {
	.get_link		= ethtool_op_get_link,
	.get_sset_count		= nvi_get_sset_count,
	.get_strings		= nvi_get_strings,
	.get_ethtool_stats	= nvi_get_ethtool_stats,
};

static void nvi_destroy(struct net_device *dev)
{
	struct nvi_priv *priv = netdev_priv(dev);

	free_percpu(priv->stats);
}

static void nvi_setup(struct net_device *dev)
{
	struct nvi_priv *priv = netdev_priv(dev);

	priv->config = NVI_CONFIG;

	dev->type = ARPHRD_NONE;
	dev->flags = IFF_NOARP;
	dev->priv_flags |= IFF_NO_QUEUE;
	nvi_set_lltx(dev);

	dev->features |= NVI_FEATURES | NETIF_F_VLAN_CHALLENGED;
	dev->hw_features |= NVI_FEATURES;
	dev->hw_enc_features |= NVI_FEATURES;

	dev->mtu = NVI_MTU;
	dev->min_mtu = IPV6_MIN_MTU;
	dev->max_mtu = NVI_MTU;
	dev->needed_headroom = ETH_HLEN;

	netif_set_tso_max_size(dev, GSO_MAX_SIZE);

	dev->header_ops = &ip_tunnel_header_ops;
	dev->netdev_ops = &nvi_netdev_ops;
	dev->ethtool_ops = &nvi_ethtool_ops;
	dev->needs_free_netdev = true;
	dev->priv_destructor = nvi_destroy;
}

static const struct nla_policy nvi_policy[IFLA_NVI_MAX + 1] = {
	[IFLA_NVI_SOURCE]		= { .type = NLA_U8 },
	[IFLA_NVI_STAGE_MASK]		= { .type = NLA_U32 },
	[IFLA_NVI_TTL_COMPENSATION]	= { .type = NLA_U8 },
	[IFLA_NVI_REQUIRE_STAGE]	= { .type = NLA_U8 },
};

static int nvi_validate(struct nlattr *tb[], struct nlattr *data[],
			struct netlink_ext_ack *extack)
{
	struct nlattr *attr;

	if (tb[IFLA_ADDRESS]) {
		NL_SET_ERR_MSG_ATTR(extack, tb[IFLA_ADDRESS],
				    "A NAT virtual interface has no hardware address");
		return -EOPNOTSUPP;
	}

	if (!data)
		return 0;

	attr = data[IFLA_NVI_SOURCE];
	if (attr && nla_get_u8(attr) > NVI_SOURCE_SKB_IIF) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "Source must be 0 (mark) or 1 (skb_iif)");
		return -EINVAL;
	}

	attr = data[IFLA_NVI_STAGE_MASK];
	if (attr && !is_power_of_2(nla_get_u32(attr))) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "Stage mask must be one bit");
		return -EINVAL;
	}

	attr = data[IFLA_NVI_TTL_COMPENSATION];
	if (attr && nla_get_u8(attr) > 1) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "TTL compensation must be 0 or 1");
		return -EINVAL;
	}

	attr = data[IFLA_NVI_REQUIRE_STAGE];
	if (attr && nla_get_u8(attr) > 1) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "Require stage must be 0 or 1");
		return -EINVAL;
	}

	return 0;
}

static void nvi_set_flag(u32 *config, u32 flag, const struct nlattr *attr)
{
	if (!attr)
		return;

	if (nla_get_u8(attr))
		*config |= flag;
	else
		*config &= ~flag;
}

static int nvi_changelink(struct net_device *dev, struct nlattr *tb[],
			  struct nlattr *data[],
			  struct netlink_ext_ack *extack)
{
	struct nvi_priv *priv = netdev_priv(dev);
	u32 config = priv->config;
	const struct nlattr *attr;

	if (!data)
		return 0;

	nvi_set_flag(&config, NVI_F_SKB_IIF, data[IFLA_NVI_SOURCE]);
	nvi_set_flag(&config, NVI_F_TTL_COMPENSATION,
		     data[IFLA_NVI_TTL_COMPENSATION]);
	nvi_set_flag(&config, NVI_F_REQUIRE_STAGE,
		     data[IFLA_NVI_REQUIRE_STAGE]);
	attr = data[IFLA_NVI_STAGE_MASK];
	if (attr) {
		config &= ~NVI_STAGE_BIT;
		config |= FIELD_PREP(NVI_STAGE_BIT, ilog2(nla_get_u32(attr)));
	}

	if (!(config & (NVI_F_SKB_IIF | NVI_F_REQUIRE_STAGE))) {
		NL_SET_ERR_MSG(extack,
			       "Without the stage bit a mark says no in-interface: source must be 1 (skb_iif)");
		return -EINVAL;
	}

	WRITE_ONCE(priv->config, config);

	return 0;
}

static int nvi_newlink(struct net_device *dev, struct nlattr *data[],
		       struct netlink_ext_ack *extack)
{
	int err;

	err = nvi_changelink(dev, NULL, data, extack);
	if (err)
		return err;

	return register_netdevice(dev);
}

static size_t nvi_get_size(const struct net_device *dev)
{
	return nla_total_size(sizeof(u8)) +	/* IFLA_NVI_SOURCE */
	       nla_total_size(sizeof(u32)) +	/* IFLA_NVI_STAGE_MASK */
	       nla_total_size(sizeof(u8)) +	/* IFLA_NVI_TTL_COMPENSATION */
	       nla_total_size(sizeof(u8));	/* IFLA_NVI_REQUIRE_STAGE */
}

static int nvi_fill_info(struct sk_buff *skb, const struct net_device *dev)
{
	const struct nvi_priv *priv = netdev_priv(dev);
	u32 config = READ_ONCE(priv->config);

	if (nla_put_u8(skb, IFLA_NVI_SOURCE,
		       config & NVI_F_SKB_IIF ? NVI_SOURCE_SKB_IIF :
					       NVI_SOURCE_MARK) ||
	    nla_put_u32(skb, IFLA_NVI_STAGE_MASK,
			nvi_stage_mask(config)) ||
	    nla_put_u8(skb, IFLA_NVI_TTL_COMPENSATION,
		       !!(config & NVI_F_TTL_COMPENSATION)) ||
	    nla_put_u8(skb, IFLA_NVI_REQUIRE_STAGE,
		       !!(config & NVI_F_REQUIRE_STAGE)))
		return -EMSGSIZE;

	return 0;
}

static struct rtnl_link_ops nvi_link_ops __read_mostly = {
	.kind		= "nvi",
	.maxtype	= IFLA_NVI_MAX,
	.policy		= nvi_policy,
	.priv_size	= sizeof(struct nvi_priv),
	.setup		= nvi_setup,
	.validate	= nvi_validate,
	.newlink	= nvi_rtnl_newlink,
	.changelink	= nvi_changelink,
	.get_size	= nvi_get_size,
	.fill_info	= nvi_fill_info,
};

static int __init nvi_init(void)
{
	return rtnl_link_register(&nvi_link_ops);
}

static void __exit nvi_exit(void)
{
	rtnl_link_unregister(&nvi_link_ops);
}

module_init(nvi_init);
module_exit(nvi_exit);

MODULE_DESCRIPTION("NAT virtual interface");
MODULE_AUTHOR("nvi-operator authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(NVI_VERSION);
MODULE_ALIAS_RTNL_LINK("nvi");
