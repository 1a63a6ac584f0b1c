package org.torte.machine.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.torte.machine.integration.IntegrationService.HEARTBEAT;
import static org.torte.machine.integration.IntegrationService.KVP;
import static org.torte.machine.integration.IntegrationService.SHUTDOWN;
import static org.torte.machine.integration.IntegrationService.TIME;
import static org.torte.machine.integration.IntegrationService.VSS;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.torte.machine.integration.KeyValueExchange.Pool;

@Timeout(60)
class IntegrationServicesTest {
    private static void assertFails(CompletableFuture<?> future, String why) {
        assertThatThrownBy(future::join)
                .isInstanceOf(CompletionException.class)
                .hasCauseInstanceOf(ServiceException.class)
                .hasMessageContaining(why);
    }

    private static byte[] pair(ServiceMessage message, String key, String value) {
        ByteBuffer body = message.view();
        body.putInt(8, 1).putInt(12, 2 * key.length() + 2).putInt(16, 2 * value.length() + 2);
        body.put(20, (key + '\0').getBytes(StandardCharsets.UTF_16LE));
        body.put(532, (value + '\0').getBytes(StandardCharsets.UTF_16LE));
        return message.body();
    }

    @Test
    void aGuestThatAnswersIsAliveAndOneThatStopsIsLostUntilItAnswersAgain() {
        try (ServiceGuest guest = new ServiceGuest(HEARTBEAT)) {
            Heartbeat heartbeat = guest.services.heartbeat().orElseThrow();
            assertThat(heartbeat.status()).isEqualTo(new Heartbeat.Status(Heartbeat.State.NO_CONTACT, 0, -1));
            guest.negotiate(HEARTBEAT);
            for (int i = 1; i <= 3; i++) {
                ServiceMessage beat = guest.next(HEARTBEAT);
                assertThat(beat.type()).isEqualTo(1);
                assertThat(beat.version()).isEqualTo(new ServiceVersion(3, 0));
                assertThat(beat.body()).hasSize(40);
                assertThat(beat.view().getLong(0)).isEqualTo(i);
                guest.answer(HEARTBEAT, beat);
                guest.pass(2);
            }
            assertThat(heartbeat.status())
                    .isEqualTo(new Heartbeat.Status(Heartbeat.State.OK, 3, 2 * ServiceGuest.SECOND));
            guest.pass(Heartbeat.LIMIT + 1);
            assertThat(heartbeat.status().state()).isEqualTo(Heartbeat.State.LOST);
            ServiceMessage late = guest.next(HEARTBEAT);
            guest.answer(HEARTBEAT, late);
            assertThat(heartbeat.status().state()).as("too late").isEqualTo(Heartbeat.State.LOST);
            guest.answer(HEARTBEAT, guest.next(HEARTBEAT));
            assertThat(guest.events).containsExactly("heartbeat OK", "heartbeat LOST", "heartbeat OK");
        }
    }

    @Test
    void aGuestThatKnowsNoVersionIsLeftAlone() {
        try (ServiceGuest guest = new ServiceGuest(HEARTBEAT, SHUTDOWN)) {
            for (IntegrationService service : new IntegrationService[] {HEARTBEAT, SHUTDOWN}) {
                guest.answer(service, guest.next(service), 0, new byte[16]);
            }
            guest.pass(30);
            assertThat(guest.poll(HEARTBEAT)).isNull();
            assertFails(
                    guest.services.shutdown().orElseThrow().request(Shutdown.Kind.POWER_OFF, true, ""), "no version");
        }
    }

