package org.torte.testing;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/** Programs of the host for a guest's initial RAM disk, with what they need to run there. For one thread. */
public final class HostPrograms {
    private static final Pattern LIBRARY = Pattern.compile("(/\\S+) \\(0x");

    /** To be run first by the guest's script, as files in an initial RAM disk are not executable. */
    public static final String MAKE_EXECUTABLE = "chmod +x /usr/bin/* /lib*/* /lib/*/* /usr/lib/*/* 2>/dev/null\n";

    private final Map<String, byte[]> files = new HashMap<>();

    /**
     * Adds a program and the shared libraries that {@code ldd} names, at the places where the host has them.
     *
     * @param program absolute path
     * @return whether the host has it
     */
    public boolean add(String program) throws IOException, InterruptedException {
        if (!Files.isExecutable(Path.of(program))) {
            return false;
        }
        files.put(program.substring(1), Files.readAllBytes(Path.of(program)));
        for (String library : libraries(program)) {
            files.put(library.substring(1), Files.readAllBytes(Path.of(library)));
        }
        return true;
    }

    /** All files so far, by path without a leading slash. */
    public Map<String, byte[]> files() {
        return Map.copyOf(files);
    }

    private static List<String> libraries(String program) throws IOException, InterruptedException {
        Process process = new ProcessBuilder("ldd", program)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return LIBRARY.matcher(output)
                .results()
                .map((MatchResult found) -> found.group(1))
                .toList();
    }
}
