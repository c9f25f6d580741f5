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

  const build = (given, place) => {
    const signs = unpack(given.signs);
    const nets = given.networks.map(({ c0, weight }) => ({
      c0, signs, m: given.m, d: given.d, weight: Float64Array.from(unpack(weight), (w) => w * given.unit),
    }));
    const images = unpack(given.images);
    const count = images.length / given.d;
    const state = { ...given.start };
    const root = Math.sqrt(given.d);
    let greys = new Uint8Array(0);
    const now = { x: null, ray: null, flip: 0 };
    const words = result();

    const pick = (image) => {
      state.image = image;
      greys = images.slice(image * given.d, (image + 1) * given.d);
    };
    pick(state.image);

    const compute = () => {
      const size = norm(Array.from(greys));
      now.x = Float64Array.from(greys, (grey) => (size ? grey / size : 0));
      now.ray = rayFrom(nets.find(({ c0 }) => c0 === state.c0), now.x);
      now.flip = flipOf(now.ray);
      now.size = size;
    };
    const moved = () => now.x.map((value, i) => value + (state.length / root) * now.ray.down[i]);
    const named = (f) => (f > 0 ? "a one" : "a zero");

    const tell = () => {
      if (!now.size) return words.tell("There is no digit: draw one.");
      const { f, at } = now.ray;
      const end = at(state.length / root);
      const flip = Number.isFinite(now.flip)
        ? `The sign changes at a step of length ${say(now.flip * root)} / √d, ${say(100 * now.flip, 2)}% of the image.`
        : "No step along the gradient changes the sign.";
      return words.tell(`f = ${say(f)}: the network sees ${named(f)}. ${flip} After this step, of length `
        + `${say(state.length)} / √d, f = ${say(end)}: ${named(end) === named(f) ? "still" : "now"} ${named(end)}.`);
    };

    /* the digit: 64 buttons under one Tab stop, to be painted with a finger or with the keys */
    const cells = Array.from({ length: given.d }, (_, i) => element("button", { type: "button", tabIndex: i ? -1 : 0 }));
    const board = element("div", { className: "board", role: "group", "aria-label": "The digit: draw on it" }, ...cells);
    const showDigit = () => cells.forEach((cell, i) => {
      const light = Math.round((255 * greys[i]) / given.greys);
      cell.style.backgroundColor = `rgb(${light}, ${light}, ${light})`;
      cell.setAttribute("aria-label", `row ${Math.floor(i / SIDE) + 1}, column ${(i % SIDE) + 1}: ${greys[i]} of ${given.greys}`);
    });
    let brush = 0;
    const paint = (cell, value) => {
      greys[cells.indexOf(cell)] = value;
      soon();
    };
    board.addEventListener("pointerdown", (event) => {
      const cell = event.target.closest("button");
      if (!cell || event.button) return;
      board.setPointerCapture(event.pointerId);
      brush = greys[cells.indexOf(cell)] > given.greys / 2 ? 0 : given.greys;
      paint(cell, brush);
    });
    board.addEventListener("pointermove", (event) => {
      if (!board.hasPointerCapture(event.pointerId)) return;
      const cell = document.elementFromPoint(event.clientX, event.clientY);
      if (cells.includes(cell)) paint(cell, brush);
    });
    board.addEventListener("keydown", (event) => {
      const i = cells.indexOf(event.target);
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: SIDE, ArrowUp: -SIDE }[event.key];
      if (step && cells[i + step]) {
        event.preventDefault();
        cells[i].tabIndex = -1;
        cells[i + step].tabIndex = 0;
        cells[i + step].focus();
      } else if (event.key === " " || event.key === "Enter") {
        event.preventDefault();
        paint(cells[i], greys[i] > given.greys / 2 ? 0 : given.greys);
      }
    });

    /* the digit after the step, and the step itself in two colours */
    const pixels = (values, colour) => (context, width) => {
      const cell = width / SIDE;
      values().forEach((value, i) => {
        context.fillStyle = colour(value);
        context.fillRect((i % SIDE) * cell, Math.floor(i / SIDE) * cell, cell + 0.5, cell + 0.5);
      });
    };
    const grey = (value) => {
      const light = Math.round(255 * Math.min(1, Math.max(0, (value * now.size) / given.greys)));
      return `rgb(${light}, ${light}, ${light})`;
    };
    const twoColours = (value) => {
      const part = Math.min(1, Math.abs(value) / (2.5 / root));
      const to = value > 0 ? [230, 97, 1] : [94, 60, 153];
      return `rgb(${to.map((c) => Math.round(247 + part * (c - 247)))})`;
    };
    const after = canvas({ ratio: () => 1, draw: pixels(moved, grey), label: "The digit after the step" });
    const step = canvas({ ratio: () => 1, draw: pixels(() => now.ray.down, twoColours),
                          label: "The direction of the step: orange brightens, violet darkens" });

    /* f along the step */
    const ends = { width: 0, height: 0 };
    const toX = (length) => EDGE.left + (length / LONGEST) * (ends.width - EDGE.left - EDGE.right);
    const plot = canvas({ ratio: () => Math.min(0.62, 260 / plot.canvas.clientWidth), label: "", draw: (context, width, height) => {
      Object.assign(ends, { width, height });
      const look = colours(place);
      const lengths = Array.from({ length: 161 }, (_, i) => (LONGEST * i) / 160);
      const values = lengths.map((length) => now.ray.at(length / root));
      const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
      const toY = (f) => height - EDGE.bottom - ((f - low) / (high - low || 1)) * (height - EDGE.top - EDGE.bottom);
      const line = (points, style, thick) => {
        context.beginPath();
        points.forEach(([x, y]) => context.lineTo(x, y));
        Object.assign(context, { strokeStyle: style, lineWidth: thick });
        context.stroke();
      };
      Object.assign(context, { fillStyle: look.ink, font: "12px sans-serif", textAlign: "center" });
      line([[EDGE.left, toY(0)], [width - EDGE.right, toY(0)]], look.ink, 1);
      for (let tick = 0; tick <= LONGEST; tick += 2) {
        line([[toX(tick), height - EDGE.bottom], [toX(tick), height - EDGE.bottom + 4]], look.ink, 1);
        context.fillText(String(tick), toX(tick), height - EDGE.bottom + 17);
      }
      context.fillText("length of the step × √d", (EDGE.left + width - EDGE.right) / 2, height - 5);
      context.textAlign = "right";
      context.fillText("0", EDGE.left - 6, toY(0) + 4);
      for (const end of [low, high])
        if (Math.abs(end) > 0.15 * (high - low)) context.fillText(say(end, 2), EDGE.left - 6, toY(end) + 4);
      for (const kink of now.ray.kinks)
        if (kink * root <= LONGEST)
          line([[toX(kink * root), height - EDGE.bottom], [toX(kink * root), height - EDGE.bottom - 5]], look.faint, 1);
      line(lengths.map((length, i) => [toX(length), toY(values[i])]), look.maximum, 2.2);
      if (now.flip * root <= LONGEST) {
        context.beginPath();
        context.arc(toX(now.flip * root), toY(0), 6, 0, 2 * Math.PI);
        context.fillStyle = look.minimum;
        context.fill();
      }
      handle.style.left = `${(100 * toX(state.length)) / width}%`;
      handle.style.top = `${toY(now.ray.at(state.length / root))}px`;
    } });

    const handle = element("div", { className: "handle", tabIndex: 0, role: "slider", "aria-label": "End of the step",
                                    "aria-valuemin": 0, "aria-valuemax": LONGEST });
    const go = (length) => {
      state.length = Math.min(LONGEST, Math.max(0, length));
      field.set(state.length);
      soon();
    };
    drag(handle, (event) => {
      const box = plot.canvas.getBoundingClientRect();
      go((LONGEST * (event.clientX - box.left - EDGE.left)) / (ends.width - EDGE.left - EDGE.right));
    });
    handle.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 0.05, ArrowUp: 0.05, ArrowLeft: -0.05, ArrowDown: -0.05 }[event.key];
      if (!by) return;
      event.preventDefault();
      go(state.length + by);
    });

    const redraw = () => [after, step, plot].forEach((part) => part.redraw());
    const frame = () => {
      compute();
      showDigit();
      tell();
      const f = say(now.ray.at(state.length / root));
      handle.setAttribute("aria-valuenow", state.length.toFixed(2));
      handle.setAttribute("aria-valuetext", `${say(state.length)} over √d, f = ${f}`);
      plot.canvas.setAttribute("aria-label", `f falls from ${say(now.ray.f)} along the step; the sign changes at `
        + `${Number.isFinite(now.flip) ? say(now.flip * root) : "no length"} over √d.`);
      redraw();
    };
    const soon = eachFrame(frame);

    const field = slider({ label: "step × √d", min: 0, max: LONGEST, step: 0.01, value: state.length,
                           text: () => say(state.length),
                           change: (length) => { state.length = length; soon(); } });
    const controls = element("div", { className: "controls" },
      choice({ label: "training", value: state.c0, options: nets.map(({ c0 }) => [c0, c0 ? `C0 = ${c0}` : "start"]),
               change: (c0) => { state.c0 = c0; soon(); } }),
      slider({ label: "image", min: 1, max: count, step: 1, value: state.image + 1,
               change: (image) => { pick(image - 1); soon(); } }),
      field,
      element("div", { className: "acts" },
        button("Step to the flip", () => Number.isFinite(now.flip) && go(Math.min(LONGEST, now.flip * root * 1.0001))),
        button("Clear the digit", () => { greys.fill(0); soon(); }),
        button("Image again", () => { pick(state.image); soon(); })));
    const pane = (part, caption) => element("figure", {}, part, element("figcaption", {}, caption));
    const key = element("p", { className: "key" },
      "f is positive for a one and negative for a zero; images are divided by their norm. ",
      element("span", { className: "minimum" }, "●"), " the exact flip; ticks: places where a unit switches. Draw on the "
      + "digit with mouse or finger, or with the arrow keys and the space bar; drag the ring along the curve.");
    const parts = [
      element("div", { className: "panes" }, pane(board, "the digit"), pane(step.canvas, "the direction"),
              pane(after.canvas, "after the step")),
      element("div", { className: "columns wide" }, element("div", { className: "chart" }, plot.canvas, handle), controls),
      ...words.parts, key,
    ];
    place.setAttribute("aria-label", "One step against a digit, to be moved");
    compute();
    const picture = {
      state, frame, get greys() { return [...greys]; }, get f() { return now.ray.f; }, get flip() { return now.flip; },
      get slope() { return now.ray.slope; }, at: (length) => now.ray.at(length / root),
    };
    return { parts, redraw: frame, picture };
  };

  add("step", build);
})();
