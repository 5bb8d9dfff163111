// The page as a whole: the cursor on one field, the views (queue, browse, sheet, totals), filters, the keyboard, export and import.
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

const LANES = { look: "Need a look", human: "Over a person's words", leap: "Leaps", text: "New values", small: "Small and proven", stale: "Stale" };
const FLAGGED = ["look", "human", "leap"];

const cards = new Map();
const open = new Set();
let shown = [];      // pages that the filters let through
let lane = "";       // a lane, "flagged", or "" for all
let view = history.state && history.state.view || "queue";
let cursor = null;   // [page, name of the field]
let rejected = null; // the last rejection: its reason can be given
let editing = false;

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
  const pairs = shown.flatMap(page => fieldsOf(page).filter(inLane).map(field => [page, field]));
  return view === "browse" ? pairs : Object.keys(LANES).flatMap(name => pairs.filter(([, field]) => field.lane === name));
}

function update() {
  const wanted = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const section = $("by-section").value, name = $("by-name").value;
  shown = data.pages.filter(page => (section === "*" || page.section === section) && (!name || page.assigned === name) && fieldsOf(page).length && wanted.every(word => textOf(page).includes(word)));
  const rank = SORTS[$("sort").value];
  if (rank) shown = shown.map(page => [rank(page), page]).sort((a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0).map(pair => pair[1]);
  const number = shown.reduce((sum, page) => sum + fieldsOf(page).length, 0);
  $("found").textContent = `${shown.length} of ${data.pages.length} pages, ${number} fields`;
  $("nothing").hidden = shown.length > 0;
  for (const id of ["clear", "clear-queue"]) $(id).hidden = !filtered();
  for (const id of ["accept-shown", "reject-shown"]) $(id).disabled = !number;
  draw();
}
const FILTERS = ["by-field", "by-stage", "by-finding", "by-move", "by-section", "by-state", "by-name"];
const filtered = () => Boolean($("search").value || FILTERS.some(id => $(id).selectedIndex > 0));

// Show the present view.
function draw() {
  for (const name of ["queue", "browse", "sheet", "totals"]) {
    $(`${name}-view`).hidden = view !== name;
    $(`view-${name}`).setAttribute("aria-pressed", String(view === name));
  }
  document.body.dataset.view = view;
  if (view === "browse" && !fieldAt(cursor)) { const list = order(), first = list.find(undecided) || list[0]; cursor = first ? [first[0], first[1].field] : null; }
  if (view === "browse") {
    $("cards").replaceChildren(...shown.map(card));
    for (const page of shown) refresh(page);
    mark();
  } else if (view === "queue") drawQueue();
  else if (view === "sheet") drawSheet();
  tally();
}
function show(name) {
  view = name;
  editing = false;
  try { history.replaceState({ ...history.state, view }, ""); } catch { /* a page without history */ }
  draw();
  scrollTo(0, 0);
}

// The queue: one field, whole in the window.
function drawQueue() {
  const list = order(), open_ = list.filter(undecided);
  const counts = Object.fromEntries(Object.keys(LANES).map(name => [name, 0]));
  for (const page of shown) for (const field of fieldsOf(page)) if (!store.state(page, field)) counts[field.lane]++;
  const flagged = FLAGGED.reduce((sum, name) => sum + counts[name], 0);
  $("lanes").replaceChildren(...[["", "All", Object.values(counts).reduce((a, b) => a + b, 0)], ["flagged", "Flagged", flagged], ...Object.entries(LANES).map(([name, words]) => [name, words, counts[name]])]
    .map(([name, words, number]) => el("button", { type: "button", "aria-pressed": String(lane === name), "data-lane": name, onclick: () => pickLane(name) }, `${words} `, el("b", {}, String(number)))));
  if (at(list, cursor) < 0) { const next = open_[0] || list[0]; cursor = next ? [next[0], next[1].field] : null; }
  const field = fieldAt(cursor), page = cursor && cursor[0];
  $("stage").replaceChildren();
  $("all-done").hidden = open_.length > 0;
  if (!field) return;
  const place = at(list, cursor) + 1;
  $("stage").append(el("div", { class: "where" }, el("h2", {}, bdi(page.title), " ", el("code", { class: "soft small" }, bdi(page.path))),
    page.note ? badge(page.note, "red", "✗") : null, page.assigned ? badge(page.assigned, "blue", "@") : null,
    el("span", { class: "soft small" }, `${LANES[field.lane]} · ${place} of ${list.length}`)),
  editing ? editForm(page, field) : fieldItem(page, field), el("p", { class: "origin" }, bdi(`${field.stage}: ${field.origin}`)));
  if (editing) $("stage").querySelector("textarea, input").focus();
  for (const button of document.querySelectorAll("#decisions [data-press]")) button.disabled = button.dataset.press === "y" && isStale(field) || button.dataset.press === "e" && !canEdit(field);
  for (const button of document.querySelectorAll("#decisions [data-decision]")) button.setAttribute("aria-pressed", String(store.state(page, field) === button.dataset.decision));
}
// A long field gives up white space, then the context of its quotes, then a size of type, so that it is seen whole.
function fit() {
  const stage = $("stage");
  for (const level of ["", "snug", "snug tight", "snug tight small-type", "snug tight small-type tiny"]) {
    stage.className = `panel ${level}`;
    if (stage.getBoundingClientRect().bottom + scrollY <= innerHeight - $("bottom").offsetHeight) return;
  }
}
addEventListener("resize", () => { if (view === "queue") fit(); });
function pickLane(name) { lane = lane === name ? "" : name; cursor = null; draw(); }

function focusField(pair) {
  cursor = pair ? [pair[0], pair[1].field] : null;
  editing = false;
  rejected = null;
  if (view === "browse" && cursor) {
    if (!open.has(cursor[0])) toggle(cursor[0], true);
    fill(cursor[0]);
    mark();
    const node = nodeAt(cursor);
    if (node) { (node.querySelector("[data-decision]:not([disabled])") || node).focus({ preventScroll: true }); node.scrollIntoView({ block: "nearest" }); }
  } else if (view !== "browse") draw();
}
const nodeAt = pair => pair && cards.has(pair[0]) && [...card(pair[0]).querySelectorAll("[data-field]")].find(node => node.dataset.field === pair[1]);
function step(by) {
  const list = order(), here = at(list, cursor);
  if (list.length) focusField(list[Math.min(Math.max(here < 0 ? (by > 0 ? 0 : list.length - 1) : here + by, 0), list.length - 1)]);
}
function stepPage(by) {
  const list = order(), pages = [...new Set(list.map(([page]) => page))];
  const to = pages[Math.min(Math.max(pages.indexOf(cursor && cursor[0]) + by, 0), pages.length - 1)];
  const mine = list.filter(([page]) => page === to);
  if (mine.length) focusField(mine.find(undecided) || mine[0]);
}
function goOn(list, here) {
  const next = [...list.slice(here + 1), ...list.slice(0, here)].find(undecided);
  if (next) focusField(next); else draw();
}
function decideHere(decision) {
  const list = order(), here = at(list, cursor), field = fieldAt(cursor);
  if (!field || (decision === "accept" && isStale(field))) return;
  const page = cursor[0];
  store.decide([[page, field, { decision }]]);
  goOn(list, here);
  rejected = decision === "reject" ? [page, field] : null;
  tally(rejected ? `Rejected ${shortName(field)}. Why? 1 wrong, 2 unsupported, 3 dull, 4 style. ` : "");
}
function giveReason(number) {
  if (!rejected) return;
  const [page, { field: name }] = rejected, field = page.fields.find(one => one.field === name);
  store.decide([[page, field, { decision: "reject", reason: data.reasons[number - 1] }]], false);
  tally(`Rejected ${shortName(field)}: ${data.reasons[number - 1]}. `);
}
function writeNote() {
  const field = fieldAt(cursor);
  if (!field) return;
  $("note-text").value = store.note(cursor[0], field);
  $("note").showModal();
  $("note-text").focus();
}
$("note-keep").addEventListener("click", () => {
  const text = $("note-text").value.trim().slice(0, 2000);
  $("note").close();
  store.decide([[cursor[0], fieldAt(cursor), { decision: "note", note: text }, "#note"]]);
});

// Edit in place. The server checks a value as it checks answers; a report from a file exports it, and it is checked when it is read.
const SCORES = ["surprising", "important", "actionable"];
const canEdit = field => field.edit !== null && !isStale(field);
function editForm(page, field) {
  const own = store.of(page, field), value = own && own.decision === "edit" ? own.value : field.edit;
  const area = (text, label) => el("textarea", { "aria-label": label, rows: Math.min(6, Math.ceil(text.length / 70) + 1) }, text);
  const number = (now, top, bottom, stride, label) => el("input", { type: "number", value: String(now), min: String(bottom), max: String(top), step: String(stride), "aria-label": label });
  let read, inside;
  if (field.kind === "rating") {
    const input = number(value, 10, 0, 0.5, "rating");
    inside = input;
    read = () => Number(input.value);
  } else if (field.kind === "insights") {
    const rows = value.map((one, place) => [area(one.text, `insight ${place + 1}`), ...SCORES.map(name => number(one[name], 5, 1, 0.5, `${name} of insight ${place + 1}`))]);
    inside = rows.map(row => el("div", { class: "edit-row" }, row[0], el("div", { class: "tools" }, row.slice(1).map((input, nth) => el("label", {}, SCORES[nth], input))),
      field.insights.filter(one => one.index === place).flatMap(one => one.quotes).map(quote)));
    read = () => value.map((one, place) => ({ ...one, text: rows[place][0].value.trim(), ...Object.fromEntries(SCORES.map((name, nth) => [name, Number(rows[place][nth + 1].value)])) }));
  } else {
    const input = area(value, shortName(field));
    inside = input;
    read = () => input.value.trim();
  }
  const keep = () => {
    const list = order(), here = at(list, cursor), now = read();
    editing = false;
    if (JSON.stringify(now) === JSON.stringify(field.edit)) { draw(); return; }
    store.decide([[page, field, { decision: "edit", value: now }]]);
    data.serve ? draw() : goOn(list, here);
  };
  const form = el("section", { class: "field editing", "aria-label": `Edit ${shortName(field)}`, onkeydown: event => {
    if (event.key === "Escape") { editing = false; draw(); }
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.target.tagName === "INPUT")) { event.preventDefault(); keep(); }
  } }, el("h3", {}, bdi(shortName(field))), inside, el("div", { class: "tools" }, el("button", { type: "button", class: "main", onclick: keep }, "Keep (Ctrl+Enter)"),
    el("button", { type: "button", onclick: () => { editing = false; draw(); } }, "Cancel (Esc)")), field.quotes.map(quote));
  return form;
}
function edit() {
  const field = fieldAt(cursor);
  if (!field || !canEdit(field)) return;
  view = "queue";
  editing = true;
  draw();
}

