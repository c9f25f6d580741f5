/* The loss of a two-layer network on a disc around an input: drag the start of an attack, see where it ends. */
(() => {
  "use strict";

  const { add, button, canvas, choice, colours, drag, eachFrame, element, result, say, slider, still, unpack } =
    window.advnbMovable;
  const network = window.advnbNetwork;

  const TURN = 2 * Math.PI;
  const COARSE = 65; // points across while something moves, and FINE at rest
  const FINE = 129;
  const BITMAP = 256;
  const BANDS = 14;
  const RUN = 1200; // milliseconds that a run takes on the page, and REST that nothing moves before the finer picture
  const REST = 150;
  const MARGIN = 16;
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  const CIVIDIS = [[0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115], [138, 134, 120],
                   [165, 156, 116], [195, 180, 105], [225, 204, 85], [254, 232, 56]];

  /* Colours as the four bytes of a pixel; the second half for the lines between bands */
  const pixel = (r, g, b) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  const palette = Uint32Array.from({ length: 512 }, (_, i) => {
    const place = ((i % 256) / 255) * (CIVIDIS.length - 1);
    const low = Math.min(CIVIDIS.length - 2, Math.floor(place));
    const dim = i < 256 ? 1 : 0.82;
    return pixel(...CIVIDIS[low].map((c, k) => Math.round(dim * (c + (place - low) * (CIVIDIS[low + 1][k] - c)))));
  });
  const WHITE = pixel(255, 255, 255);

  /* The objective as pixels: light where it is high, a thin line between bands, a white one where f = y */
  const paint = (pixels, field, n, problem) => {
    const [low, high] = range(field, n, problem);
    const scale = high > low ? 1 / (high - low) : 0;
    const { y, sign } = problem;
    const line = new Float64Array(n + 1);
    const below = new Int16Array(BITMAP).fill(-1);
    for (let row = 0; row < BITMAP; row++) {
      const v = ((BITMAP - 1 - row) / (BITMAP - 1)) * (n - 1);
      const j = Math.min(n - 2, Math.floor(v));
      for (let i = 0; i < n; i++) line[i] = field[j * n + i] + (v - j) * (field[(j + 1) * n + i] - field[j * n + i]);
      let left = -1;
      for (let column = 0; column < BITMAP; column++) {
        const u = (column / (BITMAP - 1)) * (n - 1);
        const i = Math.floor(u);
        const f = line[i] + (u - i) * (line[i + 1] - line[i]);
        const place = Math.min(1, Math.max(0, (sign * (y - f) * (y - f) - low) * scale));
        const band = 2 * Math.floor(place * BANDS * 0.999) + (f > y ? 1 : 0);
        const [besides, beneath] = [left < 0 ? 0 : left ^ band, below[column] < 0 ? 0 : below[column] ^ band];
        pixels[row * BITMAP + column] =
          (besides | beneath) & 1 ? WHITE : palette[Math.round(place * 255) + (besides | beneath ? 256 : 0)];
        left = below[column] = band;
      }
    }
    return [low, high];
  };

  const range = (field, n, problem) => {
    let [low, high] = [Infinity, -Infinity];
    for (let j = 0; j < n; j++)
      for (let i = 0; i < n; i++) {
        const [u, v] = [(2 * i) / (n - 1) - 1, (2 * j) / (n - 1) - 1];
        if (u * u + v * v > 1) continue;
        const value = network.lossOf(problem, field[j * n + i]);
        if (value < low) low = value;
        if (value > high) high = value;
      }
    return [low, high];
  };

  const rounded = (log) => Number((10 ** log).toPrecision(2));

  /* Where a path ends: at which minimum, counted from the lowest, after how many steps */
  const ending = (problem, path, points) => {
    const last = path.length - 2;
    const end = [path[last], path[last + 1]];
    const near = (t, part) => Math.hypot(path[t] - end[0], path[t + 1] - end[1]) <= part * problem.eps;
    const minima = points.filter((point) => point.minimum).sort((p, q) => p.value - q.value);
    const angle = Math.atan2(end[1], end[0]);
    const apart = ({ theta }) => Math.abs(((theta - angle) % TURN + 3 * Math.PI) % TURN - Math.PI);
    const onCircle = Math.hypot(...end) > problem.eps * (1 - 1e-9);
    let steps = 0;
    while (!near(2 * steps, 0.01)) steps += 1;
    return {
      end, minima, onCircle, steps, resting: near(last - 2, 1e-4), value: network.loss(problem, ...end),
      rank: onCircle ? minima.findIndex((point) => apart(point) < 0.02) : -1,
    };
  };

  const inWords = ({ minima, onCircle, rank, resting, steps, value }) => {
    const k = minima.length;
    const counted = `${k} local ${k === 1 ? "minimum" : "minima"} on the circle. `;
    const ends = `L\u00a0=\u00a0${say(value)}`;
    if (!resting) return `${counted}After the last step the attack is still on its way, at ${ends}.`;
    if (!onCircle) return `${counted}The attack stops inside the ball after ${steps} steps, where ${ends}.`;
    if (rank < 0) return `${counted}The attack stands still at none of them, at ${ends}.`;
    if (k === 1) return `${counted}The attack reaches it in ${steps} steps: ${ends}.`;
    if (rank === 0) return `${counted}From this start the attack reaches the lowest in ${steps} steps: ${ends}.`;
    const which = rank === k - 1 ? (k === 2 ? "higher" : "highest") : `number ${rank + 1} of them, counted from the lowest`;
    return `${counted}From this start the attack ends at ${rank === k - 1 ? "the " : ""}${which}, ${ends}; `
      + `the lowest has L\u00a0=\u00a0${say(minima[0].value)}.`;
  };

  const trace = (context, points, look) => {
    context.beginPath();
    for (const [x, y] of points) context.lineTo(x, y);
    for (const [strokeStyle, lineWidth] of look) {
      Object.assign(context, { strokeStyle, lineWidth, lineJoin: "round" });
      context.stroke();
    }
  };

  const circle = (context, x, y, radius) => {
    context.beginPath();
    context.arc(x, y, radius, 0, TURN);
  };

  const drawMark = (context, { minimum }, x, y, look) => {
    const size = minimum ? 7 : -7;
    context.beginPath();
    context.moveTo(x - 7, y - 0.6 * size);
    context.lineTo(x + 7, y - 0.6 * size);
    context.lineTo(x, y + 0.8 * size);
    context.closePath();
    Object.assign(context, { fillStyle: minimum ? look.minimum : look.maximum, strokeStyle: "#ffffff", lineWidth: 1.2 });
    context.fill();
    context.stroke();
  };

  /* The picture: `state` is what a reader chose, the rest follows from it */
  class Landscape {
    constructor(given, place) {
      Object.assign(this, { given, place, state: { ...given.start }, shown: Infinity, resting: 0, running: 0 });
      this.nets = given.networks.map((net) => ({ ...net, W: unpack(net.W), signs: unpack(net.signs) }));
      this.image = new ImageData(BITMAP, BITMAP);
      this.pixels = new Uint32Array(this.image.data.buffer);
      this.bitmap = element("canvas", { width: BITMAP, height: BITMAP });
      this.words = result();
      this.ends = [element("span"), element("span")];
      this.disc = canvas({ ratio: () => 1, draw: (...on) => this.drawDisc(...on), label: "" });
      this.profile = canvas({ ratio: () => 0.42, draw: (...on) => this.drawProfile(...on), label: "" });
      this.handle = this.makeHandle();
      this.disc.canvas.addEventListener("click", (event) => this.follow(event));
      this.soon = eachFrame(() => { this.frame(); this.settle(); });
      this.compute(FINE);
      this.colour();
      this.moveTo(...this.state.at);
    }

    /* -- what is computed */

    compute(n) {
      const { m, seed, eps, y, sign } = this.state;
      this.problem = network.make({ ...this.nets.find((net) => net.m === m && net.seed === seed), eps, y, sign });
      this.field = network.field(this.problem, n);
      this.n = n;
      this.points = network.critical(this.problem);
    }

    colour() {
      const [low, high] = paint(this.pixels, this.field, this.n, this.problem);
      this.bitmap.getContext("2d").putImageData(this.image, 0, 0);
      [low, high].forEach((value, i) => {
        this.ends[i].textContent = say(Math.abs(value) < 1e-3 * (high - low) ? 0 : value);
      });
    }

    walk() {
      const { eps, y, at } = this.state;
      this.path = network.descend(this.problem, at.map((c) => c * eps), this.given.steps, this.given.step);
      this.ending = ending(this.problem, this.path, this.points);
      const text = inWords(this.ending);
      this.words.tell(text);
      this.disc.canvas.setAttribute("aria-label", `The loss on a disc of radius ${say(eps)}. ${text}`);
      this.profile.canvas.setAttribute("aria-label",
        `The output f along the circle, y = ${say(y)}: ${this.ending.minima.length} local minima of L.`);
    }

    /* One frame: everything again, coarsely; the finer picture follows when nothing moves */
    frame() {
      this.compute(COARSE);
      this.colour();
      this.walk();
      this.redraw();
    }

    settle() {
      clearTimeout(this.resting);
      this.resting = setTimeout(() => {
        this.field = network.field(this.problem, (this.n = FINE));
        this.colour();
        this.redraw();
      }, REST);
    }

    /* -- what is drawn */

    redraw() {
      this.disc.redraw();
      this.profile.redraw();
    }

    drawDisc(context, width) {
      const { eps, at } = this.state;
      const look = colours(this.place);
      const [middle, radius] = [width / 2, width / 2 - MARGIN];
      const to = (u, v) => [middle + (u / eps) * radius, middle - (v / eps) * radius];
      context.save();
      circle(context, middle, middle, radius);
      context.clip();
      context.drawImage(this.bitmap, MARGIN, MARGIN, 2 * radius, 2 * radius);
      context.restore();
      circle(context, middle, middle, radius);
      Object.assign(context, { strokeStyle: look.ink, lineWidth: 1.4 });
      context.stroke();
      this.drawPath(context, to, look);
      for (const point of this.points)
        drawMark(context, point, ...to(eps * Math.cos(point.theta), eps * Math.sin(point.theta)), look);
      const [left, top] = to(eps * at[0], eps * at[1]);
      Object.assign(this.handle.style, { left: `${(100 * left) / width}%`, top: `${(100 * top) / width}%` });
    }

    drawPath(context, to, look) {
      const last = Math.min(this.path.length / 2 - 1, Math.floor(this.shown));
      const places = Array.from({ length: last + 1 }, (_, t) => to(this.path[2 * t], this.path[2 * t + 1]));
      trace(context, places, [["#222222", 4.6], [look.path, 2.2]]);
      circle(context, ...places[last], 5);
      Object.assign(context, { fillStyle: look.path, strokeStyle: "#ffffff", lineWidth: 1.5 });
      context.fill();
      context.stroke();
    }

    drawProfile(context, width, height) {
      const { y } = this.state;
      const look = colours(this.place);
      const outputs = Array.from({ length: 181 }, (_, i) => network.onCircle(this.problem, (i / 180) * TURN));
      const [low, high] = [Math.min(...outputs, y), Math.max(...outputs, y)];
      const [left, top, bottom] = [8, 14, height - 22];
      const toX = (theta) => left + (theta / TURN) * (width - 2 * left);
      const toY = (f) => bottom - 6 - ((f - low) / (high - low || 1)) * (bottom - top - 12);
      Object.assign(context, { strokeStyle: look.faint, fillStyle: look.ink, lineWidth: 1, font: "12px sans-serif" });
      context.strokeRect(left, top - 6, width - 2 * left, bottom - top + 6);
      context.setLineDash([6, 4]);
      trace(context, [[left, toY(y)], [width - left, toY(y)]], [[look.faint, 1]]);
      context.setLineDash([]);
      trace(context, outputs.map((f, i) => [toX((i / 180) * TURN), toY(f)]), [[look.ink, 1.8]]);
      context.fillText("y", width - left - 12, toY(y) - 4);
      for (const point of this.points) drawMark(context, point, toX(point.theta), toY(point.f), look);
      context.fillStyle = look.ink;
      for (const [text, theta, textAlign] of [["0", 0, "left"], ["angle on the circle", 0.55, "left"],
                                              ["π", TURN / 2, "center"], ["2π", TURN, "right"]]) {
        context.textAlign = textAlign;
        context.fillText(text, toX(theta), height - 6);
      }
    }

    /* -- what a reader does */

    change(name, value) {
      this.state[name] = value;
      this.stop();
      this.soon();
    }

    stop() {
      cancelAnimationFrame(this.running);
      this.shown = Infinity;
    }

    run() {
      this.stop();
      if (still()) return this.redraw();
      const steps = Math.max(10, this.ending.steps * 1.15);
      const begin = performance.now();
      const next = (time) => {
        const part = Math.min(1, Math.max(0, (time - begin) / RUN));
        this.shown = part < 1 ? part * steps : Infinity;
        this.disc.redraw();
        if (part < 1) this.running = requestAnimationFrame(next);
      };
      this.shown = 0;
      this.running = requestAnimationFrame(next);
    }

    moveTo(u, v) {
      const length = Math.max(1, Math.hypot(u, v));
      this.state.at = [u / length, v / length];
      this.stop();
      this.walk();
      this.redraw();
      const [right, up] = this.state.at.map((c) => `${say(Math.abs(100 * c), 2)} percent of the radius`);
      this.handle.setAttribute("aria-valuenow", Math.round(100 * Math.hypot(...this.state.at)));
      this.handle.setAttribute("aria-valuetext", `${right} ${u < 0 ? "left" : "right"}, ${up} ${v < 0 ? "down" : "up"}`);
    }

    follow(event) {
      const { left, top, width } = this.disc.canvas.getBoundingClientRect();
      const radius = width / 2 - MARGIN;
      this.moveTo((event.clientX - left - width / 2) / radius, -(event.clientY - top - width / 2) / radius);
    }

    random() {
      const [radius, angle] = [Math.sqrt(Math.random()), TURN * Math.random()];
      this.moveTo(radius * Math.cos(angle), radius * Math.sin(angle));
      this.run();
    }

    makeHandle() {
      const handle = element("div", {
        className: "handle", tabIndex: 0, role: "slider", "aria-label": "Start of the attack",
        "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0,
      });
      drag(handle, (event) => this.follow(event));
      handle.addEventListener("keydown", (event) => {
        const [u, v] = KEYS[event.key] ?? [];
        if (u === undefined) return;
        event.preventDefault();
        const step = event.shiftKey ? 0.1 : 0.02;
        this.moveTo(this.state.at[0] + u * step, this.state.at[1] + v * step);
      });
      return handle;
    }

    /* -- what stands on the page */

    controls() {
      const { given, state } = this;
      const to = (name) => (value) => this.change(name, value);
      const widths = [...new Set(this.nets.map(({ m }) => m))];
      return element("div", { className: "controls" },
        slider({ label: "radius ε", min: given.radii[0], max: given.radii[1], step: 0.01, value: Math.log10(state.eps),
                 text: () => say(state.eps), change: (log) => this.change("eps", rounded(log)) }),
        slider({ label: "target y", min: given.targets[0], max: given.targets[1], step: 0.05, value: state.y,
                 change: to("y") }),
        slider({ label: "network", min: 0, max: given.seeds - 1, step: 1, value: state.seed, change: to("seed") }),
        choice({ label: "width m", options: widths.map((m) => [m, String(m)]), value: state.m, change: to("m") }),
        choice({ label: "minimised", options: [[-1, "L = −(y − f)²"], [1, "L = +(y − f)²"]], value: state.sign,
                 change: to("sign") }),
        element("div", { className: "acts" }, button("Run the attack", () => this.run()),
                button("Random start", () => this.random())));
    }

    parts() {
      const shown = element("div", { className: "disc" }, this.disc.canvas, this.handle);
      const legend = element("div", { className: "legend" }, element("span", {}, "L"), this.ends[0],
                             element("span", { className: "scale" }), this.ends[1]);
      const key = element("p", { className: "key" },
        element("span", { className: "minimum" }, "▼"), " local minimum of L on the circle, ",
        element("span", { className: "maximum" }, "▲"), " local maximum, ",
        element("span", { className: "path" }, "●"), ` ${this.given.steps} steps of projected gradient descent with η = `
          + `${say(this.given.step)}; white line: f = y. Drag the ring, or focus it and use the arrow keys.`);
      return [
        element("div", { className: "columns" }, element("div", {}, shown, legend),
                element("div", {}, this.controls(), this.profile.canvas)),
        ...this.words.parts, key,
      ];
    }
  }

  add("landscape", (given, place) => {
    const picture = new Landscape(given, place);
    place.setAttribute("aria-label", "The loss around an input, to be moved");
    place.style.setProperty("--advnb-movable-scale",
      `linear-gradient(to right, ${CIVIDIS.map((c) => `rgb(${c})`).join(", ")})`);
    requestAnimationFrame(() => picture.run());
    return { parts: picture.parts(), redraw: () => picture.redraw(), picture };
  });
})();
