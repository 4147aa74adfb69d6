// How a run goes, in words for somebody who has never heard of frames and factors.

import { at, whole } from "./dom.js";

const ENOUGH = 0.9; // of the pictures that came

// `delay_ms`: from the camera to where it is seen, where that is known.
export function showPlainly({ fps_in: came, fps_out: shown, factor, effects }, delay_ms) {
  at("plain").textContent = pace(came, shown, delay_ms);
  at("plain").dataset.state = came && shown < came * ENOUGH ? "slow" : "good";
  at("plain-factor").textContent = effects === false ? "" : detail(factor);
}

function pace(came, shown, delay_ms) {
  if (!came || shown == null) return "Waiting for pictures.";
  const late = delay_ms == null ? "" : `, ${(Math.max(delay_ms, 10) / 1000).toFixed(delay_ms < 95 ? 2 : 1)} s after it was taken`;
  if (shown >= came * ENOUGH) return `Runs smoothly: every picture is shown, ${Math.round(shown)} a second${late}.`;
  return `${Math.max(1, Math.round(shown))} of ${Math.round(came)} pictures a second are shown. The machine is too ` +
    "slow for all of them; the others are left out, so that you see what is now. Fewer effects, or a smaller " +
    "picture, help.";
}

function detail(given) {
  if (!given) return "";
  const { factor, why } = given;
  if (factor === 1) return "Finest detail: the effect works on the full picture.";
  const chosen = why === "as asked for" ? "" : " How small follows from what the machine can do in time.";
  return `${factor <= 2 ? "Fine" : "Coarser"} detail: the effect works on a picture ${factor} times smaller each way ` +
    `and brings the result back to full size.${chosen}`;
}

export function showDrops({ drops, frames_in: came }, more = []) {
  const causes = Object.entries(drops).map(([cause, count]) => `${cause} (${whole.format(count)})`);
  at("dropped").textContent = whole.format(Object.values(drops).reduce((sum, count) => sum + count, 0));
  at("frames-in").textContent = whole.format(came);
  at("causes").textContent = [...causes, ...more].join("; ") || "every frame came through";
}

export function showFactor({ factor }, otherwise = "") {
  at("factor").textContent = factor ? String(factor.factor) : "–";
  at("factor-why").textContent = factor?.why ?? otherwise;
}
