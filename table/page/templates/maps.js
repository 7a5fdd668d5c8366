/* The maps of the gallery: in the grid, and in an opened cell with zoom, points that answer, and knobs. */

const { gallery, colours } = JSON.parse(document.getElementById("data").textContent);

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/* Places in [0, 1], with y downwards as on a canvas. */
function places(base64) {
  const raw = new Uint16Array(bytes(base64).buffer);
  return Float32Array.from(raw, (value, at) => (at % 2 ? 65535 - value : value) / 65535);
}

const labels = gallery && bytes(gallery.labels);
const images = gallery?.images && new Image();
if (images) images.src = `data:image/png;base64,${gallery.images.png}`;
const trained = new Map((gallery?.cells ?? []).map((cell) => [`${cell.row}/${cell.column}`, cell]));

function prepared(frame) {
  frame.points ??= places(frame.places);
  frame.groups ??= frame.clusters ? bytes(frame.clusters) : null;
  return frame;
}

/* Where a point is drawn: the map fits the canvas, then the view moves and enlarges it. */
function placing(canvas, points, view = { scale: 1, x: 0, y: 0 }) {
  let [left, right, top, bottom] = [1, 0, 1, 0];
  for (let at = 0; at < points.length; at += 2) {
    [left, right] = [Math.min(left, points[at]), Math.max(right, points[at])];
    [top, bottom] = [Math.min(top, points[at + 1]), Math.max(bottom, points[at + 1])];
  }
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const margin = Math.min(12, height / 16);
  const size = Math.min((width - 2 * margin) / Math.max(right - left, 0.01), (height - 2 * margin) / Math.max(bottom - top, 0.01));
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  return (at) => [
    width / 2 + view.x + (points[2 * at] - x) * size * view.scale,
    height / 2 + view.y + (points[2 * at + 1] - y) * size * view.scale,
  ];
}

function draw(canvas, points, groups, view, marked = -1) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return;
  const ratio = Math.max(devicePixelRatio, 2); // prints are finer than the screen
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const shades = colours[isDark() && !printed.matches ? "dark" : "light"];
  const place = placing(canvas, points, view);
  const radius = Math.min(4.5, Math.max(0.7, Math.min(width, height) / 190) * Math.sqrt(view?.scale ?? 1));
  shades.forEach((shade, colour) => {
    pen.fillStyle = shade;
    pen.beginPath();
    for (let at = 0; at < points.length / 2; at++) {
      if (groups[at] % shades.length !== colour) continue;
      const [x, y] = place(at);
      pen.moveTo(x + radius, y);
      pen.arc(x, y, radius, 0, 7);
    }
    pen.fill();
  });
  if (marked < 0) return;
  pen.strokeStyle = getComputedStyle(canvas).color;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.arc(...place(marked), radius + 3, 0, 7);
  pen.stroke();
}

/* An opened map. */
class Plot {
  constructor(figure) {
    this.figure = figure;
    this.canvas = figure.querySelector(".view > canvas");
    this.cell = prepared(trained.get(figure.dataset.map));
    this.frame = this.cell;
    this.points = this.cell.points;
    this.marked = -1;
    this.byLabel = false;
    this.pointers = new Map();
    this.zoom(0);
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  draw() {
    const groups = this.byLabel ? labels : (this.frame.groups ?? labels);
    draw(this.canvas, this.points, groups, this.view, this.marked);
  }

  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const old = factor ? this.view : { scale: 1, x: 0, y: 0 };
    const scale = Math.min(60, Math.max(1, old.scale * (factor || 1)));
    const [fromX, fromY] = [x - this.canvas.clientWidth / 2, y - this.canvas.clientHeight / 2];
    const grown = scale / old.scale;
    this.view = { scale, x: fromX - (fromX - old.x) * grown, y: fromY - (fromY - old.y) * grown };
    if (scale === 1) this.view = { scale, x: 0, y: 0 };
    this.canvas.style.touchAction = scale === 1 ? "pan-y" : "none"; // a whole map lets the page scroll
    this.draw();
  }

  pan(x, y) {
    this.view = { ...this.view, x: this.view.x + x, y: this.view.y + y };
    this.draw();
  }

