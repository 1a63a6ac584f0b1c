/**
 * The management service of a host. {@link org.torte.management.Host} is the service without its network face: the
 * virtual machines of a data folder, their workers, the tasks and events. {@code definition} is what a virtual machine is,
 * on disk; {@code process} its worker process; {@code store} what is kept in SQLite and how files are replaced;
 * {@code rest} the interface over HTTP that everything else uses, docs/management.md describes it.
 *
 * <p>States are those of Hyper-V's Get-VM. A virtual machine does one thing at a time; what it does is a {@link
 * org.torte.management.Task} that others are told about when they are refused. Turning off never waits for any of that.
 */
package org.torte.management;
