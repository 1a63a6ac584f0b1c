package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.worker.InputException;
import org.torte.worker.guest.GuestImages;

/**
 * The distribution's Python, Node and Java, which make code of their own while they run, do the same work on translated
 * processors as on the host's.
 */
class ProgramsGuestTest {
    /** The oldest release whose JVM a distribution may have. */
    private static final String RELEASE = "17";

    /** How much work, 1 the least. */
    private static final int LITTLE = 1, MUCH = 4;

    private static final long MEMORY = 1536L << 20;

    /** Every line of output begins with "P:", what the kernel warns of with "W:". */
    private static final String SCRIPT = """
            dmesg -n 1
            cd /tmp
            mkdir -p /dev/shm
            mount -t tmpfs shm /dev/shm
            ip link set lo up
            set -- /usr/lib/jvm/*/bin/java
            for program in python3 node java; do
              case $program in
                python3) python3 work.py MUCH ;;
                node) node work.js MUCH ;;
                java) "$1" -cp /tmp Work MUCH ;;
              esac >output 2>&1
              echo "$program ends with $?" >>output
              sed 's/^/P:/' output
            done
            (WARNINGS) | sed 's/^/W:/'
            echo P:end
            """;

    @TempDir
    static Path folder;

    private static GuestImages images;
    private static Path kernel;
    private static PackagedPrograms programs;

    @BeforeAll
    static void unpackPrograms() throws IOException, InterruptedException {
        try {
            images = new GuestImages(step -> {});
            kernel = images.kernel(GuestImages.CLOUD_KERNEL);
            programs = PackagedPrograms.unpack(
                    List.of("python3-minimal", "libpython3-stdlib", "nodejs", "default-jre-headless"),
                    folder.resolve("programs"));
        } catch (InputException e) {
            abort("no guest with programs can be made from this system's packages: " + e.getMessage());
        }
        Path tmp = Files.createDirectories(programs.root().resolve("tmp"));
        for (String name : List.of("work.py", "work.js", "Work.java")) {
            try (InputStream stream = ProgramsGuestTest.class.getResourceAsStream("programs/" + name)) {
                assertThat(stream).as(name).isNotNull();
                Files.copy(stream, tmp.resolve(name));
            }
        }
        ToolProvider javac = ToolProvider.findFirst("javac").orElseThrow();
        String source = tmp.resolve("Work.java").toString();
        assertThat(javac.run(System.out, System.err, "--release", RELEASE, source))
                .isZero();
    }

    @Test
    void onTwoProcessorsALittleWorkGivesTheHostsResults() throws IOException, InterruptedException {
        assertWorks(2, LITTLE);
    }

    @Tag("long")
    @ParameterizedTest(name = "on {0} processors")
    @ValueSource(ints = {1, 2, 4})
    void muchWorkGivesTheHostsResults(int processors) throws IOException, InterruptedException {
        assertWorks(processors, MUCH);
    }

    private static void assertWorks(int processors, int much) throws IOException, InterruptedException {
        String amount = Integer.toString(much);
        Path initrd = folder.resolve("initrd");
        images.initrd(SCRIPT.replace("MUCH", amount).replace("WARNINGS", KernelWarnings.SHOWN), Map.of(), initrd);
        programs.appendTo(initrd);
        List<String> expected = new ArrayList<>();
        expected.addAll(onHost("python3", packaged("/usr/bin/python3", "/tmp/work.py", amount)));
        expected.addAll(onHost("node", packaged("/usr/bin/node", "/tmp/work.js", amount)));
        // A packaged JVM does not start without /proc; what this one makes of the class is the same.
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String classes = programs.root().resolve("tmp").toString();
        expected.addAll(onHost("java", List.of(java, "-cp", classes, "Work", amount)));
        expected.add("P:end");

        String console = TranslatedGuest.console(kernel, initrd, processors, MEMORY);
        List<String> lines = console.lines().map(String::strip).toList();
        assertThat(lines.stream().filter(line -> line.startsWith("P:")))
                .as("the lines of%n%s", console)
                .containsExactlyElementsOf(expected);
        assertThat(lines.stream().filter(line -> line.startsWith("W:")))
                .as("the kernel's warnings")
                .isEmpty();
    }

    /** A command that runs a program of the packages with the files of the packages. */
    private static List<String> packaged(String... command) {
        String root = programs.root().toString();
        List<String> within = "root".equals(System.getProperty("user.name"))
                ? List.of("chroot", root)
                : List.of("unshare", "--map-root-user", "--root=" + root);
        return Stream.concat(within.stream(), Stream.of(command)).toList();
    }

    /** What a program prints on the host's processor, as the guest's script shows it. */
    private static List<String> onHost(String name, List<String> command) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        // Settings of the host's user for his own programs.
        builder.environment().clear();
        builder.environment().put("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        Process process = builder.start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as("the host's status with%n%s", output).isZero();
        return Stream.concat(output.lines(), Stream.of(name + " ends with 0"))
                .map(line -> "P:" + line)
                .toList();
    }
}
