/* The law of the transition, R* = φ C0 / sqrt(d/2 + (κ C0)^2), and the thresholds that were measured: move along the law,
   change its constants, ask each point for its trials. */
(() => {
  "use strict";

  const { add, button, choice, drag, eachFrame, element, result, say, slider } = window.advnbMovable;

  const SVG = "http://www.w3.org/2000/svg";
  const RANGE = { d: [20, 950], c0: [1.5, 60], budget: [0.025, 0.7] };
  const TICKS = { d: [25, 50, 100, 200, 400, 784], c0: [2, 5, 10, 20, 40], budget: [0.05, 0.1, 0.2, 0.4] };
  const NAMES = { d: "dimension d", c0: "C0 = V√m", budget: "R50, the budget that halves robust accuracy",
                  law: "R* of the law" };
  const VIEWS = { d: "d", c0: "C0", law: "law" };
  const FAMILIES = { d: [5, 10, 20, 40], c0: [49, 100, 196, 400], law: [] }; // thin curves: of C0, of d
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  const INSET = { width: 260, height: 110 };
  const SHAPES = {
    left: (r) => `M${-r},0A${r},${r} 0 1 0 ${r},0A${r},${r} 0 1 0 ${-r},0Z`,
    right: (r) => `M${-r},${-r}H${r}V${r}H${-r}Z`,
    elsewhere: (r) => `M0,${-1.4 * r}L${1.4 * r},0L0,${1.4 * r}L${-1.4 * r},0Z`,
    plane: (r) => `M0,${-1.3 * r}L${1.3 * r},${r}H${-1.3 * r}Z`,
  };
  const NEAR = 1.15; // a point this close to the curve's C0 (or d) belongs to it
  const EDGE = { left: 46, right: 14, top: 26, bottom: 44 };

  const shape = (name, attributes = {}) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const set = (node, attributes) => {
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  };
  const clamp = (value, [low, high]) => Math.min(high, Math.max(low, value));

  const text = (x, y, words, anchor = "middle") => {
    const made = shape("text", { x, y, "text-anchor": anchor });
    made.textContent = words;
    return made;
  };
  const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)},${y.toFixed(2)}`).join("");
  const log = (value, [low, high]) => Math.log(value / low) / Math.log(high / low);
  const along = ([low, high], part) => low * (high / low) ** clamp(part, [0, 1]);

  /* The picture: `state` is what a reader chose; every point is a link to its trials */
  class Transition {
    constructor(given, place) {
      Object.assign(this, { given, place, points: given.points, state: { ...given.start, ...given.law, point: -1 },
                            size: { width: 0, height: 0 } });
      this.root = document.querySelector("script[src*='movable/transition.js']").src.replace(/[^/]*$/, "");
      this.words = result();
      this.soon = eachFrame(() => this.frame());
      this.plot = shape("svg", { role: "group", class: "plot", "aria-label": "Measured thresholds, each a link to its trials" });
      this.axes = shape("g", { class: "axes", "aria-hidden": "true" });
      this.thin = FAMILIES.d.map(() => shape("path", { class: "other" }));
      this.labels = shape("g", { "aria-hidden": "true" });
      this.curve = shape("path", { class: "law" });
      this.dots = given.points.map((point, i) => this.makeDot(point, i));
      this.plot.append(this.axes, ...this.thin, this.labels, this.curve, ...this.dots);
      this.plot.addEventListener("keydown", (event) => this.next(event));
      this.about = element("p", { className: "about" });
      this.inset = shape("svg", { class: "inset", role: "img" });
      this.handle = this.makeHandle();
      new ResizeObserver(() => this.draw()).observe(this.plot);
    }

    /* -- the law */

    budget(c0, d) {
      return (this.state.phi * c0) / Math.hypot(Math.sqrt(d / 2), this.state.kappa * c0);
    }

    c0Of(R, d) {
      const left = this.state.phi ** 2 - (this.state.kappa * R) ** 2;
      return left > 0 ? R * Math.sqrt(d / 2 / left) : Infinity;
    }

    dOf(R, c0) {
      return 2 * c0 ** 2 * Math.max(0, (this.state.phi / R) ** 2 - this.state.kappa ** 2);
    }

    foreseen(point) {
      return this.budget(point.c0, point.d);
    }

    /* R* over what is across, with C0 or d held */
    lawAt(x, held) {
      return { law: x, d: this.budget(held, x), c0: this.budget(x, held) }[this.state.view];
    }

    tell() {
      const { d, c0 } = this.state;
      const off = this.points.map((point) => Math.abs(Math.log(point.budget / this.foreseen(point)))).sort((a, b) => a - b);
      const percent = (value) => `${Math.round(100 * (Math.exp(value) - 1))}%`;
      this.words.tell(`At d = ${say(d)} and C0 = ${say(c0)} the law has R* = ${say(this.budget(c0, d))}. Half of the `
        + `${off.length} measured thresholds lie within ${percent(off[(off.length - 1) >> 1])} of the law, all within `
        + `${percent(off[off.length - 1])}.`);
    }

    frame() {
      this.dots.forEach((dot, i) => {
        const { panel, d, c0, seed, budget } = this.points[i];
        dot.setAttribute("aria-label", `${this.given.panels[panel]}, d = ${d}, C0 = ${say(c0)}, seed ${seed}: R50 = `
          + `${say(budget)}, the law ${say(this.foreseen(this.points[i]))}; its stored trials`);
      });
      const { d, c0 } = this.state;
      this.handle.setAttribute("aria-valuenow", this.budget(c0, d).toFixed(3));
      this.handle.setAttribute("aria-valuetext", `d = ${say(d)}, C0 = ${say(c0)}, R* = ${say(this.budget(c0, d))}`);
      this.draw();
      this.show();
      this.tell();
    }

    /* -- the chart */

    get across() {
      return this.state.view === "law" ? RANGE.budget : RANGE[this.state.view];
    }

    toX(value) {
      return EDGE.left + log(value, this.across) * (this.size.width - EDGE.left - EDGE.right);
    }

    toY(value) {
      return this.size.height - EDGE.bottom - log(value, RANGE.budget) * (this.size.height - EDGE.top - EDGE.bottom);
    }

    /* The curve with C0 or d held, where it is in sight */
    line(held) {
      const [low, high] = RANGE.budget;
      return Array.from({ length: 61 }, (_, i) => along(this.across, i / 60))
        .map((x) => [x, this.lawAt(x, held)]).filter(([, y]) => y >= low && y <= high)
        .map(([x, y]) => [this.toX(x), this.toY(y)]);
    }

    draw() {
      const width = this.plot.clientWidth;
      if (!width) return;
      this.size = { width, height: Math.round(Math.min(380, 0.8 * width)) };
      set(this.plot, { viewBox: `0 0 ${width} ${this.size.height}`, height: this.size.height });
      const { view, point: chosen, d, c0 } = this.state;
      this.drawAxes();
      this.drawThin();
      const held = view === "d" ? "c0" : "d";
      set(this.curve, { d: path(this.line(this.state[held])) });
      this.dots.forEach((dot, i) => {
        const point = this.points[i];
        const x = clamp(view === "law" ? this.foreseen(point) : point[view], this.across);
        const apart = Math.max(point[held] / this.state[held], this.state[held] / point[held]);
        dot.setAttribute("transform", `translate(${this.toX(x).toFixed(2)},${this.toY(point.budget).toFixed(2)})`);
        dot.classList.toggle("near", view === "law" || apart <= NEAR);
        dot.classList.toggle("chosen", i === chosen);
      });
      const here = clamp(this.budget(c0, d), RANGE.budget);
      this.handle.style.left = `${this.toX(view === "law" ? here : this.state[view])}px`;
      this.handle.style.top = `${this.toY(here)}px`;
    }

    drawAxes() {
      const { width, height } = this.size;
      const [bottom, right] = [height - EDGE.bottom, width - EDGE.right];
      const { view } = this.state;
      this.axes.replaceChildren(
        shape("rect", { x: EDGE.left, y: EDGE.top, width: right - EDGE.left, height: bottom - EDGE.top }),
        ...TICKS[view === "law" ? "budget" : view].flatMap((tick) => [
          shape("line", { x1: this.toX(tick), x2: this.toX(tick), y1: EDGE.top, y2: bottom }),
          text(this.toX(tick), bottom + 17, String(tick))]),
        ...TICKS.budget.flatMap((tick) => [
          shape("line", { x1: EDGE.left, x2: right, y1: this.toY(tick), y2: this.toY(tick) }),
          text(EDGE.left - 6, this.toY(tick) + 4, String(tick), "end")]),
        text((EDGE.left + right) / 2, height - 6, NAMES[view]),
        text(4, 15, NAMES.budget, "start"));
    }

    /* The thin curves, each with its name where it comes into sight */
    drawThin() {
      const { view } = this.state;
      this.labels.replaceChildren();
      this.thin.forEach((curve, i) => {
        const family = FAMILIES[view][i];
        const places = family ? this.line(family) : [];
        set(curve, { d: path(places) });
        if (!places.length) return;
        const [x, y] = places[0];
        const below = view === "c0" || y < EDGE.top + 18;
        const height = Math.min(this.size.height - EDGE.bottom - 4, y + (below ? 12 : -5));
        const name = text(x + (view === "c0" ? 12 : 4), height, `${view === "d" ? "C0" : "d"} = ${family}`, "start");
        name.setAttribute("class", "name");
        this.labels.append(name);
      });
    }

    /* -- points and the trials behind them */

    makeDot(point, i) {
      const dot = shape("a", { href: this.root + point.trials, tabindex: i ? -1 : 0, class: `dot ${point.panel}` });
      dot.append(shape("circle", { r: 12, class: "reach" }), shape("path", { d: SHAPES[point.panel](4.2) }));
      for (const event of ["pointerenter", "focus"]) dot.addEventListener(event, () => this.choose(i));
      return dot;
    }

    choose(i) {
      this.dots[Math.max(0, this.state.point)].setAttribute("tabindex", -1);
      this.dots[i].setAttribute("tabindex", 0);
      this.state.point = i;
      this.show();
      this.draw();
    }

    next(event) {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step || !event.target.closest(".dot")) return;
      event.preventDefault();
      const count = this.dots.length;
      this.dots[(Math.max(0, this.state.point) + step + count) % count].focus();
    }

    show() {
      const point = this.points[Math.max(0, this.state.point)];
      this.about.replaceChildren(
        `${this.given.panels[point.panel]}: d = ${point.d}, m = ${point.m}, C0 = ${say(point.c0)}, seed ${point.seed}. `
        + `Measured R50 = ${say(point.budget)}, law ${say(this.foreseen(point))}. `,
        element("a", { href: this.root + point.trials }, `${point.at.length} stored trials`), ".");
      this.drawInset(point);
    }

    /* Robust accuracy along the trials of a point, with the threshold and the law's */
    drawInset({ at, worst, along: axis, budget, c0, d }) {
      const { width, height } = INSET;
      const ends = [at[0], at[at.length - 1]];
      const x = (value) => 34 + log(value, ends) * (width - 46);
      const y = (share) => height - 30 - share * (height - 40);
      const upright = (value, kind) => shape("line", { x1: x(value), x2: x(value), y1: y(0), y2: y(1), class: kind });
      const [half, law] = axis === "budget" ? [budget, this.budget(c0, d)] : [c0, this.c0Of(budget, d)];
      set(this.inset, { viewBox: `0 0 ${width} ${height}`, "aria-label":
        `Robust accuracy of these trials goes from ${say(worst[0])} to ${say(worst[worst.length - 1])} and is one half at `
        + `${say(half)}; the law has ${say(law)}.` });
      this.inset.replaceChildren(
        shape("rect", { x: 34, y: y(1), width: width - 46, height: y(0) - y(1) }),
        ...[0, 0.5, 1].map((share) => text(30, y(share) + 4, String(share), "end")),
        ...(law >= ends[0] && law <= ends[1] ? [upright(law, "law")] : []), upright(half, "half"),
        shape("path", { class: "curve", d: path(at.map((value, i) => [x(value), y(worst[i])])) }),
        ...at.map((value, i) => shape("circle", { cx: x(value), cy: y(worst[i]), r: 3 })),
        text(34, height - 14, say(ends[0]), "start"), text(width - 12, height - 14, say(ends[1]), "end"),
        text((34 + width - 12) / 2, height - 3, axis === "budget" ? "budget R" : "C0 = V√m"));
    }

    /* -- the ring, which moves along and across the law */

    moveTo(d, c0) {
      Object.assign(this.state, { d: clamp(d, RANGE.d), c0: clamp(c0, RANGE.c0) });
      for (const name of ["d", "c0"]) this.fields[name].set(Math.log10(this.state[name]));
      this.soon();
    }

    follow(event) {
      const { left, top } = this.plot.getBoundingClientRect();
      const part = (event.clientX - left - EDGE.left) / (this.size.width - EDGE.left - EDGE.right);
      const up = (this.size.height - EDGE.bottom - (event.clientY - top)) / (this.size.height - EDGE.top - EDGE.bottom);
      const [x, R] = [along(this.across, part), along(RANGE.budget, up)];
      if (this.state.view === "d") this.moveTo(x, this.c0Of(R, x));
      else if (this.state.view === "c0") this.moveTo(this.dOf(R, x), x);
      else this.moveTo(this.state.d, this.c0Of(x, this.state.d));
    }

    makeHandle() {
      const handle = element("div", { className: "handle", tabIndex: 0, role: "slider", "aria-label": "Place on the law",
                                      "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": 0 });
      drag(handle, (event) => this.follow(event));
      handle.addEventListener("keydown", (event) => {
        if (!(event.key in KEYS)) return;
        event.preventDefault();
        const [right, up] = KEYS[event.key].map((step) => 1.05 ** step);
        const { view, d, c0 } = this.state;
        if (view === "c0") this.moveTo(d / up, c0 * right);
        else this.moveTo(view === "d" ? d * right : d, c0 * up * (view === "law" ? right : 1));
      });
      return handle;
    }

    /* -- what stands on the page */

    controls() {
      const { state } = this;
      const field = (label, name, { min, max, step }, value, change) =>
        slider({ label, min, max, step, value, text: () => say(state[name]),
                 change: (to) => { state[name] = change(to); this.soon(); } });
      const logarithmic = (label, name) => {
        const [min, max] = RANGE[name].map(Math.log10);
        return field(label, name, { min, max, step: 0.005 }, Math.log10(state[name]), (at) => Number((10 ** at).toPrecision(3)));
      };
      this.fields = {
        d: logarithmic("dimension d", "d"),
        c0: logarithmic("C0", "c0"),
        phi: field("φ, of the margin", "phi", { min: 0.05, max: 0.5, step: 0.002 }, state.phi, Number),
        kappa: field("κ, of the bend", "kappa", { min: 0, max: 1, step: 0.005 }, state.kappa, Number),
      };
      const views = choice({ label: "across", value: state.view, options: Object.entries(VIEWS),
                             change: (view) => { state.view = view; this.soon(); } });
      return element("div", { className: "controls" }, views, ...Object.values(this.fields),
                     element("div", { className: "acts" }, button("Fitted constants", () => this.fitAgain())));
    }

    fitAgain() {
      Object.assign(this.state, this.given.law);
      for (const name of Object.keys(this.given.law)) this.fields[name].set(this.state[name]);
      this.soon();
    }

    key() {
      const signs = Object.entries(this.given.panels).flatMap(([panel, name], i, all) => {
        const sign = shape("svg", { viewBox: "-7 -7 14 14", width: 14, height: 14, class: panel, "aria-hidden": "true" });
        sign.append(shape("path", { d: SHAPES[panel](4.2) }));
        return [sign, ` ${name}${i < all.length - 1 ? ", " : ". "}`];
      });
      return element("p", { className: "key" }, "Points are thresholds of one seed: ", ...signs,
        "The thick line is the law at the ring; drag the ring, or focus it and use the arrow keys. Point at a point, or go "
        + "from one to the next with the arrow keys, for its trials.");
    }

    parts() {
      return [
        element("div", { className: "columns wide" }, element("div", { className: "chart" }, this.plot, this.handle),
                element("div", {}, this.controls(), this.about, this.inset)),
        ...this.words.parts, this.key(),
      ];
    }
  }

  add("transition", (given, place) => {
    const picture = new Transition(given, place);
    place.setAttribute("aria-label", "The law of the transition, to be moved");
    return { parts: picture.parts(), redraw: () => picture.frame(), picture };
  });
})();
