// The work that bench/translator gives its guests: loops NAME does one kind of it and prints what came of it, which is the
// same on every right processor. The sizes are such that QEMU's software processor takes one or two seconds.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define APART __attribute__((noinline))

static uint32_t seed = 12345;
static uint32_t next_random(void) { return seed = seed * 1664525 + 1013904223; }

// Shifts, multiplications and branches that depend on data.
static uint64_t integer(void) {
    uint64_t a = 1, sum = 0;
    for (uint32_t i = 0; i < 150000000; i++) {
        a ^= a << 13;
        a ^= a >> 7;
        a ^= a << 17;
        if (a & 8) sum += a >> 3;
        else sum ^= a * 5;
    }
    return sum;
}

// What small programs on integers do most: a linked list that is searched, reversed and sorted by merging, a matrix of
// 16-bit numbers, a state machine over text, and a checksum bit by bit.
struct item {
    struct item *next;
    int16_t key, value;
};

static APART struct item *reverse(struct item *list) {
    struct item *done = 0;
    while (list) {
        struct item *next = list->next;
        list->next = done, done = list, list = next;
    }
    return done;
}

static APART struct item *find(struct item *list, int16_t key) {
    while (list && list->key != key) list = list->next;
    return list;
}

static APART struct item *merge_sort(struct item *list, int length) {
    if (length < 2) {
        if (list) list->next = 0;
        return list;
    }
    struct item *middle = list;
    for (int i = 0; i < length / 2; i++) middle = middle->next;
    struct item *right = merge_sort(middle, length - length / 2), *left, head, *end = &head;
    middle = list;
    for (int i = 0; i < length / 2 - 1; i++) middle = middle->next;
    middle->next = 0;
    left = merge_sort(list, length / 2);
    while (left && right) {
        struct item **less = left->key <= right->key ? &left : &right;
        end->next = *less, end = *less, *less = (*less)->next;
    }
    end->next = left ? left : right;
    return head.next;
}

static APART uint16_t checksum(uint16_t crc, uint16_t data) {
    for (int i = 0; i < 16; i++, data >>= 1) crc = (crc ^ data) & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
    return crc;
}

static APART int32_t multiply(int n, int16_t *a, int16_t *b, int32_t *c) {
    int32_t trace = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            int32_t sum = 0;
            for (int k = 0; k < n; k++) sum += a[i * n + k] * b[k * n + j];
            c[i * n + j] = sum >> 3 & 0xffff;
            if (i == j) trace += sum;
        }
    return trace;
}

enum state { START, SIGN, DIGITS, POINT, FRACTION, EXPONENT, BROKEN, STATES };

// Counts how the numbers of a text separated by commas end.
static APART void scan(const char *at, uint32_t *ended) {
    enum state state = START;
    for (;; at++) {
        int digit = *at >= '0' && *at <= '9';
        if (*at == ',' || !*at) {
            ended[state]++;
            state = START;
            if (!*at) return;
            continue;
        }
        switch (state) {
            case START: state = digit ? DIGITS : *at == '-' || *at == '+' ? SIGN : *at == '.' ? POINT : BROKEN; break;
            case SIGN: state = digit ? DIGITS : *at == '.' ? POINT : BROKEN; break;
            case DIGITS: state = digit ? DIGITS : *at == '.' ? POINT : *at == 'e' ? EXPONENT : BROKEN; break;
            case POINT: state = digit ? FRACTION : BROKEN; break;
            case FRACTION: state = digit ? FRACTION : *at == 'e' ? EXPONENT : BROKEN; break;
            case EXPONENT: state = digit ? EXPONENT : BROKEN; break;
            default: break;
        }
    }
}

