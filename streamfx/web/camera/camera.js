// The page of a visitor: sends the camera through WebRTC and shows what comes back. One WebSocket carries
// everything else, and is the visit: it opens with Start, and when it closes everything ends on both sides.

const at = (id) => document.getElementById(id);
const stage = at("stage"), curtain = at("curtain");
const SEND_EVERY_MS = 50; // a slider that is dragged
const STALE_SECONDS = 2;
const LET_GO_MS = 600; // after which the run's value counts again, not the hand's
const GATHER_MS = 3000;
const CONNECT_MS = 8000; // streamfx itself waits a little longer, and knows less of why

let about = { stun: [], effects: [] };
let visit = null; // { socket, peer, stream, sender, timer }
let touched = 0;

// What is said to the visitor

function status(state, text) {
  at("status").dataset.state = state;
  at("status").textContent = text;
}

function say(text, kind = "") {
  const line = Object.assign(document.createElement("p"), { className: kind });
  line.textContent = text;
  at("said").replaceChildren(...(text ? [line] : []));
}

function cover(text) {
  curtain.textContent = text;
  curtain.hidden = !text;
}

const REASONS = {
  NotAllowedError: "The camera was not allowed. Allow it for this page in the browser, then press Start.",
  NotFoundError: "No camera was found. Plug one in, then press Start.",
  NotReadableError: "The camera is in use by another program. Close that, then press Start.",
  OverconstrainedError: "The camera that was chosen is not there any more. Choose another.",
};

// Start and end

async function start() {
  say("");
  const mine = (visit = { socket: null, peer: null, stream: null, sender: null, timer: null });
  buttons();
  status("connecting", "waiting for the camera");
  cover("Allow the camera");
  if (!(await takeCamera(mine))) return;
  status("connecting", "connecting");
  cover("Connecting");
  await connect(mine);
}

// Whether the visit has a camera now; where it cannot be had, the visit has ended and the page says why.
async function takeCamera(mine) {
  try {
    mine.stream = await openCamera();
  } catch (error) {
    if (visit === mine) end(REASONS[error.name] ?? `The camera cannot be used: ${error.message}`);
    return false;
  }
  if (visit !== mine) {
    letGo(mine.stream);
    return false;
  }
  show(mine.stream);
  return true;
}

async function openCamera() {
  const [width, height] = at("size").value.split("x").map(Number);
  const video = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } };
  if (at("camera").value) video.deviceId = { exact: at("camera").value };
  const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
  stream.getVideoTracks()[0].addEventListener("ended", () => {
    if (visit?.stream === stream) end("The camera was taken away.");
  });
  await listCameras(stream);
  return stream;
}

async function listCameras(stream) {
  const used = stream.getVideoTracks()[0].getSettings();
  const found = (await navigator.mediaDevices.enumerateDevices()).filter((each) => each.kind === "videoinput");
  at("camera").replaceChildren(...found.map((each, place) => {
    const option = Object.assign(document.createElement("option"), { value: each.deviceId });
    option.textContent = each.label || `camera ${place + 1}`;
    return option;
  }));
  at("camera").value = used.deviceId ?? "";
  if (used.facingMode === "environment") at("mirror").checked = false;
  look();
}

function show(stream) {
  const { width, height } = stream.getVideoTracks()[0].getSettings();
  at("own").srcObject = stream;
  stage.dataset.on = "yes";
  if (width && height) {
    stage.style.setProperty("--shape", `${width} / ${height}`);
    stage.style.setProperty("--ratio", `${width / height}`);
  }
}

