/**
 * What a virtual machine is: {@link org.torte.management.definition.VmDefinition}, kept as readable JSON in the folder of
 * the virtual machine. The file carries a version; newer ones are refused, and what is unknown or impossible is named by
 * its place in the file.
 */
package org.torte.management.definition;
