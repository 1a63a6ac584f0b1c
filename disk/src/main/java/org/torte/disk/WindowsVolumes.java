package org.torte.disk;

import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * Where the volumes of a Windows host are on this one. Images that were made there name their parents by a drive
 * ({@code C:\disks\base.vhdx}), a volume's identifier ({@code \\?\Volume{...}\disks\base.vhdx}) or a share
 * ({@code \\server\share\base.vhdx}); only an administrator knows what such a name means here.
 *
 * @param folders folders of this host by the name of the volume, without a backslash at its end
 */
public record WindowsVolumes(Map<String, Path> folders) {
    private static final WindowsVolumes NONE = new WindowsVolumes(Map.of());

    /**
     * Takes names in any case, with slashes or backslashes, with or without {@code \\?\} in front.
     *
     * @throws IllegalArgumentException for a name that is no drive, volume or share
     */
    public WindowsVolumes {
        Map<String, Path> plain = new HashMap<>();
        folders.forEach((name, folder) -> {
            String volume = canonical(name);
            volume = volume.endsWith("\\") ? volume.substring(0, volume.length() - 1) : volume;
            if (!ParentPath.ofWindows(volume)) {
                throw new IllegalArgumentException(
                        "\"" + name + "\" is no drive, volume or share of Windows, such as C: or \\\\server\\share");
            }
            plain.put(volume.toLowerCase(Locale.ROOT), folder.toAbsolutePath().normalize());
        });
        folders = Map.copyOf(plain);
    }

    /** None: paths of Windows mean nothing here. */
    public static WindowsVolumes none() {
        return NONE;
    }

    /** The path on this host that an absolute path of Windows stands for, if its volume is known. */
    public Optional<Path> onHost(String written) {
        String path = canonical(written);
        String lower = path.toLowerCase(Locale.ROOT);
        return folders.keySet().stream()
                .filter(volume -> lower.equals(volume) || lower.startsWith(volume + "\\"))
                .max(Comparator.comparingInt(String::length))
                .flatMap(volume -> below(folders.getOrDefault(volume, Path.of("/")), path.substring(volume.length())));
    }

    /** A path below a folder, unless it climbs out of it. */
    private static Optional<Path> below(Path folder, String rest) {
        Path path = folder;
        for (String part : List.of(rest.split("\\\\"))) {
            path = part.isEmpty() ? path : path.resolve(part);
        }
        Path plain = path.normalize();
        return plain.startsWith(folder) ? Optional.of(plain) : Optional.empty();
    }

    /** Backslashes, and no prefix that only says how the rest is to be read. */
    private static String canonical(String written) {
        String path = written.replace('/', '\\');
        String plain = path.startsWith("\\\\?\\") || path.startsWith("\\\\.\\") ? path.substring(4) : path;
        if (plain.regionMatches(true, 0, "UNC\\", 0, 4)) {
            return "\\\\" + plain.substring(4);
        }
        return plain.regionMatches(true, 0, "Volume{", 0, 7) ? "\\\\?\\" + plain : plain;
    }
}
