
"use strict";
// The filter: by kind (an address ends with "#" and the kind), or by severity and words ("#severity=error&find=cell").
const form = document.querySelector("#filter form");
const choices = [...form.querySelectorAll("[name=severity]")];
const counter = form.querySelector("[role=status]");
const links = [...document.querySelectorAll("#filter a")];
const findings = [...document.querySelectorAll("article.finding")];
const texts = new Map(findings.map((each) => [each, each.textContent.toLowerCase()]));

function wanted() {
  const hash = location.hash.slice(1);
  if (findings.some((each) => each.id === hash)) return { kind: hash, severity: "", find: "" };
  const chosen = new URLSearchParams(hash.includes("=") ? hash : "");
  return { kind: "", severity: chosen.get("severity") || "", find: chosen.get("find") || "" };
}

function show() {
  const { kind, severity, find } = wanted();
  const words = find.toLowerCase().split(/\s+/);
  const fits = (each) =>
    (!severity || each.dataset.severity === severity) && words.every((word) => texts.get(each).includes(word));
  let shown = 0;
  for (const each of findings) {
    const listed = fits(each);
    each.hidden = kind ? each.id !== kind : !listed;
    shown += !each.hidden;
    links.find((link) => link.hash === "#" + each.id).parentElement.hidden = !listed;
  }
  for (const link of links) {
    link.setAttribute("aria-current", String(link.hash === (kind ? "#" + kind : severity || find ? "" : "#findings")));
  }
  for (const choice of choices) choice.checked = choice.value === severity;
  if (form.elements.find.value !== find) form.elements.find.value = find;
  document.querySelector(".none").hidden = shown > 0;
  counter.textContent = shown === findings.length ? counter.dataset.all : shown + " of " + counter.dataset.all;
}

function choose() {
  const chosen = new URLSearchParams();
  const severity = choices.find((choice) => choice.checked).value;
  const find = form.elements.find.value;
  if (severity) chosen.set("severity", severity);
  if (find) chosen.set("find", find);
  history.replaceState(null, "", chosen.size ? "#" + chosen : "#findings");
  show();
}

form.addEventListener("input", choose);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", () => {
  show();
  if (location.hash) document.querySelector("#findings").scrollIntoView();
});
addEventListener("keydown", (event) => {
  const typing = event.target === form.elements.find;
  if (event.key === "/" && !typing) {
    event.preventDefault();
    form.elements.find.focus();
  } else if (event.key === "Escape" && typing) {
    form.elements.find.value = "";
    choose();
  }
});
form.hidden = false;
show();
