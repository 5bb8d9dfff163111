// The decisions made here: in memory, in the browser's stores, and with `review --serve` in the proposals themselves.
const store = (() => {
  const prefix = `enrich-review:${data.wiki}:`;
  const made = new Map();  // id → { at: time in ms, value: decision, or null after an undo }
  const past = [];
  let listener = () => {};
  // A decision belongs to the value that was seen: another proposed value, another key.
  const keyOf = (page, field) => JSON.stringify([page.page, field.field, field.hash]);

  // localStorage outlives the window, but Chromium may give it back outdated or empty when a page from a file is loaded again;
  // history.state is reliable then. One key a decision: a page that read too little, or shows other fields, overwrites no other decision.
  function load() {
    const found = [];
    try { found.push(...(history.state && history.state.decisions || [])); } catch { /* a page without history */ }
    try {
      for (const key of Object.keys(localStorage)) {
        if (key.startsWith(prefix)) found.push([key.slice(prefix.length), JSON.parse(localStorage.getItem(key))]);
      }
    } catch { /* private windows and pages from files may have no storage */ }
    const known = new Set(data.pages.flatMap(page => page.fields.map(field => keyOf(page, field))));
    for (const [id, entry] of found) if (known.has(id) && !(made.has(id) && made.get(id).at >= entry.at)) made.set(id, entry);
    keep(made.keys());
  }
  function keep(ids) {
    if (data.serve) return;
    try { history.replaceState({ ...history.state, decisions: [...made] }, ""); } catch { /* too much for this browser */ }
    try { for (const id of ids) localStorage.setItem(prefix + id, JSON.stringify(made.get(id))); } catch { /* as above */ }
  }
  if (!data.serve) load();

  // null: undecided; else {decision, insights?}.
  const of = (page, field) => { const entry = made.get(keyOf(page, field)); return entry ? entry.value : null; };
  const state = (page, field) => {
    const mine = of(page, field);
    if (mine) return mine.decision;
    return field.state === "accepted" ? "accept" : field.state === "rejected" ? "reject" : field.state === "skipped" ? "skip" : "";
  };

  function decide(changes, remember = true) {
    const before = changes.map(([page, field]) => [page, field, of(page, field) || (data.serve && state(page, field) ? { decision: state(page, field) } : null)]);
    const at = Date.now();
    for (const [page, field, value] of changes) made.set(keyOf(page, field), { at, value });
    if (remember) past.push(before);
    keep(changes.map(([page, field]) => keyOf(page, field)));
    listener(changes.map(([page]) => page));
    if (data.serve) send(changes);
  }
  function undo() {
    const last = past.pop();
    if (!last) return false;
    // The server may have sent the fields again since.
    decide(last.map(([page, field, value]) => [page, page.fields.find(one => one.field === field.field) || field, value]), false);
    return true;
  }
  const entry = (page, field, value) => ({ page: page.page, field: field.field, ...value, new_hash: field.hash });
  function exported() {
    const decisions = [];
    for (const page of data.pages) for (const field of page.fields) {
      const value = of(page, field);
      if (value) decisions.push(entry(page, field, value));
    }
    return { schema: 1, decisions };
  }

  // The address's fragment holds the tab's secret. It goes into the store of this origin and port, so that a reload still has it, and out of sight.
  let tabSecret = location.hash.slice(1);
  if (data.serve) {
    try {
      if (tabSecret) sessionStorage.setItem("enrich-review-tab", tabSecret);
      else tabSecret = sessionStorage.getItem("enrich-review-tab") || "";
    } catch { /* no store: until the next reload */ }
    if (location.hash) history.replaceState(history.state, "", location.pathname);
  }

  // Requests are sent one after the other, so that the last click is the one that is stored.
  let queue = Promise.resolve();
  const unanswered = new Map();  // place → its last decision that has no answer yet
  const placeOf = (page, field) => JSON.stringify([page.page, field.field]);
  const waiting = (page, field) => unanswered.has(placeOf(page, field));
  function send(changes) {
    const parts = changes.map(([page, field, value]) => {
      const place = placeOf(page, field);
      const part = { page, field, value: value || { decision: "undo" }, place, before: unanswered.get(place) };
      unanswered.set(place, part);
      return part;
    });
    sayBusy();
    queue = queue.then(async () => {
      // After a stored decision of this page it is about the value which that one left; in all other cases about the value that was seen.
      const decisions = parts.map(({ page, field, value, before }) => entry(page, before && before.left || field, value));
      try {
        const answer = await fetch("/decisions", {
          method: "POST", headers: { "Content-Type": "application/json", "X-Enrich-Tab": tabSecret }, body: JSON.stringify({ schema: 1, decisions }),
        });
        const body = await answer.json();
        if (!answer.ok) throw new Error(body.error || answer.statusText);
        const refused = new Set(body.refused.map(one => placeOf({ page: one.page }, one)));
        const fields = new Map(body.pages.flatMap(page => page.fields.map(field => [placeOf(page, field), field])));
        for (const part of parts) if (!refused.has(part.place)) part.left = fields.get(part.place);
        take(body.pages);
        answered(parts);
        const why = body.refused.map(one => `${one.page}:${one.field}: ${one.why}`).join(" · ");
        trouble(why ? `Not stored: ${why}` : "");
      } catch (error) {
        answered(parts);
        for (const [page, field] of changes) made.delete(keyOf(page, field));
        listener(changes.map(([page]) => page));
        trouble(`Not stored: ${error.message}. Is \`enrich review --serve\` still running?`);
      }
    });
  }
  // Until the answer arrives, the tally is ahead of what is stored.
  const sayBusy = () => document.getElementById("tally").setAttribute("aria-busy", String(unanswered.size > 0));
  function answered(parts) {
    for (const part of parts) {
      part.before = null;
      if (unanswered.get(part.place) === part) unanswered.delete(part.place);
    }
    sayBusy();
  }
  addEventListener("beforeunload", event => { if (unanswered.size) event.preventDefault(); });
  // The server returns a page's fields as they are after the decision.
  function take(pages) {
    for (const fresh of pages) {
      const page = data.pages.find(one => one.page === fresh.page);
      if (!page) continue;
      for (const field of page.fields) made.delete(keyOf(page, field));
      page.fields = fresh.fields;
      delete page.text;
    }
    listener(pages.map(fresh => data.pages.find(one => one.page === fresh.page)).filter(Boolean), true);
  }
  return { of, state, waiting, decide, undo, exported, canUndo: () => past.length > 0, onChange: call => { listener = call; } };
})();

function trouble(words) {
  const box = document.getElementById("trouble");
  box.hidden = !words;
  box.textContent = words;
}
