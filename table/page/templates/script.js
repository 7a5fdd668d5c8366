"use strict";

const root = document.documentElement;
const grid = document.getElementById("grid");
const cells = [...grid.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll(".cell")]);
const all = cells.flat();

/* The address is the state: #gaussian/pairs opens a cell, #simclr the cell of a method. */

// Following an address takes the focus away from the link, so the browser cannot give it back by itself.
let opener = null;
document.addEventListener("click", (event) => (opener = event.target.closest("a[href^='#'], .cell") ?? opener));

function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const dialog = target?.closest("dialog");
  document.querySelectorAll("dialog[open]").forEach((other) => other !== dialog && other.close());
  const details = target?.closest("details");
  if (details) details.open = true;
  if (dialog) {
    if (!dialog.open) dialog.showModal();
    dialog.querySelector("h2").focus();
    makeScrollable(dialog);
  }
  if (target?.matches("article")) {
    target.scrollIntoView({ block: "start" });
    target.focus({ preventScroll: true }); // it and not its heading: the browser focuses the target of an address too
  }
}

function leave(dialog) {
  const here = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (here && dialog.contains(here)) history.replaceState(null, "", location.pathname + location.search);
  if (document.querySelector("dialog[open]")) return; // it gave way to another one
  (opener ?? all.find((cell) => cell.dataset.opens === dialog.id)).focus();
  opener = null;
}

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("close", () => leave(dialog));
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
addEventListener("hashchange", follow);

/* What scrolls must be reachable by keyboard. */

function makeScrollable(within) {
  for (const box of within.querySelectorAll(".formula, .scroll, pre")) {
    const tall = box.matches(".tall") && box.scrollHeight > box.clientHeight;
    if (tall || box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

// What is in closed details has no size that could be asked for before.
for (const details of document.querySelectorAll("details")) {
  details.addEventListener("toggle", () => makeScrollable(details));
}

/* One tab stop for the grid; arrows move inside it. */

function enter(cell) {
  for (const other of all) other.tabIndex = other === cell ? 0 : -1;
  cell.focus();
}

grid.addEventListener("keydown", (event) => {
  const row = cells.findIndex((line) => line.includes(event.target));
  if (row < 0 || event.altKey || event.metaKey) return;
  const column = cells[row].indexOf(event.target);
  const last = cells[row].length - 1;
  const moves = {
    ArrowRight: [row, column + 1],
    ArrowLeft: [row, column - 1],
    ArrowDown: [row + 1, column],
    ArrowUp: [row - 1, column],
    Home: [event.ctrlKey ? 0 : row, 0],
    End: [event.ctrlKey ? cells.length - 1 : row, last],
  };
  if (!(event.key in moves)) return;
  event.preventDefault();
  const [down, across] = moves[event.key];
  const next = cells[down]?.[across];
  if (next) enter(next);
});

grid.addEventListener("click", (event) => {
  const cell = event.target.closest(".cell");
  if (!cell) return;
  enter(cell);
  location.hash = cell.dataset.opens;
});

/* Families. */

const filters = [...document.querySelectorAll("[data-filter]")];

function filter(pressed) {
  const family = pressed.dataset.filter;
  for (const button of filters) button.setAttribute("aria-pressed", String(button === pressed));
  let shown = 0;
  for (const cell of all) {
    const entries = [...cell.querySelectorAll(".entry")];
    for (const entry of entries) entry.classList.toggle("dim", Boolean(family) && entry.dataset.family !== family);
    const matching = entries.filter((entry) => !entry.classList.contains("dim")).length;
    cell.classList.toggle("dim", Boolean(family) && matching === 0);
    shown += matching;
  }
  document.getElementById("filtered").textContent = `${pressed.textContent}: ${shown} methods`;
}

for (const button of filters) {
  button.addEventListener("click", () => {
    filter(button.getAttribute("aria-pressed") === "true" ? filters[0] : button);
  });
}

/* Theme: the system's, until the reader chooses. */

const theme = document.getElementById("theme");
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function remembered(value) {
  try {
    if (value) localStorage.setItem("theme", value);
    return localStorage.getItem("theme");
  } catch {
    return null; // storage may be forbidden; the choice then lasts as long as the page
  }
}

function paint() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches;
  theme.setAttribute("aria-pressed", String(dark));
}

theme.addEventListener("click", () => {
  root.dataset.theme = theme.getAttribute("aria-pressed") === "true" ? "light" : "dark";
  remembered(root.dataset.theme);
  paint();
});
systemDark.addEventListener("change", paint);
if (remembered()) root.dataset.theme = remembered();
paint();

/* Copy and download. */

async function copy(button) {
  const source = button.closest("figure").querySelector("code");
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copy(button));

document.getElementById("download").addEventListener("click", () => {
  const data = document.getElementById("data").textContent;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([data], { type: "application/json" }));
  link.download = "table.json";
  link.click();
  URL.revokeObjectURL(link.href);
});

makeScrollable(document);
addEventListener("resize", () => makeScrollable(document));
follow();
