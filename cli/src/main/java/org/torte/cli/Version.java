package org.torte.cli;

/** The version of this build. */
final class Version {
    /** As in the build's project version, which a test compares. */
    static final String TEXT = "0.1.0-SNAPSHOT";

    private Version() {}
}
