/**
 * The {@code torte} command. Every subcommand is a class of its own; {@link org.torte.cli.Torte} loads only the one that
 * was asked for, so that starting costs as little as it can.
 */
package org.torte.cli;
