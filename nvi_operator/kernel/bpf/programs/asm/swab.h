/* SPDX-License-Identifier: GPL-2.0-only */
/* No instructions of its own: the compiler has them. */
