// SPDX-License-Identifier: GPL-2.0-only
/* Configuration by rtnetlink: "ip link add NAME type nvi". */

#include <linux/log2.h>
#include <linux/netdevice.h>
#include <net/rtnetlink.h>

#include <linux/if_nvi.h>

#include "compat.h"
#include "device.h"
#include "flow_cache.h"

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

struct rtnl_link_ops nvi_link_ops __read_mostly = {
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
