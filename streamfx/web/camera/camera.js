// The page of a visitor: sends the camera through WebRTC and shows what comes back. One WebSocket carries
// everything else, and is the visit: it opens with Start, and when it closes everything ends on both sides.

import { chainEditor } from "./chain.js";
import { at, ms, rate, remember, remembered } from "./dom.js";
import { fetchEffects } from "./gallery.js";
import { isRecording, prepareKeeping, startRecording, stopRecording, takeSnapshot } from "./keep.js";
import { boldly, described, gathered, parts } from "./link.js";
import { showDrops, showFactor, showPlainly } from "./plain.js";
import { preparePresets } from "./presets.js";
import { cover, forget, say, showStale, status } from "./said.js";
import { buildTools, prepareFullScreen, prepareMirror, prepareSmallWindow, prepareWipe } from "./view.js";

const stage = at("stage");
const LET_GO_MS = 600; // after which the run's value counts again, not the hand's
const CONNECT_MS = 8000; // streamfx itself waits a little longer, and knows less of why

let about = { ice: [] };
let visit = null; // { socket, peer, stream, sender, timer }
let touched = 0;
let editor = null;
let mirror = null;
let effects = new Map();
let trip_ms = null;

const REASONS = {
  NotAllowedError: "The camera was not allowed. Allow it for this page in the browser, then press Start.",
  NotFoundError: "No camera was found. Plug one in, then press Start.",
  NotReadableError: "The camera is in use by another program. Close that, then press Start.",
  OverconstrainedError: "The camera that was chosen is not there any more. Choose another.",
};

// Start and end

