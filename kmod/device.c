// SPDX-License-Identifier: GPL-2.0-only
/*
 * NAT virtual interface: packets routed to it are received again on their
 * original in-interface.
 *
 * A packet takes two passes through the stack. On the first pass it is routed
 * to this device and translated on the way; on the second pass, untracked, it
 * is routed by its addresses after NAT. A route can thus depend on the
 * translated source, which the kernel chooses only after routing.
 *
 * The idea is from dog250, 2013.
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
#include <net/dropreason.h>
#include <net/ip_tunnels.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/genetlink.h>
#include <net/rtnetlink.h>

#include <linux/if_nvi.h>

#include "compat.h"
#include "flow_cache.h"

#define NVI_VERSION		"0.3.0"
#define NVI_MTU			(64 * 1024)	/* the first pass never fragments */
#define NVI_TAG_MASK		0xfff0	/* sch_gred reads the lowest four bits */
#define NVI_FEATURES		(NETIF_F_SG | NETIF_F_FRAGLIST |	\
				 NETIF_F_HIGHDMA | NETIF_F_HW_CSUM |	\
				 NETIF_F_RXCSUM | NETIF_F_SCTP_CRC |	\
				 NETIF_F_GSO_SOFTWARE | NETIF_F_GSO_ENCAP_ALL)

/* Drops as ethtool counts them; "reinjected" is tx_packets of the device. */
enum nvi_drop {
	NVI_DROP_LOOP,
	NVI_DROP_NO_STAGE_BIT,
	NVI_DROP_NO_DEVICE,
	NVI_DROP_DEVICE_DOWN,
	NVI_DROP_BACKLOG,
	NVI_DROP_OTHER,
	__NVI_DROPS
};

static const char nvi_counter_names[1 + __NVI_DROPS][ETH_GSTRING_LEN] = {
	"reinjected",
	[1 + NVI_DROP_LOOP]		= "loop",
	[1 + NVI_DROP_NO_STAGE_BIT]	= "no_stage_bit",
	[1 + NVI_DROP_NO_DEVICE]	= "no_device",
	[1 + NVI_DROP_DEVICE_DOWN]	= "device_down",
	[1 + NVI_DROP_BACKLOG]		= "backlog",
	[1 + NVI_DROP_OTHER]		= "other",
};

struct nvi_drop_stats {
	u64_stats_t packets[__NVI_DROPS];
	struct u64_stats_sync syncp;
};

#define NVI_F_SKB_IIF		BIT(0)
#define NVI_F_TTL_COMPENSATION	BIT(1)
#define NVI_F_REQUIRE_STAGE	BIT(2)
#define NVI_F_FLOW_CACHE	BIT(3)
#define NVI_STAGE_BIT		GENMASK(12, 8)	/* bit number in the mark */
#define NVI_CONFIG		(NVI_F_REQUIRE_STAGE | \
				 FIELD_PREP(NVI_STAGE_BIT, 31))

/*
 * The configuration is a single word: it is written under RTNL and read by
 * transmission without a lock, so no packet sees half of a change.
 */
struct nvi_priv {
	u32 config;
	u16 loop_tag;
	struct nvi_drop_stats __percpu *drops;
	struct nvi_flow_cache __rcu *flow_cache;	/* while up */
};

static u32 nvi_stage_mask(u32 config)
{
	return BIT(FIELD_GET(NVI_STAGE_BIT, config));
}

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

static netdev_tx_t nvi_xmit(struct sk_buff *skb, struct net_device *dev)
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

static int nvi_dev_init(struct net_device *dev)
{
	struct nvi_priv *priv = netdev_priv(dev);
	int err;

	err = nvi_alloc_tstats(dev);
	if (err)
		return err;

	priv->drops = netdev_alloc_pcpu_stats(struct nvi_drop_stats);
	if (!priv->drops) {
		nvi_free_tstats(dev);
		return -ENOMEM;
	}

	do {
		priv->loop_tag = get_random_u32() & NVI_TAG_MASK;
	} while (!priv->loop_tag);	/* packets from the wire have tag 0 */

	return 0;
}

