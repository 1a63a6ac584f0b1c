package org.torte.network.capture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.network.Frames;
import org.torte.network.RawStation;
import org.torte.network.cable.LoopbackPort;

/** Captures, judged by tshark and by what the format's specification says of blocks. */
class CaptureTest {
    private static final MacAddress ONE = new MacAddress(0x020000000001L), OTHER = new MacAddress(0x020000000002L);

    /** 2026-11-29 12:00:00 UTC and a bit. */
    private static final long TIME = 1_795_953_600_123_456_789L;

    @TempDir
    private Path folder;

    private static byte[] datagram(int port) {
        byte[] packet = Frames.ipv4("10.0.0.1", "10.0.0.2", 17, 0, Frames.ports(1000, port, 20));
        return Frames.ethernet(OTHER, ONE, 0x0800, packet);
    }

    private static FrameBatch batch(byte[]... frames) {
        FrameBatch batch = new FrameBatch(64, 1 << 20);
        for (byte[] frame : frames) {
            int offset = batch.append(frame.length);
            batch.bytes().asSlice(offset, frame.length).copyFrom(MemorySegment.ofArray(frame));
        }
        return batch;
    }

    private static List<String> tshark(Path file, String... fields) throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/tshark")), "tshark is not installed");
        List<String> command = new ArrayList<>(List.of("tshark", "-n", "-r", file.toString(), "-T", "fields"));
        for (String field : fields) {
            command.addAll(List.of("-e", field));
        }
        Process process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as("tshark").isZero();
        return output.lines().map(line -> line.replace('\t', ' ')).toList();
    }

    @Test
    void tsharkReadsFramesTimesDirectionsAndTags() throws Exception {
        Path file = folder.resolve("a.pcapng");
        long[] now = {TIME};
        try (PcapngFile capture = PcapngFile.create(file, "adapter 0", PcapngFile.MAX_LENGTH, () -> now[0])) {
            FrameBatch frames = batch(datagram(53), datagram(67));
            capture.frame(frames, 0, true, FrameBatch.NO_VLAN);
            now[0] += 1_000_000_001L;
            capture.frame(frames, 1, false, 3 << 13 | 42);
            assertThat(capture.frames()).isEqualTo(2);
        }
        assertThat(tshark(
                        file,
                        "frame.time_epoch",
                        "frame.interface_name",
                        "frame.packet_flags_direction",
                        "frame.len",
                        "udp.dstport",
                        "vlan.id",
                        "vlan.priority"))
                .containsExactly(
                        "1795953600.123456789 adapter 0 0x00000002 62 53  ",
                        "1795953601.123456790 adapter 0 0x00000001 66 67 42 3");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-------");
    }

    @Test
    void framesAreCutToTheLengthThatIsWantedAlsoWithinTheTag() throws Exception {
        for (int length : new int[] {1, 11, 12, 13, 15, 16, 17, 66, 67}) {
            Path file = folder.resolve(length + ".pcapng");
            try (PcapngFile capture = PcapngFile.create(file, "x", length, () -> TIME)) {
                FrameBatch frames = batch(datagram(53));
                capture.frame(frames, 0, true, 42);
                capture.frame(frames, 0, true, FrameBatch.NO_VLAN);
            }
            List<ByteBuffer> packets = blocks(file, 6);
            assertThat(packets).hasSize(2);
            byte[] plain = datagram(53);
            assertPacket(packets.get(0), Frames.tagged(plain, 42), length);
            assertPacket(packets.get(1), plain, length);
        }
    }

    private static void assertPacket(ByteBuffer block, byte[] frame, int length) {
        int kept = Math.min(frame.length, length);
        assertThat(block.getInt(20)).isEqualTo(kept);
        assertThat(block.getInt(24)).isEqualTo(frame.length);
        byte[] data = new byte[kept];
        block.get(28, data);
        assertThat(data).isEqualTo(Arrays.copyOf(frame, kept));
    }

    /** All blocks of a kind; the two lengths of each must agree and bring one to the file's end. */
    private static List<ByteBuffer> blocks(Path file, int kind) throws IOException {
        ByteBuffer all = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        List<ByteBuffer> found = new ArrayList<>();
        int at = 0;
        while (at < all.limit()) {
            int size = all.getInt(at + 4);
            assertThat(size % 4).isZero();
            assertThat(all.getInt(at + size - 4)).isEqualTo(size);
            if (all.getInt(at) == kind) {
                found.add(all.slice(at, size).order(ByteOrder.LITTLE_ENDIAN));
            }
            at += size;
        }
        assertThat(at).isEqualTo(all.limit());
        return found;
    }

    @Test
    void whatFindsNoRoomIsCountedAndTheFileIsWhole() throws Exception {
        Path file = folder.resolve("full.pcapng");
        byte[] large = new byte[FrameBatch.MAX_LENGTH];
        FrameBatch frames = batch(large);
        PcapngFile capture = PcapngFile.create(file, "x", PcapngFile.MAX_LENGTH, () -> TIME);
        int sent = 10 * PcapngFile.BUFFER / large.length;
        for (int i = 0; i < sent; i++) {
            capture.frame(frames, 0, true, FrameBatch.NO_VLAN);
        }
        capture.close();
        capture.frame(frames, 0, true, FrameBatch.NO_VLAN);
        assertThat(capture.frames() + capture.dropped()).isEqualTo(sent + 1L);
        assertThat(capture.failure()).isEmpty();
        assertThat(blocks(file, 6)).hasSize((int) capture.frames());
        ByteBuffer statistics = blocks(file, 5).getFirst();
        assertThat(statistics.getLong(24)).isEqualTo(sent);
        assertThat(statistics.getLong(36)).isEqualTo(sent - capture.frames());
    }

    @Test
    void aFullDiskIsNamedAndNoFrameThatIsLostCountsAsKept() throws Exception {
        Path full = Path.of("/dev/full");
        assumeTrue(Files.isWritable(full), "there is no /dev/full");
        FrameBatch frames = batch(datagram(53));
        PcapngFile capture = new PcapngFile(
                FileChannel.open(full, StandardOpenOption.WRITE), "x", PcapngFile.MAX_LENGTH, () -> TIME);
        for (int i = 0; i < 100; i++) {
            capture.frame(frames, 0, true, FrameBatch.NO_VLAN);
        }
        capture.close();
        assertThat(capture.failure())
                .hasValueSatisfying(text -> assertThat(text).contains("No space left"));
        assertThat(capture.frames()).isZero();
        assertThat(capture.dropped()).isEqualTo(100);
    }

    @Test
    void aFileThatIsThereIsNotTouched() throws Exception {
        Path there = Files.writeString(folder.resolve("there"), "kept");
        assertThatThrownBy(() -> PcapngFile.create(there, "x", 64, () -> TIME))
                .isInstanceOf(FileAlreadyExistsException.class);
        assertThat(there).hasContent("kept");
    }

    @Test
    void aPortShowsEachFrameOnceAndBeforeItsAnswer() throws Exception {
        TappedPort port = new TappedPort(new LoopbackPort(1500));
        RawStation station = new RawStation(ONE.value()).plugInto(port);
        List<String> seen = new ArrayList<>();
        FrameBatch frames = batch(datagram(1), datagram(2), datagram(3));
        port.setTap((batch, frame, sent, vlan) -> {
            byte[] bytes = batch.view(frame).toArray(ValueLayout.JAVA_BYTE);
            seen.add((sent ? "sent " : "received ") + bytes[14 + 20 + 3]);
        });
        station.room = 1;
        assertThat(port.send(frames, 0)).isEqualTo(1);
        assertThat(seen).containsExactly("sent 1", "sent 2", "sent 3", "received 1", "received 2", "received 3");
        station.room = 5;
        assertThat(port.send(frames, 1)).isEqualTo(2);
        assertThat(seen).hasSize(6);
        port.setTap(null);
        assertThat(port.send(frames, 0)).isEqualTo(3);
        assertThat(seen).hasSize(6);
        assertThat(station.got).hasSize(6);
        port.close();
    }
}
