/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marker instructions around a measured window. They do nothing; the QEMU plugin that counts
 * instructions by address knows their bytes: nop with the displacement 'PWB' and one letter more,
 * '0' and '1' for the bits of the window's number (the highest first), '<' and '>' around it.
 */
#ifndef PW_BENCH_MARK_H
#define PW_BENCH_MARK_H

#define NB_MARK_BITS 16

#if defined(__x86_64__)
static inline void nb_mark_begin(unsigned number)
{
    for (unsigned bit = NB_MARK_BITS; bit-- > 0;)
        if (number >> bit & 1)
            __asm__ volatile("nopl 0x31425750(%%rax)" ::: "memory");
        else
            __asm__ volatile("nopl 0x30425750(%%rax)" ::: "memory");
    __asm__ volatile("nopl 0x3c425750(%%rax)" ::: "memory");
}
static inline void nb_mark_end(void)
{
    __asm__ volatile("nopl 0x3e425750(%%rax)" ::: "memory");
}
#else
static inline void nb_mark_begin(unsigned number)
{
    (void)number;
}
static inline void nb_mark_end(void)
{
}
#endif

#endif
