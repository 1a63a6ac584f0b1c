/** {@code torte image}: makes the disks of guests from a distribution's packages. */
package org.torte.cli.image;
