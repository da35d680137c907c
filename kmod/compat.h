/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that nvi builds against, found by looking
 * for the feature: distributions backport, so versions say little. NVI_HAVE_*
 * come from Kbuild, which looks into the kernel's headers.
 */
#ifndef _NVI_COMPAT_H
#define _NVI_COMPAT_H

#include <linux/netdevice.h>
#include <net/rtnetlink.h>

/* "No lock of mine for transmission" was a feature bit; it became a field. */
static inline void nvi_set_lltx(struct net_device *dev)
{
#ifdef NETIF_F_LLTX
	dev->features |= NETIF_F_LLTX;
#else
	dev->lltx = true;
#endif
}

static int nvi_newlink(struct net_device *dev, struct nlattr *data[],
		       struct netlink_ext_ack *extack);

/* rtnl_link_ops::newlink got its arguments in a struct. */
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

#endif /* _NVI_COMPAT_H */
