package org.torte.network.process;

/**
 * Something of a configuration that cannot be made true now.
 *
 * @param network the switch that it is about
 * @param port the id of the port, or empty when it is the whole switch
 * @param message the cause, in one line
 */
public record ConfigurationProblem(String network, String port, String message) {}
