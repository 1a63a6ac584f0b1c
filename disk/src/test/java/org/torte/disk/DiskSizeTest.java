package org.torte.disk;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.torte.disk.crash.MemoryStorage;

/** A size that cannot be is refused with the limit that it violates and a size that could be. */
class DiskSizeTest {
    @ParameterizedTest
    @CsvSource({
        "RAW, 1000, 'multiple of its sectors of 512 bytes, which 1000 is not; choose 512 or 1024'",
        "RAW, 100, 'which 100 is not; choose 512'",
        "RAW, 0, 'choose a positive size'",
        "VHD, 1048577, 'choose 1048576 or 1049088'",
        "VHD, 2190433320961, 'larger than 2040 GiB'",
        "VHD, -512, 'choose a positive size'",
        "VHDX, 1048577, 'choose 1048576 or 1049088'",
        "VHDX, 70368744177665, 'larger than 64 TiB; this would be 70368744177665 bytes; choose a smaller size'"
    })
    void theViolatedLimitIsNamed(DiskFormat format, long size, String said) {
        DiskOptions options = DiskOptions.readWrite().withStorage(new MemoryStorage());
        assertThatThrownBy(() ->
                        VirtualDisks.create(Path.of("/images/disk"), format, CreateOptions.dynamic(size), options))
                .isInstanceOf(DiskException.class)
                .hasMessageContaining(said);
    }

    @Test
    void sectorsOf4096BytesNeedTheirMultiples() {
        DiskOptions options = DiskOptions.readWrite().withStorage(new MemoryStorage());
        CreateOptions create = CreateOptions.dynamic(1 << 20).withSectorSizes(4096, 4096);
        Path image = Path.of("/images/disk");
        VirtualDisks.create(image, DiskFormat.VHDX, create, options);
        try (VirtualDisk disk = VirtualDisks.open(image, DiskFormat.VHDX, options)) {
            assertThatThrownBy(() -> disk.resize((1 << 20) + 512))
                    .isInstanceOf(DiskException.class)
                    .hasMessageContaining("sectors of 4096 bytes");
        }
    }
}