async function connect(mine) {
  const peer = (mine.peer = new RTCPeerConnection({ iceServers: about.stun.map((urls) => ({ urls })) }));
  mine.sender = peer.addTrack(mine.stream.getVideoTracks()[0], mine.stream);
  peer.addEventListener("track", ({ track, receiver }) => {
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0; // late is worse than uneven
    at("changed").srcObject = new MediaStream([track]);
  });
  peer.addEventListener("connectionstatechange", () => {
    if (visit === mine && peer.connectionState === "failed") end(UNREACHED);
  });
  await peer.setLocalDescription();
  await gathered(peer);
  if (visit !== mine) return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = (mine.socket = new WebSocket(`${scheme}://${location.host}/visit`));
  socket.addEventListener("open", () => tell({
    type: "offer",
    sdp: peer.localDescription.sdp,
    effect: at("effect").value,
    strength: Number(at("strength").value),
    bypass: at("bypass").checked,
    camera: described(mine.stream),
  }));
  socket.addEventListener("message", ({ data }) => take(mine, JSON.parse(data)));
  socket.addEventListener("close", async () => {
    const why = visit === mine ? await whyEnded() : "";
    if (visit === mine) end(why);
  });
  setTimeout(() => {
    if (visit === mine && peer.connectionState !== "connected") end(UNREACHED);
  }, CONNECT_MS);
}

// What has become of the server: it may have been started anew, and then wants another token.
async function whyEnded() {
  try {
    const answer = await fetch("about", { cache: "no-store" });
    if (answer.status === 403) return "streamfx was started anew. Open the address that it has printed.";
    return "The connection to streamfx has ended. Press Start to try again.";
  } catch {
    return "streamfx does not answer any more. Once it does, press Start to try again.";
  }
}

const UNREACHED =
  "The page came through, but the video did not: something between here and streamfx lets no UDP pass. " +
  "Where an address translator is in between, start streamfx with --stun.";

function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => {
    const look = () => peer.iceGatheringState === "complete" && done();
    peer.addEventListener("icegatheringstatechange", look);
    setTimeout(done, GATHER_MS);
  });
}

function described(stream) {
  const { width, height, frameRate } = stream.getVideoTracks()[0].getSettings();
  if (!width || !height) return null;
  return { width, height, fps: frameRate >= 1 ? frameRate : null };
}

function end(text = "") {
  const was = visit;
  visit = null;
  if (was) {
    clearInterval(was.timer);
    was.peer?.close();
    was.socket?.close();
    letGo(was.stream);
  }
  at("own").srcObject = at("changed").srcObject = null;
  at("stale").hidden = true;
  stage.dataset.on = "no";
  status("off", "not started");
  cover(text ? "Stopped" : "Press Start and allow the camera");
  if (text) say(text, "problem");
  buttons();
}

