"use strict";
// The episode browser. Everything that was recorded reaches the page through textContent only.
(() => {
  const $ = (id) => document.getElementById(id);
  const lines = JSON.parse($("data").textContent);
  const unpacked = new Map();
  const LINES = 24;
  let order = lines.map((_, n) => n);
  let current = -1;

  const el = (tag, kind, text) => {
    const node = document.createElement(tag);
    if (kind) node.className = kind;
    if (text !== undefined && text !== null) node.textContent = text;
    return node;
  };
  const add = (parent, ...children) => { parent.append(...children.filter(Boolean)); return parent; };

  async function unpack(n) {
    if (unpacked.has(n)) return unpacked.get(n);
    const bytes = Uint8Array.from(atob($("e" + n).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const value = JSON.parse(await new Response(stream).text());
    unpacked.set(n, value);
    return value;
  }

  // ---- the list ----
  const list = $("list");
  const buttons = lines.map((line, n) => {
    const button = el("button", line.outcome);
    button.type = "button";
    button.dataset.n = n;
    add(button,
      add(el("div", "who"), el("span", "", line.who || line.id), el("span", "badge " + line.outcome, line.outcome === "passed" ? "passed" : line.outcome.replace("_", " ") + (line.score === null ? "" : " " + line.score.toFixed(2)))),
      el("div", "what", line.intent),
      el("div", "meta", [line.store, line.complexity, line.turns + " turns", line.calls + " calls", line.failed ? line.failed + " failed" : "", line.drift ? "drift " + line.drift : ""].filter(Boolean).join(" · ")));
    button.addEventListener("click", () => open(n, true));
    return button;
  });
  const words = lines.map((l) => [l.id, l.who, l.intent, l.store, l.complexity, ...l.domains, ...l.tasks].join("\n").toLowerCase());
  const deepWords = new Map();

  let filterRun = 0;
  async function filter() {
    const run = ++filterRun;
    const q = $("q").value.trim().toLowerCase();
    const deep = $("f-deep").checked && q;
    const want = (id) => ($(id) ? $(id).value : "");
    const keep = [];
    for (let n = 0; n < lines.length; n++) {
      const l = lines[n];
      if (want("f-outcome") && l.outcome !== want("f-outcome")) continue;
      if (want("f-domain") && !l.domains.includes(want("f-domain"))) continue;
      if (want("f-store") && l.store !== want("f-store")) continue;
      if ($("f-failed").checked && !l.failed) continue;
      if (q && !words[n].includes(q)) {
        if (!deep) continue;
        if (!deepWords.has(n)) {
          deepWords.set(n, JSON.stringify(await unpack(n).then((d) => [d.messages, d.sessions.map((s) => s.messages)])).toLowerCase());
          unpacked.delete(n);
          if (run !== filterRun) return;
        }
        if (!deepWords.get(n).includes(q) && !deepWords.get(n).includes(JSON.stringify(q).slice(1, -1))) continue;
      }
      keep.push(n);
    }
    if (run !== filterRun) return;
    order = keep;
    list.replaceChildren(...keep.map((n) => add(document.createElement("li"), buttons[n])));
    for (const n of keep) { plain(buttons[n]); highlight(buttons[n], q); }
    if (!keep.length) list.append(add(el("li", "none"), el("p", "", "No episode fits."), el("p", "muted", q && !deep ? "Tick “search conversations” to look into what was said." : "Take a filter away, or try fewer letters.")));
    if (current >= 0 && shownFor !== q) open(keep.includes(current) ? current : keep.length ? keep[0] : current, false);
    $("count").textContent = keep.length === lines.length ? lines.length + " episodes" : keep.length + " of " + lines.length + " episodes";
  }

  // ---- hits ----
  let shownFor = "";
  const asked = () => $("q").value.trim().toLowerCase();
  function plain(root) {
    for (const mark of root.querySelectorAll("mark")) mark.replaceWith(mark.firstChild);
    root.normalize();
  }
  function highlight(root, q) {
    if (!q) return;
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const nodes = [];
    while (walker.nextNode()) if (walker.currentNode.data.toLowerCase().includes(q)) nodes.push(walker.currentNode);
    for (let node of nodes) {
      for (let at = node.data.toLowerCase().indexOf(q); at >= 0; at = node.data.toLowerCase().indexOf(q)) {
        const hit = node.splitText(at);
        node = hit.splitText(q.length);
        const mark = document.createElement("mark");
        hit.replaceWith(mark);
        mark.append(hit);
      }
    }
  }
  let hit = -1;
  function nextHit(by) {
    const all = [...$("episode").querySelectorAll("mark")];
    if (!all.length) return;
    if (all[hit]) all[hit].classList.remove("at");
    hit = (hit + by + all.length) % all.length;
    all[hit].classList.add("at");
    for (let node = all[hit].parentElement; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    all[hit].scrollIntoView({ block: "center", behavior: "instant" });
    $("hits").textContent = "hit " + (hit + 1) + " of " + all.length;
  }

  // ---- one episode ----
  async function open(n, focus, beside = -1) {
    if (n < 0 || n >= lines.length) return;
    if (current >= 0) buttons[current].removeAttribute("aria-current");
    current = n;
    buttons[n].setAttribute("aria-current", "true");
    const top = buttons[n].offsetTop - list.offsetTop;
    if (top < list.scrollTop || top + buttons[n].offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top - list.clientHeight / 3;
    if (focus) try { history.replaceState(null, "", "#episode=" + encodeURIComponent(lines[n].id)); } catch (error) { /* a sandboxed frame: no address to keep */ }
    const pane = $("episode");
    let data;
    try {
      data = await unpack(n);
    } catch (error) {
      pane.replaceChildren(el("p", "empty muted", "This browser can't unpack the episode (" + error.message + "). A current Chromium, Firefox or Safari can."));
      return;
    }
    if (n !== current) return;
    if (beside >= 0) {
      const other = await unpack(beside);
      if (n !== current) return;
      pane.replaceChildren(sides([n, data], [beside, other]));
    } else pane.replaceChildren(head(lines[n], data), siblings(n), turns(data), verdict(lines[n], data));
    pane.dataset.episode = lines[n].id;
    pane.classList.toggle("wide", beside >= 0);
    shownFor = asked();
    hit = -1;
    $("hits").textContent = "";
    if (shownFor) { highlight(pane, shownFor); nextHit(1); }
    if (focus) { pane.focus({ preventScroll: true }); if (pane.getBoundingClientRect().top < 0) $("episodes").scrollIntoView(); }
  }

  function facts(pairs) {
    const dl = el("dl", "facts");
    for (const [name, value] of pairs) {
      if (value === "" || value === undefined || value === null) continue;
      add(dl, el("dt", "", name), el("dd", "", typeof value === "object" ? JSON.stringify(value) : String(value)));
    }
    return dl;
  }

  function fold(title, ...content) {
    return add(el("details"), el("summary", "", title), ...content);
  }

  function goals(subgoals) {
    const ul = el("ul", "goals");
    for (const [name, held] of Object.entries(subgoals)) {
      const li = add(el("li", held ? "yes" : "no", name), el("span", "sr", held ? " (holds)" : " (does not hold)"));
      ul.append(li);
    }
    return ul;
  }

  function head(line, data) {
    const p = data.persona;
    const box = el("div");
    const guard = data.user.guard || {};
    add(box,
      add(el("div", "ep-head"), el("h3", "", line.who || line.id), line.drift ? el("span", "badge warn", "role drift × " + line.drift) : null, line.sessions ? el("span", "badge", "sub-sessions " + line.sessions) : null, line.score === null ? null : el("span", "badge", "score " + line.score.toFixed(3)), el("span", "badge " + line.outcome, line.outcome.replace("_", " "))),
      el("div", "ep-sub", [p.industry, p.experience_level, p.communication_style].filter(Boolean).join(" · ")),
      el("div", "ep-sub", [line.id, line.complexity, line.domains.join(", "), line.tasks.join(", ")].filter(Boolean).join(" · ")));
    if (data.intent) box.append(el("div", "intent", data.intent));
    const names = Object.keys(data.subgoals);
    if (names.length) add(box, el("h4", "", "Sub-goals: " + names.filter((k) => data.subgoals[k]).length + " of " + names.length + " hold"), goals(data.subgoals));
    box.append(fold("About this episode", facts([
      ["scenario", data.scenario_id], ["seed", data.seed], ["reason", data.reason],
      ["agent", data.agent], ["user", data.user.name], ["role guard", Object.entries(guard).map(([k, v]) => k + " " + v).join(", ")],
      ["environment", data.env], ["counts", data.counts], ["hashes", data.hashes], ["timings", data.timings], ["metadata", data.metadata],
      ["tools offered", data.tools.map((t) => t.function && t.function.name).join(", ")],
    ])));
    return box;
  }

  // the same task in other stores: what training changed
  function siblings(n) {
    const others = lines.map((_, m) => m).filter((m) => m !== n && lines[m].scenario === lines[n].scenario);
    if (!others.length) return null;
    const box = add(el("div", "siblings"), el("span", "muted", "The same task:"));
    for (const m of others.slice(0, 8)) {
      const button = add(el("button", "side-button"), el("span", "badge " + lines[m].outcome, lines[m].outcome.replace("_", " ")), document.createTextNode(" " + (lines[m].store || lines[m].id) + ", side by side"));
      button.type = "button";
      button.addEventListener("click", () => open(Math.min(n, m), true, Math.max(n, m)));
      box.append(button);
    }
    return box;
  }
  function sides(...two) {
    const box = el("div", "sides");
    for (const [n, data] of two) {
      const back = el("button", "side-button", "← this one alone");
      back.type = "button";
      back.addEventListener("click", () => open(n, true));
      add(box, add(el("div", "side"), el("h3", "side-name", lines[n].store || lines[n].id), head(lines[n], data), back, turns(data), verdict(lines[n], data)));
    }
    return box;
  }

  function turns(data, first = 0) {
    const box = el("div", "turns");
    const opened = new Map();
    for (const s of data.sessions || []) for (const id of (s.opened_by || []).slice(-1)) opened.set(id, [...(opened.get(id) || []), s]);
    const answers = new Map();
    for (const m of data.messages) if (m.role === "tool") answers.set(m.tool_call_id, m);
    const shown = new Set();
    data.messages.forEach((m, position) => {
      if (position < first) return;
      if (m.role === "tool") {
        if (!shown.has(m.tool_call_id)) box.append(add(el("div", "turn tool"), call({ function: { name: m.name || "?", arguments: "" } }, m)));
        return;
      }
      for (const c of m.tool_calls || []) if (answers.has(c.id)) shown.add(c.id);
      const node = turn(m, position, data.steps[position], answers);
      for (const c of m.tool_calls || []) for (const s of opened.get(c.id) || []) node.append(session(s));
      box.append(node);
    });
    return box;
  }

  // what was delegated, under the call that it answered last; a copy of the conversation at its start is not shown again
  function session(s) {
    const name = "Sub-session " + s.key + " · " + s.messages.length + " messages · " + s.status;
    const node = fold(name, turns(s, s.inherited || 0));
    node.classList.add("session");
    if (s.inherited) node.append(el("div", "muted", "begins with a copy of the conversation so far (" + s.inherited + " messages)"));
    return node;
  }

  function turn(m, position, step, answers) {
    const node = el("div", "turn " + m.role);
    const by = add(el("div", "by"), el("span", "", position + " · " + m.role));
    if (step) {
      if (step.reward) by.append(el("span", "reward", "reward " + (step.reward > 0 ? "+" : "") + step.reward.toFixed(3) + ", score " + step.score.toFixed(3)));
      if (step.digest) { const d = el("span", "digest", "workspace " + step.digest.slice(0, 12)); d.title = "workspace digest " + step.digest; by.append(d); }
    }
    node.append(by);
    if (m.role === "system") { node.append(fold("System prompt (" + m.content.length + " characters)", el("div", "bubble", m.content))); return node; }
    if (m.reasoning_content) node.append(fold("Reasoning", el("div", "think", m.reasoning_content)));
    if (m.content) node.append(el("div", "bubble", m.content));
    for (const c of m.tool_calls || []) node.append(call(c, answers.get(c.id)));
    return node;
  }

  function call(c, answer) {
    const failed = !answer || answer.success === false;
    const box = el("div", "call" + (failed ? " failed" : ""));
    const header = add(el("div", "call-head"), el("code", "", c.function.name));
    let badge = answer ? (failed ? "failed" : "ok") : "no answer";
    if (answer && answer.exit_code !== null && answer.exit_code !== undefined) badge = (failed ? "failed · " : "") + "exit " + answer.exit_code;
    header.append(el("span", "badge " + (failed ? "failed" : "ok"), badge));
    box.append(header);
    if (c.function.arguments) box.append(args(c.function.arguments));
    if (answer) output(box, answer.content);
    return box;
  }

  function args(text) {
    const box = el("div", "args");
    let value;
    try { value = JSON.parse(text); } catch (error) { value = null; }
    if (value === null || typeof value !== "object" || Array.isArray(value)) return add(box, el("pre", "", text));
    const entries = Object.entries(value);
    for (const [name, item] of entries) {
      if (entries.length > 1 || name !== "command") box.append(el("div", "key", name));
      box.append(el("pre", "", typeof item === "string" ? item : JSON.stringify(item, null, 2)));
    }
    return box;
  }

  function output(box, text) {
    const rows = asked() && text.toLowerCase().includes(asked()) ? [] : text.split("\n");
    const pre = el("pre", "output", rows.length > LINES + 4 ? rows.slice(0, LINES).join("\n") : text || "(no output)");
    box.append(pre);
    if (rows.length <= LINES + 4) return;
    const more = el("button", "more", "Show all " + rows.length + " lines");
    more.type = "button";
    more.addEventListener("click", () => { pre.textContent = text; more.remove(); });
    box.append(more);
  }

  function verdict(line, data) {
    return add(el("div", "verdict"), el("span", "badge " + line.outcome, line.outcome.replace("_", " ")), el("span", "muted", " " + (data.reason || "")));
  }

  // ---- keys, theme, address ----
  function move(by) {
    if (!order.length) return;
    const at = order.indexOf(current);
    const next = at < 0 ? (by > 0 ? 0 : order.length - 1) : Math.min(Math.max(at + by, 0), order.length - 1);
    open(order[next], true);
  }
  function nextFailure() {
    const all = [...$("episode").querySelectorAll(".call.failed")].filter((node) => node.getClientRects().length);
    const next = all.find((node) => node.getBoundingClientRect().top > 90) || all[0];
    if (next) next.scrollIntoView({ block: "start" });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "Escape" && typing) { event.target.blur(); return; }
    if (typing) return;
    if (event.key === "/") { event.preventDefault(); $("q").focus(); }
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "f") nextFailure();
    else if (event.key === "n") nextHit(1);
    else if (event.key === "p") nextHit(-1);
    else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && list.contains(event.target)) {
      event.preventDefault();
      const at = order.indexOf(Number(event.target.dataset.n)) + (event.key === "ArrowDown" ? 1 : -1);
      if (at >= 0 && at < order.length) buttons[order[at]].focus();
    }
  });
  let timer;
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const kind of ["input", "change"]) $("filters").addEventListener(kind, () => { clearTimeout(timer); timer = setTimeout(filter, 120); });
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => { root.dataset.theme = dark.matches ? "dark" : "light"; };
  follow();
  dark.addEventListener("change", follow);
  $("theme").addEventListener("click", () => { root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; });

  filter();
  function arrive() {
    const named = new URLSearchParams(location.hash.slice(1)).get("episode");
    const found = named ? lines.findIndex((l) => l.id === named) : -1;
    if (named && found < 0) {
      $("episode").replaceChildren(el("p", "empty muted", "The episode “" + named + "” is not in this page. `ise report … --episode " + named + "` puts it there."));
      $("episodes").scrollIntoView();
    } else if (lines.length) open(found >= 0 ? found : 0, false).then(() => { if (found >= 0) $("episodes").scrollIntoView(); });
  }
  addEventListener("hashchange", () => { if (location.hash.startsWith("#episode=")) arrive(); });
  arrive();
  document.documentElement.dataset.ready = "yes";
})();
