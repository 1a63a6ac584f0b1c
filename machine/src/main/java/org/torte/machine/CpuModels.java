package org.torte.machine;

import java.util.List;

/** The processor models by name. */
public final class CpuModels {
    /** The model of machines that name none. */
    public static final String DEFAULT = "x86-64-v2";

    private CpuModels() {}

    /** All names. */
    public static List<String> names() {
        return List.of(DEFAULT);
    }
}