async function start() {
  forget();
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
  mirror.set(used.facingMode !== "environment" && mirror.usual());
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
  const peer = (mine.peer = new RTCPeerConnection({ iceServers: about.ice.map(serverOf) }));
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
    chain: editor.wanted(),
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
  "Where an address translator is in between, start streamfx with --stun; where no UDP comes through, with --turn.";

// A browser refuses a STUN server with a user, even with none.
function serverOf({ urls, username, credential }) {
  return username ? { urls, username, credential } : { urls };
}

function end(text = "") {
  const was = visit;
  visit = null;
  stopRecording();
  if (document.pictureInPictureElement) document.exitPictureInPicture().catch(() => {});
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
  trip_ms = null;
  at("plain").textContent = "Nothing is sent before you press Start.";
  at("plain").dataset.state = "off";
  at("plain-factor").textContent = "";
  if (text) say(text, "problem");
  buttons();
}

function letGo(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

function buttons() {
  at("start").textContent = visit ? "Stop" : "Start";
  at("start").dataset.on = visit ? "yes" : "no";
  const live = at("status").dataset.state === "live" || at("status").dataset.state === "stale";
  for (const id of ["snapshot", "record", "small"]) at(id).disabled = !visit || !live;
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

async function answered(mine, { sdp }) {
  await mine.peer.setRemoteDescription({ type: "answer", sdp: boldly(sdp, about.bitrate_kbps) });
  const parameters = mine.sender.getParameters();
  for (const encoding of parameters.encodings ?? []) encoding.maxBitrate = about.bitrate_kbps * 1000;
  await mine.sender.setParameters(parameters);
  if (visit !== mine) return;
  cover("The effect is being prepared");
  at("changed").requestVideoFrameCallback(() => {
    if (visit === mine) {
      cover("");
      status("live", "live");
      buttons();
    }
  });
}

function showState(state) {
  editor.show(state);
  if (state.problem && state.problem !== showState.said) say(state.problem, "problem");
  showState.said = state.problem;
  if (Date.now() - touched > LET_GO_MS) at("bypass").checked = state.bypass;
}

// Before the visit the chain is this page's own; during it, the run has it.
function changeChain(list) {
  if (visit) {
    tell({ type: "chain", effects: list });
    return;
  }
  editor.show({
    opening: null,
    effects: list.map(({ name, controls, where = null }) => ({
      name,
      where: effects.get(name)?.where ? where ?? effects.get(name).where : null,
      controls: (effects.get(name)?.controls ?? []).map((each) => (
        { ...each, value: Math.min(Math.max(controls[each.name] ?? each.default, each.low), each.high) })),
    })),
  });
}

function changePart(place, where) {
  if (visit) {
    tell({ type: "where", effect: place, where });
    return;
  }
  changeChain(editor.wanted().map((each, other) => (other === place ? { ...each, where } : each)));
}

// Figures

async function showFigures(mine, message) {
  if (!message.stages_ms) return;
  const here = await parts(mine);
  if (visit !== mine) return;
  const decoded = mine.stats.in?.framesDecoded ?? 0;
  if (decoded && decoded !== mine.decoded) Object.assign(mine, { decoded, movedAt: Date.now() });
  const { latency = null, send = null } = message.stages_ms;
  const trip = [here.encode, here.network, latency, send, here.arrive];
  trip_ms = trip.includes(null) ? null : trip.reduce((sum, each) => sum + each, 0);
  showPlainly({ ...message, fps_out: here.fps, effects: Boolean(editor.wanted().length) }, trip_ms);
  at("trip").textContent = ms(trip_ms);
  at("trip-parts").textContent =
    `compress ${ms(here.encode)}, network ${ms(here.network)}, change ${ms(latency)}, ` +
    `compress ${ms(send)}, wait and decode ${ms(here.arrive)}`;
  at("fps").textContent = rate(here.fps);
  at("fps-in").textContent = rate(message.fps_in);
  at("sizes").textContent = `sent ${here.sent}, back ${here.back}, ${here.mbps} Mbit/s`;
  showDrops(message);
  showFactor(message);
}

function lookStale() {
  showStale(visit?.movedAt ? (Date.now() - visit.movedAt) / 1000 : 0, Boolean(visit));
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
  stage.dataset.on = "no";
  [about, effects] = await Promise.all([fetch("about").then((answer) => answer.json()), fetchEffects()]);
  editor = chainEditor({
    change: changeChain,
    control: (place, name, value) => tell({ type: "control", effect: place, name, value }),
    part: changePart,
    kind: (place, kind) => tell({ type: "kind", effect: place, kind }),
    backdrop: (place, what) => {
      if (visit) tell({ type: "backdrop", effect: place, ...what });
      else say("Press Start first, then choose what stands behind you.", "problem");
    },
  });
  editor.limit(about.most_effects);
  editor.learn(effects);
  preparePresets(editor, effects);
  changeChain([{ name: about.effect, controls: { strength: about.strength } }]);
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
  at("start").disabled = false;
  if (!about.room) say(`All ${about.most === 1 ? "" : `${about.most} `}places are taken just now.`, "problem");
}

function changeView() {
  stage.dataset.view = at("view").value;
  remember("camera.view", at("view").value);
}

function playing() {
  if (!at("changed").videoWidth) throw new Error("no picture yet");
  return at("changed");
}

buildTools(at("tools"));
mirror = prepareMirror(stage, "camera.mirror", true);
prepareFullScreen(stage, at("changed"));
prepareSmallWindow(playing);
prepareWipe(stage);
prepareKeeping();
at("view").value = remembered("camera.view", "small");
if (!at("view").value) at("view").value = "small";
stage.dataset.view = at("view").value;
buttons();
at("start").addEventListener("click", () => (visit ? end() : start()));
at("snapshot").addEventListener("click", takeSnapshot);
at("record").addEventListener("click", () => {
  if (isRecording()) stopRecording();
  else startRecording(at("changed").srcObject, (trip_ms ?? 0) / 1000);
});
at("bypass").addEventListener("change", () => {
  touched = Date.now();
  tell({ type: "bypass", on: at("bypass").checked });
});
at("camera").addEventListener("change", changeCamera);
at("size").addEventListener("change", changeCamera);
at("view").addEventListener("change", changeView);
setInterval(lookStale, 500);
window.addEventListener("pagehide", () => end());
prepare().catch((error) => say(`streamfx does not answer: ${error.message}`, "problem"));
