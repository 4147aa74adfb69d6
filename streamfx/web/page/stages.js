// The time of each stage of a run, as a table with bars.

import { at, make, ms } from "./dom.js";

const INNER = new Set(["reduce", "translate", "fuse", "on device"]);
const NAMES = { decode: "capture", waiting: "queue" };
const MEANING = {
  decode: "Decoding a frame, and waiting for the source to deliver it",
  waiting: "From the capture of a frame to where its generation begins",
};

export function showStages(stages) {
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
