/** What is kept: files that are replaced whole, and the database of tasks, events and answers. */
package org.torte.management.store;