static int nvi_start_flow_cache(struct net_device *dev, u32 config)
{
	struct nvi_priv *priv = netdev_priv(dev);
	struct nvi_flow_cache *cache;

	if (!(config & NVI_F_FLOW_CACHE))
		return 0;

	cache = nvi_flow_cache_start(dev, config & NVI_F_TTL_COMPENSATION ? 1 : 2);
	if (IS_ERR(cache))
		return PTR_ERR(cache);
	rcu_assign_pointer(priv->flow_cache, cache);

	return 0;
}

static void nvi_stop_flow_cache(struct net_device *dev)
{
	struct nvi_priv *priv = netdev_priv(dev);
	struct nvi_flow_cache *cache = rtnl_dereference(priv->flow_cache);

	if (!cache)
		return;

	RCU_INIT_POINTER(priv->flow_cache, NULL);
	synchronize_net();
	nvi_flow_cache_stop(cache);
}

/* Not in ndo_init: a move to another namespace creates the inet6_dev again. */
static int nvi_dev_open(struct net_device *dev)
{
	struct nvi_priv *priv = netdev_priv(dev);
	struct inet6_dev *idev = __in6_dev_get(dev);

	/* A link-local address would have no peer. */
	if (idev)
		WRITE_ONCE(idev->cnf.addr_gen_mode, IN6_ADDR_GEN_MODE_NONE);

	return nvi_start_flow_cache(dev, priv->config);
}

static int nvi_dev_stop(struct net_device *dev)
{
	nvi_stop_flow_cache(dev);

	return 0;
}

static u64 nvi_read_drops(struct net_device *dev, enum nvi_drop drop)
{
	const struct nvi_priv *priv = netdev_priv(dev);
	unsigned int start;
	u64 packets, sum = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct nvi_drop_stats *stats = per_cpu_ptr(priv->drops, cpu);

		do {
			start = u64_stats_fetch_begin(&stats->syncp);
			packets = u64_stats_read(&stats->packets[drop]);
		} while (u64_stats_fetch_retry(&stats->syncp, start));

		sum += packets;
	}

	return sum;
}

static void nvi_get_stats64(struct net_device *dev,
			    struct rtnl_link_stats64 *stats)
{
	enum nvi_drop drop;

	dev_get_tstats64(dev, stats);
	for (drop = 0; drop < __NVI_DROPS; drop++)
		stats->tx_dropped += nvi_read_drops(dev, drop);
}

static const struct net_device_ops nvi_netdev_ops = {
	.ndo_init		= nvi_dev_init,
	.ndo_open		= nvi_dev_open,
	.ndo_stop		= nvi_dev_stop,
	.ndo_start_xmit		= nvi_xmit,
	.ndo_get_stats64	= nvi_get_stats64,
};

static int nvi_get_sset_count(struct net_device *dev, int sset)
{
	return sset == ETH_SS_STATS ?
	       ARRAY_SIZE(nvi_counter_names) + NVI_FLOW_STATS : -EOPNOTSUPP;
}

static void nvi_get_strings(struct net_device *dev, u32 sset, u8 *data)
{
	if (sset != ETH_SS_STATS)
		return;

	memcpy(data, nvi_counter_names, sizeof(nvi_counter_names));
	nvi_flow_cache_get_strings(data + sizeof(nvi_counter_names));
}

static void nvi_get_ethtool_stats(struct net_device *dev,
				  struct ethtool_stats *stats, u64 *data)
{
	struct nvi_priv *priv = netdev_priv(dev);
	struct rtnl_link_stats64 tstats = {};
	enum nvi_drop drop;

	dev_get_tstats64(dev, &tstats);
	*data++ = tstats.tx_packets;
	for (drop = 0; drop < __NVI_DROPS; drop++)
		*data++ = nvi_read_drops(dev, drop);
	nvi_flow_cache_get_stats(rtnl_dereference(priv->flow_cache), data);
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

