package org.torte.base.net;

/**
 * What has gone through a port since it was made. Large sends count as one frame.
 *
 * @param framesSent frames that it took from the adapter
 * @param bytesSent their bytes
 * @param framesReceived frames that the adapter took
 * @param bytesReceived their bytes
 * @param sentDropped frames from the adapter that went nowhere although somebody should have got them
 * @param receivedDropped frames for the adapter that were dropped because it took none for too long
 */
public record PortStatistics(
        long framesSent,
        long bytesSent,
        long framesReceived,
        long bytesReceived,
        long sentDropped,
        long receivedDropped) {}