static uint64_t mix(void) {
    enum { ITEMS = 200, N = 20, ROUNDS = 50000 };
    static const char *const words[] = {"5012", "-874", "+122", "35.54", ".1234", "-110.7", "5.5e3", "T0.3", "1e2x", "-.5"};
    static struct item items[ITEMS];
    static int16_t a[N * N], b[N * N];
    static int32_t c[N * N];
    uint32_t ended[STATES] = {0};
    uint16_t crc = 0;
    char text[512];
    struct item *list = 0;
    for (int i = 0; i < ITEMS; i++) {
        items[i].key = next_random() >> 20;
        items[i].value = i;
        items[i].next = list, list = &items[i];
    }
    for (int i = 0; i < N * N; i++) a[i] = next_random() >> 26, b[i] = next_random() >> 26;
    size_t length = 0;
    while (length < sizeof text - 16) length += sprintf(text + length, "%s,", words[next_random() >> 8 & 7]);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 8; i++) {
            struct item *found = find(list, items[(round + i * 23) % ITEMS].key);
            crc = checksum(crc, found->value);
            found->key ^= (round + i) & 15;
        }
        list = merge_sort(reverse(list), ITEMS);
        crc = checksum(crc, list->key);
        crc = checksum(crc, multiply(N, a, b, c));
        a[round % (N * N)] ^= crc & 15;
        text[round % length] ^= round % 7 == 0 ? 1 : 0;
        scan(text, ended);
        for (int i = 0; i < STATES; i++) crc = checksum(crc, ended[i]);
    }
    return (uint64_t)crc << 32 | ended[DIGITS];
}

static APART uint64_t fibonacci(uint64_t n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
static uint64_t calls(void) { return fibonacci(38); }

static uint64_t crc32(void) {
    // In one page, as three of four such tables are wherever a linker puts them.
    static _Alignas(1024) uint32_t table[256];
    static uint8_t data[65536];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
        table[i] = c;
    }
    for (size_t i = 0; i < sizeof data; i++) data[i] = next_random() >> 24;
    uint32_t crc = ~0u;
    for (int round = 0; round < 2500; round++)
        for (size_t i = 0; i < sizeof data; i++) crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
    return crc;
}

// The compression function of SHA-256 with other constants: the same operations in the same order.
static uint64_t sha256(void) {
    uint32_t k[64], h[8], w[64];
    for (int i = 0; i < 64; i++) k[i] = next_random();
    for (int i = 0; i < 8; i++) h[i] = next_random();
#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))
    for (int round = 0; round < 700000; round++) {
        for (int i = 0; i < 16; i++) w[i] = h[i & 7] + i;
        for (int i = 16; i < 64; i++) {
            uint32_t s0 = ROTATE(w[i - 15], 7) ^ ROTATE(w[i - 15], 18) ^ w[i - 15] >> 3;
            uint32_t s1 = ROTATE(w[i - 2], 17) ^ ROTATE(w[i - 2], 19) ^ w[i - 2] >> 10;
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        uint32_t v[8];
        memcpy(v, h, sizeof v);
        for (int i = 0; i < 64; i++) {
            uint32_t s1 = ROTATE(v[4], 6) ^ ROTATE(v[4], 11) ^ ROTATE(v[4], 25);
            uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
            uint32_t s0 = ROTATE(v[0], 2) ^ ROTATE(v[0], 13) ^ ROTATE(v[0], 22);
            uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            memmove(v + 1, v, 7 * sizeof *v);
            v[4] += t1;
            v[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++) h[i] += v[i];
    }
    return h[0];
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}
static uint64_t sort(void) {
    static uint32_t data[1000000];
    uint64_t sum = 0;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 1000000; i++) data[i] = next_random();
        qsort(data, 1000000, sizeof *data, compare);
        sum += data[500000];
    }
    return sum;
}

static uint64_t matrix(void) {
    enum { N = 192 };
    static double a[N][N], b[N][N], c[N][N];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) a[i][j] = next_random() % 100, b[i][j] = next_random() % 100;
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                double sum = 0;
                for (int k = 0; k < N; k++) sum += a[i][k] * b[k][j];
                c[i][j] = sum;
            }
    return (uint64_t)c[N / 2][N / 3];
}

static uint64_t mandelbrot(void) {
    uint64_t inside = 0;
    for (int y = 0; y < 900; y++)
        for (int x = 0; x < 300; x++) {
            double cr = x / 150.0 - 1.5, ci = y / 450.0 - 1, zr = 0, zi = 0;
            int i = 0;
            for (; i < 300 && zr * zr + zi * zi < 4; i++) {
                double t = zr * zr - zi * zi + cr;
                zi = 2 * zr * zi + ci;
                zr = t;
            }
            inside += i;
        }
    return inside;
}

