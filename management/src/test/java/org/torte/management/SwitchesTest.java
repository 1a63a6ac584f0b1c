package org.torte.management;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.Port;
import org.torte.management.definition.VmDefinition;
import org.torte.network.host.Nat;
import org.torte.network.process.PortDefinition;
import org.torte.network.process.SwitchDefinition;

class SwitchesTest {
    @TempDir
    Path folder;

    private final FakeWorkers workers = new FakeWorkers();
    private final FakeSwitches process = new FakeSwitches();
    private Path kernel;
    private DataFolder data;
    private Host host;

    @BeforeEach
    void openHost() throws IOException {
        kernel = Files.writeString(folder.resolve("vmlinuz"), "kernel");
        open();
    }

    @AfterEach
    void closeHost() {
        host.close();
        data.close();
    }

    private void open() {
        data = DataFolder.open(folder.resolve("data"));
        host = Host.open(data, workers, process, InstantSource.system());
    }

    private Vm make(String name, String network, String... forwards) {
        return host.create(new NewVm(
                name,
                null,
                null,
                null,
                null,
                new Hardware.Boot(kernel.toString(), List.of(), ""),
                null,
                null,
                null,
                null,
                null,
                null,
                List.of(new Adapter.Wish(null, null, network, List.of(forwards), null, null))));
    }

    private static void start(Vm vm) {
        end(vm.start("me"));
        assertThat(vm.view().state()).isEqualTo(VmState.RUNNING);
    }

    private static void end(Task task) {
        try {
            assertThat(task.await(20, java.util.concurrent.TimeUnit.SECONDS)).isTrue();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static void await(BooleanSupplier condition) {
        long until = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).isLessThan(until);
            Thread.onSpinWait();
        }
    }

    private void change(Vm vm, UnaryOperator<Adapter> change) {
        Vm.View _ = host.change(
                vm,
                old -> old.withHardware(old.hardware()
                        .withAdapters(
                                old.hardware().adapters().stream().map(change).toList())));
    }

    private List<PortDefinition> ports() {
        return process.configuration.ports();
    }

    private SwitchDefinition create(String name, String type, String... addresses) {
        return host.switches()
                .create(new Switches.Wish(
                        name, type, null, null, addresses.length == 0 ? null : List.of(addresses), null));
    }

    @Test
    void defaultIsThereFromTheStartAndStays() {
        assertThat(host.switches().list()).containsExactly(SwitchDefinition.standard());
        assertThatThrownBy(() -> host.switches().remove("default")).hasMessageContaining("is always there");
    }

    @Test
    void switchesOutliveTheService() {
        create("lab", "private");
        SwitchDefinition _ = host.switches().change("LAB", 9000, null, null, null);
        closeHost();
        open();
        assertThat(host.switches().find("lab").mtu()).isEqualTo(9000);
        host.switches().remove("Lab");
        assertThatThrownBy(() -> host.switches().find("lab")).hasMessageContaining("torte switch list");
    }

    @Test
    void aSwitchOfTheHostRunsFromItsMakingToItsEndAndAlsoAfterARestart() {
        SwitchDefinition lan = create("lan", "internal", "10.1.2.1/24", "FD00::1/64");
        assertThat(lan.hostInterface()).isEqualTo("to-lan");
        assertThat(lan.addresses()).containsExactly("10.1.2.1/24", "fd00::1/64");
        assertThat(process.running).isTrue();
        assertThat(host.switches().change("lan", null, null, List.of(), null).addresses())
                .isEmpty();
        assertThat(host.switches()
                        .change("lan", null, "lan0", List.of("10.1.3.1/24"), null)
                        .hostInterface())
                .isEqualTo("lan0");
        closeHost();
        process.running = false;
        open();
        await(() -> process.running);
        assertThat(host.switches().find("lan").addresses()).containsExactly("10.1.3.1/24");
        process.running = false;
        await(() -> process.running);
        // Its process undoes what it has made at the host, even when it has to be started for that.
        process.running = false;
        host.switches().remove("lan");
        assertThat(process.running).isTrue();
        assertThat(process.configuration.switches()).containsExactly(SwitchDefinition.standard());
    }