// The sheet: small moves of ratings as rows; all at once after a random ten were seen.
let sampled = null;
function drawSheet() {
  const pairs = shown.flatMap(page => fieldsOf(page).filter(field => field.lane === "small" && !store.state(page, field)).map(field => [page, field]));
  const seen = sampled && pairs.length ? sampled : null;
  $("sheet-accept").textContent = `Accept these ${pairs.length}`;
  $("sheet-accept").disabled = !pairs.length || !seen;
  $("sheet-sample").disabled = !pairs.length;
  $("sheet-none").hidden = pairs.length > 0;
  $("sheet-rows").replaceChildren(...pairs.map(([page, field]) => {
    const whole = seen && seen.has(field);
    return el("tr", { class: whole ? "sampled" : null }, el("td", {}, el("button", { type: "button", class: "link", onclick: () => { cursor = [page, field.field]; lane = ""; show("queue"); } }, bdi(page.title))),
      el("td", {}, bdi(shortName(field))), el("td", { class: "right" }, moveWords(field)), el("td", { class: whole ? "" : "one-line" }, bdi(field.reason)));
  }));
}
$("sheet-sample").addEventListener("click", () => {
  const rows = shown.flatMap(page => fieldsOf(page).filter(field => field.lane === "small" && !store.state(page, field)));
  for (let last = rows.length - 1; last > 0; last--) { const other = Math.floor(Math.random() * (last + 1)); [rows[last], rows[other]] = [rows[other], rows[last]]; }
  sampled = new Set(rows.slice(0, 10));
  drawSheet();
  const first = document.querySelector("#sheet-rows .sampled");
  if (first) first.scrollIntoView({ block: "center" });
});
$("sheet-accept").addEventListener("click", () => {
  const pairs = shown.flatMap(page => fieldsOf(page).filter(field => field.lane === "small" && !store.state(page, field)).map(field => [page, field]));
  store.decide(pairs.map(([page, field]) => [page, field, { decision: "accept" }]));
  sampled = null;
  draw();
});

