// The page of a live run: shows the pictures as they come, and sends what is changed. Every viewer gets the
// state back after each change, so that the controls of all of them agree.

import { chainEditor } from "./chain.js";
import { at, make, minutes, ms, rate, whole } from "./dom.js";
import { fetchEffects } from "./gallery.js";
import { showDrops, showFactor, showPlainly } from "./plain.js";
import { preparePresets } from "./presets.js";
import { cover, offer, say, showStale, status } from "./said.js";
import { prepareShare } from "./share.js";
import { showStages } from "./stages.js";
import { drawPictures, openStream } from "./stream.js";
import {
  buildTools, isSmallWindowOpen, prepareFullScreen, prepareMirror, prepareSmallWindow, prepareSound, prepareWipe,
} from "./view.js";

const stage = at("stage"), wipe = at("wipe");
const canvases = { after: at("after"), before: at("before") };
const drawn = Object.fromEntries(
  Object.entries(canvases).map(([what, canvas]) => [what, canvas.getContext("2d", { alpha: false })]),
);

let socket = null;
let waitMs = 500;
let ended = false;
let drawing = Promise.resolve();
let stream = null; // the video by WebRTC; without it pictures come one by one
let shape = { width: 16, height: 9 };
let wanted = "";
let recordingSince = null;
let heardAt = 0; // when the last message came
let stale = { seconds: 0, at: 0 }; // how old the newest picture was, and when that was said
let version = null;
let latest = null; // the last state
const editor = chainEditor({
  change: (list) => send({ type: "chain", effects: list }),
  control: (place, name, value) => send({ type: "control", effect: place, name, value }),
  part: (place, where) => send({ type: "where", effect: place, where }),
  kind: (place, kind) => send({ type: "kind", effect: place, kind }),
  backdrop: (place, what) => send({ type: "backdrop", effect: place, ...what }),
});

function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
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
    leaveStream();
    stale = { seconds: 0, at: Date.now() };
    lookStale();
    stage.dataset.same = "yes"; // no slider over a picture that stands
    enable(false);
    if (!ended) status("lost", "connection lost");
    const { state, short, long } = await whyLost();
    status(state, short);
    cover(long);
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
function lookStale() {
  const now = Date.now(), open = socket?.readyState === WebSocket.OPEN;
  const silent = open ? (now - heardAt) / 1000 : 0;
  const old = open && stale.at ? stale.seconds + (now - stale.at) / 1000 : 0;
  showStale(Math.max(silent, stale.seconds ? old : 0), open);
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
    if (!stream) {
      drawn.after.drawImage(after, 0, 0);
      if (before) drawn.before.drawImage(before, 0, 0);
      tell(Boolean(before));
    }
    after.close();
    before?.close();
  } finally {
    send({ type: "shown", number });
  }
}

// Says what stands on the canvases now.
function tell(hasBefore) {
  stage.dataset.same = hasBefore ? "no" : "yes";
  stage.dataset.number = Number(stage.dataset.number ?? 0) + 1;
  stage.dataset.way = stream ? "stream" : "pictures";
  cover("");
}

function drawVideo(video) {
  if (stream) tell(drawPictures(video, shape, drawn));
}

async function watch(hasSound) {
  const mine = socket, before = Number(wipe.value) > 0;
  const opened = await openStream({ sound: hasSound, before, draw: drawVideo, lost: leaveStream });
  if (socket !== mine || socket.readyState !== WebSocket.OPEN || stream) opened?.close();
  else if (opened) {
    stream = opened;
    sound.show(hasSound);
    look();
  }
}

function leaveStream() {
  stream?.close();
  stream = null;
  sound.show(false);
  look();
}

function bitmap(data, start, length) {
  return createImageBitmap(new Blob([new Uint8Array(data, start, length)], { type: "image/jpeg" }));
}

// What is looked at: a page in the background gets no pictures unless a small window shows them, and nothing is
// made that nobody sees.
function look() {
  const small = isSmallWindowOpen(), before = Number(wipe.value) > 0 && !(small && stream);
  const view = { type: "view", pictures: !document.hidden || small, before };
  if (stream) Object.assign(view, { stream: stream.name, sound: sound.on });
  if (JSON.stringify(view) === wanted) return;
  wanted = JSON.stringify(view);
  send(view);
}

// The small window shows a video, so that pictures are made one.
async function asVideo() {
  if (stream) return stream.video;
  const video = (asVideo.video ??= make("video", "", { muted: true, playsInline: true }));
  video.srcObject ??= canvases.after.captureStream();
  await video.play();
  return video;
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
  shape = { width, height };
  stage.style.setProperty("--shape", `${width} / ${height}`);
  stage.style.setProperty("--ratio", `${width / height}`);
  for (const canvas of Object.values(canvases)) {
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  }
  const smaller = width < message.width ? `, shown at ${width} × ${height}` : "";
  at("caption").textContent =
    `${message.width} × ${message.height}${smaller}. Drag across the picture, or use the arrow keys, to compare.`;
  at("record-note").textContent =
    `Recordings are made where streamfx runs, in ${message.folder}, ${message.sound ? "with sound" : "without sound"}` +
    `${message.sound ? "" : ", as the source has none"}. You can download them here afterwards.`;
  at("foot").textContent = `streamfx ${message.version}`;
  editor.limit(message.most_effects);
  document.body.dataset.access = message.may_change ? "change" : "look";
  enable(message.may_change);
  if (message.streams && !stream) watch(message.sound);
}