    @Test
    void whoTranslatesAddressesIsKeptAndAskedOfTheProcessAtOnce() {
        SwitchDefinition changed = host.switches().change("Default", null, null, null, "kernel");
        assertThat(changed.translation()).isEqualTo(Nat.Kind.KERNEL);
        assertThat(process.running).as("whether the kernel can").isTrue();
        assertThat(process.configuration.switches()).containsExactly(changed);
        closeHost();
        open();
        assertThat(host.switches().find("Default")).isEqualTo(changed);
        assertThatThrownBy(() -> host.switches().change("Default", null, "torte0", null, null))
                .hasMessageContaining("--nat user");
        assertThatThrownBy(() -> host.switches().change("Default", null, null, null, "magic"))
                .hasMessageContaining("user, kernel or auto");
        create("lab", "private");
        assertThatThrownBy(() -> host.switches().change("lab", null, null, null, "auto"))
                .hasMessageContaining("only a nat switch");
        process.running = false;
        assertThat(host.switches().change("Default", null, null, null, "user")).isEqualTo(SwitchDefinition.standard());
        assertThat(process.running).as("who undoes what a killed one has left").isTrue();
    }

    @Test
    void whatCannotBeASwitchIsRefused() {
        create("lab", "private");
        assertThatThrownBy(() -> create("Lab", "private")).hasMessageContaining("already");
        assertThatThrownBy(() -> create("x", "wired")).hasMessageContaining("private, internal, external or nat");
        assertThatThrownBy(() -> create("../x", "private")).hasMessageContaining("the name of a switch");
        assertThatThrownBy(() -> create("x", "external")).hasMessageContaining("an interface of the host");
        assertThatThrownBy(() -> create("more-than-twelve", "internal")).hasMessageContaining("--interface");
        assertThatThrownBy(() -> create("x", "private", "10.0.0.1/24"))
                .hasMessageContaining("only at an internal switch");
        for (String wrong :
                List.of("10.0.0.1", "10.0.0/24", "10.0.0.1/33", "10.0.0.1/0", "web1/24", "fd00::1/129", "")) {
            assertThatThrownBy(() -> create("x", "internal", wrong)).hasMessageContaining("is written 10.1.2.1/24");
        }
        assertThatThrownBy(() -> host.switches().change("Default", 9000, null, null, null))
                .hasMessageContaining("1500");
        assertThat(host.switches().list()).hasSize(2);
    }

    @Test
    void aMachineHasAPortFromItsStartToItsEnd() {
        Vm vm = make("Web.1", "switch:Default", "2222:22");
        assertThat(ports()).isEmpty();
        start(vm);
        assertThat(process.running).isTrue();
        assertThat(ports()).singleElement().satisfies(port -> {
            assertThat(port.id()).isEqualTo(vm.id() + "/net1");
            assertThat(port.network()).isEqualTo("Default");
            assertThat(port.machine()).isEqualTo("web-1");
            assertThat(port.forwards()).hasToString("[127.0.0.1:2222:22]");
        });
        end(vm.turnOff("me"));
        await(() -> ports().isEmpty());
    }

    @Test
    void aNewServiceKnowsThePortsOfMachinesThatRun() {
        Vm vm = make("web1", "switch:Default");
        start(vm);
        closeHost();
        open();
        create("lab", "private");
        assertThat(ports()).hasSize(1);
        end(host.find("web1").turnOff("me"));
    }

    @Test
    void adaptersAtSwitchesChangeWhileTheirMachineRuns() {
        create("lab", "private");
        Vm vm = make("web1", "switch:Default", "2222:22");
        start(vm);
        change(vm, one -> one.withForwards(List.of("2222:22", "8080:80")));
        assertThat(ports().getFirst().forwards()).hasSize(2);
        change(vm, one -> one.withForwards(List.of()).withNetwork("switch:lab"));
        assertThat(ports().getFirst().network()).isEqualTo("lab");
        change(
                vm,
                one -> one.withPort(
                        new Port(false, "10", true, false, false, List.of("deny both udp"), 1000, "source")));
        assertThat(ports().getFirst().options().vlan().text()).isEqualTo("10");
        change(vm, one -> one.withPort(new Port(true, "", false, false, false, List.of(), 0, "none")));
        assertThat(ports()).isEmpty();
        assertThatThrownBy(() -> change(vm, one -> one.withNetwork("nat"))).hasMessageContaining("needs a stop");
        assertThatThrownBy(() -> change(vm, one -> one.withNetwork("switch:nowhere")))
                .hasMessageContaining("there is no switch");
        assertThatThrownBy(() -> host.switches().remove("lab")).hasMessageContaining("web1");
        end(vm.turnOff("me"));
    }

