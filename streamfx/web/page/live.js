// The page of a live run: shows the pictures as they come, and sends what is changed. Every viewer gets the
// state back after each change, so that the controls of all of them agree.

const at = (id) => document.getElementById(id);
const stage = at("stage"), wipe = at("wipe"), curtain = at("curtain");
const canvases = { after: at("after"), before: at("before") };
const drawn = {
  after: canvases.after.getContext("bitmaprenderer"),
  before: canvases.before.getContext("bitmaprenderer"),
};
const SEND_EVERY_MS = 50; // a slider that is dragged
const STALE_SECONDS = 2;
const LET_GO_MS = 600; // after which the run's value counts again, not the hand's

let socket = null;
let waitMs = 500;
let ended = false;
let drawing = Promise.resolve();
let wanted = "";
let recordingSince = null;
let heardAt = 0; // when the last message came
let stale = { seconds: 0, at: 0 }; // how old the newest picture was, and when that was said
let version = null;
const touched = new Map(); // control → when a hand was on it

function make(tag, text = "", properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  element.textContent = text;
  return element;
}

function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function status(state, text) {
  at("status").dataset.state = state;
  at("status").textContent = text;
}

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    waitMs = 500;
    ended = false;
    wanted = "";
    heardAt = Date.now();
    status("live", "live");
    look();
  };
  socket.onmessage = ({ data }) => {
    heardAt = Date.now();
    // A picture that cannot be shown must not keep those after it from being shown.
    if (data instanceof ArrayBuffer) drawing = drawing.then(() => draw(data)).catch(() => {});
    else take(JSON.parse(data));
  };
  socket.onclose = async () => {
    stale = { seconds: 0, at: Date.now() };
    showStale();
    stage.dataset.same = "yes"; // no slider over a picture that stands
    enable(false);
    if (!ended) status("lost", "connection lost");
    const { state, short, long } = await whyLost();
    status(state, short);
    curtain.textContent = long;
    curtain.hidden = false;
    setTimeout(connect, waitMs);
    waitMs = Math.min(waitMs * 1.7, 5000);
  };
}

// What has become of the server: it may have been started anew, and then wants another token.
async function whyLost() {
  let answer = null;
  try {
    answer = await fetch(location.pathname, { cache: "no-store" });
  } catch {
    if (ended) return { state: "ended", short: "the run has ended", long: "The run has ended" };
    return {
      state: "lost", short: "no answer, trying again",
      long: "streamfx does not answer. The page goes on as soon as it does.",
    };
  }
  if (answer.status === 403) {
    return {
      state: "lost", short: "started anew",
      long: "streamfx was started anew. Open the address that it has printed.",
    };
  }
  return { state: "lost", short: "connection lost, trying again", long: "Connection lost" };
}

// Whether what is shown is still what the source gives: pictures repeated while it is away are not.
function showStale() {
  const now = Date.now(), open = socket?.readyState === WebSocket.OPEN;
  const silent = open ? (now - heardAt) / 1000 : 0;
  const old = open && stale.at ? stale.seconds + (now - stale.at) / 1000 : 0;
  const seconds = Math.max(silent, stale.seconds ? old : 0);
  const is = seconds > STALE_SECONDS;
  at("stale").hidden = !is;
  if (is) {
    at("stale").textContent = `No new picture for ${Math.round(seconds)} s`;
    status("stale", "no new picture");
  } else if (open && at("status").dataset.state === "stale") {
    status("live", "live");
  }
}

// Pictures

async function draw(data) {
  const header = new DataView(data), number = header.getUint32(0);
  const lengths = { after: header.getUint32(4), before: header.getUint32(8) };
  try {
    const [after, before] = await Promise.all([
      bitmap(data, 12, lengths.after),
      lengths.before ? bitmap(data, 12 + lengths.after, lengths.before) : null,
    ]);
    drawn.after.transferFromImageBitmap(after);
    if (before) drawn.before.transferFromImageBitmap(before);
    stage.dataset.same = before ? "no" : "yes";
    stage.dataset.number = number;
    curtain.hidden = true;
  } finally {
    send({ type: "shown", number });
  }
}

function bitmap(data, start, length) {
  return createImageBitmap(new Blob([new Uint8Array(data, start, length)], { type: "image/jpeg" }));
}

// What is looked at: a page in the background gets no pictures, and nothing is made that nobody sees.
function look() {
  const view = { type: "view", pictures: !document.hidden, before: Number(wipe.value) > 0 };
  if (JSON.stringify(view) === wanted) return;
  wanted = JSON.stringify(view);
  send(view);
}

function showWipe() {
  stage.style.setProperty("--wipe", `${wipe.value}%`);
  wipe.setAttribute("aria-valuetext", `${Math.round(wipe.value)} percent before`);
  look();
}

// Messages

