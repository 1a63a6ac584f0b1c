# What a guest's Python does in ProgramsGuestTest: each line is the same on every right processor. Its argument says how much.
import decimal, hashlib, json, math, random, re, sqlite3, sys, threading, zlib

much = int(sys.argv[1])
random.seed(20261130)

# Whole numbers of any length.
a, b = 0, 1
for _ in range(5000 * much):
    a, b = b, a + b
print("fibonacci", hashlib.sha256(str(a % 10**4000).encode()).hexdigest()[:16])

# Floating point, and the same in decimal.
# Processors that multiply and add in one step differ in the last digits.
total = sum(math.sin(i) * math.sqrt(i) / (1 + math.exp(-i / 1000)) for i in range(15000 * much))
print("floats", "%.9f" % total, math.fsum([0.1] * 10), decimal.Decimal(2).sqrt(decimal.Context(60)))

words = ["".join(random.choice("abcdefgh") for _ in range(random.randint(3, 9))) for _ in range(7500 * much)]
text = " ".join(words)
print("text", len(set(words)), len(re.findall(r"\b(?:ab|ba)+\w*c\b", text)), sorted(words)[1234])
data = json.dumps([{"word": word, "at": at, "share": at / 7} for at, word in enumerate(words[: 1500 * much])])
print("json", zlib.crc32(json.dumps(json.loads(data), sort_keys=True).encode()))
print("zlib", zlib.decompress(zlib.compress(text.encode(), 9)) == text.encode(), zlib.adler32(data.encode()))
for name in ("md5", "sha1", "sha512", "blake2b", "sha3_256"):
    print(name, hashlib.new(name, data.encode() * 3).hexdigest()[:16])

table = sqlite3.connect(":memory:")
table.execute("create table words (at integer primary key, word text, share real)")
table.executemany("insert into words values (?, ?, ?)", ((i, w, i / 3) for i, w in enumerate(words)))
table.execute("create index by_word on words (word)")
print("sqlite", table.execute("select count(distinct word), sum(share), max(word) from words").fetchone())
for row in table.execute(
    "select a.word, count(*), avg(a.share + b.at) from words a join words b on a.word = b.word and a.at < b.at"
    " group by a.word order by 2 desc, 1 limit 3"
):
    print("sqlite", row)

counts, lock = {}, threading.Lock()


def count(part):
    for word in words[part::4]:
        with lock:
            counts[word[:2]] = counts.get(word[:2], 0) + 1


threads = [threading.Thread(target=count, args=(part,)) for part in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("threads", sum(counts.values()), max(counts.items(), key=lambda item: (item[1], item[0])))
