// Runs before anything is drawn, so that no page flashes in the wrong colours.
"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem("ise-theme"); } catch (error) { /* storage is switched off */ }
  const follow = () => { root.dataset.theme = chosen || (dark.matches ? "dark" : "light"); };
  follow();
  dark.addEventListener("change", follow);
  window.iseTheme = () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("ise-theme", chosen); } catch (error) { /* kept for this page only */ }
    follow();
  };
})();
