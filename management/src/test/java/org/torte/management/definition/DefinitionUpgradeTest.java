package org.torte.management.definition;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.management.Problem;
import org.torte.management.process.VmFolder;

/** Definitions as earlier versions wrote them. */
class DefinitionUpgradeTest {
    private static final String VERSION_1 = """
            {
              "version" : 1,
              "id" : "6ec64e8b-9a3a-4f06-9a3f-3a1f6f9b2f11",
              "name" : "web1",
              "notes" : "the first",
              "processors" : 2,
              "memory" : 1073741824,
              "boot" : { "initrds" : [ ], "commandLine" : "quiet" },
              "disks" : [ { "path" : "disk.vhdx", "format" : "vhdx", "readOnly" : false } ],
              "hypervisor" : "software",
              "automaticStart" : "always"
            }
            """;

    private static final String VERSION_2 = """
            {
              "version" : 2,
              "id" : "6ec64e8b-9a3a-4f06-9a3f-3a1f6f9b2f11",
              "name" : "web1",
              "notes" : "",
              "processors" : 1,
              "memory" : 536870912,
              "boot" : { "kernel" : "/boot/vmlinuz", "initrds" : [ "/boot/initrd.img" ], "commandLine" : "" },
              "disks" : [ { "path" : "disk-2.vhdx", "format" : "vhdx", "readOnly" : false } ],
              "hypervisor" : "auto",
              "automaticStart" : "nothing",
              "savedState" : "saved-2.state",
              "checkpoints" : {
                "current" : "0f0e7e80-9df7-4f92-8e55-b1f3e3a0a6c5",
                "items" : [ {
                  "id" : "0f0e7e80-9df7-4f92-8e55-b1f3e3a0a6c5",
                  "name" : "before",
                  "created" : "2026-11-29T08:00:00Z",
                  "owner" : "root",
                  "kind" : "standard",
                  "consistency" : "off",
                  "processors" : 4,
                  "memory" : 268435456,
                  "boot" : { "initrds" : [ ], "commandLine" : "" },
                  "disks" : [ { "path" : "disk.vhdx", "format" : "vhdx", "readOnly" : false } ],
                  "hypervisor" : "kvm"
                } ],
                "pending" : {
                  "checkpoint" : {
                    "id" : "3a9d8f90-4a33-46c0-9a27-0f4c3d0e9c44",
                    "name" : "after",
                    "parent" : "0f0e7e80-9df7-4f92-8e55-b1f3e3a0a6c5",
                    "created" : "2026-11-29T08:01:00Z",
                    "owner" : "root",
                    "kind" : "production",
                    "consistency" : "crash",
                    "processors" : 3,
                    "memory" : 536870912,
                    "boot" : { "initrds" : [ ], "commandLine" : "" },
                    "disks" : [ { "path" : "disk-2.vhdx", "format" : "vhdx", "readOnly" : false } ],
                    "hypervisor" : "auto"
                  },
                  "links" : [ { "child" : "disk-3.vhdx", "parent" : "disk-2.vhdx", "format" : "vhdx" } ]
                },
                "merges" : [ ],
                "scratch" : [ "disk-3.vhdx" ]
              }
            }
            """;

    private static final String VERSION_3 = """
            {
              "version" : 3,
              "id" : "6ec64e8b-9a3a-4f06-9a3f-3a1f6f9b2f11",
              "name" : "web1",
              "notes" : "",
              "hardware" : {
                "processors" : 2,
                "memory" : 536870912,
                "boot" : { "initrds" : [ ], "commandLine" : "" },
                "disks" : [ { "path" : "disk.vhdx", "format" : "vhdx", "readOnly" : false } ],
                "hypervisor" : "auto",
                "adapters" : [ {
                  "name" : "net1",
                  "address" : "02:c4:ec:5a:6d:da",
                  "network" : "nat",
                  "forwards" : [ "2222:22" ],
                  "services" : [ ]
                } ]
              },
              "automaticStart" : "if-it-ran",
              "savedState" : "saved.state",
              "checkpoints" : { "items" : [ ], "merges" : [ ], "scratch" : [ ] }
            }
            """;

    private static final String VERSION_4 = VERSION_3
            .replace("\"version\" : 3", "\"version\" : 4")
            .replace("\"automaticStart\"", "\"processorLimit\" : 50, \"automaticStart\"");

    private static final String VERSION_5 =
            VERSION_4.replace("\"version\" : 4", "\"version\" : 5").replace("\"memory\" : 536870912,", """
                    "memory" : 536870912,
                        "dynamicMemory" : { "minimum" : 268435456, "startup" : 536870912, "buffer" : 20 },""");

    /** What has come with version 7 is in no older file. */
    private static final String VERSION_6 = VERSION_5.replace("\"version\" : 5", "\"version\" : 6");

    /** What has come with version 8 is in no older file. */
    private static final String VERSION_7 = VERSION_5.replace("\"version\" : 5", "\"version\" : 7");

    @TempDir
    private Path folder;

    private static VmDefinition read(String text) {
        return DefinitionUpgrade.read(text.getBytes(StandardCharsets.UTF_8), "it")
                .definition();
    }

