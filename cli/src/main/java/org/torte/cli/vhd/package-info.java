/** {@code torte vhd}: virtual disks as files, after Hyper-V's New-VHD, Get-VHD, Test-VHD, Convert-VHD and so on. */
@org.jspecify.annotations.NullMarked
package org.torte.cli.vhd;
