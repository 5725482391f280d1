// Unpacks gzip a piece at a time, from its start or from a restart point: the browser's own
// DecompressionStream can do neither that nor several members in one file.
// Source: RFC 1951 and RFC 1952.
const WINDOW = 32768;
const ROOM = 1 << 18;
const LONGEST_HEAD = 600 * 8; // bits of a block's code lengths, at most
const LONGEST_SYMBOL = 48; // bits of a length and a distance, at most
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCES = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577];
const distanceBits = (symbol) => (symbol < 4 ? 0 : (symbol >> 1) - 1);

const damaged = () => new Error("the layer is damaged, or differs from the one that was listed");

// What each run of bits stands for: a symbol above four bits of its code's length.
const codes = (lengths) => {
  const longest = Math.max(...lengths, 1);
  const table = new Uint16Array(1 << longest);
  const next = [0, 0];
  for (let size = 1; size <= longest; size += 1) {
    next[size + 1] = (next[size] + lengths.filter((length) => length === size).length) << 1;
  }
  lengths.forEach((length, symbol) => {
    if (!length) return;
    let code = 0;
    for (let bits = next[length], n = 0; n < length; n += 1, bits >>= 1) code = code << 1 | bits & 1;
    next[length] += 1;
    for (; code < table.length; code += 1 << length) table[code] = symbol << 4 | length;
  });
  return table;
};

const FIXED = [
  codes(Array.from({ length: 288 }, (_, n) => (n < 144 ? 8 : n < 256 ? 9 : n < 280 ? 7 : 8))),
  codes(Array(30).fill(5)),
];

export class Gunzip {
  #data = new Uint8Array();
  #at = 0; // bits of it that were read
  #last = false;
  #out = new Uint8Array(ROOM);
  #from = 0; // what was not given out yet begins here
  #end = 0;
  #state = "member";
  #final = false;
  #left = 0; // bytes of a stored block
  #tables = FIXED;
  #sink;

  // `sink` is given the bytes as they come. `point` says that the data begins inside a member, at
  // `bits` bits before the end of its first byte (0: at its start), after the bytes in `window`.
  constructor(sink, point) {
    this.#sink = sink;
    if (!point) return;
    this.#state = "block";
    this.#at = point.bits ? 8 - point.bits : 0;
    this.#out.set(point.window);
    this.#from = this.#end = point.window.length;
  }

  // Takes more of the data; `last` says that no more will come.
  push(bytes, last) {
    const rest = this.#data.subarray(this.#at >> 3);
    const data = new Uint8Array(rest.length + bytes.length);
    data.set(rest);
    data.set(bytes, rest.length);
    this.#data = data;
    this.#at &= 7;
    this.#last = last;
    while (this.#step());
    this.#give();
  }

  // Whether there are so many bits to read; where no more will come, fewer have to do.
  #has(bits) {
    const left = this.#data.length * 8 - this.#at;
    if (this.#last && left < 0) throw damaged();
    return this.#last ? left > 0 : left >= bits;
  }

  #peek() {
    const data = this.#data, n = this.#at >> 3;
    return (data[n] | data[n + 1] << 8 | data[n + 2] << 16 | data[n + 3] << 24) >>> (this.#at & 7);
  }

  #take(bits) {
    const value = this.#peek() & (1 << bits) - 1;
    this.#at += bits;
    return value;
  }

  #symbol(table) {
    const entry = table[this.#peek() & table.length - 1];
    if (!entry) throw damaged();
    this.#at += entry & 15;
    return entry >> 4;
  }

  #give() {
    if (this.#end > this.#from) this.#sink(this.#out.slice(this.#from, this.#end));
    this.#from = this.#end;
    if (this.#end <= WINDOW) return;
    this.#out.copyWithin(0, this.#end - WINDOW, this.#end);
    this.#from = this.#end = WINDOW;
  }

  #step() {
    switch (this.#state) {
      case "member": return this.#member();
      case "block": return this.#block();
      case "stored": return this.#stored();
      case "codes": return this.#coded();
      default: return this.#trailer();
    }
  }

