import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.zip.CRC32;

/** What a guest's JVM does in ProgramsGuestTest: each line is the same on every right processor. Its argument says how much. */
public final class Work {
    private static final int THREADS = 4;

    private static int much;

    private static volatile Object kept = "";

    private static long monitored;

    public static void main(String[] arguments) throws Exception {
        much = Integer.parseInt(arguments[0]);
        var pool = Executors.newFixedThreadPool(THREADS);
        System.out.println("floats " + String.format(java.util.Locale.ROOT, "%.6f ", floats()) + Math.fma(1.1, 2.2, 3.3) + " " + (float) StrictMath.cbrt(10));
        System.out.println("big " + digest(big().toString()));

        // Garbage of all ages from all threads at once, in shared and private maps.
        Map<String, Integer> shared = new ConcurrentHashMap<>();
        List<Future<Long>> parts = new ArrayList<>();
        for (int thread = 0; thread < THREADS; thread++) {
            int number = thread;
            parts.add(pool.submit(() -> churn(new Random(number), shared)));
        }
        StringBuilder sums = new StringBuilder();
        for (Future<Long> part : parts) {
            sums.append(' ').append(part.get());
        }
        System.out.println("churn" + sums + " " + digest(new TreeMap<>(shared).toString()));

        // A lock, an atomic number, and a queue without room that all go through.
        AtomicLong atomic = new AtomicLong();
        SynchronousQueue<Integer> queue = new SynchronousQueue<>();
        Future<Long> taken = pool.submit(() -> {
            long sum = 0;
            for (int i = 0; i < 500 * much; i++) {
                sum = sum * 31 + queue.take();
            }
            return sum;
        });
        List<Future<?>> counters = new ArrayList<>();
        for (int thread = 1; thread < THREADS; thread++) {
            counters.add(pool.submit(() -> {
                for (int i = 0; i < 25_000 * much; i++) {
                    count(i);
                    atomic.addAndGet(i % 7);
                }
            }));
        }
        for (int i = 0; i < 500 * much; i++) {
            queue.put(i * i);
        }
        for (Future<?> counter : counters) {
            counter.get();
        }
        System.out.println("threads " + taken.get() + " " + monitored + " " + atomic);

        System.out.println("streams "
                + IntStream.range(0, 75_000 * much).parallel().filter(i -> Integer.bitCount(i) % 3 == 0).asLongStream().sum()
                + " " + IntStream.range(0, 5_000 * much).parallel().mapToObj(i -> "w" + i * 7919L % 501)
                        .collect(Collectors.groupingByConcurrent(w -> w, Collectors.counting())).values().stream()
                        .mapToLong(n -> n * n).sum());
        System.out.println("faults " + faults());
        pool.shutdown();
    }

    private static double floats() {
        double sum = 0;
        for (int i = 1; i < 100_000 * much; i++) {
            sum += Math.sin(i) / Math.sqrt(i) + (i % 13 == 0 ? StrictMath.log(i) : (double) (float) (1.0 / i)) + (long) (i * 1.7) % 3;
        }
        return sum;
    }

    private static BigInteger big() {
        BigInteger product = BigInteger.ONE;
        for (int i = 1; i < 1000 + 400 * much; i++) {
            product = product.multiply(BigInteger.valueOf(i * 2L + 1));
        }
        return product.modPow(BigInteger.valueOf(65537), BigInteger.ONE.shiftLeft(1279).subtract(BigInteger.ONE));
    }

    private static long churn(Random random, Map<String, Integer> shared) throws Exception {
        ArrayDeque<byte[]> old = new ArrayDeque<>();
        CRC32 crc = new CRC32();
        long sum = 0;
        for (int i = 0; i < 6_000 * much; i++) {
            byte[] bytes = ("item " + random.nextInt(100_000) + " of " + i).repeat(1 + i % 20).getBytes(StandardCharsets.UTF_8);
            crc.update(bytes);
            old.addLast(bytes);
            if (old.size() > 500 * much) {
                sum = sum * 31 + old.removeFirst().length;
            }
            shared.merge("k" + random.nextInt(700), 1, Integer::sum);
            if (i % 500 == 0) {
                kept = new long[60_000];
                sum += MessageDigest.getInstance("SHA-256").digest(bytes)[i % 32];
            }
        }
        return sum ^ crc.getValue();
    }

    private static synchronized void count(int n) {
        monitored += n % 5;
    }

    /** What the JVM learns by signals and guard pages. */
    private static String faults() {
        int caught = 0;
        int[] numbers = new int[10];
        for (int i = 0; i < 12_000 * much; i++) {
            try {
                Object object = i % 100 == 0 ? null : kept;
                caught += object.hashCode() & 0;
                numbers[i % 100 == 1 ? 10 : 1] += i / (i % 100 == 2 ? 0 : 1);
            } catch (NullPointerException | ArithmeticException | ArrayIndexOutOfBoundsException e) {
                caught++;
            }
        }
        for (int i = 0; i < 3; i++) {
            try {
                deep(1);
            } catch (StackOverflowError e) {
                caught += 1000;
            }
        }
        return caught + " " + numbers[1];
    }

    private static int deep(int n) {
        return deep(n + 1) + n;
    }

    private static String digest(String text) throws Exception {
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
        return HexFormat.of().formatHex(digest, 0, 8);
    }
}
