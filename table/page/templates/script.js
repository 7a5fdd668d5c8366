const grid = document.getElementById("grid");
const cells = [...grid.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll(".cell")]);
const all = cells.flat();
const dialog = document.getElementById("opened");
const beside = document.getElementById("with");
const sides = [...dialog.querySelectorAll(".side")];

/* The address is the state: #gaussian/pairs opens a cell, #simclr the cell of a method, #simclr&with=student-t/knn two
   cells side by side, #compose&row=clusters&walks=3 a cell of one's own. */

function address() {
  const [name, ...settings] = decodeURIComponent(location.hash.slice(1)).split("&");
  return { name, settings: new URLSearchParams(settings.join("&")) };
}

function addressed(name) {
  return document.getElementById(`method/${name}`) ?? document.getElementById(name);
}

// Following an address takes the focus away from the link, so the browser cannot give it back by itself.
let opener = null;
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#'], .cell");
  if (link && !dialog.contains(link)) opener = link;
});

function follow() {
  const { name, settings } = address();
  const target = addressed(name);
  const side = target?.closest(".side");
  const other = addressed(settings.get("with"))?.closest(".side");
  if (side) open(side, other === side ? null : other);
  else if (dialog.open) dialog.close();
  const details = target?.closest("main details");
  if (details) details.open = true;
  if (target?.matches("article, .compose") && !side) read(target);
  if (name === "compose") compose(settings);
}

function read(part) {
  part.scrollIntoView({ block: "start" });
  part.focus({ preventScroll: true }); // it and not its heading: the browser focuses the target of an address too
}

// The names over a picture lead to what is under it, and leave the address, which may say that two cells are open.
dialog.addEventListener("click", (event) => {
  const name = event.target.closest(".names a");
  if (!name) return;
  event.preventDefault();
  read(addressed(name.hash.slice(1)));
});

function open(side, other) {
  for (const each of sides) each.hidden = each !== side && each !== other;
  side.parentElement.append(side, ...(other ? [other] : []));
  dialog.classList.toggle("two", Boolean(other));
  dialog.setAttribute("aria-labelledby", `${side.id}/title`);
  beside.value = other?.id ?? "";
  for (const option of beside.options) option.disabled = option.value === side.id;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  side.querySelector("h2").focus();
  for (const shown of other ? [side, other] : [side]) {
    makeScrollable(shown);
    openMaps(shown);
  }
}

beside.addEventListener("change", () => {
  const { name } = address();
  location.hash = beside.value ? `${name}&with=${beside.value}` : name;
});

dialog.addEventListener("close", () => {
  const target = addressed(address().name);
  if (target && !dialog.contains(target)) { // a link of the opened cell leads elsewhere on the page
    opener = null;
    return;
  }
  if (target) history.replaceState(null, "", location.pathname + location.search);
  const shown = sides.filter((side) => !side.hidden).map((side) => side.id);
  const first = target?.closest(".side").id ?? shown[0];
  (opener ?? all.find((cell) => cell.dataset.opens === first)).focus();
  opener = null;
});
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
addEventListener("hashchange", follow);

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
const filtered = document.getElementById("filtered");

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
  filtered.textContent = `${pressed.textContent}: ${shown} methods`;
}

for (const button of filters) {
  button.addEventListener("click", () => {
    filter(button.getAttribute("aria-pressed") === "true" ? filters[0] : button);
  });
}

/* Search: what is found is listed, and the other cells fade. */

const search = document.getElementById("search");
const results = document.getElementById("found");

function look() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean).map((word) => (word === "x" ? "×" : word));
  filter(filters[0]);
  const matching = [...results.children].filter((item) => {
    const text = item.textContent.toLowerCase();
    item.hidden = !words.length || !words.every((word) => text.includes(word));
    return !item.hidden;
  });
  results.hidden = !matching.length;
  if (!words.length) return;
  const opened = matching.map((item) => addressed(item.firstElementChild.hash.slice(1))?.closest(".side")?.id);
  for (const cell of all) cell.classList.toggle("dim", !opened.includes(cell.dataset.opens));
  filtered.textContent = `${matching.length} found`;
}

function forget() {
  search.value = "";
  look();
}

/* The first that begins with what was typed, else the first. */
function best() {
  const links = [...results.querySelectorAll("li:not([hidden]) a")];
  const typed = search.value.trim().toLowerCase();
  return links.find((link) => link.textContent.trim().toLowerCase().startsWith(typed)) ?? links[0];
}

search.addEventListener("input", look);
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter") best()?.click();
  if (event.key === "Escape") forget();
});
results.addEventListener("click", () => setTimeout(forget));
document.addEventListener("click", (event) => event.target.closest(".search") || (results.hidden = true));
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, select, textarea") || dialog.open) return;
  event.preventDefault();
  search.focus();
});

/* Copy. */

async function copy(button, text, source) {
  const words = button.dataset.words ??= button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    if (source) getSelection().selectAllChildren(source);
    button.textContent = source ? "Selected" : "See the address";
  }
  setTimeout(() => (button.textContent = words), 2000);
}

for (const button of document.querySelectorAll(".copy")) {
  const source = button.closest("figure").querySelector("code");
  button.addEventListener("click", () => copy(button, source.textContent, source));
}
const link = document.getElementById("link");
link.addEventListener("click", () => copy(link, location.href));
