"use strict";
(() => {
  const base = document.body.dataset.base;
  const make = (tag, text, attributes = {}) => {
    const element = document.createElement(tag);
    element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const remembered = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private mode */ } };

  // Theme: as the system says, light, dark.
  const themes = ["auto", "light", "dark"];
  const apply = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  };
  let theme = themes.includes(remembered("theme")) ? remembered("theme") : "auto";
  apply(theme);
  const toggle = make("button", `Theme: ${theme}`, { type: "button" });
  toggle.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    apply(theme);
    remember("theme", theme);
    toggle.textContent = `Theme: ${theme}`;
  });
  document.querySelector(".bar nav")?.append(toggle);

  // Copy buttons.
  for (const block of document.querySelectorAll("pre.command")) {
    const button = make("button", "Copy", { type: "button" });
    const text = block.querySelector("code").textContent;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    block.classList.add("copyable");
    block.append(button);
  }

  // The client somebody chose is open on every page.
  const clients = [...document.querySelectorAll("details[data-client]")];
  const chosen = clients.find((item) => item.dataset.client === remembered("client"));
  if (chosen) for (const item of clients) item.open = item === chosen;
  for (const item of clients) {
    item.addEventListener("toggle", () => { if (item.open) remember("client", item.dataset.client); });
  }

  // Relative times beside the absolute ones.
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "auto" });
  for (const element of document.querySelectorAll("time[datetime]")) {
    const days = Math.round((new Date(element.dateTime) - Date.now()) / 864e5);
    const [count, unit] = Math.abs(days) > 540 ? [days / 365, "year"] : Math.abs(days) > 45 ? [days / 30, "month"] : [days, "day"];
    if (!Number.isNaN(days)) element.title = words.format(Math.round(count), unit);
  }

  // Sortable tables of tags, with a filter when they are long.
  for (const table of document.querySelectorAll("table.tags")) {
    const body = table.tBodies[0];
    const value = (row, n) => row.cells[n].dataset.sort ?? row.cells[n].textContent.trim();
    table.querySelectorAll("thead th").forEach((head, n) => {
      const button = make("button", head.textContent, { type: "button" });
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => value(a, n).localeCompare(value(b, n), "en", { numeric: true }));
        body.append(...(down ? rows.reverse() : rows));
      });
    });
    if (body.rows.length > 10) {
      const input = make("input", "", { type: "search", placeholder: "Filter tags", "aria-label": "Filter tags" });
      const box = make("p", "", { class: "search" });
      box.append(input);
      table.parentElement.before(box);
      input.addEventListener("input", () => {
        for (const row of body.rows) row.hidden = !row.cells[0].textContent.includes(input.value.trim());
      });
    }
  }

  // Search.
  const field = document.getElementById("q");
  const results = document.getElementById("results");
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName);
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (field) field.focus();
    else location.href = `${base}search/`;
  });
  if (!field || !results) return;
  results.setAttribute("role", "status");
  let index;
  const load = () => { index ??= fetch(`${base}search.json`).then((answer) => answer.json()); return index; };
  const near = (word, text) => { // one letter more, less or other
    if (word.length < 4) return false;
    return text.split(/[^a-z0-9]+/).some((other) => {
      if (Math.abs(other.length - word.length) > 1) return false;
      let i = 0;
      while (i < word.length && word[i] === other[i]) i += 1;
      const rest = (a, b) => a === b;
      return rest(word.slice(i + 1), other.slice(i + 1)) || rest(word.slice(i + 1), other.slice(i)) || rest(word.slice(i), other.slice(i + 1));
    });
  };
  const score = (data, n, terms) => {
    const name = data.name[n].toLowerCase();
    const text = [name, data.title[n], data.keywords[n], data.description[n], data.tags[n]].join(" ").toLowerCase();
    let total = 0;
    for (const word of terms) {
      if (name.split("/").pop().startsWith(word)) total += 9;
      else if (name.includes(word)) total += 6;
      else if (text.includes(word)) total += 3;
      else if (data.digest[n] && word.length > 5 && word.replace("sha256:", "").startsWith(data.digest[n].slice(0, 6))) total += 5;
      else if (near(word, text)) total += 1;
      else return 0;
    }
    return total;
  };
  const show = async () => {
    const query = field.value.trim().toLowerCase();
    history.replaceState(null, "", query ? `?q=${encodeURIComponent(query)}` : location.pathname);
    results.hidden = !query;
    if (!query) return;
    const data = await load();
    const terms = query.split(/\s+/);
    const found = data.name.map((name, n) => [score(data, n, terms), n]).filter(([points]) => points)
      .sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    const list = make("ul", "", { class: "rows" });
    for (const [, n] of found.slice(0, 50)) {
      const item = make("li", "", { class: "row" });
      item.append(make("a", data.name[n], { class: "row-name", href: `${base}${data.name[n]}/` }));
      if (data.description[n]) item.append(make("p", data.description[n]));
      list.append(item);
    }
    results.replaceChildren(make("p", `${found.length} found`, { class: "facts" }), ...(found.length ? [list] : []));
  };
  field.addEventListener("input", show);
  field.value = new URLSearchParams(location.search).get("q") ?? "";
  if (field.value) show();
})();
