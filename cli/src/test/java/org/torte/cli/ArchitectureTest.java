package org.torte.cli;

import static com.tngtech.archunit.base.DescribedPredicate.alwaysTrue;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackages;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.torte.management.Host;

/** Holds the direction of the tiers that docs/architecture.md draws. */
class ArchitectureTest {
    /** What each tier may use; a tier that is missing here is one that nobody has thought about. */
    private static final Map<String, Set<String>> MAY_USE = Map.of(
            "base", Set.of(),
            "hypervisor", Set.of("base"),
            "disk", Set.of("base"),
            "network", Set.of("base"),
            "machine", Set.of("base", "hypervisor", "disk", "network"),
            "worker", Set.of("base", "hypervisor", "disk", "network", "machine"),
            "management", Set.of("base", "hypervisor", "disk", "network", "machine", "worker"),
            "web", Set.of("base", "hypervisor", "disk", "network", "machine", "worker", "management"),
            "cli", Set.of("base", "hypervisor", "disk", "network", "machine", "worker", "management"));

    private static JavaClasses torte;

    @BeforeAll
    static void readClasses() {
        torte = new ClassFileImporter()
                .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
                .importPackages("org.torte");
    }

    @Test
    void everyPackageBelongsToOneOfTheTiers() {
        List<String> tiers = torte.stream()
                .map(type -> type.getPackageName().split("\\.", -1)[2])
                .distinct()
                .toList();

        assertThat(MAY_USE.keySet()).containsAll(tiers);
        assertThat(tiers).contains("base", "hypervisor", "machine", "worker", "cli");
    }

    @ParameterizedTest
    @MethodSource("tiers")
    void aTierUsesOnlyTiersBelowIt(String tier) {
        String[] forbidden = MAY_USE.keySet().stream()
                .filter(other -> !other.equals(tier)
                        && !MAY_USE.getOrDefault(tier, Set.of()).contains(other))
                .map(other -> "org.torte." + other + "..")
                .toArray(String[]::new);

        noClasses()
                .that()
                .resideInAPackage("org.torte." + tier + "..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(forbidden)
                .allowEmptyShould(true)
                .check(torte);
    }

    static Stream<String> tiers() {
        return MAY_USE.keySet().stream().sorted();
    }

    /** A tier's own package is its API and its door: it may make what its sub-packages implement. */
    @Test
    void packagesFormNoCycles() {
        slices().matching("org.torte.(**)")
                .should()
                .beFreeOfCycles()
                .ignoreDependency(resideInAPackage("org.torte.*"), alwaysTrue())
                .check(torte);
    }

    @Test
    void theMachineKnowsNoBackEnd() {
        noClasses()
                .that()
                .resideInAPackage("org.torte.machine..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("org.torte.hypervisor.*..")
                .allowEmptyShould(true)
                .check(torte);
    }

    /** Segments, arenas and layouts are plain checked memory; the rest can reach the host (the command: its terminal). */
    @Test
    void onlyTheTiersThatTouchTheHostCallForeignFunctions() {
        DescribedPredicate<JavaClass> foreignFunctions = resideInAPackage("java.lang.foreign..")
                .and(not(belongToAnyOf(MemorySegment.class, Arena.class, ValueLayout.class, MemoryLayout.class)));

        noClasses()
                .that(resideOutsideOfPackages(
                        "org.torte.base..",
                        "org.torte.hypervisor..",
                        "org.torte.disk..",
                        "org.torte.network..",
                        "org.torte.cli.."))
                .should()
                .dependOnClassesThat(foreignFunctions)
                .check(torte);
    }

    @Test
    void guestsGetTimeOnlyFromTheInjectedClock() {
        noClasses()
                .that()
                .resideInAnyPackage("org.torte.hypervisor..", "org.torte.machine..")
                .should()
                .callMethod(System.class, "nanoTime")
                .orShould()
                .callMethod(System.class, "currentTimeMillis")
                .orShould()
                .dependOnClassesThat(belongToAnyOf(java.time.Clock.class))
                .check(torte);
    }

    @Test
    void guestsGetRandomnessOnlyFromTheInjectedSource() {
        noClasses()
                .that()
                .resideInAnyPackage("org.torte.hypervisor..", "org.torte.machine..")
                .should()
                .dependOnClassesThat(belongToAnyOf(Random.class, ThreadLocalRandom.class))
                .orShould()
                .callMethod(Math.class, "random")
                .check(torte);
    }

    @Test
    void onlyTheCommandWritesToTheTerminal() {
        noClasses()
                .that()
                .resideOutsideOfPackages("org.torte.cli..")
                .should()
                .accessField(System.class, "out")
                .orShould()
                .accessField(System.class, "err")
                .check(torte);
    }

    /** Tests run on a class path, where everything is open; a module has to say so. */
    @Test
    void whatTheServiceSaysAsJsonIsOpenToJackson() throws URISyntaxException {
        Path management = Path.of(
                Host.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        Set<String> open =
                ModuleFinder.of(management).find("org.torte.management").orElseThrow().descriptor().opens().stream()
                        .map(ModuleDescriptor.Opens::source)
                        .collect(Collectors.toSet());
        assertThat(torte.stream()
                        .filter(one -> one.isRecord() && one.getModifiers().contains(JavaModifier.PUBLIC))
                        .map(JavaClass::getPackageName)
                        .filter(name -> name.startsWith("org.torte.management")))
                .isNotEmpty()
                .isSubsetOf(open);
    }
}
