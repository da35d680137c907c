/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between the kernels that nvi builds against, detected by feature
 * and not by version, because distributions backport. Kbuild finds NVI_HAVE_*
 * in the kernel's headers.
 */
#ifndef _NVI_COMPAT_H
#define _NVI_COMPAT_H

#include <linux/netdevice.h>
#include <net/dropreason.h>
#include <net/genetlink.h>
#include <net/rtnetlink.h>

#ifdef NVI_HAVE_GSO_HEADER
#include <net/gso.h>
#endif

/*
 * nvi uses drop reasons of the core: its own would need an entry in enum
 * skb_drop_reason_subsys, which a module outside the tree cannot add. Older
 * kernels have no reason for loops; NETFILTER_DROP is the nearest, because only
 * a foreign Netfilter rule makes a packet loop.
 */
#ifdef NVI_HAVE_RECURSION_LIMIT
#define NVI_REASON_LOOP		SKB_DROP_REASON_RECURSION_LIMIT
#else
#define NVI_REASON_LOOP		SKB_DROP_REASON_NETFILTER_DROP
#endif

/* Lockless transmission was a feature bit before it became a field. */
static inline void nvi_set_lltx(struct net_device *dev)
{
#ifdef NETIF_F_LLTX
	dev->features |= NETIF_F_LLTX;
#else
	dev->lltx = true;
#endif
}

/* The core allocates dev->tstats for drivers that ask for it. */
#ifdef NVI_HAVE_PCPU_STAT_TYPE
static inline void nvi_set_tstats(struct net_device *dev)
{
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
}

static inline int nvi_alloc_tstats(struct net_device *dev)
{
	return 0;
}

static inline void nvi_free_tstats(struct net_device *dev)
{
}
#else
static inline void nvi_set_tstats(struct net_device *dev)
{
}

static inline int nvi_alloc_tstats(struct net_device *dev)
{
	dev->tstats = netdev_alloc_pcpu_stats(struct pcpu_sw_netstats);

	return dev->tstats ? 0 : -ENOMEM;
}

static inline void nvi_free_tstats(struct net_device *dev)
{
	free_percpu(dev->tstats);
}
#endif

/* What was requested, in a dump. */
static inline struct nlattr **nvi_dump_attrs(struct netlink_callback *cb)
{
#ifdef NVI_HAVE_GENL_INFO_DUMP
	return genl_info_dump(cb)->attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

#endif /* _NVI_COMPAT_H */
