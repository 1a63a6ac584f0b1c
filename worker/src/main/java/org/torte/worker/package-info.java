/**
 * One running virtual machine, assembled: {@link org.torte.worker.VirtualMachine} puts a machine, a back-end, a boot
 * loader and a console together, for the command line, for tests and for any Java program that wants a guest.
 */
package org.torte.worker;
