package org.torte.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class WindowsVolumesTest {
    private static final Path CHILD = Path.of("/images/vm/child.vhdx");
    private static final WindowsVolumes VOLUMES = new WindowsVolumes(Map.of(
            "C:", Path.of("/mnt/c"),
            "d:\\", Path.of("/mnt/d"),
            "C:\\ClusterStorage\\Volume1", Path.of("/csv/1"),
            "\\\\?\\Volume{26A21BDA-a627-11d7-9931-806e6f6e6963}", Path.of("/mnt/v"),
            "\\\\server\\share", Path.of("/mnt/share")));

    @ParameterizedTest
    @CsvSource({
        "C:\\disks\\base.vhdx, /mnt/c/disks/base.vhdx",
        "c:/disks/base.vhdx, /mnt/c/disks/base.vhdx",
        "\\\\?\\C:\\base.vhdx, /mnt/c/base.vhdx",
        "D:\\base.vhdx, /mnt/d/base.vhdx",
        "C:\\ClusterStorage\\Volume1\\base.vhdx, /csv/1/base.vhdx",
        "C:\\ClusterStorage\\Volume10\\base.vhdx, /mnt/c/ClusterStorage/Volume10/base.vhdx",
        "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\base.vhdx, /mnt/v/base.vhdx",
        "\\\\SERVER\\Share\\base.vhdx, /mnt/share/base.vhdx",
        "\\\\?\\UNC\\server\\share\\base.vhdx, /mnt/share/base.vhdx",
        "C:\\a\\..\\base.vhdx, /mnt/c/base.vhdx"
    })
    void pathsOfKnownVolumesLieInTheirFolders(String written, String expected) {
        assertThat(ParentPath.onHost(CHILD, written, VOLUMES)).containsExactly(Path.of(expected));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "E:\\base.vhdx",
                "\\\\?\\Volume{00000000-0000-0000-0000-000000000000}\\base.vhdx",
                "\\\\server\\shared\\base.vhdx",
                "C:\\..\\..\\etc\\passwd",
                "C:\\a\0b",
                ""
            })
    void otherPathsOfWindowsMeanNothing(String written) {
        assertThat(ParentPath.onHost(CHILD, written, VOLUMES)).isEmpty();
    }

    @Test
    void relativePathsAreTakenInBothSpellings() {
        WindowsVolumes none = WindowsVolumes.none();
        assertThat(ParentPath.onHost(CHILD, ".\\base.vhdx", none)).containsExactly(Path.of("/images/vm/base.vhdx"));
        assertThat(ParentPath.onHost(CHILD, "..\\base.vhdx", none).getFirst()).isEqualTo(Path.of("/images/base.vhdx"));
        assertThat(ParentPath.onHost(CHILD, "/images/base.vhdx", none)).containsExactly(Path.of("/images/base.vhdx"));
        for (String parent : List.of("/images/vm/a\\b.vhdx", "/other/x.vhdx", "/images/vm/deep/x.vhdx")) {
            String written = ParentPath.relative(CHILD, Path.of(parent));
            assertThat(ParentPath.onHost(CHILD, written, none)).contains(Path.of(parent));
        }
    }

    @Test
    void whatIsNoVolumeIsRefused() {
        assertThatThrownBy(() -> new WindowsVolumes(Map.of("data", Path.of("/mnt"))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("data");
    }
}
