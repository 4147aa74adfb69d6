// Chains with their controls, kept in this browser under names.

import { at, icon, make, remember, remembered } from "./dom.js";
import { say } from "./said.js";

const KEY = "presets";
const MOST = 40;
const OUT = ["m6 6 12 12", "M18 6 6 18"];

// What was kept may be of another version, or not ours at all: anything else is passed over.
function kept() {
  const found = remembered(KEY, []);
  if (!Array.isArray(found)) return [];
  return found.filter(({ name, chain } = {}) => typeof name === "string" && name && Array.isArray(chain)
    && chain.every((each) => typeof each?.name === "string" && typeof each.controls === "object"));
}

// `editor`: the chain; `known`: the effects there are.
export function preparePresets(editor, known) {
  const list = at("presets"), form = at("keep-form"), input = at("keep-name");

  function show() {
    list.replaceChildren(...kept().map((preset) => {
      const take = make("button", preset.name, { type: "button", className: "preset" });
      take.title = preset.chain.map((each) => each.name).join(", then ") || "no effect";
      take.addEventListener("click", () => choose(preset));
      const out = make("button", "", { type: "button", className: "small" }, icon(...OUT));
      out.ariaLabel = `Forget ${preset.name}`;
      out.title = "Forget it";
      out.addEventListener("click", () => {
        remember(KEY, kept().filter((each) => each.name !== preset.name));
        show();
        at("keep").focus();
      });
      return make("li", "", {}, take, out);
    }));
    at("presets-none").hidden = Boolean(list.children.length);
  }

  function choose({ name, chain }) {
    const there = chain.filter((each) => known.has(each.name)), taken = there.slice(0, editor.most);
    if (there.length < chain.length) say(`Not all effects of “${name}” are here; the others were taken.`, "problem");
    else if (taken.length < there.length) say(`Only the first ${editor.most} effects of “${name}” fit here.`, "problem");
    editor.request(taken);
  }

  function open(is) {
    form.hidden = !is;
    at("keep").hidden = is;
    if (!is) return;
    input.value = editor.wanted().map((each) => each.name).join(" + ") || "no effect";
    input.focus();
    input.select();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (!name) return;
    const others = kept().filter((each) => each.name !== name);
    if (others.length >= MOST) say(`This browser keeps ${MOST} of them; forget one first.`, "problem");
    else if (!remember(KEY, [...others, { name, chain: editor.wanted() }])) {
      say("This browser keeps nothing for this page.", "problem");
    }
    open(false);
    show();
    at("keep").focus();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    open(false);
    at("keep").focus();
  });
  at("keep").addEventListener("click", () => open(true));
  at("keep-cancel").addEventListener("click", () => open(false));
  show();
}
