"use strict";
// Before anything is shown: a page that is to be dark never flashes white.
(() => {
  let theme = null;
  try { theme = localStorage.getItem("hpsearch-theme"); } catch { /* a file may have none */ }
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.theme = theme || system;
})();
