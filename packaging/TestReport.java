import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import javax.xml.parsers.DocumentBuilder;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.xml.sax.SAXException;

/**
 * Sums up the surefire reports below a checkout for {@code ./verify}: failures with their cause, skipped tests with
 * their reason, the slowest classes, and as the last line three numbers: passed, failed, skipped. Run as a source file: {@code java
 * TestReport.java CHECKOUT}.
 */
final class TestReport {
    private static final int SLOWEST = 5;
    private static final int MESSAGE_LINES = 80;
    private static final int STACK_LINES = 4;

    private int passed;
    private int failed;
    private int skipped;
    private final List<String> failures = new ArrayList<>();
    private final Map<String, List<String>> skippedByReason = new TreeMap<>();
    private final Map<String, Double> secondsByClass = new TreeMap<>();

    public static void main(String[] arguments) throws IOException, ParserConfigurationException {
        TestReport report = new TestReport();
        DocumentBuilder parser = DocumentBuilderFactory.newInstance().newDocumentBuilder();
        parser.setErrorHandler(null);
        for (Path file : reports(Path.of(arguments[0]))) {
            try {
                report.add(parser.parse(file.toFile()).getDocumentElement(), file);
            } catch (SAXException e) {
                report.failed++;
                report.failures.add(file + ": unreadable report, the test run was cut short");
            }
        }
        report.print();
    }

    private static List<Path> reports(Path checkout) throws IOException {
        List<Path> found = new ArrayList<>();
        try (var modules = Files.newDirectoryStream(checkout, Files::isDirectory)) {
            for (Path module : modules) {
                Path folder = module.resolve("target/surefire-reports");
                if (Files.isDirectory(folder)) {
                    try (var files = Files.newDirectoryStream(folder, "TEST-*.xml")) {
                        files.forEach(found::add);
                    }
                }
            }
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
        found.sort(null);
        return found;
    }

    private void add(Element suite, Path file) {
        for (Element test : children(suite, "testcase")) {
            String className = test.getAttribute("classname");
            String name = className.substring(className.lastIndexOf('.') + 1) + "." + test.getAttribute("name");
            secondsByClass.merge(className, seconds(test), Double::sum);
            List<Element> problems = new ArrayList<>(children(test, "failure"));
            problems.addAll(children(test, "error"));
            List<Element> skips = children(test, "skipped");
            if (!problems.isEmpty()) {
                failed++;
                failures.add(name + "\n" + firstLines(problems.getFirst().getTextContent()) + "\n    output: "
                        + file.resolveSibling(className + "-output.txt"));
            } else if (!skips.isEmpty()) {
                skipped++;
                String reason = reason(skips.getFirst());
                skippedByReason
                        .computeIfAbsent(reason.isEmpty() ? "no reason given" : reason, unused -> new ArrayList<>())
                        .add(name);
            } else {
                passed++;
            }
        }
    }

    /** The message, which for some kinds of tests stands only in the stack trace. */
    private static String reason(Element skip) {
        String message = skip.getAttribute("message").strip();
        String first = skip.getTextContent().strip().lines().findFirst().orElse("");
        return message.isEmpty() ? first.substring(first.indexOf(": ") + 1).strip() : message;
    }

    private void print() {
        failures.forEach(failure -> System.out.println("FAILED " + failure));
        skippedByReason.forEach((reason, names) ->
                names.forEach(name -> System.out.println("SKIPPED " + name + ": " + reason.lines().findFirst().orElse(""))));
        System.out.println("slowest: "
                + String.join(
                        ", ",
                        secondsByClass.entrySet().stream()
                                .sorted(Map.Entry.<String, Double>comparingByValue().reversed())
                                .limit(SLOWEST)
                                .map(entry -> "%s %.1f s"
                                        .formatted(entry.getKey().substring(entry.getKey().lastIndexOf('.') + 1), entry.getValue()))
                                .toList()));
        System.out.println(passed + " " + failed + " " + skipped);
    }

    private static double seconds(Element test) {
        try {
            return Double.parseDouble(test.getAttribute("time").replace(",", ""));
        } catch (NumberFormatException e) {
            return 0;
        }
    }

    /** What a failure says, without most of the stack: the message itself is what a reader elsewhere has to go by. */
    private static String firstLines(String text) {
        List<String> lines = text.strip().lines().toList();
        int stack = 0;
        while (stack < lines.size() && !lines.get(stack).strip().startsWith("at ")) {
            stack++;
        }
        int shown = Math.min(lines.size(), Math.min(stack, MESSAGE_LINES) + STACK_LINES);
        return String.join("\n", lines.subList(0, shown).stream().map(line -> "    " + line.strip()).toList());
    }

    private static List<Element> children(Element parent, String tag) {
        List<Element> found = new ArrayList<>();
        for (Node node = parent.getFirstChild(); node != null; node = node.getNextSibling()) {
            if (node instanceof Element element && element.getTagName().equals(tag)) {
                found.add(element);
            }
        }
        return found;
    }
}
