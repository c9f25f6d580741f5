/* What all pictures that a reader can move have in common: the numbers that the book ships, controls with names,
   a result that is said aloud, a canvas that is sharp and follows the theme. A page says where one stands:

     <div class="advnb-movable" data-picture="landscape">A sentence for those who see no picture.</div>

   Classic scripts, since a browser loads no modules from a folder on disk. */
(() => {
  "use strict";

  const ATTENTION = 400; // milliseconds that a change must rest before it is said aloud
  const pictures = {};
  const numbers = {};

  const element = (name, properties = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in made) made[key] = value;
      else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };

  /* An array as advnb.book.movable.packed writes it: little-endian, in base64 */
  const KINDS = { float64: Float64Array, int16: Int16Array, int8: Int8Array, uint8: Uint8Array };
  const unpack = ({ kind, data }) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    return new KINDS[kind](bytes.buffer);
  };

  /* A number as text: few digits, and a true minus */
  const say = (value, digits = 3) => {
    const rounded = Number(value.toPrecision(digits));
    const text = Math.abs(rounded) >= 1e5 || (rounded && Math.abs(rounded) < 1e-3)
      ? rounded.toExponential() : String(rounded);
    return text.replace(/-/g, "−");
  };

  let count = 0;
  const slider = ({ label, min, max, step, value, text = say, change }) => {
    const id = `advnb-movable-${(count += 1)}`;
    const shown = element("output", { htmlFor: id });
    const input = element("input", { type: "range", id, min, max, step, value });
    const tell = () => {
      shown.textContent = text(Number(input.value));
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    input.addEventListener("input", () => { change(Number(input.value)); tell(); });
    tell();
    const field = element("div", { className: "field" }, element("label", { htmlFor: id }, label), shown, input);
    field.set = (to) => { input.value = to; tell(); };
    return field;
  };

  const choice = ({ label, options, value, change }) => {
    const name = `advnb-movable-${(count += 1)}`;
    const buttons = options.map(([option, text]) => {
      const input = element("input", { type: "radio", name, value: option, checked: option === value });
      input.addEventListener("change", () => change(option));
      return element("label", {}, input, element("span", {}, text));
    });
    return element("fieldset", { className: "choice" }, element("legend", {}, label),
                   element("div", { className: "buttons" }, ...buttons));
  };

  const button = (text, act) => {
    const made = element("button", { type: "button", className: "act" }, text);
    made.addEventListener("click", act);
    return made;
  };

  /* The result in words: at once for the eye, and aloud when nothing has changed for a moment */
  const result = () => {
    const shown = element("p", { className: "result" });
    const aloud = element("p", { className: "visually-hidden", role: "status" });
    let waiting = 0;
    const tell = (text) => {
      if (shown.textContent === text) return;
      shown.textContent = text;
      clearTimeout(waiting);
      waiting = setTimeout(() => { aloud.textContent = text; }, ATTENTION);
    };
    return { tell, parts: [shown, aloud] };
  };

  /* A canvas as wide as its place; draw(context, width, height) works in CSS pixels */
  const canvas = ({ ratio, draw, label }) => {
    const made = element("canvas", { role: "img", "aria-label": label });
    const context = made.getContext("2d");
    const redraw = () => {
      const width = made.clientWidth;
      if (!width) return;
      const height = Math.round(width * ratio());
      const sharp = Math.min(2, window.devicePixelRatio || 1);
      if (made.width !== Math.round(width * sharp) || made.height !== Math.round(height * sharp)) {
        made.width = Math.round(width * sharp);
        made.height = Math.round(height * sharp);
        made.style.height = `${height}px`;
      }
      context.setTransform(sharp, 0, 0, sharp, 0, 0);
      context.clearRect(0, 0, width, height);
      draw(context, width, height);
    };
    new ResizeObserver(redraw).observe(made);
    return { canvas: made, redraw };
  };

  /* The page's colours, by meaning; orange and blue are those of advnb.book.figures */
  const colours = (where) => {
    const style = getComputedStyle(where);
    const of = (name) => style.getPropertyValue(name).trim();
    return {
      ink: of("--pst-color-text-base") || "#222222",
      faint: of("--pst-color-text-muted") || "#6a6a6a",
      ground: of("--pst-color-background") || "#ffffff",
      minimum: of("--advnb-movable-minimum"),
      maximum: of("--advnb-movable-maximum"),
      path: of("--advnb-movable-path"),
    };
  };

  /* Follow a finger or a mouse: move(event) while one is down on the element */
  const drag = (handle, move) => {
    handle.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      handle.setPointerCapture(event.pointerId);
      handle.focus({ preventScroll: true });
      event.preventDefault();
      move(event);
    });
    handle.addEventListener("pointermove", (event) => handle.hasPointerCapture(event.pointerId) && move(event));
  };

  /* Call it once a frame at most, however often it is asked for */
  const eachFrame = (act) => {
    let asked = 0;
    return () => {
      asked ||= requestAnimationFrame(() => { asked = 0; act(); });
    };
  };

  const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  const fill = (place) => {
    const build = pictures[place.dataset.picture];
    const given = numbers[place.dataset.picture];
    if (!build || !given) return;
    const { parts, redraw, picture } = build(given, place);
    place.replaceChildren(...parts);
    place.setAttribute("role", "group");
    place.classList.add("filled");
    place.picture = picture;
    redraw();
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  };

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".advnb-movable").forEach(fill));

  window.advnbMovable = {
    button, canvas, choice, colours, drag, eachFrame, element, result, say, slider, still, unpack,
    add: (name, build) => { pictures[name] = build; },
    ship: (name, given) => { numbers[name] = given; },
  };
})();
