package org.torte.management.rest;

import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.handler.ErrorHandler;
import org.eclipse.jetty.util.Callback;
import org.jspecify.annotations.Nullable;
import org.torte.management.definition.Json;

/** What Jetty refuses before any route has seen it, such as a path or a Host header that cannot be, in our words. */
final class JettyProblems extends ErrorHandler {
    /** RFC 9457, with the remedy. */
    static byte[] body(int status, String kind, String cause, String remedy) {
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("type", "urn:torte:problem:" + kind);
        body.put("title", kind.replace('-', ' '));
        body.put("status", status);
        body.put("detail", cause);
        body.put("remedy", remedy);
        return Json.text(body).getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }

    /** What a status is called. */
    static String kind(int status) {
        return switch (status) {
            case 404 -> "not-found";
            case 405 -> "method-not-allowed";
            case 413 -> "too-large";
            default -> status >= 500 ? "internal" : "invalid";
        };
    }

    private static byte[] body(int status, @Nullable String message) {
        String cause = message == null ? "the request is refused" : message;
        return body(status, kind(status), cause, "look at /openapi.yaml");
    }

    @Override
    protected void generateResponse(
            Request request,
            Response response,
            int code,
            @Nullable String message,
            @Nullable Throwable cause,
            Callback callback) {
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, RestServer.PROBLEM);
        response.write(true, ByteBuffer.wrap(body(code, message)), callback);
    }
}
