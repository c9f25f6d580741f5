/* The ledger's filter: by text, chapter, verdict and scale. What is chosen stands in the address after "#", so that
   a link can lead to the ledger as it is filtered. Without this script all claims are shown. */
(() => {
  "use strict";

  const CHOICES = { chapter: "Chapter", verdict: "Verdict", scale: "Scale" };
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  /* Verdicts in their own order, which the cells carry for sorting; the rest by letter. */
  const valuesOf = (rows, name) => {
    const rank = (row) => (name === "verdict" ? row.querySelector(".verdict").dataset.sort : row.dataset[name]);
    const ranks = new Map(rows.filter((row) => row.dataset[name]).map((row) => [row.dataset[name], rank(row)]));
    return [...ranks.keys()].sort((a, b) => ranks.get(a).localeCompare(ranks.get(b)));
  };

  const formFor = (rows) => {
    const fields = { text: element("input", { type: "search", name: "text", autocomplete: "off" }) };
    for (const name of Object.keys(CHOICES)) {
      const options = valuesOf(rows, name).map((value) => element("option", { value }, value));
      fields[name] = element("select", { name }, element("option", { value: "" }, "all"), ...options);
    }
    const labels = Object.entries(fields).map(([name, field]) => element("label", {}, CHOICES[name] ?? "Text", field));
    const form = element("form", { className: "advnb-filter", role: "search", ariaLabel: "Filter the claims" });
    form.append(...labels, element("button", { type: "reset" }, "Show all"));
    return [form, fields];
  };

  const start = (ledger) => {
    const rows = [...ledger.querySelector("tbody").rows];
    const [form, fields] = formFor(rows);
    const count = element("p", { className: "advnb-count", role: "status" });
    ledger.before(form, count);

    const apply = () => {
      const words = fields.text.value.toLowerCase().split(/\s+/).filter(Boolean);
      const chosen = Object.keys(CHOICES).filter((name) => fields[name].value);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !(chosen.every((name) => row.dataset[name] === fields[name].value)
                       && words.every((word) => text.includes(word)));
      }
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims`;
    };

    const choose = (values) => {
      for (const [name, field] of Object.entries(fields)) field.value = values.get(name) ?? "";
      apply();
    };

    /* "#verdict=reproduced" filters; "#lazy-lemma-4.1" is a row, which no filter may hide. */
    const follow = () => {
      const fragment = decodeURIComponent(location.hash.slice(1));
      if (fragment.includes("=")) {
        choose(new URLSearchParams(location.hash.slice(1)));
        form.scrollIntoView();
      } else if (document.getElementById(fragment)?.hidden) {
        choose(new Map());
        document.getElementById(fragment).scrollIntoView();
      }
    };

    const keep = () => {
      apply();
      const chosen = Object.entries(fields).filter(([, field]) => field.value).map(([name, { value }]) => [name, value]);
      history.replaceState(null, "", `#${chosen.length ? new URLSearchParams(chosen) : "all-claims"}`);
    };
    for (const [name, field] of Object.entries(fields)) field.addEventListener(name === "text" ? "input" : "change", keep);
    form.addEventListener("reset", () => setTimeout(() => {
      apply();
      history.replaceState(null, "", "#all-claims");
    }));
    form.addEventListener("submit", (event) => event.preventDefault());
    window.addEventListener("hashchange", follow);
    apply();
    follow();
  };

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".advnb-ledger").forEach(start));
})();
