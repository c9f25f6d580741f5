/* Deng et al.'s problem in the plane: the two-layer softplus network, projected gradient descent, the critical points
   on the circle. The same as advnb.papers.dynamics in float64: problem.py, descent.py and circle.py, line by line, so
   that what a reader moves is what the book counts. A test compares them to 1e-6. */
(() => {
  "use strict";

  const TURN = 2 * Math.PI;
  const BEND = [0, 0.7, 1.5, 2.5, 4, 6.5, 11, 20, 40]; // preactivations at which the bend of a unit is sampled
  const SAMPLES = 2048;
  const BISECTIONS = 60;

  const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
  const sigmoid = (z) => 1 / (1 + Math.exp(-z));

  /* problem: { W: [w_11, w_12, w_21, ...], signs, x: [x_1, x_2], eps, y, sign }, with L = sign (y - f)^2 minimised */
  const make = ({ W, signs, x, eps, y, sign }) => {
    const m = signs.length;
    const a = Float64Array.from(signs, (s) => s / Math.sqrt(m));
    const offset = Float64Array.from(signs, (_, r) => W[2 * r] * x[0] + W[2 * r + 1] * x[1]);
    return { W, a, offset, m, eps, y, sign };
  };

  const output = ({ W, a, offset, m }, u, v) => {
    let f = 0;
    for (let r = 0; r < m; r++) f += a[r] * softplus(offset[r] + W[2 * r] * u + W[2 * r + 1] * v);
    return f;
  };

  const outputGradient = ({ W, a, offset, m }, u, v) => {
    let [f, fu, fv] = [0, 0, 0];
    for (let r = 0; r < m; r++) {
      const z = offset[r] + W[2 * r] * u + W[2 * r + 1] * v;
      const slope = a[r] * sigmoid(z);
      f += a[r] * softplus(z);
      fu += slope * W[2 * r];
      fv += slope * W[2 * r + 1];
    }
    return [f, fu, fv];
  };

  const lossOf = (problem, f) => problem.sign * (problem.y - f) ** 2;
  const loss = (problem, u, v) => lossOf(problem, output(problem, u, v));

  /* delta_{t+1} = the projection of delta_t - step dL(delta_t) onto the ball; the path as [u_0, v_0, u_1, v_1, ...] */
  const descend = (problem, [u, v], steps, step) => {
    const path = new Float64Array(2 * steps + 2);
    path.set([u, v]);
    for (let t = 1; t <= steps; t++) {
      const [f, fu, fv] = outputGradient(problem, u, v);
      const slope = 2 * problem.sign * (f - problem.y);
      u -= step * slope * fu;
      v -= step * slope * fv;
      const length = Math.hypot(u, v);
      if (length > problem.eps) {
        u *= problem.eps / length;
        v *= problem.eps / length;
      }
      path.set([u, v], 2 * t);
    }
    return path;
  };

  /* df/dtheta and d2f/dtheta2 on the circle */
  const turning = ({ W, a, offset, m, eps }, theta) => {
    const [c, s] = [eps * Math.cos(theta), eps * Math.sin(theta)];
    let [slope, bend] = [0, 0];
    for (let r = 0; r < m; r++) {
      const radial = W[2 * r] * c + W[2 * r + 1] * s;
      const along = W[2 * r + 1] * c - W[2 * r] * s;
      const on = 1 / (1 + Math.exp(-offset[r] - radial));
      slope += a[r] * on * along;
      bend += a[r] * on * ((1 - on) * along * along - radial);
    }
    return [slope, bend];
  };

  const around = (theta) => ((theta % TURN) + TURN) % TURN;
  const ascending = (angles) => Float64Array.from(angles).sort();

  /* A uniform sweep, and points through the bend of each unit that the sweep would miss */
  const sweep = ({ W, offset, m, eps }) => {
    const angles = Array.from({ length: SAMPLES }, (_, i) => i * (TURN / SAMPLES));
    for (let r = 0; r < m; r++) {
      const reach = eps * Math.hypot(W[2 * r], W[2 * r + 1]);
      if (reach <= Math.abs(offset[r]) || reach <= SAMPLES / 50) continue;
      const centre = Math.atan2(W[2 * r + 1], W[2 * r]);
      for (const z of [...BEND.map((b) => -b), ...BEND]) {
        const opening = Math.acos(Math.min(1, Math.max(-1, (z - offset[r]) / reach)));
        angles.push(around(centre + opening), around(centre - opening));
      }
    }
    return ascending(new Set(angles));
  };

  /* All sign changes of a periodic function between neighbours of a sorted grid, bisected */
  const zeros = (of, grid, values) => {
    const kept = [...grid.keys()].filter((i) => values[i] !== 0);
    const found = [];
    kept.forEach((i, k) => {
      const last = k === kept.length - 1;
      const next = kept[last ? 0 : k + 1];
      const positive = values[i] > 0;
      if (positive === values[next] > 0) return;
      let [left, right] = [grid[i], grid[next] + (last ? TURN : 0)];
      for (let n = 0; n < BISECTIONS; n++) {
        const middle = 0.5 * (left + right);
        if (of(middle) > 0 === positive) left = middle;
        else right = middle;
      }
      found.push(around(0.5 * (left + right)));
    });
    return ascending(found);
  };

  const onCircle = (problem, theta) => output(problem, problem.eps * Math.cos(theta), problem.eps * Math.sin(theta));

  /* Every critical point of L on the circle, in order of the angle: { theta, f, value, minimum, crossing } */
  const critical = (problem) => {
    const grid = sweep(problem);
    const bends = new Float64Array(grid.length);
    const slopes = new Map();
    grid.forEach((theta, i) => {
      const [slope, bend] = turning(problem, theta);
      bends[i] = bend;
      slopes.set(theta, slope);
    });
    const turns = zeros((theta) => turning(problem, theta)[1], grid, bends);
    turns.forEach((theta) => slopes.set(theta, turning(problem, theta)[0]));
    const all = ascending(slopes.keys());
    const extrema = zeros((theta) => turning(problem, theta)[0], all, Float64Array.from(all, (t) => slopes.get(t)));
    const heights = Float64Array.from(extrema, (theta) => onCircle(problem, theta));
    const above = (theta) => onCircle(problem, theta) - problem.y;
    const crossings = zeros(above, extrema, heights.map((f) => f - problem.y));
    const n = extrema.length;
    const points = Array.from(extrema, (theta, i) => {
      const low = heights[i] < Math.max(heights[(i + 1) % n], heights[(i + n - 1) % n]);
      const rising = problem.sign * (heights[i] - problem.y) > 0; // does L rise with f here?
      return { theta, f: heights[i], minimum: low === rising, crossing: false };
    });
    crossings.forEach((theta) => {
      points.push({ theta, f: onCircle(problem, theta), minimum: problem.sign > 0, crossing: true });
    });
    points.forEach((point) => { point.value = lossOf(problem, point.f); });
    return points.sort((p, q) => p.theta - q.theta);
  };

  /* f on a square grid of n x n points over [-eps, eps]^2, row by row from the bottom, for a picture: one exponential a
     unit and point, and one logarithm for all units of one sign, since a sum of logarithms is that of the product */
  const field = ({ W, a, offset, m, eps }, n) => {
    const values = new Float64Array(n * n);
    const order = [...a.keys()].sort((p, q) => a[p] - a[q]); // the units below zero first
    const [across, up, start] = [(r) => W[2 * r], (r) => W[2 * r + 1], (r) => offset[r]]
      .map((of) => Float64Array.from(order, of));
    const negative = order.filter((r) => a[r] < 0).length;
    const size = Math.abs(a[0]);
    const at = Float64Array.from({ length: n }, (_, i) => eps * ((2 * i) / (n - 1) - 1));
    const base = new Float64Array(m);
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < m; k++) base[k] = start[k] + up[k] * at[j];
      const half = Math.max(0, Math.abs(at[j]) / eps - 4 / (n - 1)); // the cells that the edge of the disc goes through
      const reach = eps * (Math.sqrt(1 - half * half) + 4 / (n - 1));
      for (let i = 0; i < n; i++) {
        if (Math.abs(at[i]) > reach) continue;
        let sum = 0;
        for (let k = 0, product = 1; k < m; k++) {
          const z = base[k] + across[k] * at[i];
          product *= 1 + Math.exp(z > 0 ? -z : z);
          if (z > 0) sum += k < negative ? -z : z;
          if (k === negative - 1 || k === m - 1) {
            sum += k < negative ? -Math.log(product) : Math.log(product);
            product = 1;
          }
        }
        values[j * n + i] = size * sum;
      }
    }
    return values;
  };

  window.advnbNetwork = { critical, descend, field, loss, lossOf, make, onCircle, output, outputGradient, softplus };
})();
