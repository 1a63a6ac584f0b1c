/** Placeholder. */
package org.torte.cli;