function over() {
  ended = true;
  status("ended", "the run has ended");
}

function enable(on) {
  for (const id of ["bypass", "snapshot", "record"]) at(id).disabled = !on;
  editor.enable(on);
}

function state(message) {
  latest = message;
  editor.show(message);
  at("bypass").checked = message.bypass;
  at("after-chip").textContent = message.bypass ? "bypassed" : "after";
  const { on, file, problem } = message.recording;
  if (on && recordingSince === null) recordingSince = Date.now();
  if (!on && recordingSince !== null) {
    recordingSince = null;
    recorded(file, problem);
  }
  at("record").ariaPressed = String(on);
  at("record-label").textContent = on ? "Stop" : "Record";
  const viewers = message.viewers === 1 ? "1 viewer" : `${message.viewers} viewers`;
  at("foot").textContent = `${at("foot").textContent.split(" · ")[0]} · ${viewers}`;
  if (message.problem && message.problem !== state.said) say(message.problem, "problem");
  state.said = message.problem;
}

function recorded(file, problem) {
  if (problem) {
    say(`The recording ended early: ${problem}`, "problem");
    return;
  }
  const name = file.split(/[\\/]/).pop();
  const href = `recordings/${encodeURIComponent(name)}`;
  offer(`Recorded to ${name}.`, [{ label: "Download", href, name }], { fetchFirst: false });
}

// The picture after the effects is downloaded at once, the other on demand.
function snapshot({ frame, pictures }) {
  offer(`Frame ${frame}:`, Object.entries(pictures).map(([what, { url, file }]) => (
    { label: `${what}.png`, href: url, name: file })));
}

// Figures

function figures(message) {
  stale = { seconds: message.stale_seconds ?? 0, at: Date.now() };
  lookStale();
  const screen_ms = stream ? streamed(message.latency_ms?.p50) : message.screen_ms;
  showPlainly({ ...message, effects: Boolean(latest?.effects.length) && !latest.bypass }, screen_ms);
  at("fps-out").textContent = rate(message.fps_out);
  at("fps-in").textContent = rate(message.fps_in);
  at("latency-p50").textContent = ms(message.latency_ms?.p50);
  at("latency-p95").textContent = ms(message.latency_ms?.p95);
  at("screen").textContent = ms(screen_ms);
  at("way").textContent = stream ? `video by WebRTC, ${stream.about.mbps ?? "–"} Mbit/s` : "picture by picture";
  const more = [];
  if (message.failed) more.push(`broken (${whole.format(message.failed)})`);
  if (message.repeated) more.push(`repeated while the source was away (${whole.format(message.repeated)})`);
  if (message.skipped) more.push(`skipped on this page alone (${whole.format(message.skipped)})`);
  showDrops(message, more);
  showFactor(message, "no effect runs");
  at("routing").textContent = message.routing ?? "";
  showStages(message.stages_ms);
  if (recordingSince !== null) {
    at("record-label").textContent = `Stop ${minutes((Date.now() - recordingSince) / 1000)}`;
  }
}

// From capture to this screen by the stream: what the server measured, the way, and what the browser needs.
function streamed(latency_ms) {
  const { network, arrive } = stream.about;
  return latency_ms == null || arrive == null ? null : latency_ms + (network ?? 0) / 2 + arrive;
}

async function learn() {
  const effects = await fetchEffects().catch(() => new Map());
  editor.learn(effects);
  preparePresets(editor, effects);
}

// The token came in through the address, and is in a cookie now: it need not stay in the history.
if (location.search) history.replaceState(null, "", location.pathname);
buildTools(at("tools"));
prepareShare(at("tools"));
prepareMirror(stage, "live.mirror", false);
prepareFullScreen(stage);
prepareSmallWindow(asVideo, look);
const sound = prepareSound(at("tools"), (on) => {
  if (stream) stream.video.muted = !on;
  look();
});
prepareWipe(stage, look);
document.addEventListener("visibilitychange", look);
at("bypass").addEventListener("change", () => send({ type: "bypass", on: at("bypass").checked }));
at("snapshot").addEventListener("click", () => send({ type: "snapshot" }));
at("record").addEventListener("click", () => send({ type: "record", on: at("record").ariaPressed !== "true" }));
enable(false);
setInterval(lookStale, 500);
connect();
learn();
