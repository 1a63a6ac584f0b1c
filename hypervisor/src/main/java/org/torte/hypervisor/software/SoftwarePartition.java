package org.torte.hypervisor.software;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateReader;
import org.torte.base.StateWriter;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.TranslatorMode;
import org.torte.hypervisor.TranslatorStatistics;
import org.torte.hypervisor.VirtualProcessor;
import org.torte.hypervisor.software.translator.Site;
import org.torte.hypervisor.software.translator.Translator;

/** A partition whose processors are threads of this JVM. */
final class SoftwarePartition implements Partition {
    private static final int LEAF_ADDRESS_SIZES = 0x8000_0008;

    private final PhysicalMemory memory;
    private final InterruptRouter router = new InterruptRouter();
    private final Rendezvous rendezvous = new Rendezvous();
    private final List<SoftwareProcessor> processors = new ArrayList<>();
    private final boolean translatorWanted;
    private final @Nullable Translator translator;

    SoftwarePartition(PartitionConfiguration configuration) {
        int addressBits = configuration.cpuid().get(LEAF_ADDRESS_SIZES, 0).eax() & 0xff;
        memory = new PhysicalMemory(
                configuration.memory(),
                addressBits == 0 ? 36 : Math.min(addressBits, 52),
                configuration.handler(),
                router.ioApic());
        translatorWanted = configuration.translator() != TranslatorMode.OFF;
        translator = translatorWanted ? Translator.create(Translator.DEFAULT_SIZE) : null;
        for (int i = 0; i < configuration.processors(); i++) {
            processors.add(new SoftwareProcessor(i, configuration, memory, router, rendezvous, translator));
        }
        router.connect(processors.stream().map(p -> p.cpu().apic).toList());
        rendezvous.connect(processors.stream().map(SoftwareProcessor::cpu).toArray(Cpu[]::new));
    }

    @Override
    public int processorCount() {
        return processors.size();
    }

    @Override
    public VirtualProcessor processor(int index) {
        return processors.get(index);
    }

    @Override
    public Optional<TranslatorStatistics> translatorStatistics() {
        if (translator == null) {
            return Optional.empty();
        }
        long executed = 0;
        long[] exits = new long[Site.KINDS];
        for (SoftwareProcessor processor : processors) {
            TranslatedCode code = processor.translated();
            if (code != null) {
                executed += code.executed;
                Arrays.setAll(exits, i -> exits[i] + code.exits[i]);
            }
        }
        return Optional.of(new TranslatorStatistics(
                executed,
                translator.translatedBlocks(),
                translator.translatedInstructions(),
                translator.codeBytes(),
                translator.invalidatedBlocks(),
                translator.resets(),
                exits[Site.MISSING],
                exits[Site.INTERPRET] + exits[Site.VECTORS] + exits[Site.X87],
                exits[Site.BUDGET],
                exits[Site.CHAIN],
                exits[Site.JUMP] + exits[Site.LOST]));
    }

    @Override
    public Optional<String> translatorObstacle() {
        return translatorWanted && translator == null ? Optional.of(Translator.obstacle()) : Optional.empty();
    }

    @Override
    public void setInterruptLine(int line, boolean high) {
        router.ioApic().setWire(line, high);
    }

    @Override
    public void signalMessage(long address, int data) {
        router.signalMessage(address, data);
    }

    @Override
    public void setExternalInterrupt(boolean high, IntSupplier acknowledge) {
        processors.getFirst().cpu().apic.setExternal(high, acknowledge);
    }

    @Override
    public void signalNmi(int processor) {
        processors.get(processor).cpu().events.raise(Events.NMI);
    }

    @Override
    public void memoryWritten(long address, long length) {
        memory.written(address, length);
    }

    @Override
    public void flushTranslations(int caller, long mask) {
        rendezvous.exclusively(processors.get(caller).cpu(), () -> {
            for (SoftwareProcessor processor : processors) {
                if ((mask >>> processor.index() & 1) != 0) {
                    processor.cpu().mmu.flush();
                }
            }
        });
    }

    @Override
    public boolean setAutomaticEnd(int processor, int vector, boolean automatic) {
        processors.get(processor).cpu().apic.setAutomaticEnd(vector, automatic);
        return true;
    }

    @Override
    public void startDirtyTracking() {
        rendezvous.exclusively(null, () -> {
            memory.startDirtyTracking();
            withdrawWrites();
        });
    }

    @Override
    public void stopDirtyTracking() {
        memory.stopDirtyTracking();
    }

    @Override
    public long[] takeDirtyPages() {
        long[][] pages = new long[1][];
        rendezvous.exclusively(null, () -> {
            withdrawWrites();
            pages[0] = memory.takeDirtyPages();
        });
        return pages[0];
    }

    private void withdrawWrites() {
        for (SoftwareProcessor processor : processors) {
            processor.cpu().mmu.flushWrites();
        }
    }

    @Override
    public long tscFrequency() {
        return processors.getFirst().cpu().tsc.frequency();
    }

    @Override
    public void pause() {
        // All time comes from the machine's clock.
    }

    @Override
    public void resume() {
        // As above.
    }

    @Override
    public void save(StateWriter state) {
        state.section("hypervisor.ioapic", 1, router.ioApic()::save);
        for (SoftwareProcessor processor : processors) {
            state.section("hypervisor.processor." + processor.index(), ProcessorState.VERSION, processor::save);
        }
    }

    @Override
    public void restore(StateReader state) {
        memory.code.clear();
        router.ioApic().restore(state.section("hypervisor.ioapic", 1));
        for (SoftwareProcessor processor : processors) {
            processor.restore(state.section("hypervisor.processor." + processor.index(), ProcessorState.VERSION));
        }
        router.ioApic().raiseLevels();
    }

    @Override
    public void reset() {
        router.ioApic().reset();
        // RAM is cleared or filled anew behind the processors' backs.
        memory.code.clear();
        for (SoftwareProcessor processor : processors) {
            processor.reset();
        }
    }

    @Override
    public void close() {
        for (SoftwareProcessor processor : processors) {
            processor.close();
        }
        if (translator != null) {
            translator.close();
        }
    }
}
