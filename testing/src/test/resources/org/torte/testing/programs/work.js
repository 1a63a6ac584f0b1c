// What a guest's Node does in ProgramsGuestTest: each line is the same on every right processor. Its argument says how much.
'use strict';
const crypto = require('crypto');
const zlib = require('zlib');
const { Worker, isMainThread, workerData } = require('worker_threads');

const much = Number(process.argv[2]);
let seed = 12345;
const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) | 0) >>> 8;
// console.log would colour numbers on a terminal.
const say = (...words) => process.stdout.write(words.join(' ') + '\n');
const digest = (text) => crypto.createHash('sha256').update(text).digest('hex').slice(0, 16);

// Numbers in typed arrays: whole ones, and a matrix product.
function numbers() {
  const sieve = new Uint8Array(500000 * much);
  let primes = 0;
  for (let i = 2; i < sieve.length; i++) {
    if (sieve[i]) continue;
    primes++;
    for (let k = 2 * i; k < sieve.length; k += i) sieve[k] = 1;
  }
  const n = 30 * much, a = new Float64Array(n * n), b = new Float64Array(n * n);
  for (let i = 0; i < n * n; i++) { a[i] = random() / 1000; b[i] = Math.sin(i) * 3; }
  let trace = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += a[i * n + k] * b[k * n + j];
      if (i === j) trace += sum;
    }
  return [primes, trace];
}

// A function that is compiled for one kind of value and then meets others.
const add = (x, y) => x + y;
function kinds() {
  let whole = 0;
  for (let i = 0; i < 75000 * much; i++) whole = add(whole, i) | 0;
  let real = 0.5;
  for (let i = 0; i < 75000 * much; i++) real = add(real, i / 3);
  let text = '';
  for (let i = 0; i < 750 * much; i++) text = add(text, i);
  let big = 1n;
  for (let i = 1n; i < 300n; i = add(i, 1n)) big *= i;
  return [whole, real, digest(text), digest(big.toString())];
}

// Objects that the collector moves while they are used.
function objects() {
  const map = new Map();
  for (let i = 0; i < 40000 * much; i++) {
    const key = 'key' + (random() % 5000);
    const entry = map.get(key) || { count: 0, last: [], next: null };
    entry.count++;
    entry.last = [i, ...entry.last.slice(0, 3)];
    map.set(key, entry);
  }
  const list = [...map].map(([key, entry]) => ({ key, ...entry })).sort((x, y) => y.count - x.count || (x.key < y.key ? -1 : 1));
  const text = JSON.stringify(list);
  return [map.size, digest(JSON.stringify(JSON.parse(text))), text.match(/"key4\d+9"/g).length, digest(zlib.inflateSync(zlib.deflateSync(text)))];
}

function ciphers() {
  const key = Buffer.alloc(32, 7), start = Buffer.alloc(16, 9), data = Buffer.alloc(75000 * much, 'torte');
  const cbc = crypto.createCipheriv('aes-256-cbc', key, start);
  const gcm = crypto.createCipheriv('aes-256-gcm', key, start.subarray(4));
  const sealed = Buffer.concat([gcm.update(data), gcm.final(), gcm.getAuthTag()]);
  return [digest(Buffer.concat([cbc.update(data), cbc.final()])), digest(sealed), crypto.pbkdf2Sync('a', 'b', 500 * much, 16, 'sha512').toString('hex')];
}

function thrown() {
  let caught = 0;
  const deep = (n) => deep(n + 1) + 1;
  for (let i = 0; i < 3; i++) try { deep(0); } catch (e) { caught += e instanceof RangeError; }
  for (let i = 0; i < 1000; i++) try { null.x; } catch (e) { caught += e instanceof TypeError; }
  return caught;
}

if (!isMainThread) {
  // Each adds to the same numbers.
  const shared = new Int32Array(workerData);
  for (let i = 0; i < 50000 * much; i++) Atomics.add(shared, i & 7, i % 11);
} else {
  say('numbers', ...numbers());
  say('kinds', ...kinds());
  say('objects', ...objects());
  say('ciphers', ...ciphers());
  say('thrown', thrown());
  const memory = new SharedArrayBuffer(32);
  let left = 4;
  for (let i = 0; i < 4; i++)
    new Worker(__filename, { workerData: memory, argv: [much] }).on('exit', () => {
      if (--left === 0) say('workers', new Int32Array(memory).join());
    });
}
