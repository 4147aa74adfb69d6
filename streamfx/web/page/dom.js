// What all parts of both pages use: elements, what the browser keeps for this page, numbers as text.

export const at = (id) => document.getElementById(id);

export function make(tag, text = "", properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.textContent = text;
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(...paths) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const d of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

// A browser may refuse to keep anything; the page works without.
export function remembered(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`streamfx ${key}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(`streamfx ${key}`, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export const named = (name) => (name ? name[0].toUpperCase() + name.slice(1).replaceAll("_", " ") : "None");
export const whole = new Intl.NumberFormat("en");
export const rate = (value) => (value == null ? "–" : value.toFixed(1));
export const ms = (value) => (value == null ? "–" : value.toFixed(value < 10 ? 1 : 0));
export const minutes = (seconds) =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds) % 60).padStart(2, "0")}`;

export function stamp(now = new Date()) {
  const two = (number) => String(number).padStart(2, "0");
  const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join("-");
  return `${day}_${[now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join("-")}`;
}
