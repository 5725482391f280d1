"use strict";
(() => {
  const root = document.documentElement;
  const base = root.dataset.base;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const make = (tag, attributes = {}, ...content) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...content);
    return element;
  };
  const recall = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private window */ } };

  // The chosen theme counts before the page is drawn.
  const themes = { auto: "M12 4a8 8 0 0 0 0 16z", light: "M12 8a4 4 0 1 0 .1 0zM12 2v2m0 16v2M2 12h2m16 0h2M5 5l1 1m12 12 1 1M5 19l1-1M18 6l1-1", dark: "M20 14A8 8 0 0 1 10 4a8 8 0 1 0 10 10z" };
  let theme = recall("theme") in themes ? recall("theme") : "auto";
  const dress = () => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
  };
  dress();

  const themeButton = () => {
    const button = make("button", { type: "button" });
    const show = () => {
      dress();
      const ring = theme === "auto" ? '<circle cx="12" cy="12" r="8" fill="none"/>' : "";
      button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true">${ring}<path d="${themes[theme]}"/></svg>`;
      button.title = `Theme: ${theme}`;
      button.setAttribute("aria-label", button.title);
    };
    button.addEventListener("click", () => {
      const names = Object.keys(themes);
      theme = names[(names.indexOf(theme) + 1) % names.length];
      keep("theme", theme);
      show();
    });
    show();
    document.querySelector(".bar nav").append(button);
  };

  const copyButtons = () => {
    for (const block of navigator.clipboard ? all("pre.command") : []) {
      const text = block.textContent;
      const button = make("button", { type: "button" }, "Copy");
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
      block.append(button);
    }
  };

  const clients = () => {
    for (const choice of all("input[name=client]")) {
      if (choice.value === recall("client")) choice.checked = true;
      choice.addEventListener("change", () => keep("client", choice.value));
    }
  };

  const times = () => {
    const words = new Intl.RelativeTimeFormat(root.lang || "en", { numeric: "auto" });
    const today = new Date().setUTCHours(0, 0, 0, 0);
    for (const element of all("time")) {
      const days = (new Date(element.dateTime).setUTCHours(0, 0, 0, 0) - today) / 864e5;
      if (Number.isNaN(days)) continue;
      const [length, unit] = [[365, "year"], [30, "month"], [1, "day"]].find(([n]) => Math.abs(days) >= n) ?? [1, "day"];
      const text = words.format(Math.trunc(days / length), unit);
      if ("ago" in element.dataset) element.append(`, ${text}`);
      else element.title = text;
    }
  };

  const sortable = (table) => {
    const rows = [...table.tBodies[0].rows];
    const value = (row, n) => row.cells[n].dataset.sort ?? row.cells[n].textContent.trim();
    const heads = all("thead th", table);
    heads.forEach((head, n) => {
      const button = make("button", { type: "button" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: "" }[head.getAttribute("aria-sort")] ?? "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        const order = [...rows];
        if (next) {
          head.setAttribute("aria-sort", next);
          order.sort((a, b) => value(a, n).localeCompare(value(b, n), "en", { numeric: true }));
        }
        table.tBodies[0].append(...(next === "descending" ? order.reverse() : order));
      });
    });
  };

  const tagTables = () => {
    const tables = all("table.tags");
    tables.forEach(sortable);
    const rows = tables.flatMap((table) => [...table.tBodies[0].rows]);
    if (rows.length < 8) return;
    const input = make("input", { type: "search", placeholder: "Filter tags", "aria-label": "Filter tags" });
    const count = make("span", { role: "status" });
    tables[0].parentElement.before(make("p", { class: "tools" }, count, input));
    const more = document.querySelector(".tagged details");
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = wanted ? (shown ? `${shown} of ${rows.length}` : `no tag of ${rows.length} has "${wanted}"`) : "";
      if (more) more.open = Boolean(wanted);
    });
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

  let index;
  const load = () => index ??= fetch(`${base}search.json`).then((answer) => answer.json()).then((data) => data.name.map((name, n) => {
    const text = `${name} ${data.title[n]} ${data.keywords[n]} ${data.description[n]}`.toLowerCase();
    const on = data.on[n].map((platform) => data.platforms[platform]);
    return { name, text, on, words: [...new Set(text.split(/[^\p{L}\p{N}]+/u))], tags: ` ${data.tags[n].toLowerCase()}`, digest: data.digest[n], description: data.description[n], kind: data.kind[n], size: data.size[n], updated: data.updated[n] };
  }));

  const score = (item, terms) => {
    let total = 0;
    for (const term of terms) {
      const place = item.name.indexOf(term);
      const digest = term.replace("sha256:", "");
      if (item.name === term) total += 30;
      else if (place >= 0) total += place === 0 || item.name[place - 1] === "/" ? 12 : 8;
      else if (item.words.some((word) => word.startsWith(term))) total += 5;
      else if (item.text.includes(term)) total += 3;
      else if (item.tags.includes(` ${term}`)) total += 4;
      else if (digest.length > 5 && item.digest && (item.digest.startsWith(digest) || digest.startsWith(item.digest))) total += 20;
      else if (term.length > 3 && item.words.some((word) => near(term, word, term.length > 7 ? 2 : 1))) total += 1;
      else return 0;
    }
    return total;
  };

  const orders = {
    "Best match": (a, b) => b.points - a.points,
    Name: () => 0,
    Updated: (a, b) => b.updated.localeCompare(a.updated),
    Size: (a, b) => b.size - a.size,
  };

  const search = () => {
    const field = document.getElementById("q");
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input,textarea,select,[contenteditable]");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      if (field) field.select();
      else location.href = `${base}search/`;
    });
    const results = document.getElementById("results");
    if (!field || !results) return;
    const names = document.getElementById("names");
    const asked = new URLSearchParams(location.search);
    const select = (key, label, options) => {
      const element = make("select", { "aria-label": label }, ...options.map(([value, title]) => make("option", { value }, title)));
      element.value = asked.get(key) ?? options[0][0];
      if (element.selectedIndex < 0) element.selectedIndex = 0;
      element.addEventListener("change", () => show());
      return [key, element];
    };
    const count = make("span", { role: "status" });
    const list = make("ul", { class: "rows" });
    let selects;
    const ready = (items) => {
      const values = (of) => [...new Set(items.flatMap(of))].sort().map((value) => [value, value]);
      selects = [
        select("kind", "Kind", [["", "Every kind"], ...values((item) => item.kind)]),
        select("on", "Platform", [["", "Every platform"], ...values((item) => item.on)]),
        select("sort", "Order", Object.keys(orders).map((name) => [name, name])),
      ];
      results.append(make("div", { class: "tools" }, count, ...selects.map(([, element]) => element)), list);
    };
    const show = async () => {
      const items = await load();
      if (!selects) ready(items);
      const query = field.value.trim().toLowerCase();
      const chosen = Object.fromEntries(selects.map(([key, element]) => [key, element.value]));
      const state = new URLSearchParams(query ? { q: field.value.trim() } : {});
      for (const [key, element] of selects) if (element.selectedIndex) state.set(key, element.value);
      history.replaceState(null, "", `${location.pathname}${state.size ? `?${state}` : ""}`);
      results.hidden = !state.size;
      if (names) names.hidden = !results.hidden;
      const terms = query.split(/\s+/).filter(Boolean);
      const found = items
        .filter((item) => (!chosen.kind || item.kind === chosen.kind) && (!chosen.on || item.on.includes(chosen.on)))
        .map((item) => ({ ...item, points: score(item, terms) }))
        .filter((item) => item.points || !terms.length)
        .sort(orders[chosen.sort]);
      count.textContent = `${found.length} found${found.length > 60 ? ", the first 60 shown" : ""}`;
      list.hidden = !found.length;
      list.replaceChildren(...found.slice(0, 60).map((item) => make("li", { class: "row" },
        make("div", {}, make("a", { class: "row-name", href: `${base}${item.name}/` }, item.name), make("p", {}, item.description)),
        make("p", { class: "facts" }, item.updated))));
    };
    field.addEventListener("input", show);
    field.value = asked.get("q") ?? field.value;
    if (asked.size) show();
  };

  addEventListener("DOMContentLoaded", () => [themeButton, copyButtons, clients, times, tagTables, search].forEach((start) => start()));
})();
