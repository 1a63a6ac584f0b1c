/**
 * Boot loaders: what a firmware and a boot loader do between them, done on the host. They read a kernel and its modules
 * from files, put them and the tables their boot protocol wants into guest memory, and say in which state the first
 * processor starts.
 *
 * <p>Formats and the documents they follow: Linux bzImage (Linux Documentation/arch/x86/boot.rst), ELF with a PVH note
 * (Xen docs/misc/pvh.pandoc, xen/include/public/arch-x86/hvm/start_info.h), multiboot 1 (The Multiboot Specification
 * 0.6.96). {@link org.torte.machine.boot.KernelLoader} tells them apart.
 *
 * <p>Files are not trusted: whatever they hold, a loader either succeeds or throws
 * {@link org.torte.machine.boot.BootException} with a cause and a remedy, and writes only to RAM that the memory map
 * calls usable.
 *
 * <p>Departures: a Linux kernel is unpacked on the host and entered at the 64-bit entry point of its vmlinux, so that the
 * kernel's own decompressor, and with it the randomisation of the kernel's address (KASLR), does not run; multiboot
 * kernels that demand a video mode are refused, as the machine has no display.
 */
package org.torte.machine.boot;
