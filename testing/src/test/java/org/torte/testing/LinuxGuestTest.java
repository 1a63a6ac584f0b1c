package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.TextNotFoundException;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;

/** The distribution's own kernel and busybox, unmodified, do the same work in a guest as busybox does on the host. */
class LinuxGuestTest {
    private static final Duration PATIENCE = Duration.ofMinutes(5);

    /** Every line of output begins with "P:", so that kernel messages between them do not matter. */
    private static final String WORK = """
            cd /tmp
            B=${BUSYBOX:-busybox}
            D=${DATA:-/torte/data}
            echo "P:sum $($B sha256sum <$D)"
            echo "P:md5 $($B md5sum <$D)"
            echo "P:gzip $($B gzip -c <$D | $B gunzip -c | $B sha256sum)"
            echo "P:half"
            echo "P:awk $($B awk 'BEGIN { for (i = 1; i <= 20000; i++) { s += i * i / 7 % 1.375; t = t * 31 % 65521 + i } printf "%.9f %d", s, t }')"
            echo "P:sort $($B seq 1 3000 | $B awk '{ print ($1 * 7919) % 10007, $1 }' | $B sort -n | $B md5sum)"
            i=0; n=0; while [ $i -lt 3000 ]; do n=$(( (n * 17 + i) % 99991 )); i=$((i + 1)); done
            echo "P:loop $n"
            echo "P:cut $($B seq 1 500 | $B sed 's/3/x/g' | $B tr 0-9 a-j | $B cut -c1-2 | $B uniq -c | $B md5sum)"
            echo "P:done"
            """;

    /** A message of the kernel in the middle of a line of output would garble it; what it warns of is printed at the end. */
    private static final String QUIET = "dmesg -n 1\n";

    /** What a sound machine never makes a kernel say; other warnings depend on the host's load. */
    private static final Pattern TROUBLE =
            Pattern.compile("^W:.*(BUG|WARNING|Oops|Call Trace|unchecked MSR|stall|lockup|not responding|unstable)");

    private static final String WARNINGS = "dmesg -r | sed -n 's/^<[0-4]>/W:/p'\necho P:end\n";

    @TempDir
    static Path folder;

    private static Path kernel;
    private static Path initrd;
    private static List<String> expected;

    @BeforeAll
    static void makeGuest() throws IOException, InterruptedException {
        byte[] data = new byte[200_000];
        Random random = new Random(20261123);
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) ('a' + random.nextInt(1 + i % 26));
        }
        GuestImages images = new GuestImages(step -> {});
        Path busybox;
        try {
            kernel = images.kernel(GuestImages.CLOUD_KERNEL);
            busybox = images.busybox();
        } catch (InputException e) {
            abort("no guest can be made from this system's packages: " + e.getMessage());
            return;
        }
        initrd = folder.resolve("initrd");
        String meltdown = "echo \"P:meltdown $(cat /sys/devices/system/cpu/vulnerabilities/meltdown)\"\n";
        String detected = "echo \"P:hypervisor $(dmesg | sed -n 's/.*Hypervisor detected: //p')\"\n";
        String processors = "echo \"P:processors $(grep -c ^processor /proc/cpuinfo)\"\n";
        images.initrd(QUIET + WORK + meltdown + detected + processors + WARNINGS, Map.of("torte/data", data), initrd);
        Path file = Files.write(folder.resolve("data"), data);
        ProcessBuilder host = new ProcessBuilder(busybox.toString(), "sh", "-c", WORK);
        host.environment().put("BUSYBOX", busybox.toString());
        host.environment().put("DATA", file.toString());
        Process process = host.redirectErrorStream(true).start();
        expected = lines(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
        assertThat(process.waitFor()).isZero();
        assertThat(expected).hasSize(9);
    }

    private static List<String> lines(String text) {
        return text.lines()
                .filter(line -> line.startsWith("P:"))
                .map(String::strip)
                .toList();
    }

    /** What the guest printed is the host's output, then what is said of the machine; all of it is shown when not. */
    private static void assertWorked(String console, int processors) {
        List<String> wanted = new ArrayList<>(expected);
        wanted.add("P:meltdown Not affected");
        wanted.add("P:hypervisor Microsoft Hyper-V");
        wanted.add("P:processors " + processors);
        wanted.add("P:end");
        assertThat(lines(console)).as("the lines of%n%s", console).isEqualTo(wanted);
        assertThat(console.lines().filter(line -> TROUBLE.matcher(line).find()).toList())
                .as("troubles of the guest's kernel")
                .isEmpty();
    }

    private static VirtualMachine.Builder guest(int processors) {
        return VirtualMachine.builder()
                .kernel(kernel)
                .initrd(initrd)
                .append(KernelWarnings.COMMAND_LINE)
                .processors(processors);
    }

    /** What is printed until the end of the work, or all there is when it does not come. */
    private static String output(VirtualMachine machine, String until) {
        try {
            return machine.console().waitForText(Pattern.compile(until + "[^\\n]*\\n"), PATIENCE);
        } catch (TextNotFoundException e) {
            return machine.console().readAvailable();
        }
    }

    @ParameterizedTest(name = "with {0} processors")
    @ValueSource(ints = {1, 2, 4})
    void aStockLinuxWorksAsOnTheHostAndPowersOff(int processors) {
        try (VirtualMachine machine = guest(processors).build()) {
            machine.start();
            assertWorked(output(machine, "P:end"), processors);
            assertThat(machine.awaitExit(PATIENCE)).isEqualTo(new ExitReport.PoweredOff());
        }
    }

    @Test
    void withTwoTranslatedProcessorsItWorksAsOnTheHost() throws Exception {
        assertTranslatedWorks(2);
    }

    @Tag("long")
    @ParameterizedTest(name = "with {0} processors")
    @ValueSource(ints = {1, 4})
    void withTranslatedProcessorsItWorksAsOnTheHost(int processors) throws Exception {
        assertTranslatedWorks(processors);
    }

    private static void assertTranslatedWorks(int processors) throws IOException, InterruptedException {
        String console = TranslatedGuest.console(kernel, initrd, processors, VirtualMachine.DEFAULT_MEMORY);
        assertWorked(console, processors);
    }

    @Test
    void savedInTheMiddleOfItsWorkItFinishesAfterBeingRestored() throws IOException {
        Path saved = folder.resolve("saved");
        Path again = folder.resolve("again");
        String before;
        try (VirtualMachine machine = guest(2).build()) {
            machine.start();
            before = output(machine, "P:half");
            machine.pause();
            machine.save(saved);
            machine.save(again);
            before += machine.console().readAvailable();
        }
        assertThat(Files.mismatch(saved, again)).isEqualTo(-1);
        Files.delete(again);
        try (VirtualMachine machine = VirtualMachine.builder().savedState(saved).build()) {
            machine.save(again);
            assertThat(Files.mismatch(saved, again)).isEqualTo(-1);
            machine.start();
            assertWorked(before + output(machine, "P:end"), 2);
            assertThat(machine.awaitExit(PATIENCE)).isEqualTo(new ExitReport.PoweredOff());
        }
    }
}
