"use strict";

/* Theme: the system's, until the reader chooses. Every page of the table has this script. */

const root = document.documentElement;
const theme = document.getElementById("theme");
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const printed = matchMedia("print");

function remembered(value) {
  try {
    if (value) localStorage.setItem("theme", value);
    return localStorage.getItem("theme");
  } catch {
    return null; // storage may be forbidden; the choice then lasts as long as the page
  }
}

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches;
}

function paint() {
  theme.setAttribute("aria-pressed", String(isDark()));
  dispatchEvent(new Event("painted"));
}

theme.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remembered(root.dataset.theme);
  paint();
});
systemDark.addEventListener("change", paint);
if (remembered()) root.dataset.theme = remembered();
paint();

/* What scrolls must be reachable by keyboard. */

function makeScrollable(within) {
  for (const box of within.querySelectorAll(".formula, .scroll, pre")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

// What is in closed details has no size that could be asked for before.
for (const details of document.querySelectorAll("details")) {
  details.addEventListener("toggle", () => makeScrollable(details));
}
makeScrollable(document);
addEventListener("resize", () => makeScrollable(document));
