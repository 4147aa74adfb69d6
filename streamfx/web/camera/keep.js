// Pictures and recordings that the visitor's browser makes of what comes back; nothing of it goes anywhere.

import { at, make, minutes, remember, remembered, stamp } from "./dom.js";
import { offer, say } from "./said.js";

const KINDS = [
  ["video/mp4;codecs=avc1.42E01F,mp4a.40.2", "mp4"],
  ["video/mp4;codecs=avc1.42E01F,opus", "mp4"],
  ["video/webm;codecs=vp9,opus", "webm"],
  ["video/webm;codecs=vp8,opus", "webm"],
  ["video/mp4", "mp4"],
  ["video/webm", "webm"],
];
const BITS_PER_SECOND = 6_000_000;
const MOST_SECONDS = 3600; // it lies in the browser's memory until it is downloaded

let going = null; // { recorder, parts, since, microphone, sound }

export async function takeSnapshot() {
  const name = `streamfx_${stamp()}`, files = [];
  for (const [what, video] of [["after", at("changed")], ["before", at("own")]]) {
    if (!video.videoWidth) continue;
    const canvas = make("canvas", "", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    files.push({ label: `${what}.png`, href: URL.createObjectURL(blob), name: `${name}_${what}.png` });
  }
  if (files.length) offer("Snapshot:", files);
  else say("There is no picture yet.", "problem");
}

// `stream`: what comes back; `delaySeconds`: how much later it is than the sound at this microphone.
export async function startRecording(stream, delaySeconds) {
  const kind = KINDS.find(([type]) => globalThis.MediaRecorder?.isTypeSupported(type));
  if (!kind) {
    say("This browser cannot record.", "problem");
    return;
  }
  const microphone = at("with-sound").checked ? await openMicrophone(delaySeconds) : null;
  if (!stream.active) {
    microphone?.close();
    return;
  }
  const tracks = [...stream.getVideoTracks(), ...(microphone?.tracks ?? [])];
  const recorder = new MediaRecorder(new MediaStream(tracks), {
    mimeType: kind[0], videoBitsPerSecond: BITS_PER_SECOND,
  });
  const mine = (going = { recorder, parts: [], since: Date.now(), microphone, timer: null });
  recorder.addEventListener("dataavailable", ({ data }) => data.size && mine.parts.push(data));
  recorder.addEventListener("stop", () => finish(mine, kind));
  recorder.addEventListener("error", () => say("The browser ended the recording early.", "problem"));
  recorder.start(1000);
  mine.timer = setInterval(() => {
    const seconds = (Date.now() - mine.since) / 1000;
    at("record-label").textContent = `Stop ${minutes(seconds)}`;
    if (seconds > MOST_SECONDS) stopRecording();
  }, 500);
  show(true);
}

async function openMicrophone(delaySeconds) {
  try {
    const raw = await navigator.mediaDevices.getUserMedia({ audio: true, video: false });
    const context = new AudioContext(), delay = context.createDelay(5);
    delay.delayTime.value = Math.min(Math.max(delaySeconds, 0), 5); // sound as late as the picture
    const target = context.createMediaStreamDestination();
    await context.resume();
    context.createMediaStreamSource(raw).connect(delay).connect(target);
    const close = () => {
      for (const track of raw.getTracks()) track.stop();
      context.close();
    };
    return { tracks: target.stream.getAudioTracks(), close };
  } catch {
    say("The microphone was not allowed, or there is none: the recording has no sound.", "problem");
    return null;
  }
}

export function stopRecording() {
  if (going && going.recorder.state !== "inactive") going.recorder.stop();
}

export function isRecording() {
  return going !== null;
}

function finish(mine, [type, ending]) {
  clearInterval(mine.timer);
  mine.microphone?.close();
  if (going === mine) going = null;
  show(false);
  const blob = new Blob(mine.parts, { type: type.split(";")[0] });
  if (!blob.size) {
    say("Nothing was recorded.", "problem");
    return;
  }
  const name = `streamfx_${stamp(new Date(mine.since))}.${ending}`;
  const sound = mine.microphone ? "with sound" : "without sound";
  offer(`Recorded, ${sound}, ${(blob.size / 1e6).toFixed(1)} MB:`, [{ label: name, href: URL.createObjectURL(blob), name }]);
}

function show(on) {
  at("record").ariaPressed = String(on);
  at("record-label").textContent = on ? "Stop" : "Record";
  at("with-sound").disabled = on;
}

export function prepareKeeping() {
  at("with-sound").checked = Boolean(remembered("camera.sound", false));
  at("with-sound").addEventListener("change", () => remember("camera.sound", at("with-sound").checked));
}