    @Test
    void shutdownTellsWhatTheGuestSays() {
        try (ServiceGuest guest = new ServiceGuest(SHUTDOWN)) {
            Shutdown shutdown = guest.services.shutdown().orElseThrow();
            assertFails(shutdown.request(Shutdown.Kind.POWER_OFF, false, ""), "has not answered yet");
            guest.negotiate(SHUTDOWN);
            CompletableFuture<Shutdown.Kind> agreed = shutdown.request(Shutdown.Kind.RESTART, false, "now");
            CompletableFuture<Shutdown.Kind> refused = shutdown.request(Shutdown.Kind.POWER_OFF, false, "now");
            CompletableFuture<Shutdown.Kind> unanswered = shutdown.request(Shutdown.Kind.POWER_OFF, false, "now");
            ServiceMessage first = guest.next(SHUTDOWN);
            assertThat(guest.poll(SHUTDOWN)).as("one at a time").isNull();
            guest.answer(SHUTDOWN, first);
            agreed.join();
            guest.answer(SHUTDOWN, guest.next(SHUTDOWN), ServiceMessage.FAILED, new byte[0]);
            assertFails(refused, "0x80004005");
            guest.pass(31);
            assertFails(unanswered, "does not answer");
        }
    }

    @Test
    void theClockIsSetAtTheStartAndAfterTheMachineStood() {
        try (ServiceGuest guest = new ServiceGuest(TIME)) {
            guest.negotiate(TIME);
            ServiceMessage order = guest.next(TIME);
            assertThat(order.view().getLong(0))
                    .isEqualTo(TimeSync.body(new ServiceVersion(4, 0), guest.clock.wallTime(), 0, 1)[0] & 0xffL
                            | order.view().getLong(0) & ~0xffL);
            assertThat(order.view().getLong(8)).isEqualTo(12_345);
            assertThat(order.view().get(16)).isEqualTo((byte) TimeSync.ORDER);
            guest.answer(TIME, order);
            guest.pass(5);
            ServiceMessage sample = guest.next(TIME);
            assertThat(sample.view().get(16)).isEqualTo((byte) TimeSync.SAMPLE);
            byte[] saved = guest.save();
            guest.clock.advance(ServiceGuest.SECOND);
            guest.goOn();
            assertThat(guest.poll(TIME))
                    .as("the sample is still to be answered")
                    .isNull();
            guest.answer(TIME, sample);
            guest.timers.runDue();
            assertThat(guest.next(TIME).view().get(16)).isEqualTo((byte) TimeSync.ORDER);
            guest.bus.stop();
            guest.restore(saved);
            guest.goOn();
            guest.answer(TIME, sample);
            guest.timers.runDue();
            assertThat(guest.next(TIME).view().get(16)).isEqualTo((byte) TimeSync.ORDER);
        }
    }

    @Test
    void anOldGuestGetsTheTimeInTheOldForm() {
        try (ServiceGuest guest = new ServiceGuest(TIME)) {
            guest.negotiate(TIME, 1);
            ServiceMessage order = guest.next(TIME);
            assertThat(order.body()).hasSize(25);
            assertThat(order.view().get(24)).isEqualTo((byte) TimeSync.ORDER);
        }
    }

    @Test
    void pairsAreReadUntilTheGuestHasNoMore() {
        try (ServiceGuest guest = new ServiceGuest(KVP)) {
            guest.negotiate(KVP);
            CompletableFuture<Map<String, String>> pairs =
                    guest.services.kvp().orElseThrow().pairs(Pool.AUTO);
            for (int i = 0; i < 3; i++) {
                ServiceMessage question = guest.next(KVP);
                assertThat(question.view().getInt(4)).isEqualTo(i);
                guest.answer(KVP, question, 0, pair(question, "key" + i, "value " + i));
            }
            ServiceMessage last = guest.next(KVP);
            guest.answer(KVP, last, ServiceMessage.NO_MORE, last.body());
            assertThat(pairs.join())
                    .containsExactly(
                            Map.entry("key0", "value 0"), Map.entry("key1", "value 1"), Map.entry("key2", "value 2"));
        }
    }

