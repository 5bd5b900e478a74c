// One wrapper round uPlot: what it lacks for us is touch, notes on the time axis, named gaps, a text and a table for those who
// do not see the picture, and taking it along as PNG or CSV.
//
// <figure class="plot" data-chart="ADDRESS" [data-brush="since,until"]> with JSON of the shape
// { times: [unix seconds], step, unit, says, series: [{ name, colour, values: [number|null] }],
//   kind: "bars"|"line", band: { low: [], high: [] }, lines: [{ at, text }], marks: [{ at, text }], spans: [{ from, to, text }], zero: whether the values are drawn from 0 up }
// data-renew="30": asks again after so many seconds.
import { announce } from "./say.js";

const zone = document.documentElement.dataset.zone || "UTC";
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const pad = (n) => String(n).padStart(2, "0");
const local = (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone);
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function when(seconds) {
  const at = local(seconds);
  return `${at.getDate()} ${MONTHS[at.getMonth()]} ${pad(at.getHours())}:${pad(at.getMinutes())}`;
}

function number(value) {
  return value == null ? "no data" : value.toLocaleString("en", { maximumFractionDigits: 2 });
}

const SIZES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

// At an axis, and where bytes are read: 12k, 1.25M, 300G.
function short(value) {
  const [size, letter] = SIZES.find(([size]) => Math.abs(value) >= Math.max(size, 1e4)) ?? [1, ""];
  return letter ? `${Number((value / size).toFixed(2))}${letter}` : value.toLocaleString("en");
}