    @Test
    void theFirstVersionIsRead() {
        VmDefinition read = read(VERSION_1);
        assertThat(read.version()).isEqualTo(VmDefinition.VERSION);
        assertThat(read.hardware())
                .isEqualTo(new Hardware(
                        2,
                        1L << 30,
                        null,
                        new Hardware.Boot(null, List.of(), "quiet"),
                        List.of(new Hardware.Disk("disk.vhdx", "vhdx", false)),
                        "software",
                        List.of()));
        assertThat(read.automaticStart()).isEqualTo(VmDefinition.AutomaticStart.ALWAYS);
        assertThat(read.checkpoints()).isEqualTo(CheckpointTree.EMPTY);
    }

    @Test
    void theSecondVersionIsReadWithItsCheckpoints() {
        VmDefinition read = read(VERSION_2);
        assertThat(read.hardware().boot().initrds()).containsExactly("/boot/initrd.img");
        assertThat(read.savedState()).isEqualTo("saved-2.state");
        CheckpointTree tree = read.checkpoints();
        assertThat(tree.current()).isEqualTo(UUID.fromString("0f0e7e80-9df7-4f92-8e55-b1f3e3a0a6c5"));
        assertThat(tree.items()).singleElement().satisfies(one -> {
            assertThat(one.hardware().processors()).isEqualTo(4);
            assertThat(one.hardware().hypervisor()).isEqualTo("kvm");
            assertThat(one.disks()).containsExactly(new Hardware.Disk("disk.vhdx", "vhdx", false));
        });
        assertThat(tree.pending())
                .satisfies(pending -> assertThat(Objects.requireNonNull(pending)
                                .checkpoint()
                                .hardware()
                                .processors())
                        .isEqualTo(3));
    }

    @Test
    void theThirdVersionIsReadWithItsAdaptersAndWithoutALimit() {
        VmDefinition read = read(VERSION_3);
        assertThat(read.version()).isEqualTo(VmDefinition.VERSION);
        assertThat(read.processorLimit()).isEqualTo(100);
        assertThat(read.hardware().adapters())
                .singleElement()
                .satisfies(one -> assertThat(one.forwards()).containsExactly("127.0.0.1:2222:22"));
    }

    @Test
    void theFourthVersionIsReadWithAllOfItsMemory() {
        VmDefinition read = read(VERSION_4);
        assertThat(read.processorLimit()).isEqualTo(50);
        assertThat(read.hardware().memory()).isEqualTo(512L << 20);
        assertThat(read.hardware().dynamicMemory()).isNull();
    }

    @Test
    void upToTheFifthVersionPortsHoldNothing() {
        assertThat(read(VERSION_5).hardware().adapters())
                .singleElement()
                .satisfies(one -> assertThat(one.port()).isEqualTo(Port.STANDARD));
    }

    @Test
    void upToTheSixthVersionNobodyKnowsForHowLongTheMachineStood() {
        assertThat(read(VERSION_2).checkpoints().items())
                .singleElement()
                .satisfies(one -> assertThat(one.stoodMillis()).isNull());
        assertThat(read(VERSION_6).version()).isEqualTo(VmDefinition.VERSION);
    }

    @Test
    void upToTheSeventhVersionCodeIsTranslated() {
        VmDefinition read = read(VERSION_7);
        assertThat(read.version()).isEqualTo(VmDefinition.VERSION);
        assertThat(read.translator()).isEqualTo(VmDefinition.Translator.ON);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7})
    void anOlderFileIsKeptBesideTheOneThatReplacesIt(int version) throws IOException {
        String old = List.of(VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6, VERSION_7)
                .get(version - 1);
        VmFolder place = new VmFolder(folder);
        Files.writeString(place.definition(), old);

        VmDefinition upgraded = place.readUpgraded();

        assertThat(upgraded).isEqualTo(read(old)).isEqualTo(place.read());
        assertThat(read(Files.readString(place.definition()))).isEqualTo(upgraded);
        assertThat(Files.readString(place.definition())).contains("\"version\" : " + VmDefinition.VERSION);
        assertThat(folder.resolve("definition.version" + version + ".json")).hasContent(old);
        assertThat(place.readUpgraded()).isEqualTo(upgraded);
    }

    @Test
    void whatIsWrongInAnOlderOneIsNamedAndLeftAsItIs() throws IOException {
        String wrong = VERSION_2.replace("\"processors\" : 4", "\"processors\" : 400");
        VmFolder place = new VmFolder(folder);
        Files.writeString(place.definition(), wrong);
        assertThatThrownBy(place::readUpgraded)
                .isInstanceOf(Problem.class)
                .hasMessageContaining("processors is 400; give 1 to 64");
        assertThat(place.definition()).hasContent(wrong);
        assertThatThrownBy(() -> read(VERSION_1.replace("\"notes\"", "\"note\"")))
                .isInstanceOf(Problem.class);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[]",
                "1",
                "{}",
                "{\"version\":0}",
                "{\"version\":99}",
                "{\"version\":2}",
                "{\"version\":4}",
                "{\"version\":5}",
                "{\"version\":6}"
            })
    void whatIsNoDefinitionIsRefused(String text) {
        assertThatThrownBy(() -> read(text)).isInstanceOf(Problem.class).hasMessageContaining("it");
    }
}
