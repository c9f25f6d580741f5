/* The law of the transition, R* = g C0 / (sqrt(d/2) + s C0), and the thresholds that were measured: move along the law,
   change its constants, ask each point for its trials. */
(() => {
  "use strict";

  const { add, button, choice, drag, eachFrame, element, result, say, slider } = window.advnbMovable;

  const SVG = "http://www.w3.org/2000/svg";
  const RANGE = { d: [20, 950], c0: [1.5, 60], budget: [0.035, 0.7] };
  const TICKS = { d: [25, 50, 100, 200, 400, 784], c0: [2, 5, 10, 20, 40], budget: [0.05, 0.1, 0.2, 0.4] };
  const NAMES = { d: "dimension d", c0: "C0 = V√m", budget: "R50, the budget that halves robust accuracy",
                  law: "R* of the law" };
  const VIEWS = { d: ["d", "C0"], c0: ["c0", "d"], law: ["law", ""] };
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

  const build = (given, place) => {
    const state = { ...given.start, ...given.law, point: -1 };
    const root = document.querySelector("script[src*='movable/transition.js']").src.replace(/[^/]*$/, "");
    const words = result();

    const budget = (c0, d) => (state.gain * c0) / (Math.sqrt(d / 2) + state.stiffness * c0);
    const c0Of = (R, d) => {
      const left = state.gain - state.stiffness * R;
      return left > 0 ? (R * Math.sqrt(d / 2)) / left : Infinity;
    };
    const foreseen = (point) => budget(point.c0, point.d);
    const ratios = () => given.points.map((point) => point.budget / foreseen(point));

    /* the drawing: axes, curves, points, each a link to its trials */
    const plot = shape("svg", { role: "group", class: "plot" });
    const axes = shape("g", { class: "axes", "aria-hidden": "true" });
    const others = [0, 1, 2, 3].map(() => shape("path", { class: "other" }));
    const labels = shape("g", { "aria-hidden": "true" });
    const curve = shape("path", { class: "law" });
    const dots = given.points.map((point, i) => {
      const link = shape("a", { href: root + point.trials, tabindex: i ? -1 : 0, class: `dot ${point.panel}` });
      link.append(shape("circle", { r: 12, class: "reach" }), shape("path", { d: SHAPES[point.panel](4.2) }));
      link.addEventListener("pointerenter", () => choose(i));
      link.addEventListener("focus", () => choose(i));
      return link;
    });
    plot.append(axes, ...others, labels, curve, ...dots);

    const size = { width: 0, height: 0 };
    const log = (value, [low, high]) => Math.log(value / low) / Math.log(high / low);
    const toX = (value, range) => EDGE.left + log(value, range) * (size.width - EDGE.left - EDGE.right);
    const toY = (value) =>
      size.height - EDGE.bottom - log(value, RANGE.budget) * (size.height - EDGE.top - EDGE.bottom);
    const across = () => (state.view === "law" ? RANGE.budget : RANGE[state.view]);
    const xOf = (point) => (state.view === "law" ? foreseen(point) : point[state.view]);
    const place2 = (point) => [toX(clamp(xOf(point), across()), across()), toY(point.budget)];
    const steps = (range) => Array.from({ length: 61 }, (_, i) => range[0] * (range[1] / range[0]) ** (i / 60));
    const lawAt = (x, other) =>
      state.view === "law" ? x : state.view === "d" ? budget(other, x) : budget(x, other);
    const line = (other) => steps(across())
      .map((x) => [x, lawAt(x, other)]).filter(([, y]) => y >= RANGE.budget[0] && y <= RANGE.budget[1])
      .map(([x, y], i) => `${i ? "L" : "M"}${toX(x, across()).toFixed(2)},${toY(y).toFixed(2)}`).join("");

    const text = (x, y, words, anchor = "middle") => {
      const made = shape("text", { x, y, "text-anchor": anchor });
      made.textContent = words;
      return made;
    };
    const drawAxes = () => {
      const bottom = size.height - EDGE.bottom;
      const ticks = TICKS[state.view === "law" ? "budget" : state.view];
      axes.replaceChildren(
        shape("rect", { x: EDGE.left, y: EDGE.top, width: size.width - EDGE.left - EDGE.right,
                        height: bottom - EDGE.top }),
        ...ticks.flatMap((tick) => [
          shape("line", { x1: toX(tick, across()), x2: toX(tick, across()), y1: EDGE.top, y2: bottom }),
          text(toX(tick, across()), bottom + 17, String(tick))]),
        ...TICKS.budget.flatMap((tick) => [
          shape("line", { x1: EDGE.left, x2: size.width - EDGE.right, y1: toY(tick), y2: toY(tick) }),
          text(EDGE.left - 6, toY(tick) + 4, String(tick), "end")]),
        text((EDGE.left + size.width - EDGE.right) / 2, size.height - 6, NAMES[state.view]),
        text(4, 15, NAMES.budget, "start"));
    };

    /* the name of a thin curve, where it comes into sight */
    const nameOf = (family, fixed) => {
      const inside = (x) => lawAt(x, family) <= RANGE.budget[1] && lawAt(x, family) >= RANGE.budget[0];
      const x = steps(across()).find(inside);
      if (x === undefined) return [];
      const y = toY(lawAt(x, family));
      const low = state.view === "c0" || y < EDGE.top + 18;
      const made = text(toX(x, across()) + 4, y + (low ? 16 : -5), `${fixed === "d" ? "d" : "C0"} = ${family}`, "start");
      made.setAttribute("class", "name");
      return [made];
    };

    const draw = () => {
      size.width = plot.clientWidth;
      if (!size.width) return;
      size.height = Math.round(Math.min(380, 0.8 * size.width));
      set(plot, { viewBox: `0 0 ${size.width} ${size.height}`, height: size.height });
      drawAxes();
      const families = state.view === "d" ? [5, 10, 20, 40] : [49, 100, 196, 400];
      others.forEach((other, i) => set(other, { d: state.view === "law" ? "" : line(families[i]) }));
      const fixed = state.view === "d" ? "c0" : "d";
      labels.replaceChildren(...(state.view === "law" ? [] : families).flatMap((family) => nameOf(family, fixed)));
      set(curve, { d: line(state[fixed]) });
      dots.forEach((dot, i) => {
        const point = given.points[i];
        const apart = Math.max(point[fixed] / state[fixed], state[fixed] / point[fixed]);
        dot.setAttribute("transform", `translate(${place2(point).map((c) => c.toFixed(2))})`);
        dot.classList.toggle("near", state.view === "law" || apart <= NEAR);
        dot.classList.toggle("chosen", i === state.point);
      });
      const here = Math.min(RANGE.budget[1], Math.max(RANGE.budget[0], budget(state.c0, state.d)));
      const x = state.view === "law" ? here : state[state.view];
      handle.style.left = `${toX(x, across())}px`;
      handle.style.top = `${toY(here)}px`;
    };

    const nameDots = () => dots.forEach((dot, i) => {
      const { panel, d, c0, seed } = given.points[i];
      dot.setAttribute("aria-label", `${given.panels[panel]}, d = ${d}, C0 = ${say(c0)}, seed ${seed}: R50 = `
        + `${say(given.points[i].budget)}, the law ${say(foreseen(given.points[i]))}; its stored trials`);
    });

    const tell = () => {
      const off = ratios().map((ratio) => Math.abs(Math.log(ratio))).sort((a, b) => a - b);
      const percent = (value) => `${Math.round(100 * (Math.exp(value) - 1))}%`;
      words.tell(`At d = ${say(state.d)} and C0 = ${say(state.c0)} the law has R* = ${say(budget(state.c0, state.d))}. `
        + `Half of the ${off.length} measured thresholds lie within ${percent(off[(off.length - 1) >> 1])} of the law, all `
        + `within ${percent(off[off.length - 1])}.`);
    };

    /* what a point says: its numbers, and robust accuracy along its trials */
    const about = element("p", { className: "about" });
    const inset = shape("svg", { class: "inset", role: "img" });
    const choose = (i) => {
      if (state.point >= 0) dots[state.point].setAttribute("tabindex", -1);
      else dots[0].setAttribute("tabindex", -1);
      state.point = i;
      dots[i].setAttribute("tabindex", 0);
      show();
      draw();
    };
    const show = () => {
      const point = given.points[Math.max(0, state.point)];
      const link = element("a", { href: root + point.trials }, `${point.at.length} stored trials`);
      about.replaceChildren(
        `${given.panels[point.panel]}: d = ${point.d}, m = ${point.m}, C0 = ${say(point.c0)}, seed ${point.seed}. `
        + `Measured R50 = ${say(point.budget)}, law ${say(foreseen(point))}. `, link, ".");
      const [width, height] = [260, 110];
      const [low, high] = [point.at[0], point.at[point.at.length - 1]];
      const x = (value) => 34 + (Math.log(value / low) / Math.log(high / low)) * (width - 46);
      const y = (share) => height - 30 - share * (height - 40);
      const law = point.along === "budget" ? foreseen(point) : c0Of(point.budget, point.d);
      const half = point.along === "budget" ? point.budget : point.c0;
      const upright = (value, kind) => shape("line", { x1: x(value), x2: x(value), y1: y(0), y2: y(1), class: kind });
      set(inset, { viewBox: `0 0 ${width} ${height}`, "aria-label":
        `Robust accuracy of these trials falls from ${say(Math.max(...point.worst))} to ${say(Math.min(...point.worst))}`
        + ` and is one half at ${say(half)}; the law has ${say(law)}.` });
      inset.replaceChildren(
        shape("rect", { x: 34, y: y(1), width: width - 46, height: y(0) - y(1) }),
        ...[0, 0.5, 1].map((share) => text(30, y(share) + 4, String(share), "end")),
        ...(law >= low && law <= high ? [upright(law, "law")] : []), upright(half, "half"),
        shape("path", { class: "curve",
          d: point.at.map((at, i) => `${i ? "L" : "M"}${x(at).toFixed(1)},${y(point.worst[i]).toFixed(1)}`).join("") }),
        ...point.at.map((at, i) => shape("circle", { cx: x(at), cy: y(point.worst[i]), r: 3 })),
        text(34, height - 14, say(low), "start"), text(width - 12, height - 14, say(high), "end"),
        text((34 + width - 12) / 2, height - 3, point.along === "budget" ? "budget R" : "C0 = V√m"));
    };

    const frame = () => {
      nameDots();
      draw();
      show();
      tell();
    };
    const soon = eachFrame(frame);

    const fields = {};
    const logSlider = (label, name, range) => slider({
      label, min: Math.log10(range[0]), max: Math.log10(range[1]), step: 0.005, value: Math.log10(state[name]),
      text: () => say(state[name]), change: (at) => { state[name] = Number((10 ** at).toPrecision(3)); soon(); },
    });
    fields.d = logSlider("dimension d", "d", RANGE.d);
    fields.c0 = logSlider("C0", "c0", RANGE.c0);
    fields.gain = slider({ label: "gain g", min: 0.05, max: 0.5, step: 0.002, value: state.gain, text: () => say(state.gain),
                           change: (value) => { state.gain = value; soon(); } });
    fields.stiffness = slider({ label: "stiffness s", min: 0, max: 1, step: 0.005, value: state.stiffness,
                                text: () => say(state.stiffness), change: (value) => { state.stiffness = value; soon(); } });
    const fitted = button("Fitted constants", () => {
      Object.assign(state, given.law);
      fields.gain.set(state.gain);
      fields.stiffness.set(state.stiffness);
      soon();
    });

    /* the ring moves along and across the law */
    const moveTo = (d, c0) => {
      state.d = clamp(d, RANGE.d);
      state.c0 = clamp(c0, RANGE.c0);
      fields.d.set(Math.log10(state.d));
      fields.c0.set(Math.log10(state.c0));
      handle.setAttribute("aria-valuenow", budget(state.c0, state.d).toFixed(3));
      handle.setAttribute("aria-valuetext",
        `d = ${say(state.d)}, C0 = ${say(state.c0)}, R* = ${say(budget(state.c0, state.d))}`);
      soon();
    };
    const handle = element("div", { className: "handle", tabIndex: 0, role: "slider", "aria-label": "Place on the law",
                                    "aria-valuemin": 0, "aria-valuemax": 1 });
    drag(handle, (event) => {
      const box = plot.getBoundingClientRect();
      const part = (event.clientX - box.left - EDGE.left) / (size.width - EDGE.left - EDGE.right);
      const up = (size.height - EDGE.bottom - (event.clientY - box.top)) / (size.height - EDGE.top - EDGE.bottom);
      const of = (range, at) => range[0] * (range[1] / range[0]) ** clamp(at, [0, 1]);
      const R = of(RANGE.budget, up);
      if (state.view === "d") moveTo(of(RANGE.d, part), c0Of(R, of(RANGE.d, part)));
      else if (state.view === "c0") {
        const c0 = of(RANGE.c0, part);
        moveTo(2 * Math.max(0, (state.gain * c0) / R - state.stiffness * c0) ** 2, c0);
      } else moveTo(state.d, c0Of(of(RANGE.budget, part), state.d));
    });
    const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
    handle.addEventListener("keydown", (event) => {
      const [right, up] = KEYS[event.key] ?? [];
      if (right === undefined) return;
      event.preventDefault();
      const [first, second] = [1.05 ** right, 1.05 ** up];
      if (state.view === "c0") moveTo(state.d / second, state.c0 * first);
      else moveTo(state.d * (state.view === "d" ? first : 1), state.c0 * second * (state.view === "law" ? first : 1));
    });
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step || !event.target.closest(".dot")) return;
      event.preventDefault();
      dots[(Math.max(0, state.point) + step + dots.length) % dots.length].focus();
    });

    const views = choice({
      label: "across", value: state.view, options: Object.keys(VIEWS).map((view) =>
        [view, { d: "d", c0: "C0", law: "law" }[view]]),
      change: (view) => { state.view = view; soon(); },
    });
    const key = element("p", { className: "key" }, "Points are thresholds of one seed: ",
      ...Object.entries(given.panels).flatMap(([panel, name]) => {
        const sign = shape("svg", { viewBox: "-7 -7 14 14", width: 14, height: 14, class: panel, "aria-hidden": "true" });
        sign.append(shape("path", { d: SHAPES[panel](4.2) }));
        return [sign, ` ${name}${panel === "plane" ? ". " : ", "}`];
      }),
      "The thick line is the law at the ring; drag the ring, or focus it and use the arrow keys. Point at a point, or go "
      + "from one to the next with the arrow keys, for its trials.");
    place.setAttribute("aria-label", "The law of the transition, to be moved");
    plot.setAttribute("aria-label", "Measured thresholds, each a link to its trials");
    new ResizeObserver(draw).observe(plot);
    const parts = [
      element("div", { className: "columns wide" }, element("div", { className: "chart" }, plot, handle),
              element("div", {}, element("div", { className: "controls" }, views, ...Object.values(fields),
                                         element("div", { className: "acts" }, fitted)), about, inset)),
      ...words.parts, key,
    ];
    const picture = { state, frame, budget, c0Of, foreseen: () => given.points.map(foreseen), ratios, points: given.points };
    handle.setAttribute("aria-valuenow", budget(state.c0, state.d).toFixed(3));
    return { parts, redraw: frame, picture };
  };

  add("transition", build);
})();