    @Test
    void aGuestThatNeverEndsItsListIsNotReadForEver() {
        try (ServiceGuest guest = new ServiceGuest(KVP)) {
            guest.negotiate(KVP);
            CompletableFuture<Map<String, String>> pairs =
                    guest.services.kvp().orElseThrow().pairs(Pool.GUEST);
            int questions = 0;
            for (ServiceMessage next = guest.poll(KVP); next != null; next = guest.poll(KVP)) {
                guest.answer(KVP, next, 0, pair(next, "k" + questions++, "v"));
            }
            assertThat(questions).isEqualTo(KeyValueExchange.MAX_PAIRS + 1);
            assertThat(pairs.join()).hasSize(KeyValueExchange.MAX_PAIRS);
        }
    }

    @Test
    void theHostsPairsAreGivenAgainWhenTheGuestStartsTheService() {
        try (ServiceGuest guest = new ServiceGuest(KVP)) {
            KeyValueExchange kvp = guest.services.kvp().orElseThrow();
            assertThat(kvp.set(Pool.EXTERNAL, "early", "1").join()).isFalse();
            guest.negotiate(KVP);
            ServiceMessage early = guest.next(KVP);
            assertThat(early.body()).isEqualTo(KeyValueMessage.set(Pool.EXTERNAL, "early", "1"));
            guest.answer(KVP, early);
            CompletableFuture<Boolean> set = kvp.set(Pool.EXTERNAL, "late", "2");
            guest.answer(KVP, guest.next(KVP));
            assertThat(set.join()).isTrue();
            CompletableFuture<Boolean> removed = kvp.remove(Pool.EXTERNAL, "early");
            ServiceMessage delete = guest.next(KVP);
            assertThat(delete.body()).isEqualTo(KeyValueMessage.delete(Pool.EXTERNAL, "early"));
            guest.answer(KVP, delete, ServiceMessage.FAILED, delete.body());
            assertFails(removed, "0x80004005");
            byte[] saved = guest.save();
            guest.restore(saved);
            assertThat(guest.save()).as("the same again").isEqualTo(saved);
            guest.goOn();
            assertThat(guest.poll(KVP)).isNull();
            assertThatThrownBy(() -> kvp.set(Pool.GUEST, "k", "v")).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> kvp.set(Pool.EXTERNAL, "k".repeat(256), "v"))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> kvp.set(Pool.EXTERNAL, "k", "v".repeat(1024)))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void aFrozenGuestThawsWhenItIsToldTo() {
        try (ServiceGuest guest = new ServiceGuest(VSS)) {
            Backup backup = guest.services.vss().orElseThrow();
            guest.negotiate(VSS);
            CompletableFuture<Void> frozen = backup.freeze(60);
            ServiceMessage check = guest.next(VSS);
            assertThat(check.body()).hasSize(12).startsWith((byte) Backup.CHECK);
            guest.answer(VSS, check);
            ServiceMessage freeze = guest.next(VSS);
            assertThat(freeze.body()).startsWith((byte) Backup.FREEZE);
            assertThat(frozen).isNotDone();
            assertFails(backup.freeze(1), "freezing already");
            guest.answer(VSS, freeze);
            frozen.join();
            CompletableFuture<Void> thawed = backup.thaw();
            ServiceMessage thaw = guest.next(VSS);
            assertThat(thaw.body()).startsWith((byte) Backup.THAW);
            guest.answer(VSS, thaw);
            thawed.join();
            assertThat(guest.events)
                    .containsExactly("backup FREEZING", "backup FROZEN", "backup THAWING", "backup THAWED");
        }
    }

