package org.torte.worker;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.machine.boot.BootSource;
import org.torte.machine.boot.KernelLoader;

/** What a machine starts from, at first and after each reset. */
sealed interface StartSource {
    /** Files of the host. */
    record Files(BootSource source) implements StartSource {
        @Override
        public KernelLoader loader(Disks disks) {
            return new KernelLoader(source);
        }

        @Override
        public void save(StateOutput body) {
            body.putBoolean(false);
            body.putString(source.kernel().toAbsolutePath().toString());
            body.putString(source.commandLine());
            body.putInt(source.modules().size());
            for (BootSource.Module module : source.modules()) {
                body.putString(module.file().toAbsolutePath().toString());
                body.putString(module.arguments());
            }
        }
    }

    /**
     * The machine's own disks.
     *
     * @param append what is added to the command line that is found there
     */
    record FromDisks(String append) implements StartSource {
        @Override
        public KernelLoader loader(Disks disks) {
            return KernelLoader.ofDisks(disks::open, append);
        }

        @Override
        public void save(StateOutput body) {
            body.putBoolean(true);
            body.putString(append);
        }
    }

    /** Modules that saved state may name. */
    int MAX_MODULES = 1024;

    /** A loader of it for a machine with these disks. */
    KernelLoader loader(Disks disks);

    /** Writes it to saved state. */
    void save(StateOutput body);

    /** Reads what {@link #save} wrote. */
    static StartSource load(StateInput body) {
        if (body.version() >= 2 && body.getBoolean()) {
            return new FromDisks(body.getString());
        }
        Path kernel = Path.of(body.getString());
        String commandLine = body.getString();
        int count = body.getInt();
        body.check(count >= 0 && count <= MAX_MODULES, "there are " + count + " modules");
        List<BootSource.Module> modules = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            modules.add(new BootSource.Module(Path.of(body.getString()), body.getString()));
        }
        return new Files(new BootSource(kernel, modules, commandLine));
    }
}
