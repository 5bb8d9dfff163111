// The page as a whole: the views, the cursor on one field, the keyboard, export and import.
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

// Accepting many at once leaves out what carries a flag: that is accepted by name only.
function decideMany(pairs, decision) {
  const waiting = pairs.filter(undecided);
  const taken = decision === "accept" ? waiting.filter(([, field]) => !field.flags.some(flag => GUARDED.includes(flag))) : waiting;
  if (taken.length) store.decide(taken.map(([page, field]) => [page, field, { decision }]));
  const left = waiting.length - taken.length;
  tally(`${taken.length} ${WORDS[decision]}${left ? `, ${left} left out: they need a decision of their own` : ""}. `);
}
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
  else for (const page of pages) if (cards.has(page)) card(page).outdated = true;
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