const AXIS = [
  [86400 * 365, "{YYYY}", null, null, null, null, null, null, 1],
  [86400 * 28, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [3600, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  [60, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  [1, ":{ss}", "\n{D} {MMM} {HH}:{mm}", null, "\n{D} {MMM} {HH}:{mm}", null, "\n{HH}:{mm}", null, 1],
];

const WHOLE = [1, 10, 100, 1e3, 1e4, 1e5].flatMap((tens) => [tens, 2 * tens, 5 * tens]); // of things that are counted there is no half

class Chart {
  constructor(figure, data) {
    this.figure = figure;
    this.data = data;
    this.place = figure.querySelector("[data-plot]");
    this.reading = figure.querySelector("[data-reading]");
    this.bars = data.kind !== "line";
    this.say();
    this.build();
    this.listen();
  }

  say() {
    const { says } = this.data;
    if (says && !this.bars) this.place.setAttribute("aria-label", `${says} Arrow keys read the values one by one, plus and minus look closer and wider, 0 shows all.`);
  }

  // The same picture of newer data; another number of lines is another picture.
  show(data) {
    const same = data.series.length === this.data.series.length && !data.band === !this.data.band;
    this.data = data;
    this.say();
    if (same) this.plot.setData(this.columns());
    else this.build();
    const open = this.figure.querySelector("details[open]");
    if (open) this.table(open);
  }

  // Bars stand on each other: the later series is drawn first, as the sum of all up to it.
  columns() {
    const { series, times, band } = this.data;
    if (!this.bars) return [times, ...(band ? [band.low, band.high] : []), ...series.map((one) => one.values)];
    const sums = [];
    series.forEach((one, at) => sums.push(one.values.map((value, place) => (value ?? 0) + (at ? sums[at - 1][place] : 0))));
    return [times, ...sums.reverse()];
  }

  build() {
    const { series, band, step = 0, times } = this.data;
    const drawn = this.bars ? [...series].reverse() : series;
    const bars = uPlot.paths.bars({ size: [0.86, 48], align: 1, gap: 0 });
    const hidden = band ? [{ stroke: "transparent", points: { show: false } }, { stroke: "transparent", points: { show: false } }] : [];
    const options = {
      width: Math.max(200, this.place.clientWidth),
      height: Number(this.figure.dataset.height || 180),
      tzDate: local,
      legend: { show: false },
      padding: [10, 22, 0, 0],
      cursor: { sync: { key: "tocsin" }, drag: { x: true, y: false, setScale: !this.figure.dataset.brush }, points: { show: !this.bars } },
      scales: { x: { time: true, range: (_, low, high) => [low, this.bars && high === times.at(-1) ? high + step : high] }, y: { range: (_, low, high) => [this.bars || this.data.zero ? Math.min(0, low) : low, this.data.unit === "%" ? Math.max(100, high) : high || 1] } },
      axes: [
        { stroke: style("ink-3"), font: "13px sans-serif", grid: { show: false }, ticks: { stroke: style("rule"), size: 5 }, values: AXIS, space: 64 },
        { stroke: style("ink-3"), font: "13px sans-serif", grid: { stroke: style("grid"), width: 1 }, ticks: { show: false }, size: 44, space: 40, incrs: this.bars ? WHOLE : undefined, values: (_, all) => all.map(short) },
      ],
      bands: band ? [{ series: [2, 1], fill: style("band") }] : [],
      series: [
        {},
        ...hidden,
        ...drawn.map((one) => {
          const colour = style(one.colour || "line-1");
          return this.bars ? { label: one.name, fill: colour, width: 0, paths: bars, points: { show: false } } : { label: one.name, stroke: colour, width: 1.75, spanGaps: false, points: { show: false } };
        }),
      ],
      hooks: {
        draw: [(plot) => this.annotate(plot)],
        setCursor: [(plot) => this.read(plot.cursor.idx)],
        setSelect: [(plot) => this.brush(plot)],
        setScale: [() => this.scaled()],
      },
    };
    this.plot?.destroy();
    this.plot = new uPlot(options, this.columns(), this.place);
    this.legend();
  }

  // Which line is which, where there are several.
  legend() {
    this.names?.remove();
    if (this.data.series.length < 2) return;
    this.names = document.createElement("ul");
    this.names.className = "plot-legend";
    for (const { name, colour } of this.data.series) {
      const item = document.createElement("li");
      const line = document.createElement("i");
      line.style.background = `var(--${colour || "line-1"})`;
      item.append(line, name);
      this.names.append(item);
    }
    this.place.after(this.names);
  }

  zoomed() {
    const { min, max } = this.plot?.scales.x ?? {};
    const { times, step = 0 } = this.data;
    return min > times[0] || max < times.at(-1) + (this.bars ? 0 : -step);
  }

  // The table says what is shown, so it follows.
  scaled() {
    this.figure.toggleAttribute("data-zoomed", this.zoomed());
    const open = this.figure.querySelector("details[open]");
    clearTimeout(this.soon);
    if (open) this.soon = setTimeout(() => this.table(open), 150);
  }

  annotate(plot) {
    const { ctx, bbox } = plot;
    const x = (at) => Math.round(plot.valToPos(at, "x", true));
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = `${12 * devicePixelRatio}px sans-serif`;
    ctx.textAlign = "left"; // the axes leave theirs
    ctx.textBaseline = "alphabetic";
    for (const { from, to, text } of this.data.spans ?? []) this.shade(ctx, Math.max(x(from), bbox.left), Math.min(x(to), bbox.left + bbox.width), bbox, text);
    if (!this.bars) for (const [from, to] of this.gaps()) this.hatch(ctx, x(from), bbox.top, x(to) - x(from), bbox.height);
    for (const { at, text } of this.data.lines ?? []) {
      const y = Math.round(plot.valToPos(at, "y", true));
      ctx.strokeStyle = ctx.fillStyle = style("crit-mark");
      ctx.setLineDash([2, 4]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.fillText(text, bbox.left + 6, y - 6);
    }
    ctx.setLineDash([]);
    const taken = [];
    ctx.strokeStyle = style("ink");
    for (const { at } of this.data.marks ?? []) {
      ctx.beginPath();
      ctx.moveTo(x(at), bbox.top);
      ctx.lineTo(x(at), bbox.top + bbox.height);
      ctx.stroke();
    }
    for (const { at, text } of this.data.marks ?? []) {
      const wide = ctx.measureText(text).width;
      const right = x(at) + wide + 8 > bbox.left + bbox.width;
      const left = right ? x(at) - wide - 6 : x(at) + 6;
      if (taken.some(([from, to]) => left < to && left + wide > from)) continue; // the line says that something was; the list beside, what
      taken.push([left, left + wide]);
      ctx.fillStyle = style("paper"); // a plate, so that neither the next line nor the curve runs through it
      ctx.fillRect(left - 3, bbox.top + 2 * devicePixelRatio, wide + 6, 16 * devicePixelRatio);
      ctx.fillStyle = style("ink");
      ctx.fillText(text, left, bbox.top + 14 * devicePixelRatio);
    }
    ctx.restore();
  }

  // Planned work: a shade over its time, its name at the foot where there is room.
  shade(ctx, left, right, bbox, text) {
    if (right <= left) return;
    ctx.save();
    ctx.fillStyle = style("mute-mark");
    ctx.globalAlpha = 0.28;
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.globalAlpha = 1;
    ctx.fillStyle = style("ink-2");
    const wide = ctx.measureText(text).width;
    if (wide + 12 < right - left) ctx.fillText(text, left + 6, bbox.top + bbox.height - 6 * devicePixelRatio);
    ctx.restore();
  }

  gaps() {
    const { times, series } = this.data;
    const found = [];
    let from = null;
    times.forEach((at, place) => {
      const empty = series.every((one) => one.values[place] == null);
      if (empty && from === null) from = times[Math.max(0, place - 1)];
      if (!empty && from !== null) {
        found.push([from, at]);
        from = null;
      }
    });
    if (from !== null) found.push([from, times.at(-1)]);
    return found;
  }

  hatch(ctx, left, top, width, height) {
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.strokeStyle = style("hatch");
    ctx.globalAlpha = 0.45;
    for (let x = left - height; x < left + width; x += 7 * devicePixelRatio) {
      ctx.beginPath();
      ctx.moveTo(x, top + height);
      ctx.lineTo(x + height, top);
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
    ctx.fillStyle = style("ink-2");
    if (width > 60) ctx.fillText("no data", left + width / 2 - ctx.measureText("no data").width / 2, top + height / 2);
    ctx.restore();
  }

  read(place) {
    if (!this.reading) return "";
    const { times, series, unit = "" } = this.data;
    const measured = (value) => unit === "bytes" && value != null ? short(value).replace(/([TGMk]?)$/, " $1B") : `${number(value)}${value == null || !unit || (this.bars && series.length > 1) ? "" : unit === "%" ? "%" : ` ${unit}`}`;
    const words = place == null ? "" : `${when(times[place])}: ${series.map((one) => `${one.name.toLowerCase()} ${measured(one.values[place])}`).join(", ")}`;
    this.reading.textContent = words;
    return words;
  }

  shown() {
    const { min, max } = this.plot.scales.x;
    const places = [];
    this.data.times.forEach((at, place) => at >= min - (this.data.step || 0) && at <= max && places.push(place));
    return places;
  }

  brush(plot) {
    const names = this.figure.dataset.brush;
    const { left, width } = plot.select;
    if (!names || width < 6) return;
    const [since, until] = names.split(",");
    const address = new URL(location.href);
    address.searchParams.set(since, new Date(plot.posToVal(left, "x") * 1000).toISOString());
    address.searchParams.set(until, new Date(plot.posToVal(left + width, "x") * 1000).toISOString());
    address.searchParams.delete("cursor");
    location.assign(address);
  }

  zoom(low, high) {
    const { times, step = 0 } = this.data;
    const [first, last] = [times[0], times.at(-1) + step];
    const span = Math.max(step * 4 || 60, Math.min(last - first, high - low));
    const min = Math.min(Math.max(first, low), last - span);
    this.plot.setScale("x", { min, max: min + span });
  }

  // Closer to or wider round what was read last, else the middle.
  look(factor) {
    const { min, max } = this.plot.scales.x;
    const at = this.data.times[this.plot.cursor.idx] ?? (min + max) / 2;
    this.zoom(at - (at - min) * factor, at + (max - at) * factor);
    const places = this.shown();
    announce(`${when(this.data.times[places[0]])} to ${when(this.data.times[places.at(-1)])}`);
  }

  reset() {
    this.plot.setData(this.columns());
  }

  listen() {
    const over = this.place;
    new ResizeObserver(() => this.plot.setSize({ width: Math.max(200, over.clientWidth), height: this.plot.height })).observe(over);
    for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) matchMedia(query).addEventListener("change", () => this.build());
    over.addEventListener("dblclick", () => this.reset());
    over.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.touch(over);
    over.addEventListener("keydown", (event) => this.key(event));
    this.figure.addEventListener("click", (event) => {
      const does = event.target.closest("[data-does]")?.dataset.does;
      if (does) this[does]();
    });
    this.figure.querySelector("details")?.addEventListener("toggle", (event) => event.target.open && this.table(event.target));
  }

  // The cross-hair, here and in all other pictures of the page.
  point(left) {
    this.plot.setCursor({ left, top: 10 }, true, true);
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const { min, max } = this.plot.scales.x;
    const at = this.plot.posToVal(event.clientX - this.plot.over.getBoundingClientRect().left, "x");
    const factor = event.deltaY < 0 ? 0.8 : 1.25;
    this.zoom(at - (at - min) * factor, at + (max - at) * factor);
  }

  // One finger reads, and moves a picture that was made larger; two make it larger or smaller. Up and down stays the page's own.
  touch(over) {
    const fingers = new Map();
    let start = null;
    const spread = () => {
      const [a, b] = [...fingers.values()];
      return b === undefined ? [a, a] : [Math.min(a, b), Math.max(a, b)];
    };
    const begin = () => {
      const { min, max } = this.plot.scales.x;
      const box = this.plot.over.getBoundingClientRect();
      start = { min, max, left: box.left, width: box.width, from: spread() };
    };
    const point = (x) => this.point(x - this.plot.over.getBoundingClientRect().left);
    over.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch") return;
      fingers.set(event.pointerId, event.clientX);
      begin();
      point(event.clientX);
    });
    over.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId) || !start) return;
      fingers.set(event.pointerId, event.clientX);
      const per = (start.max - start.min) / start.width;
      const [a, b] = spread();
      if (fingers.size === 1) {
        if (!this.zoomed()) return point(a);
        return this.zoom(start.min - (a - start.from[0]) * per, start.max - (a - start.from[0]) * per);
      }
      const factor = Math.max(24, start.from[1] - start.from[0]) / Math.max(24, b - a);
      const middle = start.min + ((start.from[0] + start.from[1]) / 2 - start.left) * per;
      const shift = ((a + b) / 2 - (start.from[0] + start.from[1]) / 2) * per * factor;
      this.zoom(middle - (middle - start.min) * factor - shift, middle + (start.max - middle) * factor - shift);
    });
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
      over.addEventListener(end, (event) => fingers.delete(event.pointerId) && fingers.size && begin());
    }
  }

  key(event) {
    const closer = { "+": 0.5, "=": 0.5, "-": 2 }[event.key];
    if (closer || event.key === "0") {
      event.preventDefault();
      return closer ? this.look(closer) : this.reset();
    }
    const places = this.shown();
    const at = this.plot.cursor.idx ?? places.at(-1);
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const to = Math.min(places.at(-1), Math.max(places[0], at + step));
    this.point(this.plot.valToPos(this.data.times[to], "x") + 1);
    announce(this.read(to));
  }

  // What the table and the file have in their columns: the lines with their unit, and between what their values lay.
  written() {
    const { series, band, unit = "" } = this.data;
    const named = (name) => (unit && !this.bars ? `${name} (${unit})` : name);
    const columns = series.map((one) => ({ name: named(one.name), values: one.values }));
    return band ? [...columns, { name: named("Lowest"), values: band.low }, { name: named("Highest"), values: band.high }] : columns;
  }

  table(details) {
    const { times } = this.data;
    const columns = this.written();
    const table = document.createElement("table");
    table.className = "table";
    const head = table.createTHead().insertRow();
    for (const word of ["From", ...columns.map((one) => one.name)]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = word;
      head.append(cell);
    }
    const body = table.createTBody();
    for (const place of this.shown().slice(-500)) {
      const row = body.insertRow();
      row.insertCell().textContent = when(times[place]);
      for (const one of columns) {
        const cell = row.insertCell();
        cell.className = "num";
        cell.textContent = number(one.values[place]);
      }
    }
    details.querySelector("table")?.remove();
    details.append(table);
  }

  save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  csv() {
    const { times } = this.data;
    const columns = this.written();
    const quote = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const lines = [["time", ...columns.map((one) => quote(one.name))], ...this.shown().map((place) => [new Date(times[place] * 1000).toISOString(), ...columns.map((one) => one.values[place] ?? "")])];
    this.save(new Blob([lines.map((line) => line.join(",")).join("\r\n") + "\r\n"], { type: "text/csv" }), "tocsin.csv");
  }

  // What it says above the picture, which line is which below it.
  png() {
    const source = this.plot.ctx.canvas;
    const picture = document.createElement("canvas");
    const ctx = picture.getContext("2d");
    const ratio = devicePixelRatio;
    const line = 20 * ratio;
    const set = (weight) => (ctx.font = `${weight} ${14 * ratio}px sans-serif`);
    const fold = (words, join) => words.reduce((lines, word) => (ctx.measureText(`${lines.at(-1)}${join}${word}`).width > source.width - 16 * ratio ? [...lines, word] : [...lines.slice(0, -1), lines.at(-1) ? `${lines.at(-1)}${join}${word}` : word]), [""]);
    set(600);
    const places = this.shown();
    const says = [...fold((this.data.says || "").split(" "), " "), `${when(this.data.times[places[0]])} to ${when(this.data.times[places.at(-1)])}, ${zone}`];
    set(400);
    const names = this.data.series.length > 1 ? this.data.series : [];
    const wide = (one) => ctx.measureText(one.name).width + 40 * ratio;
    const rows = names.reduce((made, one) => {
      const used = made.at(-1)?.reduce((sum, other) => sum + wide(other), 0) ?? Infinity;
      return used + wide(one) > source.width ? [...made, [one]] : [...made.slice(0, -1), [...made.at(-1), one]];
    }, []);
    picture.width = source.width;
    picture.height = source.height + line * (says.length + rows.length + 1);
    ctx.fillStyle = style("paper");
    ctx.fillRect(0, 0, picture.width, picture.height);
    ctx.fillStyle = style("ink");
    says.forEach((words, at) => {
      set(at < says.length - 1 ? 600 : 400);
      ctx.fillText(words, 8 * ratio, line * (at + 1));
    });
    const top = line * (says.length + 0.5);
    ctx.drawImage(source, 0, top);
    rows.forEach((some, at) => {
      let x = 8 * ratio;
      const y = top + source.height + line * (at + 0.5);
      for (const one of some) {
        ctx.fillStyle = style(one.colour || "line-1");
        ctx.fillRect(x, y - 6 * ratio, 16 * ratio, 3 * ratio);
        ctx.fillStyle = style("ink");
        ctx.fillText(one.name, x + 22 * ratio, y);
        x += wide(one);
      }
    });
    picture.toBlob((blob) => this.save(blob, "tocsin.png"), "image/png");
  }
}

