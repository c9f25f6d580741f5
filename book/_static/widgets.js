/* Widgets on pages that no kernel stands behind. Loaded before the theme's icons and before MathJax.

   Two things would stop sliders silently. Font Awesome replaces <i> by <svg> whenever the page changes, and the
   Play widget then no longer finds its icons. And ipywidgets asks MathJax for `Hub.Queue`, which MathJax 3 does
   not have. The rest names controls for screen readers, marks controls that only a kernel can serve, sorts
   tables, and sets words to the left and numbers to the right in them. */
(() => {
  "use strict";

  window.FontAwesomeConfig = { ...window.FontAwesomeConfig, observeMutations: false };

  /* MathJax replaces window.MathJax when it starts, so every value assigned to it gets the old entry point. */
  const withHub = (mathjax) => {
    if (mathjax && !mathjax.Hub) {
      const typeset = async ([command, , element]) => {
        await window.MathJax.startup?.promise;
        if (command === "Typeset" && element) await window.MathJax.typesetPromise?.([element]);
      };
      /* not enumerable: MathJax copies what it can list into its configuration */
      Object.defineProperty(mathjax, "Hub", { value: { Queue: (...jobs) => jobs.forEach(typeset) } });
    }
    return mathjax;
  };
  let current = withHub(window.MathJax);
  Object.defineProperty(window, "MathJax", {
    configurable: true,
    get: () => current,
    set: (mathjax) => { current = withHub(mathjax); },
  });

  const set = (element, name, value) => {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  const labelOf = (widget) => widget.querySelector(".widget-label")?.textContent.trim() || "value";

  const PLAY = { "fa-play": "Play", "fa-pause": "Pause", "fa-stop": "Stop", "fa-retweet": "Repeat" };

  const nameControls = () => {
    for (const slider of document.querySelectorAll(".widget-slider")) {
      const text = slider.querySelector(".widget-readout")?.textContent.trim();
      for (const handle of slider.querySelectorAll("[role=slider]")) {
        set(handle, "aria-label", labelOf(slider));
        if (text) set(handle, "aria-valuetext", text);
      }
    }
    for (const group of document.querySelectorAll(".widget-toggle-buttons")) {
      set(group, "role", "group");
      set(group, "aria-label", labelOf(group));
      for (const button of group.querySelectorAll("button"))
        set(button, "aria-pressed", String(button.classList.contains("mod-active")));
    }
    for (const play of document.querySelectorAll(".widget-play")) {
      set(play, "role", "group");
      set(play, "aria-label", "Play");
      for (const button of play.querySelectorAll("button")) {
        const icon = Object.keys(PLAY).find((name) => button.querySelector(`.${name}`));
        if (icon) set(button, "aria-label", PLAY[icon]);
      }
    }
  };

  /* What `interact` shows was computed; its controls would move and change nothing. */
  const retireKernelControls = () => {
    for (const control of document.querySelectorAll(".widget-interact > :not(.widget-output)"))
      control.inert = true;
  };

  let scheduled = false;
  const tidy = () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      nameControls();
      retireKernelControls();
    });
  };

  /* Empty cells come last whichever way a column is sorted, and words after numbers. */
  const compare = (a, b, sign) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const [x, y] = [Number(a), Number(b)];
    if (Number.isNaN(x) || Number.isNaN(y))
      return Number.isNaN(x) && Number.isNaN(y) ? sign * a.localeCompare(b) : Number.isNaN(x) - Number.isNaN(y);
    return sign * (x - y);
  };

  const sortBy = (heading) => {
    const table = heading.closest("table");
    const body = table.tBodies[0];
    const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const text = ({ cells: { [heading.cellIndex]: cell } }) => cell.dataset.sort ?? cell.textContent.trim();
    body.append(...[...body.rows].sort((a, b) => compare(text(a), text(b), sign)));
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
  };

  const makeSortable = () => {
    for (const heading of document.querySelectorAll("table.advnb-sortable thead tr:last-child th")) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sortBy(heading));
      heading.append(button);
    }
  };

  /* Columns are counted from the right: a cell that spans rows is missing at the left of the rows below. */
  const setWordsLeft = () => {
    for (const table of document.querySelectorAll("table.advnb-table")) {
      const columns = new Map();
      for (const row of table.rows)
        for (const cell of row.cells) {
          if (cell.colSpan > 1) continue;
          const place = row.cells.length - cell.cellIndex;
          columns.set(place, [...(columns.get(place) ?? []), cell]);
        }
      for (const cells of columns.values()) {
        const texts = cells.filter((cell) => cell.closest("tbody")).map((cell) => cell.textContent.trim());
        const filled = texts.filter((text) => text !== "");
        const words = filled.filter((text) => /^\p{L}{2}|\p{L}{3}/u.test(text));
        const kind = 2 * words.length > filled.length ? "words" : "numbers";
        for (const cell of cells) cell.classList.add(kind);
      }
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    setWordsLeft();
    makeSortable();
    if (!document.querySelector('script[type^="application/vnd.jupyter.widget"]')) return;
    new MutationObserver(tidy).observe(document.body, { childList: true, subtree: true });
    document.addEventListener("click", tidy);
    tidy();
  });
})();
