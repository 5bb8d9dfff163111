// The page as a whole: which cards are shown in which order, the keyboard, the export.
const $ = id => document.getElementById(id);
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

const cards = new Map();
const open = new Set();
let shown = [];
let current = null;

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

function update() {
  const wanted = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const section = $("by-section").value;
  shown = data.pages.filter(page => (section === "*" || page.section === section) && fieldsOf(page).length && wanted.every(word => textOf(page).includes(word)));
  const rank = SORTS[$("sort").value];
  if (rank) shown = shown.map(page => [rank(page), page]).sort((a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0).map(pair => pair[1]);
  $("cards").replaceChildren(...shown.map(card));
  for (const page of shown) refresh(page);
  const count = shown.reduce((sum, page) => sum + fieldsOf(page).length, 0);
  $("found").textContent = `${shown.length} of ${data.pages.length} pages, ${count} fields`;
  $("nothing").hidden = shown.length > 0;
  $("clear").hidden = !filtered();
  for (const id of ["accept-shown", "reject-shown"]) $(id).disabled = !count;
  mark(shown.includes(current) ? current : null);
}
const FILTERS = ["by-field", "by-stage", "by-finding", "by-move", "by-section", "by-state"];
const filtered = () => $("search").value || FILTERS.some(id => $(id).selectedIndex > 0);

function card(page) {
  let node = cards.get(page);
  if (!node) {
    const id = `card-${cards.size}`;
    const button = el("button", { type: "button", "aria-expanded": "false", "aria-controls": id, onclick: () => toggle(page), onfocus: () => mark(page) });
    node = el("li", { class: "card" }, el("h2", {}, button), el("div", { class: "inside", id, hidden: true }));
    node.addEventListener("focusin", () => mark(page));
    cards.set(page, node);
    watcher.observe(node);
  }
  return node;
}
// Details are made when a card is open and near the window: 700 pages open at once stay light.
const watcher = new IntersectionObserver(seen => {
  for (const { target, isIntersecting } of seen) {
    target.near = isIntersecting;
    if (isIntersecting) for (const [page, node] of cards) if (node === target) fill(page);
  }
}, { rootMargin: "1200px" });

function refresh(page) {
  const node = card(page), button = node.firstChild.firstChild, visible = fieldsOf(page);
  button.replaceChildren(
    el("span", { class: "name" }, el("b", {}, bdi(page.title)), el("span", { class: "sign", "aria-hidden": "true" }, "▸")),
    el("span", { class: "small soft" }, el("code", {}, bdi(page.path)), page.note ? badge(page.note, "red", "✗") : null),
    el("span", { class: "chips" }, headChips(page, visible)));
  button.setAttribute("aria-expanded", String(open.has(page)));
  node.lastChild.hidden = !open.has(page);
  node.drawn = false;
  if (node.near !== false) fill(page);
}

function fill(page) {
  const node = card(page), inside = node.lastChild;
  if (!open.has(page) || node.drawn) return;
  const visible = fieldsOf(page), rest = page.fields.length - visible.length;
  const held = focusMark(inside);
  inside.replaceChildren(...visible.map(field => fieldItem(page, field)),
    rest ? el("p", { class: "small soft" }, `${rest} more ${rest === 1 ? "field" : "fields"} of this page hidden by the filters`) : "", originLine(page));
  node.drawn = true;
  if (held) restoreFocus(inside, held);
}
// Redrawing must not throw the keyboard out of its place.
function focusMark(inside) {
  const active = document.activeElement;
  if (!inside.contains(active)) return null;
  const field = active.closest("[data-field]");
  return { field: field && field.dataset.field, decision: active.dataset.decision, take: active.type === "checkbox" ? [...field.querySelectorAll("input")].indexOf(active) : -1 };
}
function restoreFocus(inside, held) {
  const field = [...inside.querySelectorAll("[data-field]")].find(one => one.dataset.field === held.field);
  if (!field) { inside.parentNode.querySelector("button").focus({ preventScroll: true }); return; }
  const target = held.take >= 0 ? field.querySelectorAll("input")[held.take] : field.querySelector(`[data-decision=${held.decision || "accept"}]`);
  if (target) target.focus({ preventScroll: true });
}

function toggle(page, wanted = !open.has(page)) {
  wanted ? open.add(page) : open.delete(page);
  refresh(page);
}
function mark(page) {
  if (current && cards.has(current)) cards.get(current).classList.remove("now");
  current = page;
  if (page) card(page).classList.add("now");
}
function go(step) {
  if (!shown.length) return;
  const at = shown.indexOf(current);
  const next = shown[Math.min(Math.max(at < 0 ? (step > 0 ? 0 : shown.length - 1) : at + step, 0), shown.length - 1)];
  mark(next);
  const button = card(next).querySelector("button");
  button.focus({ preventScroll: true });
  card(next).scrollIntoView({ block: "nearest" });
}

// Accepting many at once leaves out what carries a flag: that is accepted by name only.
function decideMany(pairs, decision) {
  const undecided = pairs.filter(([page, field]) => !store.state(page, field));
  const taken = decision === "accept" ? undecided.filter(([, field]) => !field.flags.some(flag => GUARDED.includes(flag))) : undecided;
  if (taken.length) store.decide(taken.map(([page, field]) => [page, field, { decision }]));
  const left = undecided.length - taken.length;
  tally(`${taken.length} ${WORDS[decision]}${left ? `, ${left} left out: they need a decision of their own` : ""}. `);
}
const pairsOf = pages => pages.flatMap(page => fieldsOf(page).map(field => [page, field]));
function decideHere(decision) {
  const item = document.activeElement.closest && document.activeElement.closest("[data-field]");
  if (!current) return;
  const field = item && card(current).contains(item) ? current.fields.find(one => one.field === item.dataset.field) : null;
  if (field && decision === "accept" && field.flags.includes("stale")) return;
  if (field) store.decide([[current, field, { decision }]]);
  else decideMany(pairsOf([current]), decision);
}

function tally(words = "") {
  const counts = { accept: 0, reject: 0, skip: 0, "": 0 };
  for (const page of data.pages) for (const field of page.fields) counts[store.state(page, field)]++;
  $("tally").textContent = `${words}${counts.accept} accepted, ${counts.reject} rejected, ${counts.skip} skipped, ${counts[""]} to decide`;
  $("undo").disabled = !store.canUndo();
}
store.onChange((pages, fresh) => {
  for (const page of new Set(pages)) refresh(page);
  if (fresh && filtered()) update();
  tally();
});

const exportText = () => JSON.stringify(store.exported(), null, 1) + "\n";
function showExport() {
  $("export-text").value = exportText();
  $("copied").textContent = "";
  $("export").showModal();
}
$("export-open").addEventListener("click", showExport);
$("download").addEventListener("click", () => {
  const address = URL.createObjectURL(new Blob([exportText()], { type: "application/json" }));
  el("a", { href: address, download: "decisions.json" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
});
$("copy").addEventListener("click", async () => {
  try { await navigator.clipboard.writeText(exportText()); } catch { $("export-text").select(); document.execCommand("copy"); }
  $("copied").textContent = "Copied.";
});
for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
$("help-open").addEventListener("click", () => $("help").showModal());
$("undo").addEventListener("click", () => { if (store.undo()) tally("Undone. "); });
$("search").addEventListener("input", update);
$("clear").addEventListener("click", () => { $("search").value = ""; for (const id of FILTERS) $(id).selectedIndex = 0; update(); $("search").focus(); });
$("more").addEventListener("click", () => $("more").setAttribute("aria-expanded", String(!$("filters").classList.toggle("folded"))));
function openAll(wanted) {
  for (const page of shown) wanted ? open.add(page) : open.delete(page);
  for (const page of shown) refresh(page);
  $("all-open").setAttribute("aria-pressed", String(wanted));
  $("all-open").textContent = wanted ? "Close all" : "Open all";
}
$("all-open").addEventListener("click", () => openAll($("all-open").getAttribute("aria-pressed") !== "true"));
$("accept-shown").addEventListener("click", () => decideMany(pairsOf(shown), "accept"));
$("reject-shown").addEventListener("click", () => decideMany(pairsOf(shown), "reject"));

const KEYS = {
  j: () => go(1), k: () => go(-1), "/": () => { $("search").focus(); $("search").select(); }, "?": () => $("help").showModal(), e: showExport,
  a: () => decideHere("accept"), r: () => decideHere("reject"), s: () => decideHere("skip"), u: () => $("undo").click(), o: () => $("all-open").click(),
};
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.closest("input[type=search], select, textarea");
  if (typing) { if (event.key === "Escape") typing.blur(); return; }
  // Enter on the page itself opens the marked card; on a button it is the button's.
  if (event.key === "Enter" && event.target === document.body && current) { event.preventDefault(); toggle(current); }
  else if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
});
// Paper shows everything that the filters let through.
addEventListener("beforeprint", () => { for (const page of shown) { open.add(page); refresh(page); fill(page); } });

const THEMES = ["auto", "light", "dark"];
function theme(name) {
  $("theme").textContent = `Theme: ${name}`;
  if (name === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", name);
  try { localStorage.setItem("enrich-theme", name); } catch { /* no storage: the choice lasts as long as the page */ }
}
$("theme").addEventListener("click", () => theme(THEMES[(THEMES.indexOf($("theme").textContent.slice(7)) + 1) % 3]));
let chosen = "auto";
try { chosen = localStorage.getItem("enrich-theme") || "auto"; } catch { /* as above */ }
theme(THEMES.includes(chosen) ? chosen : "auto");

if (data.pages.length) open.add(data.pages[0]);
update();
tally();
