'use strict';
// The page of a run. Everything is drawn from the recorded changes: what a node is at a time is its last change before
// it. Only what is in view is drawn, and changes that fall on the same pixel once.

const started = performance.now();
const data = JSON.parse(document.getElementById('run').textContent);
const $ = (id) => document.getElementById(id);
const PARTS = ['down', 'joining', 'learner', 'follower', 'candidate', 'leader'];
const OUTCOMES = ['open', 'ok', 'fail', 'info'];
const OUTCOME_WORDS = ['not ended', 'ok', 'failed: certainly not applied', 'unknown: it may have happened'];
// columns of a node's moment, a message, an operation, an action
const AT = 0, PART = 1, FLAGS = 2, DISK = 3, DEAF = 4, MUTE = 5, TERM = 6, VOTE = 7, COMMIT = 8, APPLIED = 9, STABLE = 10, LAST = 11;
const SENT = 0, ARRIVES = 1, FROM = 2, TO = 3, MFLAGS = 4, KIND = 5, TEXT = 6;
const LOST = 1, HELD = 2, AGAIN = 4, CORRUPT = 8, IDLE = 16;
const PROCESS = 0, INVOKED = 1, RETURNED = 2, OUTCOME = 3, LABEL = 4;

// ---------------------------------------------------------------- derived

const nodes = data.nodes, messages = data.messages, operations = data.operations, count = nodes.length;
// The last position in a list sorted by its first column that is at or before a time; -1: none.
function before(list, time) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle][0] <= time) low = middle + 1; else high = middle;
  }
  return low - 1;
}
// A log after each change, as runs of equal terms: [term, last index], …
for (const node of nodes) {
  let runs = [];
  node.logStates = node.logs.map((change) => {
    const kept = [];
    for (const [term, last] of runs) {
      const first = kept.length ? kept[kept.length - 1][1] : 0;
      if (first >= change[1]) break;
      kept.push([term, Math.min(last, change[1])]);
    }
    for (let i = 2; i < change.length; i += 2) {
      const end = (kept.length ? kept[kept.length - 1][1] : 0) + change[i + 1];
      if (kept.length && kept[kept.length - 1][0] === change[i]) kept[kept.length - 1] = [change[i], end];
      else kept.push([change[i], end]);
    }
    return (runs = kept);
  });
}
const momentOf = (node, time) => node.moments[Math.max(0, before(node.moments, time))];
const logOf = (node, time) => node.logStates[before(node.logs, time)] || [];
const nameOfMember = (member) => {
  const at = nodes.findIndex((node) => node.members.includes(member));
  return at < 0 ? `member ${member}` : `n${at + 1}`;
};
// Every time at which something happens, in order.
const times = (() => {
  const all = [0, data.end];
  for (const node of nodes) for (const moment of node.moments) all.push(moment[AT]);
  for (const m of messages) { all.push(m[SENT]); if (!(m[MFLAGS] & (LOST | HELD)) && m[ARRIVES] <= data.end) all.push(m[ARRIVES]); }
  for (const op of operations) { all.push(op[INVOKED]); all.push(op[RETURNED]); }
  for (const action of data.actions) if (action[0] <= data.end) all.push(action[0]);
  const sorted = Float64Array.from(all).sort();
  return sorted.filter((time, i) => i === 0 || time !== sorted[i - 1]);
})();
// Operations into as few rows as do not overlap.
const rows = (() => {
  const free = [];
  operations.forEach((op) => {
    let row = free.findIndex((time) => time <= op[INVOKED]);
    if (row < 0) row = free.length;
    free[row] = op[RETURNED] + data.end * 0.002;
    op.row = row;
  });
  return free.length;
})();
const longestFlight = messages.reduce((most, m) => m[MFLAGS] & (LOST | HELD) ? most : Math.max(most, m[ARRIVES] - m[SENT]), 0);
const termColor = (term) => `hsl(${(term * 67 + 190) % 360} ${term % 2 ? 52 : 44}% ${term % 3 ? 46 : 38}%)`;

// ---------------------------------------------------------------- view

const GUTTER = 52, AXIS = 34, STRIP = 18;
const span = Math.max(1000, data.end);
const view = { from: 0, to: span, time: data.end, messages: 'auto' };
const canvas = $('canvas'), stage = $('stage'), context = canvas.getContext('2d');
let width = 0, height = 0, laneHeight = 60, opHeight = 12, pending = false, colors = {}, playing = 0, hits = [];

const plotWidth = () => Math.max(1, width - GUTTER - 10);
const x = (time) => GUTTER + (time - view.from) / (view.to - view.from) * plotWidth();
const timeAt = (px) => view.from + (px - GUTTER) / plotWidth() * (view.to - view.from);
const laneTop = (node) => AXIS + node * laneHeight;
const laneMiddle = (node) => laneTop(node) + laneHeight / 2;
const opsTop = () => AXIS + count * laneHeight + 6;

