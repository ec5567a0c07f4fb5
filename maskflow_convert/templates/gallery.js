
"use strict";
// The filter and the keys. What was chosen is kept in the address ("#class=cell&from=3").
const form = document.querySelector("main form");
const counter = form.querySelector("[role=status]");
const dialog = document.querySelector("dialog");
const tiles = [...document.querySelectorAll(".tile")];
const fields = ["class", "split", "from", "to"];
const visibleTiles = () => tiles.filter((tile) => !tile.hidden);
let open = null;

function show() {
  const chosen = new URLSearchParams(location.hash.slice(1));
  for (const name of fields) {
    if (form.elements[name].value !== (chosen.get(name) || "")) form.elements[name].value = chosen.get(name) || "";
  }
  const [label, split, from, to] = fields.map((name) => form.elements[name].value);
  for (const tile of tiles) {
    const { classes, objects } = tile.dataset;
    tile.hidden =
      (label !== "" && !JSON.parse(classes).includes(label)) ||
      (chosen.get("split") && tile.dataset.split !== split) ||
      (from !== "" && +objects < +from) ||
      (to !== "" && +objects > +to);
  }
  const shown = visibleTiles().length;
  counter.textContent = shown === tiles.length ? counter.dataset.all : shown + " of " + counter.dataset.all;
  document.querySelector(".none").hidden = shown > 0;
  document.body.classList.toggle("bare", !form.elements.masks.checked);
}

function choose() {
  const chosen = new URLSearchParams(fields.map((name) => [name, form.elements[name].value]).filter(([, value]) => value));
  history.replaceState(null, "", "#" + chosen);
  show();
}

function enlarge(tile) {
  open = tile;
  dialog.querySelector(".shown").replaceChildren(tile.cloneNode(true));
  if (!dialog.open) dialog.showModal();
}

function step(by) {
  const among = visibleTiles();
  const at = among.indexOf(open || document.activeElement.closest(".tile"));
  const next = among[at < 0 ? 0 : Math.min(Math.max(at + by, 0), among.length - 1)];
  if (!next) return;
  if (dialog.open) enlarge(next);
  else next.querySelector("button").focus();
}

for (const tile of tiles) tile.querySelector("button").addEventListener("click", () => enlarge(tile));
for (const button of dialog.querySelectorAll("form [value]")) button.addEventListener("click", () => step(+button.value));
dialog.addEventListener("close", () => {
  if (open) open.querySelector("button").focus();
  open = null;
});
form.addEventListener("input", choose);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", show);
addEventListener("keydown", (event) => {
  if (event.target.matches("select, input:not([type=checkbox])") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "ArrowRight") step(1);
  else if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "m") {
    form.elements.masks.checked = !form.elements.masks.checked;
    show();
  } else return;
  event.preventDefault();
});
form.hidden = !tiles.length;
show();
