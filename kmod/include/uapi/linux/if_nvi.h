/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * rtnetlink attributes of the NAT virtual interface, kind "nvi".
 *
 * They are nested in IFLA_LINKINFO / IFLA_INFO_DATA of RTM_NEWLINK. All of them
 * may be given when the device is made and changed while it is up, and all of
 * them are reported. What is not given keeps its value, or its default.
 */
#ifndef _UAPI_LINUX_IF_NVI_H
#define _UAPI_LINUX_IF_NVI_H

/**
 * enum nvi_source - how the device knows a packet's original in-interface
 * @NVI_SOURCE_MARK: by the packet's mark, all of it but the stage bit. A hook
 *	at the end of POSTROUTING has written it there. Those bits are cleared
 *	when the packet is handed back.
 * @NVI_SOURCE_SKB_IIF: the kernel's own record of it. The mark is kept. For
 *	a packet that came in by a port of a VRF this is the VRF device.
 *
 * With either, 0 stands for packets of the host itself, which are handed back
 * on the NAT virtual interface.
 */
enum nvi_source {
	NVI_SOURCE_MARK,
	NVI_SOURCE_SKB_IIF,
};

enum {
	IFLA_NVI_UNSPEC,

	/* u8, enum nvi_source; default NVI_SOURCE_MARK. */
	IFLA_NVI_SOURCE,

	/*
	 * u32, one bit of the packet mark; default 0x80000000. A packet must
	 * bear it to be handed back (IFLA_NVI_REQUIRE_STAGE), and bears it on
	 * its second pass.
	 */
	IFLA_NVI_STAGE_MASK,

	/*
	 * u8, 0 or 1; default 0. Add one to TTL or hop limit, so that the two
	 * passes together count as one hop.
	 */
	IFLA_NVI_TTL_COMPENSATION,

	/*
	 * u8, 0 or 1; default 1. Drop packets without the stage bit. Only with
	 * NVI_SOURCE_SKB_IIF may it be 0: a flowtable takes established flows
	 * past POSTROUTING, where the bit is set. With 0 nothing proves any
	 * more that a packet has seen NAT.
	 */
	IFLA_NVI_REQUIRE_STAGE,

	__IFLA_NVI_MAX
};

#define IFLA_NVI_MAX (__IFLA_NVI_MAX - 1)

#endif /* _UAPI_LINUX_IF_NVI_H */
