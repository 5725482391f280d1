// Any two tags of a collection compared, at an address of its own: #compare=A...B
const section = document.querySelector("[data-compare]");
const { make, filesize, json, visible } = await import(section.dataset.elements);

const SHOWN = 500; // lines of one list
const LARGEST = 32 << 20; // bytes of an SBOM that are read
const base = new URL(section.dataset.compare, location);
const twin = (tag) => json(new URL(`tags/${tag}/index.json`, base));

// Each name with what it is in the two, where that differs.
function* changes(old, now) {
  for (const name of [...new Set([...old.keys(), ...now.keys()])].sort()) {
    const [before, after] = [old.get(name), now.get(name)];
    if (before === after) continue;
    yield { kind: before === undefined ? "added" : after === undefined ? "removed" : "changed", name, before, after };
  }
}

const pairs = (list) => new Map((list ?? []).map(({ name, value }) => [name, value ?? ""]));

const imageOf = (view, platform) => view.images?.find((image) => image.platform === platform) ?? view.images?.[0] ?? {};

// Reads the packages of an SBOM: SPDX, CycloneDX or Syft's own, bare or as a statement.
const packages = (document) => {
  if (document.payload) document = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(document.payload), (letter) => letter.charCodeAt(0))));
  if (document.predicate) document = document.predicate.Data ?? document.predicate;
  const list = document.packages ?? document.components ?? document.artifacts;
  if (!Array.isArray(list)) return undefined;
  const found = new Map();
  for (const { group, name, version, versionInfo } of list) {
    const full = group ? `${group}/${name}` : String(name);
    found.set(full, [...new Set([...found.get(full)?.split(", ") ?? [], String(versionInfo ?? version ?? "")])].sort().join(", "));
  }
  return found;
};

const sbom = async (view) => {
  const items = (view.attached ?? []).filter((group) => group.kind === "sbom").flatMap((group) => group.items);
  for (const item of items) {
    if (!item.download || item.size > LARGEST) continue;
    const found = await fetch(item.download).then((answer) => answer.json()).then(packages).catch(() => undefined);
    if (found) return found;
  }
  return undefined;
};

const listings = new Map(); // by digest: two tags share most of their layers
const listing = (digest) => {
  if (!listings.has(digest)) listings.set(digest, json(new URL(`blobs/${digest}/files.json`, base)));
  return listings.get(digest);
};

// Each path of an image with what tells its content: the layer it is in, and its entry there.
const files = async (image) => {
  const layers = image.layers ?? [];
  const { FileTree, walk, pathOf } = await import(section.dataset.tree);
  const tree = new FileTree();
  for (const { entries } of await Promise.all(layers.map(({ digest }) => listing(digest)))) tree.apply(entries);
  const found = new Map();
  for (const item of walk(tree.root)) {
    if (item.kind === "d") continue;
    const { kind, size, mode, offset, target, pieces, layer } = item;
    found.set(pathOf(item), JSON.stringify([layers[layer].digest, kind, size, mode, offset, target, pieces]));
  }
  return found;
};

const line = ({ kind, name, before, after }) => {
  const row = make("li", {}, make("span", { class: `mark ${kind}` }, kind), " ", make("code", {}, visible(name)));
  if (before) row.append(" ", make("del", {}, before));
  if (after) row.append(" ", make("ins", {}, after));
  return row;
};

const part = (title, found, shown = line) => {
  const lines = [...found];
  const tally = ["added", "removed", "changed"].map((kind) => [lines.filter((each) => each.kind === kind).length, kind]).filter(([n]) => n);
  const said = tally.map(([n, kind]) => `${n.toLocaleString("en")} ${kind}`).join(", ") || "the same";
  const details = make("details", {}, make("summary", {}, title, make("span", { class: "quiet" }, ` ${said}`)));
  details.open = lines.length > 0 && lines.length <= 40;
  if (lines.length) details.append(make("ul", { class: "changes" }, ...lines.slice(0, SHOWN).map(shown)));
  if (lines.length > SHOWN) details.append(make("p", { class: "quiet" }, `The first ${SHOWN} are shown.`));
  return details;
};
const unknown = (title, why) => make("p", { class: "quiet" }, `${title}: ${why}`);

const compared = async (a, b) => {
  const [old, now] = await Promise.all([twin(a), twin(b)]);
  const after = imageOf(now), before = imageOf(old, after.platform);
  const grown = (now.size ?? 0) - (old.size ?? 0);
  const size = grown ? `${filesize(Math.abs(grown))} ${grown > 0 ? "larger" : "smaller"}` : "the same size";
  const layers = (image) => new Map((image.layers ?? []).map((layer) => [layer.digest, `${filesize(layer.size)} ${layer.title ?? layer.instruction ?? ""}`.trim()]));
  const found = [make("p", {}, now.digest === old.digest ? "Both are the same image." : `${b} is ${size}.`, after.platform ? ` Compared for ${after.platform}.` : "")];
  found.push(part("Layers", changes(layers(before), layers(after))));
  for (const [title, key] of [["Configuration", "settings"], ["Environment", "env"], ["Labels", "labels"], ["Annotations", "annotations"]]) {
    if (before[key] || after[key]) found.push(part(title, changes(pairs(before[key]), pairs(after[key]))));
  }
  try {
    const differ = changes(await files(before), await files(after));
    found.push(part("Files", differ, ({ kind, name }) => line({ kind, name: `/${name}` })));
  } catch {
    found.push(unknown("Files", "unknown, as not all layers are listed."));
  }
  const [had, has] = await Promise.all([sbom(old), sbom(now)]);
  found.push(had && has ? part("Packages", changes(had, has)) : unknown("Packages", "unknown, as only tags with an SBOM can be compared."));
  return found;
};

const { tags } = await json(new URL("tags/index.json", base)).catch(() => ({ tags: [] }));
section.querySelector("button").remove();
if (tags.length < 2) section.append(make("p", { class: "quiet" }, "There is no other tag to compare with."));
else {
  const select = (label, chosen) => {
    const element = make("select", { "aria-label": label }, ...tags.map((tag) => make("option", { value: tag }, tag)));
    element.value = chosen;
    return element;
  };
  const { tag, previous } = section.dataset;
  const from = select("Compare from", previous || tags.find((other) => other !== tag));
  const to = select("Compare to", tag);
  const go = make("button", { type: "button", class: "primary" }, "Compare");
  const result = make("div", { role: "region", "aria-label": "What differs", "aria-live": "polite" });
  go.addEventListener("click", () => { location.hash = `compare=${from.value}...${to.value}`; });
  section.append(make("p", { class: "tools start" }, from, "with", to, go), result);
  let asked = 0;
  const follow = async (first) => {
    const [, a, b] = /^#compare=(.+?)\.\.\.(.+)$/.exec(decodeURI(location.hash)) ?? [];
    const mine = asked += 1;
    if (!tags.includes(a) || !tags.includes(b)) {
      result.replaceChildren();
      return;
    }
    [from.value, to.value] = [a, b];
    result.replaceChildren("Comparing…");
    const found = await compared(a, b).catch((error) => [make("p", { class: "notice bad" }, error.message)]);
    if (mine !== asked) return;
    result.replaceChildren(make("h3", {}, `${a} → ${b}`), ...found);
    if (first === true) section.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow(true);
}
