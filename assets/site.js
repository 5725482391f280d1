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

  // What was asked for is shown in place of the list that stands there without script.
  if (document.currentScript.dataset.asks && location.search) root.dataset.asked = "";

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

  // What scrolls can be scrolled by keys.
  const codeBlocks = () => { for (const block of all("pre:not([tabindex])")) block.tabIndex = 0; };

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
    let words; // made when first asked for: a page without such a time starts sooner
    const today = new Date().setUTCHours(0, 0, 0, 0);
    const ago = (element) => {
      const days = (new Date(element.dateTime).setUTCHours(0, 0, 0, 0) - today) / 864e5;
      if (Number.isNaN(days)) return "";
      const [length, unit] = [[365, "year"], [30, "month"], [1, "day"]].find(([n]) => Math.abs(days) >= n) ?? [1, "day"];
      words ??= new Intl.RelativeTimeFormat(root.lang || "en", { numeric: "auto" });
      return words.format(Math.trunc(days / length), unit);
    };
    for (const element of all("time[data-ago]")) {
      const text = ago(element);
      if (text) element.append(`, ${text}`);
    }
    // The others say it when asked: there may be hundreds.
    addEventListener("mouseover", ({ target }) => {
      if (target.matches?.("time:not([data-ago],[title])")) target.title = ago(target);
    });
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
    const names = (some) => some.reduce((sum, row) => sum + row.cells[0].querySelectorAll("a:not(.badge)").length, 0);
    const groups = all(".tagged details").filter((group) => group.querySelector("table"));
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
      const shown = names(rows.filter((row) => !row.hidden));
      count.textContent = wanted ? (shown ? `${shown} of ${names(rows)}` : `no tag of ${names(rows)} has "${wanted}"`) : "";
      for (const table of tables) table.parentElement.hidden = !table.querySelector("tbody tr:not([hidden])");
      for (const group of groups) {
        group.hidden = group.querySelector(".scroll").hidden;
        group.open = Boolean(wanted) && !group.hidden;
      }
    });
  };

  addEventListener("DOMContentLoaded", () => [themeButton, codeBlocks, copyButtons, clients, times, tagTables].forEach((start) => start()));
})();
