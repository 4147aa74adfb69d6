// The effects there are, as pictures to choose from, in groups.

import { at, make } from "./dom.js";

const GROUPS = { look: "Looks", people: "Person and background", repair: "Repair", enlarge: "Enlarge" };

// name → { name, title, group, words, picture, controls, where }; empty where the page cannot have it.
export async function fetchEffects() {
  const answer = await fetch("effects", { cache: "no-store" });
  return new Map(answer.ok ? (await answer.json()).map((each) => [each.name, each]) : []);
}

export function thumbnail(effect) {
  if (effect?.picture) return make("img", "", { className: "thumb", src: effect.picture, alt: "", loading: "lazy" });
  return make("span", (effect?.title ?? "?")[0], { className: "thumb letter", ariaHidden: "true" });
}

// `choose`: called with the name of the effect that is wanted.
export function buildGallery(effects, choose) {
  const found = Object.entries(GROUPS).map(([group, title]) => {
    const members = [...effects.values()].filter((each) => each.group === group);
    if (!members.length) return null;
    const list = make("div", "", { className: "strip" }, ...members.map((each) => choice(each, choose)));
    const heading = make("h3", title, { id: `group-${group}` });
    const section = make("section", "", {}, heading, list);
    section.setAttribute("aria-labelledby", heading.id);
    return section;
  });
  at("gallery").replaceChildren(...found.filter(Boolean));
}

function choice(effect, choose) {
  const button = make("button", "", { type: "button", className: "choice", id: `choose-${effect.name}` },
    thumbnail(effect),
    make("span", "", { className: "about" },
      make("span", effect.title, { className: "name" }), make("span", effect.words, { className: "words" })));
  button.addEventListener("click", () => choose(effect.name));
  return button;
}

// Show which effects are in the chain, and which one a choice would replace.
export function markChosen(names, replaced) {
  for (const button of at("gallery").querySelectorAll(".choice")) {
    const name = button.id.slice("choose-".length);
    button.ariaPressed = String(name === replaced);
    button.dataset.used = names.includes(name) ? "yes" : "no";
  }
}
