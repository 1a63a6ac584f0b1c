package org.torte.machine.integration;

/**
 * Is told what the services learn of the guest. Called with locks of the services held: implementations are short, do not
 * block and do not call them.
 */
public interface IntegrationListener {
    /** Does nothing. */
    IntegrationListener NONE = new IntegrationListener() {};

    /** The guest does better or worse than before. */
    default void heartbeat(Heartbeat.State state) {}

    /** The guest's file systems are frozen or thawed. */
    default void backup(Backup.State state) {}
}
