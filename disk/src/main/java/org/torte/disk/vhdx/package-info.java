/**
 * VHDX, after [MS-VHDX] v20210625. From the bottom up: the structures on disk ({@link org.torte.disk.vhdx.Header},
 * {@link org.torte.disk.vhdx.RegionTable}, {@link org.torte.disk.vhdx.Metadata}, {@link org.torte.disk.vhdx.LogEntry});
 * finding and replaying the log ({@link org.torte.disk.vhdx.LogScan}, {@link org.torte.disk.vhdx.ReplayedFile});
 * the cached block table and sector bitmaps ({@link org.torte.disk.vhdx.PageCache}); the space of the file
 * ({@link org.torte.disk.vhdx.SpaceMap}); writing metadata through the log ({@link org.torte.disk.vhdx.MetadataWriter});
 * one file of a chain ({@link org.torte.disk.vhdx.VhdxImage}); the disk that a guest sees
 * ({@link org.torte.disk.vhdx.VhdxDisk}).
 *
 * <p>Departures: a file whose headers carry equal sequence numbers and equal content is accepted, as disk2vhd writes it.
 */
package org.torte.disk.vhdx;