function show(from, to) {
  const length = Math.min(Math.max(to - from, 200), span * 1.04);
  const middle = (from + to) / 2;
  view.from = Math.min(Math.max(middle - length / 2, -span * 0.02), span * 1.02 - length);
  view.to = view.from + length;
  draw();
}
const fit = () => show(-span * 0.02, span * 1.02);
const zoom = (factor, at = view.time) => {
  if (at < view.from || at > view.to) at = (view.from + view.to) / 2;
  show(at - (at - view.from) * factor, at + (view.to - at) * factor);
};
const move = (share) => show(view.from + (view.to - view.from) * share, view.to + (view.to - view.from) * share);
function goTo(time, follow = true) {
  view.time = Math.max(0, Math.min(data.end, time));
  const length = view.to - view.from;
  if (follow && (view.time < view.from || view.time > view.to)) show(view.time - length / 2, view.time + length / 2);
  $('slider').value = view.time;
  $('slider').setAttribute('aria-valuetext', clock(view.time));
  tellNow();
  draw();
}
function step(by) {
  let low = 0, high = times.length;
  while (low < high) { const middle = (low + high) >> 1; if (times[middle] < view.time) low = middle + 1; else high = middle; }
  if (by < 0 || times[low] === view.time) low += by; else low += by - 1;
  goTo(times[Math.max(0, Math.min(times.length - 1, low))]);
}
function stepAction(by) {
  const at = data.actions.map((action) => action[0]).filter((time) => time <= data.end);
  const next = by > 0 ? at.find((time) => time > view.time) : at.filter((time) => time < view.time).pop();
  if (next !== undefined) goTo(next);
}
function closeUp() {
  const length = Math.min(span, Math.max(20000, longestFlight * 4, span / 25));
  show(data.end - length, data.end + length * 0.06);
  goTo(data.end);
}
function play() {
  if (playing) { clearInterval(playing); playing = 0; } else {
    if (view.time >= data.end) goTo(Math.max(0, view.from));
    const stepOf = (view.to - view.from) / 400;
    playing = setInterval(() => { goTo(view.time + stepOf); if (view.time >= data.end) play(); }, 40);
  }
  $('play').textContent = playing ? 'stop' : 'play';
}

// ---------------------------------------------------------------- words

function clock(us) {
  if (us >= 1e6) return `${(us / 1e6).toFixed(view.to - view.from < 2e5 ? 6 : 3)} s`;
  return `${(us / 1e3).toFixed(3)} ms`;
}
const list = (mask) => nodes.map((_, i) => i).filter((i) => mask >> i & 1).map((i) => `n${i + 1}`).join(', ');
function flagsOf(moment) {
  const said = [];
  if (moment[FLAGS] & 1) said.push('paused');
  if (moment[FLAGS] & 2) said.push('lost a promise');
  if (moment[FLAGS] & 4) said.push('disk fails');
  if (moment[FLAGS] & 8) said.push('disk damaged');
  if (moment[DISK] === 0) said.push('disk stalls');
  if (moment[DISK] > 1) said.push(`disk ${moment[DISK]} times slower`);
  if (moment[DEAF] && moment[DEAF] === moment[MUTE]) said.push(`cut from ${list(moment[DEAF])}`);
  else {
    if (moment[DEAF]) said.push(`does not hear ${list(moment[DEAF])}`);
    if (moment[MUTE]) said.push(`not heard by ${list(moment[MUTE])}`);
  }
  return said.join('; ');
}
function fateOf(m) {
  if (m[MFLAGS] & LOST) return 'lost';
  if (m[MFLAGS] & HELD) return 'held back on a clogged link';
  return `${m[MFLAGS] & CORRUPT ? 'damaged, ' : ''}${m[MFLAGS] & AGAIN ? 'the second copy, ' : ''}on its way from ${clock(m[SENT])} to ${clock(m[ARRIVES])}`;
}
const sayMessage = (m) => `n${m[FROM] + 1} to n${m[TO] + 1}: ${data.texts[m[TEXT]]}\n${fateOf(m)}`;
function flying(time) {
  const found = [];
  for (let i = before(messages, time); i >= 0 && messages[i][SENT] >= time - longestFlight - 1; i--) {
    const m = messages[i];
    if (m[MFLAGS] & (LOST | HELD) ? m[SENT] === time : m[ARRIVES] >= time) found.push(m);
  }
  return found;
}

// ---------------------------------------------------------------- drawing