    @Test
    void aForwardThatCannotBeIsTakenBack() {
        process.taken.add(2222);
        Vm vm = make("web1", "switch:Default");
        start(vm);
        VmDefinition before = vm.view().definition();
        assertThatThrownBy(() -> change(vm, one -> one.withForwards(List.of("2222:22"))))
                .hasMessageContaining("port 2222 of the host is in use; forward another one");
        assertThat(vm.view().definition()).isEqualTo(before);
        assertThat(ports().getFirst().forwards()).isEmpty();
        end(vm.turnOff("me"));
    }

    @Test
    void aMachineWhosePortCannotBeDoesNotStart() {
        process.taken.add(2222);
        Vm vm = make("web1", "switch:Default", "2222:22");
        Task task = vm.start("me");
        end(task);
        assertThat(String.valueOf(task.view().problem())).contains("port 2222 of the host is in use");
        assertThat(vm.view().state()).isEqualTo(VmState.OFF);
        assertThat(workers.running).isEmpty();
        assertThat(ports()).isEmpty();
    }

    @Test
    void whoLooksForASwitchDoesNotWaitForAChangeOfThem() throws InterruptedException {
        CountDownLatch under = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        process.before = () -> {
            under.countDown();
            try {
                assertThat(goOn.await(20, TimeUnit.SECONDS)).isTrue();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        };
        Thread other = Thread.ofVirtual().start(() -> create("lab", "private"));
        assertThat(under.await(20, TimeUnit.SECONDS)).isTrue();
        process.before = () -> {};
        assertThat(host.switches().find("default")).isEqualTo(SwitchDefinition.standard());
        assertThat(host.switches().list()).contains(SwitchDefinition.standard());
        goOn.countDown();
        other.join();
        assertThat(host.switches().find("lab").name()).isEqualTo("lab");
    }

    @Test
    void labelsAtASwitchDiffer() {
        Vm one = make("web.1", "switch:Default");
        Vm other = make("web_1", "switch:Default");
        start(other);
        String alone = ports().getFirst().machine();
        start(one);
        assertThat(ports())
                .extracting(PortDefinition::machine)
                .contains("web-1", alone)
                .doesNotHaveDuplicates();
        assertThat(ports())
                .extracting(PortDefinition::machine)
                .allMatch(label -> label.matches("web-1(-[0-9a-f]{8})?"));
        end(one.turnOff("me"));
        end(other.turnOff("me"));
    }

    @Test
    void whatIsNotOfItsPortsChangesWhateverThePortsAre() {
        Vm vm = make("one", "switch:Default", "2222:22");
        start(vm);
        process.taken.add(2222);
        Vm.View changed = host.change(
                vm,
                old -> new VmDefinition(
                        old.version(),
                        old.id(),
                        old.name(),
                        "seen",
                        old.hardware(),
                        old.processorLimit(),
                        old.translator(),
                        old.automaticStart(),
                        old.savedState(),
                        old.checkpoints()));
        assertThat(changed.definition().notes()).isEqualTo("seen");
        end(vm.turnOff("me"));
    }

    @Test
    void forwardsNeedASwitchThatTranslates() {
        create("lab", "private");
        assertThatThrownBy(() -> make("web1", "switch:lab", "2222:22")).hasMessageContaining("is no nat");
        assertThatThrownBy(() -> make("web1", "switch:nowhere")).hasMessageContaining("there is no switch");
        assertThat(host.list()).isEmpty();
    }

    @Test
    void aMachineWithoutSwitchesStartsNoProcess() {
        Vm vm = make("web1", "nat");
        start(vm);
        assertThat(process.running).isFalse();
        end(vm.turnOff("me"));
    }
}
