/**
 * Small Linux guests made from the packages of the distribution this host runs: its kernel as it is, and an initial RAM
 * disk with a static busybox. Nothing of it needs root, and nothing of it is kept outside the user's cache folder.
 */
package org.torte.worker.guest;