    @Test
    void aGuestIsThawedWhenTheTimeIsOverAndWhenItDoesNotFreezeInTime() {
        try (ServiceGuest guest = new ServiceGuest(VSS)) {
            Backup backup = guest.services.vss().orElseThrow();
            guest.negotiate(VSS);
            CompletableFuture<Void> frozen = backup.freeze(5);
            guest.answer(VSS, guest.next(VSS));
            guest.answer(VSS, guest.next(VSS));
            frozen.join();
            guest.pass(4.5);
            assertThat(guest.poll(VSS)).isNull();
            guest.pass(1);
            ServiceMessage thaw = guest.next(VSS);
            assertThat(thaw.body()).startsWith((byte) Backup.THAW);
            guest.answer(VSS, thaw);
            CompletableFuture<Void> never = backup.freeze(5);
            guest.answer(VSS, guest.next(VSS));
            ServiceMessage freeze = guest.next(VSS);
            guest.pass(121);
            assertFails(never, "does not answer");
            assertThat(backup.state()).isEqualTo(Backup.State.THAWING);
            guest.answer(VSS, freeze);
            assertThat(backup.state()).as("an answer to what was given up").isEqualTo(Backup.State.THAWING);
            guest.answer(VSS, guest.next(VSS));
            assertThat(backup.state()).isEqualTo(Backup.State.THAWED);
        }
    }

    @Test
    void aMachineThatWasSavedFrozenThawsWhenItGoesOn() {
        try (ServiceGuest guest = new ServiceGuest(VSS)) {
            guest.negotiate(VSS);
            CompletableFuture<Void> frozen = guest.services.vss().orElseThrow().freeze(300);
            byte[] checking = guest.save();
            guest.goOn();
            guest.answer(VSS, guest.next(VSS));
            byte[] freezing = guest.save();
            guest.goOn();
            guest.answer(VSS, guest.next(VSS));
            frozen.join();
            byte[] whenFrozen = guest.save();
            for (byte[] saved : new byte[][] {checking, freezing, whenFrozen}) {
                guest.restore(saved);
                assertThat(guest.save()).isEqualTo(saved);
                guest.goOn();
                for (ServiceMessage next = guest.poll(VSS); next != null; next = guest.poll(VSS)) {
                    guest.answer(VSS, next);
                }
                assertThat(guest.events).endsWith("backup THAWING", "backup THAWED");
                guest.bus.stop();
            }
        }
    }

    @Test
    void aServiceThatTheGuestEndsFailsWhatIsUnderWay() {
        try (ServiceGuest guest = new ServiceGuest(KVP, VSS)) {
            guest.negotiate(KVP);
            guest.negotiate(VSS);
            CompletableFuture<Map<String, String>> first =
                    guest.services.kvp().orElseThrow().pairs(Pool.AUTO);
            CompletableFuture<Map<String, String>> second =
                    guest.services.kvp().orElseThrow().pairs(Pool.GUEST);
            CompletableFuture<Void> frozen = guest.services.vss().orElseThrow().freeze(10);
            guest.bus.stop();
            guest.bus.reset();
            guest.bus.start();
            assertFails(first, "has ended");
            assertFails(second, "has ended");
            assertFails(frozen, "has ended");
            assertThat(guest.services.vss().orElseThrow().state()).isEqualTo(Backup.State.THAWED);
            assertFails(guest.services.kvp().orElseThrow().pairs(Pool.AUTO), "is not there");
        }
    }

    @Test
    void whatIsAskedWhileTheMachineStandsIsSentWhenItRuns() {
        try (ServiceGuest guest = new ServiceGuest(KVP)) {
            guest.negotiate(KVP);
            byte[] _ = guest.save();
            CompletableFuture<Boolean> set = guest.services.kvp().orElseThrow().set(Pool.EXTERNAL, "k", "v");
            assertThat(guest.poll(KVP)).isNull();
            guest.goOn();
            guest.answer(KVP, guest.next(KVP));
            assertThat(set.join()).isTrue();
        }
    }

    @Test
    void requestsThatWaitAreLimited() {
        try (ServiceGuest guest = new ServiceGuest(KVP)) {
            guest.negotiate(KVP);
            KeyValueExchange kvp = guest.services.kvp().orElseThrow();
            for (int i = 0; i <= ServiceLink.MAX_WAITING; i++) {
                assertThat(kvp.pairs(Pool.AUTO)).isNotDone();
            }
            assertFails(kvp.pairs(Pool.AUTO), "try again later");
        }
    }
}
