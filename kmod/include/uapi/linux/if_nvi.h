/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * rtnetlink attributes of the NAT virtual interface, kind "nvi".
 *
 * They are nested in IFLA_LINKINFO / IFLA_INFO_DATA of RTM_NEWLINK. All can be
 * set when the device is created and while it is up, and all are reported. An
 * attribute that is absent keeps its value, or its default.
 */
#ifndef _UAPI_LINUX_IF_NVI_H
#define _UAPI_LINUX_IF_NVI_H

/**
 * enum nvi_in_interface - where the device reads a packet's original
 *	in-interface
 * @NVI_IN_INTERFACE_MARK: the packet's mark without the stage bit, written by a
 *	hook at the end of POSTROUTING. These bits are cleared when the packet
 *	is handed back.
 * @NVI_IN_INTERFACE_SKB_IIF: the kernel's own record, skb->skb_iif. The mark is
 *	kept. For a packet received by a port of a VRF this is the VRF device.
 *
 * In both cases 0 means a packet of the host itself, which is handed back on
 * the NAT virtual interface.
 */
enum nvi_in_interface {
	NVI_IN_INTERFACE_MARK,
	NVI_IN_INTERFACE_SKB_IIF,
};

enum {
	IFLA_NVI_UNSPEC,

	/* u32, enum nvi_in_interface; default NVI_IN_INTERFACE_MARK. */
	IFLA_NVI_IN_INTERFACE,

	/*
	 * u32, one bit of the packet mark; default 0x80000000. A packet needs
	 * it to be handed back (IFLA_NVI_REQUIRE_STAGE), and has it on its
	 * second pass.
	 */
	IFLA_NVI_STAGE_MASK,

	/*
	 * u32, 0 or 1; default 0. Add one to TTL or hop limit, so that both
	 * passes together count as one hop.
	 */
	IFLA_NVI_TTL_COMPENSATION,

	/*
	 * u32, 0 or 1; default 1. Drop packets without the stage bit. 0 is
	 * valid with NVI_IN_INTERFACE_SKB_IIF only, and is meant for a
	 * flowtable, which takes established flows past POSTROUTING, where the
	 * bit is set. With 0 nothing proves that a packet has seen NAT.
	 */
	IFLA_NVI_REQUIRE_STAGE,

	__IFLA_NVI_MAX
};

#define IFLA_NVI_MAX (__IFLA_NVI_MAX - 1)

#endif /* _UAPI_LINUX_IF_NVI_H */
