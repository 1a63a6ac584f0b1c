package org.torte.cli.vhd;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.cli.UsageException;
import org.torte.cli.output.Output;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskType;

/** Images on the command line. */
final class Images {
    private Images() {}

    static Path path(String text) {
        try {
            return Path.of(text);
        } catch (InvalidPathException e) {
            throw new UsageException("\"" + text + "\" is not a path; " + e.getReason(), e);
        }
    }

    /** The format: what the option says, else what the name says; never what the content says. */
    static DiskFormat format(Path file, @Nullable String option, String name) {
        if (option != null) {
            return switch (option.toLowerCase(Locale.ROOT)) {
                case "raw" -> DiskFormat.RAW;
                case "vhd" -> DiskFormat.VHD;
                case "vhdx" -> DiskFormat.VHDX;
                default -> throw new UsageException(name + " takes raw, vhd or vhdx, not \"" + option + "\"");
            };
        }
        Optional<DiskFormat> named = DiskFormat.ofName(file);
        return named.orElseThrow(() -> new UsageException("the name of " + file
                + " does not tell its format; end it with .vhdx, .vhd, .raw or .img, or say it with " + name));
    }

    static DiskType type(String text) {
        return switch (text.toLowerCase(Locale.ROOT)) {
            case "dynamic" -> DiskType.DYNAMIC;
            case "fixed" -> DiskType.FIXED;
            default -> throw new UsageException("--type takes dynamic or fixed, not \"" + text + "\"");
        };
    }

    static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }

    /** Everything about an image, for programs. */
    static Map<String, Object> json(DiskInfo info) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("path", info.image());
        map.put("format", lower(info.format()));
        map.put("type", lower(info.type()));
        map.put("size", info.size());
        map.put("fileSize", info.fileSize());
        map.put("allocated", info.allocated());
        map.put("blockSize", info.blockSize());
        map.put("logicalSectorSize", info.logicalSectorSize());
        map.put("physicalSectorSize", info.physicalSectorSize());
        map.put("identifier", info.identifier().toString());
        map.put("contentIdentifier", info.contentIdentifier().toString());
        info.parent().ifPresent(p -> map.put("parent", p));
        map.put("inUse", info.inUse());
        return map;
    }

    /** The same for people. */
    static Map<String, String> text(DiskInfo info) {
        Map<String, String> map = new LinkedHashMap<>();
        map.put("Path", info.image());
        map.put("Format", info.format().name());
        map.put("Type", lower(info.type()));
        map.put("Size", Output.size(info.size()) + " (" + info.size() + " bytes)");
        map.put("File", Output.size(info.fileSize()) + ", " + Output.size(info.allocated()) + " on the host");
        if (info.blockSize() > 0) {
            map.put("Blocks", Output.size(info.blockSize()));
        }
        map.put("Sectors", info.logicalSectorSize() + " bytes, physical " + info.physicalSectorSize());
        if (info.format() != DiskFormat.RAW) {
            map.put("Identifier", info.identifier().toString());
        }
        if (!info.contentIdentifier().equals(info.identifier())) {
            map.put("Content", info.contentIdentifier().toString());
        }
        info.parent().ifPresent(p -> map.put("Parent", p));
        if (info.inUse()) {
            map.put("State", "in use, or not closed properly: opening it for writing finishes what was under way");
        }
        return map;
    }
}
