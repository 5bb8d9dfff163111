// The table of pages: filter by words and section, sort by a column. Rows are made by the template.
const $ = id => document.getElementById(id);
const body = $("pages"), rows = [...body.rows];
function filter() {
  const wanted = $("words").value.toLowerCase().split(/\s+/).filter(Boolean), section = $("section").value, only = $("only").value;
  let number = 0;
  for (const row of rows) {
    const fits = wanted.every(word => row.textContent.toLowerCase().includes(word)) && (section === "*" || row.dataset.section === section) && (!only || Number(row.dataset[only]) > 0);
    row.hidden = !fits;
    number += fits;
  }
  $("number").textContent = `${number} of ${rows.length} pages`;
}
for (const id of ["words", "section", "only"]) $(id).addEventListener("input", filter);
for (const button of document.querySelectorAll("#table th button")) button.addEventListener("click", () => {
  const head = button.parentNode, up = head.getAttribute("aria-sort") === "descending", at = head.cellIndex;
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const value = row => { const text = row.cells[at].dataset.value; return text === undefined ? row.cells[at].textContent.trim().toLowerCase() : text === "" ? null : Number(text); };
  const sorted = rows.map(row => [value(row), row]).sort(([a], [b]) => a === b ? 0 : a === null ? 1 : b === null ? -1 : (a < b ? -1 : 1) * (up ? 1 : -1));
  body.append(...sorted.map(pair => pair[1]));
});
filter();