// What is newer, unless somebody looks closer at what is there.
async function renew(figure) {
  if (!figure.isConnected) return;
  setTimeout(() => renew(figure), figure.dataset.renew * 1000);
  if (document.hidden || figure.hasAttribute("data-zoomed")) return;
  const answer = await fetch(figure.dataset.chart, { headers: { Accept: "application/json" } }).catch(() => null);
  const data = answer?.ok ? await answer.json() : null;
  if (data?.times.length) figure.chart.show(data);
}

async function draw(figure) {
  if (figure.dataset.drawn) return;
  figure.dataset.drawn = "yes";
  const answer = await fetch(figure.dataset.chart, { headers: { Accept: "application/json" } });
  if (!answer.ok) return void (figure.dataset.drawn = "");
  const data = await answer.json();
  if (!data.times.length) return;
  figure.chart = new Chart(figure, data);
  figure.classList.add("drawn");
  performance.mark("tocsin:drawn");
  if (figure.dataset.renew) setTimeout(() => renew(figure), figure.dataset.renew * 1000);
}

// Those further down, when somebody comes near them or prints the page.
const coming = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      coming.unobserve(target);
      draw(target);
    }
  },
  { rootMargin: "150px" },
);
addEventListener("beforeprint", () => document.querySelectorAll("[data-chart]").forEach(draw));

// The first alone, so that it is not kept waiting by those below it.
export async function drawCharts(root = document) {
  const [first, ...others] = root.querySelectorAll("[data-chart]");
  if (first) await draw(first).catch(() => undefined);
  for (const one of others) coming.observe(one);
}

drawCharts();
document.addEventListener("htmx:load", (event) => drawCharts(event.detail.elt));
