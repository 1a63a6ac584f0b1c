/**
 * Translates blocks of 64-bit guest code into host code (x86-64 Linux) and holds what that code works on. It knows
 * instructions and host memory, nothing of the processor around it: {@code TranslatedCode} runs it for one processor,
 * hands over from the interpreter when a block has become hot, and answers its exits.
 *
 * <p><b>Registers.</b> RAX to RDI and R8 to R10 are in the host's registers of the same names, RSP in r15 (the host's
 * stack stays valid for signals), R11 to R15 in memory. r11 is the budget, r12 and r13 are scratch, r14 points to the {@link
 * org.torte.hypervisor.software.translator.StateArea}: registers, soft TLB, jump cache, one for each privilege. XMM
 * registers and MXCSR are the guest's while code executes; without usable SSE, and with unmasked SIMD exceptions or
 * alignment checks, everything is interpreted. The x87's registers are the guest's from the
 * first block that uses them until the interpreter needs them ({@link org.torte.hypervisor.software.translator.X87Image}), while the guest masks its
 * exceptions; MMX is never touched. DF, TF, IF, AC live in the processor only.
 *
 * <p><b>Instructions.</b> What {@code Selection} lists is emitted as it stands, registers mapped, its memory operand
 * checked and replaced by [r12], or with r12, which leads from the linear address to the host's, added to it. Everything else is interpreted, exactly one instruction at a time, by the interpreter
 * itself, and the code goes on behind it. So do accesses across pages, to devices, to pages whose writes must be noticed,
 * misaligned LOCK and aligned SSE operands, divisions that might fault, returns and indirect jumps to places unknown.
 * Every check comes before the first architectural change of its instruction; the cold stub knows the instruction.
 *
 * <p><b>Privilege.</b> SYSCALL, SYSRET, IRET, STAC and CLAC go on with the state of another privilege, SWAPGS, STI, CLI and what
 * accesses the bases of FS and GS change the state, and the processor hears of all that when code is left. They do so only
 * in the usual case; faults, flags that need a closer look, and events that wait for interrupts to be on, have them interpreted.
 *
 * <p><b>Time.</b> RDTSC and RDTSCP call the C library's clock_gettime ({@link
 * org.torte.hypervisor.software.translator.TimeRoutine}), the only function outside that code ever calls.
 *
 * <p><b>Flags</b> live in the host's. They are saved before a check that would destroy them, unless they are dead: replaced
 * before they are read, within the block or the beginning of a successor in the same page. A fault in between therefore
 * shows flags in RFLAGS that nothing reads.
 *
 * <p><b>Memory.</b> The soft TLB is filled from the interpreter's, never by a walk of its own, so it withholds the same
 * write permissions; whatever drops an entry there drops it here. An access is one compare with the tag, which page
 * crossings miss. The page that was accessed last is kept in slots too, whose places are known when code is translated
 * ({@link org.torte.hypervisor.software.translator.PageSlots}), so that the access waits for its address alone: one for all
 * that is on the stack, others for the operands of blocks in which time is spent. Which blocks that are shows when the
 * budget is used up: those that are found executing then again and again are translated anew. So is a block with an access
 * whose slot misses often, without it. The old code gets a jump to the new one at its entry. A hot block goes on behind a
 * conditional jump with the blocks there that have been executed, so that not to jump costs nothing; each of them is charged by itself.
 *
 * <p><b>Control.</b> Direct jumps within a page are chained by patching four bytes within eight aligned ones; all others go by the jump cache.
 * Each block charges its instructions to a budget and leaves when that is used up, which bounds how long an interrupt, a
 * rendezvous or a withdrawn write permission waits: some ten microseconds. A block whose code has changed gets a jump to
 * its exit over the instruction at its entry, in one aligned store; its memory is reused when all code is dropped, while every
 * processor is outside: an epoch.
 *
 * <p><b>Safety.</b> Code memory is a memory file mapped twice, never writable and executable at one address, between
 * inaccessible pages. Emitted code cannot fault; a test decodes it against a list. The JVM's MXCSR is restored on every exit,
 * and downcalls are ordinary ones, so that garbage collection proceeds.
 */
@NullMarked
package org.torte.hypervisor.software.translator;

import org.jspecify.annotations.NullMarked;