function letGo(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

function buttons() {
  at("start").textContent = visit ? "Stop" : "Start";
  at("start").dataset.on = visit ? "yes" : "no";
}

// Messages

function tell(message) {
  if (visit?.socket?.readyState === WebSocket.OPEN) visit.socket.send(JSON.stringify(message));
}

function take(mine, message) {
  if (visit !== mine) return;
  const takers = {
    answer: () => answered(mine, message),
    full: () => end(`All ${message.most === 1 ? "" : `${message.most} `}places are taken. Try again later.`),
    problem: () => end(`streamfx refused: ${message.text}`),
    refused: () => say(message.text, "problem"),
    ended: () => end(`streamfx ended the visit: ${message.text}`),
    state: () => showState(message),
    figures: () => showFigures(mine, message),
  };
  takers[message.type]?.();
}

// Chromium begins with 0.3 Mbit/s, which is a picture of 320 pixels for half a minute, and takes a busy server for
// a slow line. So it is told where to begin and where to stay above; other browsers pass over this.
function boldly(sdp) {
  const start = Math.round(about.bitrate_kbps / 2), least = Math.round(about.bitrate_kbps / 4);
  const more = `x-google-start-bitrate=${start};x-google-min-bitrate=${least}`;
  const codecs = [...sdp.matchAll(/^a=rtpmap:(\d+) (?:VP8|H264)\/90000$/gm)].map((found) => found[1]);
  return codecs.reduce((text, number) => {
    const settings = new RegExp(`^a=fmtp:${number} .*$`, "m");
    if (settings.test(text)) return text.replace(settings, (line) => `${line};${more}`);
    return text.replace(new RegExp(`^a=rtpmap:${number} .*$`, "m"), (line) => `${line}\r\na=fmtp:${number} ${more}`);
  }, sdp.replaceAll("\r\n", "\n")).replaceAll(/\r?\n/g, "\r\n");
}

async function answered(mine, { sdp }) {
  await mine.peer.setRemoteDescription({ type: "answer", sdp: boldly(sdp) });
  const parameters = mine.sender.getParameters();
  for (const encoding of parameters.encodings ?? []) encoding.maxBitrate = about.bitrate_kbps * 1000;
  await mine.sender.setParameters(parameters);
  if (visit !== mine) return;
  cover("The effect is being prepared");
  at("changed").requestVideoFrameCallback(() => {
    if (visit === mine) {
      cover("");
      status("live", "live");
    }
  });
}

function showState({ effects, bypass, opening, problem }) {
  const [effect] = effects;
  if (!opening) at("effect").value = effect.name;
  at("effect").disabled = Boolean(opening);
  at("opening").textContent = opening ? `Opening ${opening}…` : "";
  if (problem && problem !== showState.said) say(problem, "problem");
  showState.said = problem;
  if (Date.now() - touched < LET_GO_MS) return;
  at("bypass").checked = bypass;
  const strength = effect.controls.find((each) => each.name === "strength");
  if (strength) at("strength").value = strength.value;
  showStrength();
}

function showStrength() {
  const text = `${Math.round(at("strength").value * 100)} %`;
  at("strength-value").textContent = text;
  at("strength").setAttribute("aria-valuetext", text);
}

// Figures

const ms = (value) => (value == null ? "–" : value.toFixed(0));
const rate = (value) => (value == null ? "–" : value.toFixed(1));

async function showFigures(mine, message) {
  if (!message.stages_ms) return;
  const here = await parts(mine);
  if (visit !== mine) return;
  const decoded = mine.stats.in?.framesDecoded ?? 0;
  if (decoded && decoded !== mine.decoded) Object.assign(mine, { decoded, movedAt: Date.now() });
  const { latency = null, send = null } = message.stages_ms;
  const trip = [here.encode, here.network, latency, send, here.arrive];
  at("trip").textContent = trip.includes(null) ? "–" : ms(trip.reduce((sum, each) => sum + each, 0));
  at("trip-parts").textContent =
    `compress ${ms(here.encode)}, network ${ms(here.network)}, change ${ms(latency)}, ` +
    `compress ${ms(send)}, wait and decode ${ms(here.arrive)}`;
  at("fps").textContent = rate(here.fps);
  at("fps-in").textContent = rate(message.fps_in);
  at("sizes").textContent = `sent ${here.sent}, back ${here.back}, ${here.mbps} Mbit/s`;
  const causes = Object.entries(message.drops).map(([cause, count]) => `${cause} (${count})`);
  at("dropped").textContent = Object.values(message.drops).reduce((sum, count) => sum + count, 0);
  at("frames-in").textContent = message.frames_in;
  at("causes").textContent = causes.join("; ") || "every frame came through";
  at("factor").textContent = message.factor ? String(message.factor.factor) : "–";
  at("factor-why").textContent = message.factor?.why ?? "";
}

// A picture that stands still for so long is none of now.
function showStale() {
  const seconds = visit?.movedAt ? (Date.now() - visit.movedAt) / 1000 : 0;
  const stale = seconds > STALE_SECONDS;
  at("stale").hidden = !stale;
  if (stale) {
    at("stale").textContent = `No new picture for ${Math.round(seconds)} s`;
    status("stale", "no new picture");
  } else if (visit && at("status").dataset.state === "stale") {
    status("live", "live");
  }
}

// What this browser knows of its own part: means since the last look, in milliseconds.
async function parts(mine) {
  const now = {};
  for (const each of (await mine.peer.getStats()).values()) {
    if (each.type === "outbound-rtp" && each.kind === "video") now.out = each;
    if (each.type === "inbound-rtp" && each.kind === "video") now.in = each;
    if (each.type === "candidate-pair" && each.nominated) now.pair = each;
  }
  const before = mine.stats ?? {};
  mine.stats = now;
  const mean = (which, sum, count) => {
    const of = (now[which]?.[count] ?? 0) - (before[which]?.[count] ?? 0);
    return of > 0 ? (((now[which][sum] ?? 0) - (before[which]?.[sum] ?? 0)) / of) * 1000 : null;
  };
  const seconds = before.in ? (now.in.timestamp - before.in.timestamp) / 1000 : null;
  const size = (each) => (each?.frameWidth ? `${each.frameWidth} × ${each.frameHeight}` : "–");
  return {
    encode: mean("out", "totalEncodeTime", "framesEncoded"),
    network: now.pair?.currentRoundTripTime == null ? null : now.pair.currentRoundTripTime * 1000,
    arrive: mean("in", "totalProcessingDelay", "framesDecoded")
      ?? mean("in", "jitterBufferDelay", "jitterBufferEmittedCount"),
    fps: seconds ? (now.in.framesDecoded - before.in.framesDecoded) / seconds : null,
    mbps: seconds ? (((now.in.bytesReceived - before.in.bytesReceived) * 8e-6) / seconds).toFixed(1) : "–",
    sent: size(now.out),
    back: size(now.in),
  };
}

// What is looked at

function look() {
  stage.dataset.view = at("view").value;
  stage.dataset.mirror = at("mirror").checked ? "yes" : "no";
  stage.style.setProperty("--wipe", `${at("wipe").value}%`);
  at("wipe").setAttribute("aria-valuetext", `${Math.round(at("wipe").value)} percent before`);
}

async function changeCamera() {
  if (!visit?.stream) return;
  const mine = visit, old = mine.stream;
  letGo(old); // many cameras open only once
  if (!(await takeCamera(mine))) return;
  await mine.sender?.replaceTrack(mine.stream.getVideoTracks()[0]);
}

async function prepare() {
  if (location.search) history.replaceState(null, "", location.pathname); // the token is in a cookie now
  look();
  stage.dataset.on = "no";
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
    cover("No camera on this page");
    say(
      "Browsers give a camera only to pages that come by https, or from the machine itself. " +
      "Open the page as http://localhost, through a tunnel for instance, or start streamfx with " +
      "--certificate and --key.",
      "problem",
    );
    return;
  }
  about = await (await fetch("about")).json();
  at("effect").replaceChildren(...about.effects.map((name) => {
    const option = Object.assign(document.createElement("option"), { value: name });
    option.textContent = name;
    return option;
  }));
  at("effect").value = about.effect;
  at("strength").value = about.strength;
  showStrength();
  at("start").disabled = false;
  if (!about.room) say(`All ${about.most === 1 ? "" : `${about.most} `}places are taken just now.`, "problem");
}

let timer = null;
function tellStrength() {
  timer = null;
  tell({ type: "control", effect: 0, name: "strength", value: Number(at("strength").value) });
}

at("start").addEventListener("click", () => (visit ? end() : start()));
at("effect").addEventListener("change", () => tell({ type: "effect", effect: 0, name: at("effect").value }));
at("strength").addEventListener("input", () => {
  touched = Date.now();
  showStrength();
  timer ??= setTimeout(tellStrength, SEND_EVERY_MS);
});
at("bypass").addEventListener("change", () => {
  touched = Date.now();
  tell({ type: "bypass", on: at("bypass").checked });
});
at("camera").addEventListener("change", changeCamera);
at("size").addEventListener("change", changeCamera);
for (const id of ["view", "mirror"]) at(id).addEventListener("change", look);
at("wipe").addEventListener("input", look);
setInterval(showStale, 500);
window.addEventListener("pagehide", () => end());
prepare().catch((error) => say(`streamfx does not answer: ${error.message}`, "problem"));
