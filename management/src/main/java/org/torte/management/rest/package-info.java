/**
 * The interface over HTTP, /api/v1: docs/management.md and the document at /openapi.yaml describe it. Only on a loopback
 * address; every request carries a token, and what a browser sends on behalf of another site is refused.
 */
package org.torte.management.rest;