	free_percpu(priv->drops);
	nvi_free_tstats(dev);
}

static void nvi_setup(struct net_device *dev)
{
	struct nvi_priv *priv = netdev_priv(dev);

	priv->config = NVI_CONFIG;

	dev->type = ARPHRD_NONE;
	dev->flags = IFF_NOARP;
	dev->priv_flags |= IFF_NO_QUEUE;
	nvi_set_lltx(dev);
	nvi_set_tstats(dev);

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

static int nvi_check_stage_mask(const struct nlattr *attr,
				struct netlink_ext_ack *extack)
{
	if (is_power_of_2(nla_get_u32(attr)))
		return 0;

	NL_SET_ERR_MSG_ATTR(extack, attr, "Stage mask must be one bit");
	return -EINVAL;
}

static const struct nla_policy nvi_policy[IFLA_NVI_MAX + 1] = {
	[IFLA_NVI_UNSPEC]		= { .strict_start_type =
						IFLA_NVI_UNSPEC + 1 },
	[IFLA_NVI_IN_INTERFACE]		= NLA_POLICY_MAX(NLA_U32,
							 NVI_IN_INTERFACE_SKB_IIF),
	[IFLA_NVI_STAGE_MASK]		= NLA_POLICY_VALIDATE_FN(NLA_U32,
								 nvi_check_stage_mask),
	[IFLA_NVI_TTL_COMPENSATION]	= NLA_POLICY_MAX(NLA_U32, 1),
	[IFLA_NVI_REQUIRE_STAGE]	= NLA_POLICY_MAX(NLA_U32, 1),
	[IFLA_NVI_FLOW_CACHE]		= NLA_POLICY_MAX(NLA_U32, 1),
};

static int nvi_validate(struct nlattr *tb[], struct nlattr *data[],
			struct netlink_ext_ack *extack)
{
	if (tb[IFLA_ADDRESS]) {
		NL_SET_ERR_MSG_ATTR(extack, tb[IFLA_ADDRESS],
				    "A NAT virtual interface has no hardware address");
		return -EOPNOTSUPP;
	}

	return 0;
}

static void nvi_set_flag(u32 *config, u32 flag, const struct nlattr *attr)
{
	if (!attr)
		return;

	if (nla_get_u32(attr))
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
	int err;

	if (!data)
		return 0;

	nvi_set_flag(&config, NVI_F_SKB_IIF, data[IFLA_NVI_IN_INTERFACE]);
	nvi_set_flag(&config, NVI_F_TTL_COMPENSATION,
		     data[IFLA_NVI_TTL_COMPENSATION]);
	nvi_set_flag(&config, NVI_F_REQUIRE_STAGE,
		     data[IFLA_NVI_REQUIRE_STAGE]);
	nvi_set_flag(&config, NVI_F_FLOW_CACHE, data[IFLA_NVI_FLOW_CACHE]);
	attr = data[IFLA_NVI_STAGE_MASK];
	if (attr) {
		config &= ~NVI_STAGE_BIT;
		config |= FIELD_PREP(NVI_STAGE_BIT, ilog2(nla_get_u32(attr)));
	}

	if (!(config & (NVI_F_SKB_IIF | NVI_F_REQUIRE_STAGE))) {
		NL_SET_ERR_MSG(extack,
			       "Without a required stage bit the in-interface must be 1 (skb_iif)");
		return -EINVAL;
	}

	if (config == priv->config)
		return 0;

	nvi_stop_flow_cache(dev);
	WRITE_ONCE(priv->config, config);
	if (!(dev->flags & IFF_UP))
		return 0;

	err = nvi_start_flow_cache(dev, config);
	if (err) {
		WRITE_ONCE(priv->config, config & ~NVI_F_FLOW_CACHE);
		NL_SET_ERR_MSG(extack, "The flow cache could not be started");
	}

	return err;
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

/* Newer kernels pass the arguments of rtnl_link_ops::newlink in a struct. */
#ifdef NVI_HAVE_RTNL_NEWLINK_PARAMS
static int nvi_rtnl_newlink(struct net_device *dev,
			    struct rtnl_newlink_params *params,
			    struct netlink_ext_ack *extack)
{
	return nvi_newlink(dev, params->data, extack);
}
#else
static int nvi_rtnl_newlink(struct net *src_net, struct net_device *dev,
			    struct nlattr *tb[], struct nlattr *data[],
			    struct netlink_ext_ack *extack)
{
	return nvi_newlink(dev, data, extack);
}
#endif

static size_t nvi_get_size(const struct net_device *dev)
{
	return nla_total_size(sizeof(u32)) +	/* IFLA_NVI_IN_INTERFACE */
	       nla_total_size(sizeof(u32)) +	/* IFLA_NVI_STAGE_MASK */
	       nla_total_size(sizeof(u32)) +	/* IFLA_NVI_TTL_COMPENSATION */
	       nla_total_size(sizeof(u32)) +	/* IFLA_NVI_REQUIRE_STAGE */
	       nla_total_size(sizeof(u32));	/* IFLA_NVI_FLOW_CACHE */
}

static int nvi_fill_info(struct sk_buff *skb, const struct net_device *dev)
{
	const struct nvi_priv *priv = netdev_priv(dev);
	u32 config = READ_ONCE(priv->config);

	if (nla_put_u32(skb, IFLA_NVI_IN_INTERFACE,
			config & NVI_F_SKB_IIF ? NVI_IN_INTERFACE_SKB_IIF :
						 NVI_IN_INTERFACE_MARK) ||
	    nla_put_u32(skb, IFLA_NVI_STAGE_MASK,
			nvi_stage_mask(config)) ||
	    nla_put_u32(skb, IFLA_NVI_TTL_COMPENSATION,
			!!(config & NVI_F_TTL_COMPENSATION)) ||
	    nla_put_u32(skb, IFLA_NVI_REQUIRE_STAGE,
			!!(config & NVI_F_REQUIRE_STAGE)) ||
	    nla_put_u32(skb, IFLA_NVI_FLOW_CACHE,
			!!(config & NVI_F_FLOW_CACHE)))
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

/* A reference, or an ERR_PTR(); see enum nvi_command. */
struct nvi_flow_cache *nvi_flow_cache_get(struct net *net, int ifindex)
{
	struct nvi_flow_cache *cache;
	struct net_device *dev;
	struct nvi_priv *priv;

	rcu_read_lock();

	dev = dev_get_by_index_rcu(net, ifindex);
	if (!dev || dev->rtnl_link_ops != &nvi_link_ops) {
		cache = ERR_PTR(-ENODEV);
	} else {
		priv = netdev_priv(dev);
		cache = rcu_dereference(priv->flow_cache);
		if (!cache || !kref_get_unless_zero(&cache->ref))
			cache = ERR_PTR(-ENOENT);
	}

	rcu_read_unlock();

	return cache;
}

static int __init nvi_init(void)
{
	int err;

	err = nvi_flow_cache_init();
	if (err)
		return err;

	err = nvi_flow_netlink_init();
	if (err)
		goto err_cache;

	err = rtnl_link_register(&nvi_link_ops);
	if (err)
		goto err_netlink;

	return 0;

err_netlink:
	nvi_flow_netlink_exit();
err_cache:
	nvi_flow_cache_exit();
	return err;
}

static void __exit nvi_exit(void)
{
	rtnl_link_unregister(&nvi_link_ops);
	nvi_flow_netlink_exit();
	nvi_flow_cache_exit();
}

module_init(nvi_init);
module_exit(nvi_exit);

MODULE_DESCRIPTION("NAT virtual interface");
MODULE_AUTHOR("nvi-operator authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(NVI_VERSION);
MODULE_ALIAS_RTNL_LINK("nvi");
MODULE_ALIAS_GENL_FAMILY(NVI_GENL_NAME);