function take(message) {
  const takers = { hello, state, figures, snapshot, problem: ({ text }) => say(text, "problem"), ended: over };
  takers[message.type]?.(message);
}

function hello(message) {
  if (version !== null && version !== message.version) location.reload(); // another streamfx has another page
  version = message.version;
  at("title").textContent = message.title;
  document.title = `streamfx · ${message.title}`;
  const { shown_width: width, shown_height: height } = message;
  stage.style.setProperty("--shape", `${width} / ${height}`);
  stage.style.setProperty("--ratio", `${width / height}`);
  const smaller = width < message.width ? `, shown at ${width} × ${height}` : "";
  at("caption").textContent =
    `${message.width} × ${message.height}${smaller}. Drag across the picture, or use the arrow keys, to compare.`;
  at("record-note").textContent = `Recordings go to ${message.folder} where streamfx runs, without sound.`;
  at("foot").textContent = `streamfx ${message.version}`;
  enable(true);
}

function over() {
  ended = true;
  status("ended", "the run has ended");
}

function enable(on) {
  for (const element of document.querySelectorAll("#controls button, #controls select, #controls input")) {
    element.disabled = !on;
  }
}

function state(message) {
  showEffects(message);
  at("bypass").checked = message.bypass;
  at("after-chip").textContent = message.bypass ? "bypassed" : "after";
  const { on, file, problem } = message.recording;
  if (on && recordingSince === null) recordingSince = Date.now();
  if (!on && recordingSince !== null) {
    recordingSince = null;
    say(problem ? `The recording ended early: ${problem}` : `Recorded to ${file.split(/[\\/]/).pop()}`, problem ? "problem" : "");
  }
  at("record").setAttribute("aria-pressed", String(on));
  at("record-label").textContent = on ? "Stop" : "Record";
  const viewers = message.viewers === 1 ? "1 viewer" : `${message.viewers} viewers`;
  at("foot").textContent = `${at("foot").textContent.split(" · ")[0]} · ${viewers}`;
}

// One group per effect of the chain. They are made anew only when the chain is another, so that a control
// keeps the focus while it is used.
let shape = "";

function showEffects({ effects, available, opening, problem }) {
  const chain = effects.length ? effects : [{ name: "", controls: [] }];
  const now = JSON.stringify([chain.map((each) => [each.name, each.controls.map((c) => c.name)]), available]);
  if (now !== shape) {
    shape = now;
    const focused = document.activeElement?.id;
    at("effects").replaceChildren(...chain.map((effect, place) => group(effect, place, available)));
    if (focused) at(focused)?.focus();
  }
  chain.forEach((effect, place) => {
    const choice = at(`effect-${place}`), note = at(`opening-${place}`);
    if (!opening) choice.value = effect.name;
    choice.disabled = Boolean(opening);
    note.textContent = opening ? `Opening ${opening}…` : "";
    for (const control of effect.controls) {
      const id = `control-${place}-${control.name}`;
      if (Date.now() - (touched.get(id) ?? 0) > LET_GO_MS) at(id).value = control.value;
      showValue(at(id));
    }
  });
  if (problem && problem !== showEffects.said) say(problem, "problem");
  showEffects.said = problem;
}

function group(effect, place, available) {
  const box = make("div");
  const field = make("div", "", { className: "field" });
  const label = make("label", place ? `Effect ${place + 1}` : "Effect", { htmlFor: `effect-${place}` });
  const choice = make("select", "", { id: `effect-${place}` });
  const names = available.includes(effect.name) ? available : [effect.name, ...available];
  choice.append(...names.map((name) => make("option", name || "none", { value: name, disabled: !name })));
  choice.value = effect.name;
  choice.addEventListener("change", () => send({ type: "effect", effect: place, name: choice.value }));
  field.append(label, choice, make("p", "", { id: `opening-${place}`, className: "opening" }));
  box.append(field, ...effect.controls.map((control) => slider(control, place)));
  return box;
}

function slider(control, place) {
  const id = `control-${place}-${control.name}`;
  const field = make("div", "", { className: "field" });
  const name = control.name[0].toUpperCase() + control.name.slice(1).replaceAll("_", " ");
  const label = make("label", name, { htmlFor: id });
  const output = make("output", "", { id: `${id}-value` });
  output.setAttribute("for", id);
  label.append(output);
  const range = make("input", "", { type: "range", id });
  Object.assign(range, { min: control.low, max: control.high, step: (control.high - control.low) / 100 });
  range.value = control.value;
  range.dataset.low = control.low;
  range.dataset.high = control.high;
  let last = 0, timer = null;
  const tell = () => {
    last = Date.now();
    timer = null;
    send({ type: "control", effect: place, name: control.name, value: Number(range.value) });
  };
  range.addEventListener("input", () => {
    touched.set(id, Date.now());
    showValue(range, output);
    if (timer === null) timer = setTimeout(tell, Math.max(0, last + SEND_EVERY_MS - Date.now()));
  });
  showValue(range, output);
  field.append(label, range);
  return field;
}

