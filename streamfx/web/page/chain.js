// The chain of effects: what is in it and in which order, with the controls of each; and what a choice in the
// gallery does: it takes the place of the effect that is selected, or is added.

import { behind } from "./backdrop.js";
import { at, icon, make, named } from "./dom.js";
import { buildGallery, markChosen, thumbnail } from "./gallery.js";

const SEND_EVERY_MS = 50; // a slider that is dragged
const LET_GO_MS = 600; // after which the run's value counts again, not the hand's
const BACKDROP = "backdrop";
const PARTS = { all: "All", person: "Person", background: "Background" };
const UP = "m6 15 6-6 6 6", DOWN = "m6 9 6 6 6-6", OUT = ["m6 6 12 12", "M18 6 6 18"];

// `change`: called with the chain that is wanted, [{ name, controls, where }]; `control`: with place, name and
// value; `part`: with place and where; `kind`: with place and the kind that pictures are said to be, or null;
// `backdrop`: with place and { picture } or { colour }.
export function chainEditor({ change, control, part, kind, backdrop }) {
  let effects = new Map(); // what the gallery knows of each
  let chain = [], selected = 0, most = 8, opening = null, shape = "", on = true;
  let queued = null; // what was chosen while another was being opened: the last wins
  let focusNext = null;
  const touched = new Map(); // control → when a hand was on it

  const wanted = () => chain.map(({ name, controls, where = null }) => (
    { name, controls: Object.fromEntries(controls.map((each) => [each.name, each.value])), where }));
  const request = (list, next = selected) => {
    selected = Math.max(0, Math.min(next, list.length - 1));
    focusNext ??= document.activeElement?.id || null;
    if (opening) queued = list;
    else change(list);
    mark();
  };
  const choose = (name) => {
    const list = wanted();
    list.splice(selected, 1, { name, controls: {} });
    request(list);
  };
  const move = (place, by) => {
    const list = wanted(), [moved] = list.splice(place, 1);
    list.splice(place + by, 0, moved);
    focusNext = `${by < 0 ? "earlier" : "later"}-${place + by}`;
    request(list, place + by);
  };
  const select = (place) => {
    selected = place;
    rebuild();
  };

  function show(state) {
    chain = state.effects;
    opening = state.opening;
    if (!opening && queued) {
      const list = queued;
      queued = null;
      change(list);
    }
    const now = JSON.stringify(chain.map((each) => (
      [each.name, each.controls.map((found) => found.name), each.where, each.kind, each.decided])));
    if (selected > chain.length || (selected === chain.length && chain.length >= most)) selected = 0;
    if (now !== shape) {
      shape = now;
      if (selected >= chain.length && chain.length) selected = chain.length - 1;
      rebuild();
    }
    chain.forEach((effect, place) => effect.controls.forEach((each) => {
      const id = idOf(place, each), range = at(id);
      if (Date.now() - (touched.get(id) ?? 0) > LET_GO_MS) range.value = each.value;
      showValue(range);
    }));
    mark();
    giveFocusBack();
  }

  // They are made anew only when the chain is another, so that a control keeps the focus while it is used.
  function rebuild() {
    const inChain = at("chain").contains(document.activeElement);
    const focused = focusNext && inChain ? null : document.activeElement?.id;
    const cards = chain.map(card);
    if (selected >= chain.length && chain.length) {
      cards.push(make("li", "Choose the next effect below", { className: "step pending" }));
    }
    at("chain").replaceChildren(...cards);
    if (focused) at(focused)?.focus();
    mark();
  }

  function mark() {
    const names = chain.map((each) => each.name), full = chain.length >= most, adding = selected >= chain.length;
    markChosen(names, names[selected]);
    at("add").disabled = !on || full || Boolean(opening);
    at("add").ariaPressed = String(adding && chain.length > 0);
    at("add").hidden = most < 2 || !chain.length;
    at("chain-note").textContent = noteOf(full);
    for (const button of document.querySelectorAll("#chain button")) {
      button.disabled = !on || Boolean(opening) || button.dataset.end === "yes";
    }
    for (const each of document.querySelectorAll("#chain input, #gallery button")) each.disabled = !on;
    at("gallery").tabIndex = on ? -1 : 0; // it can be scrolled with keys, whether or not there is a button to focus
  }

  // What is disabled, or made anew, loses the focus: it is given back, if nobody has taken it elsewhere.
  function giveFocusBack() {
    if (opening || !focusNext) return;
    const next = [at(focusNext), at(`effect-${selected}`)].find((each) => each && !each.disabled);
    if (document.activeElement === document.body) next?.focus();
    focusNext = null;
  }

  function noteOf(full) {
    if (opening) return `Opening ${opening}…`;
    if (!chain.length) return "No effect: the picture passes as it is. Choose one below.";
    if (full && most > 1) return `At most ${most} effects one after the other.`;
    return "";
  }

  function card(effect, place) {
    const about = effects.get(effect.name) ?? { name: effect.name, title: named(effect.name), words: "" };
    const { title } = about;
    const head = make("button", "", { type: "button", className: "head", id: `effect-${place}` },
      thumbnail(about), make("span", "", { className: "about" },
        make("span", chain.length > 1 ? `${place + 1}. ${title}` : title, { className: "name" }),
        make("span", about.words, { className: "words" })));
    head.ariaPressed = String(place === selected);
    head.title = "Select it: a choice below takes its place";
    head.addEventListener("click", () => select(place));
    const button = (id, label, paths, does, end) => {
      const made = make("button", "", { type: "button", className: "small", id: `${id}-${place}` }, icon(...paths));
      made.ariaLabel = `${title}: ${label}`;
      made.title = label;
      made.dataset.end = end ? "yes" : "no";
      made.addEventListener("click", does);
      return made;
    };
    const buttons = make("span", "", { className: "order" });
    if (chain.length > 1) {
      buttons.append(
        button("earlier", "apply it earlier", [UP], () => move(place, -1), place === 0),
        button("later", "apply it later", [DOWN], () => move(place, 1), place === chain.length - 1));
    }
    buttons.append(button("remove", "take it out", OUT, () => request(wanted().toSpliced(place, 1)), false));
    const item = make("li", "", { className: "step" },
      make("div", "", { className: "top" }, head, buttons), ...effect.controls.map((each) => slider(each, place)),
      ...(effect.where ? [partOf(effect, place, title)] : []),
      ...(effect.kinds?.length ? kindsOf(effect, place, title) : []),
      ...(effect.name === BACKDROP ? [behind(place, backdrop)] : []));
    item.dataset.selected = place === selected ? "yes" : "no";
    return item;
  }

  function partOf(effect, place, title) {
    const parts = Object.entries(PARTS).map(([value, text]) => {
      const made = make("button", text, { type: "button", className: "part", id: `${value}-${place}` });
      made.ariaPressed = String(effect.where === value);
      made.addEventListener("click", () => {
        effect.where = value;
        focusNext = made.id;
        part(place, value);
      });
      return made;
    });
    return make("div", "", { className: "parts", role: "group", ariaLabel: `${title}: where it acts` }, ...parts);
  }

  // Where the pictures decide what runs: what they decided last, and what they are said to be instead.
  function kindsOf(effect, place, title) {
    const choices = [[null, "Automatic"], ...effect.kinds.map((each) => [each, named(each)])];
    const buttons = choices.map(([value, text]) => {
      const made = make("button", text, { type: "button", className: "part", id: `kind-${value ?? "any"}-${place}` });
      made.ariaPressed = String(effect.kind === value);
      made.addEventListener("click", () => {
        focusNext = made.id;
        kind(place, value);
      });
      return made;
    });
    const said = effect.kind ? "" : effect.decided || "Nothing has been seen yet";
    return [
      make("div", "", { className: "parts", role: "group", ariaLabel: `${title}: what the pictures are` }, ...buttons),
      make("p", said, { className: "decided", hidden: !said }),
    ];
  }

  function slider(given, place) {
    const id = idOf(place, given);
    const label = make("label", named(given.name), { htmlFor: id });
    const output = make("output", "", { id: `${id}-value` });
    output.setAttribute("for", id);
    label.append(output);
    const range = make("input", "", { type: "range", id });
    Object.assign(range, { min: given.low, max: given.high, step: (given.high - given.low) / 100 || 1 });
    range.value = given.value;
    Object.assign(range.dataset, { low: given.low, high: given.high });
    let last = 0, timer = null;
    const tell = () => {
      last = Date.now();
      timer = null;
      control(place, given.name, Number(range.value));
    };
    range.addEventListener("input", () => {
      touched.set(id, Date.now());
      showValue(range, output);
      const now = chain[place]?.controls.find((each) => each.name === given.name);
      if (now) now.value = Number(range.value);
      timer ??= setTimeout(tell, Math.max(0, last + SEND_EVERY_MS - Date.now()));
    });
    showValue(range, output);
    return make("div", "", { className: "field" }, label, range);
  }

  at("add").addEventListener("click", () => select(selected >= chain.length ? 0 : chain.length));
  return {
    show,
    learn(known) {
      effects = known;
      buildGallery(effects, choose);
      rebuild();
    },
    wanted,
    request,
    enable(is) {
      on = is;
      mark();
    },
    limit(count) {
      most = count;
      mark();
    },
    get most() {
      return most;
    },
  };
}

const idOf = (place, given) => `control-${place}-${given.name}`;

function showValue(range, output = at(`${range.id}-value`)) {
  const { low, high } = range.dataset;
  const text = low === "0" && high === "1"
    ? `${Math.round(range.value * 100)} %` : String(Number(Number(range.value).toPrecision(3)));
  output.textContent = text;
  range.setAttribute("aria-valuetext", text);
}
