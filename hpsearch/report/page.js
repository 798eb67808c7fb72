"use strict";
(() => {
  const root = document.documentElement;
  const touch = matchMedia("(pointer: coarse)").matches;
  const figures = JSON.parse(document.getElementById("drawings").textContent);

  // Colours are written "var(--name)": each is looked up where the theme is known.
  const coloured = (value, style) => {
    if (typeof value === "string" && value.startsWith("var(--"))
      return style.getPropertyValue(value.slice(4, -1)).trim();
    if (Array.isArray(value)) return value.map((item) => coloured(item, style));
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, coloured(v, style)]));
    return value;
  };

  const merged = (base, over) => {
    const made = { ...base };
    for (const [key, value] of Object.entries(over))
      made[key] = value && typeof value === "object" && !Array.isArray(value) ? merged(base[key] || {}, value) : value;
    return made;
  };

  const common = (layout, narrow) => {
    const axis = {
      gridcolor: "var(--line)", linecolor: "var(--line)", zerolinecolor: "var(--line)", automargin: true,
      title: { font: { size: 12, color: "var(--muted)" }, standoff: 8 }, tickfont: { size: 11, color: "var(--muted)" },
      minor: { tickcolor: "var(--line)" }, nticks: narrow ? 5 : 8,
    };
    return merged({
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "var(--text)" },
      margin: { l: 8, r: 14, t: layout.title && layout.title.text ? 40 : 18, b: layout.showlegend ? 62 : 8 },
      title: { font: { size: 13 }, x: 0.01, xanchor: "left", y: 0.985, yanchor: "top" },
      legend: { orientation: "h", traceorder: "normal", yref: "container", y: 0.005, yanchor: "bottom", x: 0, font: { size: 11 }, bgcolor: "rgba(0,0,0,0)" },
      hoverlabel: { bgcolor: "var(--card)", bordercolor: "var(--line)", font: { color: "var(--text)" } },
      hovermode: "closest", dragmode: touch ? false : "zoom", showlegend: false, xaxis: axis, yaxis: axis,
    }, layout);
  };

  const config = { displaylogo: false, responsive: true, displayModeBar: false };

  const draw = (id) => {
    const at = document.getElementById(id);
    const style = getComputedStyle(root);
    const figure = figures[id];
    const layout = common(figure.layout, at.clientWidth < 420);
    return Plotly.react(at, coloured(figure.data, style), coloured(layout, style), config);
  };

  // One after the other, so that the page answers meanwhile.
  let turn = 0;
  const drawAll = async () => {
    const mine = ++turn;
    for (const id of Object.keys(figures)) {
      if (mine !== turn) return;
      await draw(id);
      await new Promise((next) => setTimeout(next));
    }
    root.dataset.drawn = root.dataset.theme;
  };

  const show = (theme) => { root.dataset.theme = theme; drawAll(); };
  document.getElementById("theme").addEventListener("click", () => {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("hpsearch-theme", theme); } catch { /* a file may have none */ }
    show(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (now) => show(now.matches ? "dark" : "light"));
  drawAll();

  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v ?? cell.textContent;
    return text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);
  };
  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
  };
  for (const table of document.querySelectorAll("table.ranking")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].map((row) => [value(row, column), row]);
      const empty = (key) => key === null;
      rows.sort(([a], [b]) => (empty(a) || empty(b) ? compare(a, b) : down ? compare(b, a) : compare(a, b)));
      table.tBodies[0].append(...rows.map(([, row]) => row));
    }));
  }
  for (const button of document.querySelectorAll("button.more"))
    button.addEventListener("click", () => {
      button.parentElement.querySelector("table.ranking").classList.add("all");
      button.remove();
    });
})();
