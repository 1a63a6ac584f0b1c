package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.CodeSource;
import org.torte.hypervisor.x86.Decoder;
import org.torte.hypervisor.x86.Instruction;

/**
 * Finds the block at an instruction pointer: translates it, looks into the code cache, and decodes when there is none.
 * One for each processor, used by its thread alone.
 */
final class BlockBuilder implements CodeSource {
    /** How often a block is decoded because of writes to its page until one instruction has to do. */
    private static final int ATTEMPTS = 8;

    private final Cpu cpu;
    private final PhysicalMemory memory;
    private final Rendezvous rendezvous;
    private final OfferedInstructions offered;
    private final Lowering lowering = new Lowering();
    private final Instruction instruction = new Instruction();

    // Where fetch() reads: linear address of the current instruction, and physical addresses of its first page and,
    // once needed, of its second (INVALID before).
    private long linear;
    private long physical;
    private long secondPage;

    /** What the version of that page was before anything was read there, if all writes to it are noticed; or -1. */
    private int secondVersion;

    /** Blocks decoded so far. */
    long decoded;

    BlockBuilder(Cpu cpu, PhysicalMemory memory, Rendezvous rendezvous, OfferedInstructions offered) {
        this.offered = offered;
        this.cpu = cpu;
        this.memory = memory;
        this.rendezvous = rendezvous;
    }

    /** The block at an instruction pointer in the current mode, from the jump cache if it is there. */
    Block lookUp(long rip) {
        Mmu.JumpCache jumps = cpu.mmu.jumps();
        Block block = jumps.find(rip);
        if (block == null || block.dead) {
            block = find(rip, cpu.mode);
            if (block.linkable) {
                jumps.put(rip, block, cpu.mmu.isLocal(rip));
            }
        }
        return block;
    }

    /** Changes a decoded instruction of 64-bit code that this processor does not have into what it executes instead. */
    void applyOffered(Instruction in) {
        offered.apply(in, true);
    }

    /**
     * The block that starts at this instruction pointer.
     *
     * @throws GuestFault what the guest gets for fetching there
     */
    Block find(long rip, int mode) {
        long start = rip;
        if ((mode & Cpu.MODE_SIZE) != Cpu.MODE_64) {
            if (Long.compareUnsigned(rip, cpu.limit[Cpu.CS] & 0xffffffffL) > 0) {
                throw cpu.gp(0);
            }
            start = rip + cpu.r[Cpu.BASE + Cpu.CS] & 0xffffffffL;
        }
        long at = cpu.mmu.translateFetch(start);
        if (!memory.isRam(at)) {
            return build(start, at, mode, false);
        }
        CodePage page = memory.code.page(at);
        Block block = page.find((int) at & 0xfff, mode);
        if (block != null && !block.dead) {
            if ((mode & Cpu.MODE_LIMITED) != 0 && rip + block.length - 1 > (cpu.limit[Cpu.CS] & 0xffffffffL)) {
                return build(start, at, mode, false);
            }
            if (!block.straddles || cpu.mmu.translateFetch((start | 0xfff) + 1) == block.secondPage) {
                return block;
            }
            return build(start, at, mode, false);
        }
        for (int i = 0; i < ATTEMPTS; i++) {
            int version = guard(page, at & ~0xfffL);
            block = build(start, at, mode, true);
            if (publish(page, version, block)) {
                return block;
            }
        }
        // Somebody writes to the page all the time, and in here no event is seen. A single instruction has no need to
        // hear of writes.
        return build(start, at, mode | Cpu.MODE_SINGLE, false);
    }

    /** Has every write to a page of RAM noticed from now on; gives its version, from which on that holds. */
    private int guard(CodePage page, long address) {
        int version = page.activate();
        if (!page.isGuarded(version)) {
            rendezvous.revokeWrite(cpu, address, page.beginGuard());
            page.endGuard(version);
        }
        return version;
    }

    private boolean publish(CodePage page, int version, Block block) {
        if (!block.straddles) {
            return page.add(block, block.offset + block.length - 1, version);
        }
        if (!memory.isRam(block.secondPage)) {
            return true;
        }
        CodePage second = memory.code.page(block.secondPage);
        if (secondVersion < 0) {
            // Its bytes were read before writes to them were noticed.
            guard(second, block.secondPage);
            return false;
        }
        if (!second.addStraddler(page, block.offset + block.length - 1 - 0x1000, secondVersion)) {
            return false;
        }
        return page.add(block, 0xfff, version);
    }

    private Block build(long start, long at, int mode, boolean keep) {
        decoded++;
        lowering.begin(mode);
        int limit = (mode & Cpu.MODE_SINGLE) != 0 ? 1 : Block.MAX_INSTRUCTIONS;
        int room = 0x1000 - (int) (start & 0xfff);
        int decoderMode = switch (mode & Cpu.MODE_SIZE) {
            case Cpu.MODE_64 -> 64;
            case Cpu.MODE_32 -> 32;
            default -> 16;
        };
        secondPage = Mmu.INVALID;
        int offset = 0;
        int count = 0;
        boolean open = true;
        while (open && count < limit && offset < room) {
            linear = start + offset;
            physical = at + offset;
            int length;
            try {
                length = Decoder.decode(this, decoderMode, instruction);
            } catch (GuestFault f) {
                if (count == 0) {
                    throw f;
                }
                break;
            }
            if (length == Decoder.TOO_LONG) {
                if (count == 0) {
                    throw cpu.gp(0);
                }
                break;
            }
            if (count > 0 && offset + length > room) {
                break;
            }
            offered.apply(instruction, decoderMode == 64);
            open = lowering.add(instruction, offset);
            offset += length;
            count++;
        }
        boolean straddles = offset > room;
        return lowering.finish(keep ? (int) at & 0xfff : -1, count, offset, straddles ? secondPage : Mmu.INVALID);
    }

    @Override
    public int fetch(int offset) {
        int inPage = (int) (linear & 0xfff) + offset;
        checkLimit(offset);
        if (inPage < 0x1000) {
            return read(physical + offset);
        }
        if (secondPage == Mmu.INVALID) {
            long next = (linear | 0xfff) + 1;
            secondPage = cpu.mmu.translateFetch(cpu.longModeActive() ? next : next & 0xffffffffL);
            secondVersion =
                    memory.isRam(secondPage) ? memory.code.page(secondPage).guardedVersion() : -1;
        }
        return read(secondPage + (inPage & 0xfff));
    }

    private void checkLimit(int offset) {
        if ((cpu.mode & Cpu.MODE_SIZE) != Cpu.MODE_64) {
            long at = linear - cpu.r[Cpu.BASE + Cpu.CS] + offset & 0xffffffffL;
            if (at > (cpu.limit[Cpu.CS] & 0xffffffffL)) {
                throw cpu.gp(0);
            }
        }
    }

    private int read(long address) {
        return (int) (memory.isRam(address) ? memory.readRam(address, 1) : memory.readDevice(cpu.index, address, 1));
    }
}
