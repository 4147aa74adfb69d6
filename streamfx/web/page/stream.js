// The stream of a run (WHEP): video and sound by WebRTC, coded once for everybody who watches.

import { gathered, parts } from "./link.js";

const LOOK_MS = 2000;
const FIRST_MS = 8000; // for the first picture to come
const STUCK_LOOKS = 2; // after so many without a picture, though something comes, pictures come one by one again

// Whether this browser can: it must say when a video has a new picture.
const can = () => "RTCPeerConnection" in window && "requestVideoFrameCallback" in HTMLVideoElement.prototype;

// Returns the stream once its first picture is there, null where there is none to be had. `draw`: called with the
// video for each picture. `lost`: called once when no more will come.
export async function openStream({ sound, before, draw, lost }) {
  if (!can()) return null;
  const peer = new RTCPeerConnection();
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, autoplay: true });
  video.srcObject = new MediaStream();
  let place = null, over = false, stuck = 0, decoded = 0, watch = 0;
  const stream = {
    peer, video, about: {},
    get name() { return place?.pathname.split("/").pop(); },
    close() {
      over = true;
      clearInterval(watch);
      peer.close();
      video.srcObject = null;
      if (place) fetch(place, { method: "DELETE", keepalive: true }).catch(() => {});
    },
  };
  const fail = () => {
    if (over) return;
    stream.close();
    lost();
  };
  peer.ontrack = ({ track, receiver }) => {
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0; // now, rather than smoothly
    video.srcObject.addTrack(track);
    video.play().catch(() => {});
  };
  peer.onconnectionstatechange = () => ["failed", "closed"].includes(peer.connectionState) && fail();
  const look = async () => {
    stream.about = await parts(stream);
    const { framesDecoded = 0, bytesReceived = 0 } = stream.stats.in ?? {};
    stuck = framesDecoded === decoded && bytesReceived > (look.bytes ?? 0) ? stuck + 1 : 0;
    decoded = framesDecoded;
    look.bytes = bytesReceived;
    if (stuck >= STUCK_LOOKS) fail();
  };
  try {
    place = await offered(peer, sound, before);
    await firstPicture(video);
  } catch {
    stream.close();
    return null;
  }
  watch = setInterval(() => look().catch(() => {}), LOOK_MS);
  const step = () => {
    if (over) return;
    draw(video);
    video.requestVideoFrameCallback(step);
  };
  video.requestVideoFrameCallback(step);
  return stream;
}

// Sends the offer and takes the answer; returns the address of the stream.
async function offered(peer, sound, before) {
  peer.addTransceiver("video", { direction: "recvonly" });
  if (sound) peer.addTransceiver("audio", { direction: "recvonly" });
  await peer.setLocalDescription(await peer.createOffer());
  await gathered(peer);
  const answer = await fetch(`whep?before=${before}`, {
    method: "POST", headers: { "Content-Type": "application/sdp" }, body: peer.localDescription.sdp,
  });
  if (answer.status !== 201) throw new Error(await answer.text());
  const place = new URL(answer.headers.get("Location"), location.href);
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  return place;
}

function firstPicture(video) {
  return new Promise((done, failed) => {
    video.requestVideoFrameCallback(done);
    setTimeout(() => failed(new Error("no picture came")), FIRST_MS);
  });
}

// Draws what a video shows now: one picture, or two of them one above the other, after and before; returns whether
// there are two. `shape`: size of one.
export function drawPictures(video, shape, { after, before }) {
  const { videoWidth: width, videoHeight: height } = video, { width: wide, height: high } = shape;
  const pair = height * wide > 1.5 * width * high;
  const each = pair ? height / 2 : height;
  after.drawImage(video, 0, 0, width, each, 0, 0, wide, high);
  if (pair) before.drawImage(video, 0, each, width, each, 0, 0, wide, high);
  return pair;
}
