/* SPDX-License-Identifier: GPL-2.0-only */
/* A NAT virtual interface: what its files share. */
#ifndef _NVI_DEVICE_H
#define _NVI_DEVICE_H

#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/netdevice.h>
#include <linux/u64_stats_sync.h>

struct nvi_flow_cache;

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

static inline u32 nvi_stage_mask(u32 config)
{
	return BIT(FIELD_GET(NVI_STAGE_BIT, config));
}

/* transmit.c */
netdev_tx_t nvi_xmit(struct sk_buff *skb, struct net_device *dev);

/* device.c */
int nvi_start_flow_cache(struct net_device *dev, u32 config);
void nvi_stop_flow_cache(struct net_device *dev);
void nvi_setup(struct net_device *dev);

/* link.c */
extern struct rtnl_link_ops nvi_link_ops;

#endif /* _NVI_DEVICE_H */
