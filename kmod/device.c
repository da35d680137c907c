// SPDX-License-Identifier: GPL-2.0-only
/* A device's life, its counters, and what it tells the kernel of itself. */

#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/netdevice.h>
#include <linux/random.h>
#include <net/addrconf.h>
#include <net/ip_tunnels.h>

#include "compat.h"
#include "device.h"
#include "flow_cache.h"

#define NVI_MTU			(64 * 1024)	/* the first pass never fragments */
#define NVI_TAG_MASK		0xfff0	/* sch_gred reads the lowest four bits */
#define NVI_FEATURES		(NETIF_F_SG | NETIF_F_FRAGLIST |	\
				 NETIF_F_HIGHDMA | NETIF_F_HW_CSUM |	\
				 NETIF_F_RXCSUM | NETIF_F_SCTP_CRC |	\
				 NETIF_F_GSO_SOFTWARE | NETIF_F_GSO_ENCAP_ALL)

static const char nvi_counter_names[1 + __NVI_DROPS][ETH_GSTRING_LEN] = {
	"reinjected",
	[1 + NVI_DROP_LOOP]		= "loop",
	[1 + NVI_DROP_NO_STAGE_BIT]	= "no_stage_bit",
	[1 + NVI_DROP_NO_DEVICE]	= "no_device",
	[1 + NVI_DROP_DEVICE_DOWN]	= "device_down",
	[1 + NVI_DROP_BACKLOG]		= "backlog",
	[1 + NVI_DROP_OTHER]		= "other",
};

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

int nvi_start_flow_cache(struct net_device *dev, u32 config)
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

void nvi_stop_flow_cache(struct net_device *dev)
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

void nvi_setup(struct net_device *dev)
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