static uint64_t nbody(void) {
    double p[5][3], v[5][3];
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 3; k++) p[i][k] = next_random() % 1000, v[i][k] = 0;
    for (int step = 0; step < 800000; step++) {
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < 5; j++) {
                double d[3], square = 1;
                for (int k = 0; k < 3; k++) d[k] = p[j][k] - p[i][k], square += d[k] * d[k];
                double force = 1 / (square * sqrt(square));
                for (int k = 0; k < 3; k++) v[i][k] += d[k] * force;
            }
        for (int i = 0; i < 5; i++)
            for (int k = 0; k < 3; k++) p[i][k] += v[i][k];
    }
    return (uint64_t)(int64_t)(p[0][0] * 1000);
}

// Numbers of 80 bits, which the x87 coprocessor computes with: a polynomial, quotients and roots.
static uint64_t extended(void) {
    static const long double c[] = {0.1L, -0.3L, 0.7L, 1.1L, -0.9L, 0.2L};
    long double x = 0.3L, sum = 0;
    for (int i = 1; i < 1500000; i++) {
        long double y = 0;
        for (int k = 0; k < 6; k++) y = y * x + c[k];
        sum += sqrtl(y * y + i) / (1 + x);
        x = 3.7L * x * (1 - x);
    }
    return (uint64_t)(sum * 1000);
}

static uint64_t copy(void) {
    static char from[1 << 20], to[1 << 20];
    for (size_t i = 0; i < sizeof from; i++) from[i] = i * 7;
    for (int round = 0; round < 8000; round++) {
        memcpy(to, from, sizeof to);
        from[round] ^= to[round + 1];
    }
    return to[77];
}

static uint64_t chase(void) {
    enum { N = 16384 };
    static struct node { struct node *next; uint64_t pad; } nodes[N];
    static uint32_t order[N];
    for (uint32_t i = 0; i < N; i++) order[i] = i;
    for (uint32_t i = N - 1; i > 0; i--) {
        uint32_t j = (uint64_t)next_random() * (i + 1) >> 32, t = order[i];
        order[i] = order[j], order[j] = t;
    }
    for (uint32_t i = 0; i < N; i++) nodes[order[i]].next = &nodes[order[(i + 1) % N]];
    struct node *at = nodes;
    for (uint32_t i = 0; i < 200000000; i++) at = at->next;
    return at - nodes;
}

static uint64_t syscalls(void) {
    uint64_t sum = 0;
    for (int i = 0; i < 1000000; i++) sum += syscall(SYS_getppid) != 0;
    return sum;
}

// Two processes that wake each other by pipes.
static uint64_t switches(void) {
    int there[2], back[2];
    uint32_t value = 1;
    if (pipe(there) || pipe(back)) exit(1);
    pid_t child = fork();
    if (child == 0) {
        close(there[1]);
        while (read(there[0], &value, sizeof value) == sizeof value) {
            value = value * 5 + 1;
            if (write(back[1], &value, sizeof value) != sizeof value) break;
        }
        _exit(0);
    }
    for (int i = 0; i < 40000; i++) {
        value ^= i;
        if (write(there[1], &value, sizeof value) != sizeof value || read(back[0], &value, sizeof value) != sizeof value) return 0;
    }
    close(there[1]);
    waitpid(child, 0, 0);
    return value;
}

static uint64_t spawn(const char *self) {
    uint64_t sum = 0;
    for (int i = 0; i < 1000; i++) {
        pid_t child = fork();
        if (child == 0) {
            execl(self, self, "nothing", (char *)0);
            _exit(1);
        }
        int status = 1;
        waitpid(child, &status, 0);
        sum += status == 0;
    }
    return sum;
}

int main(int count, char **arguments) {
    static const struct { const char *name; uint64_t (*work)(void); } all[] = {
        {"integer", integer}, {"mix", mix}, {"calls", calls}, {"crc32", crc32}, {"sha256", sha256}, {"sort", sort},
        {"matrix", matrix}, {"mandelbrot", mandelbrot}, {"nbody", nbody}, {"x87", extended}, {"copy", copy}, {"chase", chase},
        {"syscalls", syscalls}, {"switches", switches}};
    const char *name = count > 1 ? arguments[1] : "nothing";
    if (strcmp(name, "nothing") == 0) return 0;
    if (strcmp(name, "spawn") == 0) {
        printf("%llx\n", (unsigned long long)spawn(arguments[0]));
        return 0;
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(name, all[i].name) == 0) {
            printf("%llx\n", (unsigned long long)all[i].work());
            return 0;
        }
    return 2;
}
