/** How commands show what they have found: for people, or as JSON for programs. */
package org.torte.cli.output;
