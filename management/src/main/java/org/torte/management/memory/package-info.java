/**
 * Memory of a host and its guests: what there is, what a guest needs, and what it is to have. Nothing here asks a worker or
 * waits; {@code org.torte.management} does.
 *
 * <p>Dynamic memory is Hyper-V's, with one difference: memory is never added beyond what a machine was made with, so the
 * most is what its guest boots with, and the balloon takes it down from there.
 */
package org.torte.management.memory;
