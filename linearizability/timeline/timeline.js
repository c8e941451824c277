'use strict';
// The timeline page: a lane per process, a bar from invoke to return, drawn on one canvas. Only what is in view is
// drawn, and bars that fall on the same pixel are drawn once, so the cost is bounded by pixels, not by operations.

const started = performance.now();
const data = JSON.parse(document.getElementById('history').textContent);
const $ = (id) => document.getElementById(id);
const ops = data.ops;  // columns: process, invoke, return (-1: none), end (0 ok, 1 fail, 2 info), label, key, line
const count = ops.invoke.length;
const END_NAMES = ['ok', 'fail: did not happen', 'info: unknown, may take effect at any time later'];
const NONE = -1;

// ---------------------------------------------------------------- derived columns

const lanes = data.processes.map(() => []);  // lane -> operations by invocation
for (let i = 0; i < count; i++) lanes[ops.process[i]].push(i);
const finish = new Float64Array(count);  // where a bar ends: an operation without a return reaches to the end
for (let i = 0; i < count; i++) finish[i] = ops.return[i] < 0 ? data.last : ops.return[i];

const core = data.core;
const inCore = new Uint8Array(count);
if (core) for (const c of core.ops) inCore[c.op] = 1;

// The point of each operation in the witness: not before the invocations of those that stand before it in the order, not
// after the returns of those behind it. Operations with the same last moment share the time that is left to them.
function witnessPoints(order) {
  const late = new Float64Array(order.length), sharing = new Float64Array(order.length), at = new Float64Array(order.length);
  let low = data.last, same = 0;
  for (let k = order.length - 1; k >= 0; k--) {
    const end = Math.min(low, finish[order[k]]);
    same = end === low ? same + 1 : 1;
    late[k] = low = end;
    sharing[k] = same;
  }
  let point = data.first;
  for (let k = 0; k < order.length; k++) {
    const early = Math.max(point, ops.invoke[order[k]]);
    at[k] = point = early + (late[k] - early) / (sharing[k] + 1);
  }
  return at;
}
const witness = data.witness || [];
const points = witnessPoints(witness);

// ---------------------------------------------------------------- view: what part of time and lanes is on screen

const GUTTER = 84, AXIS = 24, STRIP = 26;  // process names at the left, axis on top, overview at the bottom
const span = Math.max(1, data.last - data.first);
const view = { from: data.first, to: data.last, top: 0, key: NONE, witness: true, selected: NONE, hover: NONE };
const canvas = $('canvas'), stage = $('stage'), context = canvas.getContext('2d');
let width = 0, height = 0, laneHeight = 20, pending = false, colors = {};

const plotWidth = () => Math.max(1, width - GUTTER - 8);
const plotHeight = () => Math.max(1, height - AXIS - STRIP);
const x = (time) => GUTTER + (time - view.from) / (view.to - view.from) * plotWidth();
const timeAt = (px) => view.from + (px - GUTTER) / plotWidth() * (view.to - view.from);
const laneTop = (lane) => AXIS + lane * laneHeight - view.top;