function card(page) {
  let node = cards.get(page);
  if (!node) {
    const id = `card-${cards.size}`;
    const button = el("button", { type: "button", "aria-expanded": "false", "aria-controls": id, onclick: () => toggle(page) });
    node = el("li", { class: "card" }, el("h2", {}, button), el("div", { class: "inside", id, hidden: true }));
    node.addEventListener("focusin", event => {
      const item = event.target.closest("[data-field]");
      const name = item ? item.dataset.field : cursor && cursor[0] === page ? cursor[1] : (fieldsOf(page).find(field => !store.state(page, field)) || page.fields[0] || {}).field;
      if (name) cursor = [page, name];
      mark();
    });
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
  mark();
  if (held) restoreFocus(inside, held);
}
// Redrawing must not throw the keyboard out of its place.
function focusMark(inside) {
  const active = document.activeElement;
  if (!inside.contains(active)) return null;
  const field = active.closest("[data-field]");
  return { field: field && field.dataset.field, decision: active.dataset.decision, insight: active.closest("[data-insight]") && active.closest("[data-insight]").dataset.insight };
}
function restoreFocus(inside, held) {
  const field = [...inside.querySelectorAll("[data-field]")].find(one => one.dataset.field === held.field);
  if (!field) { inside.parentNode.querySelector("button").focus({ preventScroll: true }); return; }
  const part = held.insight && [...field.querySelectorAll("[data-insight]")].find(one => one.dataset.insight === held.insight);
  const target = (part || field).querySelector(`[data-decision=${held.decision || "accept"}]`);
  if (target) target.focus({ preventScroll: true });
}

function toggle(page, wanted = !open.has(page)) {
  wanted ? open.add(page) : open.delete(page);
  refresh(page);
}
function mark() {
  for (const node of document.querySelectorAll(".card.now, .field.now")) node.classList.remove("now");
  if (!cursor || !cards.has(cursor[0])) return;
  card(cursor[0]).classList.add("now");
  const node = nodeAt(cursor);
  if (node) node.classList.add("now");
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
const restOfPage = decision => {
  if (!cursor) return;
  const mine = order().filter(([page]) => page === cursor[0]);
  const list = order(), here = at(list, cursor);
  decideMany(mine.slice(Math.max(at(mine, cursor), 0)), decision);
  const words = $("tally").textContent;
  goOn(list, here);
  $("tally").textContent = words;
};
function restOfAll(decision) {
  const list = order();
  if (confirm(`${decision} all undecided fields shown${decision === "accept" ? ", but for those with a flag" : ""}?`)) decideMany(list, decision);
}

function tally(words = "") {
  const counts = { accept: 0, reject: 0, skip: 0, "": 0 };
  for (const page of data.pages) for (const field of page.fields) counts[store.state(page, field).replace("edit", "accept")]++;
  $("tally").textContent = `${words}${counts.accept} accepted, ${counts.reject} rejected, ${counts.skip} skipped, ${counts[""]} to decide`;
  $("kept").textContent = store.kept();
  const refused = store.refused();
  $("refused").hidden = !refused.length;
  $("refused-words").textContent = `Not stored: ${refused.map(([key, entry]) => `${JSON.parse(key).slice(0, 2).join(":")} ${(entry.value || { decision: "undo" }).decision}: ${entry.refused}`).join(" · ")}`;
  $("look").hidden = !refused.some(one => one[3]);
  $("forget").hidden = refused.every(one => one[3]);
  $("tally").setAttribute("aria-busy", String(store.busy()));
  if (view === "queue") fit();
  $("undo").disabled = !store.canUndo();
}
store.onChange((pages, fresh) => {
  if (view === "browse") for (const page of new Set(pages)) { refresh(page); if (pages.length < 4) fill(page); }
  else for (const page of pages) if (cards.has(page)) card(page).drawn = false;
  if (fresh && filtered()) update();
  else if (view === "queue" && pages.length && !editing) drawQueue();
  else if (view === "sheet" && pages.length) drawSheet();
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
$("undo").addEventListener("click", () => {
  const last = store.undo();
  if (!last) return;
  if (view === "queue") { cursor = [last[0], last[1].field]; lane = inLane(last[1]) ? lane : ""; draw(); }
  tally("Undone. ");
});
for (const name of ["queue", "browse", "sheet", "totals"]) $(`view-${name}`).addEventListener("click", () => show(name));
for (const button of document.querySelectorAll("[data-press]")) button.addEventListener("click", () => KEYS[button.dataset.press]());
$("look").addEventListener("click", () => {
  const [, , page, field] = store.refused().find(one => one[3]);
  if (filtered()) $("clear").click();
  lane = "";
  if (view !== "browse") view = "queue";
  focusField([page, field]);
});
$("forget").addEventListener("click", () => store.drop(store.refused().filter(one => !one[3]).map(([key]) => key)));
$("retry").addEventListener("click", () => store.flush());
$("clear-queue").addEventListener("click", () => $("clear").click());
$("import").addEventListener("change", async event => {
  try { $("copied").textContent = store.imported(JSON.parse(await event.target.files[0].text())); } catch (error) { $("copied").textContent = `Not read: ${error.message}.`; }
  event.target.value = "";
  $("export-text").value = exportText();
});
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
  y: () => decideHere("accept"), n: () => decideHere("reject"), s: () => decideHere("skip"), u: () => $("undo").click(), e: edit, m: writeNote,
  i: () => { const first = document.querySelector(`${view === "browse" ? ".field.now" : "#stage"} [data-insight] [data-decision]`); if (first) first.focus(); },
  j: () => step(1), k: () => step(-1), J: () => stepPage(1), K: () => stepPage(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
  a: () => restOfPage("accept"), d: () => restOfPage("reject"), Y: () => restOfAll("accept"), N: () => restOfAll("reject"), S: () => restOfAll("skip"),
  f: () => { if (view !== "queue") view = "queue"; pickLane("flagged"); }, v: () => show(view === "queue" ? "browse" : "queue"),
  "/": () => { if (view !== "browse") show("browse"); $("search").focus(); $("search").select(); }, "?": () => $("help").showModal(), x: showExport,
  1: () => giveReason(1), 2: () => giveReason(2), 3: () => giveReason(3), 4: () => giveReason(4),
};
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.closest("input, select, textarea");
  if (typing) { if (event.key === "Escape" && !typing.closest(".editing")) typing.blur(); return; }
  // On an insight, keys are about it; y and n on its buttons decide it alone.
  const item = event.target.closest("[data-insight]");
  if (item && (event.key === "y" || event.key === "n")) {
    event.preventDefault();
    const button = item.querySelector(`[data-decision=${event.key === "y" ? "accept" : "reject"}]`);
    if (button && !button.disabled) button.click();
    const rows = [...document.querySelectorAll("[data-insight] [data-decision=accept]")], now = rows.findIndex(row => row.closest("[data-insight]").dataset.insight === item.dataset.insight);
    if (rows[now + 1]) rows[now + 1].focus();
  } else if (event.key === "Enter" && event.target === document.body && cursor && view === "browse") { event.preventDefault(); toggle(cursor[0]); }
  else if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
});
// Paper shows everything that the filters let through.
addEventListener("beforeprint", () => { if (view !== "browse") show("browse"); for (const page of shown) { open.add(page); refresh(page); fill(page); } });

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

if (!data.serve && location.hash.startsWith("#page=")) {  // a link of the site
  const wanted = decodeURIComponent(location.hash.slice(6)), found = data.pages.find(page => page.page === wanted);
  if (found) { open.add(found); view = "browse"; $("search").value = wanted; }
}
if (data.pages.length) open.add(data.pages[0]);
update();
store.flush();
