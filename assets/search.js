"use strict";
(() => {
  const root = document.documentElement;
  const base = root.dataset.base;
  const QUICK = 8, SHOWN = 60;
  const make = (tag, attributes = {}, ...content) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...content);
    return element;
  };
  const get = (path) => fetch(base + path).then((answer) => answer.json());

  // `-`, `_` and none are equal; a word begins after a space.
  const plain = (text) => text.toLowerCase().replace(/[-_]/g, "");
  const spaced = (text) => text.replace(/[^\p{L}\p{N}.+]+/gu, " ");
  const words = (...texts) => {
    const text = texts.join(" ").toLowerCase();
    return spaced(` ${plain(text)} ${text} `);
  };

  // The index: what `search.json` has, ready to be looked at.
  const read = (data, deprecated = new Set(data.deprecated)) => data.name.map((name, n) => {
    const on = data.on[n].map((platform) => data.platforms[platform]);
    return {
      name, on, title: data.title[n], description: data.description[n], kind: data.kind[n],
      license: data.license[n], size: data.size[n], updated: data.updated[n], newest: data.newest[n],
      tags: data.tags[n].split(" "), yanked: (data.yanked[n] ?? "").split(" "),
      deprecated: deprecated.has(n), plain: plain(name), last: plain(name.slice(name.lastIndexOf("/") + 1)),
      head: words(name, data.title[n], data.keywords[n]),
      facts: words(data.license[n], data.kind[n], ...on), text: words(data.description[n]), marks: ` ${plain(data.tags[n])} `,
    };
  });
  let index;
  const load = () => index ??= get("search.json").then(async (first) => {
    const rest = await Promise.all(first.parts.slice(1).map(get));
    return { items: [first, ...rest].flatMap((data) => read(data)), shards: first.shards, vocabulary: null };
  });
  const shards = {};
  const shard = (known, term) => {
    const name = ["all", term[0], term.slice(0, 2)].find((start) => known.includes(start)) ?? "other";
    return known.includes(name) ? shards[name] ??= get(`search/words/${name}.json`) : null;
  };

  // At most `limit` letters more, less or other.
  const near = (word, other, limit) => {
    if (Math.abs(word.length - other.length) > limit) return false;
    let line = [...Array(other.length + 1).keys()];
    for (let i = 0; i < word.length; i += 1) {
      const next = [i + 1];
      for (let j = 0; j < other.length; j += 1) next.push(Math.min(next[j] + 1, line[j + 1] + 1, line[j] + (word[i] !== other[j])));
      if (Math.min(...next) > limit) return false;
      line = next;
    }
    return line.at(-1) <= limit;
  };
  const slips = (known, word) => {
    const found = new Map();
    if (word.length < 4) return found;
    if (!known.vocabulary) {
      known.vocabulary = new Map();
      known.items.forEach((item, n) => {
        for (const part of new Set(item.head.split(" "))) {
          if (!known.vocabulary.has(part)) known.vocabulary.set(part, []);
          known.vocabulary.get(part).push(n);
        }
      });
    }
    const alike = (other) => other[0] === word[0] || (other[1] === word[1] && other.at(-1) === word.at(-1));
    for (const [other, places] of known.vocabulary) {
      if (alike(other) && near(word, other, word.length > 7 ? 2 : 1)) for (const n of places) found.set(n, { points: 1 });
    }
    return found;
  };

  const points = (item, { word, said, tag }) => {
    const best = { points: 0 };
    const count = (value, more) => { if (value > best.points) Object.assign(best, { points: value }, more); };
    if (!tag) {
      const place = item.plain.indexOf(word);
      if (item.plain === word) count(40);
      else if (item.last === word) count(30);
      else if (place >= 0 && (place === 0 || item.plain[place - 1] === "/")) count(14);
      else if (place >= 0 && word.length > 2) count(8);
      if (item.head.includes(` ${said}`)) count(item.head.includes(` ${said} `) ? 10 : 6);
      if (item.facts.includes(` ${said} `)) count(5);
      if (item.text.includes(` ${said}`)) count(3);
      if (/[^\x00-\x7f]/.test(word) && (item.head + item.text).includes(word)) count(3);
    }
    if (item.marks.includes(` ${word} `)) count(9, { mark: word });
    else if (item.marks.includes(` ${word}`)) count(2, { mark: word });
    return best;
  };

  // What has one term, by number: points, and the tag it was found in.
  const holders = (known, term, more) => {
    const found = new Map();
    known.items.forEach((item, n) => {
      const best = term.digest ? { points: 0 } : points(item, term);
      if (best.points) found.set(n, best);
    });
    for (const [word, places] of Object.entries(term.tag || !more ? {} : more.words)) {
      if (word.startsWith(term.word)) for (const n of places) if (!found.has(n)) found.set(n, { points: 1.5, word });
    }
    for (const [name, places] of Object.entries(more?.tags ?? {})) {
      const exact = plain(name) === term.word;
      if (plain(name).startsWith(term.word)) for (const n of places) if (exact || !found.has(n)) found.set(n, { points: exact ? 9 : 2, hit: name });
    }
    if (/^[0-9a-f]{6,}$/.test(term.word)) {
      for (const [start, [n, hit]] of Object.entries(more?.digests ?? {})) {
        if (start.startsWith(term.word) || term.word.startsWith(start)) found.set(n, { points: 25, hit });
      }
    }
    return found.size || term.tag || term.digest ? found : slips(known, term.word);
  };

  const terms = (query) => query.toLowerCase().split(/\s+/).filter(Boolean).flatMap((text) => {
    const [, digest] = text.match(/^@?sha(?:256|512):([0-9a-f]*)$/) ?? [];
    if (digest !== undefined) return { word: digest, digest: true };
    const [name, tag] = text.replace(/^org\.(opencontainers\.image|label-schema)\./, "").split(":");
    return [{ word: plain(name), said: spaced(plain(name)).trim() || name }, { word: plain(tag ?? ""), tag: true }];
  }).filter(({ word }) => word);

  // Yields what is found at once, and again when more was read.
  async function* find(query) {
    const known = await load();
    const asked = terms(query);
    const answer = (more) => {
      const all = asked.map((term, n) => holders(known, term, more[n]));
      const [least, ...others] = [...all].sort((a, b) => a.size - b.size);
      if (!least) return known.items.map((item) => ({ item, points: 0 }));
      return [...least.keys()].filter((n) => others.every((other) => other.has(n))).map((n) => {
        const hits = all.map((found) => found.get(n));
        const total = hits.reduce((sum, hit) => sum + hit.points, 0);
        return Object.assign({ item: known.items[n] }, ...hits, { points: total });
      }).sort((a, b) => b.points - a.points || a.item.name.length - b.item.name.length || (a.item.name < b.item.name ? -1 : 1));
    };
    yield answer([]);
    const more = asked.map(({ word }) => (word.length > 1 ? shard(known.shards, word) : null));
    if (more.some(Boolean)) yield answer(await Promise.all(more));
  }

  const marked = (text, asked) => {
    const parts = asked.filter(({ word }) => word).map(({ word }) => [...word].map((char) => char.replace(/[^\p{L}\p{N}]/u, "\\$&")).join("[-_]?"));
    if (!parts.length) return [text];
    return text.split(new RegExp(`(${parts.join("|")})`, "giu")).map((part, n) => (n % 2 ? make("mark", {}, part) : part));
  };

  const row = ({ item, hit, mark, word }, asked) => {
    if (mark) hit ??= item.tags.find((tag) => plain(tag) === mark) ?? item.tags.find((tag) => plain(tag).startsWith(mark));
    const about = make("div", {}, make("a", { class: "row-name", href: `${base}${item.name}/` }, ...marked(item.name, asked)));
    const badge = (text, kind) => about.append(" ", make("span", { class: `badge ${kind}` }, text));
    if (item.kind !== "image" && item.kind !== "empty") badge(item.kind, "");
    if (item.deprecated) badge("deprecated", "warn");
    if (!item.newest && item.yanked[0]) badge("yanked", "bad");
    if (item.description) about.append(make("p", { dir: "auto" }, ...marked(item.description, asked)));
    if (hit) {
      const link = make("a", { href: `${base}${item.name}/tags/${hit}/` }, `${item.name}:${hit}`);
      about.append(make("p", { class: "why" }, "tag ", link, item.yanked.includes(hit) ? " (yanked)" : ""));
    } else if (word) about.append(make("p", { class: "why" }, "found in its README or a label: ", make("mark", {}, word)));
    const facts = make("p", { class: "facts" });
    for (const [name, text] of [["version", item.newest], ["", item.updated]]) if (text) facts.append(make("span", { class: name }, text));
    return make("li", { class: "row" }, about, facts);
  };

  const told = (count, query) => count ? `${count} found` : `Nothing found${query ? ` for “${query}”` : ""}.`;

  const orders = {
    "Best match": () => 0,
    Name: (a, b) => (a.item.name < b.item.name ? -1 : 1),
    Updated: (a, b) => b.item.updated.localeCompare(a.item.updated),
    Size: (a, b) => b.item.size - a.item.size,
  };
  const facets = { kind: ["Kind", ({ item }) => (item.kind === "empty" ? [] : [item.kind])], on: ["Platform", ({ item }) => item.on], license: ["Licence", ({ item }) => (item.license ? [item.license] : [])] };

  // The page of its own: all that is found, narrowed by facets, its state in the address.
  const page = (field, results, status, list) => {
    const names = document.getElementById("names");
    const chosen = Object.fromEntries(new URLSearchParams(location.search));
    const tools = make("div", { class: "tools" }, status);
    const select = (key, label) => {
      const element = make("select", { "aria-label": label });
      element.addEventListener("change", () => { chosen[key] = element.value; show(); });
      tools.append(element);
      return element;
    };
    const selects = Object.entries(facets).map(([key, [label]]) => [key, select(key, label)]);
    const order = select("sort", "Order");
    order.append(...Object.keys(orders).map((name) => make("option", { value: name }, name)));
    if (chosen.sort in orders) order.value = chosen.sort;
    results.append(tools, list);
    const fits = (found, but) => selects.every(([key]) => key === but || !chosen[key] || facets[key][1](found).includes(chosen[key]));
    const fill = (key, element, found) => {
      const counts = new Map();
      for (const one of found) if (fits(one, key)) for (const value of facets[key][1](one)) counts.set(value, (counts.get(value) ?? 0) + 1);
      if (chosen[key] && !counts.has(chosen[key])) counts.set(chosen[key], 0);
      const options = [...counts].sort((a, b) => b[1] - a[1]).map(([value, count]) => make("option", { value }, `${value} (${count})`));
      element.replaceChildren(make("option", { value: "" }, `${facets[key][0]}: any`), ...options);
      element.value = chosen[key] ?? "";
    };
    let drawn; // what the list shows: words that were read later often find the same
    const draw = (found, query) => {
      for (const [key, element] of selects) fill(key, element, found);
      const shown = found.filter((one) => fits(one)).sort(orders[order.value]);
      results.hidden = false;
      status.textContent = `${told(shown.length, query)}${shown.length > SHOWN ? `, the first ${SHOWN} shown` : ""}`;
      for (const element of tools.querySelectorAll("select")) element.hidden = !found.length;
      list.hidden = !shown.length;
      const rows = shown.slice(0, SHOWN);
      const now = JSON.stringify([query, rows.map(({ item, hit, mark, word }) => [item.name, hit, mark, word])]);
      if (now !== drawn) list.replaceChildren(...rows.map((one) => row(one, terms(query))));
      drawn = now;
    };
    let turn = 0;
    const show = async () => {
      const mine = turn += 1;
      const query = field.value.trim();
      const state = new URLSearchParams(Object.entries({ ...chosen, q: query }).filter(([, value]) => value && value !== "Best match"));
      history.replaceState(null, "", `${location.pathname}${state.size ? `?${state}` : ""}`);
      if (!state.size) {
        results.hidden = true;
        delete root.dataset.asked;
      }
      if (names) names.hidden = Boolean(state.size);
      if (state.size) for await (const found of find(query)) if (mine === turn) draw(found, query);
    };
    field.value = chosen.q ?? field.value;
    field.addEventListener("input", show);
    show();
  };

  // Below the field of any other page: the first few.
  const menu = (form, field, results, status, list) => {
    const all = make("a", { href: `${base}search/` }, "All results");
    results.append(status, list, make("p", { class: "all" }, all));
    let turn = 0;
    field.addEventListener("focus", load, { once: true });
    field.addEventListener("input", async () => {
      const mine = turn += 1;
      const query = field.value.trim();
      results.hidden = !query;
      all.href = `${base}search/?${new URLSearchParams({ q: query })}`;
      if (query) {
        for await (const found of find(query)) {
          if (mine !== turn) return;
          status.textContent = told(found.length, query);
          all.hidden = !found.length;
          list.hidden = !found.length;
          list.replaceChildren(...found.slice(0, QUICK).map((one) => row(one, terms(query))));
        }
      }
    });
    form.addEventListener("focusout", (event) => { if (!form.contains(event.relatedTarget)) results.hidden = true; });
    field.addEventListener("focus", () => { results.hidden = !field.value.trim() || !list.children.length; });
  };

  const keys = (form, field, results) => {
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input,textarea,select,[contenteditable]");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      field.select();
    });
    const walk = (event) => {
      const links = [...results.querySelectorAll(".row-name")];
      const here = links.indexOf(document.activeElement);
      if (event.key === "Escape") {
        field.focus();
        if (form.contains(results)) results.hidden = true;
      } else if (event.key === "ArrowDown" && links.length) links[Math.min(here + 1, links.length - 1)].focus();
      else if (event.key === "ArrowUp" && here >= 0) (links[here - 1] ?? field).focus();
      else if (event.key === "Enter" && event.target === field && !form.contains(results)) links[0]?.click();
      else return;
      event.preventDefault();
    };
    field.addEventListener("keydown", walk);
    results.addEventListener("keydown", walk);
  };

  addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector(".find");
    if (!form) return;
    const field = form.querySelector("input");
    const own = document.getElementById("results");
    const results = own ?? make("div", { class: "hits", hidden: "" });
    const status = make("span", { role: "status" });
    const list = make("ul", { class: "rows" });
    if (!own) form.append(results);
    keys(form, field, results);
    if (own) page(field, results, status, list);
    else menu(form, field, results, status, list);
  });
})();