function show(from, to) {
  const least = data.unit === 'ns' ? 10 : 0.5;
  const length = Math.min(Math.max(to - from, least), span * 1.1);
  const middle = (from + to) / 2;
  from = Math.min(Math.max(middle - length / 2, data.first - span * 0.05), data.last + span * 0.05 - length);
  view.from = from;
  view.to = from + length;
  draw();
}
const pad = (from, to, share) => show(from - (to - from) * share, to + (to - from) * share);
const fit = () => pad(data.first, data.last, 0.02);
const zoom = (factor, at = (view.from + view.to) / 2) => show(at - (at - view.from) * factor, at + (view.to - at) * factor);
const move = (share) => show(view.from + (view.to - view.from) * share, view.to + (view.to - view.from) * share);
function scrollTo(top) {
  view.top = Math.max(0, Math.min(top, data.processes.length * laneHeight + 16 - plotHeight()));
  draw();
}
function focusCore() {
  let from = Infinity, to = -Infinity, upper = Infinity;
  for (const c of core.ops) {
    from = Math.min(from, ops.invoke[c.op]);
    to = Math.max(to, ops.return[c.op] < 0 ? ops.invoke[c.op] : ops.return[c.op]);
    upper = Math.min(upper, ops.process[c.op]);
  }
  pad(from, Math.max(to, from + 1), 0.15);
  scrollTo(upper * laneHeight - laneHeight);
}
function select(op) {
  view.selected = op;
  $('detail').textContent = op < 0 ? '' : describe(op);
  for (const item of document.querySelectorAll('#core li.op')) item.classList.toggle('selected', +item.dataset.op === op);
  if (op >= 0) {
    if (ops.invoke[op] < view.from || ops.invoke[op] > view.to) {
      const half = (view.to - view.from) / 2;
      show(ops.invoke[op] - half, ops.invoke[op] + half);
    }
    const y = ops.process[op] * laneHeight;
    if (y < view.top || y + laneHeight > view.top + plotHeight()) scrollTo(y - plotHeight() / 2);
  }
  draw();
}
function step(by) {  // along the core, else the witness, else the order of invocation
  const path = core ? core.ops.map((c) => c.op) : witness.length ? witness : null;
  if (!path) return select(Math.min(count - 1, Math.max(0, view.selected + by)));
  const at = path.indexOf(view.selected);
  select(path[at < 0 ? (by > 0 ? 0 : path.length - 1) : Math.min(path.length - 1, Math.max(0, at + by))]);
}

// ---------------------------------------------------------------- words

