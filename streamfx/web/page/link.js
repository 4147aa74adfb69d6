// The WebRTC connection of a visit, as far as it is the browser's: what is offered, and what it knows of itself.

const GATHER_MS = 3000;

export function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => {
    const look = () => peer.iceGatheringState === "complete" && done();
    peer.addEventListener("icegatheringstatechange", look);
    setTimeout(done, GATHER_MS);
  });
}

export function described(stream) {
  const { width, height, frameRate } = stream.getVideoTracks()[0].getSettings();
  if (!width || !height) return null;
  return { width, height, fps: frameRate >= 1 ? frameRate : null };
}

// Chromium begins with 0.3 Mbit/s, which is a picture of 320 pixels for half a minute, and takes a busy server for
// a slow line. So it is told where to begin and where to stay above; other browsers pass over this.
export function boldly(sdp, bitrateKbps) {
  const start = Math.round(bitrateKbps / 2), least = Math.round(bitrateKbps / 4);
  const more = `x-google-start-bitrate=${start};x-google-min-bitrate=${least}`;
  const codecs = [...sdp.matchAll(/^a=rtpmap:(\d+) (?:VP8|H264)\/90000$/gm)].map((found) => found[1]);
  return codecs.reduce((text, number) => {
    const settings = new RegExp(`^a=fmtp:${number} .*$`, "m");
    if (settings.test(text)) return text.replace(settings, (line) => `${line};${more}`);
    return text.replace(new RegExp(`^a=rtpmap:${number} .*$`, "m"), (line) => `${line}\r\na=fmtp:${number} ${more}`);
  }, sdp.replaceAll("\r\n", "\n")).replaceAll(/\r?\n/g, "\r\n");
}

// What this browser knows of its own part: means since the last look, in milliseconds.
export async function parts(mine) {
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
