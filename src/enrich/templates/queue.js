// The queue: one field, whole in the window.
function drawQueue() {
  const list = order(), open_ = list.filter(undecided);
  const pairs = pairsOf(shown), left = pairs.filter(undecided);
  const parts = { "": ["All", Object.keys(LANES)], flagged: ["Flagged", FLAGGED], ...Object.fromEntries(Object.entries(LANES).map(([name, words]) => [name, [words, [name]]])) };
  const among = (some, lanes) => some.filter(([, field]) => lanes.includes(field.lane)).length;
  $("lanes").replaceChildren(...Object.entries(parts).filter(([name, [, lanes]]) => !name || name === lane || among(pairs, lanes))
    .map(([name, [words, lanes]]) => [name, words, among(left, lanes)]).map(([name, words, number]) => el("button", { type: "button", "aria-pressed": String(lane === name), "data-lane": name, onclick: () => pickLane(name) }, `${words} `, el("b", {}, String(number)))));
  if (at(list, cursor) < 0) { const next = open_[0] || list[0]; cursor = next ? [next[0], next[1].field] : null; }
  const field = fieldAt(cursor), page = cursor && cursor[0];
  $("stage").replaceChildren();
  $("all-done").hidden = open_.length > 0;
  if (!field) return;
  const place = at(list, cursor) + 1;
  $("stage").append(el("div", { class: "where" }, el("h2", {}, bdi(page.title), " ", el("code", { class: "soft small" }, bdi(page.path))),
    page.note ? badge(page.note, "red", "✗") : null, page.assigned ? badge(page.assigned, "blue", "@") : null,
    el("span", { class: "soft small" }, LANES[field.lane], el("span", { class: "why" }, `: ${WHY[field.lane]}`), ` · ${place} of ${list.length}`)),
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
    inside = rows.map((row, place) => el("div", { class: "edit-row" }, row[0], el("div", { class: "tools" }, row.slice(1).map((input, nth) => el("label", {}, SCORES[nth], input))),
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
const smallMoves = () => pairsOf(shown).filter(pair => pair[1].lane === "small" && undecided(pair));
function drawSheet() {
  const pairs = smallMoves();
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
  const rows = smallMoves().map(([, field]) => field);
  for (let last = rows.length - 1; last > 0; last--) { const other = Math.floor(Math.random() * (last + 1)); [rows[last], rows[other]] = [rows[other], rows[last]]; }
  sampled = new Set(rows.slice(0, 10));
  drawSheet();
  const first = document.querySelector("#sheet-rows .sampled");
  if (first) first.scrollIntoView({ block: "center" });
});
$("sheet-accept").addEventListener("click", () => {
  store.decide(smallMoves().map(([page, field]) => [page, field, { decision: "accept" }]));
  sampled = null;
  draw();
});
