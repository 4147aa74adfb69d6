// The links with which others come to this page: to look on, or to change the run as well.

import { icon, make } from "./dom.js";
import { say } from "./said.js";

const SVG = "http://www.w3.org/2000/svg";
const SHOWN = { look: "Whoever opens this link looks on.", change: "Whoever opens this link can change the run." };
const PLAYER = "Players that speak WHEP, such as GStreamer's whepsrc, watch at this address.";

// `tools`: the row of buttons that gets one more.
export function prepareShare(tools) {
  const button = make("button", "", { id: "share", type: "button", className: "tool" },
    icon("M12 15V4", "m8 8 4-4 4 4", "M5 13v7h14v-7"), make("span", "Share"));
  tools.append(button);
  const dialog = make("dialog", "", { id: "share-dialog" });
  dialog.setAttribute("aria-labelledby", "share-heading");
  document.body.append(dialog);
  button.addEventListener("click", async () => {
    const answer = await fetch("share", { cache: "no-store" }).catch(() => null);
    if (!answer?.ok) {
      say("The links cannot be had just now.", "problem");
      return;
    }
    show(dialog, await answer.json());
  });
}

function show(dialog, { here, links, player }) {
  const close = make("button", "Close", { type: "button", className: "wide", autofocus: true });
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(
    make("h2", "Share this page", { id: "share-heading" }),
    ...(here ? [make("p", HERE, { className: "note" })] : []),
    ...Object.entries(links).map(([access, link]) => shared(SHOWN[access], link)),
    ...(player ? [shared(PLAYER, { address: player })] : []), close);
  dialog.showModal();
}

const HERE = "This page can be opened on this machine only. So that others can, give streamfx the output " +
  "web:0.0.0.0:8080 instead of web:8080.";

function shared(what, { address, code }) {
  const copy = make("button", "Copy", { type: "button" });
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(address);
      copy.textContent = "Copied";
    } catch {
      say("The browser does not let this page copy; select the link instead.", "problem");
    }
  });
  const field = make("input", "", { type: "text", value: address, readOnly: true, ariaLabel: what });
  field.addEventListener("focus", () => field.select());
  return make("section", "", { className: "shared" },
    ...(code ? [picture(code)] : []), make("div", "", {}, make("p", what), make("div", "", { className: "parts" }, field, copy)));
}

// Dark squares side by side are one path, so that no lines show between them.
function picture(rows) {
  const svg = document.createElementNS(SVG, "svg"), path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", `0 0 ${rows.length} ${rows.length}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "QR code of the link");
  svg.classList.add("code");
  const dark = rows.flatMap((row, y) => [...row.matchAll(/1+/g)].map(({ index, 0: run }) => (
    `M${index} ${y}h${run.length}v1h-${run.length}z`)));
  path.setAttribute("d", dark.join(""));
  svg.append(path);
  return svg;
}