function draw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; paint(); });
}
function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['paper', 'ink', 'soft', 'line', 'panel', 'lane', 'cut', 'disk', 'ok', 'fail', 'info', 'bad', 'good', 'vote', 'append', 'now', ...PARTS])
    colors[name] = style.getPropertyValue('--' + name).trim();
}
function resize() {
  width = stage.clientWidth;
  height = stage.clientHeight;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const room = height - AXIS - STRIP - 12;
  const forOps = rows ? Math.min(room * 0.3, rows * 15) : 0;
  opHeight = rows ? Math.max(3, Math.min(15, forOps / rows)) : 0;
  laneHeight = Math.max(30, Math.min(170, (room - forOps) / Math.max(1, count)));
  draw();
}
function paint() {
  hits = [];
  context.fillStyle = colors.paper;
  context.fillRect(0, 0, width, height);
  context.save();
  context.beginPath();
  context.rect(GUTTER, 0, width - GUTTER, height);
  context.clip();
  const [low, high] = indexRange();
  for (let n = 0; n < count; n++) paintLane(n, low, high);
  paintMessages();
  paintOperations();
  paintActions();
  paintStrip();
  paintEnd();
  paintTime();
  context.restore();
  paintNames();
}
// The part of the logs that is in view: all of them have the same scale.
function indexRange() {
  let low = Infinity, high = 1;
  for (const node of nodes) {
    const from = momentOf(node, view.from), to = momentOf(node, Math.min(view.to, data.end));
    if (from[PART] > 1) low = Math.min(low, from[LAST], to[COMMIT]);
    for (let i = Math.max(0, before(node.moments, view.from)); i < node.moments.length && node.moments[i][AT] <= view.to; i++)
      high = Math.max(high, node.moments[i][LAST]);
  }
  if (low === Infinity || low > high) low = 0;
  return [high - low < 6 ? Math.max(0, high - 8) : Math.max(0, low - 2), high];
}
// Calls for each change in view that is at least a pixel wide or wanted: its left and right.
function eachMoment(list, visit) {
  let done = -1;
  for (let i = Math.max(0, before(list, view.from)); i < list.length && list[i][0] <= view.to; i++) {
    const end = i + 1 < list.length ? list[i + 1][0] : data.end;
    const left = Math.max(GUTTER, Math.floor(x(list[i][0]))), right = Math.min(width, Math.ceil(x(end)));
    if (right < done + 0.7 && i + 1 < list.length) continue;
    visit(i, Math.max(left, done), Math.max(right, left));
    done = right;
  }
}
const BAND = 15;
function paintLane(n, low, high) {
  const node = nodes[n], top = laneTop(n), bottom = top + laneHeight - 3, y = (index) => bottom - (index - low) / (high - low + 0.5) * (laneHeight - BAND - 8);
  context.fillStyle = colors.lane;
  context.fillRect(GUTTER, top, plotWidth() + 10, laneHeight - 2);
  eachMoment(node.logs, (i, left, right) => paintLog(node.logStates[i], left, right, y, low));
  let lastTerm = -1, lastPart = -1, textEnd = -1;
  eachMoment(node.moments, (i, left, right) => {
    const moment = node.moments[i];
    paintBand(moment, left, right, top, bottom);
    if ((moment[TERM] !== lastTerm || moment[PART] !== lastPart) && left > textEnd) {
      const label = moment[PART] < 2 ? PARTS[moment[PART]] : `${moment[PART] > 3 ? PARTS[moment[PART]] + ' ' : ''}${moment[TERM]}`;
      let room = right;
      for (let k = i + 1; k < node.moments.length && node.moments[k][TERM] === moment[TERM] && node.moments[k][PART] === moment[PART]; k++) room = x(k + 1 < node.moments.length ? node.moments[k + 1][AT] : data.end);
      context.font = '11px system-ui, sans-serif';
      const wide = context.measureText(label).width;
      if (room - left > wide + 4) { texts.push([label, left + 3, top + BAND - 3.5]); textEnd = left + wide + 4; }
    }
    lastTerm = moment[TERM];
    lastPart = moment[PART];
  });
  context.fillStyle = '#fff';
  for (const [label, px, py] of texts) context.fillText(label, px, py);
  texts.length = 0;
  paintIndexLine(node, COMMIT, y, low, []);
  paintIndexLine(node, APPLIED, y, low, [2, 3]);
}
const texts = [];
function paintLog(runs, left, right, y, low) {
  let first = 0;
  for (const [term, last] of runs) {
    if (last > low) {
      context.fillStyle = termColor(term);
      context.globalAlpha = 0.62;
      const upper = y(last), under = y(Math.max(first, low));
      context.fillRect(left, upper, Math.max(0.8, right - left), Math.max(0.6, under - upper));
    }
    first = last;
  }
  context.globalAlpha = 1;
}
function paintBand(moment, left, right, top, bottom) {
  const wide = Math.max(0.8, right - left);
  context.fillStyle = colors[PARTS[moment[PART]]];
  context.fillRect(left, top, wide, BAND);
  if (moment[PART] === 0) {
    context.globalAlpha = 0.16;
    context.fillRect(left, top + BAND, wide, bottom - top - BAND);
    context.globalAlpha = 1;
  }
  if (moment[FLAGS] & 1) {
    context.strokeStyle = colors.paper;
    context.lineWidth = 2;
    context.beginPath();
    for (let px = Math.ceil(left / 6) * 6; px < right; px += 6) { context.moveTo(px, top + BAND); context.lineTo(px + 4, top); }
    context.stroke();
  }
  if (moment[DEAF] | moment[MUTE]) {
    // A thick line: from more than half of the others.
    const most = list(moment[DEAF] | moment[MUTE]).split(',').length * 2 > count - 1;
    context.fillStyle = colors.cut;
    context.fillRect(left, top + BAND, wide, most ? 4 : 1.5);
    context.globalAlpha = most ? 0.12 : 0;
    context.fillRect(left, top + BAND + 4, wide, bottom - top - BAND - 4);
    context.globalAlpha = 1;
  }
  if (moment[DISK] !== 1 || moment[FLAGS] & 12) {
    context.fillStyle = colors.disk;
    context.fillRect(left, bottom - 3, wide, 4);
  }
}
function paintIndexLine(node, column, y, low, dash) {
  context.strokeStyle = colors.ink;
  context.lineWidth = 1.3;
  context.setLineDash(dash);
  context.beginPath();
  let open = false;
  eachMoment(node.moments, (i, left, right) => {
    const moment = node.moments[i];
    if (moment[PART] < 2 || moment[column] < low) { open = false; return; }
    const at = y(moment[column]);
    if (open) context.lineTo(left, at); else context.moveTo(left, at);
    context.lineTo(right, at);
    open = true;
  });
  context.stroke();
  context.setLineDash([]);
}
const messageColor = (m) => {
  const kind = data.kinds[m[KIND]];
  if (m[MFLAGS] & CORRUPT) return colors.bad;
  if (kind.includes('Vote')) return colors.vote;
  return m[MFLAGS] & IDLE || kind.endsWith('Reply') ? colors.soft : colors.append;
};
const FEW = 450;
function paintMessages() {
  const now = new Set(flying(view.time));
  const inView = [];
  for (let i = before(messages, view.to); i >= 0; i--) {
    const m = messages[i];
    if (m[SENT] < view.from - longestFlight) break;
    if (m[ARRIVES] >= view.from) inView.push(m);
  }
  const busy = inView.filter((m) => !(m[MFLAGS] & IDLE));
  let shown = [];
  if (view.messages === 'all') shown = inView;
  if (view.messages === 'auto') shown = inView.length <= FEW ? inView : busy.length <= FEW ? busy : [];
  for (const m of shown) if (!now.has(m)) paintMessage(m, false);
  if (view.messages !== 'none') for (const m of now) paintMessage(m, true);
  stage.dataset.messages = shown.length;
  if (shown.length <= LABELLED) labelMessages(shown);
}
// What a message says, in a word or two.
function shortText(m) {
  const kind = data.kinds[m[KIND]], text = data.texts[m[TEXT]];
  const number = (name) => +(text.match(new RegExp(name + '=(\\d+)')) || [0, 0])[1];
  if (kind.includes('VoteReply')) return (kind.startsWith('Pre') ? 'pre-vote ' : 'vote ') + (text.includes('granted') ? 'granted' : 'refused');
  if (kind === 'PreVote') return 'pre-vote?';
  if (kind === 'RequestVote') return 'vote?';
  if (kind === 'AppendEntries') return number('entries') ? `append ${number('entries')}` : 'heartbeat';
  if (kind === 'AppendEntriesReply') return text.includes('conflict') ? 'conflict' : `has ${number('match')}`;
  return kind;
}
const LABELLED = 45;
// Beside each message, near its sender, where there is room.
function labelMessages(shown) {
  const taken = [];
  context.font = '10.5px system-ui, sans-serif';
  for (const m of [...shown].sort((a, b) => (a[MFLAGS] & IDLE) - (b[MFLAGS] & IDLE))) {
    const wide = context.measureText(shortText(m)).width, lost = m[MFLAGS] & (LOST | HELD), share = 0.24;
    const left = (lost ? x(m[SENT]) + 3 : x(m[SENT]) + (x(m[ARRIVES]) - x(m[SENT])) * share) + 4;
    const y = laneMiddle(m[FROM]) + (laneMiddle(m[TO]) - laneMiddle(m[FROM])) * share;
    for (const shift of [0, 13, -13, 26]) {
      const box = [left - 1, y + shift - 9, left + wide + 1, y + shift + 3];
      if (left + wide > width - 4 || left < GUTTER || taken.some((b) => box[0] < b[2] && b[0] < box[2] && box[1] < b[3] && b[1] < box[3])) continue;
      taken.push(box);
      context.globalAlpha = 0.8;
      context.fillStyle = colors.paper;
      context.fillRect(box[0], box[1], wide + 2, 12);
      context.globalAlpha = 1;
      context.fillStyle = messageColor(m) === colors.soft ? colors.ink : messageColor(m);
      context.fillText(shortText(m), left, y + shift);
      break;
    }
  }
}
function paintMessage(m, now) {
  const lost = m[MFLAGS] & LOST, held = m[MFLAGS] & HELD;
  const x1 = x(m[SENT]), y1 = laneMiddle(m[FROM]);
  let x2 = x(m[ARRIVES]), y2 = laneMiddle(m[TO]);
  if (lost || held) { x2 = x1 + 9; y2 = y1 + (y2 - y1) * 0.45; }
  context.strokeStyle = context.fillStyle = messageColor(m);
  context.globalAlpha = now ? 1 : 0.75;
  context.lineWidth = now ? 2.4 : m[MFLAGS] & IDLE ? 0.6 : 1.1;
  context.setLineDash(m[MFLAGS] & AGAIN ? [2, 3] : m[MFLAGS] & CORRUPT || held ? [5, 3] : []);
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
  context.setLineDash([]);
  if (lost) {
    context.beginPath();
    for (const s of [1, -1]) { context.moveTo(x2 - 3.5, y2 - 3.5 * s); context.lineTo(x2 + 3.5, y2 + 3.5 * s); }
    context.stroke();
  } else {
    const length = Math.hypot(x2 - x1, y2 - y1) || 1, dx = (x2 - x1) / length * 6, dy = (y2 - y1) / length * 6;
    context.beginPath();
    context.moveTo(x2, y2);
    context.lineTo(x2 - dx - dy * 0.45, y2 - dy + dx * 0.45);
    context.lineTo(x2 - dx + dy * 0.45, y2 - dy - dx * 0.45);
    context.fill();
  }
  if (now && !lost && !held) {
    const share = m[ARRIVES] > m[SENT] ? (view.time - m[SENT]) / (m[ARRIVES] - m[SENT]) : 1;
    context.beginPath();
    context.arc(x1 + (x2 - x1) * share, y1 + (y2 - y1) * share, 4.5, 0, 7);
    context.fill();
  }
  context.globalAlpha = 1;
  hits.push([x1, y1, x2, y2, m]);
}
function paintOperations() {
  const done = [];
  for (const op of operations) {
    if (op[RETURNED] < view.from || op[INVOKED] > view.to) continue;
    const left = Math.max(GUTTER - 2, x(op[INVOKED])), right = Math.min(width + 2, x(op[RETURNED])), wide = Math.max(1.5, right - left);
    if (left + wide < (done[op.row] || 0)) continue;
    done[op.row] = left + wide;
    const top = opsTop() + op.row * opHeight;
    context.fillStyle = colors[['fail', 'ok', 'fail', 'info'][op[OUTCOME]]];
    context.fillRect(left, top, wide, Math.max(2, opHeight - 2));
    if (opHeight >= 12 && wide > 40) {
      context.save();
      context.beginPath();
      context.rect(left, top, wide, opHeight);
      context.clip();
      context.fillStyle = op[OUTCOME] === 1 ? '#fff' : colors.ink;
      context.font = '10.5px ui-monospace, "DejaVu Sans Mono", monospace';
      context.fillText(op[LABEL], Math.max(left, GUTTER) + 3, top + 10);
      context.restore();
    } else if (opHeight >= 12 && operations.length < 30) {
      context.fillStyle = colors.ink;
      context.font = '10.5px ui-monospace, "DejaVu Sans Mono", monospace';
      const wanted = context.measureText(op[LABEL]).width;
      const after = left + wide + 4 + wanted < width - 4;
      context.fillText(op[LABEL], after ? left + wide + 4 : left - wanted - 4, top + 10);
    }
  }
}
function paintActions() {
  context.font = '11px system-ui, sans-serif';
  context.fillStyle = colors.soft;
  let tick = Math.pow(10, Math.floor(Math.log10((view.to - view.from) / 4)));
  if ((view.to - view.from) / tick > 16) tick *= 5; else if ((view.to - view.from) / tick > 8) tick *= 2;
  for (let t = Math.ceil(Math.max(0, view.from) / tick) * tick; t <= view.to; t += tick) {
    context.fillText(t >= 1e6 ? `${+(t / 1e6).toFixed(4)} s` : `${+(t / 1e3).toFixed(2)} ms`, x(t) + 3, 11);
    context.fillRect(x(t), 2, 1, 10);
  }
  let free = GUTTER;
  const inView = data.actions.filter(([at, isOperation]) => !isOperation && at >= view.from && at <= Math.min(view.to, data.end));
  for (const [at, , line] of inView) {
    const px = x(at);
    context.fillStyle = colors.bad;
    context.globalAlpha = inView.length > 20 ? 0.15 : 0.35;
    context.fillRect(px, 16, 1, AXIS + count * laneHeight - 16);
    context.globalAlpha = 1;
    context.beginPath();
    context.moveTo(px - 4, 17); context.lineTo(px + 4, 17); context.lineTo(px, 25);
    context.fill();
    const wide = context.measureText(line).width;
    const left = Math.min(px + 6, width - wide - 4);
    if (left < free) continue;
    context.fillStyle = colors.ink;
    context.fillText(line, left, 26);
    free = left + wide + 10;
  }
}
function paintStrip() {
  const top = height - STRIP, bad = data.failure ? data.failure.at : Infinity;
  context.fillStyle = colors.good;
  context.fillRect(x(0), top + 5, Math.max(0, x(Math.min(data.end, bad)) - x(0)), 8);
  if (data.lively) {
    context.fillStyle = colors.soft;
    context.font = '11px system-ui, sans-serif';
    context.fillRect(x(data.duration), AXIS - 4, 1, height);
    const label = 'second phase: a quorum is healed', wide = context.measureText(label).width, px = x(data.duration);
    context.fillText(label, px + wide + 6 < width ? px + 4 : px - wide - 4, top + 1);
  }
}
function paintEnd() {
  if (!data.failure) return;
  const px = x(data.failure.at);
  context.fillStyle = colors.bad;
  context.fillRect(px - 1, 14, 2, height);
  context.fillRect(px - 5, height - STRIP + 2, 10, 14);
  context.font = 'bold 12px system-ui, sans-serif';
  const label = `${data.failure.invariant} violated`, wide = context.measureText(label).width;
  const left = px + 8 + wide < width ? px + 8 : px - wide - 10;
  context.fillStyle = colors.paper;
  context.fillRect(left - 3, height - STRIP + 2, wide + 6, 15);
  context.fillStyle = colors.bad;
  context.fillText(label, left, height - STRIP + 14);
}
function paintTime() {
  const px = x(view.time);
  context.fillStyle = colors.now;
  context.fillRect(px - 0.5, 12, 1.5, height);
  context.beginPath();
  context.moveTo(px - 5, 8); context.lineTo(px + 5, 8); context.lineTo(px, 15);
  context.fill();
}
function paintNames() {
  context.fillStyle = colors.paper;
  context.fillRect(0, 0, GUTTER - 1, height);
  context.fillStyle = colors.ink;
  context.font = '600 13px system-ui, sans-serif';
  for (let n = 0; n < count; n++) context.fillText(`n${n + 1}`, 16, laneMiddle(n) + 4);
  context.font = '11px system-ui, sans-serif';
  context.fillStyle = colors.soft;
  if (rows) context.fillText('clients', 8, opsTop() + 10);
}

