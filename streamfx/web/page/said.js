// What is said to whoever looks at the page: the state at the top, messages, and that a picture is old.

import { at, make } from "./dom.js";

const MOST_LINES = 3;
const STALE_SECONDS = 2;

export function status(state, text) {
  at("status").dataset.state = state;
  at("status").textContent = text;
}

export function cover(text) {
  at("curtain").textContent = text;
  at("curtain").hidden = !text;
}

export function say(text, kind = "") {
  keep(make("p", text, { className: kind }));
}

export function keep(line) {
  at("said").prepend(line);
  while (at("said").children.length > MOST_LINES) drop(at("said").lastChild);
}

export function forget() {
  for (const line of [...at("said").children]) if (!line.querySelector("a")) line.remove();
}

// A file that the browser made lies in its memory as long as its link stands here.
function drop(line) {
  for (const link of line.querySelectorAll("a[href^='blob:']")) URL.revokeObjectURL(link.href);
  line.remove();
}

// A line with links to files, the first of which is fetched at once unless told otherwise.
export function offer(text, files, { fetchFirst = true } = {}) {
  const line = make("p", `${text} `);
  for (const { label, href, name } of files) {
    line.append(make("a", label, { href, download: name }), " ");
  }
  keep(line);
  if (fetchFirst) line.querySelector("a").click();
}

// A picture that stands still for so long is none of now. `live`: whether pictures should come at all.
export function showStale(seconds, live) {
  const is = seconds > STALE_SECONDS;
  at("stale").hidden = !is;
  if (is) {
    at("stale").textContent = `No new picture for ${Math.round(seconds)} s`;
    status("stale", "no new picture");
  } else if (live && at("status").dataset.state === "stale") {
    status("live", "live");
  }
}