function duration(value) {
  if (data.unit !== 'ns') return `${Math.round(value)}`;
  const size = Math.abs(value);
  if (size >= 1e9) return `${+(value / 1e9).toPrecision(6)} s`;
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(6)} ms`;
  if (size >= 1e3) return `${+(value / 1e3).toPrecision(6)} µs`;
  return `${Math.round(value)} ns`;
}
function describe(op) {
  const back = ops.return[op];
  const when = data.unit === 'ns'
    ? (back < 0 ? `from ${duration(ops.invoke[op] - data.first)}, no return`
                : `${duration(ops.invoke[op] - data.first)} to ${duration(back - data.first)} (${duration(back - ops.invoke[op])})`)
    : (back < 0 ? `from event ${ops.invoke[op]}, no return` : `events ${ops.invoke[op]} to ${back}`);
  const key = ops.key && ops.key[op] >= 0 ? `\nkey ${data.keys[ops.key[op]]}` : '';
  return `${data.labels[ops.label[op]]}\nprocess ${data.processes[ops.process[op]]}, line ${ops.line[op]}, ` +
    `${END_NAMES[ops.end[op]]}\n${when}${key}`;
}

function describeFault(fault) {
  const at = (time) => data.unit === 'ns' ? duration(time - data.first) : `event ${time}`;
  return `${fault.name}\nfrom ${at(fault.from)}${fault.to < 0 ? ', never ended' : ` to ${at(fault.to)}`}`;
}

// ---------------------------------------------------------------- drawing

function draw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; paint(); });
}
function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['paper', 'ink', 'soft', 'line', 'ok', 'fail', 'info', 'core', 'witness', 'fault', 'lane'])
    colors[name] = style.getPropertyValue('--' + name).trim();
}
function resize() {
  width = stage.clientWidth;
  height = stage.clientHeight;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  laneHeight = Math.max(14, Math.min(34, Math.floor((plotHeight() - 16) / Math.max(1, data.processes.length))));
  scrollTo(view.top);
}
function paint() {
  context.fillStyle = colors.paper;
  context.fillRect(0, 0, width, height);
  context.save();
  context.beginPath();
  context.rect(GUTTER, AXIS, plotWidth() + 8, plotHeight());
  context.clip();
  paintLanes();
  paintFaults();
  const first = Math.max(0, Math.floor(view.top / laneHeight));
  const last = Math.min(data.processes.length - 1, Math.ceil((view.top + plotHeight()) / laneHeight));
  for (let lane = first; lane <= last; lane++) paintBars(lane);
  if (view.witness && witness.length) paintWitness();
  context.restore();
  paintNames(first, last);
  paintAxis();
  paintStrip();
}
function paintLanes() {
  context.fillStyle = colors.lane;
  for (let lane = 0; lane < data.processes.length; lane += 2)
    context.fillRect(GUTTER, laneTop(lane), plotWidth() + 8, laneHeight);
}
function paintFaults() {
  context.font = '11px system-ui, sans-serif';
  for (const fault of data.faults) {
    const left = Math.max(GUTTER, x(fault.from)), right = Math.min(width, x(fault.to < 0 ? data.last + span : fault.to));
    if (right < GUTTER || left > width) continue;
    context.fillStyle = colors.fault;
    context.fillRect(left, AXIS, Math.max(1, right - left), plotHeight());
    if (right - left > 30) paintFaultName(fault, left, right);
  }
}
function paintFaultName(fault, left, right) {
  const top = AXIS + plotHeight() - 16;
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, 16);
  context.clip();
  context.fillStyle = colors.core;
  context.fillText(fault.name, left + 4, top + 11);
  context.restore();
}
// The first operation of a lane whose bar may be seen: a process has one operation at a time, so ends rise as well.
function firstVisible(lane) {
  let low = 0, high = lane.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (finish[lane[middle]] < view.from) low = middle + 1; else high = middle;
  }
  return low;
}
const faded = (op) => view.key !== NONE && ops.key[op] !== view.key && !inCore[op];
function paintBars(laneIndex) {
  const lane = lanes[laneIndex], top = laneTop(laneIndex) + 3, bar = laneHeight - 6;
  const fills = [colors.ok, colors.fail, colors.info];
  let drawnTo = -1, drawnEnd = NONE;
  context.font = `${Math.min(12, bar)}px ui-monospace, "DejaVu Sans Mono", monospace`;
  for (let n = firstVisible(lane); n < lane.length; n++) {
    const op = lane[n];
    if (ops.invoke[op] > view.to) break;
    const left = Math.max(GUTTER - 4, x(ops.invoke[op])), right = Math.min(width + 4, x(finish[op]));
    const wide = Math.max(1.5, right - left);
    const special = inCore[op] || op === view.selected || op === view.hover;
    if (!special && left + wide <= drawnTo && drawnEnd === ops.end[op]) continue;  // the same pixel, the same colour
    context.globalAlpha = faded(op) ? 0.18 : core && !inCore[op] ? 0.45 : 1;
    context.fillStyle = fills[ops.end[op]];
    if (ops.end[op] === 2 && wide > 3) {
      const fade = context.createLinearGradient(left, 0, Math.max(right, left + 1), 0);
      fade.addColorStop(0, colors.info);
      fade.addColorStop(1, colors.info + '10');
      context.fillStyle = fade;
    }
    context.fillRect(left, top, wide > 4 ? wide - 1 : wide, bar);
    if (special) paintOutline(op, left, top, wide, bar);
    if (wide > 26) paintLabel(op, left, top, wide, bar);
    drawnTo = Math.ceil(left + wide);
    drawnEnd = ops.end[op];
  }
  context.globalAlpha = 1;
}
function paintOutline(op, left, top, wide, bar) {
  context.globalAlpha = 1;
  context.lineWidth = inCore[op] ? 2.5 : 2;
  context.strokeStyle = inCore[op] && op !== view.selected ? colors.core : colors.ink;
  context.strokeRect(left, top, Math.max(3, wide - 1), bar);
}
function paintLabel(op, left, top, wide, bar) {
  if (bar < 8) return;
  const room = Math.floor((wide - 8) / 7);
  let text = data.labels[ops.label[op]];
  if (text.length > room) text = room < 3 ? '' : text.slice(0, room - 1) + '…';
  context.fillStyle = ops.end[op] === 0 ? '#fff' : colors.ink;
  context.fillText(text, Math.max(left, GUTTER) + 4, top + bar / 2 + 4);
}
// The line through the bars, in the order of the witness. Steps that fall on the same pixels are drawn once.
function paintWitness() {
  let low = 0, high = witness.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle] < view.from) low = middle + 1; else high = middle;
  }
  context.strokeStyle = context.fillStyle = colors.witness;
  context.lineWidth = 1.6;
  context.beginPath();
  const dots = [];
  let begun = false, lastX = 0, lastY = 0, past = 0;
  for (let k = Math.max(0, low - 1); k < witness.length && past < 2; k++) {
    const op = witness[k];
    if (view.key !== NONE && ops.key[op] !== view.key) continue;
    if (points[k] > view.to) past++;
    const px = x(points[k]), py = laneTop(ops.process[op]) + laneHeight / 2;
    if (begun && Math.abs(px - lastX) < 0.4 && Math.abs(py - lastY) < 1) continue;
    if (begun) context.lineTo(px, py); else context.moveTo(px, py);
    begun = true;
    if (!dots.length || px - dots[dots.length - 1][0] > 3 || Math.abs(py - lastY) > 1) dots.push([px, py]);
    lastX = px;
    lastY = py;
  }
  if (dots.length > plotWidth() * 1.5) return;  // a line that covers all would say nothing: zoom in
  context.globalAlpha = 0.9;
  context.stroke();
  context.globalAlpha = 1;
  if (dots.length > plotWidth() / 3) return;
  for (const [px, py] of dots) {
    context.beginPath();
    context.arc(px, py, 3.2, 0, 7);
    context.fill();
  }
}
function paintNames(first, last) {
  context.font = '12px system-ui, sans-serif';
  context.save();
  context.beginPath();
  context.rect(0, AXIS, GUTTER - 6, plotHeight());
  context.clip();
  for (let lane = first; lane <= last; lane++) {
    context.fillStyle = colors.soft;
    const name = data.processes[lane];
    context.fillText(/^\d/.test(name) ? `process ${name}` : name, 8, laneTop(lane) + laneHeight / 2 + 4);
  }
  context.restore();
}
function paintAxis() {
  context.fillStyle = colors.soft;
  context.strokeStyle = colors.line;
  context.lineWidth = 1;
  context.font = '11px system-ui, sans-serif';
  const rough = (view.to - view.from) / Math.max(2, plotWidth() / 110);
  const power = 10 ** Math.floor(Math.log10(rough));
  let tick = [1, 2, 5, 10].map((m) => m * power).find((t) => t >= rough);
  if (data.unit !== 'ns') tick = Math.max(1, Math.round(tick));
  const origin = data.unit === 'ns' ? data.first : 0;
  context.beginPath();
  for (let t = Math.ceil((view.from - origin) / tick) * tick + origin; t <= view.to; t += tick) {
    const px = Math.round(x(t)) + 0.5;
    if (px < GUTTER) continue;
    context.moveTo(px, AXIS - 5);
    context.lineTo(px, AXIS);
    context.fillText(data.unit === 'ns' ? duration(t - origin) : `event ${t}`, px + 3, AXIS - 8);
  }
  context.moveTo(GUTTER, AXIS - 0.5);
  context.lineTo(width, AXIS - 0.5);
  context.stroke();
}
// The overview: how many operations are open at each pixel of the whole history, the core, and where the view is.
const BINS = 800;
let density = null;
function countDensity() {
  const edges = new Float64Array(BINS + 1);
  for (let op = 0; op < count; op++) {
    edges[Math.floor((ops.invoke[op] - data.first) / span * (BINS - 1))]++;
    edges[Math.floor(((ops.return[op] < 0 ? ops.invoke[op] : finish[op]) - data.first) / span * (BINS - 1)) + 1]--;
  }
  let open = 0, most = 1;
  density = edges.map((change) => (open += change));
  for (const value of density) most = Math.max(most, value);
  density = density.map((value) => value / most);
}
const stripX = (time) => GUTTER + (time - data.first) / span * plotWidth();
function paintStrip() {
  const top = height - STRIP + 4, tall = STRIP - 8;
  context.fillStyle = colors.lane;
  context.fillRect(GUTTER, top, plotWidth(), tall);
  context.fillStyle = colors.fail;
  const bin = plotWidth() / BINS;
  for (let b = 0; b < BINS; b++)
    if (density[b] > 0) context.fillRect(GUTTER + b * bin, top + tall * (1 - density[b]), Math.max(1, bin), tall * density[b]);
  if (core) {
    context.fillStyle = colors.core;
    for (const c of core.ops) context.fillRect(stripX(ops.invoke[c.op]) - 1, top, 2, tall);
  }
  const left = Math.max(GUTTER, stripX(view.from)), right = Math.min(width - 8, stripX(view.to));
  context.strokeStyle = colors.ink;
  context.lineWidth = 1.5;
  context.strokeRect(left, top - 1, Math.max(3, right - left), tall + 2);
}

// ---------------------------------------------------------------- mouse and keys

function operationAt(px, py) {
  const laneIndex = Math.floor((py - AXIS + view.top) / laneHeight);
  if (px < GUTTER || py < AXIS || py > height - STRIP || laneIndex < 0 || laneIndex >= lanes.length) return NONE;
  const lane = lanes[laneIndex], slack = 3 / plotWidth() * (view.to - view.from), at = timeAt(px);
  let best = NONE, distance = Infinity;
  for (let n = firstVisible(lane); n < lane.length && ops.invoke[lane[n]] <= at + slack; n++) {
    const op = lane[n], off = Math.max(0, ops.invoke[op] - at, at - finish[op]);
    if (off <= slack && off <= distance) { best = op; distance = off; }
  }
  return best;
}
function hover(px, py) {
  const op = operationAt(px, py);
  const tip = $('tip');
  const fault = op === NONE && py > AXIS && py < height - STRIP && data.faults.find((f) => timeAt(px) >= f.from && (f.to < 0 || timeAt(px) <= f.to));
  tip.hidden = op === NONE && !fault;
  if (op !== NONE) tip.textContent = describe(op);
  else if (fault) tip.textContent = describeFault(fault);
  if (!tip.hidden) {
    tip.style.left = Math.max(4, Math.min(px + 14, width - tip.offsetWidth - 4)) + 'px';
    tip.style.top = Math.max(4, py + 18 + tip.offsetHeight > height ? py - tip.offsetHeight - 8 : py + 18) + 'px';
  }
  if (op !== view.hover) { view.hover = op; draw(); }
}
let drag = null;
canvas.addEventListener('pointerdown', (event) => {
  canvas.setPointerCapture(event.pointerId);
  const strip = event.offsetY > height - STRIP;
  drag = { x: event.offsetX, y: event.offsetY, from: view.from, to: view.to, top: view.top, strip, moved: false };
  if (strip) jump(event.offsetX);
});
function jump(px) {
  const half = (view.to - view.from) / 2, at = data.first + (px - GUTTER) / plotWidth() * span;
  show(at - half, at + half);
}
canvas.addEventListener('pointermove', (event) => {
  if (!drag) return hover(event.offsetX, event.offsetY);
  if (Math.abs(event.offsetX - drag.x) + Math.abs(event.offsetY - drag.y) > 3) drag.moved = true;
  if (drag.strip) return jump(event.offsetX);
  if (!drag.moved) return;
  canvas.classList.add('dragging');
  const by = (drag.x - event.offsetX) / plotWidth() * (drag.to - drag.from);
  show(drag.from + by, drag.to + by);
  scrollTo(drag.top + drag.y - event.offsetY);
});
canvas.addEventListener('pointerup', (event) => {
  canvas.classList.remove('dragging');
  if (drag && !drag.moved && !drag.strip) select(operationAt(event.offsetX, event.offsetY));
  drag = null;
});
canvas.addEventListener('pointerleave', () => hover(-1, -1));
canvas.addEventListener('dblclick', (event) => zoom(0.4, timeAt(event.offsetX)));
canvas.addEventListener('wheel', (event) => {
  event.preventDefault();
  if (event.shiftKey) scrollTo(view.top + event.deltaY + event.deltaX);
  else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) move(event.deltaX / plotWidth());
  else zoom(Math.exp(event.deltaY * 0.0018), timeAt(event.offsetX));
}, { passive: false });

const KEYS = {
  ArrowLeft: (e) => move(e.shiftKey ? -1 : -0.15), ArrowRight: (e) => move(e.shiftKey ? 1 : 0.15),
  ArrowUp: () => scrollTo(view.top - laneHeight * 2), ArrowDown: () => scrollTo(view.top + laneHeight * 2),
  a: () => move(-0.15), d: () => move(0.15), A: () => move(-1), D: () => move(1), s: () => scrollTo(view.top + laneHeight * 2),
  '+': () => zoom(0.6), '=': () => zoom(0.6), '-': () => zoom(1 / 0.6), 0: fit, Home: fit,
  c: () => core && focusCore(), n: () => step(1), p: () => step(-1), w: () => $('witness').click(),
  Escape: () => select(NONE), '?': () => $('help').showModal(),
};
addEventListener('keydown', (event) => {
  const action = KEYS[event.key];
  if (!action || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === 'SELECT' || $('help').open) return;
  event.preventDefault();
  action(event);
});
$('fit').onclick = fit;
$('zoomin').onclick = () => zoom(0.6);
$('zoomout').onclick = () => zoom(1 / 0.6);
$('tocore').onclick = () => focusCore();
$('helpbutton').onclick = () => $('help').showModal();
$('witness').onchange = () => { view.witness = $('witness').checked; draw(); };
$('key').onchange = () => { view.key = +$('key').value; draw(); };

// ---------------------------------------------------------------- head and core panel

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}
function operationItem(op, note) {
  const item = element('li', 'op');
  item.dataset.op = op;
  item.append(element('span', 'who', `process ${data.processes[ops.process[op]]}`),
    element('span', 'what', data.labels[ops.label[op]] + (note ? ` (${note})` : '')),
    element('span', 'where', `line ${ops.line[op]}`));
  item.onclick = () => select(op);
  return item;
}
function buildCore() {
  const panel = $('core');
  panel.hidden = $('tocore').hidden = $('corelegend').hidden = false;
  panel.append(element('h2', '', `The core: ${core.ops.length} operation${core.ops.length === 1 ? '' : 's'} that cannot be put in any order`));
  panel.append(element('p', '', core.text));
  const columns = element('div', 'columns'), left = element('div'), right = element('div');
  const list = element('ol');
  for (const c of core.ops) list.append(operationItem(c.op, c.weakened ? 'its return ignored' : ''));
  left.append(element('h3', '', 'Core, by invocation'), list);
  if (core.states.length) {
    const states = element('p');
    for (const state of core.states) states.append(element('code', 'state', state));
    right.append(element('h3', '', core.states.length === 1 ? 'The only state possible before it' : 'The states possible before it'), states);
  }
  if (core.next.length) {
    const next = element('ul');
    for (const entry of core.next) {
      const item = operationItem(entry.op);
      for (const why of entry.why) item.append(element('span', 'why', why));
      next.append(item);
    }
    right.append(element('h3', '', 'Why no operation can come next'), next);
  }
  columns.append(left, right);
  panel.append(columns);
}
function build() {
  $('verdict').textContent = data.verdict;
  $('verdict').className = data.verdict;
  $('file').textContent = data.file;
  $('summary').textContent = data.summary;
  $('witnessbox').hidden = !witness.length;
  $('faultlegend').hidden = !data.faults.length;
  if (data.keys.length > 1) {
    $('keybox').hidden = false;
    $('key').append(new Option('all', NONE), ...data.keys.map((key, index) => new Option(key, index)));
  }
  if (core) buildCore();
  readColors();
  countDensity();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { readColors(); draw(); });
  new ResizeObserver(() => { resize(); }).observe(stage);
  resize();
  if (core) { if (core.key >= 0) { $('key').value = view.key = core.key; } focusCore(); } else fit();
  pending = false;
  paint();
  document.body.dataset.drawnMs = Math.round(performance.now() - started);
  document.body.dataset.operations = count;
}
build();
