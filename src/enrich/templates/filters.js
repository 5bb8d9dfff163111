// What is shown: filters, search and sorting, and the order in which the cursor goes through it.
const cards = new Map();
const open = new Set();
let shown = [];      // pages that the filters let through
let lane = "";       // a lane, "flagged", or "" for all
let view = history.state && history.state.view || "queue";
let cursor = null;   // [page, name of the field]
let rejected = null; // the last rejection: its reason can be given
let editing = false;

const SORTS = {
  "page order": null,
  "biggest move": page => -Math.max(0, ...page.fields.map(field => Math.abs(field.move || 0))),
  "most findings": page => -page.fields.reduce((sum, field) => sum + field.found.length, 0),
  "undecided first": page => page.fields.every(field => store.state(page, field)) ? 1 : 0,
  "title": page => page.title.toLowerCase(),
  "costliest": page => -page.cost,
};
const MOVES = { "any size": null, "0.5 or more": 0.5, "1 or more": 1, "2 or more": 2, "3 or more": 3, "no value before": -1 };
const STATES = { "any state": "", "undecided": "open", "accepted": "accept", "rejected": "reject", "skipped": "skip" };

const LANES = { look: "Need a look", human: "Over a person's words", leap: "Leaps", text: "New values", small: "Small and proven", stale: "Stale" };
const WHY = { look: "a finding keeps it off the page", human: "it would replace what a person wrote", leap: "a rating that moves far", text: "no finding, no flag",
  small: "a rating that moves by one point at most, no finding", stale: "the page changed, so it cannot be applied" };
const FLAGGED = ["look", "human", "leap"];

function options(id, names) {
  $(id).append(...names.map(([value, name]) => el("option", { value }, name)));
  $(id).addEventListener("change", update);
}
const distinct = of => [...new Set(data.pages.flatMap(of))].sort();
options("by-field", [["", "any field"], ...distinct(page => page.fields.map(field => field.field)).map(name => [name, name.replace(/^ratings\./, "rating: ")])]);
options("by-stage", [["", "any stage"], ...distinct(page => page.fields.map(field => field.stage)).map(name => [name, name])]);
options("by-finding", [["", "any"], ["+", "with a finding"], ["-", "without"], ...distinct(page => page.fields.flatMap(field => field.flags)).map(name => ["!" + name, name]),
  ...distinct(page => page.fields.flatMap(field => field.found)).map(name => [name, name])]);
options("by-move", Object.keys(MOVES).map(name => [name, name]));
options("by-section", [["*", "any section"], ...distinct(page => [page.section]).map(name => [name, name || "(top)"])]);
options("by-state", Object.entries(STATES).map(([name, value]) => [value, name]));
options("by-name", [["", "anyone"], ...distinct(page => page.assigned ? [page.assigned] : []).map(name => [name, name])]);
options("sort", Object.keys(SORTS).map(name => [name, name]));

function fits(page, field) {
  const name = $("by-field").value, stage = $("by-stage").value, finding = $("by-finding").value, move = MOVES[$("by-move").value], state = $("by-state").value;
  if (name && field.field !== name || stage && field.stage !== stage) return false;
  if (finding === "+" && !field.found.length || finding === "-" && field.found.length) return false;
  if (finding[0] === "!" ? !field.flags.includes(finding.slice(1)) : finding.length > 1 && !field.found.includes(finding)) return false;
  if (move === -1 ? field.old !== null : move && !(Math.abs(field.move || 0) >= move)) return false;
  const now = store.state(page, field);
  return !state || (state === "open" ? !now : now === state);
}
const fieldsOf = page => page.fields.filter(field => fits(page, field));
const pairsOf = pages => pages.flatMap(page => fieldsOf(page).map(field => [page, field]));

function textOf(page) {
  if (page.text === undefined) {
    const parts = [page.title, page.page, page.path];
    for (const field of page.fields) {
      parts.push(field.reason, ...field.pieces.map(piece => piece[1]), ...field.quotes.map(one => one.quote));
      for (const one of field.insights) parts.push(one.kind, ...one.pieces.map(piece => piece[1]), ...one.quotes.map(quoted => quoted.quote));
    }
    page.text = parts.join("\n").toLowerCase();
  }
  return page.text;
}

const at = (list, pair) => pair ? list.findIndex(([page, field]) => page === pair[0] && field.field === pair[1]) : -1;
const fieldAt = pair => pair && pair[0].fields.find(field => field.field === pair[1]);
const undecided = ([page, field]) => !store.state(page, field);
const inLane = field => !lane || (lane === "flagged" ? FLAGGED.includes(field.lane) : field.lane === lane);
// The queue goes lane by lane, from what needs a person most; browsing goes page by page.
function order() {
  const pairs = pairsOf(shown).filter(([, field]) => inLane(field));
  return view === "browse" ? pairs : Object.keys(LANES).flatMap(name => pairs.filter(([, field]) => field.lane === name));
}

function update() {
  const wanted = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const section = $("by-section").value, name = $("by-name").value;
  shown = data.pages.filter(page => (section === "*" || page.section === section) && (!name || page.assigned === name) && fieldsOf(page).length && wanted.every(word => textOf(page).includes(word)));
  const rank = SORTS[$("sort").value];
  if (rank) shown = shown.map(page => [rank(page), page]).sort((a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0).map(pair => pair[1]);
  const number = pairsOf(shown).length;
  $("found").textContent = `${shown.length} of ${data.pages.length} pages, ${number} fields`;
  $("nothing").hidden = shown.length > 0;
  for (const id of ["clear", "clear-queue"]) $(id).hidden = !filtered();
  for (const id of ["accept-shown", "reject-shown"]) $(id).disabled = !number;
  draw();
}
const FILTERS = ["by-field", "by-stage", "by-finding", "by-move", "by-section", "by-state", "by-name"];
const filtered = () => Boolean($("search").value || FILTERS.some(id => $(id).selectedIndex > 0));
