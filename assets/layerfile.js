// One file out of a layer, by Range requests for no more of the layer than that takes.
const WHOLE = 64 << 10; // a layer up to this size is fetched whole, and checked
const STEP = 32 << 10; // bytes that are fetched of a compressed layer beyond what is needed
const INDEXED = 1 << 20; // a gzip layer from this size on may have restart points
const LARGEST = 64 << 20;

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const get = async (url, headers = {}) => {
  let answer;
  try {
    answer = await fetch(url, { headers, credentials: "omit" });
  } catch {
    const { host } = new URL(url, location);
    throw new Error(host === location.host
      ? "The layer's host cannot be reached."
      : `The layer is stored at ${host}, which does not allow this page to read it.`);
  }
  if (!answer.ok) throw new Error(`The layer cannot be fetched: its host answered ${answer.status}.`);
  return answer;
};

// A layer whose bytes are fetched as they are asked for; `fetched` counts them. `inflate` loads
// the module that unpacks gzip, `index` is the address of restart points.
export class Layer {
  constructor({ url, digest, size, listing, index, inflate }) {
    Object.assign(this, { url, digest, size, listing, index, inflate, fetched: 0, checked: false });
  }

  async #range(from, to) {
    if (this.size <= WHOLE) return (await (this.whole ??= this.#all())).subarray(from, to);
    const answer = await get(this.url, { Range: `bytes=${from}-${to - 1}` });
    if (answer.status !== 206) {
      await answer.body.cancel();
      throw new Error("The layer's host does not support range requests.");
    }
    const bytes = new Uint8Array(await answer.arrayBuffer());
    this.fetched += bytes.length;
    if (bytes.length !== Math.min(to, this.size) - from) throw new Error("The layer's host sent a different range than the one requested.");
    return bytes;
  }

  async #all() {
    const bytes = new Uint8Array(await (await get(this.url)).arrayBuffer());
    this.fetched += bytes.length;
    const [algorithm, wanted] = this.digest.split(":");
    const name = { sha256: "SHA-256", sha512: "SHA-512" }[algorithm];
    if (!name || !globalThis.crypto?.subtle) return bytes; // not in an insecure context
    if (hex(await crypto.subtle.digest(name, bytes)) !== wanted) throw new Error("The layer does not have the digest that its manifest says.");
    this.checked = true;
    return bytes;
  }

  // Returns the bytes of a file, the holes of a sparse one as zeros.
  async read(entry) {
    if (entry.size > LARGEST) throw new Error("The file is too large to open here.");
    const pieces = entry.pieces ?? [0, entry.size];
    let stored = 0;
    for (let n = 1; n < pieces.length; n += 2) stored += pieces[n];
    const packed = stored ? await this.#unpacked(entry.offset, entry.offset + stored) : new Uint8Array();
    if (!entry.pieces) return packed;
    const bytes = new Uint8Array(entry.size);
    for (let n = 0, at = 0; n < pieces.length; at += pieces[n + 1], n += 2) {
      bytes.set(packed.subarray(at, at + pieces[n + 1]), pieces[n]);
    }
    return bytes;
  }

  async #unpacked(from, to) {
    const kind = this.listing.compression;
    if (kind === "tar") return this.#range(from, to);
    if (kind === "gzip") return this.#gunzipped(from, to);
    if (kind === "zstd") return this.#streamed(from, to);
    throw new Error(`The layer is compressed with ${kind}, which browsers cannot decompress.`);
  }

  async #gunzipped(from, to) {
    const wanted = new Part(from, to);
    const start = await this.#point(from) ?? this.#frame(from);
    wanted.at = start.unpacked;
    const { Gunzip } = await this.inflate();
    const stream = new Gunzip((bytes) => wanted.add(bytes), start.window && start);
    let at = start.packed - (start.bits ? 1 : 0);
    // As much as this should take, as tightly as what follows is packed; then a little more each time.
    const { packed, unpacked } = start.next ?? { packed: this.size, unpacked: this.listing.unpacked };
    const tight = (packed - start.packed) / (unpacked - start.unpacked);
    let step = Math.min(packed - at, Math.ceil((to - start.unpacked) * tight)) + STEP;
    for (; !wanted.whole && at < this.size; step = STEP) {
      const end = Math.min(at + step, this.size);
      stream.push(await this.#range(at, end), end === this.size);
      at = end;
    }
    return wanted.bytes();
  }

  async #streamed(from, to) {
    let stream;
    try {
      stream = new DecompressionStream("zstd");
    } catch {
      throw new Error("The layer is compressed with zstd, which this browser cannot decompress.");
    }
    const frames = [[0, 0], ...this.listing.frames ?? [], [this.size, Infinity]];
    const n = frames.findLastIndex((frame) => frame[1] <= from);
    const after = frames.findIndex((frame) => frame[1] >= to);
    const wanted = new Part(from, to);
    wanted.at = frames[n][1];
    const data = new Blob([await this.#range(frames[n][0], frames[after][0])]);
    for await (const bytes of data.stream().pipeThrough(stream)) {
      wanted.add(bytes);
      if (wanted.whole) break;
    }
    return wanted.bytes();
  }

  #frame(offset) {
    const frames = (this.listing.frames ?? [[0, 0]]).map(([packed, unpacked]) => ({ packed, unpacked }));
    return last(frames, offset);
  }

  // Returns the last restart point before an offset, if the layer has an index of them.
  async #point(offset) {
    if (this.size < INDEXED) return undefined;
    this.points ??= this.#index();
    return last(await this.points, offset);
  }

  async #index() {
    const answer = await fetch(this.index).catch(() => undefined);
    if (!answer?.ok) return [];
    const packed = await answer.blob();
    this.fetched += packed.size;
    const stream = packed.stream().pipeThrough(new DecompressionStream("deflate"));
    return points(await new Response(stream).arrayBuffer());
  }
}

// Returns the last of some places that is not beyond an offset, and which is next.
const last = (places, offset) => {
  const n = places.findLastIndex((place) => place.unpacked <= offset);
  return n < 0 ? undefined : { ...places[n], next: places[n + 1] };
};

// Reads the index of the package indexed_gzip: a head, 18 bytes a point, and the windows.
const points = (buffer) => {
  const view = new DataView(buffer);
  const size = view.getUint32(27, true), count = view.getUint32(31, true);
  const found = [];
  for (let n = 0, at = 35, window = 35 + 18 * count; n < count; n += 1, at += 18) {
    const has = view.getUint8(at + 17) ? size : 0;
    found.push({
      packed: Number(view.getBigUint64(at, true)),
      unpacked: Number(view.getBigUint64(at + 8, true)),
      bits: view.getUint8(at + 16),
      window: new Uint8Array(buffer, window, has),
    });
    window += has;
  }
  return found;
};

// Keeps what lies between two offsets of all that passes.
class Part {
  #from;
  #to;
  #kept = [];
  at = 0;

  constructor(from, to) {
    this.#from = from;
    this.#to = to;
  }

  get whole() {
    return this.at >= this.#to;
  }

  add(bytes) {
    const from = Math.max(0, this.#from - this.at), to = Math.min(bytes.length, this.#to - this.at);
    if (from < to) this.#kept.push(bytes.subarray(from, to));
    this.at += bytes.length;
  }

  bytes() {
    if (!this.whole) throw new Error("The layer ends before the file does.");
    const found = new Uint8Array(this.#to - this.#from);
    let at = 0;
    for (const part of this.#kept) {
      found.set(part, at);
      at += part.length;
    }
    return found;
  }
}