function showValue(range, output = at(`${range.id}-value`)) {
  const { low, high } = range.dataset;
  const text = low === "0" && high === "1"
    ? `${Math.round(range.value * 100)} %` : Number(range.value).toPrecision(3);
  output.textContent = text;
  range.setAttribute("aria-valuetext", text);
}

function snapshot({ frame, pictures }) {
  const line = make("p", `Frame ${frame}: `);
  for (const [what, { url, file }] of Object.entries(pictures)) {
    line.append(make("a", `${what}.png`, { href: url, download: file }), " ");
  }
  keep(line);
  line.querySelector("a").click(); // the picture after the effects is downloaded at once, the other on demand
}

function say(text, kind = "") {
  keep(make("p", text, { className: kind }));
}

function keep(line) {
  at("said").prepend(line);
  while (at("said").children.length > 3) at("said").lastChild.remove();
}

// Figures

const whole = new Intl.NumberFormat("en");
const rate = (value) => (value === null ? "–" : value.toFixed(1));
const ms = (value) => (value == null ? "–" : value.toFixed(value < 10 ? 1 : 0));

function figures(message) {
  stale = { seconds: message.stale_seconds ?? 0, at: Date.now() };
  showStale();
  at("fps-out").textContent = rate(message.fps_out);
  at("fps-in").textContent = rate(message.fps_in);
  at("latency-p50").textContent = ms(message.latency_ms?.p50);
  at("latency-p95").textContent = ms(message.latency_ms?.p95);
  at("screen").textContent = ms(message.screen_ms);
  const causes = Object.entries(message.drops).map(([cause, count]) => `${cause} (${whole.format(count)})`);
  const dropped = Object.values(message.drops).reduce((sum, count) => sum + count, 0);
  if (message.failed) causes.push(`broken (${whole.format(message.failed)})`);
  if (message.repeated) causes.push(`repeated while the source was away (${whole.format(message.repeated)})`);
  if (message.skipped) causes.push(`skipped on this page alone (${whole.format(message.skipped)})`);
  at("dropped").textContent = whole.format(dropped);
  at("frames-in").textContent = whole.format(message.frames_in);
  at("causes").textContent = causes.join("; ") || "every frame came through";
  at("factor").textContent = message.factor ? String(message.factor.factor) : "–";
  at("factor-why").textContent = message.factor?.why ?? "no effect runs";
  at("routing").textContent = message.routing ?? "";
  showStages(message.stages_ms);
  if (recordingSince !== null) {
    const seconds = Math.round((Date.now() - recordingSince) / 1000);
    at("record-label").textContent =
      `Stop ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }
}

const INNER = new Set(["reduce", "translate", "fuse", "on device"]);
const NAMES = { decode: "capture", waiting: "queue" };
const MEANING = {
  decode: "Decoding a frame, and waiting for the source to deliver it",
  waiting: "From the capture of a frame to where its generation begins",
};

function showStages(stages) {
  const rows = at("stages"), longest = Math.max(1, ...Object.values(stages));
  const names = Object.keys(stages);
  if (rows.dataset.names !== names.join()) {
    rows.dataset.names = names.join();
    rows.replaceChildren(...names.map((name) => {
      const row = make("tr", "", { className: INNER.has(name) ? "inner" : "" });
      const bar = make("td");
      bar.append(make("meter", "", { min: 0 }));
      bar.firstChild.setAttribute("aria-hidden", "true");
      row.append(make("th", NAMES[name] ?? name, { scope: "row", title: MEANING[name] ?? "" }), bar, make("td"));
      return row;
    }));
  }
  names.forEach((name, position) => {
    const row = rows.children[position], meter = row.querySelector("meter");
    meter.max = longest;
    meter.value = stages[name];
    row.lastChild.textContent = `${ms(stages[name])} ms`;
  });
}

// The token came in through the address, and is in a cookie now: it need not stay in the history.
if (location.search) history.replaceState(null, "", location.pathname);
wipe.addEventListener("input", showWipe);
wipe.addEventListener("keydown", (event) => {
  const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
  if (!way) return; // the step that suits a hand is too small for a key
  event.preventDefault();
  wipe.value = Number(wipe.value) + way * (event.shiftKey ? 10 : 2);
  showWipe();
});
document.addEventListener("visibilitychange", look);
at("bypass").addEventListener("change", () => send({ type: "bypass", on: at("bypass").checked }));
at("snapshot").addEventListener("click", () => send({ type: "snapshot" }));
at("record").addEventListener("click", () =>
  send({ type: "record", on: at("record").getAttribute("aria-pressed") !== "true" }));
enable(false);
setInterval(showStale, 500);
connect();