  #member() {
    const data = this.#data;
    let n = this.#at >> 3;
    while (n < data.length && data[n] === 0) n += 1; // padding between members
    this.#at = n * 8;
    if (!this.#has(8 * 4096)) return false;
    if (data[n] !== 31 || data[n + 1] !== 139 || data[n + 2] !== 8) throw damaged();
    const flags = data[n + 3];
    n += 10;
    if (flags & 4) n += 2 + (data[n] | data[n + 1] << 8);
    for (const flag of [8, 16]) if (flags & flag) n = data.indexOf(0, n) + 1 || Infinity;
    if (flags & 2) n += 2;
    if (n > data.length) {
      if (this.#last) throw damaged();
      return false;
    }
    this.#at = n * 8;
    this.#state = "block";
    return true;
  }

  #block() {
    if (!this.#has(LONGEST_HEAD)) {
      if (this.#last) throw damaged();
      return false;
    }
    this.#final = this.#take(1) === 1;
    const type = this.#take(2);
    if (type === 3) throw damaged();
    if (type === 0) {
      this.#at = this.#at + 7 & ~7;
      this.#left = this.#take(16);
      if (this.#take(16) !== (this.#left ^ 65535)) throw damaged();
      this.#state = "stored";
      return true;
    }
    this.#tables = type === 1 ? FIXED : this.#dynamic();
    this.#state = "codes";
    return true;
  }

  #dynamic() {
    const literals = this.#take(5) + 257, distances = this.#take(5) + 1, count = this.#take(4) + 4;
    const first = Array(19).fill(0);
    for (let n = 0; n < count; n += 1) first[ORDER[n]] = this.#take(3);
    const table = codes(first);
    const lengths = [];
    while (lengths.length < literals + distances) {
      const symbol = this.#symbol(table);
      const times = [() => 3 + this.#take(2), () => 3 + this.#take(3), () => 11 + this.#take(7)][symbol - 16]?.() ?? 1;
      const length = symbol < 16 ? symbol : symbol === 16 ? lengths.at(-1) : 0;
      if (length === undefined) throw damaged();
      for (let n = 0; n < times; n += 1) lengths.push(length);
    }
    return [codes(lengths.slice(0, literals)), codes(lengths.slice(literals, literals + distances))];
  }

  #stored() {
    const start = this.#at >> 3;
    const part = this.#data.subarray(start, start + Math.min(this.#left, WINDOW));
    if (this.#left && !part.length) {
      if (this.#last) throw damaged();
      return false;
    }
    if (this.#end + part.length > ROOM) this.#give();
    this.#out.set(part, this.#end);
    this.#end += part.length;
    this.#at += part.length * 8;
    this.#left -= part.length;
    if (!this.#left) this.#state = this.#final ? "trailer" : "block";
    return true;
  }

  #coded() {
    const out = this.#out, [literals, distances] = this.#tables;
    while (this.#has(LONGEST_SYMBOL)) {
      const symbol = this.#symbol(literals);
      if (symbol < 256) out[this.#end++] = symbol;
      else if (symbol === 256) {
        this.#state = this.#final ? "trailer" : "block";
        return true;
      } else this.#copy(symbol - 257, distances);
      if (this.#end > ROOM - 258) this.#give();
    }
    if (this.#last) throw damaged();
    return false;
  }

  #copy(symbol, distances) {
    if (symbol > 28) throw damaged();
    const length = LENGTHS[symbol] + this.#take(LENGTH_BITS[symbol]);
    const far = this.#symbol(distances);
    if (far > 29) throw damaged();
    const distance = DISTANCES[far] + this.#take(distanceBits(far));
    if (distance > this.#end) throw damaged();
    for (let n = 0; n < length; n += 1, this.#end += 1) this.#out[this.#end] = this.#out[this.#end - distance];
  }

  #trailer() {
    this.#at = this.#at + 7 & ~7;
    if (this.#data.length * 8 - this.#at < 64) {
      if (this.#last) throw damaged();
      return false;
    }
    this.#at += 64;
    this.#state = "member";
    return true;
  }
}
