package org.torte.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ControlWordsTest {
    private static String request(String line) {
        ControlWords.Request request = ControlWords.parse(ControlWords.split(line));
        return request.method() + " " + new java.util.TreeMap<>(request.parameters());
    }

    @Test
    void commandsAreRequests() {
        assertThat(request("status")).isEqualTo("status {}");
        assertThat(request("shutdown force")).isEqualTo("shutdown {force=true}");
        assertThat(request(" save  \"/tmp/a b\" keep-running")).isEqualTo("save {file=/tmp/a b, keep-running=true}");
        assertThat(request("kvp get")).isEqualTo("kvp.get {}");
        assertThat(request("kvp get * guest")).isEqualTo("kvp.get {pool=guest}");
        assertThat(request("kvp set key \"\"")).isEqualTo("kvp.set {key=key, value=}");
        assertThat(request("freeze 20")).isEqualTo("freeze {hold=20}");
        assertThat(request("memory 256M")).isEqualTo("memory {size=268435456}");
        assertThat(request("processor-limit 50")).isEqualTo("processor-limit {percent=50}");
        assertThat(request("disk add /a,b.img,ro,format=vhd"))
                .isEqualTo("disk.add {file=/a,b.img, format=vhd, read-only=true}");
        assertThat(request("disk remove 2")).isEqualTo("disk.remove {unit=2}");
        assertThat(request("disk list")).isEqualTo("disk.list {}");
        assertThat(request("disk grow 1 2G")).isEqualTo("disk.grow {size=2147483648, unit=1}");
        assertThat(request("capture start 0 /a.pcapng")).isEqualTo("capture.start {adapter=0, file=/a.pcapng}");
        assertThat(request("capture start 1 /a.pcapng 96"))
                .isEqualTo("capture.start {adapter=1, file=/a.pcapng, length=96}");
        assertThat(request("capture stop 1")).isEqualTo("capture.stop {adapter=1}");
        assertThat(request("disk merge 1")).isEqualTo("disk.merge {unit=1}");
        assertThat(request("disk merge 1 /a.vhdx")).isEqualTo("disk.merge {file=/a.vhdx, unit=1}");
    }

    @Test
    void othersAreRefusedWithTheirForm() {
        for (String line : List.of(
                "",
                "nothing",
                "capture",
                "capture start 0",
                "capture start x /a",
                "capture stop",
                "status now",
                "shutdown please",
                "save",
                "save a b",
                "kvp",
                "kvp set a",
                "kvp remove",
                "freeze a",
                "memory 3",
                "processor-limit half",
                "disk",
                "disk add",
                "disk remove x",
                "disk list 1",
                "disk grow 1",
                "disk grow 1 much",
                "disk merge",
                "disk merge 1 a b",
                "type")) {
            assertThatThrownBy(() -> request(line)).as(line).isInstanceOf(UsageException.class);
        }
    }

    @Test
    void resultsAreNamesAndValuesWithoutControlCharacters() {
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("state", "running");
        result.put("pairs", Map.of("a", "\u001b[31m"));
        result.put("disks", List.of(Map.of("unit", 0)));
        assertThat(ControlWords.text(result)).isEqualTo("state: running\npairs.a: ?[31m\ndisks.0.unit: 0\n");
    }
}