// ---------------------------------------------------------------- the moment, in words

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
const TAIL = 9;
function logCells(node, moment) {
  const runs = logOf(node, view.time), box = element('div', 'log');
  const last = runs.length ? runs[runs.length - 1][1] : 0, first = Math.max(1, last - TAIL + 1);
  const termAt = (index) => runs.find((run) => index <= run[1])[0];
  box.append(element('em', '', first > 1 ? `…${first - 1}` : 'log'));
  for (let index = first; index <= last; index++) {
    const term = termAt(index), cell = element('span', '', String(term));
    cell.style.background = termColor(term);
    if (moment[PART] > 1) {
      if (index <= moment[APPLIED]) cell.classList.add('applied');
      if (index === moment[COMMIT]) cell.classList.add('commit');
      if (index > moment[STABLE]) cell.classList.add('volatile');
    }
    cell.title = `entry ${index}, term ${term}`;
    box.append(cell);
  }
  return box;
}
function card(n) {
  const moment = momentOf(nodes[n], view.time), part = PARTS[moment[PART]], box = element('div', 'card');
  box.style.borderLeftColor = colors[part];
  const head = element('div', 'head');
  head.append(element('b', '', `n${n + 1}`), element('span', '', `${part}, term ${moment[TERM]}`));
  if (moment[VOTE]) head.append(element('span', 'soft', `voted for ${nameOfMember(moment[VOTE])}`));
  box.append(head, logCells(nodes[n], moment));
  const indexes = moment[PART] > 1 ? `commit ${moment[COMMIT]}, applied ${moment[APPLIED]}, on disk ${moment[STABLE]}, last ${moment[LAST]}` : `on disk ${moment[STABLE]}`;
  box.append(element('div', 'numbers', indexes));
  const flags = flagsOf(moment);
  if (flags) box.append(element('div', 'flags', flags));
  return box;
}
function tellNow() {
  $('when').textContent = `At ${clock(view.time)}${data.failure && view.time >= data.failure.at ? `: ${data.failure.invariant} is violated` : ''}`;
  $('cards').replaceChildren(...nodes.map((_, n) => card(n)));
  const now = flying(view.time), shown = now.filter((m) => !(m[MFLAGS] & IDLE)).concat(now.filter((m) => m[MFLAGS] & IDLE)).slice(0, 6);
  const items = shown.map((m) => element('li', 'mono', sayMessage(m).replace('\n', '; ')));
  if (now.length > shown.length) items.push(element('li', '', `and ${now.length - shown.length} more messages in flight`));
  $('flying').replaceChildren(...items);
  let here = -1;
  document.querySelectorAll('#actions li').forEach((item, i) => {
    const past = +item.dataset.at <= view.time;
    item.classList.toggle('past', past);
    if (past) here = i;
    item.classList.remove('here');
  });
  if (here >= 0) $('actions').children[here].classList.add('here');
}

