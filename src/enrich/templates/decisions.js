// The decisions made here. Each is kept in this browser under a name of its own (wiki, page, field, hash of the value that was seen, time), so that no
// other tab, report or reload can overwrite it, and no tab that removes what it has sent removes a later one, which it may not have seen yet. With
// `review --serve` what is kept is what the server has not stored yet.
const store = (() => {
  const prefix = `enrich-review:${data.id}:`;
  const made = new Map();  // key → { at: ms, value: decision or null after an undo, seen: mark of what was decided before, refused: why }
  const own = new Set();   // what this tab has to send: its own decisions, and those that it found when it was loaded
  const gone = new Map();  // key → when the decision was made that this tab has no more: it is stored, or was dropped
  const past = [];
  const DROPPED = "null";  // stored for a moment: a person has dropped the decision, so no other tab keeps it
  let listener = () => {}, savedAt = 0, unsaved = false;
  const nameOf = (key, entry) => `${prefix}${key}@${entry.at}`;
  const keyIn = name => name.slice(prefix.length).replace(/@[\d.]+$/, "");
  const keyOf = (page, field, part) => JSON.stringify([page.page, part ? `${field.field}.${part}` : field.field, field.hash]);
  const places = new Map();  // key → [page, field, part]
  function index(page) {
    for (const field of page.fields) {
      for (const part of ["", "#note", ...field.insights.map(one => one.id)]) places.set(keyOf(page, field, part), [page, field, part]);
    }
  }
  for (const page of data.pages) index(page);

  function merge(key, entry) {
    const mine = made.get(key);
    const newer = entry && typeof entry.at === "number" && !(mine && mine.at >= entry.at);
    if (newer) made.set(key, entry);
    return newer;
  }
  // localStorage outlives the window, but Chromium may give it back outdated or empty when a page from a file is loaded again; history.state is
  // reliable then. What one of them has lost comes from the other.
  function load() {
    try { for (const [key, entry] of history.state && history.state.decisions || []) merge(key, entry); } catch { /* no history here */ }
    fresh();
    for (const key of made.keys()) own.add(key);
    save([...made.keys()]);
  }
  // The keys of the decisions in localStorage that are new here.
  function fresh() {
    const found = [];
    try {
      for (const name of Object.keys(localStorage)) if (name.startsWith(prefix) && merge(keyIn(name), JSON.parse(localStorage.getItem(name)))) found.push(keyIn(name));
    } catch { /* private windows and pages from files may have no storage */ }
    return found;
  }
  // A tab in the background can miss a storage event.
  addEventListener("focus", () => {
    const found = fresh();
    for (const key of found) own.delete(key);
    const pages = new Set(found.filter(key => places.has(key)).map(key => places.get(key)[0]));
    if (pages.size) listener([...pages]);
  });
  function save(keys) {
    // With a server, a second copy would bring back what another tab has sent.
    if (!data.serve) try { history.replaceState({ ...history.state, decisions: [...made] }, ""); } catch { /* too much for this browser */ }
    unsaved = false;
    try {
      const stored = Object.keys(localStorage).filter(name => name.startsWith(prefix));
      const wanted = new Set(keys);
      for (const key of keys) {
        const entry = made.get(key);
        if (entry && (own.has(key) || !data.serve)) localStorage.setItem(nameOf(key, entry), JSON.stringify(entry));
      }
      // What came before these decisions goes; another tab's later decision on the same field stays.
      for (const name of stored) {
        const key = keyIn(name), entry = made.get(key);
        if (!wanted.has(key) || (entry && name === nameOf(key, entry))) continue;
        const found = JSON.parse(localStorage.getItem(name));
        if (!found || found.at <= Math.max(entry ? entry.at : 0, gone.get(key) || 0)) localStorage.removeItem(name);
      }
    } catch { unsaved = true; }
    if (keys.length && !unsaved) savedAt = Date.now();
  }
  addEventListener("storage", event => {
    if (!event.key || !event.key.startsWith(prefix)) return;
    const key = keyIn(event.key);
    let entry = null;
    if (event.newValue) try { entry = JSON.parse(event.newValue); } catch { return; }
    if (entry) { if (merge(key, entry)) { own.delete(key); save([key]); } }
    else if (made.has(key) && event.key !== nameOf(key, made.get(key))) return;  // an earlier decision
    // A tab that has sent its decision removes it, perhaps before it sees a later one of this tab. The server takes the same decision twice.
    else if (made.has(key) && event.newValue !== DROPPED && (own.has(key) || !data.serve)) save([key]);
    else { made.delete(key); own.delete(key); }
    if (places.has(key)) listener([places.get(key)[0]]);
  });

  const entryOf = (page, field, part = "") => made.get(keyOf(page, field, part));
  const of = (page, field, part) => { const entry = entryOf(page, field, part); return entry && !entry.refused ? entry.value : null; };
  const undone = (page, field, part) => { const entry = entryOf(page, field, part); return entry && !entry.refused && entry.value === null; };
  const STORED = { accepted: "accept", rejected: "reject", skipped: "skip" };
  function itemState(page, field, item) {
    const mine = of(page, field, item.id), whole = of(page, field);
    if (mine) return mine.decision;
    if (whole && whole.decision !== "skip") return whole.decision === "reject" ? "reject" : item.decision === "reject" ? "reject" : "accept";
    if (undone(page, field, item.id) || undone(page, field)) return "";
    return item.decision || (field.state === "accepted" ? "accept" : field.state === "rejected" ? "reject" : "");
  }
  // "", accept, reject, skip or edit. Single insights decide the field once all of them are decided.
  function state(page, field) {
    const mine = of(page, field);
    const items = field.insights.filter(one => one.status !== "same");
    if (items.some(one => entryOf(page, field, one.id))) {
      const states = items.map(one => itemState(page, field, one));
      return states.every(Boolean) ? (states.includes("accept") ? "accept" : "reject") : "";
    }
    return mine ? mine.decision : undone(page, field) ? "" : STORED[field.state] || "";
  }
  const note = (page, field) => { const mine = of(page, field, "#note"); return mine ? mine.note : field.note; };

  // changes: [page, field, value or null, part].
  function decide(changes, remember = true) {
    const before = changes.map(([page, field, , part = ""]) => {
      const stored = part === "" ? STORED[field.state] : "";
      return [page, field, of(page, field, part) || (data.serve && stored && !undone(page, field, part) ? { decision: stored } : null), part];
    });
    const at = Date.now(), keys = [];
    for (const [page, field, value, part = ""] of changes) {
      const set = (name, what) => { const key = keyOf(page, field, name); made.set(key, { at: at + keys.length / 1000, value: what, seen: field.mark }); own.add(key); keys.push(key); };
      if (part === "" && (!value || value.decision === "reject" || value.decision === "edit")) {
        for (const item of field.insights) if (of(page, field, item.id)) { before.push([page, field, of(page, field, item.id), item.id]); set(item.id, null); }
      }
      set(part, value);
    }
    if (remember) past.push(before);
    save(keys);
    listener(changes.map(([page]) => page));
    flush();
  }
  function undo() {
    const last = past.pop();
    if (!last) return null;
    // The server may have sent the fields again since.
    const now = last.map(([page, field, value, part]) => [page, page.fields.find(one => one.field === field.field) || field, value, part]);
    decide(now, false);
    return now[0];
  }
  const baseOf = name => name.startsWith("insights.") ? "insights" : name.replace(/\.#note$/, "");
  const plain = (key, entry) => {
    const [page, name, hash] = JSON.parse(key);
    return { page, field: name.replace(/\.#note$/, ""), ...(entry.value || { decision: "undo" }), new_hash: hash, seen: entry.seen };
  };
  // A report shows part of a wiki; the server takes decisions on all of it.
  const mine = () => [...made].filter(([key]) => data.serve || places.has(key)).sort((a, b) => a[1].at - b[1].at);
  const exported = () => ({ schema: 1, decisions: mine().filter(([, entry]) => entry.value).map(([key, entry]) => plain(key, entry)) });
  // Decisions of another browser or reviewer. What was decided here stays.
  function imported(document) {
    if (!document || document.schema !== 1 || !Array.isArray(document.decisions)) throw new Error("this is not a decisions file");
    const taken = [];
    let differ = 0, unknown = 0;
    for (const { page, field, new_hash: hash, seen, ...value } of document.decisions) {
      const key = JSON.stringify([page, value.decision === "note" ? `${field}.#note` : field, hash]);
      if (!places.has(key)) { unknown++; continue; }
      const had = made.get(key);
      if (had && had.value && JSON.stringify(had.value) !== JSON.stringify(value)) { differ++; continue; }
      const [at, one, part] = places.get(key);
      if (!had || !had.value) taken.push([at, one, value, part]);
    }
    if (taken.length) decide(taken);
    return `${taken.length} taken` + (differ ? `, ${differ} differ from yours and were left` : "") + (unknown ? `, ${unknown} are about values that are not in this report` : "");
  }

  // The address's fragment holds the tab's secret. It goes into the store of this origin and port, so that a reload still has it, and out of sight.
  let secret = location.hash.slice(1);
  if (data.serve) {
    try {
      if (secret) sessionStorage.setItem("enrich-review-tab", secret);
      else secret = sessionStorage.getItem("enrich-review-tab") || "";
    } catch { /* no store: until the next reload */ }
    if (location.hash) history.replaceState(history.state, "", location.pathname);
  }

  // One request at a time, with all that waits. What is not answered stays, and is sent again.
  let busy = false, timer = 0, pause = 1000, storedAt = 0;
  const waiting = () => mine().filter(([key, entry]) => own.has(key) && !entry.refused);
  async function flush() {
    clearTimeout(timer);
    if (!data.serve || busy) return;
    const batch = waiting();
    listener([]);
    if (!batch.length) return;
    busy = true;
    try {
      const answer = await fetch("/decisions", {
        method: "POST", headers: { "Content-Type": "application/json", "X-Enrich-Tab": secret },
        body: JSON.stringify({ schema: 1, decisions: batch.map(([key, entry]) => plain(key, entry)) }),
      });
      const body = await answer.json();
      if (!answer.ok) throw Object.assign(new Error(body.error || answer.statusText), { final: answer.status === 403 });
      take(batch, body);
      pause = 1000;
      trouble("");
    } catch (error) {
      const kept = `${count(waiting().length, "decision")} kept in this browser`;
      if (error.final) trouble(`Not stored: ${error.message}. ${kept}, and sent from the tab that opens there.`);
      else {
        trouble(`Not stored yet: the server does not answer as it should (${error.message}). ${kept}; trying again. Is \`enrich review --serve\` still running?`);
        timer = setTimeout(flush, pause);
        pause = Math.min(2 * pause, 15000);
      }
      busy = false;
      listener([]);
      return;
    }
    busy = false;
    flush();
  }
  // The server returns the pages as they are after the decisions. A decision that came on top of a stored one is about what that one left.
  function take(batch, body) {
    const refused = new Map(body.refused.map(one => [JSON.stringify([one.page, one.field]), one.why]));
    const fresh = new Map(body.pages.map(page => [page.page, page]));
    const keys = [];
    for (const [key, sent] of batch) {
      const { page, field, decision } = plain(key, sent);
      const why = refused.get(JSON.stringify([page, field]));
      const now = made.get(key), base = baseOf(field);
      const left = fresh.get(page) && fresh.get(page).fields.find(one => one.field === base);
      keys.push(key);
      if (now === sent) {
        if (why && !(decision === "edit" && left && left.hash !== JSON.parse(key)[2])) made.set(key, { ...sent, refused: why });
        else remove(key);
      } else if (now && own.has(key) && !why && left) {
        remove(key);
        const moved = JSON.stringify([page, JSON.parse(key)[1], left.hash]);
        made.set(moved, { ...now, seen: left.mark });
        own.add(moved);
        keys.push(moved);
      }
      // Later decisions on other insights of the field have seen what this one left.
      if (!why && left) for (const [other, entry] of made) {
        const [itsPage, name, hash] = JSON.parse(other);
        if (itsPage === page && baseOf(name) === base && hash === left.hash && !entry.refused) entry.seen = left.mark;
      }
    }
    for (const page of data.pages) if (fresh.has(page.page)) {
      page.fields = fresh.get(page.page).fields;
      delete page.text;
      index(page);
    }
    storedAt = Date.now();
    save(keys);
    listener(data.pages.filter(page => fresh.has(page.page)), true);
  }
  function remove(key) { gone.set(key, made.get(key).at); made.delete(key); }
  function drop(keys) {
    const names = keys.filter(key => made.has(key)).map(key => nameOf(key, made.get(key)));
    for (const key of keys) if (made.has(key)) remove(key);
    try { for (const name of names) localStorage.setItem(name, DROPPED); } catch { /* no storage: no other tab has it */ }
    save(keys);
    listener(data.pages);
  }
  // [key, entry, page, field] of all that was refused; the last two are missing where the field is no longer proposed.
  const refused = () => [...made].filter(([, entry]) => entry.refused).map(([key, entry]) => {
    const [id, name] = JSON.parse(key), page = data.pages.find(one => one.page === id), field = page && page.fields.find(one => one.field === baseOf(name));
    return [key, entry, ...(field ? [page, field] : [])];
  });
  // [key, entry, part] of what was refused on a field; also about a value that is no longer proposed.
  const refusedOf = (page, field) => refused().filter(one => one[2] === page && one[3].field === field.field)
    .map(([key, entry]) => [key, entry, JSON.parse(key)[1].slice(field.field.length + 1)]);
  // "37 kept, saved 14:02".
  function kept() {
    const time = at => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    if (unsaved) return "not kept: this browser stores nothing for this page; export before you close it";
    if (data.serve) return waiting().length ? `${waiting().length} waiting for the server` : storedAt ? `stored ${time(storedAt)}` : "";
    const number = mine().filter(([, entry]) => entry.value).length;
    return savedAt && made.size ? `${number} kept, saved ${time(savedAt)}` : "";
  }
  addEventListener("beforeunload", event => { if (unsaved || (data.serve && waiting().length)) event.preventDefault(); });
  load();
  return { of, state, itemState, note, decide, undo, exported, imported, kept, drop, refusedOf, refused, flush, busy: () => data.serve && waiting().length > 0,
    canUndo: () => past.length > 0, onChange: call => { listener = call; } };
})();

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
function trouble(words) {
  document.getElementById("trouble").hidden = !words;
  document.getElementById("trouble-words").textContent = words;
}
