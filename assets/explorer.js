// The file explorer of a tag's page: what its layers make together, and single files out of them.
// All names and contents are strangers': they are only ever put in as text, pictures by their bytes.
const sections = [...document.querySelectorAll("[data-explorer]")];
const { make, filesize, count, json, visible } = await import(sections[0].dataset.elements);

const SHOWN = 300; // rows of one folder or search, before "more"
const TEXT = 512 << 10; // bytes of a text that are shown
const PICTURES = [
  ["image/png", [137, 80, 78, 71, 13, 10, 26, 10]],
  ["image/jpeg", [255, 216, 255]],
  ["image/gif", [71, 73, 70, 56]],
  ["image/webp", [82, 73, 70, 70, , , , , 87, 69, 66, 80]],
];
const KINDS = { d: "folder", l: "link", c: "character device", b: "block device", p: "pipe" };

const mode = (bits) => [..."rwxrwxrwx"].map((letter, n) => (bits >> 8 - n & 1 ? letter : "-")).join("");
class Explorer {
  #section;
  #mark; // what an address of a file of this image begins with
  #layers;
  #tree;
  #pathOf;
  #walk;
  #opened = false; // a file, by this page

  constructor(section) {
    this.#section = section;
    this.#mark = `#file${section.dataset.explorer && `:${section.dataset.explorer}`}=`;
    const links = [...section.querySelectorAll("a[data-layer]")];
    const open = make("button", { type: "button", class: "primary" }, "Browse the files");
    this.start = () => this.loaded ??= this.#start(links, open);
    open.addEventListener("click", async () => (await this.start())?.querySelector("input").focus());
    section.querySelector("p").after(make("p", {}, open));
  }

