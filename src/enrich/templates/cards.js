// Cards. Everything from pages and models becomes a text node: nothing here parses markup.
const $ = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const GUARDED = ["needs-look", "over-human", "leap", "stale"];
const FLAGS = { "needs-look": ["⚠", "red", "needs a look"], "over-human": ["✎", "violet", "over a person's value"], leap: ["↕", "violet", "leap"], "stale": ["≠", "amber", "stale"] };
const STATUS = { new: ["+", "green"], changed: ["~", "amber"], same: ["=", ""], gone: ["−", "red"] };
const WORDS = { accept: "accepted", reject: "rejected", skip: "skipped", edit: "edited" };

function el(tag, about, ...children) {
  const node = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(about || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined && child !== ""));
  return node;
}
const bdi = words => el("bdi", { dir: "auto" }, String(words));
const badge = (words, colour, sign) => el("span", { class: "badge " + (colour || "") }, sign ? el("span", { "aria-hidden": "true" }, sign) : null, words);
const figure = value => value === null || value === undefined ? "–" : String(value);
const signed = value => value === 0 ? "±0" : (value > 0 ? "+" : "−") + String(Math.abs(value));
const shortName = field => field.field.replace(/^ratings\./, "");

// `!` after a mark: a finding is about these words.
function words(pieces) {
  const whole = pieces.every(piece => piece[0][0] !== "=");
  const part = ([mark, text]) => mark[1] ? el("span", { class: "unsupported", title: "a finding is about these words" }, bdi(text)) : bdi(text);
  const nodes = [];
  for (let at = 0; at < pieces.length;) {
    const side = pieces[at][0][0], run = [];
    while (at < pieces.length && pieces[at][0][0] === side) run.push(part(pieces[at++]));
    nodes.push(...(side === "=" ? run : [el(side === "-" ? "del" : "ins", {}, el("span", { class: "hidden" }, side === "-" ? " removed: " : " added: "), run)]));
  }
  return el("p", { class: whole ? "words whole" : "words" }, nodes);
}

function quote(one) {
  const place = !one.found ? "not found on the page as it is now"
    : [one.lines[0] ? (one.lines[0] === one.lines[1] ? `line ${one.lines[0]}` : `lines ${one.lines[0]}–${one.lines[1]}`) : "", one.section, !one.verbatim ? "corrected to the page's words" : ""].filter(Boolean).join(" · ");
  return el("blockquote", {}, one.before ? el("span", { class: "around" }, bdi(one.before)) : null, el("mark", {}, bdi(one.quote)), one.after ? el("span", { class: "around" }, bdi(one.after)) : null,
    el("footer", {}, one.found ? null : badge("missing", "red", "✗"), " ", bdi(place)));
}

const finding = one => el("p", { class: "finding" }, badge(`${one.severity} ${one.kind}`, one.severity === "hard" ? "red" : "amber", one.severity === "hard" ? "✗" : "~"), bdi(one.message));

function track(field) {
  const at = value => 4 + 92 * Math.min(Math.max(value, 0), 10) / 10;
  const has = typeof field.old === "number";
  return el("svg:svg", { viewBox: "0 0 100 12", preserveAspectRatio: "xMinYMid", "aria-hidden": "true" },
    el("svg:rect", { class: "track", x: 4, y: 4, width: 92, height: 4, rx: 2 }),
    has ? el("svg:line", { class: "shift", x1: at(field.old), x2: at(field.new), y1: 6, y2: 6 }) : null,
    has ? el("svg:circle", { class: "was", cx: at(field.old), cy: 6, r: 3.2 }) : null,
    el("svg:circle", { class: "will", cx: at(field.new), cy: 6, r: 4 }));
}

const around = margin => margin ? ` ±${figure(margin)}` : "";

function moveWords(field) {
  const now = figure(field.new) + around(field.margin);
  if (typeof field.old === "number") return `${figure(field.old)} → ${now} (${signed(field.move)})`;
  return `${field.old === null ? "no value" : field.old} → ${now}`;
}

function scores(insight) {
  return el("div", { class: "sia" }, insight.scores.map(({ name, old, new: now, margin }) => {
    const value = insight.status === "gone" ? old : now;
    const moved = insight.status === "changed" && old !== null && old !== now;
    return el("span", {}, el("span", {}, name), el("svg:svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      el("svg:rect", { class: "track", width: 100, height: 10, rx: 4 }),
      value === null ? null : el("svg:rect", { class: "fill", width: 20 * Math.min(Math.max(value, 0), 5), height: 10, rx: 4 }),
      moved ? el("svg:rect", { class: "before", x: Math.max(20 * old - 2, 0), width: 4, height: 10 }) : null),
    el("b", {}, (moved ? `${figure(old)} → ${figure(now)}` : figure(value)) + (insight.status === "gone" ? "" : around(margin))));
  }));
}

function choices(about, now, names, press, off) {
  return el("div", { class: "decide", role: "group", "aria-label": about }, names.map(decision => el("button", {
    type: "button", class: decision, "data-decision": decision, "aria-pressed": String(now === decision), disabled: decision === "accept" && off,
    onclick: () => press(now === decision ? null : { decision }),
  }, decision[0].toUpperCase() + decision.slice(1))));
}

