/* One step against a two-layer ReLU network on 8 x 8 digits: draw the digit, choose how far training went, take the
   step. As in advnb.flip, the output is piecewise linear along the step, so that the flip is exact. */
(() => {
  "use strict";

  const { add, button, canvas, choice, colours, drag, eachFrame, element, result, say, slider, unpack } =
    window.advnbMovable;

  const SIDE = 8;
  const LONGEST = 8; // of a step, in units of ||x|| / sqrt(d)
  const EDGE = { left: 40, right: 12, top: 14, bottom: 36 };

  const norm = (vector) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

  /* f, its gradient and the preactivations at x */
  const evaluate = ({ weight, signs, m, d }, x) => {
    const [h, gradient] = [new Float64Array(m), new Float64Array(d)];
    let f = 0;
    for (let s = 0; s < m; s++) {
      let z = 0;
      for (let i = 0; i < d; i++) z += weight[s * d + i] * x[i];
      h[s] = z;
      if (z <= 0) continue;
      f += signs[s] * z;
      for (let i = 0; i < d; i++) gradient[i] += signs[s] * weight[s * d + i];
    }
    const root = Math.sqrt(m);
    return { f: f / root, gradient: gradient.map((g) => g / root), h };
  };

  /* The ray downhill from x: each preactivation is h + t rate, with t the length of the step */
  const rayFrom = (net, x) => {
    const { f, gradient, h } = evaluate(net, x);
    const slope = norm(gradient);
    const down = gradient.map((g) => (slope ? (-Math.sign(f) * g) / slope : 0));
    const rate = Float64Array.from(h, (_, s) => {
      let z = 0;
      for (let i = 0; i < net.d; i++) z += net.weight[s * net.d + i] * down[i];
      return z;
    });
    const at = (t) => {
      let sum = 0;
      for (let s = 0; s < net.m; s++) {
        const z = h[s] + t * rate[s];
        if (z > 0) sum += net.signs[s] * z;
      }
      return sum / Math.sqrt(net.m);
    };
    const kinks = Array.from(h, (z, s) => -z / rate[s]).filter((t) => t > 0 && Number.isFinite(t)).sort((a, b) => a - b);
    return { f, slope, down, at, kinks };
  };

  /* The shortest step after which the sign is another: the first zero among the straight pieces */
  const flipOf = ({ f, at, kinks }) => {
    if (f === 0) return 0;
    const sign = Math.sign(f);
    let [left, before] = [0, f];
    for (const kink of kinks) {
      const after = at(kink);
      if (sign * after <= 0) return left + ((kink - left) * before) / (before - after);
      [left, before] = [kink, after];
    }
    const beyond = at(left + 1) - before; // the last piece goes on for ever
    return sign * beyond < 0 ? left - before / beyond : Infinity;
  };

  const LINES = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: SIDE, ArrowUp: -SIDE };
  const MOVES = { ArrowRight: 0.05, ArrowUp: 0.05, ArrowLeft: -0.05, ArrowDown: -0.05 };

  const named = (f) => (f > 0 ? "a one" : "a zero");

  const twoColours = (part) => {
    const to = part > 0 ? [230, 97, 1] : [94, 60, 153];
    return `rgb(${to.map((c) => Math.round(247 + Math.min(1, Math.abs(part)) * (c - 247)))})`;
  };
  const grey = (part) => `rgb(${Array(3).fill(Math.round(255 * Math.min(1, Math.max(0, part))))})`;

  /* A canvas of 8 x 8 pixels, whose values colour() turns into colours */
  const pixels = (label, values, colour) => canvas({
    ratio: () => 1, label,
    draw: (context, width) => values().forEach((value, i) => {
      const cell = width / SIDE;
      context.fillStyle = colour(value);
      context.fillRect((i % SIDE) * cell, Math.floor(i / SIDE) * cell, cell + 0.5, cell + 0.5);
    }),
  });

  /* The digit: 64 buttons under one Tab stop, to be painted with mouse or finger, or with the keys */
  class Board {
    constructor(brightest, changed) {
      Object.assign(this, { brightest, changed, brush: 0, greys: new Uint8Array(SIDE * SIDE) });
      this.cells = Array.from(this.greys, (_, i) => element("button", { type: "button", tabIndex: i ? -1 : 0 }));
      this.shown = element("div", { className: "board", role: "group", "aria-label": "The digit: draw on it" }, ...this.cells);
      this.shown.addEventListener("pointerdown", (event) => this.press(event));
      this.shown.addEventListener("pointermove", (event) => {
        if (this.shown.hasPointerCapture(event.pointerId))
          this.paint(this.cells.indexOf(document.elementFromPoint(event.clientX, event.clientY)), this.brush);
      });
      this.shown.addEventListener("keydown", (event) => this.key(event));
    }

    other(i) {
      return this.greys[i] > this.brightest / 2 ? 0 : this.brightest;
    }

    paint(i, value) {
      if (i < 0) return;
      this.greys[i] = value;
      this.changed();
    }

    press(event) {
      const i = this.cells.indexOf(event.target);
      if (i < 0 || event.button) return;
      this.shown.setPointerCapture(event.pointerId);
      this.brush = this.other(i);
      this.paint(i, this.brush);
    }

    key(event) {
      const i = this.cells.indexOf(event.target);
      const next = this.cells[i + LINES[event.key]];
      if (next) {
        this.cells[i].tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      } else if (event.key === " " || event.key === "Enter") this.paint(i, this.other(i));
      else return;
      event.preventDefault();
    }

    redraw() {
      this.cells.forEach((cell, i) => {
        cell.style.backgroundColor = grey(this.greys[i] / this.brightest);
        cell.setAttribute("aria-label",
          `row ${Math.floor(i / SIDE) + 1}, column ${(i % SIDE) + 1}: ${this.greys[i]} of ${this.brightest}`);
      });
    }
  }

  /* The picture: `state` and the board are what a reader chose, the rest follows from them */
  class Step {
    constructor(given, place) {
      Object.assign(this, { given, place, state: { ...given.start }, root: Math.sqrt(given.d), box: { width: 0 } });
      const signs = unpack(given.signs);
      this.nets = given.networks.map(({ c0, weight }) => ({
        c0, signs, m: given.m, d: given.d, weight: Float64Array.from(unpack(weight), (w) => w * given.unit),
      }));
      this.images = unpack(given.images);
      this.words = result();
      this.soon = eachFrame(() => this.frame());
      this.board = new Board(given.greys, this.soon);
      this.pick(this.state.image);
      this.direction = pixels("The direction of the step: orange brightens, violet darkens",
                              () => this.ray.down, (value) => twoColours((value * this.root) / 2.5));
      this.after = pixels("The digit after the step", () => this.moved(),
                          (value) => grey((value * this.size) / given.greys));
      this.plot = canvas({ ratio: () => Math.min(0.62, 260 / this.plot.canvas.clientWidth), label: "",
                           draw: (...on) => this.drawPlot(...on) });
      this.handle = this.makeHandle();
      this.compute();
    }

    get greys() { return [...this.board.greys]; }
    get f() { return this.ray.f; }
    get slope() { return this.ray.slope; }
    at(length) { return this.ray.at(length / this.root); }

    pick(image) {
      this.state.image = image;
      this.board.greys.set(this.images.subarray(image * this.given.d, (image + 1) * this.given.d));
    }

    compute() {
      const { greys } = this.board;
      this.size = norm(Array.from(greys));
      this.x = Float64Array.from(greys, (value) => (this.size ? value / this.size : 0));
      this.ray = rayFrom(this.nets.find(({ c0 }) => c0 === this.state.c0), this.x);
      this.flip = flipOf(this.ray);
    }

    moved() {
      return this.x.map((value, i) => value + (this.state.length / this.root) * this.ray.down[i]);
    }

    tell() {
      if (!this.size) return this.words.tell("There is no digit: draw one.");
      const [f, end] = [this.f, this.at(this.state.length)];
      const flip = Number.isFinite(this.flip)
        ? `The sign changes at a step of length ${say(this.flip * this.root)} / √d, ${say(100 * this.flip, 2)}% of the image.`
        : "No step along the gradient changes the sign.";
      return this.words.tell(`f = ${say(f)}: the network sees ${named(f)}. ${flip} After this step, of length `
        + `${say(this.state.length)} / √d, f = ${say(end)}: ${named(end) === named(f) ? "still" : "now"} ${named(end)}.`);
    }

    frame() {
      this.compute();
      this.board.redraw();
      this.tell();
      this.handle.setAttribute("aria-valuenow", this.state.length.toFixed(2));
      this.handle.setAttribute("aria-valuetext",
        `${say(this.state.length)} over √d, f = ${say(this.at(this.state.length))}`);
      this.plot.canvas.setAttribute("aria-label", `f starts at ${say(this.f)} and changes its sign at a step of `
        + `${Number.isFinite(this.flip) ? say(this.flip * this.root) : "no length"} over √d.`);
      for (const part of [this.after, this.direction, this.plot]) part.redraw();
    }

    go(length) {
      this.state.length = Math.min(LONGEST, Math.max(0, length));
      this.field.set(this.state.length);
      this.soon();
    }

    /* -- f along the step */

    toX(length) {
      return EDGE.left + (length / LONGEST) * (this.box.width - EDGE.left - EDGE.right);
    }

    drawPlot(context, width, height) {
      this.box = { width };
      const look = colours(this.place);
      const lengths = Array.from({ length: 161 }, (_, i) => (LONGEST * i) / 160);
      const values = lengths.map((length) => this.at(length));
      const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
      const bottom = height - EDGE.bottom;
      const toY = (f) => bottom - ((f - low) / (high - low || 1)) * (bottom - EDGE.top);
      const line = (points, strokeStyle, lineWidth) => {
        context.beginPath();
        for (const [x, y] of points) context.lineTo(x, y);
        Object.assign(context, { strokeStyle, lineWidth });
        context.stroke();
      };
      line([[EDGE.left, toY(0)], [width - EDGE.right, toY(0)]], look.ink, 1);
      this.drawScales(context, { look, line, toY, bottom, low, high, width, height });
      for (const kink of this.ray.kinks.map((t) => t * this.root))
        if (kink <= LONGEST) line([[this.toX(kink), bottom], [this.toX(kink), bottom - 5]], look.faint, 1);
      line(lengths.map((length, i) => [this.toX(length), toY(values[i])]), look.maximum, 2.2);
      if (this.flip * this.root <= LONGEST) {
        context.beginPath();
        context.arc(this.toX(this.flip * this.root), toY(0), 6, 0, 2 * Math.PI);
        context.fillStyle = look.minimum;
        context.fill();
      }
      this.handle.style.left = `${(100 * this.toX(this.state.length)) / width}%`;
      this.handle.style.top = `${toY(this.at(this.state.length))}px`;
    }

    drawScales(context, { look, line, toY, bottom, low, high, width, height }) {
      Object.assign(context, { fillStyle: look.ink, font: "12px sans-serif", textAlign: "center" });
      for (let tick = 0; tick <= LONGEST; tick += 2) {
        line([[this.toX(tick), bottom], [this.toX(tick), bottom + 4]], look.ink, 1);
        context.fillText(String(tick), this.toX(tick), bottom + 17);
      }
      context.fillText("length of the step × √d", (EDGE.left + width - EDGE.right) / 2, height - 5);
      context.textAlign = "right";
      for (const end of [0, low, high])
        if (end === 0 || Math.abs(end) > 0.15 * (high - low)) context.fillText(say(end, 2), EDGE.left - 6, toY(end) + 4);
    }

    makeHandle() {
      const handle = element("div", { className: "handle", tabIndex: 0, role: "slider", "aria-label": "End of the step",
                                      "aria-valuemin": 0, "aria-valuemax": LONGEST, "aria-valuenow": this.state.length });
      drag(handle, (event) => {
        const { left } = this.plot.canvas.getBoundingClientRect();
        this.go((LONGEST * (event.clientX - left - EDGE.left)) / (this.box.width - EDGE.left - EDGE.right));
      });
      handle.addEventListener("keydown", (event) => {
        const by = MOVES[event.key];
        if (!by) return;
        event.preventDefault();
        this.go(this.state.length + by);
      });
      return handle;
    }

    /* -- what stands on the page */

    controls() {
      const { state } = this;
      this.field = slider({ label: "step × √d", min: 0, max: LONGEST, step: 0.01, value: state.length,
                            text: () => say(state.length), change: (length) => { state.length = length; this.soon(); } });
      return element("div", { className: "controls" },
        choice({ label: "training", value: state.c0,
                 options: this.nets.map(({ c0 }) => [c0, c0 ? `C0 = ${c0}` : "start"]),
                 change: (c0) => { state.c0 = c0; this.soon(); } }),
        slider({ label: "image", min: 1, max: this.images.length / this.given.d, step: 1, value: state.image + 1,
                 change: (image) => { this.pick(image - 1); this.soon(); } }),
        this.field,
        element("div", { className: "acts" },
          button("Step to the flip", () => Number.isFinite(this.flip) && this.go(this.flip * this.root * 1.0001)),
          button("Clear the digit", () => { this.board.greys.fill(0); this.soon(); }),
          button("Image again", () => { this.pick(state.image); this.soon(); })));
    }

    parts() {
      const pane = (part, caption) => element("figure", {}, part, element("figcaption", {}, caption));
      const key = element("p", { className: "key" },
        "f is positive for a one and negative for a zero; images are divided by their norm. ",
        element("span", { className: "minimum" }, "●"), " the exact flip; ticks: places where a unit switches. Draw on "
        + "the digit with mouse or finger, or with the arrow keys and the space bar; drag the ring along the curve.");
      return [
        element("div", { className: "panes" }, pane(this.board.shown, "the digit"),
                pane(this.direction.canvas, "the direction"), pane(this.after.canvas, "after the step")),
        element("div", { className: "columns wide" },
                element("div", { className: "chart" }, this.plot.canvas, this.handle), this.controls()),
        ...this.words.parts, key,
      ];
    }
  }

  add("step", (given, place) => {
    const picture = new Step(given, place);
    place.setAttribute("aria-label", "One step against a digit, to be moved");
    return { parts: picture.parts(), redraw: () => picture.frame(), picture };
  });
})();