// ---------------------------------------------------------------- what does not change

const ACTIONS_SHOWN = 300;  // of more, only what is no operation
function fillIn() {
  const failure = data.failure;
  $('verdict').textContent = failure ? `violated: ${failure.invariant}` : 'nothing violated';
  $('verdict').className = failure ? 'violated' : 'clean';
  $('title').textContent = data.title;
  const faults = data.actions.filter((action) => !action[1]).length;
  const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;
  $('summary').textContent = `${clock(data.end)}, ${plural(count, 'node')}, ${plural(faults, 'fault')}, ` +
    `${plural(operations.length, 'operation')}, ${plural(messages.length, 'message')}. ${data.leftOut}`;
  if (data.history) {
    const link = element('a', '', 'what clients saw (lincheck)');
    link.setAttribute('href', data.history);
    $('summary').append(link);
  }
  if (failure) {
    const words = data.invariants.find((one) => one[0] === failure.invariant);
    const story = $('story');
    story.hidden = false;
    if (words) story.append(element('p', '', `${words[0]}, ${words[1].toLowerCase()}: ${words[2]}.`));
    story.append(element('p', 'what', failure.what));
    const again = element('p', 'soft', 'At ' + clock(failure.at) + '; again: ');
    again.append(element('code', '', data.reproduce));
    story.append(again);
  }
  $('noactions').textContent = data.actions.length ? '' : 'Nothing: no fault, no operation. The cluster fails by itself.';
  const told = data.actions.length <= ACTIONS_SHOWN ? data.actions : data.actions.filter((action) => !action[1]);
  if (told.length < data.actions.length) $('noactions').textContent = `The ${data.actions.length - told.length} operations of clients are in the picture only.`;
  const items = told.slice(0, ACTIONS_SHOWN).map(([at, , line, said, when]) => {
    const item = element('li');
    item.dataset.at = at;
    item.tabIndex = 0;
    item.append(element('code', '', `${when} ${line}`), element('span', 'said', said));
    item.onclick = () => goTo(at);
    item.onkeydown = (event) => { if (event.key === 'Enter') goTo(at); };
    return item;
  });
  $('actions').append(...items);
  if (told.length > ACTIONS_SHOWN) $('actions').after(element('p', 'soft', `and ${told.length - ACTIONS_SHOWN} more`));
  $('conditions').textContent = data.conditions;
  $('invariants').append(...data.invariants.map(([id, name, says]) => {
    const bad = failure && failure.invariant === id, item = element('li');
    item.append(element('span', bad ? 'no' : 'ok', `${bad ? '✗' : '✓'} ${id} ${name}`), element('span', 'says', `: ${says}`));
    return item;
  }));
  $('slider').max = data.end;
}

