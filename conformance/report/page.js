"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// The dtype whose fields are shown.
function choose(dtype) {
  for (const field of all("#matrix .field")) field.hidden = field.dataset.dtype !== dtype;
  document.getElementById("dtype-shown").textContent = dtype;
  for (const name of all(".dtype-name")) name.textContent = dtype;
}
for (const input of all("#choice input")) input.addEventListener("change", () => choose(input.value));
choose(document.querySelector("#choice input:checked")?.value ?? "float32");

// The filter: words that occur in the name of a backend choose backends; the others choose rows and failures, of which a
// kind that has none with all of the words stays as it is.
function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const names = Object.entries(data.columns).map(([key, column]) => [key, column.name.toLowerCase()]);
  const ofNames = words.filter(word => names.some(([, name]) => name.includes(word)));
  const others = words.filter(word => !ofNames.includes(word));
  const chosen = new Set(names.filter(([, name]) => ofNames.every(word => name.includes(word))).map(([key]) => key));
  for (const element of all("main [data-column]")) {
    if (!element.classList.contains("field")) element.hidden = !chosen.has(element.dataset.column);
  }
  const fits = (element, text) => others.every(word => text.toLowerCase().includes(word));
  let found = 0;
  for (const [selector, attribute] of [["tr[data-feature]", "feature"], ["tr[data-text]", "text"], [".finding details", "text"]]) {
    const elements = all("main " + selector);
    const fitting = elements.filter(element => fits(element, element.dataset[attribute]));
    for (const element of elements) element.hidden = fitting.length > 0 && !fitting.includes(element);
    if (others.length) found += fitting.length;
  }
  for (const body of all(".matrix tbody")) {
    const rows = all("tr[data-feature]", body);
    body.hidden = rows.length > 0 && rows.every(row => row.hidden);
  }
  for (const finding of all(".finding")) {
    finding.hidden = !chosen.has(finding.dataset.column) || all("details", finding).every(element => element.hidden);
  }
  document.getElementById("filtered").value =
    words.length === 0 ? "" : others.length && !found ? "nothing is called that" : `${chosen.size} of ${names.length} backends`;
}
const box = document.getElementById("filter");
box.addEventListener("input", () => filter(box.value));

// What stands behind a field.
const dialog = document.getElementById("details");
function cell(tag, content, number = false) {
  const element = document.createElement(tag);
  element.append(content ?? "");
  if (number) element.className = "number";
  if (tag === "th") element.scope = "row";
  return element;
}
function behind(column, dtype, feature) {
  const rows = [];
  for (const claim of column.claims) {
    const counts = claim.counts[dtype] ?? {};
    const listed = feature === "everything" ? [counts[data.features.indexOf(`cell: ${claim.cell}`)]] : [counts[data.features.indexOf(feature)]];
    for (const count of listed) if (count) rows.push([claim, count]);
  }
  return rows.sort((a, b) => (b[1][1] + b[1][2]) - (a[1][1] + a[1][2]));
}
function open(field) {
  const { column: key, dtype, feature } = field.dataset;
  const column = data.columns[key];
  document.getElementById("details-title").textContent = `${column.name}, ${dtype}, ${feature}`;
  const table = document.createElement("table");
  table.className = "plain";
  const head = table.createTHead().insertRow();
  for (const title of ["claim", "cases", "wrong", "no result", "|error|/σ", "bits"]) {
    const heading = cell("th", title, title !== "claim");
    heading.scope = "col";
    head.append(heading);
  }
  const body = table.createTBody();
  for (const [claim, [cases, failed, crashed, , , worst, bits]] of behind(column, dtype, feature)) {
    const row = body.insertRow();
    let name = `${claim.name} (${claim.cell})`;
    if (failed + crashed > 0) row.className = "broken";
    if (claim.failure) {
      const link = document.createElement("a");
      link.href = "#" + claim.failure;
      link.textContent = name;
      link.addEventListener("click", () => { dialog.close(); document.getElementById(claim.failure).open = true; });
      name = link;
    }
    row.append(cell("th", name));
    for (const content of [cases, failed || "", crashed || "", worst, bits?.toFixed(1)]) row.append(cell("td", content, true));
  }
  document.getElementById("details-body").replaceChildren(table);
  dialog.showModal();
}
document.getElementById("matrix").addEventListener("click", event => {
  const field = event.target.closest("button.field");
  if (field) open(field);
});
document.getElementById("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
function reveal() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
}
addEventListener("hashchange", reveal);
reveal();
