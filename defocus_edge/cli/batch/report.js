"use strict";
const table = document.querySelector("table"), body = table.tBodies[0], form = document.querySelector("form");
const heads = [...table.tHead.rows[0].cells], count = document.querySelector("output");
const collator = new Intl.Collator(undefined, { numeric: true });
const rows = [...body.rows].map((row, place) => {
  const cells = [...row.cells], numbers = cells.map((cell) => parseFloat(cell.textContent));
  return { row, place, numbers, name: cells[0].querySelector("bdi").textContent };
});

function sort(column, down) {
  const compare = column === 0
    ? (a, b) => collator.compare(a.name, b.name)
    : (a, b) => a.numbers[column] - b.numbers[column];
  rows.sort((a, b) => (down ? compare(b, a) : compare(a, b)) || a.place - b.place);
  body.append(...rows.map((entry) => entry.row));
}

function filter() {
  const name = form.elements.name.value.toLowerCase();
  const limits = [...form.querySelectorAll("input[type=number]")].filter((input) => input.value !== "");
  let shown = 0;
  for (const entry of rows) {
    const fits = entry.name.toLowerCase().includes(name) && limits.every((input) => {
      const value = entry.numbers[input.dataset.column], limit = input.valueAsNumber;
      return input.dataset.limit === "least" ? value >= limit : value <= limit;
    });
    entry.row.hidden = !fits;
    shown += fits;
  }
  count.textContent = `${shown} of ${rows.length} pictures shown`;
}

heads.forEach((head, column) => {
  if (!head.hasAttribute("aria-sort")) return;
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    sort(column, down);
  });
});
form.addEventListener("input", filter);
form.addEventListener("reset", () => setTimeout(filter));
form.addEventListener("submit", (event) => event.preventDefault());
form.hidden = false;
filter();
