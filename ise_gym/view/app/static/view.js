// Keyboard, hits, what is open, and picks for comparison. All content is made on the server; nothing here writes HTML.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const main = $("main");
  const isTable = document.body.classList.contains("p-table");
  const say = (words) => { $("said").textContent = words; };
  const store = {
    get(key) { try { return JSON.parse(sessionStorage.getItem(key)); } catch (error) { return null; } },
    set(key, value) { try { sessionStorage.setItem(key, JSON.stringify(value)); } catch (error) { /* kept for this page only */ } },
  };

  // ---- what was opened or closed stays so, also when a part of the page is replaced ----
  const opened = store.get("opened") || {};
  const applyOpened = () => {
    for (const node of document.querySelectorAll("details[data-keep]")) if (node.dataset.keep in opened) node.open = opened[node.dataset.keep];
  };
  document.addEventListener("click", (event) => {
    const node = event.target.closest && event.target.closest("summary");
    const box = node && node.parentElement;
    if (box && box.dataset.keep) setTimeout(() => { opened[box.dataset.keep] = box.open; store.set("opened", opened); });
  });
  const narrow = matchMedia("(max-width: 900px)").matches;
  if (narrow) for (const node of document.querySelectorAll(".inspector > details, .intent")) node.open = false;
  applyOpened();
  if (isTable && narrow) $("filters-box").open = false;

  // ---- the table: chosen row, picks, orders ----
  let chosen = -1;
  const rows = () => [...document.querySelectorAll("tr.line")];
  const choose = (at) => {
    const all = rows();
    if (!all.length) return;
    for (const row of all) row.classList.remove("chosen");
    chosen = Math.min(Math.max(at, 0), all.length - 1);
    all[chosen].classList.add("chosen");
    all[chosen].querySelector("a.open").focus({ preventScroll: true });
    all[chosen].scrollIntoView({ block: "nearest" });
    if (isTable) store.set("chosen", all[chosen].dataset.id);
  };
  const picks = store.get("picks") || [];
  const isPick = (row) => picks.findIndex((p) => p.run === row.dataset.run && p.id === row.dataset.id);
  const showPicks = () => {
    for (const row of rows()) { const box = row.querySelector(".pick"); if (box) box.checked = isPick(row) >= 0; }
    const bar = $("picked");
    if (!bar) return;
    bar.hidden = !picks.length;
    $("picked-words").textContent = picks.length === 2 ? "Two episodes" : "One episode; choose another";
    $("picked-go").hidden = picks.length < 2;
    if (picks.length === 2) $("picked-go").href = "/compare?" + new URLSearchParams({ run_a: picks[0].run, id_a: picks[0].id, run_b: picks[1].run, id_b: picks[1].id });
  };
  const pick = (row) => {
    const at = isPick(row);
    if (at >= 0) picks.splice(at, 1);
    else { picks.push({ run: row.dataset.run, id: row.dataset.id }); if (picks.length > 2) picks.shift(); }
    store.set("picks", picks);
    showPicks();
  };
  document.addEventListener("change", (event) => { if (event.target.classList.contains("pick")) pick(event.target.closest("tr")); });
  document.addEventListener("click", (event) => {
    const sorter = event.target.closest && event.target.closest(".sorter");
    if (sorter) { $("sort").value = sorter.classList.contains("on") ? "new" : sorter.dataset.sort; $("sort").dispatchEvent(new Event("change", { bubbles: true })); }
    if (event.target.id === "picked-none") { picks.length = 0; store.set("picks", picks); showPicks(); }
  });
  showPicks();

  // empty fields make no part of an address
  document.body.addEventListener("htmx:configRequest", (event) => {
    if (!event.detail.elt.closest("#asked")) return;
    const given = event.detail.formData;
    for (const name of [...given.keys()]) { const kept = given.getAll(name).filter((value) => value !== ""); given.delete(name); for (const value of kept) given.append(name, value); }
    if (given.get("sort") === "new") given.delete("sort");
  });
  document.body.addEventListener("htmx:afterSettle", (event) => {
    applyOpened();
    showPicks();
    if (event.detail.target.id === "found") { chosen = -1; say(document.querySelector(".found-count").textContent); }
  });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt.dataset.once !== undefined && event.detail.successful) event.detail.elt.remove();
    if (event.detail.failed || event.detail.xhr.status >= 400) say("That did not work: " + event.detail.xhr.responseText.slice(0, 200));
  });
  // something new was recorded: the same question again, where nobody has scrolled away or is typing
  document.body.addEventListener("grown", () => {
    if (!isTable || rows().length > 50 || scrollY > 400) return;
    const marked = chosen >= 0 && rows()[chosen] ? rows()[chosen].dataset.id : null;
    htmx.ajax("GET", location.pathname + location.search, { target: "#found", swap: "outerHTML" }).then(() => {
      if (marked) chosen = rows().findIndex((row) => row.dataset.id === marked);
      if (chosen >= 0) rows()[chosen].classList.add("chosen");
    });
  });

  // ---- one episode: hits, jumps, files that follow ----
  const reveal = (node) => { for (let at = node.parentElement; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true; };
  const hits = () => [...document.querySelectorAll(".talk mark")];
  let hit = -1;
  const goHit = (by) => {
    const all = hits();
    if (!all.length) return;
    if (hit < 0 && location.hash) { const here = document.querySelector(location.hash + " mark"); if (here) hit = all.indexOf(here) - (by > 0 ? 1 : 0); }
    if (all[hit]) all[hit].classList.remove("at");
    hit = (hit + by + all.length) % all.length;
    reveal(all[hit]);
    all[hit].classList.add("at");
    all[hit].scrollIntoView({ block: "center" });
    $("hit-at").textContent = (hit + 1) + " of " + all.length;
  };
  const jump = (selector, back) => {
    const all = [...document.querySelectorAll(selector)].filter((node) => node.getClientRects().length);
    const here = document.querySelector(".moment.here");
    const box = here && here.getBoundingClientRect();
    let next;
    if (box && box.bottom > 0 && box.top < innerHeight) {  // from where the reader was led last, while that is in sight
      const side = back ? Node.DOCUMENT_POSITION_PRECEDING : Node.DOCUMENT_POSITION_FOLLOWING;
      const those = all.filter((node) => node !== here && here.compareDocumentPosition(node) & side);
      next = back ? those.pop() : those[0];
    } else next = back ? all.reverse().find((node) => node.getBoundingClientRect().top < 110) : all.find((node) => node.getBoundingClientRect().top > 110);
    if (!next) { say("no further one"); return; }
    history.replaceState(null, "", "#" + next.id);
    land();
  };
  const land = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const node = id && document.getElementById(id);
    if (!node) return;
    for (const old of document.querySelectorAll(".moment.here")) old.classList.remove("here");
    reveal(node);
    if (node.classList.contains("moment")) node.classList.add("here");
    node.scrollIntoView({ block: "start" });
    const mark = node.querySelector("mark");
    if (mark && node.classList.contains("moment")) { hit = hits().indexOf(mark) - 1; goHit(1); }
    node.focus({ preventScroll: true });
    if ($("note-message") && node.dataset.m) about(node.dataset.m);
  };
  const about = (number) => {
    for (const field of [$("note-message"), $("label-message")]) if (field) field.value = number;
    if ($("label-about")) $("label-about").textContent = number === "" ? "on the whole episode" : "on message " + number;
  };
  addEventListener("hashchange", land);
  if (main.classList.contains("episode-page")) {
    land();
    if (!location.hash && hits().length) goHit(1);
    let waiting;
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        const at = entry.target.dataset.files;
        clearTimeout(waiting);
        waiting = setTimeout(() => { if ($("files") && $("files").dataset.at !== at) htmx.ajax("GET", $("files").dataset.address + "&at=" + at, { target: "#files", swap: "outerHTML" }); }, 250);
      }
    }, { rootMargin: "-30% 0px -60% 0px" });
    for (const node of document.querySelectorAll(".moment[data-files]")) seen.observe(node);
  }
  const go = (address) => { if (address) location.href = address; };

  // ---- keys ----
  const press = (id) => { const node = $(id); if (node) node.click(); return Boolean(node); };
  const keys = {
    "/": () => { if ($("q")) $("q").focus(); else go(main.dataset.list); },
    j: () => { if (rows().length) choose(chosen + 1); else go(main.dataset.after); },
    k: () => { if (rows().length) choose(chosen < 0 ? 0 : chosen - 1); else go(main.dataset.before); },
    n: () => goHit(1),
    p: () => goHit(-1),
    u: () => jump(".moment.user"),
    U: () => jump(".moment.user", true),
    f: () => jump(".moment.has-failed"),
    F: () => jump(".moment.has-failed", true),
    g: () => jump(".moment.has-goal"),
    G: () => jump(".moment.has-goal", true),
    r: () => { const all = [...document.querySelectorAll("details.thought")]; const open = !all.every((node) => node.open); for (const node of all) node.open = open; },
    x: () => { const row = rows()[chosen]; if (row && row.querySelector(".pick")) pick(row); },
    l: () => { if ($("label")) { reveal($("label")); $("label").focus(); } },
    t: () => window.iseTheme(),
    "?": () => $("help").showModal(),
    Escape: () => { if (main.dataset.list) go(main.dataset.list); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox") {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const button = document.querySelector("[data-key='" + CSS.escape(event.key) + "']");
    const act = button ? () => button.click() : keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  $("keys").addEventListener("click", keys["?"]);
  $("theme").addEventListener("click", keys.t);
  for (const [id, by] of [["hit-before", -1], ["hit-after", 1]]) if ($(id)) $(id).addEventListener("click", () => goHit(by));
  document.documentElement.dataset.ready = "yes";
})();
