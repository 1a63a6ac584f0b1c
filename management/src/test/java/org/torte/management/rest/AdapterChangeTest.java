package org.torte.management.rest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.torte.management.Problem;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.Port;
import org.torte.management.rest.AdapterRoutes.AdapterChange;

class AdapterChangeTest {
    private static final Adapter AT_SWITCH =
            new Adapter("net1", "52:54:00:00:00:01", "switch:Default", List.of("2222:22"), List.of(), Port.STANDARD);

    private static AdapterChange change(@Nullable String network, @Nullable List<String> forwards) {
        return new AdapterChange(network, forwards, null, null, null, null, null, null, null, null, null, null);
    }

    @Test
    void whatGoesTogetherChangesTogether() {
        assertThat(change("none", List.of()).apply(AT_SWITCH).network()).isEqualTo("none");
        assertThat(change("switch:Default", List.of("8080:80"))
                        .apply(change("none", List.of()).apply(AT_SWITCH))
                        .forwards())
                .hasSize(1);
        assertThatThrownBy(() -> change("none", null).apply(AT_SWITCH))
                .isInstanceOf(Problem.class)
                .hasMessageContaining("has forwards without nat");
    }

    @Test
    void whatIsNotGivenStays() {
        assertThat(change(null, null).apply(AT_SWITCH)).isEqualTo(AT_SWITCH);
    }
}
