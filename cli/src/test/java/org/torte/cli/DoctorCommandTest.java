package org.torte.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Whatever the host, the doctor says something about each thing, and how to improve what is not good. */
class DoctorCommandTest {
    @Test
    void saysALineForEachThing() {
        String text = CommandResult.of("doctor").assertDone().output();
        for (String name :
                List.of("jdk", "hypervisor", "translator", "huge-pages", "tap", "cgroups", "memory", "disk")) {
            assertThat(text).containsPattern("(?m)^(good|fair|bad) +" + name + " +\\S");
        }
    }

    @Test
    void theSameAsJson() throws IOException {
        String text = CommandResult.of("doctor", "-o", "json").assertDone().output();
        List<Map<String, Object>> findings = JSON.std.listOfFrom(Object.class, text).stream()
                .map(DoctorCommandTest::map)
                .toList();
        assertThat(findings).hasSize(8).allSatisfy(finding -> {
            assertThat(finding).containsOnlyKeys("name", "state", "found", "meaning", "remedy");
            if (!"good".equals(finding.get("state"))) {
                assertThat((String) finding.get("remedy")).isNotEmpty();
            }
        });
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @Test
    void anotherFormatIsRefused() {
        assertThat(CommandResult.of("doctor", "-o", "xml").assertWrongUsage().errors())
                .contains("xml");
    }
}
