/* A cell of one's own: the formula is put together from pieces, the code is that of the cell with more arguments. */

const form = document.querySelector(".compose form");
const pieces = document.getElementById("pieces").content;

function part(title, ...names) {
  const [term, value] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = title;
  value.append(...names.flatMap((name) => [...pieces.querySelector(`[data-piece="${name}"]`).cloneNode(true).children]));
  return [term, value];
}

/* What cannot be combined is switched off, and the note says why. */
function refuse(chosen) {
  const notes = [];
  const off = (refused, why, values) => {
    for (const [name, value] of Object.entries(values)) {
      form[name].disabled = refused;
      if (refused) form[name].value = chosen[name] = value;
    }
    if (refused) notes.push(why);
  };
  const limit = ["gaussian-wide", "gaussian-narrow"].includes(chosen.row);
  const two = "Points and prototypes are two sets, so that p is not symmetrised and has no walks.";
  off(chosen.column === "data-label", two, { symmetrize: "", walks: "1" });
  const rescaled = "The limits of the Gaussian are rescaled KLs for each point: they have no joint form and no other divergence.";
  off(limit, rescaled, { normalization: "row", divergence: "kl" });
  if (chosen.divergence === "reverse-kl" && !Number(chosen.debias)) {
    form.debias.value = chosen.debias = "0.1";
    notes.push("The reverse KL needs a p without zeros, so that α was set to 0.1.");
  }
  document.getElementById("composed-note").textContent = notes.join(" ");
  return limit;
}

/* The call in one line, or a line for each setting where one would be long. */
function written(call, settings) {
  const all = `${[call, ...settings].join(", ")})`;
  return all.length < 60 ? all : [call.replace("(", "(\n    "), ...settings].join(",\n    ") + ",\n)";
}

function compose(settings) {
  for (const [name, value] of settings ?? []) {
    if (form[name]) form[name].value = value;
  }
  const chosen = {};
  for (const field of form.elements) chosen[field.name] = field.checkValidity() ? field.value : field.defaultValue;
  const limit = refuse(chosen);
  const { row, column, symmetrize, walks, debias, normalization, divergence } = chosen;
  const joint = normalization === "joint";
  const two = ["cross-modal", "data-label"].includes(column);

  const parts = [part("Loss", limit ? "limit" : `${normalization}/${divergence}`), part("p", `column/${column}`)];
  if (symmetrize) parts.push(part("Symmetrised", `symmetrize/${symmetrize}`));
  if (Number(walks) > 1) parts.push(part(`Walks, K = ${walks}`, "walks"));
  if (Number(debias) > 0) parts.push(part(`Debiased, α = ${debias}`, "debias"));
  if (joint) parts.push(part("Joint p", symmetrize || column === "graph" ? "joint-p-weights" : two ? "joint-p-two" : "joint-p"));
  parts.push(part("q", `q/${row}`));
  if (joint) parts.push(part("Joint q", row === "clusters" ? "joint-q-clusters" : "joint-q"));
  const list = document.createElement("dl");
  list.append(...parts.flat());
  document.getElementById("formula").replaceChildren(list);

  const settingsOf = [
    symmetrize && `symmetrize="${symmetrize}"`,
    Number(walks) > 1 && `walks=${walks}`,
    Number(debias) > 0 && `debias=${debias}`,
    joint && 'normalization="joint"',
    divergence !== "kl" && `divergence="${divergence}"`,
  ].filter(Boolean);
  const call = `icon.loss("${row}", "${column}"`;
  const lines = document.getElementById(`${row}/${column}`).querySelector(".code code").textContent;
  document.querySelector(".compose .code code").textContent = lines.replace(`${call})`, written(call, settingsOf));
  makeScrollable(document.querySelector(".composed"));
  return chosen;
}

form.addEventListener("input", () => {
  const chosen = new URLSearchParams(compose());
  history.replaceState(null, "", `#compose&${chosen}`);
});
form.addEventListener("submit", (event) => event.preventDefault());
compose();
follow();
