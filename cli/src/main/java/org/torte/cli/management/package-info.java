/**
 * The service and what asks it: {@code torte service}, {@code vm}, {@code task}, {@code event}, {@code host} and {@code
 * token}. All but the first speak HTTP with the service and know nothing that its interface does not say.
 */
package org.torte.cli.management;