  /* Name the point nearest to a place, if one is near enough. */
  point(x, y, within = 14) {
    const place = placing(this.canvas, this.points, this.view);
    let [nearest, distance] = [-1, within];
    for (let at = 0; at < this.points.length / 2; at++) {
      const [left, top] = place(at);
      const here = Math.hypot(left - x, top - y);
      if (here < distance) [nearest, distance] = [at, here];
    }
    if (nearest === this.marked) return;
    this.marked = nearest;
    this.draw();
    const box = this.figure.querySelector(".point");
    box.hidden = nearest < 0;
    if (nearest < 0) return;
    const cluster = this.frame.groups ? `, cluster ${this.frame.groups[nearest] + 1}` : "";
    box.querySelector("span").textContent = `Row ${nearest}, label ${gallery.classes[labels[nearest]]}${cluster}`;
    box.querySelector("canvas").hidden = !images;
    if (!images) return;
    const { width, height, columns } = gallery.images;
    const [left, top] = [(nearest % columns) * width, Math.floor(nearest / columns) * height];
    box.querySelector("canvas").getContext("2d").drawImage(images, left, top, width, height, 0, 0, width, height);
  }

  listen() {
    const { canvas, figure, pointers } = this;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      pointers.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
      this.point(event.offsetX, event.offsetY);
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return this.point(event.offsetX, event.offsetY);
      const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
      if (other) {
        const apart = (one) => Math.hypot(one.offsetX - other.offsetX, one.offsetY - other.offsetY);
        this.zoom(apart(event) / Math.max(1, apart(before)), other.offsetX, other.offsetY);
      } else if (this.view.scale > 1) this.pan(event.offsetX - before.offsetX, event.offsetY - before.offsetY);
      pointers.set(event.pointerId, event);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
    }
    canvas.addEventListener("pointerleave", () => this.point(-99, -99));
    canvas.addEventListener("keydown", (event) => {
      const keys = {
        ArrowLeft: () => this.pan(30, 0), ArrowRight: () => this.pan(-30, 0),
        ArrowUp: () => this.pan(0, 30), ArrowDown: () => this.pan(0, -30),
        "+": () => this.zoom(1.5), "-": () => this.zoom(1 / 1.5), 0: () => this.zoom(0),
      };
      if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
      this.point(canvas.clientWidth / 2, canvas.clientHeight / 2, Infinity);
    });
    for (const button of figure.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.zoom(Number(button.dataset.zoom)));
    }
    figure.querySelector("[data-colours]")?.addEventListener("click", (event) => {
      this.byLabel = !this.byLabel;
      event.target.setAttribute("aria-pressed", String(this.byLabel));
      this.draw();
    });
    for (const knob of figure.querySelectorAll("[data-knob]")) {
      knob.addEventListener("input", () => this.turn(knob));
    }
  }

  /* Only one knob is off its default at a time, as the frames are. */
  turn(knob) {
    for (const other of this.figure.querySelectorAll("[data-knob]")) {
      const slider = this.slider(other);
      if (other !== knob) other.value = slider.default;
      other.previousElementSibling.textContent = slider.values[other.value];
      other.setAttribute("aria-valuetext", String(slider.values[other.value]));
    }
    const slider = this.slider(knob);
    this.figure.classList.toggle("turned", Number(knob.value) !== slider.default); // its words are of the default
    this.show(slider.frames[knob.value]);
  }

  slider(knob) {
    return gallery.sliders.find((slider) =>
      slider.knob === knob.dataset.knob && `${slider.row}/${slider.column}` === this.figure.dataset.map);
  }

  show(frame) {
    this.frame = prepared(frame);
    this.figure.querySelectorAll(".measured strong").forEach((number) => {
      const value = frame[number.dataset.of];
      number.textContent = value === null ? "–" : `${(100 * value).toFixed(1)} %`;
    });
    const [from, to, start] = [this.points, frame.points, performance.now()];
    const length = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 350;
    const step = (now) => {
      if (this.frame !== frame) return; // the knob was turned on
      const part = length ? Math.min(1, Math.max(0, now - start) / length) : 1;
      this.points = part === 1 ? to : from.map((value, at) => value + (to[at] - value) * part * (2 - part));
      this.draw();
      if (part < 1) requestAnimationFrame(step);
    };
    step(start);
  }
}

const plots = new Map();

/* Draw the maps of what is shown now. */
function drawMaps() {
  for (const canvas of document.querySelectorAll("canvas[data-map]")) {
    const cell = prepared(trained.get(canvas.dataset.map));
    draw(canvas, cell.points, cell.groups ?? labels);
  }
  for (const plot of plots.values()) plot.draw();
}

function openMaps(side) {
  for (const figure of side.querySelectorAll("figure.map")) {
    if (!plots.has(figure)) plots.set(figure, new Plot(figure));
  }
}

if (gallery) {
  addEventListener("painted", drawMaps);
  addEventListener("resize", drawMaps);
  for (const event of ["beforeprint", "afterprint"]) addEventListener(event, drawMaps);
  printed.addEventListener("change", drawMaps);
  drawMaps();
}
