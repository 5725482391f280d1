// The files that the layers of an image make together: the same rules as the builder's own.
// Source: image-spec `layer.md`, "Changeset over existing files" and "Whiteouts".
const MAX_LINKS = 255; // on the way to one file

const circle = new Error("circular links");

// A file or folder. `layer` is the one whose bytes these are, `touched` the last that named it,
// `mark` what that did: "added" or "changed"; or "removed", of what is there no more.
const node = (name, parent) => ({ name, parent, kind: "d", size: 0, mode: 0o755, offset: 0, target: "", pieces: null, layer: 0, touched: 0, mark: "added", children: null });

export const pathOf = (item) => {
  const parts = [];
  for (let at = item; at.parent; at = at.parent) parts.push(at.name);
  return parts.reverse().join("/");
};

// All that is below a folder, those before that are above.
export function* walk(folder) {
  for (const item of folder.children?.values() ?? []) {
    yield item;
    yield* walk(item);
  }
}

export class FileTree {
  root = node("", null);
  #layer = -1;
  #folders = new Map(); // where names of folders have led since the last link
  #gone = new Map(); // what was removed, by its path

  // Puts the entries of one more layer on top, in the layer's order.
  apply(entries) {
    this.#layer += 1;
    this.#folders.clear();
    for (const [path, kind, size, mode, offset, target, pieces] of entries) {
      if (kind === "o") this.#clear(this.#node(this.#resolved(path)), false);
      else if (kind === "w") this.#clear(this.#node(this.#place(path)), true);
      else {
        const cut = path.lastIndexOf("/");
        this.#put(this.#folder(path.slice(0, Math.max(cut, 0))), path.slice(cut + 1), { kind, size, mode, offset, target, pieces: pieces ?? null });
      }
    }
  }

  // Puts back what is gone, marked so, and adds up what each folder holds.
  finish() {
    for (const [path, { layer, size, kind }] of this.#gone) {
      if (kind === "d" || this.#node(path.split("/"))) continue;
      let at = this.root;
      const parts = path.split("/");
      for (const name of parts) {
        at.children ??= new Map();
        if (!at.children.has(name)) at.children.set(name, { ...node(name, at), layer, mark: "removed" });
        at = at.children.get(name);
      }
      Object.assign(at, { kind, size });
    }
    const sum = (folder) => {
      folder.files = folder.total = folder.changes = 0;
      for (const item of folder.children?.values() ?? []) {
        if (item.kind === "d" || item.children) sum(item);
        else {
          const there = item.mark !== "removed";
          const counted = there && "fh".includes(item.kind);
          Object.assign(item, { files: counted ? 1 : 0, total: counted ? item.size : 0, changes: item.layer || !there ? 1 : 0 });
        }
        folder.files += item.files;
        folder.total += item.total;
        folder.changes += item.changes;
      }
    };
    sum(this.root);
    return this;
  }

  // Returns what a path leads to, through links inside the image; undefined for nothing.
  find(path) {
    const found = this.#node(this.#resolved(path));
    return found?.mark === "removed" ? undefined : found;
  }

  #node(parts) {
    let at = this.root;
    for (const name of parts) at = at?.children?.get(name);
    return at;
  }

  // Returns the names that a path leads to; links never lead out.
  #resolve(path) {
    const at = [], nodes = [this.root];
    const rest = path.split("/").reverse();
    let hops = 0;
    while (rest.length) {
      const name = rest.pop();
      if (name === "..") {
        at.pop();
        if (nodes.length > 1) nodes.pop();
      } else if (name !== "" && name !== ".") {
        const item = nodes.at(-1)?.children?.get(name);
        if (item?.kind !== "l") {
          at.push(name);
          nodes.push(item);
          continue;
        }
        if ((hops += 1) > MAX_LINKS) throw circle;
        if (item.target.startsWith("/")) {
          at.length = 0;
          nodes.length = 1;
        }
        rest.push(...item.target.split("/").reverse());
      }
    }
    return at;
  }

  #resolved(path) {
    try {
      return this.#resolve(path);
    } catch (error) {
      if (error !== circle) throw error;
      return path.split("/");
    }
  }

  // Returns the path itself where links lead to its folder, not what it may be a link to.
  #place(path) {
    const cut = path.lastIndexOf("/");
    return [...this.#resolved(path.slice(0, Math.max(cut, 0))), path.slice(cut + 1)];
  }

  // Returns where a folder's name leads, made where it lacks.
  #folder(path) {
    const known = this.#folders.get(path);
    if (known) return known;
    let at = this.root;
    for (const name of this.#resolved(path).filter(Boolean)) {
      const item = at.children?.get(name);
      at = item?.kind === "d" ? item : this.#add(at, name, {});
      at.touched = this.#layer;
    }
    this.#folders.set(path, at);
    return at;
  }

  #put(folder, name, entry) {
    let found = { ...entry, layer: this.#layer };
    if (entry.kind === "h") {
      this.#remove(folder.children?.get(name));
      const there = this.#node(this.#place(entry.target));
      if (there && there.kind !== "d") {
        found = "fh".includes(there.kind) ? { ...there, kind: "h", target: entry.target } : there;
      }
    }
    this.#add(folder, name, found);
  }

  #add(folder, name, { kind = "d", size = 0, mode = 0o755, offset = 0, target = "", pieces = null, layer = this.#layer }) {
    const before = folder.children?.get(name);
    const both = before?.kind === "d" && kind === "d";
    if (!both) this.#remove(before);
    const item = both ? before : node(name, folder);
    Object.assign(item, { kind, size, mode, offset, target, pieces, layer, touched: this.#layer });
    const path = this.#gone.size ? pathOf(item) : "";
    if (this.#gone.get(path)?.layer === this.#layer) item.mark = "changed";
    this.#gone.delete(path);
    (folder.children ??= new Map()).set(name, item);
    return item;
  }

  // Removes a path and all below it; what was of lower layers is remembered.
  #remove(item) {
    if (!item) return;
    this.#folders.clear();
    for (const each of [item, ...walk(item)]) this.#forget(each);
    item.parent.children.delete(item.name);
  }

  #forget(item) {
    const { touched, size, kind, mark } = item;
    if (touched < this.#layer || mark === "changed") this.#gone.set(pathOf(item), { layer: this.#layer, size, kind });
  }

  // Removes what lower layers have at and below a path.
  #clear(item, itself) {
    if (!item) return;
    for (const child of [...item.children?.values() ?? []]) this.#clear(child, true);
    if (!itself || item.touched >= this.#layer || !item.parent) return;
    this.#folders.clear();
    this.#forget(item);
    item.parent.children.delete(item.name);
  }
}
