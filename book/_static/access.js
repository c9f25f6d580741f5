/* What the theme leaves out for keyboards and screen readers.

   The keyboard must reach what scrolls by itself; the theme sees to code and outputs, this to formulas and tables. A
   control's name must hold the words that it shows, where the theme gives it another or none. And who moves a slider
   without seeing its picture hears what the picture now shows. */
(() => {
  "use strict";

  const NAMES = {
    "div.math": "Formula, scrolls sideways",
    ".math mjx-container": "Formula, scrolls sideways",
    "table.dataframe": "Table, scrolls sideways",
    ".pst-scrollable-table-container": "Table, scrolls sideways",
    ".advnb-pictures": "Picture, scrolls sideways",
    ".cell_output": "Output, scrolls sideways",
  };

  /* What is wide enough to hide a part of itself, and tells its readers so. */
  const WIDE =
    ".pst-scrollable-table-container, .advnb-scroll, .cell_output a.image-reference, .advnb-pictures, .advnb-thumbnail";

  const scrolls = (element) =>
    element.scrollWidth > element.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(element).overflowX);

  const reach = () => {
    // The theme looks once, which may be before the page has its final width.
    for (const code of document.querySelectorAll(".bd-article pre")) if (scrolls(code)) code.tabIndex = 0;
    for (const [selector, name] of Object.entries(NAMES))
      for (const element of document.querySelectorAll(`.bd-article ${selector}`)) {
        if (scrolls(element)) {
          element.tabIndex = 0;
          if (element.tagName !== "TABLE") Object.assign(element, { role: "group", ariaLabel: name });
        } else if (element.tabIndex === 0) {
          for (const attribute of ["tabindex", "role", "aria-label"]) element.removeAttribute(attribute);
        }
      }
    hint();
  };

  const hint = () => {
    for (const element of document.querySelectorAll(WIDE)) element.classList.toggle("advnb-wider", scrolls(element));
  };

  const nameTheme = () => {
    for (const button of document.querySelectorAll(".search-button-field")) button.removeAttribute("aria-label");
    for (const icon of document.querySelectorAll(".theme-switch-button .theme-switch")) {
      icon.removeAttribute("title");
      icon.querySelector("title")?.remove();
      if (icon.tagName === "svg") icon.setAttribute("aria-hidden", "true");
    }
    for (const summary of document.querySelectorAll(".bd-sidenav summary")) {
      const parent = summary.closest("li").querySelector("a").textContent.trim();
      summary.setAttribute("aria-label", `Pages of ${parent}`);
    }
    const start = document.querySelector(".sidebar-primary-items__start");
    if (start) Object.assign(start, { role: "navigation", ariaLabel: "Book" });
  };

  /* The new picture's alt text, once the reader has stopped moving; a picture that plays by itself stays silent. */
  const announce = (explore) => {
    const shown = [...explore.querySelectorAll("img.advnb-frame")].find((image) => image.checkVisibility());
    let region = explore.querySelector(":scope > [aria-live]");
    if (!region) {
      region = document.createElement("p");
      Object.assign(region, { className: "visually-hidden", ariaLive: "polite" });
      explore.append(region);
    }
    if (shown && region.textContent !== shown.alt) region.textContent = shown.alt;
  };
  let moving = 0;
  let held = null; // a drag may end beside its slider
  const moved = ({ type, target }) => {
    const control = (type === "pointerup" && held) || target.closest?.(".advnb-controls");
    held = type === "pointerdown" ? control : null;
    if (!control || target.closest?.(".widget-play")) return;
    clearTimeout(moving);
    if (type !== "pointerdown") moving = setTimeout(announce, 400, control.closest(".advnb-explore"));
  };
  for (const type of ["pointerdown", "pointerup", "keyup", "change"]) document.addEventListener(type, moved, true);

  let waiting = 0;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(reach, 350); // after the theme, which waits for 300
  };
  document.addEventListener("DOMContentLoaded", nameTheme);
  window.addEventListener("load", nameTheme); // Font Awesome has made pictures of the icons, some before this
  window.addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    reach();
    new ResizeObserver(soon).observe(document.querySelector(".bd-article") ?? document.body);
  });
})();
