/**
 * The software back-end: an x86-64 processor in Java. Guest code is decoded once into blocks of micro-operations, which
 * an interpreter executes; each virtual processor is a thread of the host.
 */
package org.torte.hypervisor.software;