// ---------------------------------------------------------------- hands

function distance(px, py, [x1, y1, x2, y2]) {
  const dx = x2 - x1, dy = y2 - y1, share = Math.max(0, Math.min(1, ((px - x1) * dx + (py - y1) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(px - x1 - dx * share, py - y1 - dy * share);
}
function under(px, py) {
  let best = null, least = 5;
  for (const hit of hits) { const d = distance(px, py, hit); if (d < least) { least = d; best = hit[4]; } }
  if (best) return sayMessage(best);
  const time = timeAt(px);
  if (py >= opsTop() && rows) {
    const row = Math.floor((py - opsTop()) / opHeight);
    const slack = (view.to - view.from) / plotWidth() * 3;
    const op = operations.find((one) => one.row === row && one[INVOKED] - slack <= time && time <= one[RETURNED] + slack);
    return op ? `${op[LABEL]}\nclient ${op[PROCESS]}, ${OUTCOME_WORDS[op[OUTCOME]]}\n${clock(op[INVOKED])} to ${clock(op[RETURNED])}` : '';
  }
  if (py < AXIS) {
    const action = data.actions.find((one) => !one[1] && Math.abs(x(one[0]) - px) < 6);
    return action ? `${action[4]} ${action[2]}\n${action[3]}` : '';
  }
  const n = Math.floor((py - AXIS) / laneHeight);
  if (n < 0 || n >= count || time < 0 || time > data.end) return '';
  const moment = momentOf(nodes[n], time), flags = flagsOf(moment);
  return `n${n + 1}: ${PARTS[moment[PART]]}, term ${moment[TERM]} at ${clock(time)}\ncommit ${moment[COMMIT]}, applied ${moment[APPLIED]}, on disk ${moment[STABLE]}, last ${moment[LAST]}${flags ? '\n' + flags : ''}`;
}
function tip(event) {
  const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
  const text = px < GUTTER ? '' : under(px, py), tipBox = $('tip');
  tipBox.hidden = !text;
  if (!text) return;
  tipBox.textContent = text;
  tipBox.style.left = Math.max(4, Math.min(px + 14, width - tipBox.offsetWidth - 6)) + 'px';
  tipBox.style.top = Math.max(4, Math.min(py + 16, height - tipBox.offsetHeight - 6)) + 'px';
}
let drag = null;
canvas.addEventListener('pointerdown', (event) => { drag = { px: event.clientX, from: view.from, to: view.to, moved: false }; canvas.setPointerCapture?.(event.pointerId); });
canvas.addEventListener('pointermove', (event) => {
  if (!drag) return tip(event);
  if (Math.abs(event.clientX - drag.px) > 4) drag.moved = true;
  const by = (drag.px - event.clientX) / plotWidth() * (drag.to - drag.from);
  if (drag.moved) show(drag.from + by, drag.to + by);
});
canvas.addEventListener('pointerup', (event) => {
  if (drag && !drag.moved) goTo(timeAt(event.clientX - canvas.getBoundingClientRect().left), false);
  drag = null;
});
canvas.addEventListener('pointerleave', () => { $('tip').hidden = true; });
canvas.addEventListener('wheel', (event) => {
  event.preventDefault();
  if (event.shiftKey) return move(Math.sign(event.deltaY || event.deltaX) * 0.1);
  zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event.clientX - canvas.getBoundingClientRect().left));
}, { passive: false });
function nextMessages() {
  const choices = ['auto', 'all', 'none'];
  view.messages = $('messages').value = choices[(choices.indexOf(view.messages) + 1) % 3];
  draw();
}
const KEYS = {
  ArrowLeft: (event) => step(event.shiftKey ? -10 : -1), ArrowRight: (event) => step(event.shiftKey ? 10 : 1),
  Home: () => goTo(0), End: () => goTo(data.end), v: closeUp, n: () => stepAction(1), p: () => stepAction(-1), ' ': play,
  '+': () => zoom(0.6), '=': () => zoom(0.6), '-': () => zoom(1.6), 0: fit, a: () => move(-0.2), d: () => move(0.2), m: nextMessages,
  '?': () => $('help').showModal(),
};
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || $('help').open || event.target instanceof HTMLSelectElement) return;
  if (event.key === ' ' && event.target instanceof HTMLButtonElement) return;
  const action = KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action(event);
});
$('slider').addEventListener('input', () => goTo(+$('slider').value));
$('messages').addEventListener('change', () => { view.messages = $('messages').value; draw(); });
for (const [id, act] of [['fit', fit], ['toend', closeUp], ['zoomin', () => zoom(0.6)], ['zoomout', () => zoom(1.6)], ['back', () => step(-1)], ['forth', () => step(1)], ['play', play], ['helpbutton', KEYS['?']]])
  $(id).addEventListener('click', act);
window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { readColors(); tellNow(); draw(); });

// A failure is shown from where something happens first.
function begin() {
  const first = Math.min(messages.length ? messages[0][SENT] : 0, ...data.actions.map((action) => action[0]), data.end);
  if (data.failure && first > span * 0.1) show(first - (data.end - first) * 0.08, data.end + (data.end - first) * 0.05);
  else fit();
}

readColors();
fillIn();
begin();
goTo(data.end);
new ResizeObserver(resize).observe(stage);
resize();
paint();
document.body.dataset.drawnMs = Math.round(performance.now() - started);
document.body.dataset.nodes = count;
