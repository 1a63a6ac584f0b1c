/**
 * The x86-64 instruction set as data: one readable table (instructions.txt) from which the decoder, the disassembler,
 * the execution engines and the generated tests all take what an instruction looks like.
 */
package org.torte.hypervisor.x86;