function insightItem(page, field, insight, number) {
  const [sign, colour] = STATUS[insight.status];
  const state = store.itemState(page, field, insight);
  const kind = insight.old_kind && insight.old_kind !== insight.kind ? `${insight.old_kind} → ${insight.kind}` : insight.kind;
  return el("li", { class: `insight ${insight.status} ${state}`, "data-insight": insight.id },
    el("div", { class: "top" }, el("span", { class: "soft small", "aria-hidden": "true" }, `${number}`), badge(insight.status, colour, sign),
      el("span", { class: "badge blue" }, bdi(kind)), scores(insight),
      insight.status === "same" ? null : choices(`Decision on insight ${number} of ${page.title}`, state, ["accept", "reject"],
        value => store.decide([[page, field, value, insight.id]]), field.flags.includes("stale"))),
    words(insight.pieces), insight.quotes.map(quote), insight.findings.map(finding));
}

const isStale = field => field.flags.includes("stale");
const buttons = (page, field) => choices(`Decision on ${shortName(field)} of ${page.title}`, store.state(page, field), ["accept", "reject", "skip"],
  value => store.decide([[page, field, value]]), isStale(field));

// What was decided here and refused by the server stays until it is sent again or dropped.
const refusals = (page, field) => store.refusedOf(page, field).map(([key, entry, part]) => el("p", { class: "finding refused" },
  badge("not stored", "red", "✗"), el("span", {}, `${part && part !== "#note" ? "insight: " : ""}${(entry.value || { decision: "undo" }).decision}: `, bdi(entry.refused), " ",
    el("button", { type: "button", onclick: () => { store.drop([key]); store.decide([[page, field, entry.value, part]]); } }, "Decide again"), " ",
    el("button", { type: "button", onclick: () => store.drop([key]) }, "Drop"))));

function fieldItem(page, field) {
  const used = el("span", { class: "hidden decided-print" }, WORDS[store.state(page, field)] || "undecided");
  const head = el("div", { class: "top" },
    el("div", {}, el("h3", { class: field.kind === "rating" ? "of-rating" : null }, bdi(shortName(field))), field.kind === "rating" ? el("div", { class: "rating" }, track(field), el("span", { class: "moved" }, moveWords(field))) : null,
      field.flags.map(flag => FLAGS[flag] ? badge(FLAGS[flag][2], FLAGS[flag][1], FLAGS[flag][0]) : badge(flag)), used),
    buttons(page, field));
  const state = store.state(page, field), value = store.of(page, field);
  return el("section", { class: `field ${state}`, "data-field": field.field, "aria-label": shortName(field) }, head, refusals(page, field),
    field.by ? el("p", { class: "small soft" }, `${WORDS[store.state(page, field)] || "noted"} by `, bdi(field.by), field.why ? ` (${field.why})` : "", `, ${field.when.slice(0, 16).replace("T", " ")} UTC`) : null,
    value && value.decision === "edit" ? el("p", { class: "words" }, badge("edited here", "green", "✎"), " ", bdi(typeof value.value === "object" ? value.value.map(one => one.text).join(" · ") : value.value)) : null,
    store.note(page, field) ? el("p", { class: "note-of" }, badge("note", "amber", "✎"), " ", bdi(store.note(page, field))) : null,
    field.pieces.length ? words(field.pieces) : null,
    field.insights.length ? el("ul", { class: "insights" }, field.insights.map((one, at) => insightItem(page, field, one, at + 1))) : null,
    field.now === null ? null : el("p", { class: "finding" }, badge("on the page now", "amber", "⇄"), el("span", {}, bdi(field.now || "(nothing)"), el("span", { class: "soft" }, " — changed after the question was asked: it stays unless you replace it in ", el("code", {}, "enrich review")))),
    field.reason ? el("p", { class: "small soft reason" }, "Reason: ", bdi(field.reason)) : null,
    field.quotes.map(quote), field.findings.map(finding), chanceLine(page, field));
}

function chanceLine(page, field) {
  if (!data.serve || !field.chance) return null;
  const line = el("p", { class: "small soft" });
  page.chance = page.chance || fetch(`/chance?page=${encodeURIComponent(page.page)}`).then(answer => answer.json());
  page.chance.then(answer => { line.textContent = answer.chance || ""; }, () => { page.chance = null; });
  return line;
}

function originLine(page) {
  const seen = new Map();
  for (const field of page.fields) seen.set(field.stage, field.origin);
  return el("p", { class: "origin" }, [...seen].map(([stage, origin], at) => [at ? " · " : "", bdi(`${stage}: ${origin}`)]).flat());
}

function headChips(page, shown) {
  const chips = [];
  for (const field of shown) if (field.kind === "rating") chips.push(badge(`${shortName(field)} ${typeof field.old === "number" ? signed(field.move) : "new: " + figure(field.new)}`, Math.abs(field.move || 0) >= 1 ? "amber" : ""));
    else if (field.kind === "insights") {
      const counts = ["new", "changed", "gone"].map(status => [status, field.insights.filter(one => one.status === status).length]).filter(pair => pair[1]);
      chips.push(badge("insights: " + (counts.map(([status, count]) => `${count} ${status}`).join(", ") || "scores"), "blue"));
    } else chips.push(badge(field.field === "llmSummary" ? "summary" : shortName(field), "blue"));
  for (const flag of Object.keys(FLAGS)) {
    const count = shown.filter(field => field.flags.includes(flag)).length;
    if (count) chips.push(badge(count > 1 ? `${FLAGS[flag][2]} ×${count}` : FLAGS[flag][2], FLAGS[flag][1], FLAGS[flag][0]));
  }
  const done = shown.filter(field => store.state(page, field)).length;
  if (done) chips.push(badge(`${done}/${shown.length} decided`, done === shown.length ? "green" : "", done === shown.length ? "✓" : ""));
  return chips;
}
