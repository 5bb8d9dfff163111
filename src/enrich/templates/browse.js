// Browse: a card for each page, with its fields.
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
// A card is drawn when it is near the window: 700 pages open at once stay light.
const watcher = new IntersectionObserver(seen => {
  for (const { target, isIntersecting } of seen) {
    target.near = isIntersecting;
    if (isIntersecting) for (const [page, node] of cards) if (node === target) fill(page);
  }
}, { rootMargin: "1200px" });

function refresh(page) {
  const node = card(page);
  node.outdated = true;
  if (node.near !== false) fill(page);
}

function drawHead(page, node) {
  const button = node.firstChild.firstChild, visible = fieldsOf(page);
  button.replaceChildren(
    el("span", { class: "name" }, el("b", {}, bdi(page.title)), el("span", { class: "sign", "aria-hidden": "true" }, "▸")),
    el("span", { class: "small soft" }, el("code", {}, bdi(page.path)), page.note ? badge(page.note, "red", "✗") : null),
    el("span", { class: "chips" }, headChips(page, visible)));
  button.setAttribute("aria-expanded", String(open.has(page)));
  node.lastChild.hidden = !open.has(page);
  node.drawn = node.outdated = false;
}

function fill(page) {
  const node = card(page), inside = node.lastChild;
  if (node.outdated) drawHead(page, node);
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
