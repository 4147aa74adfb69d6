// What stands behind a person: a colour, or a picture of this machine, made small here before it is sent.

import { make } from "./dom.js";
import { say } from "./said.js";

const WIDTH = 1920, HEIGHT = 1080, QUALITY = 0.85;

// `show`: called with place and { picture }, a JPEG in base 64, or { colour }.
export function behind(place, show) {
  const file = make("input", "", { type: "file", accept: "image/*", id: `picture-${place}`, className: "hidden" });
  const choose = make("button", "Picture…", { type: "button", className: "part", id: `choose-picture-${place}` });
  choose.addEventListener("click", () => file.click());
  file.tabIndex = -1;
  file.ariaHidden = "true";
  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    file.value = ""; // the same one may be chosen again
    if (!chosen) return;
    try {
      show(place, { picture: await asJpeg(chosen) });
    } catch {
      say(`${chosen.name} is no picture that this browser can read.`, "problem");
    }
  });
  const colour = make("input", "", { type: "color", id: `colour-${place}`, value: "#00b140", title: "Colour" });
  colour.ariaLabel = "Backdrop: colour";
  colour.addEventListener("change", () => show(place, { colour: colour.value }));
  return make("div", "", { className: "parts", role: "group", ariaLabel: "What stands behind you" },
    choose, file, colour);
}

async function asJpeg(file) {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, Math.max(WIDTH / picture.width, HEIGHT / picture.height));
  const canvas = make("canvas", "", {
    width: Math.max(1, Math.round(Math.min(picture.width * scale, 2 * WIDTH))),
    height: Math.max(1, Math.round(Math.min(picture.height * scale, 2 * HEIGHT))),
  });
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", QUALITY).split(",")[1];
}
