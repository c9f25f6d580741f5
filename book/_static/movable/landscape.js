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
  const RUN = 1200; // milliseconds that a run takes on the page
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

  const build = (given, place) => {
    const nets = given.networks.map((net) => ({ ...net, W: unpack(net.W), signs: unpack(net.signs) }));
    const widths = [...new Set(nets.map(({ m }) => m))];
    const state = { ...given.start };
    const now = { problem: null, field: null, n: 0, points: [], path: null, ending: null, shown: Infinity };
    const image = new ImageData(BITMAP, BITMAP);
    const pixels = new Uint32Array(image.data.buffer);
    const bitmap = element("canvas", { width: BITMAP, height: BITMAP });
    const words = result();
    const [lowText, highText] = [element("span"), element("span")];

    const compute = (n) => {
      const net = nets.find(({ m, seed }) => m === state.m && seed === state.seed);
      now.problem = network.make({ ...net, eps: state.eps, y: state.y, sign: state.sign });
      now.field = network.field(now.problem, n);
      now.n = n;
      now.points = network.critical(now.problem);
    };
    const colour = () => {
      const [low, high] = paint(pixels, now.field, now.n, now.problem);
      bitmap.getContext("2d").putImageData(image, 0, 0);
      const short = (value) => say(Math.abs(value) < 1e-3 * (high - low) ? 0 : value);
      lowText.textContent = short(low);
      highText.textContent = short(high);
    };
    const walk = () => {
      now.path = network.descend(now.problem, state.at.map((c) => c * state.eps), given.steps, given.step);
      now.ending = ending(now.problem, now.path, now.points);
      const text = inWords(now.ending);
      words.tell(text);
      disc.canvas.setAttribute("aria-label", `The loss on a disc of radius ${say(state.eps)}. ${text}`);
      profile.canvas.setAttribute("aria-label",
        `The output f along the circle, y = ${say(state.y)}: ${now.ending.minima.length} local minima of L.`);
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

    const drawPath = (context, toX, toY, look) => {
      const last = Math.min(now.path.length - 2, 2 * Math.floor(now.shown));
      context.beginPath();
      for (let t = 0; t <= last; t += 2) context.lineTo(toX(now.path[t]), toY(now.path[t + 1]));
      Object.assign(context, { strokeStyle: "#222222", lineWidth: 4.6, lineJoin: "round" });
      context.stroke();
      Object.assign(context, { strokeStyle: look.path, lineWidth: 2.2 });
      context.stroke();
      context.beginPath();
      context.arc(toX(now.path[last]), toY(now.path[last + 1]), 5, 0, TURN);
      Object.assign(context, { fillStyle: look.path, strokeStyle: "#ffffff", lineWidth: 1.5 });
      context.fill();
      context.stroke();
    };

    const drawDisc = (context, width) => {
      const look = colours(place);
      const radius = width / 2 - MARGIN;
      const [toX, toY] = [(u) => width / 2 + (u / state.eps) * radius, (v) => width / 2 - (v / state.eps) * radius];
      context.save();
      context.beginPath();
      context.arc(width / 2, width / 2, radius, 0, TURN);
      context.clip();
      context.drawImage(bitmap, MARGIN, MARGIN, 2 * radius, 2 * radius);
      context.restore();
      context.beginPath();
      context.arc(width / 2, width / 2, radius, 0, TURN);
      Object.assign(context, { strokeStyle: look.ink, lineWidth: 1.4 });
      context.stroke();
      drawPath(context, toX, toY, look);
      for (const point of now.points)
        drawMark(context, point, toX(state.eps * Math.cos(point.theta)), toY(state.eps * Math.sin(point.theta)), look);
      handle.style.left = `${(100 * toX(state.at[0] * state.eps)) / width}%`;
      handle.style.top = `${(100 * toY(state.at[1] * state.eps)) / width}%`;
    };

    const drawProfile = (context, width, height) => {
      const look = colours(place);
      const outputs = Array.from({ length: 181 }, (_, i) => network.onCircle(now.problem, (i / 180) * TURN));
      const [low, high] = [Math.min(...outputs, state.y), Math.max(...outputs, state.y)];
      const [left, top, bottom] = [8, 14, height - 22];
      const toX = (theta) => left + (theta / TURN) * (width - 2 * left);
      const toY = (f) => bottom - 6 - ((f - low) / (high - low || 1)) * (bottom - top - 12);
      Object.assign(context, { strokeStyle: look.faint, fillStyle: look.ink, lineWidth: 1, font: "12px sans-serif" });
      context.strokeRect(left, top - 6, width - 2 * left, bottom - top + 6);
      context.setLineDash([6, 4]);
      context.beginPath();
      context.moveTo(left, toY(state.y));
      context.lineTo(width - left, toY(state.y));
      context.stroke();
      context.setLineDash([]);
      context.beginPath();
      outputs.forEach((f, i) => context.lineTo(toX((i / 180) * TURN), toY(f)));
      Object.assign(context, { strokeStyle: look.ink, lineWidth: 1.8 });
      context.stroke();
      context.fillText("y", width - left - 12, toY(state.y) - 4);
      for (const point of now.points) drawMark(context, point, toX(point.theta), toY(point.f), look);
      context.fillStyle = look.ink;
      ["0", "π", "2π"].forEach((text, i) => {
        context.textAlign = ["left", "center", "right"][i];
        context.fillText(text, toX((i * TURN) / 2), height - 6);
      });
      context.textAlign = "left";
      context.fillText("angle on the circle", toX(0.55), height - 6);
    };

    const disc = canvas({ ratio: () => 1, draw: drawDisc, label: "" });
    const profile = canvas({ ratio: () => 0.42, draw: drawProfile, label: "" });
    const redraw = () => {
      disc.redraw();
      profile.redraw();
    };

    /* One frame: everything again, coarsely; the finer picture follows when nothing moves */
    let [resting, running] = [0, 0];
    const frame = () => {
      compute(COARSE);
      colour();
      walk();
      redraw();
    };
    const settle = () => {
      clearTimeout(resting);
      resting = setTimeout(() => {
        now.field = network.field(now.problem, (now.n = FINE));
        colour();
        redraw();
      }, 150);
    };
    const soon = eachFrame(() => { frame(); settle(); });
    const changed = (name) => (value) => {
      state[name] = value;
      stop();
      soon();
    };
    const stop = () => {
      cancelAnimationFrame(running);
      now.shown = Infinity;
    };

    const run = () => {
      stop();
      if (still()) return redraw();
      const steps = Math.max(10, now.ending.steps * 1.15);
      const begin = performance.now();
      const next = (time) => {
        const part = Math.min(1, Math.max(0, (time - begin) / RUN));
        now.shown = part < 1 ? part * steps : Infinity;
        disc.redraw();
        if (part < 1) running = requestAnimationFrame(next);
      };
      now.shown = 0;
      running = requestAnimationFrame(next);
    };

    const moveTo = (u, v) => {
      const length = Math.max(1, Math.hypot(u, v));
      state.at = [u / length, v / length];
      stop();
      walk();
      redraw();
      handle.setAttribute("aria-valuenow", Math.round(100 * Math.hypot(...state.at)));
      handle.setAttribute("aria-valuetext", state.at.map((c, i) => `${say(Math.abs(100 * c), 2)} percent of the radius `
        + (i ? (c < 0 ? "down" : "up") : c < 0 ? "left" : "right")).join(", "));
    };
    const follow = (event) => {
      const box = disc.canvas.getBoundingClientRect();
      const radius = box.width / 2 - MARGIN;
      moveTo((event.clientX - box.left - box.width / 2) / radius, -(event.clientY - box.top - box.height / 2) / radius);
    };

    const handle = element("div", {
      className: "handle", tabIndex: 0, role: "slider", "aria-label": "Start of the attack",
      "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0,
    });
    drag(handle, follow);
    handle.addEventListener("keydown", (event) => {
      const [u, v] = KEYS[event.key] ?? [];
      if (u === undefined) return;
      event.preventDefault();
      const step = event.shiftKey ? 0.1 : 0.02;
      moveTo(state.at[0] + u * step, state.at[1] + v * step);
    });
    disc.canvas.addEventListener("click", follow);

    const controls = element("div", { className: "controls" },
      slider({
        label: "radius ε", min: given.radii[0], max: given.radii[1], step: 0.01, value: Math.log10(state.eps),
        text: () => say(state.eps), change: (log) => changed("eps")(rounded(log)),
      }),
      slider({ label: "target y", min: given.targets[0], max: given.targets[1], step: 0.05, value: state.y,
               change: changed("y") }),
      slider({ label: "network", min: 0, max: given.seeds - 1, step: 1, value: state.seed, change: changed("seed") }),
      choice({ label: "width m", options: widths.map((m) => [m, String(m)]), value: state.m, change: changed("m") }),
      choice({ label: "minimised", options: [[-1, "L = −(y − f)²"], [1, "L = +(y − f)²"]], value: state.sign,
               change: changed("sign") }),
      element("div", { className: "acts" }, button("Run the attack", run),
              button("Random start", () => {
                const [radius, angle] = [Math.sqrt(Math.random()), TURN * Math.random()];
                moveTo(radius * Math.cos(angle), radius * Math.sin(angle));
                run();
              })));

    const legend = element("div", { className: "legend" }, element("span", {}, "L"), lowText,
                           element("span", { className: "scale" }), highText);
    const key = element("p", { className: "key" },
      element("span", { className: "minimum" }, "▼"), " local minimum of L on the circle, ",
      element("span", { className: "maximum" }, "▲"), " local maximum, ",
      element("span", { className: "path" }, "●"), ` ${given.steps} steps of projected gradient descent with η = `
        + `${say(given.step)}; white line: f = y. Drag the ring, or focus it and use the arrow keys.`);
    const shown = element("div", { className: "disc" }, disc.canvas, handle);
    const parts = [
      element("div", { className: "columns" }, element("div", {}, shown, legend),
              element("div", {}, controls, profile.canvas)),
      ...words.parts, key,
    ];

    compute(FINE);
    colour();
    moveTo(...state.at);
    place.setAttribute("aria-label", "The loss around an input, to be moved");
    place.style.setProperty("--advnb-movable-scale",
      `linear-gradient(to right, ${CIVIDIS.map((c) => `rgb(${c})`).join(", ")})`);
    requestAnimationFrame(run);
    const picture = {
      state, frame, loss: (u, v) => network.loss(now.problem, u, v), get ending() { return now.ending; },
      get points() { return now.points; },
    };
    return { parts, redraw, picture };
  };

  add("landscape", build);
})();