  async #start(links, button) {
    button.disabled = true;
    button.textContent = "Opening…";
    try {
      await this.#load(links);
    } catch (error) {
      button.replaceWith(make("span", { role: "status", class: "notice bad" }, error.message));
      return undefined;
    }
    const box = this.#box();
    button.parentElement.replaceWith(box);
    return box;
  }

  async #load(links) {
    const { tree, reader, inflate } = this.#section.dataset;
    const [{ FileTree, pathOf, walk }, { Layer }, ...listings] = await Promise.all([
      import(tree), import(reader), ...links.map((link) => json(link.href)),
    ]);
    [this.#pathOf, this.#walk] = [pathOf, walk];
    this.#layers = links.map((link, n) => new Layer({
      url: link.dataset.url, digest: link.dataset.layer, size: Number(link.dataset.size),
      listing: listings[n], index: new URL("files.gzidx", link.href), inflate: () => import(inflate),
    }));
    this.#tree = new FileTree();
    for (const listing of listings) this.#tree.apply(listing.entries);
    this.#tree.finish();
  }

  #box() {
    const search = make("input", { type: "search", placeholder: "Search in paths", "aria-label": "Search in paths" });
    const layers = this.#layers.map((_, n) => [String(n), `Layer ${n + 1}`]);
    const select = (label, options) => make("select", { "aria-label": label }, ...options.map(([value, text]) => make("option", { value }, text)));
    const layer = select("Layer", [["", "Every layer"], ...layers]);
    const mark = select("Change", [["", "All files"], ["added", "Added"], ["changed", "Changed"], ["removed", "Removed"]]);
    const said = make("span", { role: "status" });
    const list = make("div", { class: "tree" });
    const show = () => {
      const wanted = search.value.trim().toLowerCase();
      if (!wanted && !layer.value && !mark.value) {
        said.textContent = count(this.#tree.root.files, "file");
        list.replaceChildren(this.#folder(this.#tree.root));
        return;
      }
      const found = [];
      for (const item of this.#walk(this.#tree.root)) {
        if (item.kind === "d" || layer.value && item.layer !== Number(layer.value) || mark.value && item.mark !== mark.value) continue;
        const path = this.#pathOf(item);
        if (path.toLowerCase().includes(wanted)) found.push([item, path]);
      }
      said.textContent = found.length > SHOWN ? `${count(found.length, "file")}, the first ${SHOWN} shown` : count(found.length, "file");
      list.replaceChildren(make("ul", {}, ...found.slice(0, SHOWN).map(([item, path]) => this.#row(item, path))));
    };
    for (const [element, event] of [[search, "input"], [layer, "change"], [mark, "change"]]) element.addEventListener(event, show);
    show();
    return make("div", { class: "explorer" }, make("div", { class: "tools" }, said, search, layer, mark), list);
  }

  // The rows of one folder, folders first; those of a large one a part at a time.
  #folder(folder) {
    const items = [...folder.children?.values() ?? []].sort((a, b) => Number(b.kind === "d") - Number(a.kind === "d") || (a.name < b.name ? -1 : 1));
    const list = make("ul");
    const more = (from) => {
      list.append(...items.slice(from, from + SHOWN).map((item) => this.#row(item, item.name)));
      const left = items.length - from - SHOWN;
      if (left <= 0) return;
      const button = make("button", { type: "button" }, `${left.toLocaleString("en")} more`);
      const row = make("li", {}, button);
      button.addEventListener("click", () => {
        row.remove();
        more(from + SHOWN);
        list.children[from + SHOWN]?.querySelector("summary,button")?.focus();
      });
      list.append(row);
    };
    more(0);
    return list;
  }

  #row(item, name) {
    const row = make("li");
    if (item.kind === "d") {
      const facts = [count(item.files, "file"), filesize(item.total), ...item.changes ? [count(item.changes, "change")] : []];
      const summary = make("summary", {}, make("bdi", {}, `${visible(name)}/`), make("span", { class: "quiet" }, facts.join(" · ")));
      const details = make("details", {}, summary);
      details.addEventListener("toggle", () => {
        if (details.open && details.children.length === 1) details.append(this.#folder(item));
      });
      row.append(details);
      return row;
    }
    const gone = item.mark === "removed";
    const facts = make("span", { class: "quiet" });
    if (item.kind === "f" || item.kind === "h") facts.append(filesize(item.size));
    else if (item.kind === "l") facts.append("→ ", make("bdi", {}, visible(item.target)));
    else facts.append(KINDS[item.kind]);
    const chip = make("span", { class: "layer" }, `layer ${item.layer + 1}`);
    chip.style.setProperty("--hue", item.layer * 137 % 360);
    if (gone) row.append(make("del", {}, make("bdi", {}, visible(name))));
    else if ("cbp".includes(item.kind)) row.append(make("bdi", {}, visible(name)));
    else row.append(make("a", { href: `${this.#mark}${encodeURIComponent(this.#pathOf(item))}` }, make("bdi", {}, visible(name))));
    row.append(facts);
    if (item.layer || gone) row.append(make(gone ? "del" : "ins", { class: "mark" }, item.mark));
    row.append(chip);
    return row;
  }

  // Shows the file that the address names, where it is one of this image.
  async follow() {
    if (!location.hash.startsWith(this.#mark)) return;
    const wanted = location.hash.slice(this.#mark.length);
    const folded = this.#section.closest("details");
    if (folded) folded.open = true;
    if (!await this.start()) return;
    let path;
    try {
      path = decodeURIComponent(wanted);
    } catch {
      return; // no address of ours
    }
    const found = this.#find(path);
    if (found?.kind === "d") this.#reveal(this.#pathOf(found));
    else await this.#show(path, found);
  }

  #find(path) {
    try {
      return this.#tree.find(path);
    } catch {
      return undefined; // links in a circle
    }
  }

  // Opens the folders down to one.
  #reveal(path) {
    let list = this.#section.querySelector(".tree"), folder = this.#tree.root;
    for (const name of path.split("/")) {
      const details = [...list.querySelectorAll(":scope > ul > li > details")].find((each) => each.querySelector("bdi").textContent === `${visible(name)}/`);
      folder = folder.children.get(name);
      if (!details) return;
      details.open = true;
      if (details.children.length === 1) details.append(this.#folder(folder));
      list = details;
    }
    list.querySelector("summary")?.focus();
  }

  async #show(path, item) {
    document.querySelector("dialog.file")?.remove();
    const facts = make("p", { class: "facts", role: "status" }, "Fetching…");
    const body = make("div", { class: "content" });
    const close = make("button", { type: "button" }, "Close");
    const tools = make("p", { class: "tools" }, make("span"), close);
    const dialog = make("dialog", { class: "file", "aria-labelledby": "file-name" }, make("h3", { id: "file-name" }, make("bdi", {}, visible(`/${path}`))), facts, body, tools);
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      for (const link of dialog.querySelectorAll("[download]")) URL.revokeObjectURL(link.href);
      dialog.remove();
      if (location.hash.startsWith(this.#mark)) history.pushState(null, "", location.pathname + location.search);
    });
    document.body.append(dialog);
    dialog.showModal();
    try {
      if (!item) throw new Error("This image has no file at that path.");
      if (!"fh".includes(item.kind)) throw new Error(`This is a ${KINDS[item.kind]}, not a file.`);
      const layer = this.#layers[item.layer];
      const before = layer.fetched;
      const bytes = await layer.read(item);
      const said = [filesize(item.size), mode(item.mode), `layer ${item.layer + 1}`, `${filesize(layer.fetched - before)} of ${filesize(layer.size)} fetched`,
        layer.checked ? "layer checked against its digest" : "part of a layer, digest not checked"];
      facts.replaceChildren(...said.map((text) => make("span", {}, text)));
      body.append(content(bytes, path));
      tools.prepend(download(bytes, item.name));
    } catch (error) {
      facts.replaceChildren(make("span", { class: "notice bad" }, error.message));
    }
  }
}

const download = (bytes, name) => {
  const data = new Blob([bytes], { type: "application/octet-stream" });
  return make("a", { class: "button", href: URL.createObjectURL(data), download: name }, "Download");
};

const unknown = () => make("p", { class: "quiet" }, "This is neither text nor an image that can be shown. You can download it.");

const content = (bytes, path) => {
  const type = PICTURES.find(([, start]) => start.every((byte, n) => bytes[n] === byte))?.[0];
  if (type) {
    const picture = make("img", { alt: path });
    picture.addEventListener("load", () => URL.revokeObjectURL(picture.src));
    picture.addEventListener("error", () => picture.replaceWith(unknown()));
    picture.src = URL.createObjectURL(new Blob([bytes], { type }));
    return picture;
  }
  if (!bytes.length) return make("p", { class: "quiet" }, "The file is empty.");
  try {
    const cut = bytes.length > TEXT;
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, TEXT), { stream: cut });
    if (text.includes("\0")) throw new TypeError("binary");
    return make("pre", { tabindex: "0" }, make("code", { dir: "auto" }, text, cut ? "\n…" : ""));
  } catch {
    return unknown();
  }
};

const explorers = sections.map((section) => new Explorer(section));
const follow = () => {
  if (!/^#file[:=]/.test(location.hash)) document.querySelector("dialog.file")?.close();
  for (const explorer of explorers) explorer.follow();
};
addEventListener("hashchange", follow);
follow();
