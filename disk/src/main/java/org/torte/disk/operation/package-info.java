/**
 * What administrators do to disks, after Hyper-V's Convert-VHD, Resize-VHD, Merge-VHD and Optimize-VHD. Each operation
 * can be watched and cancelled through a {@link org.torte.disk.operation.Progress}, and leaves usable images wherever it
 * is interrupted.
 */
@org.jspecify.annotations.NullMarked
package org.torte.disk.operation;
